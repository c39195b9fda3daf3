"""Runs a grid in this process, one run after the other; what is in the store is not run again.

Several benches may fill one folder at once, each with its part of a suite or in any other order.
A run that fails does not stop the others: it is reported at the end, and tried again when the
bench is started again.

Example:
    >>> outcome = run_here(runs, Store("runs"))
    >>> print(len(outcome.results), len(outcome.failures))
"""

from __future__ import annotations

import dataclasses
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console

from tf_medyate.bench.plan.grid import Run
from tf_medyate.bench.run.progress import ProgressBoard
from tf_medyate.bench.run.result import Result
from tf_medyate.bench.run.store import Store
from tf_medyate.errors import MedyateError

Execute = Callable[[Run], Result]
_LOST = "its result could not be read back; start the bench again"


@dataclasses.dataclass(frozen=True)
class Failure:
    """A run without a result.

    Attributes:
        run: What was run.
        reason: What went wrong, for people.
        details: The traceback; empty for a mistake that `reason` explains.
    """

    run: Run
    reason: str
    details: str = ""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a grid.

    Attributes:
        results: Of all runs that are done, in the order of the grid.
        failures: The others.
        fresh: Results that were not in the store before.
    """

    results: tuple[Result, ...]
    failures: tuple[Failure, ...]
    fresh: int

    def complaints(self) -> list[str]:
        """The reasons of the failures, each once, the most frequent first."""
        counts = Counter(failure.reason for failure in self.failures)
        first = {f.reason: f.run for f in reversed(self.failures)}
        return [
            f"{count} run{'s' if count > 1 else ''} failed, first {first[reason]}: {reason}"
            for reason, count in counts.most_common()
        ]


def attempt(execute: Execute, run: Run) -> Result | Failure:
    """Runs a run; its errors become a Failure."""
    try:
        return execute(run)
    except MedyateError as error:
        return Failure(run, str(error))
    except Exception as error:  # one run's defect must not lose the night's other runs
        return Failure(run, f"{type(error).__name__}: {error}", traceback.format_exc())


def run_here(
    runs: Sequence[Run],
    store: Store,
    execute: Execute | None = None,
    console: Console | None = None,
) -> Outcome:
    """Runs every run that the store does not hold.

    Args:
        runs: The grid.
        store: Where results are kept.
        execute: From a run to its result; None for `tf_medyate.bench.run.execute.Executor`.
        console: Where the progress is shown.
    """
    done = store.read_all(runs)
    known = {result.run.key for result in done}
    failures = []
    with ProgressBoard(runs, done, console=console) as board:
        for run in runs:
            if run.key in known:
                continue
            if store.has(run):  # by another bench that writes to the same folder
                board.finished(run)
                continue
            board.starting(run)
            execute = execute or _executor()
            found = attempt(execute, run)
            if isinstance(found, Failure):
                failures.append(found)
                board.failed(run)
            else:
                store.write(found)
                board.finished(run, found.seconds)
    return outcome(runs, store, failures, known)


def outcome(
    runs: Sequence[Run], store: Store, failures: Iterable[Failure], known: set[str]
) -> Outcome:
    """Reads back what is in the store: what is reported is what was kept."""
    results = tuple(store.read_all(runs))
    fresh = sum(result.run.key not in known for result in results)
    failures = tuple(failures)
    settled = {result.run.key for result in results} | {f.run.key for f in failures}
    lost = (Failure(run, _LOST) for run in runs if run.key not in settled)
    return Outcome(results, (*failures, *lost), fresh)


def use_one_thread():
    """Lets TensorFlow sum in one order, wherever a run is made, unless the user has set another.

    To be called before TensorFlow runs anything. More threads gain little on nets this small.
    """
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")


def _executor() -> Execute:
    use_one_thread()
    from tf_medyate.bench.run.execute import Executor

    return Executor()
