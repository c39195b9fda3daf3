"""Runs a grid on Ray: the cores of this machine, or a cluster.

Runs that share a traced model travel together as one task. A worker asks the keeper, an actor on
the machine that the bench was started on, which of them are still to do, and hands it each result
as soon as it is there. So the store may lie on a disk that only this machine sees; and when a
worker is killed, Ray starts its task again elsewhere, and only the run under way is repeated.

Example:
    >>> outcome = run_on_ray(runs, Store("runs"), Cluster(address="10.0.0.1:6379"))
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console

from tf_medyate.bench.plan.grid import Run
from tf_medyate.bench.run.progress import ProgressBoard
from tf_medyate.bench.run.result import Result
from tf_medyate.bench.run.runner import Execute, Failure, Outcome, attempt, outcome, use_one_thread
from tf_medyate.bench.run.store import Store
from tf_medyate.errors import OptionError

_MIB = 2**20
_OBJECT_STORE_MIB = 128  # results are a few kB each; Ray's own default is a third of the memory
_POLL_SECONDS = 1.0
# What a worker on another machine must know too.
_INHERITED = ("MEDYATE_", "TF_")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Where to run, and what each run may take.

    Attributes:
        address: Of a running Ray cluster; empty for one on this machine, for the time of the bench.
        cpus: Cores of the cluster on this machine; 0 for all.
        cpus_per_run: Cores that a run is given.
        memory_per_run_mib: Memory that is set aside for a run.
        gpus_per_run: Graphics cards that a run is given, or a share of one; 0 hides them.
        retries: How often a task is started again when its worker dies.
    """

    address: str = ""
    cpus: int = 0
    cpus_per_run: float = 1.0
    memory_per_run_mib: int = 2048
    gpus_per_run: float = 0.0
    retries: int = 3

    def __post_init__(self):
        low = {"cpus": 0, "cpus_per_run": 0.01, "memory_per_run_mib": 1, "gpus_per_run": 0,
               "retries": 0}  # fmt: skip
        for name, least in low.items():
            if getattr(self, name) < least:
                remedy = "Correct the flag of this name."
                raise OptionError(
                    f"--{name}", f"at least {least}", repr(getattr(self, name)), remedy
                )


def run_on_ray(
    runs: Sequence[Run],
    store: Store,
    cluster: Cluster | None = None,
    execute: Execute | None = None,
    console: Console | None = None,
) -> Outcome:
    """Runs every run that the store does not hold, several at once.

    Args:
        runs: The grid.
        store: Where results are kept; on this machine.
        cluster: Where to run; None for this machine.
        execute: From a run to its result; None for `tf_medyate.bench.run.execute.Executor`: every
            worker makes its own.
        console: Where the progress is shown.

    Raises:
        OptionError: Ray is not installed, or there is no cluster at the address.
    """
    cluster = cluster or Cluster()
    done = store.read_all(runs)
    known = {result.run.key for result in done}
    todo = [run for run in runs if run.key not in known]
    if not todo:
        return outcome(runs, store, (), known)
    ray = _start(cluster)
    try:
        workers = max(1, int(ray.cluster_resources().get("CPU", 1) / cluster.cpus_per_run))
        with ProgressBoard(runs, done, workers, console) as board:
            failures = _drive(ray, todo, store, cluster, execute, board)
    finally:
        ray.shutdown()
    return outcome(runs, store, failures, known)


def _import() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        remedy = 'Run `pip install "tf_medyate[sweep]"`, or choose --runner local.'
        raise OptionError("--runner ray", "Ray, installed", "none", remedy) from None


def _start(cluster: Cluster) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    use_one_thread()
    ray = _import()
    inherited = {key: value for key, value in os.environ.items() if key.startswith(_INHERITED)}
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "error",
        "runtime_env": {"env_vars": inherited},
    }
    if cluster.address:
        options["address"] = cluster.address
    else:
        options |= {
            "address": "local",  # else Ray joins whatever cluster runs, or ran, on this machine
            "num_cpus": cluster.cpus or os.cpu_count(),
            "object_store_memory": _OBJECT_STORE_MIB * _MIB,
            "include_dashboard": False,
        }
    try:
        ray.init(**options)
    except ConnectionError as error:
        remedy = (
            "Start one with `ray start --head`, or leave the flag out. If it demands a token, set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN as on the cluster."
        )
        raise OptionError("--address", "a Ray cluster", f"{error}", remedy) from None
    try:
        _check_room(ray, cluster)
    except OptionError:
        ray.shutdown()
        raise
    return ray


def _check_room(ray: Any, cluster: Cluster):
    """Refuses runs that fit no machine of the cluster: Ray would wait for one for ever."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for flag, resource, wanted, scale in (
        ("cpus_per_run", "CPU", cluster.cpus_per_run, 1),
        ("gpus_per_run", "GPU", cluster.gpus_per_run, 1),
        ("memory_per_run_mib", "memory", cluster.memory_per_run_mib, _MIB),
    ):
        most = max(machine.get(resource, 0.0) for machine in machines) / scale
        if wanted > most:
            remedy = "Ask for less, or use a larger machine."
            raise OptionError(f"--{flag}", f"at most {most:,.0f}", f"{wanted:g}", remedy)


class Keeper:
    """Guards the store for the workers: the actor that lives beside it."""

    def __init__(self, folder: str):
        self._store = Store(folder)

    def missing(self, runs: Sequence[Run]) -> list[Run]:
        """Those that have no result yet."""
        return [run for run in runs if not self._store.has(run)]

    def keep(self, result: Result):
        """Writes a result; to write it twice does no harm."""
        self._store.write(result)


def work(runs: Sequence[Run], keeper: Any, execute: Execute | None) -> list[Failure]:
    """What a worker does with one task: the runs that are missing, one after another.

    Returns:
        The runs without a result.
    """
    ray = _import()
    execute = execute or _own_executor()
    failures = []
    for run in _ask(ray, keeper.missing.remote(runs)):
        found = attempt(execute, run)
        if isinstance(found, Failure):
            failures.append(found)
        else:
            _ask(ray, keeper.keep.remote(found))  # kept before the next one begins
    return failures


def _ask(ray: Any, reference: Any) -> Any:
    """Waits for the keeper in a thread of its own.

    A task that waits in its main thread hands its cores back meanwhile; Ray gives them to the next
    task, and then three runs share two cores.
    """
    answer: list[Any] = []
    waiting = threading.Thread(target=lambda: answer.append(ray.get(reference)))
    waiting.start()
    waiting.join()
    if not answer:
        raise ConnectionError("the bench that handed out this run cannot be reached")
    return answer[0]


_executor: Execute | None = None


def _own_executor() -> Execute:
    """One for each worker process, so that its next task finds data and nets again."""
    global _executor
    if _executor is None:
        from tf_medyate.bench.run.execute import Executor

        _executor = Executor()
    return _executor


def _drive(
    ray: Any,
    todo: list[Run],
    store: Store,
    cluster: Cluster,
    execute: Execute | None,
    board: ProgressBoard,
) -> list[Failure]:
    """Hands out the tasks and waits for the last of them."""
    keeper = _keeper(ray, store)
    task = ray.remote(work).options(
        num_cpus=cluster.cpus_per_run,
        num_gpus=cluster.gpus_per_run,
        memory=cluster.memory_per_run_mib * _MIB,
        max_retries=cluster.retries,
    )
    groups: dict[str, list[Run]] = {}
    for run in todo:
        groups.setdefault(run.group, []).append(run)
    under_way = {task.remote(group, keeper, execute): group for group in groups.values()}
    pending = {run.key: run for run in todo}
    failures: list[Failure] = []
    while under_way:
        ready, _ = ray.wait(list(under_way), timeout=_POLL_SECONDS)
        for reference in ready:
            failures += _failures_of(ray, reference, under_way.pop(reference), store)
        _show(pending, store, failures, board)
    return failures


def _keeper(ray: Any, store: Store) -> Any:
    """The keeper, on this machine, whatever else the cluster has."""
    here = ray.get_runtime_context().get_node_id()
    place = importlib.import_module("ray.util.scheduling_strategies")
    actor = ray.remote(Keeper).options(
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=-1,
        scheduling_strategy=place.NodeAffinitySchedulingStrategy(here, soft=False),
    )
    return actor.remote(str(store.folder.resolve()))


def _failures_of(ray: Any, reference: Any, group: list[Run], store: Store) -> list[Failure]:
    """What a finished task reports; or, if its workers died once too often, what is missing."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        lost = [run for run in group if not store.has(run)]
        reason = f"its worker died again and again ({type(error).__name__})"
        return [Failure(run, reason, str(error)) for run in lost]


def _show(pending: dict[str, Run], store: Store, failures: Iterable[Failure], board: ProgressBoard):
    """Moves the bar for whatever has come in since the last time."""
    failed = {failure.run.key for failure in failures}
    for key, run in list(pending.items()):
        if key in failed:
            board.failed(pending.pop(key))
        elif store.has(run):
            result = store.read(run)
            if result is not None:
                board.finished(pending.pop(key), result.seconds)
