"""Layers in front of everything that is trained, on int8 values.

A node is lowered here if its inputs are int8, and a convolution also if its input is a float
tensor that training does not reach: then that is quantized. What reads an int8 tensor and has no
rule here gets it as floats.

Activations need no op: the range of a ReLU's output begins at 0, so that what is below 0 becomes
0 where the output is brought back to 8 bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tf_medyate.exporter.ir.values import SCRATCH, Quantization
from tf_medyate.exporter.lower import geometry, weightless
from tf_medyate.exporter.lower.quantization import (
    add_options,
    quantized_weights,
    requantization,
    scale_with_room,
)
from tf_medyate.exporter.lower.state import Lowering
from tf_medyate.exporter.ops import int8_schema
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.ops.options import CUSTOM_OPTIONS
from tf_medyate.exporter.ops.schema import Activation, conv_depthwise_rows
from tf_medyate.prepared.graph import Node
from tf_medyate.prepared.layers import ChannelMasked

_K = keras.layers

# The largest sum of products of 8 bits that leaves room for a bias within 30 bits.
_MOST_PRODUCTS = 2**14
_BIAS_LIMIT = 2**28
_FINEST_SUM = 2.0**-8
_RELU6 = (Activation.RELU6, 0.0)
_INT8 = "int8"


def lower_int8(low: Lowering, node: Node) -> bool:
    """Lowers a node on int8 values, if it can be; `low.int8` then has its output."""
    if low.ranges is None:
        return False
    if isinstance(node.layer, ChannelMasked):
        return _takes_layer(low, node) and _layer(low, node)
    if not all(name in low.int8 for name in node.inputs):
        return False
    off = type(node.layer) in weightless.OFF
    if off:
        weightless.note_left_out(low, node)
    if off or type(node.layer) in (_K.Flatten, _K.Reshape, _K.Identity):
        low.int8[node.name] = low.int8[node.inputs[0]]
        return True
    if type(node.layer) is _K.Add and len(node.inputs) == 2:
        return _add(low, node)
    return type(node.layer) in weightless.POOLS and _pool(low, node)


def dequantize_inputs(low: Lowering, node: Node) -> None:
    """Makes floats of a node's int8 inputs; once, whatever else reads them."""
    for name in node.inputs:
        if name in low.tensors:
            continue
        x = low.int8[name]
        known = next((n for n, y in low.int8.items() if y == x and n in low.tensors), None)
        if known is None:
            y = low.builder.tensor(f"{x}/float", low.builder.shape(x))
            low.builder.op(int8_schema.DEQUANTIZE, [x], [y], _stored(low, x))
            low.tensors[name] = y
        else:
            low.tensors[name] = low.tensors[known]


def _stored(low: Lowering, x: str) -> dict[str, Any]:
    q = low.builder.quantization(x)
    return {"scale": q.scale[0], "zero": q.zero_point[0]}


def _range(low: Lowering, node: Node) -> Quantization:
    assert low.ranges is not None
    return low.ranges[node.name]


def _clamps_alike(node: Node) -> bool:
    """No activation, or one that the range of its output says in full."""
    gated = geometry.gated_activation(node)
    if gated is not None:
        return gated[0] in (Activation.RELU, Activation.RELU6)
    return geometry.activation_name(node) == geometry.LINEAR


def _takes_layer(low: Lowering, node: Node) -> bool:
    source = low.fusions.activations.get(node.name, node)
    if geometry.is_plain_dense(node) or low.layout.of(node.name) is not None:
        return False
    if geometry.is_transposed(node):
        return False
    if not _clamps_alike(node) or not _clamps_alike(source):
        return False
    depth = math.prod(geometry.kernel_window(node))
    if not geometry.is_depthwise(node):
        depth *= geometry.input_plane(node, low.fusions)[2]
    if depth > _MOST_PRODUCTS:
        return False
    x = low.tensors.get(node.inputs[0])
    return node.inputs[0] in low.int8 or (x not in low.wanted and x not in low.streamed)


def _input(low: Lowering, name: str) -> str:
    """A node's output as int8."""
    if name not in low.int8:
        x = low.tensors[name]
        assert low.ranges is not None
        q = low.ranges[name]
        y = low.builder.tensor(f"{x}/int8", low.builder.shape(x), _INT8, quantization=q)
        options = _stored(low, y)
        low.builder.op(int8_schema.QUANTIZE, [x], [y], options, in_place=[(y, x)])
        low.int8[name] = y
    return low.int8[name]


def _layer(low: Lowering, node: Node) -> bool:
    depthwise = geometry.is_depthwise(node)
    options = geometry.conv_options(node, low.fusions)
    channels, outputs = options["input_channels"], options["output_channels"]
    kernel = node.layer.kernel.numpy().reshape(*options["kernel_size"], channels, -1)
    if depthwise:
        weights = kernel.reshape(1, *options["kernel_size"], outputs)
    else:
        weights = np.moveaxis(kernel, -1, 0)
    bias = np.zeros(outputs) if node.layer.bias is None else node.layer.bias.numpy().reshape(-1)
    x = _input(low, node.inputs[0])
    x_q = low.builder.quantization(x)
    # A channel whose weights are all but 0 may have a bias beyond its sums.
    least = np.abs(bias) / (x_q.scale[0] * _BIAS_LIMIT)
    stored, scales = quantized_weights(weights, -1 if depthwise else 0, least)
    whole = np.round(bias / (np.float64(x_q.scale[0]) * scales))
    source = low.fusions.activations.get(node.name, node)
    y_q = _range(low, source)
    scale = scale_with_room(y_q.scale[0], x_q.scale[0], scales)
    if scale > y_q.scale[0] and geometry.gated_activation(source) == _RELU6:
        return False  # Its range would end beyond 6.
    y_q = Quantization((scale,), y_q.zero_point)
    y = low.int8_output(node, y_q)
    table = requantization(whole.astype(np.int32), x_q.scale[0], scales, y_q.scale[0])
    w = low.builder.constant(f"{node.name}/weights", np.ascontiguousarray(stored))
    inputs = [x, w, low.builder.constant(f"{node.name}/requantization", table)]
    options |= {"input_zero": x_q.zero_point[0], "output_zero": y_q.zero_point[0]}
    if _project(low, inputs, y, options, depthwise):
        pass
    elif not depthwise:
        size = int8_schema.int8_patch_bytes(math.prod(stored.shape[1:]))
        scratch = [low.builder.tensor(f"{y}/patches", (size,), "uint8", SCRATCH)]
        low.builder.op(int8_schema.INT8_CONV_2D, inputs, [y], options, scratch=scratch)
    elif not _stream(low, inputs, y, options):
        low.builder.op(int8_schema.INT8_DEPTHWISE_CONV_2D, inputs, [y], options)
    low.weights[node.name] = w
    low.int8[node.name] = y
    return True


def _stream(low: Lowering, inputs: list[str], y: str, options: Mapping[str, Any]) -> bool:
    """Makes one op of a depthwise convolution and the convolution that is the last op, if it pays.

    Args:
        low: The lowering.
        inputs: Of the depthwise op; nothing else may read the first.
        y: Its output.
        options: Its options.
    """
    middle, conv = inputs[0], low.builder.ops[-1]
    if not _may_join(low, int8_schema.INT8_CONV_2D, middle):
        return False
    first = int8_schema.INT8_CONV_2D_OPTIONS.unpack(conv.attributes[CUSTOM_OPTIONS])
    if first["output_size"] != options["input_size"]:
        return False  # Reshaped.
    height, width = options["input_size"]
    kernel, dilation = options["kernel_size"][0], options["dilation"][0]
    rows = (conv_depthwise_rows(height, kernel, dilation), width, options["input_channels"])
    ends = [low.builder.elements(name) for name in (conv.inputs[0], y)]
    if sum(ends) + math.prod(rows) >= low.builder.elements(middle) + max(ends):
        return False
    own = ("kernel_size", "stride", "dilation", "padding")
    both = {
        **{name: first[name] for name in ("input_channels", "input_size", "input_zero")},
        **{name: options[name] for name in ("output_channels", "output_size", "output_zero")},
        "middle_channels": options["input_channels"],
        "middle_size": options["input_size"],
        "middle_zero": options["input_zero"],
        **{f"conv_{name}": first[name] for name in own},
        **{f"depthwise_{name}": options[name] for name in own},
    }
    low.builder.ops.pop()
    place = low.builder.tensor(f"{middle}/rows", rows, "uint8", SCRATCH)
    inputs = [*conv.inputs, *inputs[1:]]
    op, scratch = int8_schema.INT8_CONV_DEPTHWISE, [place, *conv.scratch]
    low.builder.op(op, inputs, [y], both, scratch=scratch)
    return True


def _may_join(low: Lowering, kind: op_schema.OpSpec, made: str) -> bool:
    """The last op is of that kind, and the op to come is all that reads what it made."""
    last = low.builder.ops[-1]
    named = [name for name, x in low.int8.items() if x == made]
    alone = all(len(low.graph.consumers(name)) == 1 for name in named)
    is_last = last.kind == kind.name and last.outputs[0] == made
    return low.streams and is_last and alone and not set(named) & set(low.graph.outputs)


def _project(
    low: Lowering, inputs: list[str], y: str, options: Mapping[str, Any], depthwise: bool
) -> bool:
    """Makes one op of a pointwise convolution and the op of `_stream` before it, if it pays."""
    middle, pair = inputs[0], low.builder.ops[-1]
    is_point = options["kernel_size"] == options["stride"] == (1, 1) and options["padding"] == (
        0,
        0,
    )
    if depthwise or not is_point or not _may_join(low, int8_schema.INT8_CONV_DEPTHWISE, middle):
        return False
    both = dict(int8_schema.INT8_CONV_DEPTHWISE_OPTIONS.unpack(pair.attributes[CUSTOM_OPTIONS]))
    if not options["output_size"] == options["input_size"] == both["output_size"]:
        return False  # Padded, or reshaped.
    row = both["output_size"][1] * both["output_channels"]
    x, z = low.builder.elements(pair.inputs[0]), low.builder.elements(y)
    if x + z + row >= low.builder.elements(middle) + max(x, z):
        return False
    both |= {"project_channels": options["output_channels"], "project_zero": options["output_zero"]}
    rows, patches = (low.builder.elements(name) for name in pair.scratch)
    patches = max(patches, int8_schema.int8_patch_bytes(options["input_channels"]))
    low.builder.ops.pop()
    scratch = [
        low.builder.tensor(f"{y}/rows", (rows + row,), "uint8", SCRATCH),
        low.builder.tensor(f"{y}/patches", (patches,), "uint8", SCRATCH),
    ]
    inputs = [*pair.inputs, *inputs[1:]]
    low.builder.op(int8_schema.INT8_BOTTLENECK, inputs, [y], both, scratch=scratch)
    return True


def _add(low: Lowering, node: Node) -> bool:
    a, b = (low.int8[name] for name in node.inputs)
    if low.builder.shape(a) != low.builder.shape(b):
        return False
    readers = low.graph.consumers(node.name)
    alone = len(readers) == 1 and node.name not in low.graph.outputs
    after = readers[0] if alone and type(readers[0].layer) is _K.ReLU else node
    if not _clamps_alike(after):
        after = node
    y_q = _range(low, after)
    least = max(low.builder.quantization(name).scale[0] for name in (a, b)) * _FINEST_SUM
    if y_q.scale[0] < least:
        return False  # Terms that all but cancel.
    y = low.int8_output(node, y_q)
    terms = (low.builder.quantization(name) for name in (a, b, y))
    pairs = [(y, a), (y, b)]
    low.builder.op(int8_schema.INT8_ADD, [a, b], [y], add_options(*terms), in_place=pairs)
    low.int8[node.name] = low.int8[after.name] = y
    return True


def _pool(low: Lowering, node: Node) -> bool:
    x = low.int8[node.inputs[0]]
    options = weightless.pool_options(node.layer)
    is_max = weightless.is_max_pool(node.layer)
    op = int8_schema.INT8_MAX_POOL_2D if is_max else int8_schema.INT8_AVERAGE_POOL_2D
    y = low.int8_output(node, low.builder.quantization(x))
    low.builder.op(op, [x], [y], options)
    low.int8[node.name] = y
    return True
