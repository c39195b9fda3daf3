"""The functional model that `prepare` returns: plain Keras, plus the training state.

`fit` checks its data first and lets the MeDyate callback calibrate on them; everything else is
inherited.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.errors import EmptyDataError, LabelError, NonFiniteDataError, OptionError
from tf_medyate.prepared.layers import SPARSE, masked_layers
from tf_medyate.prepared.state import TrainingState
from tf_medyate.prepared.tensors import assign, taped_directly


@keras.saving.register_keras_serializable("tf_medyate")
class PreparedModel(keras.Model):
    """A flat functional model of masked layers.

    Attributes:
        training_state: The pool and the draw number of the last or current fine-tuning.
        attachment: What the training functions were last traced for.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.training_state = TrainingState(name="medyate_state")
        self.attachment = Attachment()
        self._offered = _Offer(None)

    def call(self, inputs, training=None, mask=None, **kwargs):
        """Applies the layers; they share one reading of the pool."""
        with self.training_state.opened():
            return super().call(inputs, training=training, mask=mask, **kwargs)

    def train_step(self, *args, **kwargs):
        """Keras's step; its gradients are taken where the model is called."""
        with taped_directly():
            return super().train_step(*args, **kwargs)

    def fit(self, x=None, y=None, batch_size=None, *args, **kwargs):
        """Trains as `keras.Model.fit` does, after checking the data.

        Raises:
            EmptyDataError, NonFiniteDataError, LabelError: Arrays that cannot be trained on.
        """
        if isinstance(x, (np.ndarray, list, tuple, tf.Tensor)):
            check_data(self, x, y)
        offer = _Offer((x, y, batch_size or 32))
        self._offered = offer
        try:
            return super().fit(x, y, batch_size, *args, **kwargs)
        finally:
            self._offered = _Offer(None)

    def offered_batches(self, count: int) -> Iterator[tuple[Any, Any]] | None:
        """Some batches of the data that `fit` is running on.

        Returns:
            An iterator of (x, y) batches; None outside of `fit`, or when the data can be read
            only once.
        """
        data = self._offered.data
        return None if data is None else take_batches(data, count)

    def commit(self):
        """Writes live weights and importances into the layers; changes no output."""
        if self.training_state.pool is not None:
            live = self.training_state.read()
            for layer in masked_layers(self):
                layer.commit(live)

    def reload_pool(self):
        """Lets the pool follow kernels that were assigned from outside, `commit`'s other way."""
        state = self.training_state
        if state.pool is None:
            return
        pool = np.zeros(state.pool.shape, np.float32)
        placements = state.placements()
        for layer in masked_layers(self):
            if layer.mode == SPARSE:
                placement = placements[layer.slot]
                pool[placement.weights] = layer.read_channels(placement.channels).reshape(-1)
        assign(state.pool, pool)


class Attachment:
    """What the model's training functions were last traced for.

    Attributes:
        owner: Who set the modes: another has to do it anew.
        slots: What the optimizer keeps for the variables that it trains, if there is one.
    """

    def __init__(self):
        self._modes, self._pool, self._optimizer = None, None, None
        self.owner: object = None
        self.slots: Any = None

    def remember(self, modes: tuple, pool, optimizer, slots):
        """Notes the layers' modes, the pool variable, the optimizer and its slots."""
        self._modes, self._pool, self._optimizer = modes, pool, optimizer
        self.slots = slots

    def matches(self, modes: tuple, pool, optimizer) -> bool:
        """The same modes, and the very same variable and optimizer."""
        return self._modes == modes and self._pool is pool and self._optimizer is optimizer


class _Offer:
    """Holds `fit`'s data out of sight of Keras's attribute tracking."""

    def __init__(self, data):
        self.data = data


def take_batches(data, count: int) -> Iterator[tuple[Any, Any]] | None:
    """Some batches of arrays (shuffled), or the first of a data set that can be read again.

    Args:
        data: (x, y), (x, y, batch_size) of arrays, a tf.data.Dataset of (x, y) batches, a
            keras PyDataset, or an iterable of (x, y) batches; (dataset, None, size) too.
        count: Largest number of batches.

    Returns:
        An iterator, or None for a generator, which could not be read a second time.

    Raises:
        OptionError: `data` is none of these.
    """
    if isinstance(data, tuple) and len(data) in (2, 3):
        x, y = data[0], data[1]
        size = data[2] if len(data) == 3 else 32
        if y is None and not isinstance(x, (np.ndarray, tf.Tensor)):
            return take_batches(x, count)
        return _slice_arrays(x, y, int(size), count)
    if isinstance(data, keras.utils.PyDataset):
        return (data[index][:2] for index in range(min(count, data.num_batches or count)))
    if isinstance(data, Iterator):
        return None
    if isinstance(data, (tf.data.Dataset, Iterable)):
        return (batch[:2] for batch in itertools.islice(iter(data), count))
    raise OptionError(
        "calibration",
        "(x, y) arrays, a tf.data.Dataset or another re-iterable of (x, y) batches",
        type(data).__name__,
        "Pass for example calibration=(x[:256], y[:256]).",
    )


def _slice_arrays(x, y, size: int, count: int) -> Iterator[tuple[Any, Any]]:
    # Arrays often lie sorted by class or by time: an even sample needs a shuffle, always the same.
    order = np.random.default_rng(0).permutation(_length(x))[: size * count]
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        cut: Any = keras.tree.map_structure(lambda a, rows=rows: np.asarray(a)[rows], (x, y))
        yield cut


def _length(x) -> int:
    return len(keras.tree.flatten(x)[0]) if keras.tree.flatten(x) else 0


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
        LabelError: A class label is outside the outputs of the model.
    """
    named = {"x": _arrays(x), "y": _arrays(y)}
    if where:
        named = {f"{name} of {where}": arrays for name, arrays in named.items()}
    (x_name, x_arrays), (y_name, y_arrays) = named.items()
    if not x_arrays or any(len(array) == 0 for array in x_arrays):
        raise EmptyDataError(
            x_name, "at least one sample", "none", "Check how the data are loaded."
        )
    for name, arrays in named.items():
        for array in arrays:
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                bad = int(np.argwhere(~np.isfinite(array))[0][0])
                raise NonFiniteDataError(
                    name,
                    "finite numbers",
                    f"NaN or infinity, first in sample {bad}",
                    "Remove such samples, or replace their values before training.",
                )
    if _is_sparse_loss(model) and len(y_arrays) == 1:
        _check_labels(y_name, y_arrays[0], int(model.outputs[0].shape[-1]))


def _arrays(data) -> list[np.ndarray]:
    if data is None:
        return []
    if isinstance(data, list) and data and np.isscalar(data[0]):
        return [np.asarray(data)]
    return [np.asarray(array) for array in keras.tree.flatten(data)]


def _is_sparse_loss(model) -> bool:
    loss = getattr(model, "loss", None)
    if isinstance(loss, str):
        return loss == "sparse_categorical_crossentropy"
    return isinstance(loss, keras.losses.SparseCategoricalCrossentropy)


def _check_labels(name: str, labels: np.ndarray, classes: int):
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise LabelError(
            name,
            f"class labels from 0 to {classes - 1}, the model's outputs",
            f"labels from {low} to {high}",
            "Number the classes from 0, or give the model's last layer more units.",
        )
