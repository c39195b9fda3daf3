"""Smartwatch motion data: ten wearers, two wrists, seven shoulder exercises.

The recordings (Burns et al., arXiv 1802.01489; BSD licence) come inside the wheel of
seglearn 1.2.5, whose file is read without importing seglearn or what it depends on. Each of
the 140 recordings is one set of 20 repetitions of one exercise with one wrist, sampled at
50 Hz on six axes: acceleration (ax, ay, az) and angular rate (wx, wy, wz).

They are cut into 4,677 windows of 100 samples (2 s), one every 50 samples. A watch meets its
wearer in time, so a left-out wearer's data is split by time, never at random:

    adapt   of each of the wearer's 14 recordings, the first floor(0.4 * n) of its n windows
    (gap)   the one window that shares samples with the last of them: in neither part
    test    all later windows

Each exercise occurs in two recordings of each wearer (left and right wrist), so each class
occurs in both parts, and no sample is in both.

Example:
    >>> split = leave_one_out(wearer=3)
    >>> print(split)
    wearer 3: 4,382 source, 112 adapt and 169 test windows of 100 x 6
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import pathlib
import pickle

import numpy as np

from tf_medyate.data.task import Dataset, Task
from tf_medyate.errors import DataError, OptionError

WINDOW = 100
HOP = 50
SAMPLE_RATE_HZ = 50
WEARERS = 10
AXES = ("ax", "ay", "az", "wx", "wy", "wz")
ADAPT_SHARE = 0.4

_FILE = pathlib.PurePath("data", "watch_dataset.npy")
_REMEDY = 'Run `pip install seglearn==1.2.5 --no-deps` or `pip install "tf_medyate[demo]"`.'


@dataclasses.dataclass(frozen=True, eq=False)
class WatchData:
    """All windows of all wearers, as recorded, ordered by recording and then by time.

    Attributes:
        x: Sensor values in the recording's own units, float32 [n, WINDOW, 6]; read-only,
            as are the other arrays.
        y: Exercise, an index into `class_names`, int32 [n].
        subject: Wearer, 0 to 9, int32 [n].
        recording: Recording that the window was cut from, 0 to 139, int32 [n].
        order: Place of the window in its recording, from 0; it starts at sample
            `order * HOP`, int32 [n].
        class_names: Short name of each exercise.
    """

    x: np.ndarray
    y: np.ndarray
    subject: np.ndarray
    recording: np.ndarray
    order: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        _freeze(self)

    def __str__(self) -> str:
        return (
            f"watch: {len(self.x):,} windows of {WINDOW} x {len(AXES)} from "
            f"{len(np.unique(self.recording))} recordings, {len(np.unique(self.subject))} "
            f"wearers, {len(self.class_names)} exercises ({', '.join(self.class_names)})"
        )


@dataclasses.dataclass(frozen=True, eq=False)
class WearerSplit:
    """One wearer left out: the others to pre-train on, the wearer's own to adapt and to test.

    Attributes:
        wearer: The wearer that was left out.
        source_x: Windows of the other nine wearers, normalized, float32 [n, WINDOW, 6];
            read-only, as are the other arrays.
        source_y: Their exercises, int32 [n].
        adapt_x: The wearer's earlier windows, normalized with the *source's* statistics;
            ordered by recording, so shuffle them for training.
        adapt_y: Their exercises.
        test_x: The wearer's later windows, normalized likewise.
        test_y: Their exercises.
        mean: Mean of each axis over the source wearers, float32 [6].
        std: Standard deviation of each axis over the source wearers, float32 [6].
        adapt_index: Rows of `WatchData` that the adapt windows are.
        test_index: Rows of `WatchData` that the test windows are.
    """

    wearer: int
    source_x: np.ndarray
    source_y: np.ndarray
    adapt_x: np.ndarray
    adapt_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    adapt_index: np.ndarray
    test_index: np.ndarray

    def __post_init__(self) -> None:
        _freeze(self)

    def __str__(self) -> str:
        return (
            f"wearer {self.wearer}: {len(self.source_x):,} source, {len(self.adapt_x):,} adapt "
            f"and {len(self.test_x):,} test windows of {WINDOW} x {len(AXES)}"
        )


def _freeze(value: WatchData | WearerSplit) -> None:
    """Makes every array of a dataclass read-only."""
    for field in dataclasses.fields(value):
        if isinstance(array := getattr(value, field.name), np.ndarray):
            array.setflags(write=False)


def _locate() -> pathlib.Path:
    """Path of the data file inside the installed seglearn, which is not imported."""
    spec = importlib.util.find_spec("seglearn")
    if spec is None or spec.origin is None:
        raise DataError("seglearn", "the installed package", "no such package", _REMEDY)
    path = pathlib.Path(spec.origin).parent / _FILE
    if not path.is_file():
        raise DataError("seglearn", f"a package that holds {_FILE}", f"no {path}", _REMEDY)
    return path


def _read(path: pathlib.Path) -> dict:
    """Reads the file's dictionary; a pickle, so as trustworthy as the installed package."""
    try:
        raw = np.load(path, allow_pickle=True).item()
        missing = {"X", "y", "subject", "y_labels"} - set(raw)
    except (OSError, ValueError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(str(path), "a pickled dictionary", repr(error), _REMEDY) from error
    if missing:
        raise DataError(
            str(path), "the entries X, y, subject and y_labels", f"no {sorted(missing)}", _REMEDY
        )
    return raw


@functools.lru_cache(maxsize=1)
def load_watch() -> WatchData:
    """Cuts the recordings into windows; the result is kept (11 MiB) and shared by callers.

    Returns:
        All 4,677 windows.

    Raises:
        DataError: seglearn is not installed, or does not hold the recordings as expected.
    """
    raw = _read(_locate())
    windows = [np.asarray(rec, np.float32) for rec in raw["X"]]
    windows = [np.lib.stride_tricks.sliding_window_view(r, WINDOW, axis=0)[::HOP] for r in windows]
    counts = [len(cut) for cut in windows]
    of_recording = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    subjects, subject = np.unique(raw["subject"], return_inverse=True)
    if len(subjects) != WEARERS:
        raise DataError("seglearn", f"recordings of {WEARERS} wearers", f"{len(subjects)}", _REMEDY)
    return WatchData(
        x=np.ascontiguousarray(np.concatenate(windows).transpose(0, 2, 1)),
        y=np.asarray(raw["y"], np.int32)[of_recording],
        subject=subject.astype(np.int32)[of_recording],
        recording=of_recording,
        order=np.concatenate([np.arange(count, dtype=np.int32) for count in counts]),
        class_names=tuple(str(name) for name in raw["y_labels"]),
    )


def _split_by_time(data: WatchData, wearer: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the adapt and of the test windows, recording by recording."""
    adapt, test = [], []
    shared = -(-WINDOW // HOP) - 1  # later windows that share samples with a given one
    for recording in np.unique(data.recording[data.subject == wearer]):
        rows = np.flatnonzero(data.recording == recording)  # in order of time
        count = int(ADAPT_SHARE * len(rows))
        adapt.append(rows[:count])
        test.append(rows[count + shared :])
    return np.concatenate(adapt), np.concatenate(test)


def leave_one_out(wearer: int, data: WatchData | None = None) -> WearerSplit:
    """Splits the data as a watch sees it: trained on nine wearers, sold to the tenth.

    Args:
        wearer: The wearer to leave out, 0 to 9.
        data: The windows; `load_watch()` if None.

    Returns:
        Source, adapt and test windows, all normalized axis by axis with the mean and the
        standard deviation of the source wearers alone.

    Raises:
        OptionError: There is no such wearer.
        DataError: The recordings are not installed.
    """
    whole = isinstance(wearer, (int, np.integer)) and not isinstance(wearer, bool)
    if not whole or not 0 <= wearer < WEARERS:
        raise OptionError(
            "wearer",
            f"a whole number from 0 to {WEARERS - 1}",
            repr(wearer),
            "Choose one of the ten wearers.",
        )
    data = load_watch() if data is None else data
    source = np.flatnonzero(data.subject != wearer)
    adapt, test = _split_by_time(data, int(wearer))
    mean = data.x[source].mean((0, 1), dtype=np.float64).astype(np.float32)
    std = data.x[source].std((0, 1), dtype=np.float64).astype(np.float32)
    (source_x, source_y), (adapt_x, adapt_y), (test_x, test_y) = (
        ((data.x[rows] - mean) / std, data.y[rows]) for rows in (source, adapt, test)
    )
    return WearerSplit(
        int(wearer), source_x, source_y, adapt_x, adapt_y, test_x, test_y, mean, std, adapt, test
    )


def _task(fold: int, seed: int) -> Task:
    """One wearer; nothing is drawn, so the seed changes nothing."""
    split = leave_one_out(fold)
    own = (split.adapt_x, split.adapt_y, split.test_x, split.test_y)
    return Task("watch", fold, *own, 7, split.source_x, split.source_y)


DATASET = Dataset(
    name="watch",
    folds=WEARERS,
    classes=7,
    load=_task,
    source="Burns et al., arXiv 1802.01489: fold = the wearer who is left out",
    needs="seglearn==1.2.5 --no-deps",
)
