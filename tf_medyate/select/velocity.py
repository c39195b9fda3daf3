"""How fast the activations of each channel still change: what Velocity selects by.

Example:
    >>> probe = VelocityProbe(model, x[:64])
    >>> probe()                                # before training: all 1
    >>> history = model.fit(x, y, verbose=0)
    >>> probe()["stem"]                        # near 0 for channels that have settled
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.prepared.folding import require_prepared
from tf_medyate.prepared.layers import masked_layers
from tf_medyate.prepared.tensors import TracedOnce
from tf_medyate.select.gradients import full_mode

_POSITIONS_PER_SAMPLE = 64


class VelocityProbe:
    """Measures how fast each input channel's activations still change (Velocity, 2312.05282).

    Velocity calls a neuron at equilibrium when its outputs on a validation set, normalized, stop
    changing from one epoch to the next. Ours is measured at the input channels of each
    layer, the units that are drawn here: 1 - |cosine| between two epochs' activations.

    Args:
        model: A prepared model.
        x: Validation inputs.
    """

    def __init__(self, model: keras.Model, x):
        layers = masked_layers(require_prepared(model))
        self._names = [layer.name for layer in layers]
        tapped = keras.Model(model.inputs, [layer.input for layer in layers])
        self._tap = TracedOnce(lambda batch: tapped(batch, training=False))
        self._x = keras.tree.map_structure(tf.convert_to_tensor, x)
        self._model = model
        self._last: dict[str, np.ndarray] = {}

    def __call__(self) -> dict[str, np.ndarray]:
        """Velocities [channels] by layer since the last call; all 1 at the first."""
        with full_mode(self._model):
            outputs = self._tap(self._x)
        velocity = {}
        for name, value in zip(self._names, outputs, strict=True):
            now = _normalized(value.numpy())
            last = self._last.get(name)
            velocity[name] = (
                np.ones(now.shape[1]) if last is None else 1.0 - np.abs((now * last).sum(0))
            ).clip(0.0)
            self._last[name] = now
        return velocity


def _normalized(activations: np.ndarray) -> np.ndarray:
    """[samples, ..., channels] -> unit columns [values, channels], positions thinned out."""
    samples, channels = activations.shape[0], activations.shape[-1]
    flat = activations.reshape(samples, -1, channels)
    stride = max(1, flat.shape[1] // _POSITIONS_PER_SAMPLE)
    columns = flat[:, ::stride].reshape(-1, channels).astype(np.float64)
    return columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-12)
