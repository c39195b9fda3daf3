"""The data of a fit: checked before training, and a few batches of them to measure gradients on.

    check_data    refuses arrays that cannot be trained on; check_batch, a batch of calibration
    take_batches  some batches of anything that can be read twice
    fit_data      what a call of `fit` trains on, without what it holds out, weighs with 0 or never
                  comes to

A batch is (x, y) or (x, y, sample_weight).

Example:
    >>> for x, y in take_batches((x, y, 32), count=4): ...
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.cost import check_count
from tf_medyate.ends import in_order, inputs_of, outputs_of
from tf_medyate.errors import (
    DataError,
    EmptyDataError,
    LabelError,
    NonFiniteDataError,
    OptionError,
)

Batch = tuple[Any, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class FitData:
    """What a fit trains on.

    Attributes:
        data: (x, y, sample_weight) arrays, or a data set.
        batch_size: Of arrays.
        batches: How many batches of a data set are trained on, None for all.
        class_weight: Weight of each class, None for 1.
    """

    data: Any
    batch_size: int = 32
    batches: int | None = None
    class_weight: Mapping[int, float] | None = None

    def take(self, count: int) -> Iterator[Batch] | None:
        """Up to `count` batches; None for data that could not be read a second time."""
        if isinstance(self.data, tuple):
            batch = _weighted(self.data, self.class_weight)
            return _slices(batch, self.batch_size, count) if batch else iter(())
        found = take_batches(self.data, count if self.batches is None else min(count, self.batches))
        return None if found is None else weighted(found, self.class_weight)


def fit_data(
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    epochs: int = 1,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    **_: Any,
) -> FitData:
    """What `keras.Model.fit` trains on when it is given these arguments."""
    steps = (steps_per_epoch or 0) * max(0, epochs - initial_epoch) or None
    if not is_arrays(x) or not is_arrays((x, y, sample_weight)):  # or what Keras itself refuses
        return FitData(x, batches=steps, class_weight=class_weight)
    rows = _length(x)
    if validation_split and validation_data is None:
        rows = math.floor(rows * (1.0 - validation_split))
    size = batch_size or (math.ceil(rows / steps_per_epoch) if steps_per_epoch else 32)
    if steps and not shuffle:
        rows = min(rows, steps * size)
    arrays = _rows((x, y, sample_weight), slice(rows))
    return FitData(arrays, size, class_weight=class_weight)


def is_arrays(x) -> bool:
    """A structure of arrays, maybe an empty one or with None in it; no data set."""
    leaves = [leaf for leaf in keras.tree.flatten(x) if leaf is not None]
    return x is not None and all(
        hasattr(leaf, "shape") or hasattr(leaf, "__array__") for leaf in leaves
    )


def take_batches(data, count: int) -> Iterator[Batch] | None:
    """Some batches of arrays (shuffled), or the first of a data set that can be read again.

    Args:
        data: (x, y), (x, y, batch_size) of arrays, a tf.data.Dataset of batches, a keras PyDataset,
            or an iterable of batches.
        count: Largest number of batches.

    Returns:
        An iterator, or None for a generator, which could not be read a second time.

    Raises:
        OptionError: `data` is none of these.
    """
    if isinstance(data, tuple) and len(data) in (2, 3):
        size = data[2] if len(data) == 3 else 32
        check_count("batch size of calibration", size)
        return _slices(data[:2], int(size), count)
    if isinstance(data, keras.utils.PyDataset):
        return (data[index] for index in range(min(count, data.num_batches or count)))
    if isinstance(data, Iterator):
        return None
    if isinstance(data, (tf.data.Dataset, Iterable)) and not isinstance(data, Mapping):
        return itertools.islice(iter(data), count)
    raise OptionError(
        "calibration",
        "(x, y) arrays, a tf.data.Dataset or another re-iterable of (x, y) batches",
        type(data).__name__,
        "Pass for example calibration=(x[:256], y[:256]).",
    )


def _slices(arrays: Batch, size: int, count: int) -> Iterator[Batch]:
    _check_lengths([leaf for leaf in keras.tree.flatten(arrays) if leaf is not None])
    # Arrays often lie sorted by class or by time: an even sample needs a shuffle, always the same.
    order = np.random.default_rng(0).permutation(_length(arrays[0]))[: size * count]
    for start in range(0, len(order), size):
        yield _rows(arrays, order[start : start + size])


def _length(x) -> int:
    leaves = keras.tree.flatten(x)
    return len(leaves[0]) if leaves else 0


def _rows(structure, rows) -> Any:
    return keras.tree.map_structure(lambda a: None if a is None else np.asarray(a)[rows], structure)


def weighted(
    batches: Iterable[Any], class_weight: Mapping[int, float] | None = None
) -> Iterator[Batch]:
    """Batches with the weights that Keras would give to their samples; those of weight 0 are out.

    Args:
        batches: Batches as data sets give them.
        class_weight: Weight of each class, None for 1.
    """
    found = (_weighted(batch, class_weight) for batch in batches)
    return (batch for batch in found if batch is not None)


def _weighted(batch, class_weight) -> Batch | None:
    x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
    if weight is None and class_weight is not None:
        weight = _class_weights(np.asarray(y), class_weight)
    if weight is None:
        return x, y
    arrays = [np.asarray(w) for w in keras.tree.flatten(weight) if w is not None]
    trained = np.any([(w != 0).reshape(len(w), -1).any(axis=1) for w in arrays], axis=0)
    if not trained.any():
        return None
    return (x, y, weight) if trained.all() else _rows((x, y, weight), trained)


def _class_weights(labels: np.ndarray, class_weight: Mapping[int, float]) -> np.ndarray:
    """float32 [n], as Keras reads labels: numbers, or one-hot rows."""
    if labels.ndim > 1:
        labels = labels.argmax(-1) if labels.shape[-1] > 1 else labels[..., 0]
    return np.array([class_weight.get(int(label), 1.0) for label in np.round(labels)], np.float32)


def check_batch(model: keras.Model, batch: Batch):
    """Refuses a batch of calibration data that the model cannot be measured on.

    Raises:
        DataError: It has no targets, not so many as inputs, another shape, or see `check_data`.
    """
    x, y, *_ = batch
    if y is None:
        remedy = "Pass calibration=(x, y), a tuple, or batches of (x, y)."
        raise DataError("calibration", "inputs and targets", "inputs alone", remedy)
    x_arrays = _of_inputs(model, x)
    for end, array in zip(inputs_of(model), x_arrays, strict=False):
        if _sides(array.shape[1:]) != _sides(end.shape):
            shape = f"shape {('batch', *end.shape)}".replace("'", "")
            expected = f"inputs of {shape}" if len(x_arrays) == 1 else f"{end.name!r} of {shape}"
            remedy = "Cut the data to the model's inputs; a tf.data.Dataset needs .batch(32)."
            raise DataError("calibration", expected, f"shape {array.shape}", remedy)
    _check_lengths([*x_arrays, *_arrays(y)])
    check_data(model, x, y, "calibration")


def _of_inputs(model: keras.Model, x) -> list[np.ndarray]:
    """The arrays for a model's inputs, in their order, as Keras finds it out.

    Raises:
        DataError: There are too few, or too many.
    """
    ends, arrays = inputs_of(model), _arrays(x)
    by_name = isinstance(x, Mapping) and not any(map(keras.tree.is_nested, x.values()))
    if len(ends) > 1 and (by_name or len(arrays) != len(ends)):
        return _arrays(in_order("calibration", x if by_name else arrays, ends))
    return arrays


def _check_lengths(arrays: Sequence[Any]):
    if len({len(array) for array in arrays}) > 1:
        received = f"lengths {[len(array) for array in arrays]}"
        remedy = "Pass as many targets as inputs."
        raise DataError("calibration", "a target for each input", received, remedy)


def _sides(shape) -> tuple[int, ...]:
    return tuple(side for side in shape if side != 1)  # Keras adds and takes away axes of 1


def check_data(model: keras.Model, x, y, where: str = ""):
    """Refuses arrays that cannot be trained on, before anything has changed.

    Args:
        model: Gives the loss and the number of classes.
        x: Inputs, arrays in any structure.
        y: Targets, likewise, or None.
        where: Named in errors if the data are not `fit`'s own.

    Raises:
        EmptyDataError: There is no sample.
        NonFiniteDataError: An input or a target holds NaN or infinity.
        DataError: They are no real numbers.
        LabelError: A class label is outside the outputs of the model, or no whole number.
    """
    named = {"x": _arrays(x), "y": _arrays(y)}
    if where:
        named = {f"{name} of {where}": arrays for name, arrays in named.items()}
    (x_name, x_arrays), (y_name, y_arrays) = named.items()
    if not x_arrays or any(len(array) == 0 for array in x_arrays):
        raise EmptyDataError(
            x_name, "at least one sample", "none", "Check how the data are loaded."
        )
    reads_text = any(str(tensor.dtype) == "string" for tensor in model.inputs)
    for array in x_arrays:
        if not (reads_text and array.dtype.kind in "OSU"):
            _check_numbers(x_name, array)
    for array in y_arrays:
        _check_numbers(y_name, array)
    several, loss = len(model.outputs) > 1, getattr(model, "loss", None)
    pairs = keras.tree.flatten(loss), y_arrays
    losses, labels = (_of_outputs(model, given) for given in ((loss, y) if several else pairs))
    for end, loss, array in zip(outputs_of(model), losses, labels, strict=False):
        sparse = _sparse_loss(loss)
        if sparse is not None and array is not None:
            config = sparse.get_config() if hasattr(sparse, "get_config") else {}
            name = f"{y_name} of {end.name!r}" if several else y_name
            _check_labels(name, np.asarray(array), end.shape[-1], config.get("ignore_class"))


def _check_numbers(name: str, array: np.ndarray):
    if array.dtype.kind in "cOSUMm":
        remedy = "Convert them first: np.asarray(values, np.float32); classes to 0, 1, 2 ..."
        raise DataError(name, "real numbers", f"values of type {array.dtype}", remedy)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(np.argwhere(~np.isfinite(array))[0][0])
        raise NonFiniteDataError(
            name,
            "finite numbers",
            f"NaN or infinity, first in sample {bad}",
            "Remove such samples, or replace their values before training.",
        )


def _arrays(data) -> list[np.ndarray]:
    if data is None:
        return []
    if isinstance(data, list) and data and np.isscalar(data[0]):
        return [np.asarray(data)]
    return [np.asarray(array) for array in keras.tree.flatten(data)]


def _of_outputs(model: keras.Model, given: Any) -> list[Any]:
    """What is given for each output, in their order; nothing where Keras alone can tell."""
    if isinstance(given, Mapping):
        return [given.get(end.name) for end in outputs_of(model)]
    fits = isinstance(given, list | tuple) and len(given) == len(model.outputs)
    return list(given) if fits else []


def _sparse_loss(loss: Any) -> Any:
    """A loss if it takes class numbers, else None."""
    known = keras.losses.get(loss) if isinstance(loss, str) else loss
    sparse = keras.losses.sparse_categorical_crossentropy
    # A subclass may number its classes in another way.
    is_sparse = type(known) is keras.losses.SparseCategoricalCrossentropy
    return known if is_sparse or known is sparse else None


def _check_labels(name: str, labels: np.ndarray, classes: int, ignored: int | None):
    labels = labels[labels != ignored] if ignored is not None else labels
    if not labels.size:
        return
    low, high, whole = labels.min(), labels.max(), np.equal(labels, np.floor(labels)).all()
    if low < 0 or high >= classes or not whole:
        raise LabelError(
            name,
            f"class labels from 0 to {classes - 1}, the model's outputs",
            f"labels from {low:g} to {high:g}" + ("" if whole else ", with fractions"),
            "Number the classes from 0, or give the model's last layer more units.",
        )
