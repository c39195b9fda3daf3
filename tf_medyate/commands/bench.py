"""`medyate bench`: a suite of runs, resumable, on one machine or many.

Example:
    $ medyate bench --suite smoke
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import pathlib
import sys
from collections.abc import Sequence

from tf_medyate.bench.plan.choice import changed, choose, seeds_of
from tf_medyate.bench.plan.grid import Run, grid, share_of, split_strategies
from tf_medyate.bench.plan.suites import OWN, OWN_SUMMARY, SUITES, Suite
from tf_medyate.bench.run.runner import Outcome, run_here, use_one_thread
from tf_medyate.bench.run.store import Store
from tf_medyate.commands import common
from tf_medyate.commands.screen import out
from tf_medyate.errors import OptionError
from tf_medyate.select.strategies import PRESETS

RUNNERS = ("auto", "local", "ray")
# Flag -> the variable that says the same, and that the workers of a sweep inherit.
FOLDERS = {
    "data_dir": ("MEDYATE_DATA", "folder of data sets that were fetched, as published"),
    "weights_dir": ("MEDYATE_WEIGHTS", "folder of files with trained weights, as published"),
}


_EXAMPLES = """examples:
  medyate bench --suite smoke                       does it work here? About a minute
  medyate bench --suite tiny --list                 what would be run, and what must be installed
  medyate bench --suite tiny --seeds 3 --out runs   the same line again goes on where it stopped
  medyate bench --suite tiny --strategies medyate,trady,head --datasets watch
  medyate bench --suite own --networks ds_cnn --datasets watch,basic_motions
  medyate bench --suite paper --address 10.0.0.1:6379

"""


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, but not those that mean "not given": the text says what happens then."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default else action.help


def epilog() -> str:
    """What stands below the flags in the help text."""
    suites = "".join(f"  {suite.name:<15} {suite.summary}\n" for suite in SUITES.values())
    suites += f"  {OWN:<15} {OWN_SUMMARY}\n"
    presets = "".join(f"  {s.name:<15} {s.summary}\n" for s in PRESETS.values())
    options = '  a part of a strategy may be changed: "medyate:sharpness=2,core=0.5"'
    return f"{_EXAMPLES}suites:\n{suites}\nstrategies:\n{presets}{options}"


def add(commands):
    """Adds the command to `medyate`'s."""
    text = "compare strategies on many nets and data sets; resumable, on one machine or many"
    parser = common.command(commands, "bench", run, text, more=epilog())
    parser.formatter_class = _Help
    add_flags(parser)


def add_flags(parser: argparse.ArgumentParser):
    """Defines the flags of the command."""
    whole, share = common.within(0), common.within(0, kind=float)
    add = parser.add_argument_group("what is compared").add_argument
    add("--suite", default="tiny", help="paper, imagenet, tiny, watch, smoke or own; see below")
    add("--strategies", default="", help="comma-separated, see below; else the suite's own")
    add("--seeds", default="", help="how many runs of each kind, or which seeds: \"100,101\"; else "
        "the suite's own")  # fmt: skip
    add("--networks", default="", help="only these of the suite's nets, comma-separated")
    add("--datasets", default="", help="only these of the suite's data sets, comma-separated")
    add("--folds", type=whole, default=0, help="only so many folds of each data set; else all")
    add("--recipe", default="", help='changes of the training: "epochs=20,learning_rate=0.05"')
    add("--budgets", default="", help='instead of the suite\'s: "5%%,64KiB,27946 elements"; a '
        "share is one of full fine-tuning's memory")  # fmt: skip
    folder_flags(parser.add_argument_group("what it is compared on"))
    add = parser.add_argument_group("what comes out").add_argument
    add("--out", default="runs", help="folder of results and report; start again to resume")
    add("--reference", default="medyate", help="the strategy that the others are tested against")
    add("--report_only", action="store_true", help="run nothing; report what is in --out")
    add("--results", default="", metavar="FILE", help="run nothing; report what is in this "
        "results.csv of an earlier report, the files in docs/results among them")  # fmt: skip
    text = "write nets before fine-tuning, and their data, for medyate rank and others, and end"
    add("--save_cases", default="", metavar="FOLDER", help=text)
    add("--list", action="store_true", help="print what would be run, and end")
    add = parser.add_argument_group("where it runs").add_argument
    add("--runner", default="auto", help="local: one run after the other in this process; ray: "
        "several at once; auto: ray if it is installed and there is more than one run")  # fmt: skip
    add("--share", default="", help="only a part of the runs, 1/2 or 2/2: for machines that do not "
        "see each other, or one process for each core")  # fmt: skip
    add("--address", default="", help="of a Ray cluster, or auto; else one on this machine")
    add("--cpus", type=whole, default=0, help="cores of the cluster on this machine; else all")
    add("--cpus_per_run", type=share, default=1.0, help="cores that Ray gives to a run")
    add("--memory_per_run_mib", type=whole, default=2048, help="memory that Ray gives to a run")
    add("--gpus_per_run", type=share, default=0.0, help="graphics cards that Ray gives to a run")
    text = "how often a run whose worker died is begun again"
    add("--retries", type=common.within(-1), default=3, help=text)


def folder_flags(parser):
    """The flags of FOLDERS, which `set_folders` reads."""
    for flag, (variable, text) in FOLDERS.items():
        help_text = f"{text}; else {variable}"
        parser.add_argument(f"--{flag}", default="", metavar="FOLDER", help=help_text)


def run(args: argparse.Namespace):
    """Runs the command.

    Raises:
        MedyateError: A flag is wrong, or something is not installed.
        SystemExit: Some runs failed; why was printed.
    """
    set_folders(args)
    suite = choose(args.suite, _names(args.networks), _names(args.datasets))
    suite = changed(suite, args.recipe, args.budgets, args.folds)
    names = split_strategies(args.strategies) if args.strategies else list(suite.strategies)
    runs = share_of(grid(suite, names, seeds_of(args.seeds, suite)), args.share)
    if args.list:
        print(f"{suite}\n\n{len(runs)} runs")
        return
    if args.save_cases:
        _save_cases(suite, args.save_cases)
        return
    store = Store(args.out)
    try:
        outcome = _outcome(runs, store, args)
    except KeyboardInterrupt:
        kept = sum(map(store.has, runs))
        text = f"{kept} of {len(runs)} results are kept in {args.out}; start again to go on."
        print(text, file=sys.stderr)
        raise
    if not outcome.results:
        remedy = "See above." if outcome.failures else "Leave out --report_only."
        _complain(outcome)
        raise OptionError("--out", "at least one result", "none", remedy)
    _write(outcome, suite, store, args)
    _complain(outcome)
    if outcome.failures:
        raise SystemExit(1)


def set_folders(args: argparse.Namespace):
    """Makes the folders that were given known to this process and its workers.

    Raises:
        OptionError: One is no folder.
    """
    for flag, (variable, _) in FOLDERS.items():
        folder = getattr(args, flag)
        if folder and not pathlib.Path(folder).expanduser().is_dir():
            remedy = "Correct the path; docs/extending.md says what to fetch, and from where."
            raise OptionError(f"--{flag}", "a folder", repr(folder), remedy)
        if folder:
            os.environ[variable] = str(pathlib.Path(folder).expanduser().resolve())


def _names(text: str) -> list[str]:
    return list(filter(None, (part.strip() for part in text.split(","))))


def _save_cases(suite: Suite, folder: str):
    use_one_thread()
    from tf_medyate.bench.run.files import save

    for path in save(suite, pathlib.Path(folder)):
        print(f"medyate rank --model {path} --data {path.with_suffix('.npz')}")


def _outcome(runs: Sequence[Run], store: Store, args: argparse.Namespace) -> Outcome:
    if args.runner not in RUNNERS:
        expected = " | ".join(RUNNERS)
        raise OptionError("--runner", expected, repr(args.runner), "Choose one of these.")
    if args.results:
        return _read(runs, pathlib.Path(args.results))
    if args.report_only:
        return Outcome(tuple(store.read_all(runs)), (), 0)
    todo = [run for run in runs if not store.has(run)]
    if todo:
        use_one_thread()
        from tf_medyate.bench.run.material import check_weights

        check_weights(todo)
    installed = importlib.util.find_spec("ray") is not None
    wanted = args.runner == "ray" or bool(args.address)
    if wanted or (args.runner == "auto" and installed and len(runs) > 1):
        from tf_medyate.bench.run.ray_runner import Cluster, run_on_ray

        cluster = Cluster(
            args.address,
            args.cpus,
            args.cpus_per_run,
            args.memory_per_run_mib,
            args.gpus_per_run,
            args.retries,
        )
        return run_on_ray(runs, store, cluster, console=out)
    return run_here(runs, store, console=out)


def _read(runs: Sequence[Run], path: pathlib.Path) -> Outcome:
    from tf_medyate.bench.analyse import csv_results

    results, others = csv_results.read(path, runs)
    if others:
        text = f"{others} lines of {path} belong to other runs: of another suite, recipe or version"
        print(f"medyate bench: warning: {text}", file=sys.stderr)
    return Outcome(tuple(results), (), 0)


def _write(outcome: Outcome, suite: Suite, store: Store, args: argparse.Namespace):
    from tf_medyate.bench.analyse import report, tables
    from tf_medyate.bench.analyse.panel import Panel

    paths = report.write(outcome.results, suite, store.folder, args.reference)
    out.say(tables.overall(Panel(outcome.results)).markdown())
    out.say(
        f"{len(outcome.results)} results, {outcome.fresh} of them new. Report: {paths[0]} "
        f"(and {', '.join(path.name for path in paths[1:])} beside it)"
    )


def _complain(outcome: Outcome):
    for text in outcome.complaints():
        print(f"medyate bench: {text}", file=sys.stderr)
    details = next((failure.details for failure in outcome.failures if failure.details), "")
    if details:
        print(f"The first traceback:\n{details}", file=sys.stderr)
