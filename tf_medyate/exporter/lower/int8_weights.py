"""Weights that are never trained, in 8 bits, for layers on float values.

Every output channel has a scale of its own: w = scale * stored, rounded once. What is computed with
them is what the float layer computes with those weights.

Example:
    >>> stored, scales = int8_kernel(np.array([[0.5, -2.0], [1.0, 0.0]]), depthwise=False)
    >>> stored.tolist()
    [[64, -127], [127, 0]]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_medyate.exporter.ir.values import SCRATCH
from tf_medyate.exporter.lower.quantization import quantized_weights
from tf_medyate.exporter.lower.state import Lowering
from tf_medyate.exporter.ops import int8_schema
from tf_medyate.exporter.ops import schema as op_schema

_S, _I = op_schema, int8_schema

INT8_TWINS: dict[op_schema.OpSpec, op_schema.OpSpec] = {
    _S.CONV_2D: _I.INT8_WEIGHTS_CONV_2D,
    _S.CONV_2D_INPUT_GRADIENT: _I.INT8_WEIGHTS_CONV_2D_INPUT_GRADIENT,
    _S.DEPTHWISE_CONV_2D: _I.INT8_WEIGHTS_DEPTHWISE_CONV_2D,
    _S.DEPTHWISE_CONV_2D_INPUT_GRADIENT: _I.INT8_WEIGHTS_DEPTHWISE_CONV_2D_INPUT_GRADIENT,
    _S.DENSE: _I.INT8_WEIGHTS_DENSE,
    _S.DENSE_INPUT_GRADIENT: _I.INT8_WEIGHTS_DENSE_INPUT_GRADIENT,
}
"""A layer's op -> the one that does the same with int8 weights."""


def int8_kernel(kernel: np.ndarray, depthwise: bool) -> tuple[np.ndarray, np.ndarray]:
    """A kernel in 8 bits.

    Args:
        kernel: Input channel first: [I][KH][KW][O], [I][O]; of a depthwise layer [I][KH][KW][M].
        depthwise: It is one's.

    Returns:
        What is stored, of the same shape, and the scale of every output channel (float32).
    """
    # Outputs last: a depthwise layer's are numbered input channel by input channel.
    whole = np.moveaxis(kernel, 0, -2) if depthwise else kernel
    outputs = math.prod(whole.shape[-2:]) if depthwise else whole.shape[-1]
    stored, scales = quantized_weights(whole.reshape(-1, outputs), -1, np.zeros(outputs))
    stored = stored.reshape(whole.shape)
    return np.ascontiguousarray(np.moveaxis(stored, -2, 0) if depthwise else stored), scales


def frozen_layer(
    low: Lowering,
    op: op_schema.OpSpec,
    name: str,
    tensors: tuple[str, str],
    kernel: np.ndarray,
    options: Mapping[str, Any],
) -> tuple[op_schema.OpSpec, list[str], list[str], bool]:
    """The op of a layer that is never trained: with int8 weights if it shall.

    Args:
        low: The lowering; takes the constants.
        op: Of the layer with float weights.
        name: The layer's.
        tensors: Input and bias.
        kernel: As `int8_kernel`.
        options: Of the op.

    Returns:
        The op, its inputs, its scratch, and whether its output may lie where its input does.
    """
    x, bias = tensors
    if low.ranges is None or op not in INT8_TWINS:
        return op, [x, low.builder.constant(f"{name}/weights", kernel), bias], [], False
    stored, scales = int8_kernel(kernel, op is _S.DEPTHWISE_CONV_2D)
    twin = INT8_TWINS[op]
    weights = low.builder.constant(f"{name}/weights", stored)
    inputs = [x, weights, bias, low.builder.constant(f"{name}/scales", scales)]
    plane = plane_in_place(twin, stored.shape, options)
    block = (block_elements(twin, stored.shape, plane),)
    return twin, inputs, [low.builder.tensor(f"{name}/block", block, kind=SCRATCH)], plane > 0


def block_elements(op: op_schema.OpSpec, weights: tuple[int, ...], plane: int = 0) -> int:
    """Floats of the block of an op with int8 weights of a shape.

    A convolution or dense layer makes floats of some output channels' weights at a time; a
    depthwise one, and every gradient, of some input channels'.

    Args:
        op: The op.
        weights: Shape of its weights.
        plane: Positions of its input, if the output may lie there; 0 if not.
    """
    channels = weights[-1] if op in _BY_OUTPUT else weights[0]
    return int8_schema.int8_block_elements(channels, math.prod(weights) // channels + plane)


def plane_in_place(
    op: op_schema.OpSpec, weights: tuple[int, ...], options: Mapping[str, Any]
) -> int:
    """Positions of each channel that an op copies if its output lies where its input does.

    Args:
        op: The op.
        weights: Shape of its weights.
        options: Of the op, or of the one that it is the gradient of.

    Returns:
        Positions of its input; 0 if it cannot work in place, or saves nothing by that.
    """
    if op not in _IN_PLACE or weights[-1] != 1:
        return 0
    read, made = (math.prod(options[size]) for size in ("input_size", "output_size"))
    if op is _I.INT8_WEIGHTS_DEPTHWISE_CONV_2D_INPUT_GRADIENT:
        read, made = made, read
    more = block_elements(op, weights, read) - block_elements(op, weights)
    return read if more < weights[0] * min(read, made) else 0


_IN_PLACE = (
    _I.INT8_WEIGHTS_DEPTHWISE_CONV_2D,
    _I.INT8_WEIGHTS_DEPTHWISE_CONV_2D_INPUT_GRADIENT,
)
_BY_OUTPUT = (_I.INT8_WEIGHTS_CONV_2D, _I.INT8_WEIGHTS_DENSE)
