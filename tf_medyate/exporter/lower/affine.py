"""Layers that scale and shift: 1x1 depthwise convolutions.

Example:
    >>> import numpy as np
    >>> [part.shape for part in per_channel(np.ones((1, 1, 3)), np.zeros((1, 1, 1)), (8, 8, 3))]
    [(3,), (3,)]
"""

from __future__ import annotations

import math

import keras
import numpy as np

from tf_medyate.exporter.lower import geometry
from tf_medyate.exporter.lower.state import Lowering
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.prepared.graph import Node


def rescaling(low: Lowering, node: Node) -> str:
    """A Rescaling layer."""
    return affine(low, node, node.layer.scale, node.layer.offset)


def normalization(low: Lowering, node: Node) -> str:
    """A Normalization layer, with the statistics that it was given."""
    mean, variance = (np.asarray(v, np.float64) for v in (node.layer.mean, node.layer.variance))
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    if node.layer.invert:
        return affine(low, node, deviation, mean)
    return affine(low, node, 1 / deviation, -mean / deviation)


def batch_normalization(low: Lowering, node: Node) -> str:
    """One that is neither folded nor trained: along another axis than the last."""
    layer = node.layer
    low.require_one_call(node)
    scale = 1 / np.sqrt(np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
    if layer.scale:
        scale = scale * np.asarray(layer.gamma)
    shift = -np.asarray(layer.moving_mean) * scale
    if layer.center:
        shift = shift + np.asarray(layer.beta)
    shape = [1] * (len(layer.input.shape) - 1)
    shape[layer.axis - 1 if layer.axis > 0 else layer.axis] = -1
    return affine(low, node, scale.reshape(shape), shift.reshape(shape))


def affine(low: Lowering, node: Node, scale, shift) -> str:
    """`scale * x + shift`; both of a shape that broadcasts to the input's."""
    x = low.input(node)
    sides = tuple(int(side) for side in node.layer.input.shape[1:])
    try:
        weights, bias = per_channel(scale, shift, sides)
    except ValueError:
        low.refuse(
            node,
            f"scale and shift of a shape that broadcasts to the input's, {sides}",
            f"{np.shape(scale)} and {np.shape(shift)}",
            "Scale the samples of a batch alike.",
        )
    y, channels = low.output(node, [x]), weights.size
    as_planes = (None, *sides[:-1], channels)
    if channels != sides[-1]:
        as_planes = (None, math.prod(sides) // channels, channels)
    size = geometry.plane(as_planes)[:2]
    inputs = [
        x,
        low.builder.constant(f"{node.name}/weights", weights.reshape(channels, 1, 1, 1)),
        low.builder.constant(f"{node.name}/bias", bias),
    ]
    options = {
        "input_channels": channels,
        "output_channels": channels,
        "input_size": size,
        "output_size": size,
        "kernel_size": (1, 1),
        "stride": (1, 1),
        "dilation": (1, 1),
        "padding": (0, 0),
        "selection_offset": op_schema.STATE_WORDS,
    }
    low.builder.op(op_schema.DEPTHWISE_CONV_2D, inputs, [y], options)
    return y


def per_channel(scale, shift, sides: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Both as float32 [channels]: of the last side, or of as many sides as they differ along."""
    full = [_broadcast(values, sides) for values in (scale, shift)]
    channels = sides[-1]
    for side in (*reversed(sides[:-1]), 1):
        rows = [values.reshape(-1, channels) for values in full]
        if all((values == values[0]).all() for values in rows):
            break
        channels *= side
    weights, bias = (values.reshape(-1)[:channels].astype(np.float32) for values in full)
    return weights, bias


def _broadcast(values, sides: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim > len(sides):  # with a side for the batch
        array = array.reshape(array.shape[-len(sides) :])
    return np.broadcast_to(array, sides)
