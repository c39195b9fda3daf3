"""CIFAR-10 from files: the publisher's binary version, or a subset as one NumPy file.

    cifar10_binary    cifar-10-batches-bin/, all 60,000 pictures, as "CIFAR-10 binary version"
                      unpacks: for each picture a byte for the class and 3,072 for the red, the
                      green and the blue channel
    cifar10_subset    cifar10_subset.npz: uint8 x_train [n, 32, 32, 3], y_train [n], x_test, y_test.
                      A fold trains on a fifth of the first, each on another, and tests on all of
                      the second: a device sees few pictures, and folds share none of them

Through tensorflow-datasets there is `cifar10`, too, enlarged to the papers' size.

Example:
    >>> task = get_dataset("cifar10_subset").load(0, 0)
"""

from __future__ import annotations

import pathlib
import zipfile

import numpy as np

from tf_medyate.data.folder import find
from tf_medyate.data.packaged import check_fold, every_nth
from tf_medyate.data.task import Dataset, Task
from tf_medyate.errors import DataError

_FOLDS = 5
_SHAPE = (32, 32, 3)
_RECORD = 1 + 32 * 32 * 3
_PUBLISHER = "https://www.cs.toronto.edu/~kriz/cifar.html"
_SOURCE = "Krizhevsky, Learning multiple layers of features from tiny images (2009)"
_TRAIN = [f"data_batch_{number}.bin" for number in range(1, 6)]


def load_binary(fold: int, seed: int) -> Task:
    """Loads the publisher's split.

    Args:
        fold: 0.
        seed: Nothing is drawn, so it changes nothing.

    Returns:
        Images [n, 32, 32, 3], scaled to -1..1.

    Raises:
        OptionError: There is no such fold.
        DataError: The files are missing or broken.
    """
    check_fold(fold, 1)
    where = f"the binary version of {_PUBLISHER}"
    folder = find("cifar10_binary", ("cifar-10-batches-bin",), where)
    parts = [_batch(folder / name) for name in (*_TRAIN, "test_batch.bin")]
    train = [np.concatenate(part) for part in zip(*parts[:-1], strict=True)]
    return _task("cifar10_binary", *train, *parts[-1])


def _batch(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        raw = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise _broken(path, repr(error)) from error
    if len(raw) == 0 or len(raw) % _RECORD:
        raise _broken(path, f"{len(raw):,} bytes, no multiple of {_RECORD:,}")
    records = raw.reshape(-1, _RECORD)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]


def load_subset(fold: int, seed: int) -> Task:
    """Loads the subset.

    Args:
        fold: 0 to 4: which fifth of the training pictures.
        seed: Nothing is drawn, so it changes nothing.

    Returns:
        See `load_binary`; pictures may come sorted by class.

    Raises:
        OptionError: There is no such fold.
        DataError: The file is missing or broken.
    """
    check_fold(fold, _FOLDS)
    where = f"or make a cifar10_subset.npz (tf_medyate/data/cifar10.py) from {_PUBLISHER}"
    path = find("cifar10_subset", ("cifar10_subset.npz",), where)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = [file[name] for name in ("x_train", "y_train", "x_test", "y_test")]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _broken(path, repr(error)) from error
    for x, y in (arrays[:2], arrays[2:]):
        if x.dtype != np.uint8 or x.shape != (len(y), *_SHAPE):
            raise _broken(path, f"{x.dtype} pictures {x.shape} and labels {y.shape}")
    own = every_nth(arrays[1], fold, _FOLDS)
    return _task("cifar10_subset", arrays[0][own], arrays[1][own], *arrays[2:], fold=fold)


def _task(name: str, *arrays: np.ndarray, fold: int = 0) -> Task:
    train_x, train_y, test_x, test_y = arrays
    own = (train_x / np.float32(127.5) - 1, train_y.astype(np.int32))
    test = (test_x / np.float32(127.5) - 1, test_y.astype(np.int32))
    return Task(name, fold, *own, *test, 10, *own)


def _broken(path: pathlib.Path, received: str) -> DataError:
    expected = "pictures of 32 x 32 and their classes"
    return DataError(str(path), expected, received, "Fetch the file once more.")


DATASET = (
    Dataset("cifar10_binary", 1, 10, load_binary, f"{_SOURCE}, binary version", _PUBLISHER),
    Dataset("cifar10_subset", _FOLDS, 10, load_subset, f"{_SOURCE}, a part of it", _PUBLISHER),
)
