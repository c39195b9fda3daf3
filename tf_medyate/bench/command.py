"""`medyate bench`: a suite of runs, resumable, on one machine or many.

medyate bench --suite smoke
medyate bench --suite tiny --strategies medyate,trady,su,head,full --seeds 3 --out runs
medyate bench --suite paper --address 10.0.0.1:6379
python -m tf_medyate.bench.command --suite smoke          # the same
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import sys
import warnings
from collections.abc import Sequence

from absl import app
from absl.flags import argparse_flags
from rich.console import Console

from tf_medyate.bench.grid import Run, grid, split_strategies
from tf_medyate.bench.runner import Outcome, run_here
from tf_medyate.bench.store import Store
from tf_medyate.bench.suites import SUITES, Suite, get_suite
from tf_medyate.errors import MedyateError, OptionError
from tf_medyate.strategies import PRESETS

RUNNERS = ("auto", "local", "ray")
_out = Console(highlight=False)


def epilog() -> str:
    """What stands below the flags in the help text."""
    suites = "".join(f"  {suite.name:<15} {suite.summary}\n" for suite in SUITES.values())
    presets = "".join(f"  {s.name:<15} {s.summary}\n" for s in PRESETS.values())
    options = '  a part of a strategy may be changed: "medyate:sharpness=4,core=0.5"'
    return f"suites:\n{suites}\nstrategies:\n{presets}{options}"


def add(commands):
    """Adds the command to `medyate`'s."""
    from tf_medyate.commands import common

    text = "compare strategies on many nets and data sets; resumable, on one machine or many"
    add_flags(common.command(commands, "bench", run, text, epilog()))


def add_flags(parser: argparse.ArgumentParser):
    """Defines the flags of the command."""
    add = parser.add_argument
    add("--suite", default="tiny", help="paper, tiny or smoke; see below")
    add("--strategies", default="", help="comma-separated, see below; the suite's own if empty")
    add("--seeds", type=int, default=0, help="seeds of every run; the suite's own number if 0")
    add("--out", default="runs", help="folder of results and report; start again to resume")
    add("--networks", default="", help="only these of the suite's nets, comma-separated")
    add("--datasets", default="", help="only these of the suite's data sets, comma-separated")
    add("--reference", default="medyate", help="the strategy that the others are tested against")
    add("--runner", default="auto", help="local: one run after the other in this process; ray: "
        "several at once; auto: ray if it is installed and there is more than one run")  # fmt: skip
    add("--address", default="", help="of a Ray cluster, or auto; one on this machine if empty")
    add("--cpus", type=int, default=0, help="cores of a cluster on this machine; all if 0")
    add("--cpus_per_run", type=float, default=1.0, help="cores that Ray gives to a run")
    add("--memory_per_run_mib", type=int, default=2048, help="memory that Ray sets aside for a run")
    add("--gpus_per_run", type=float, default=0.0, help="graphics cards that Ray gives to a run")
    add("--retries", type=int, default=3, help="how often a run whose worker died is begun again")
    add("--report_only", action="store_true", help="run nothing; report what is in --out")
    add("--list", action="store_true", help="print what would be run, and end")


def run(args: argparse.Namespace):
    """Runs the command.

    Raises:
        MedyateError: A flag is wrong, or something is not installed.
        SystemExit: Some runs failed; why was printed.
    """
    suite = _choose(get_suite(args.suite), args)
    names = split_strategies(args.strategies) if args.strategies else list(suite.strategies)
    runs = grid(suite, names, args.seeds or suite.seeds)
    if args.list:
        print(f"{suite}\n\n{len(runs)} runs")
        return
    store = Store(args.out)
    _warn_plainly()
    outcome = _outcome(runs, store, args)
    if not outcome.results:
        remedy = "See above." if outcome.failures else "Leave out --report_only."
        _complain(outcome)
        raise OptionError("--out", "at least one result", "none", remedy)
    _write(outcome, suite, store, args)
    _complain(outcome)
    if outcome.failures:
        raise SystemExit(1)


def _choose(suite: Suite, args: argparse.Namespace) -> Suite:
    """The part of a suite that is asked for; its nets and data sets exist."""
    cases = suite.cases
    for flag, attribute in (("networks", "network"), ("datasets", "dataset")):
        wanted = list(filter(None, (part.strip() for part in getattr(args, flag).split(","))))
        known = list(dict.fromkeys(getattr(case, attribute) for case in suite.cases))
        for name in wanted:
            if name not in known:
                remedy = "Choose some of these, or another suite."
                expected = f"names out of suite {suite.name}: {', '.join(known)}"
                raise OptionError(f"--{flag}", expected, repr(name), remedy)
        if wanted:
            cases = tuple(case for case in cases if getattr(case, attribute) in wanted)
    if not cases:
        remedy = "Leave one of the two flags out."
        expected = "a net and a data set that the suite has together"
        raise OptionError("--networks and --datasets", expected, "none", remedy)
    return dataclasses.replace(suite, cases=cases)


def _outcome(runs: Sequence[Run], store: Store, args: argparse.Namespace) -> Outcome:
    if args.runner not in RUNNERS:
        expected = " | ".join(RUNNERS)
        raise OptionError("--runner", expected, repr(args.runner), "Choose one of these.")
    if args.report_only:
        return Outcome(tuple(store.read_all(runs)), (), 0)
    installed = importlib.util.find_spec("ray") is not None
    wanted = args.runner == "ray" or bool(args.address)
    if wanted or (args.runner == "auto" and installed and len(runs) > 1):
        from tf_medyate.bench.ray_runner import Cluster, run_on_ray

        cluster = Cluster(
            args.address,
            args.cpus,
            args.cpus_per_run,
            args.memory_per_run_mib,
            args.gpus_per_run,
            args.retries,
        )
        return run_on_ray(runs, store, cluster, console=_out)
    return run_here(runs, store, console=_out)


def _write(outcome: Outcome, suite: Suite, store: Store, args: argparse.Namespace):
    from tf_medyate.bench import report, tables
    from tf_medyate.bench.panel import Panel

    paths = report.write(outcome.results, suite, store.folder, args.reference)
    print(tables.overall(Panel(outcome.results)).markdown())
    _out.print(
        f"{len(outcome.results)} results, {outcome.fresh} of them new. Report: [bold]{paths[0]}[/] "
        f"(and {', '.join(path.name for path in paths[1:])} beside it)"
    )


def _complain(outcome: Outcome):
    for text in outcome.complaints():
        print(f"medyate bench: {text}", file=sys.stderr)
    details = next((failure.details for failure in outcome.failures if failure.details), "")
    if details:
        print(f"The first traceback:\n{details}", file=sys.stderr)


def _warn_plainly():
    """Shows the store's warnings as sentences, without the line of code that gave them."""

    def show(message, category, filename, lineno, file=None, line=None):
        print(f"medyate bench: warning: {message}", file=file or sys.stderr)

    warnings.showwarning = show


def main(args: argparse.Namespace) -> int:
    """The command on its own; a mistake of the user's ends with its explanation."""
    try:
        run(args)
    except MedyateError as error:
        print(f"medyate bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"medyate bench: stopped. What is done is in {args.out}.", file=sys.stderr)
        return 130
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse_flags.ArgumentParser(
        prog="medyate bench",
        description=__doc__,
        epilog=epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_flags(parser)
    return parser.parse_args(argv[1:])


if __name__ == "__main__":
    app.run(main, flags_parser=_parse)
