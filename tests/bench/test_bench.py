"""The bench without training: grid, store, runner, statistics, claims, tables and pictures."""

import argparse
import dataclasses
import itertools
import json
import multiprocessing
import os
import re
import warnings

import numpy as np
import pytest
from bench_fakes import RECIPE, fake_result, fake_run, results_of
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tf_medyate import cli
from tf_medyate.bench.analyse import tables
from tf_medyate.bench.analyse.panel import Panel
from tf_medyate.bench.analyse.report import write
from tf_medyate.bench.plan.budgets import Budget
from tf_medyate.bench.plan.choice import seeds_of
from tf_medyate.bench.plan.grid import Run, grid, parse_strategy, share_of, split_strategies
from tf_medyate.bench.plan.recipe import FineTuneRecipe
from tf_medyate.bench.plan.suites import RGN_TWIN, SUITES, get_suite
from tf_medyate.bench.run.progress import TimeLeft, duration
from tf_medyate.bench.run.result import Result
from tf_medyate.bench.run.runner import run_here
from tf_medyate.bench.run.store import Store
from tf_medyate.commands import bench as command
from tf_medyate.errors import BudgetTooSmallError, OptionError
from tf_medyate.files import OutputError
from tf_medyate.json_values import build
from tf_medyate.select.strategies import PRESETS

SILENT = Console(quiet=True)


# --- recipe and grid


@given(epochs=st.integers(1, 200), warmup=st.integers(0, 20), rate=st.floats(1e-4, 1.0))
def test_rate_rises_then_falls_to_zero_and_never_leaves_its_bounds(epochs, warmup, rate):
    recipe = FineTuneRecipe(epochs, 8, rate, warmup)
    assert recipe.total_epochs == warmup + epochs  # the warm-up comes on top
    rates = [recipe.rate(t) for t in np.linspace(0, recipe.total_epochs, 101)]
    assert all(0 <= r <= rate for r in rates)
    top = int(np.argmax(rates))
    assert rates == sorted(rates[: top + 1]) + sorted(rates[top + 1 :], reverse=True)
    assert rates[0] == (0 if warmup else rate)
    assert rates[-1] == 0.0
    assert recipe.rate(warmup) == rate
    assert recipe.rate(warmup + epochs / 2) == pytest.approx(rate / 2)


def test_keys_hold_still_and_follow_everything_a_result_depends_on():
    run = fake_run()
    # Pinned: another key would make every stored result of older benches unfindable.
    assert run.key == "de1a3a944c62cbc4"
    other = {"published": False, "augment": "flip", "ranked_on": "watch", "head_scale": 0.5}
    others = [
        dataclasses.replace(run, **change)
        for change in (
            {"network": "other"},
            {"dataset": "other"},
            {"fold": 1},
            {"seed": 1},
            {"strategy": "trady"},
            {"budget": Budget.share(0.2)},
            {"budget": None},
            *({"recipe": dataclasses.replace(RECIPE, **{field.name: other.get(field.name, 7)})}
              for field in dataclasses.fields(FineTuneRecipe)),
        )
    ]  # fmt: skip
    assert len({run.key, *(other.key for other in others)}) == 1 + len(others)
    assert {o.group == run.group for o in others[2:4]} == {True}
    assert not any(o.group == run.group for o in others[:2] + others[4:])
    assert build(Run, json.loads(json.dumps(dataclasses.asdict(run)))) == run


def test_strategies_are_split_at_names_not_at_options():
    text = "medyate:sharpness=2,core=0.5, trady,medyate:train_bias=True,trady"
    assert split_strategies(text) == [
        "medyate:sharpness=2,core=0.5",
        "trady",
        "medyate:train_bias=True",
    ]
    assert parse_strategy("medyate:sharpness=2,core=0.5,weighting=rgn,train_bias=False") == (
        "medyate",
        {"sharpness": 2, "core": 0.5, "weighting": "rgn", "train_bias": False},
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("medjate", ["strategy", "medjate", "medyate"]),
        ("medyate:sharpnes=4", ["sharpnes", "sharpness"]),
        ("medyate:sampling=sometimes", ["sampling", "sometimes", "strongest"]),
        (" , ", ["strategies", "medyate,trady"]),
    ],
)
def test_wrong_strategies_are_explained(text, words):
    with pytest.raises(OptionError) as caught:
        split_strategies(text)
    assert all(word in str(caught.value) for word in words), caught.value


def test_grid_is_whole_without_repetition_and_keeps_groups_together():
    suite = get_suite("tiny")
    runs = grid(suite, ["medyate", "head", "medyate"], seeds=range(2))
    expected = sum(len(c.folds) * 2 * (len(c.budgets) + 1) for c in suite.cases)
    assert len({run.key for run in runs}) == len(runs) == expected
    groups = [run.group for run in runs]
    assert sum(a != b for a, b in itertools.pairwise(groups)) + 1 == len(set(groups))
    assert all((run.budget is None) == (run.strategy == "head") for run in runs)


def test_what_comes_first_is_complete_first():
    suite = get_suite("tiny")
    names = [run.strategy for run in grid(suite, ["trady", "head", "medyate"], [0])]
    assert [name for name, _ in itertools.groupby(names)] == ["trady", "head", "medyate"]


def test_shares_are_whole_groups_and_make_up_everything():
    runs = grid(get_suite("tiny"), ["medyate", "head"], range(2))
    shares = [share_of(runs, f"{number}/3") for number in (1, 2, 3)]
    assert sorted(run.key for share in shares for run in share) == sorted(r.key for r in runs)
    groups = [{run.group for run in share} for share in shares]
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert max(map(len, groups)) - min(map(len, groups)) <= 1
    assert share_of(runs, "") == runs


def test_full_fine_tuning_has_a_rate_of_its_own_where_it_needs_one():
    case = dataclasses.replace(get_suite("smoke").cases[0], full_rate=0.003)
    suite = dataclasses.replace(get_suite("smoke"), cases=(case,))
    rates = {run.strategy: run.recipe.learning_rate for run in grid(suite, ["head", "full"], [0])}
    assert rates == {"head": case.recipe.learning_rate, "full": 0.003}


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("", (0, 42, 100)),
        ("2", (0, 42)),
        ("5", (0, 42, 100, 101, 102)),
        ("7,8", (7, 8)),
        ("7,", (7,)),
        ("0,", (0,)),
    ],
)
def test_seeds_by_number_or_by_name(text, seeds):
    assert seeds_of(text, get_suite("paper")) == seeds


def test_the_papers_recipe():
    suite = get_suite("paper")
    found = {c.dataset: (c.recipe.epochs, c.recipe.warmup, c.recipe.augment) for c in suite.cases}
    assert found["cifar10"] == (100, 5, "crop and colour")
    assert found["vww"] == (50, 5, "flip")
    assert {name for name, (epochs, *_) in found.items() if epochs == 200} == {
        "cub200", "flowers102", "pets",
    }  # fmt: skip
    assert suite.seeds == (0, 42, 100)


def test_suites_name_strategies_that_exist():
    for suite in SUITES.values():
        assert split_strategies(",".join(suite.strategies)) == list(suite.strategies)
        assert suite.name in str(suite)
    with pytest.raises(OptionError, match=r"paper \| imagenet \| tiny \| watch \| smoke \| own"):
        get_suite("huge")
    with pytest.raises(OptionError, match="budget"):
        Budget("zero", 0, "share")


# --- store


def test_store_gives_back_what_it_was_given(tmp_path):
    store = Store(tmp_path / "a" / "b")
    result = fake_result(fake_run(), scores={"conv": 0.1 + 0.2})
    assert store.read(result.run) is None
    store.write(result)
    store.write(result)
    assert store.read(result.run) == result
    assert store.read_all([fake_run(seed=1), result.run]) == [result]
    assert [p.name for p in (tmp_path / "a" / "b" / "results").iterdir()] == [
        f"{result.run.key}.json"
    ]
    with pytest.raises(OutputError, match="--out"):
        Store(store.path(result.run))


@given(data=st.data())
@settings(max_examples=40)
def test_any_damage_is_set_aside_and_never_read(tmp_path_factory, data):
    store = Store(tmp_path_factory.mktemp("store"))
    result = fake_result(fake_run())
    path = store.write(result)
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 2))]  # all but the last newline
    else:  # a bit flipped in a number that says what was run
        place = whole.index(b'"batch": ') + 9
        damaged = whole[:place] + b"9" + whole[place + 1 :]
    path.write_bytes(damaged)
    with pytest.warns(UserWarning, match="done again"):
        assert store.read(result.run) is None
    assert not store.has(result.run)
    assert path.with_name(f"{path.name}.damaged").read_bytes() == damaged
    store.write(result)
    path.write_bytes(damaged)
    with pytest.warns(UserWarning, match="damaged1"):
        assert store.read(result.run) is None  # the first damaged file is kept


def _write_often(folder):
    store = Store(folder)
    for _ in range(100):
        store.write(fake_result(fake_run()))


def test_readers_never_see_half_a_result_while_others_write(tmp_path):
    store, result = Store(tmp_path), fake_result(fake_run())
    store.write(result)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_often, args=(tmp_path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while any(writer.is_alive() for writer in writers):
            assert store.read(result.run) == result
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert [path.name for path in (tmp_path / "results").iterdir()] == [f"{result.run.key}.json"]


def test_results_of_another_version_are_refused():
    text = fake_result(fake_run()).to_json()
    for old, new in (
        ('"format": 5', '"format": 4'),
        ('"accuracy_after": 0.', '"accuracy_after": 7.'),
        ('"seconds":', '"minutes":'),
        ('"curve": {', '"curve": 3, "c": {'),
    ):
        assert old in text
        with pytest.raises(ValueError):  # noqa: PT011  the store catches exactly this
            Result.from_json(text.replace(old, new))
    with pytest.raises(ValueError, match="does not belong"):
        Result.from_json(text.replace('"seed": 0', '"seed": 1'))


# --- runner


def test_killed_bench_goes_on_where_it_stopped(tmp_path):
    runs = [fake_run(seed=seed) for seed in range(5)]
    calls = []

    def execute(run):
        calls.append(run.seed)
        if run.seed == 3 and calls.count(3) == 1:
            raise KeyboardInterrupt
        return fake_result(run)

    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_here(runs, store, execute, SILENT)
    outcome = run_here(runs, store, execute, SILENT)
    assert calls == [0, 1, 2, 3, 3, 4]
    assert [r.run for r in outcome.results] == runs
    assert outcome.fresh == 2
    assert run_here(runs, store, None, SILENT).fresh == 0  # TensorFlow is not even loaded


def test_two_benches_share_a_folder_without_doing_a_run_twice(tmp_path):
    runs = [fake_run(seed=seed) for seed in range(6)]
    store, mine, others = Store(tmp_path), [], []

    def execute(run):
        mine.append(run.seed)
        if run.seed == 1:  # meanwhile the other bench does two, from the end
            for other in reversed(runs[4:]):
                others.append(other.seed)
                store.write(fake_result(other))
        return fake_result(run)

    outcome = run_here(runs, store, execute, SILENT)
    assert (mine, others) == ([0, 1, 2, 3], [5, 4])
    assert [r.run for r in outcome.results] == runs


def test_one_failure_neither_stops_nor_hides_the_others(tmp_path):
    def execute(run):
        if run.seed < 2:
            raise BudgetTooSmallError("budget", "more", "less", "Raise it.")
        if run.seed == 2:
            raise RuntimeError("a defect")
        return fake_result(run)

    runs = [fake_run(seed=seed) for seed in range(4)]
    outcome = run_here(runs, Store(tmp_path), execute, SILENT)
    assert [r.run.seed for r in outcome.results] == [3]
    assert [f.run.seed for f in outcome.failures] == [0, 1, 2]
    first, second = outcome.complaints()
    assert first.startswith("2 runs failed, first medyate at 10% of full: net on data")
    assert "Raise it." in first
    assert "RuntimeError: a defect" in second
    assert not outcome.failures[0].details
    assert "Traceback" in outcome.failures[2].details


def test_a_result_that_vanishes_is_reported(tmp_path):
    class Forgetful(Store):
        def write(self, result):
            path = super().write(result)
            path.write_text("{")
            return path

    with pytest.warns(UserWarning, match="done again"):
        outcome = run_here([fake_run()], Forgetful(tmp_path), fake_result, SILENT)
    assert not outcome.results
    assert "could not be read back" in outcome.failures[0].reason


def test_time_left_counts_each_run_with_its_like():
    runs = [fake_run(s, dataset=d) for s in ("medyate", "full") for d in ("small", "large")]
    estimate = TimeLeft(runs, workers=2)
    assert estimate.seconds_left() is None
    estimate.learn(runs[0], 4.0)
    assert estimate.seconds_left() == 8.0  # four of 4 s, two at once
    estimate.finished(runs[0])
    estimate.learn(runs[1], 10.0)
    estimate.finished(runs[1])
    assert estimate.seconds_left() == 7.0  # full: like medyate on the same data
    assert [duration(s) for s in (7, 600, 12_000)] == ["7 s", "10 min", "3 h 20 min"]


# --- tables, pictures, page


def test_report_holds_every_strategy_and_escapes_names(tmp_path):
    effects = {"medyate": 0.02, "lara-trady": 0.01, RGN_TWIN: 0.0, "head": -0.1, "full": 0.03}
    results = results_of(effects, datasets=("digits", "<b>|data</b>"))
    paths = write(results, get_suite("tiny"), tmp_path / "report")
    assert [path.name for path in paths] == [
        "report.html", "report.md", "results.csv", "differences.png", "critical_differences.png",
        "accuracy_by_budget.png",
    ]  # fmt: skip
    html, markdown, csv = (path.read_text() for path in paths[:3])
    for text in ("medyate, draw by RGN", "dW FLOPs saved", "activation sparsity", "5%", "20%"):
        assert text in html
        assert text in markdown
    assert "<b>" not in html
    assert "has the best mean rank" in html
    assert "\\|data" in markdown
    assert html.count("data:image/png;base64,") == 6  # light and dark
    assert not re.search(r'(?:src|href)(?:set)?="(?!data:)', html)  # nothing to fetch
    assert csv.count("\n") == 1 + len(results)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths[3:])


def test_markdown_tables_have_as_many_cells_as_columns():
    results = results_of({"medyate": 0.02, "trady": 0.01, "full": 0.03})
    own = [r.accuracy_after for r in results if str(r.run).startswith("medyate at 5% ")]
    built = tables.build(Panel(results))
    overall = next(table for table in built if table.title == "All strategies")
    for table in built:
        assert all(len(row) == len(table.header) for row in table.rows), table.title
    rows = {row[:2]: row for row in overall.rows}
    assert rows["5%", "medyate"][2].startswith(f"{100 * np.mean(own):.1f} (")
    assert rows["5%", "medyate"][4:6] == ("4.9 KiB", "5.0%")
    assert ("-", "full") in rows
    assert ("20%", "full") not in rows  # it has no budget: said once


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_results_make_a_report_too(tmp_path, count):
    results = [fake_result(fake_run(seed=seed)) for seed in range(count)]
    assert write(results, get_suite("smoke"), tmp_path)


# --- command


def medyate_bench(*words):
    return cli.main(cli.parse(["bench", *map(str, words)]))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--recipe", "ranked_on=nothing"], ["scores of the zoo", "on nothing"]),
        (["--suite", "huge"], ["--suite", "paper | imagenet | tiny | watch | smoke | own", "huge"]),
        (["--strategies", "medjate"], ["medjate", "medyate"]),
        (["--networks", "vgg"], ["--networks", "ds_cnn", "vgg"]),
        (["--datasets", "imagenet"], ["--datasets", "watch", "imagenet"]),
        (["--networks", "resnet8", "--datasets", "watch"], ["--networks and --datasets"]),
        (["--seeds", "-1"], ["seeds", "-1"]),
        (["--share", "3/2"], ["--share", "K/N", "3/2"]),
        (["--share", "half"], ["--share", "K/N", "half"]),
        (["--seeds", "0"], ["seeds", "'0'", "100,101"]),
        (["--runner", "slurm"], ["--runner", "auto | local | ray", "slurm"]),
        (["--report_only"], ["--out", "Leave out --report_only"]),
        (["--weights_dir", "/no/where"], ["--weights_dir: expected a folder", "extending.md"]),
        (["--data_dir", "/no/where"], ["--data_dir: expected a folder", "extending.md"]),
    ],
)
def test_mistakes_are_explained(tmp_path, capsys, words, expected):
    assert medyate_bench("--suite", "tiny", "--out", tmp_path, *words) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("medyate bench: ")
    assert all(word in printed for word in expected), printed


def test_command_fits_the_command_line():
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers(dest="command"))
    args = parser.parse_args(["bench", "--suite", "smoke", "--seeds", "2"])
    assert (args.run, args.command, args.suite, args.seeds) == (command.run, "bench", "smoke", "2")


def test_a_report_is_made_again_from_its_csv(tmp_path, capsys):
    suite = get_suite("smoke")
    runs = grid(suite, ["medyate", "head", "full"], range(2))
    results = [
        dataclasses.replace(fake_result(run), diverged=not place) for place, run in enumerate(runs)
    ]
    results[-1] = dataclasses.replace(results[-1], versions={"python": "4", "numpy": "5"})
    write(results, suite, tmp_path / "first")
    kept = tmp_path / "first" / "results.csv"
    assert kept.read_text().count("python=3") == 1  # said where it changes
    words = [
        "--suite",
        "smoke",
        "--strategies",
        "medyate,head,full",
        "--seeds",
        2,
        "--results",
        kept,
    ]
    assert medyate_bench(*words, "--out", tmp_path / "second") == 0
    first, second = ((tmp_path / name / "report.md").read_text() for name in ("first", "second"))
    assert first == second
    assert (tmp_path / "second" / "results.csv").read_text() == kept.read_text()
    capsys.readouterr()
    assert medyate_bench(*words, "--out", tmp_path / "third", "--strategies", "head") == 0
    others = sum(run.strategy != "head" for run in runs)
    assert f"{others} lines of {kept} belong to other runs" in capsys.readouterr().err
    (tmp_path / "x.csv").write_text("network,accuracy\n")
    assert (
        medyate_bench("--suite", "smoke", "--results", tmp_path / "x.csv", "--out", tmp_path) == 2
    )
    assert "received network, accuracy" in capsys.readouterr().err


def test_report_only_reports_what_is_there(tmp_path, capsys):
    store, runs = Store(tmp_path), grid(get_suite("smoke"), ["medyate", "head", "full"], range(2))
    for run in runs[:-1]:
        store.write(fake_result(run))
    words = ["--suite", "smoke", "--strategies", "medyate,head,full", "--seeds", 2]
    assert medyate_bench(*words, "--out", tmp_path, "--report_only") == 0
    printed = capsys.readouterr().out
    assert "| 5% | medyate |" in printed
    assert f"{len(runs) - 1} results, 0 of them new" in printed.replace("\n", " ")
    assert (tmp_path / "report.html").exists()


def test_weights_that_are_missing_are_named_before_anything_is_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MEDYATE_WEIGHTS", "")  # so that it is put back afterwards
    monkeypatch.setattr(command, "run_here", lambda *args, **options: pytest.fail("something ran"))
    words = ["--suite", "paper", "--datasets", "pets", "--weights_dir", tmp_path]
    assert medyate_bench(*words, "--out", tmp_path / "runs", "--runner", "local") == 2
    printed = capsys.readouterr().err
    for name in ("mbv2-w0.35.pkl", "mcunet-5fps.pkl", "proxyless-w0.3.pkl"):
        assert f"Download {name} (github.com/mit-han-lab/tiny-training" in printed
    assert os.environ["MEDYATE_WEIGHTS"] == str(tmp_path)  # the workers of a sweep see it


def test_list_and_help_name_suites_and_strategies(capsys):
    assert medyate_bench("--suite", "paper", "--list") == 0
    printed = capsys.readouterr().out
    assert "27,946 elements" in printed
    assert "mcunet_in1_folded on cub200" in printed
    with pytest.raises(SystemExit):
        medyate_bench("--help")
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*SUITES, *PRESETS))


def test_who_stops_it_is_told_what_is_kept(tmp_path, capsys, monkeypatch):
    runs = grid(get_suite("smoke"), ["head"], [0])
    Store(tmp_path).write(fake_result(runs[0]))

    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_here", stop)
    words = ["--suite", "smoke", "--strategies", "head", "--runner", "local", "--out", tmp_path]
    assert medyate_bench(*words) == 130
    printed = capsys.readouterr().err
    assert f"1 of {len(runs)} results are kept in {tmp_path}" in printed
    assert "start again" in printed
