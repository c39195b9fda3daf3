"""Convolutions in groups, that no channel is drawn from: frozen, with a gradient for their input.

Each is one convolution for each part of the channels, or a depthwise one if every channel is a part
of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_medyate.exporter.ir.values import ABSENT
from tf_medyate.exporter.lower import geometry, weightless
from tf_medyate.exporter.lower.int8_weights import frozen_layer
from tf_medyate.exporter.lower.moving import copy_options
from tf_medyate.exporter.lower.state import Lowering
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.prepared.graph import Node


def convolution(low: Lowering, node: Node) -> str:
    """A convolution, of some groups of channels."""
    low.require_one_call(node)
    layer, x = node.layer, low.input(node)
    options = geometry.conv_options(node, low.fusions)
    options["selection_offset"] = op_schema.STATE_WORDS
    kernel = np.asarray(layer.kernel).reshape(*options["kernel_size"], -1, layer.filters)
    if layer.groups == options["input_channels"]:
        weights = kernel.reshape(*options["kernel_size"], layer.groups, -1)
        bias = None if layer.bias is None else np.asarray(layer.bias)
        y = _linear(low, node, op_schema.DEPTHWISE_CONV_2D, x, weights, bias, options)
    else:
        y = _in_groups(low, node, x, kernel, options)
    return weightless.activate(low, node, y)


def _in_groups(low: Lowering, node: Node, x: str, kernel: np.ndarray, options) -> str:
    layer, channels = node.layer, options["input_channels"]
    each, units = channels // layer.groups, layer.filters // layer.groups
    options |= {"input_channels": each, "output_channels": units}
    size = options["input_size"]
    y_size = options["output_size"]
    parts = []
    for group in range(layer.groups):
        part = low.derived(f"{node.name}/part", (1, *size, each), [x])
        sides = [(math.prod(size), channels), (each, 1)]
        moved = copy_options(sides, group * each, low.builder.elements(x))
        low.builder.op(op_schema.STRIDED_COPY, [x], [part], moved)
        outputs = slice(group * units, (group + 1) * units)
        bias = None if layer.bias is None else np.asarray(layer.bias)[outputs]
        weights = kernel[..., outputs]
        parts.append(_linear(low, node, op_schema.CONV_2D, part, weights, bias, options))
    if len(parts) == 1:
        return parts[0]
    joined = low.output(node, parts)
    shape = {"blocks": math.prod(y_size), "block": units, "total": layer.filters, "offset": 0}
    low.builder.op(op_schema.CONCATENATION, parts, [joined], shape)
    return joined


def _linear(
    low: Lowering,
    node: Node,
    kind: op_schema.OpSpec,
    x: str,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    options: Mapping[str, Any],
) -> str:
    """A convolution with a kernel [height, width, inputs, fan-out]."""
    y = low.derived(node.name, (1, *options["output_size"], options["output_channels"]), [x])
    weights = np.ascontiguousarray(kernel.transpose(2, 0, 1, 3))
    op, inputs, scratch, in_place = frozen_layer(
        low, kind, node.name, (x, _bias(low, node, bias)), weights, options
    )
    pairs = [(y, x)] if in_place else []
    low.builder.op(op, inputs, [y], options, scratch=scratch, in_place=pairs)
    return y


def _bias(low: Lowering, node: Node, bias: Any) -> str:
    return ABSENT if bias is None else low.builder.constant(f"{node.name}/bias", np.asarray(bias))
