"""Do the method's assumptions hold for this net and these data? The checks that the papers report.

    assumption                                            check
    the layers' order is the net's, not the task's        `agreement` of rankings (TraDy)
    few gradients carry most of the norm: heavy tails     `tail_index` of gradients (TraDy)
    a channel that matters now matters later              `stability` of importances (MeDyate)

Papers: TraDy (arXiv 2510.19675), MeDyate (arXiv 2510.20979).

Example:
    >>> found = diagnose(model, x, y, epochs=10)
    >>> print(found)
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.errors import (
    EmptyDataError,
    NonFiniteDataError,
    NonFiniteLossError,
    OptionError,
)
from tf_medyate.falling_rate import cosine
from tf_medyate.prepared.folding import layer_specs, prepare, strip
from tf_medyate.prepared.layers import masked_layers
from tf_medyate.prepared.model import PreparedModel
from tf_medyate.prepared.tensors import TracedOnce
from tf_medyate.select.gradients import full_mode, measure_gradients
from tf_medyate.select.ranking import rank_layers
from tf_medyate.select.stability import (
    Agreement,
    Stability,
    agreement,
    spearman,
    stability,
    tail_index,
)
from tf_medyate.spec import LayerRanking

__all__ = [
    "ALL",
    "Agreement",
    "Diagnostics",
    "Stability",
    "agreement",
    "diagnose",
    "spearman",
    "stability",
    "tail_index",
]

ALL = "all layers"
MEASURED = ("lara", "rgn", "lara-squared", "fisher")  # rankings that look at gradients


@dataclasses.dataclass(frozen=True, eq=False)
class Diagnostics:
    """What was measured before the first epoch and after each.

    Attributes:
        layers: The ranked layers, from input to output; heads are not among them.
        rankings: A ranking for each time.
        importance: E[||dW_c||] by layer, float64 [times, channels].
        alpha: `tail_index` of a layer's gradient, float64 [times, layers]; the median of the
            calibration batches.
        losses: Training loss of each epoch.
    """

    layers: tuple[str, ...]
    rankings: tuple[LayerRanking, ...]
    importance: Mapping[str, np.ndarray]
    alpha: np.ndarray
    losses: tuple[float, ...]

    @property
    def agreement(self) -> Agreement:
        """Of the layers' order from time to time."""
        return agreement({str(time): ranking for time, ranking in enumerate(self.rankings)})

    def stability(self, layer: str = ALL, share: float = 0.1) -> Stability:
        """Of the channels of a layer, or of all layers together, which compete for one budget."""
        if layer != ALL:
            return stability(self.importance[layer], share)
        return stability(np.concatenate([self.importance[n] for n in self.layers], 1), share)

    def __str__(self) -> str:
        last, alphas = self.stability(), self.alpha[np.isfinite(self.alpha)]
        tails = "too few values" if not len(alphas) else f"median {np.median(alphas):.2f}"
        return (
            f"{len(self.layers)} layers, {len(self.losses)} epochs of full fine-tuning\n"
            f"layer order:  Spearman {self.agreement.rho[0, -1]:.3f} between first and last epoch\n"
            f"heavy tails:  alpha {tails} (2 is a Gaussian, smaller is heavier)\n"
            f"channels:     Spearman {last.to_first[-1]:.3f} between first and last epoch; "
            f"{last.overlap_first[-1]:.0%} of the top {last.share:.0%} are still on top"
        )


def diagnose(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    loss: Any = "sparse_categorical_crossentropy",
    epochs: int = 10,
    batch_size: int = 8,
    batches: int = 16,
    learning_rate: float = 0.01,
    ranking: str = "lara",
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Diagnostics:
    """Fine-tunes a copy of a model in full, and measures its gradients before and after each epoch.

    In full, because what an update inside a budget leaves out is what one wants to know of. The
    gradients are measured on the same samples every time.

    Args:
        model: A Keras model, prepared or not; it is not changed.
        x: Training samples, an array.
        y: Their targets.
        loss: A Keras loss.
        epochs: How often to measure after the first time.
        batch_size: Samples in a batch, in training and in measuring.
        batches: Batches to measure on.
        learning_rate: Of SGD without momentum, with a cosine decay.
        ranking: "lara", "rgn", "lara-squared" or "fisher".
        seed: Seed of the order of the samples.
        progress: Called after each measurement with the number of them.

    Returns:
        The measurements.

    Raises:
        OptionError: A number is below 1, or there is no such ranking.
        EmptyDataError: There is no sample.
        NonFiniteLossError: The training diverged.
        UnsupportedLayerError, NonFiniteDataError: See the classes.
    """
    for name, number in (("epochs", epochs), ("batch_size", batch_size), ("batches", batches)):
        if number < 1:
            raise OptionError(name, "at least 1", repr(number), "Choose a larger number.")
    if ranking not in MEASURED:
        raise OptionError("ranking", " | ".join(MEASURED), repr(ranking), "Choose one of these.")
    x, y = np.asarray(x), np.asarray(y)
    if not len(x):
        raise EmptyDataError("x", "at least one sample", "none", "Pass training data.")
    copy = prepare(strip(model) if isinstance(model, PreparedModel) else model)
    copy.compile(keras.optimizers.SGD(learning_rate), loss)
    draw = np.random.default_rng(seed)
    probe_rows = draw.permutation(len(x))[: batches * batch_size]
    probe = _Probe(copy, x[probe_rows], y[probe_rows], batch_size, ranking)
    losses = []
    probe.measure()
    for epoch in range(epochs):
        if progress is not None:
            progress(epoch + 1)
        copy.optimizer.learning_rate.assign(cosine(learning_rate, epoch / epochs))
        rows = draw.permutation(len(x))
        fit = {"batch_size": batch_size, "shuffle": False, "verbose": 0}
        losses.append(float(copy.fit(x[rows], y[rows], **fit).history["loss"][0]))
        if not np.isfinite(losses[-1]):
            raise _diverged(f"{losses[-1]} in epoch {epoch + 1}", learning_rate)
        try:
            probe.measure()
        except NonFiniteDataError as error:  # the data were finite before
            raise _diverged(f"{error.received} after epoch {epoch + 1}", learning_rate) from error
    if progress is not None:
        progress(epochs + 1)
    return probe.result(tuple(losses))


def _diverged(found: str, rate: float) -> NonFiniteLossError:
    remedy = f"Train more slowly: learning_rate={rate / 5:g}."
    return NonFiniteLossError("training", "finite losses and gradients", found, remedy)


class _Probe:
    """Measures one model again and again on the same batches."""

    def __init__(self, model: PreparedModel, x, y, batch_size: int, method: str):
        self._model, self._data, self._method = model, (x, y), method
        self._size = batch_size
        self._specs = layer_specs(model)
        self._layers = [s.name for s in self._specs if s.trainable and not s.is_head]
        if not self._layers:
            remedy = "Pass a model with a trainable layer before its head."
            raise OptionError("model", "layers to rank", "none", remedy)
        self._kernels = [
            layer.kernel for layer in masked_layers(model) if layer.name in self._layers
        ]
        self._gradients = TracedOnce(self._of_batch)
        self._rankings: list[LayerRanking] = []
        self._norms: list[Mapping[str, np.ndarray]] = []
        self._alpha: list[list[float]] = []

    def _of_batch(self, x, y) -> Any:
        outputs = self._model(x, training=False)
        loss = self._model.compute_loss(x=x, y=y, y_pred=outputs, training=False)
        return tf.gradients(loss, [kernel.value for kernel in self._kernels])

    def measure(self):
        """Ranking, importances and tail indices at this time."""
        x, y = self._data
        # A Fisher potential is of single samples; see ranking.ChannelGradients.
        size = 1 if self._method == "fisher" else self._size
        gradients = measure_gradients(self._model, (x, y, size), -(-len(x) // size))
        self._rankings.append(rank_layers(self._specs, gradients, self._method))
        self._norms.append(gradients.norm)
        found = []
        with full_mode(self._model):
            for start in range(0, len(x), self._size):
                part = slice(start, start + self._size)
                batch = self._gradients(x[part], y[part])
                found.append([tail_index(gradient.numpy()) for gradient in batch])
        with warnings.catch_warnings():
            # A layer with too few weights for an estimate is NaN in every batch, and stays it.
            warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
            self._alpha.append(list(np.nanmedian(np.array(found), axis=0)))

    def result(self, losses: tuple[float, ...]) -> Diagnostics:
        """Everything measured so far."""
        importance = {
            name: np.stack([norms[name] for norms in self._norms]) for name in self._layers
        }
        alpha = np.array(self._alpha)
        return Diagnostics(tuple(self._layers), tuple(self._rankings), importance, alpha, losses)
