"""How fast the outputs of each neuron still change: what Velocity (2312.05282) selects by.

Example:
    >>> probe = VelocityProbe(model, x[:10])
    >>> float(probe()["body"].max())           # before training nothing is known: all UNSEEN
    -1.0
    >>> history = model.fit(x, y, verbose=0)
    >>> bool(probe()["body"].min() >= 0)
    True
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.prepared.folding import require_prepared
from tf_medyate.prepared.layers import masked_layers
from tf_medyate.prepared.tensors import TracedOnce
from tf_medyate.select.gradients import full_mode
from tf_medyate.select.sampling import UNSEEN

SAMPLES = 10
"""Held-out samples that are looked at, as in the authors' code."""
MOMENTUM = 0.5


class VelocityProbe:
    """Measures each output neuron's velocity from one call to the next.

    With y the neuron's outputs over the map for a sample, t counting calls from 0:

        phi_t = sum over samples of cos(y_t, y_(t-1))      phi_0 = number of samples
        v_t = (phi_t - phi_(t-1)) - momentum * v_(t-1)     v_0 = 0

    The momentum of 0.5 and the ten samples are those of the authors' code; phi_0 is ours: before
    the first epoch a neuron's outputs equal themselves. A neuron that is silent before and after
    has not moved. What was measured lies here, not in the model: after a restart the probe begins
    again, as in the first epoch.

    Args:
        model: A prepared model.
        x: Inputs of the held-out samples.
        momentum: See above.
    """

    def __init__(self, model: keras.Model, x, momentum: float = MOMENTUM):
        layers = masked_layers(require_prepared(model))
        self._names = [layer.name for layer in layers]
        tapped = keras.Model(model.input, [layer.output for layer in layers])
        self._tap = TracedOnce(lambda batch: tapped(batch, training=False))
        self._x = keras.tree.map_structure(tf.convert_to_tensor, x)
        self._model = model
        self._momentum = momentum
        self._outputs: dict[str, np.ndarray] = {}
        self._phi: dict[str, np.ndarray] = {}
        self._velocity: dict[str, np.ndarray] = {}

    def __call__(self) -> dict[str, np.ndarray]:
        """|v| of each neuron, float64 [outputs] by layer; all UNSEEN at the first call."""
        with full_mode(self._model):
            outputs = self._tap(self._x)
        return {
            name: self._measure(name, _unit(value.numpy()))
            for name, value in zip(self._names, outputs, strict=True)
        }

    def _measure(self, name: str, now: np.ndarray) -> np.ndarray:
        before = self._outputs.get(name)
        self._outputs[name] = now
        if before is None:
            neurons = now.shape[-1]
            self._phi[name] = np.full(neurons, float(len(now)))
            self._velocity[name] = np.zeros(neurons)
            return np.full(neurons, UNSEEN)
        silent = ~now.any(axis=1) & ~before.any(axis=1)
        phi = ((now * before).sum(axis=1) + silent).sum(axis=0)
        change = phi - self._phi[name]
        self._velocity[name] = change - self._momentum * self._velocity[name]
        self._phi[name] = phi
        return np.abs(self._velocity[name])


def _unit(outputs: np.ndarray) -> np.ndarray:
    """[samples, ..., neurons] -> [samples, positions, neurons], each map of length 1, or all 0."""
    maps = outputs.reshape(len(outputs), -1, outputs.shape[-1]).astype(np.float64)
    length = np.linalg.norm(maps, axis=1, keepdims=True)
    return maps / np.where(length > 0, length, 1.0)
