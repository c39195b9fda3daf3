"""Time series that come inside aeon: gestures, motions and voices of several people.

The files (`.ts`, the text format of timeseriesclassification.com) are read here, because aeon
itself wants numba and half of scikit-learn. Only what these files use of the format is understood:
class labels, and series of one or more dimensions, of equal or unequal length, without gaps.

Example:
    >>> from tf_medyate.data.registry import get_dataset
    >>> task = get_dataset("japanese_vowels").load(0, 0)
    >>> print(task)
    japanese_vowels, fold 0: 270 training and 370 test samples of 29 x 12, 9 classes
"""

from __future__ import annotations

import functools
import os
import pathlib

import numpy as np

from tf_medyate.data.packaged import check_fold, locate
from tf_medyate.data.task import Dataset, Task
from tf_medyate.errors import DataError

_FOLDS = 5
_NEEDS = "aeon --no-deps"


def read_ts(path: str | os.PathLike) -> tuple[list[np.ndarray], np.ndarray, tuple[str, ...]]:
    """Reads a `.ts` file.

    Args:
        path: The file.

    Returns:
        The series, each float32 [time, dimensions]; their labels, int32 [n], indices into the
        third; the names of the classes, in the order of the file's header.

    Raises:
        DataError: The file is no classification data in the part of the format that is read.
    """
    path = pathlib.Path(path)
    names: tuple[str, ...] = ()
    series, labels = [], []
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1):
        line = line.strip()
        if line.lower().startswith("@classlabel true"):
            names = tuple(line.split()[2:])
        if not line or line[0] in "#@":
            continue
        *dimensions, label = line.split(":")
        if label not in names:
            raise _broken(path, number, f"one of the classes {', '.join(names)}", repr(label))
        try:
            values = [[float(v) for v in dimension.split(",")] for dimension in dimensions]
            series.append(np.array(values, np.float32).T)
        except ValueError as error:  # no number, or dimensions of different length
            raise _broken(path, number, "dimensions of numbers", repr(error)) from error
        labels.append(names.index(label))
    if not series:
        raise _broken(path, 1, "labelled series", "none")
    return series, np.array(labels, np.int32), names


def _broken(path: pathlib.Path, number: int, expected: str, received: str) -> DataError:
    remedy = "Install aeon once more, or leave this data set out."
    return DataError(f"{path.name}, line {number}", expected, received, remedy)


def _stretch(series: np.ndarray, steps: int) -> np.ndarray:
    """Linear interpolation from the first to the last sample."""
    if len(series) == steps:
        return series
    old, new = np.linspace(0, 1, len(series)), np.linspace(0, 1, steps)
    return np.stack([np.interp(new, old, column) for column in series.T], 1).astype(np.float32)


def _redraw(y: np.ndarray, train: np.ndarray, fold: int) -> np.ndarray:
    """Draws another training part with as many of each class as the published one has."""
    draw = np.random.default_rng(fold)
    chosen = np.zeros(len(y), bool)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        chosen[draw.permutation(rows)[: np.count_nonzero(train[rows])]] = True
    return chosen


def load_series(problem: str, name: str, fold: int, seed: int) -> Task:
    """Loads one fold of a problem.

    Args:
        problem: aeon's name of it.
        name: Ours.
        fold: 0 is the published split; others are redrawn with the same number of each class,
            as in Bagnall et al., "The great time series classification bake off" (2017).
        seed: Nothing else is drawn, so it changes nothing.

    Returns:
        Series [n, time, dimensions], stretched to the longest if they differ in length, and
        normalized dimension by dimension with mean and deviation of the training part.

    Raises:
        OptionError: There is no such fold.
        DataError: aeon is not installed, or its file is broken.
    """
    check_fold(fold, _FOLDS)
    parts = [
        read_ts(locate("aeon", f"datasets/data/{problem}/{problem}_{part}.ts", _NEEDS))
        for part in ("TRAIN", "TEST")
    ]
    series = [*parts[0][0], *parts[1][0]]
    steps = max(map(len, series))
    x = np.stack([_stretch(one, steps) for one in series])
    y = np.concatenate([parts[0][1], parts[1][1]])
    train = np.arange(len(y)) < len(parts[0][1])
    if fold:
        train = _redraw(y, train, fold)
    mean, std = x[train].mean((0, 1)), x[train].std((0, 1))
    x = ((x - mean) / np.maximum(std, 1e-6)).astype(np.float32)
    own = (x[train], y[train])
    return Task(name, fold, *own, x[~train], y[~train], len(parts[0][2]), *own)


def _entry(problem: str, name: str, classes: int, source: str) -> Dataset:
    load = functools.partial(load_series, problem, name)
    return Dataset(name, _FOLDS, classes, load, f"{source}; aeon: {problem}", _NEEDS)


DATASET = (
    _entry(
        *("BasicMotions", "basic_motions", 4),
        "students' smartwatch data of four activities, 6 axes (timeseriesclassification.com)",
    ),
    _entry(
        *("JapaneseVowels", "japanese_vowels", 9),
        "Kudo et al., Multidimensional curve classification using passing-through regions (1999): "
        "which of nine speakers says a vowel, 12 coefficients",
    ),
    _entry(
        *("PickupGestureWiimoteZ", "pickup_gesture", 10),
        "Guna et al., Intuitive gesture based user identification system (2012): "
        "who of ten people lifts the controller, 1 axis",
    ),
)
