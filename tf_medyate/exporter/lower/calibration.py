"""Ranges of a model's activations, measured on samples, for what is computed in 8 bits.

Example:
    >>> ranges = measure_ranges(model, x[:100])  # doctest: +SKIP
    >>> ranges["conv_1"]  # doctest: +SKIP
    Quantization(scale=(0.0235,), zero_point=(-128,), axis=0)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from tf_medyate.exporter.ir.values import Quantization
from tf_medyate.exporter.lower.quantization import activation_range
from tf_medyate.prepared.graph import trace
from tf_medyate.prepared.model import PreparedModel

_BATCH = 16


def measure_ranges(
    model: PreparedModel, samples: np.ndarray | Sequence[np.ndarray]
) -> Mapping[str, Quantization]:
    """The smallest and largest value of every node's output, as TensorFlow Lite calibrates.

    Args:
        model: A prepared model, committed.
        samples: [n, ...] float32, at least one; of several inputs one such array each.

    Returns:
        Node -> how its output lies in 8 bits; the inputs are nodes, too.
    """
    graph = trace(model)
    tensors = {node.name: node.layer.output for node in graph.nodes if node.inputs}
    arrays = [samples] if isinstance(samples, np.ndarray) else list(samples)
    probe = keras.Model(model.inputs, list(tensors.values()))
    lowest, highest = np.full(len(tensors), np.inf), np.full(len(tensors), -np.inf)
    for start in range(0, len(arrays[0]), _BATCH):
        found = probe([a[start : start + _BATCH] for a in arrays], training=False)
        outputs = [np.asarray(y) for y in keras.tree.flatten(found)]
        lowest = np.minimum(lowest, [y.min() for y in outputs])
        highest = np.maximum(highest, [y.max() for y in outputs])
    ranges = {
        name: activation_range(low, high)
        for name, low, high in zip(tensors, lowest, highest, strict=True)
    }
    pairs = zip(graph.inputs, arrays, strict=True)
    return ranges | {name: activation_range(a.min(), a.max()) for name, a in pairs}
