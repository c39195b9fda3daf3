"""The bar that shows how far a bench is, and how long it will still take.

Runs differ in length by more than a factor of ten, so the time left is not a share of the time
gone by: every run still to do counts with the mean of its like, as far as any are done.

Example:
    >>> with ProgressBoard(runs, done=(), workers=2) as board:
    ...     board.finished(run, seconds=3.2)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tf_medyate.bench.plan.grid import Run
from tf_medyate.bench.run.result import Result


class TimeLeft:
    """How long the runs that are still to do will take.

    Args:
        runs: All that are to do.
        workers: Runs under way at once.
    """

    def __init__(self, runs: Iterable[Run], workers: int = 1):
        self._todo = {run.key: run for run in runs}
        self._workers = max(1, workers)
        self._seconds: dict[tuple[str, ...], list[float]] = defaultdict(list)

    def learn(self, run: Run, seconds: float):
        """Notes how long a run took, this time or in a bench before."""
        for likeness in _likenesses(run):
            self._seconds[likeness].append(seconds)

    def finished(self, run: Run):
        """A run is no longer to do, whatever came of it."""
        self._todo.pop(run.key, None)

    def seconds_left(self) -> float | None:
        """The estimate; None before the first run is done."""
        if not self._seconds:
            return None
        return sum(self._of(run) for run in self._todo.values()) / self._workers

    def _of(self, run: Run) -> float:
        alike = next(key for key in _likenesses(run) if key in self._seconds)
        return float(np.mean(self._seconds[alike]))


def _likenesses(run: Run) -> Sequence[tuple[str, ...]]:
    """From the most to the least alike; every run has the last in common."""
    return (run.network, run.dataset, run.strategy), (run.network, run.dataset), ()


class ProgressBoard:
    """A progress bar with a line for what was done last.

    Args:
        runs: All runs of the bench.
        done: Results that are there already.
        workers: Runs under way at once.
        console: Where to draw; None for the standard output.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        done: Iterable[Result],
        workers: int = 1,
        console: Console | None = None,
    ):
        known = {result.run.key: result for result in done}
        self._estimate = TimeLeft((run for run in runs if run.key not in known), workers)
        for result in known.values():
            self._estimate.learn(result.run, result.seconds)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[failed]}"),
            console=console,
        )
        self._failed = 0
        self._task = self._progress.add_task(
            "bench", total=len(runs), completed=len(known), left=self._left(), failed=""
        )

    def __enter__(self) -> ProgressBoard:
        self._progress.start()
        return self

    def __exit__(self, *error):
        self._progress.stop()

    def starting(self, run: Run):
        """Names the run that is under way."""
        self._progress.update(self._task, description=f"{run.network} on {run.dataset}")

    def finished(self, run: Run, seconds: float | None = None):
        """A run has a result; how long it took if it was made here."""
        if seconds is not None:
            self._estimate.learn(run, seconds)
        self._step(run)

    def failed(self, run: Run):
        """A run ended without one."""
        self._failed += 1
        self._step(run)

    def _step(self, run: Run):
        self._estimate.finished(run)
        failed = f"{self._failed} failed" if self._failed else ""
        self._progress.update(self._task, advance=1, left=self._left(), failed=failed)

    def _left(self) -> str:
        left = self._estimate.seconds_left()
        return "" if left is None else f"about {duration(left)} left"


def duration(seconds: float) -> str:
    """Seconds as people say them: "40 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
