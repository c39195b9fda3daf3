"""What the gradient of the loss says of every layer and input channel.

    measure_gradients   over calibration batches, or over the steps of a mock fine-tuning

Example:
    >>> gradients = measure_gradients(model, (x[:256], y[:256]))
    >>> gradients.layers()["body"].norm > 0
    True
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.cost import check_count
from tf_medyate.errors import EmptyDataError, NonFiniteDataError, NotPreparedError, OptionError
from tf_medyate.falling_rate import cosine
from tf_medyate.prepared.data import Batch, take_batches, weighted
from tf_medyate.prepared.folding import require_prepared
from tf_medyate.prepared.layers import FULL, ChannelMasked, masked_layers
from tf_medyate.prepared.tensors import TracedOnce, assign, read


@dataclasses.dataclass(frozen=True)
class LayerGradient:
    """What gradients said of a layer, averaged over the batches or steps that were measured.

    Attributes:
        norm: Mean of ||dW||_2, the norm of the whole layer's gradient.
        channel_norms: Mean of the sum over the input channels of ||dW_c||_2.
        squared_norm: Mean of ||dW||_2^2.
        fisher: Sum over the channels of `ChannelGradients.fisher`; NaN if it was not measured.
    """

    norm: float
    channel_norms: float
    squared_norm: float
    fisher: float = math.nan


@dataclasses.dataclass(frozen=True)
class ChannelGradients:
    """What the gradient of the loss says of every input channel, averaged over batches.

    Attributes:
        squared_norm: E[||dW_c||^2] by layer name, float64 [channels].
        norm: E[||dW_c||] by layer name, float64 [channels].
        fisher: E[<W_c, dW_c>^2] / 2 by layer name, float64 [channels]. <W_c, dW_c> equals the sum
            of activation times its gradient over the channel's input, for a layer linear in
            it: with batches of one sample this is TinyTrain's Fisher potential (2307.09988).
        layer_norm: E[||dW||] by layer name.
        batches: How many batches were averaged.
    """

    squared_norm: Mapping[str, np.ndarray]
    norm: Mapping[str, np.ndarray]
    fisher: Mapping[str, np.ndarray]
    layer_norm: Mapping[str, float]
    batches: int

    def layers(self) -> dict[str, LayerGradient]:
        """Layer by layer, as `rank_layers` takes it."""
        return {
            name: LayerGradient(
                norm=float(self.layer_norm[name]),
                channel_norms=float(self.norm[name].sum()),
                squared_norm=float(self.squared_norm[name].sum()),
                fisher=float(self.fisher[name].sum()),
            )
            for name in self.norm
        }


@contextlib.contextmanager
def full_mode(model: keras.Model):
    """Makes every masked layer compute with its kernel alone, as when nothing was drawn.

    The pool is committed before, so outputs stay the same; modes are restored afterwards.
    """
    layers = masked_layers(model)
    before = [(layer, layer.mode, layer.state_of, layer.bias_trainable) for layer in layers]
    flags = [(variable, variable.trainable) for layer in layers for variable in layer.variables]
    require_prepared(model).commit()
    for layer in layers:
        layer.set_mode(FULL, train_bias=True)
    try:
        yield
    finally:
        for layer, mode, state, train_bias in before:
            layer.set_mode(mode, train_bias, state)
        for variable, trainable in flags:
            variable.trainable = trainable


class GradientProbe:
    """Measures the full gradient of a prepared model; traces its function once.

    Args:
        model: A prepared model, compiled unless `loss` is given.
        loss: Function of (targets, outputs) to a loss; None takes the compiled one.
        trains: Each call goes one step down its gradient, at the rate that it is given.

    Raises:
        NotPreparedError: The model is not prepared, or there is no loss.
    """

    def __init__(self, model: keras.Model, loss: Callable | None = None, trains: bool = False):
        self._model = require_prepared(model)
        self._loss = loss
        self._layers = masked_layers(model)
        if loss is None and not model.compiled:
            raise NotPreparedError(
                "model",
                "a compiled model, or a loss to calibrate with",
                "neither",
                "Call model.compile(optimizer=..., loss=...), or pass loss=.",
            )
        self._trains = trains
        self._rate = tf.Variable(tf.zeros(()), trainable=False)
        self._step = TracedOnce(self._measure)

    def _measure(self, x, y, weight=None) -> Any:
        outputs = self._model(x, training=False)
        if self._loss is None:
            loss = self._model.compute_loss(x, y, outputs, weight, training=False)
        elif weight is None:
            loss = tf.reduce_mean(self._loss(y, outputs))
        else:
            losses = self._loss(y, outputs)
            _check_per_sample(losses, weight)
            loss = tf.reduce_mean(losses * tf.cast(weight, losses.dtype))
        # Whole gradients, reduced in NumPy: a graph a quarter smaller, and Keras's optimizers too
        # hold all gradients at once.
        kernels = [layer.kernel.value for layer in self._layers]
        if not self._trains:
            return loss, tf.gradients(loss, kernels)
        trained = [v.value for layer in self._layers for v in _weights(layer) if layer.trainable]
        both: Any = tf.gradients(loss, kernels + trained)
        for variable, gradient in zip(trained, both[len(kernels) :], strict=True):
            if gradient is not None:
                variable.assign_sub(self._rate * gradient)
        return loss, both[: len(kernels)]

    def __call__(
        self,
        batches: Iterable[Batch],
        progress: Callable | None = None,
        rate: Callable[[int], float] = lambda batch: 0.0,
    ) -> ChannelGradients:
        """Averages over (x, y) or (x, y, sample_weight) batches.

        Args:
            batches: The batches.
            progress: Called with the number of batches done.
            rate: Learning rate of each batch by its number, if the probe trains.

        Raises:
            EmptyDataError: There is no batch.
            NonFiniteDataError: The loss of a batch is NaN or infinite.
        """
        sums = {name: np.zeros((3, layer.kernel.shape[-2])) for name, layer in self._named()}
        norms = dict.fromkeys(sums, 0.0)
        count = 0
        with full_mode(self._model):
            for batch in batches:
                self._rate.assign(rate(count))
                loss, gradients = self._step(*batch)
                _check_finite("loss", loss, count)
                for (name, layer), gradient in zip(self._named(), gradients, strict=True):
                    if gradient is None:  # the loss does not depend on the layer
                        continue
                    _check_finite(f"gradient of '{name}'", gradient, count)
                    square, product = _by_channel(gradient.numpy(), layer.kernel.numpy())
                    sums[name] += (square, np.sqrt(square), product**2 / 2)
                    norms[name] += math.sqrt(square.sum())
                count += 1
                if progress is not None:
                    progress(count)
        if self._loss is None:
            self._model.reset_metrics()
        if count == 0:
            raise EmptyDataError(
                "calibration", "at least one batch", "none", "Pass calibration=(x, y)."
            )
        columns = [{name: rows[row] / count for name, rows in sums.items()} for row in range(3)]
        means = {name: norm / count for name, norm in norms.items()}
        return ChannelGradients(*columns, layer_norm=means, batches=count)

    def _named(self) -> list[tuple[str, ChannelMasked]]:
        return [(layer.name, layer) for layer in self._layers]


def _weights(layer: ChannelMasked) -> list[keras.Variable]:
    return [layer.kernel] if layer.bias is None else [layer.kernel, layer.bias]


def _by_channel(gradient, kernel) -> tuple[np.ndarray, np.ndarray]:
    """(||dW_c||^2, <W_c, dW_c>) of each input channel, float64 [channels]."""
    other_axes = tuple(axis for axis in range(gradient.ndim) if axis != gradient.ndim - 2)
    square = np.square(gradient).sum(other_axes, dtype=np.float64)
    return square, (gradient * kernel).sum(other_axes, dtype=np.float64)


def _check_per_sample(losses, weight):
    if losses.shape.rank != weight.shape.rank:
        raise OptionError(
            "loss",
            f"one that gives a value for each sample, to be weighted by shape {weight.shape}",
            f"one that gives shape {losses.shape}",
            'Pass for example keras.losses.MeanSquaredError(reduction="none").',
        )


def _check_finite(what: str, values, batch: int):
    if not np.isfinite(values).all():
        raise NonFiniteDataError(
            "calibration",
            f"a finite {what} in every batch",
            f"NaN or infinity in batch {batch}",
            "Look for NaN in the data, labels out of range, or weights that have diverged.",
        )


def measure_gradients(
    model: keras.Model,
    data: Any,
    batches: int = 16,
    loss: Callable | None = None,
    *,
    steps: int = 0,
    learning_rate: float = 0.01,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> ChannelGradients:
    """Measures the full gradient of a prepared model, on calibration data or while it learns.

    As published, LaRa and TraDy's score are accumulated over a short mock fine-tuning on another
    task, once for a net; `steps` does so. How an epoch's norm comes from its steps is open in the
    papers: here it is the mean of the steps' norms. With `steps=0` the weights stand still.

    Args:
        model: A prepared, compiled model; afterwards its weights are what they were.
        data: (x, y) or (x, y, batch_size) arrays, or a re-iterable of (x, y) batches.
        batches: Largest number of batches to read; not used with `steps`.
        loss: Loss of (targets, outputs); None takes the compiled one.
        steps: Steps of a mock fine-tuning in full: SGD without momentum, biases included, from
            `learning_rate` down a cosine; epoch after epoch of the data, shuffled if arrays.
        learning_rate: Of the first step.
        seed: Of the order of the samples.
        progress: Called with the number of batches done.

    Returns:
        Channel by channel averages over the batches; dropout is off.

    Raises:
        NotPreparedError, EmptyDataError, NonFiniteDataError, OptionError: See the classes.
    """
    check_count("steps", steps, 0)
    if not steps:
        found = take_batches(data, batches)
        found = itertools.islice(data, batches) if found is None else found
        return GradientProbe(model, loss)(weighted(found), progress)
    require_prepared(model).commit()
    kept = [(v, read(v)) for layer in masked_layers(model) for v in _weights(layer)]
    try:
        probe = GradientProbe(model, loss, trains=True)
        batches_of_steps = weighted(_endless(data, steps, seed))
        return probe(batches_of_steps, progress, lambda step: cosine(learning_rate, step / steps))
    finally:
        for variable, value in kept:
            assign(variable, value)


def _endless(data: Any, steps: int, seed: int) -> Iterator[Batch]:
    """Batches of epoch after epoch, `steps` of them; none if there is no data."""
    rng, done = np.random.default_rng(seed), 0
    while done < steps:
        before = done
        for batch in take_batches(_shuffled(data, rng), steps - done) or ():
            yield batch
            done += 1
        if done == before:
            return


def _shuffled(data: Any, rng: np.random.Generator) -> Any:
    if not isinstance(data, tuple) or data[1] is None:
        return data
    count = len(keras.tree.flatten(data[0])[0])
    order = rng.permutation(count)
    mixed: Any = keras.tree.map_structure(lambda a: np.asarray(a)[order], (data[0], data[1]))
    return (*mixed, *data[2:])
