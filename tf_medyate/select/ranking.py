"""Which layers are worth their memory: gradient measurements and the rankings made of them.

    measure_gradients   a full gradient over calibration batches: offline, or for research
    rank_layers         pure: measurements and costs in, LayerRanking out

Example:
    >>> gradients = measure_gradients(model, (x[:256], y[:256]))
    >>> print(rank_layers(md.layer_specs(model), gradients, "lara", top_k=0.97))
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.cost import CostModel
from tf_medyate.errors import EmptyDataError, NonFiniteDataError, NotPreparedError, OptionError
from tf_medyate.prepared.data import Batch, take_batches, weighted
from tf_medyate.prepared.folding import require_prepared
from tf_medyate.prepared.layers import FULL, ChannelMasked, masked_layers
from tf_medyate.prepared.tensors import TracedOnce
from tf_medyate.select.strategies import RANKINGS, check_top_k
from tf_medyate.spec import LayerRanking, LayerSpec


@dataclasses.dataclass(frozen=True)
class ChannelGradients:
    """What the gradient of the loss says of every input channel, averaged over batches.

    Attributes:
        squared_norm: E[||dW_c||^2] by layer name, float64 [channels].
        norm: E[||dW_c||] by layer name, float64 [channels].
        fisher: E[<W_c, dW_c>^2] / 2 by layer name, float64 [channels]. <W_c, dW_c> equals the sum
            of activation times its gradient over the channel's input, for a layer linear in
            it: with batches of one sample this is TinyTrain's Fisher potential (2307.09988).
        batches: How many batches were averaged.
    """

    squared_norm: Mapping[str, np.ndarray]
    norm: Mapping[str, np.ndarray]
    fisher: Mapping[str, np.ndarray]
    batches: int


@contextlib.contextmanager
def full_mode(model: keras.Model):
    """Makes every masked layer compute with its kernel alone, as when nothing was drawn.

    The pool is committed before, so outputs stay the same; modes are restored afterwards.
    """
    layers = masked_layers(model)
    before = [(layer, layer.mode, layer.state_of, layer.bias_trainable) for layer in layers]
    flags = [(variable, variable.trainable) for layer in layers for variable in layer.variables]
    for layer in layers:
        layer.commit()
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

    Raises:
        NotPreparedError: The model is not prepared, or there is no loss.
    """

    def __init__(self, model: keras.Model, loss: Callable | None = None):
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
        return loss, tf.gradients(loss, [layer.kernel.value for layer in self._layers])

    def __call__(
        self, batches: Iterable[Batch], progress: Callable | None = None
    ) -> ChannelGradients:
        """Averages over (x, y) or (x, y, sample_weight) batches.

        Raises:
            EmptyDataError: There is no batch.
            NonFiniteDataError: The loss of a batch is NaN or infinite.
        """
        sums = {name: np.zeros((3, layer.input.shape[-1])) for name, layer in self._named()}
        count = 0
        with full_mode(self._model):
            for batch in batches:
                loss, gradients = self._step(*batch)
                _check_finite("loss", loss, count)
                for (name, layer), gradient in zip(self._named(), gradients, strict=True):
                    if gradient is None:  # the loss does not depend on the layer
                        continue
                    _check_finite(f"gradient of '{name}'", gradient, count)
                    square, product = _by_channel(gradient.numpy(), layer.kernel.numpy())
                    sums[name] += (square, np.sqrt(square), product**2 / 2)
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
        return ChannelGradients(*columns, batches=count)

    def _named(self) -> list[tuple[str, ChannelMasked]]:
        return [(layer.name, layer) for layer in self._layers]


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
    model: keras.Model, data, batches: int = 16, loss: Callable | None = None
) -> ChannelGradients:
    """Measures the full gradient of a prepared model on calibration data.

    Args:
        model: A prepared, compiled model; its weights do not change.
        data: (x, y) or (x, y, batch_size) arrays, or a re-iterable of (x, y) batches.
        batches: Largest number of batches to read.
        loss: Loss of (targets, outputs); None takes the compiled one.

    Returns:
        Channel by channel averages over the batches; dropout is off.

    Raises:
        NotPreparedError, EmptyDataError, NonFiniteDataError, OptionError: See the classes.
    """
    found = take_batches(data, batches)
    found = itertools.islice(data, batches) if found is None else found
    return GradientProbe(model, loss)(weighted(found))


def rank_layers(
    specs: Sequence[LayerSpec],
    gradients: ChannelGradients | None,
    method: str = "lara",
    top_k: float | int = 0.97,
    cost: CostModel | None = None,
) -> LayerRanking:
    """Orders the layers by importance per memory and keeps the best.

    The published texts do not give every formula. Ours, C_i being the cost of all channels:
    `lara` E[sum_c ||dW_ic||^2] / C_i (MeDyate, 2510.20979: first-order loss decrease per unit
    of memory); `rgn` E[||dW_i||] / C_i (TraDy, 2510.19675, its channel gain applied to a
    layer); `fisher` sum_c fisher_c / C_i (TinyTrain, 2307.09988: Fisher potential per cost, its
    two resource terms replaced by ours); `last_k` from the output backwards.

    Args:
        specs: The model's layers; heads and layers frozen by the user are not ranked.
        gradients: From `measure_gradients`; None is enough for `last_k`.
        method: One of RANKINGS.
        top_k: A float up to 1 keeps layers from the top until they cover this share of the total
            score; a whole number keeps that many layers.
        cost: Cost model; elements by default.

    Raises:
        OptionError: Unknown method, `top_k` out of range, or no gradients where needed.
    """
    if method not in RANKINGS:
        raise OptionError("ranking", " | ".join(RANKINGS), repr(method), "Choose one of these.")
    candidates = [spec for spec in specs if spec.trainable and not spec.is_head]
    cost = cost or CostModel(unit="elements")
    scored = [(_score(spec, gradients, method, cost), -spec.index, spec) for spec in candidates]
    if method == "last_k":
        scored.sort(key=lambda entry: entry[1])
    else:
        scored.sort(key=lambda entry: (-entry[0], entry[1]))
    order = tuple(spec.name for _, _, spec in scored)
    scores = tuple(float(score) for score, _, _ in scored)
    return LayerRanking(method, order, scores, order[: _kept_count(scores, top_k)])


def _score(spec: LayerSpec, gradients, method: str, cost: CostModel) -> float:
    if method == "last_k":
        return 1.0
    if gradients is None:
        raise OptionError(
            "gradients",
            f"measurements for ranking '{method}'",
            "None",
            'Call measure_gradients(model, data), or rank by "last_k".',
        )
    memory = spec.channels * cost.channel(spec)
    if method == "lara":
        return float(gradients.squared_norm[spec.name].sum()) / memory
    if method == "rgn":
        return math.sqrt(float(gradients.squared_norm[spec.name].sum())) / memory
    return float(gradients.fisher[spec.name].sum()) / memory


def _kept_count(scores: Sequence[float], top_k: float | int) -> int:
    check_top_k(top_k)
    if isinstance(top_k, int):
        return min(top_k, len(scores))
    total = sum(scores)
    if total <= 0 or top_k == 1.0:
        return len(scores)
    covered = np.cumsum(scores) / total
    return int(np.searchsorted(covered, top_k - 1e-12)) + 1
