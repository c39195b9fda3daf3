"""Pre-trains the watch net on nine wearers, once, and keeps the result on disk.

The recipe is Adam with a cosine schedule and label smoothing. The smoothing is what makes the
net fit to be fine-tuned by plain SGD: it bounds the logits, and with them the curvature of the
loss. Of ten nets trained without it, several diverged when folded and fine-tuned in full at a
learning rate of 0.05 and a batch of 8; with it none did. Random rotation, scaling and noise are
left out: beside smoothed labels they made no clear difference on unseen wearers.

Example:
    >>> model = pretrained_watch_cnn(wearer=3)      # trains, or reads ~/.cache/tf_medyate
    >>> model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    >>> split = leave_one_out(wearer=3)
    >>> model.evaluate(split.test_x, split.test_y)
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import pathlib
import warnings
import zipfile
from typing import Any

import keras
import numpy as np

from tf_medyate import files
from tf_medyate.data.watch import WearerSplit, leave_one_out
from tf_medyate.errors import OptionError
from tf_medyate.zoo.watch import watch_cnn

# Everything but the arguments that decides the result; it is part of the cache's key. Raise the
# version when the training changes in a way that none of the other values shows.
_RECIPE = {"version": 1, "batch": 64, "learning_rate": 2e-3, "label_smoothing": 0.1}


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise OptionError(
            name, "a whole number of at least 1", repr(value), f"Give {name} a positive count."
        )


def _cache_file(
    folder: str | os.PathLike | None, split: WearerSplit, epochs: int, seed: int
) -> pathlib.Path:
    """Where the net of these settings is kept; its name changes with all that decides it."""
    if folder is None:
        base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        folder = pathlib.Path(base) / "tf_medyate"
    layers = [[weight.path, list(weight.shape)] for weight in watch_cnn().weights]
    key = hashlib.sha256(json.dumps([_RECIPE, layers, epochs, seed]).encode())
    for array in (split.source_x, split.source_y):
        key.update(np.ascontiguousarray(array).tobytes())
    name = f"watch_cnn-wearer{split.wearer}-{key.hexdigest()[:16]}.keras"
    return pathlib.Path(folder).expanduser() / name


def _read(path: pathlib.Path) -> keras.Model | None:
    """The kept net, or None if there is none that can be read."""
    if not path.is_file():
        return None
    try:
        model: Any = keras.models.load_model(path, compile=False)
        return model
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        warnings.warn(f"{path} cannot be read ({error!r}); training again.", stacklevel=3)
        return None


def _thin(split: WearerSplit, max_windows: int) -> WearerSplit:
    """Keeps at most this many source windows, evenly spaced."""
    count = min(max_windows, len(split.source_x))
    rows = np.linspace(0, len(split.source_x) - 1, count).astype(np.int64)
    return dataclasses.replace(split, source_x=split.source_x[rows], source_y=split.source_y[rows])


def pretrain(model: Any, x: np.ndarray, y: np.ndarray, epochs: int, verbose: int | str = 0):
    """Trains a classifier by the recipe at the top of this module; leaves it compiled.

    Args:
        model: A Keras model with a softmax head.
        x: Samples, [n, ...].
        y: Their classes, [n].
        epochs: Passes over them.
        verbose: As in `keras.Model.fit`.
    """
    steps = epochs * math.ceil(len(x) / _RECIPE["batch"])
    schedule: Any = keras.optimizers.schedules.CosineDecay(_RECIPE["learning_rate"], steps)
    model.compile(
        optimizer=keras.optimizers.Adam(schedule),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=_RECIPE["label_smoothing"]),
        metrics=["accuracy"],
        jit_compile=False,  # XLA takes about 9 s to compile and then saves 0.3 s an epoch
    )
    labels = keras.utils.to_categorical(y, model.output_shape[-1])
    model.fit(x, labels, batch_size=_RECIPE["batch"], epochs=epochs, verbose=verbose)


def _train(split: WearerSplit, epochs: int, verbose: int | str) -> keras.Model:
    """Trains a fresh net on the split's source windows; returns it uncompiled."""
    model = watch_cnn()
    pretrain(model, split.source_x, split.source_y, epochs, verbose)
    bare = watch_cnn()  # without the optimizer, whose state would treble the file
    bare.set_weights(model.get_weights())
    return bare


def _train_and_keep(
    path: pathlib.Path, split: WearerSplit, epochs: int, verbose: int | str
) -> keras.Model:
    """Trains, and writes the file; that it can be written is seen to beforehand."""
    files.check_folder("cache_dir (or XDG_CACHE_HOME)", path.parent)
    model = _train(split, epochs, verbose)
    files.save_keras(model, path)
    return model


def pretrained_watch_cnn(
    wearer: int,
    *,
    epochs: int = 20,
    seed: int = 0,
    cache_dir: str | os.PathLike | None = None,
    max_windows: int | None = None,
    verbose: int | str = 0,
) -> keras.Model:
    """Returns `watch_cnn` trained on the nine other wearers of the watch data.

    The net expects windows normalized as in `leave_one_out(wearer)`. Training takes about half
    a minute on two cores and happens once: the net is kept in `cache_dir` under a name that
    changes with the arguments, the recipe, the layers and the data.

    Side effect: Python's, NumPy's and TensorFlow's global random generators are left freshly
    seeded with `seed`, whether the net was trained or read. Set your own seed afterwards.
    The same seed gives the same net, bit for bit, only with the same number of TensorFlow
    threads: another number sums in another order, and the nets drift apart by 1 to 2 points of
    accuracy on the left-out wearer. The number is not part of the name, so whichever process
    trains first decides; give each benchmark that must repeat its own `cache_dir`.

    Args:
        wearer: The wearer to leave out, 0 to 9.
        epochs: Passes over the source windows.
        seed: Seed of the first weights and of the order of the windows.
        cache_dir: Folder of the kept nets; `$XDG_CACHE_HOME/tf_medyate`, or
            `~/.cache/tf_medyate` where that variable is not set, if None.
        max_windows: Train on this many source windows only, evenly spaced; for tests.
        verbose: As in `keras.Model.fit`.

    Returns:
        The net, not compiled: [n, 100, 6] -> probabilities [n, 7].

    Raises:
        OptionError: There is no such wearer, or a count is not positive.
        OutputError: `cache_dir` cannot be written.
        DataError: The recordings are not installed.
    """
    _check_count("epochs", epochs)
    split = leave_one_out(wearer)
    if max_windows is not None:
        _check_count("max_windows", max_windows)
        split = _thin(split, max_windows)
    path = _cache_file(cache_dir, split, epochs, seed)
    model = _read(path)
    if model is None:
        keras.utils.set_random_seed(seed)
        model = _train_and_keep(path, split, epochs, verbose)
    keras.utils.set_random_seed(seed)
    return model
