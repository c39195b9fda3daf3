"""The bench on Ray: a worker is killed in mid-run, and every result is there exactly once."""

import os
import signal
import sys
import threading
import time
import types

import pytest
from bench_fakes import fake_result, fake_run

from tf_medyate.bench.run import ray_runner
from tf_medyate.bench.run.ray_runner import Cluster, run_on_ray
from tf_medyate.bench.run.runner import run_here
from tf_medyate.bench.run.store import Store
from tf_medyate.errors import OptionError

ray = pytest.importorskip("ray", reason='the sweep needs Ray: pip install "tf_medyate[sweep]"')

CLUSTER = Cluster(cpus=2, memory_per_run_mib=64)


def executor(folder, sick=""):
    """Stands in for training and notes who starts what; a closure, so that Ray sends it whole."""
    fakes = (fake_result,)

    def execute(run):
        with open(os.path.join(folder, "started"), "a") as file:
            file.write(f"{run.key} {os.getpid()}\n")  # one write of a short line is atomic
        if run.key == sick:
            raise ZeroDivisionError("sick")
        time.sleep(0.4)
        return fakes[0](run)

    return execute


def started(folder):
    path = folder / "started"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def kill_first_worker(folder, victims):
    """Waits until a run is under way, and shoots its process."""
    while not started(folder):
        time.sleep(0.02)
    time.sleep(0.1)  # in mid-run
    key, process = started(folder)[0]
    os.kill(int(process), signal.SIGKILL)
    victims.append((key, process))


def test_killed_worker_costs_no_result_and_doubles_none(tmp_path):
    ray.cloudpickle.register_pickle_by_value(__import__("bench_fakes"))
    runs = [fake_run(strategy, seed=seed) for strategy in ("medyate", "trady") for seed in range(4)]
    sick = runs[5]
    store, victims = Store(tmp_path / "store"), []
    store.write(fake_result(runs[7]))  # done in a bench before
    killer = threading.Thread(target=kill_first_worker, args=(tmp_path, victims), daemon=True)
    killer.start()
    outcome = run_on_ray(runs, store, CLUSTER, executor(tmp_path, sick.key))
    killer.join(10)

    healthy = [run for run in runs if run != sick]
    assert [result.run for result in outcome.results] == healthy
    assert outcome.fresh == len(healthy) - 1
    assert [failure.run for failure in outcome.failures] == [sick]
    assert "ZeroDivisionError: sick" in outcome.failures[0].reason
    files = sorted(path.name for path in (tmp_path / "store" / "results").iterdir())
    assert files == sorted(f"{run.key}.json" for run in healthy)  # nothing twice, no leftovers
    # The run that was shot was begun twice, the one that was done already not at all.
    (victim, process), starts = victims[0], [key for key, _ in started(tmp_path)]
    assert starts.count(victim) == 2
    assert runs[7].key not in starts
    assert all(starts.count(run.key) == 1 for run in runs[:7] if run.key != victim)
    assert {pid for _, pid in started(tmp_path)} - {process}
    # And what Ray kept is what this process would have made.
    here = run_here(runs, Store(tmp_path / "here"), executor(tmp_path, sick.key))
    assert here.results == outcome.results


def test_no_more_runs_at_once_than_there_are_cores(tmp_path):
    ray.cloudpickle.register_pickle_by_value(__import__("bench_fakes"))
    fakes, folder = (fake_result,), str(tmp_path)

    def execute(run):
        begun = time.monotonic()
        time.sleep(0.8)
        with open(os.path.join(folder, "times"), "a") as file:
            file.write(f"{begun} {time.monotonic()}\n")
        return fakes[0](run)

    names = ("medyate", "trady", "su-like", "velocity", "tinytrain")
    runs = [fake_run(name, seed=seed) for name in names for seed in range(2)]
    assert len(run_on_ray(runs, Store(tmp_path / "store"), CLUSTER, execute).results) == len(runs)
    spans = [tuple(map(float, line.split())) for line in (tmp_path / "times").open()]
    at_once = [sum(a <= begun < b for a, b in spans) for begun, _ in spans]
    assert max(at_once) <= 2


def test_nothing_to_do_starts_no_cluster(tmp_path):
    store, run = Store(tmp_path), fake_run()
    store.write(fake_result(run))
    assert run_on_ray([run], store, CLUSTER).results == (fake_result(run),)
    assert not ray.is_initialized()


def test_impossible_clusters_are_refused():
    with pytest.raises(OptionError, match="--memory_per_run_mib"):
        Cluster(memory_per_run_mib=0)


def test_runs_that_fit_no_machine_are_refused_instead_of_waited_for():
    machines = [
        {"Alive": True, "Resources": {"CPU": 4.0, "memory": 2.0 * 2**30}},
        {"Alive": False, "Resources": {"CPU": 64.0, "memory": 64.0 * 2**30}},
    ]
    fake = types.SimpleNamespace(nodes=lambda: machines)
    ray_runner._check_room(fake, Cluster(cpus_per_run=4, memory_per_run_mib=2048))
    with pytest.raises(OptionError, match=r"--cpus_per_run: expected at most 4; received 8"):
        ray_runner._check_room(fake, Cluster(cpus_per_run=8))
    with pytest.raises(OptionError, match=r"--memory_per_run_mib: expected at most 2,048"):
        ray_runner._check_room(fake, Cluster(memory_per_run_mib=4096))


def test_missing_ray_is_explained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"pip install .tf_medyate\[sweep\]"):
        run_on_ray([fake_run()], Store(tmp_path), CLUSTER)


def test_missing_cluster_is_explained(tmp_path, monkeypatch):
    def init(**options):
        assert options["address"] == "10.0.0.1:6379"
        assert not any("TOKEN" in name for name in options["runtime_env"]["env_vars"])
        raise ConnectionError("nobody there")

    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    monkeypatch.setattr(ray_runner, "_import", lambda: types.SimpleNamespace(init=init))
    with pytest.raises(OptionError, match=r"--address.*nobody there.*ray start --head"):
        run_on_ray([fake_run()], Store(tmp_path), Cluster(address="10.0.0.1:6379"))
