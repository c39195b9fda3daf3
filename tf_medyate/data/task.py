"""What the registry knows of a data set, and what a data set hands out.

Example:
    >>> from tf_medyate.data.registry import get_dataset
    >>> task = get_dataset("digits").load(0, 0)
    >>> print(task)
    digits, fold 0: 1,433 training and 364 test samples of 8 x 8 x 1, 10 classes
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from tf_medyate.errors import DataError


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """One fold of a data set: what to fine-tune on, and what to judge the result by.

    Attributes:
        name: The data set's name.
        fold: Which of its folds.
        train_x: Samples to fine-tune on, float32 [n, ...].
        train_y: Their labels, int32 [n], from 0 to `classes - 1`.
        test_x: Samples never trained on, float32 [m, ...].
        test_y: Their labels, int32 [m].
        classes: Number of classes.
        source_x: Samples to calibrate on, or to pre-train on: other people's data where there
            is such, else the training samples themselves; None if not given.
        source_y: Their labels; None if not given.
    """

    name: str
    fold: int
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    classes: int
    source_x: np.ndarray | None = None
    source_y: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check(self, "train", self.train_x, self.train_y)
        _check(self, "test", self.test_x, self.test_y)
        if self.source_x is not None and self.source_y is not None:
            _check(self, "source", self.source_x, self.source_y)

    def __str__(self) -> str:
        shape = " x ".join(map(str, self.train_x.shape[1:]))
        return (
            f"{self.name}, fold {self.fold}: {len(self.train_x):,} training and "
            f"{len(self.test_x):,} test samples of {shape}, {self.classes} classes"
        )


def _check(task: Task, part: str, x: np.ndarray, y: np.ndarray) -> None:
    """Catches what would otherwise fail deep inside a training run."""
    where = f"{task.name}, fold {task.fold}, {part}"
    remedy = "Correct the data set's `load`; see docs/extending.md."
    if x.dtype != np.float32 or not np.issubdtype(y.dtype, np.integer):
        raise DataError(where, "float32 samples, integer labels", f"{x.dtype}, {y.dtype}", remedy)
    if len(x) == 0 or y.shape != (len(x),) or x.shape[1:] != task.train_x.shape[1:]:
        expected = f"[n, {', '.join(map(str, task.train_x.shape[1:]))}] and [n], n > 0"
        raise DataError(where, expected, f"{x.shape} and {y.shape}", remedy)
    if y.min() < 0 or y.max() >= task.classes:
        received = f"{y.min()} to {y.max()}"
        raise DataError(where, f"labels from 0 to {task.classes - 1}", received, remedy)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set and how it is cut into folds.

    Attributes:
        name: Its name on the command line.
        folds: Number of its folds.
        classes: Number of classes.
        load: (fold, seed) -> the fold. The seed draws subsets where there are any; the same
            fold and seed give the same task.
        source: Who made it, where it is described.
        needs: What to `pip install` for it, or an address to fetch it from.
    """

    name: str
    folds: int
    classes: int
    load: Callable[[int, int], Task]
    source: str
    needs: str

    def __str__(self) -> str:
        return f"{self.name}: {self.folds} folds, {self.classes} classes, needs {self.needs}"
