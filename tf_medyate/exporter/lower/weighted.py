"""Layers with weights become convolution, depthwise and dense ops.

A trained layer reads the drawn channels' weights from the pool, and a stash op before it keeps
those channels of its input. Where neither is trained, a convolution and the depthwise one after it
become one op that computes the map between them row by row. With ranges for int8 the
weights of all that is not trained lie in 8 bits, and a trained layer reads the int8 map in front of
it, some rows at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_medyate.exporter.ir.values import ABSENT, SCRATCH
from tf_medyate.exporter.lower import geometry
from tf_medyate.exporter.lower.int8_weights import frozen_layer
from tf_medyate.exporter.lower.state import COMMAND, POOL, SELECTION, Lowering
from tf_medyate.exporter.lower.training_layout import TrainedLayer
from tf_medyate.exporter.lower.weightless import activate
from tf_medyate.exporter.ops import int8_schema
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.ops.elementwise_schema import UNARY
from tf_medyate.kernel_order import channel_first
from tf_medyate.prepared.graph import Node
from tf_medyate.prepared.layers import ChannelMasked

_OF_INT8: dict[op_schema.OpSpec, op_schema.OpSpec] = {
    op_schema.CONV_2D: int8_schema.INT8_INPUT_CONV_2D,
    op_schema.DEPTHWISE_CONV_2D: int8_schema.INT8_INPUT_DEPTHWISE_CONV_2D,
}
"""A trained layer's op -> the one that reads int8 values."""


def weighted(low: Lowering, node: Node) -> str:
    """A convolution or dense layer, with its stash if it is trained."""
    places = low.layout.of(node.name)
    if places is not None and reads_int8(low, node):
        return _finished(low, node, _of_int8(low, node, places))
    x = low.input(node)
    if _can_stream(low, node):
        low.streamed[node.name] = node
        return node.name
    if places is not None:
        _stash(low, places, op_schema.STASH, [x, POOL, SELECTION, COMMAND])
    if x in low.streamed:
        y = _conv_depthwise(low, low.streamed[x], node)
    else:
        y = _linear(low, node, places, x)
    return _finished(low, node, y)


def _finished(low: Lowering, node: Node, y: str) -> str:
    """With the activation that is an op of its own."""
    name = geometry.activation_name(node)
    return y if name in (geometry.LINEAR, geometry.GATED) else activate(low, node, y)


def reads_int8(low: Lowering, node: Node) -> bool:
    """A trained convolution reads a map in 8 bits: that takes less memory than the map's floats."""
    x = node.inputs[0]
    known = x in low.int8 and x not in low.tensors
    if not known or low.layout.of(node.name) is None or _op_of(node) not in _OF_INT8:
        return False
    elements = math.prod(low.builder.shape(low.int8[x]))
    return 4 * math.prod(_rows_read(low, node)) < 3 * elements


def _rows_read(low: Lowering, node: Node) -> tuple[int, int, int]:
    """Shape of what one output row can need of the input."""
    options = geometry.conv_options(node, low.fusions)
    height, width = options["input_size"]
    taps, dilation = options["kernel_size"][0], options["dilation"][0]
    rows = op_schema.conv_depthwise_rows(height, taps, dilation)
    return rows, width, options["input_channels"]


def _of_int8(low: Lowering, node: Node, places: TrainedLayer) -> str:
    builder, x = low.builder, low.int8[node.inputs[0]]
    q = builder.quantization(x)
    numbers = np.array([q.scale[0], q.zero_point[0]], np.float32)
    meaning = builder.constant(f"{x}/scale_and_zero", numbers)
    inputs = [x, POOL, SELECTION, COMMAND, meaning]
    _stash(low, places, int8_schema.INT8_INPUT_STASH, inputs)
    y = low.output(node, [x])
    low.wanted.add(y)
    options = _options(low, node, places, keeps_gates=True)
    outputs = [y, *_gates(low, y, options)]
    weights = builder.constant(f"{node.name}/weights", _kernel(node))
    low.weights[node.name] = weights
    inputs = [x, weights, _bias(low, node), POOL, SELECTION, meaning]
    rows = builder.tensor(f"{y}/rows", _rows_read(low, node), kind=SCRATCH)
    builder.op(_OF_INT8[_op_of(node)], inputs, outputs, options, scratch=[rows])
    return y


def _gates(low: Lowering, y: str, options: Mapping[str, Any]) -> list[str]:
    if not options["keeps_gates"]:
        return []
    bytes_ = (low.builder.elements(y) + 7) // 8
    return [low.builder.tensor(f"{y}/gates", (bytes_,), "uint8")]


def _stash(low: Lowering, places: TrainedLayer, op: op_schema.OpSpec, inputs: list[str]):
    low.builder.op(
        op,
        inputs,
        [],
        {
            "pixels": places.stash,
            "channels": places.spec.channels,
            "channel_weights": places.spec.weights_per_channel,
            **_slot(low, places),
        },
        mutates=[POOL],
    )


def _slot(low: Lowering, places: TrainedLayer) -> dict[str, Any]:
    return {
        "selection_offset": places.selection_offset,
        "selection_capacity": places.capacity,
        "accumulates": int(low.layout.accumulates),
        "optimizer_slots": low.layout.optimizer_slots,
    }


def _linear(low: Lowering, node: Node, places: TrainedLayer | None, x: str) -> str:
    builder = low.builder
    y = low.output(node, [x])
    if places is not None:
        low.wanted.add(y)
    options = _options(low, node, places, keeps_gates=y in low.wanted)
    op, bias, kernel = _op_of(node), _bias(low, node), _kernel(node)
    outputs = [y, *_gates(low, y, options)]
    scratch: list[str] = []
    in_place = False
    if places is None:
        frozen = frozen_layer(low, op, node.name, (x, bias), kernel, options)
        op, inputs, scratch, in_place = frozen
    else:
        inputs = [x, builder.constant(f"{node.name}/weights", kernel), bias, POOL, SELECTION]
    low.weights[node.name] = inputs[1]
    pairs = [(y, x)] if in_place else []
    builder.op(op, inputs, outputs, options, scratch=scratch, in_place=pairs)
    return y


def _options(low: Lowering, node: Node, places: TrainedLayer | None, keeps_gates: bool):
    options: dict[str, Any]
    if geometry.is_plain_dense(node):
        options = {"inputs": node.layer.input.shape[-1], "units": node.layer.output.shape[-1]}
    else:
        options = geometry.conv_options(node, low.fusions)
    source = low.fusions.activations.get(node.name, node)
    gated = geometry.gated_activation(source)
    if gated is not None:
        activation, slope = gated
        options |= {"activation": activation, "negative_slope": slope}
    options["keeps_gates"] = int(gated is not None and keeps_gates)
    if places is None:
        return options | {"selection_offset": op_schema.STATE_WORDS}
    return options | {
        **_slot(low, places),
        "bias_offset": places.bias_offset,
        "importance_offset": places.importance_offset,
    }


def _is_frozen(low: Lowering, node: Node) -> bool:
    """Neither trained, nor after a layer that is."""
    return low.layout.of(node.name) is None and low.input(node) not in low.wanted


def _can_stream(low: Lowering, node: Node) -> bool:
    """A frozen convolution whose only reader is a frozen depthwise one."""
    plain = (
        low.streams
        and low.ranges is None
        and _op_of(node) is op_schema.CONV_2D
        and _is_frozen(low, node)
    )
    if not plain or geometry.activation_name(node) in UNARY:
        return False
    reader = _only_reader(low, node)
    while reader is not None and reader.name in low.fusions.absorbed:
        reader = _only_reader(low, reader)
    if reader is None or not isinstance(reader.layer, ChannelMasked):
        return False
    frozen = low.layout.of(reader.name) is None
    return frozen and geometry.is_depthwise(reader) and _streaming_pays(low, node, reader)


def _streaming_pays(low: Lowering, conv: Node, depthwise: Node) -> bool:
    """Input, rows and output together are less than the map with the larger of the two."""
    sizes = (geometry.input_plane(conv, low.fusions), geometry.plane(conv.layer.output.shape))
    x, middle = (math.prod(size) for size in sizes)
    y = math.prod(geometry.plane(depthwise.layer.output.shape))
    rows = math.prod(_row_shape(low, conv, _options(low, depthwise, None, keeps_gates=False)))
    return x + rows + y < middle + max(x, y)


def _row_shape(low: Lowering, conv: Node, depthwise: dict[str, Any]) -> tuple[int, int, int]:
    """Shape of what an output row of the depthwise half needs of the map between."""
    height, width, channels = geometry.plane(conv.layer.output.shape)
    taps, dilation = depthwise["kernel_size"][0], depthwise["dilation"][0]
    return op_schema.conv_depthwise_rows(height, taps, dilation), width, channels


def _only_reader(low: Lowering, node: Node) -> Node | None:
    readers = low.graph.consumers(node.name)
    return readers[0] if len(readers) == 1 and node.name not in low.graph.outputs else None


def _conv_depthwise(low: Lowering, conv: Node, depthwise: Node) -> str:
    x = low.input(conv)
    y = low.output(depthwise, [x])
    first = _options(low, conv, None, keeps_gates=False)
    second = _options(low, depthwise, None, keeps_gates=False)
    options: dict[str, Any] = {
        "input_channels": first["input_channels"],
        "middle_channels": first["output_channels"],
        "output_channels": second["output_channels"],
        "input_size": first["input_size"],
        "middle_size": first["output_size"],
        "output_size": second["output_size"],
    }
    own = ("kernel_size", "stride", "dilation", "padding", "activation", "negative_slope")
    for prefix, half in (("conv", first), ("depthwise", second)):
        options |= {f"{prefix}_{name}": half[name] for name in own if name in half}
    shape = _row_shape(low, conv, second)
    inputs = [x]
    for node in (conv, depthwise):
        inputs += [_weights(low, node), _bias(low, node)]
    scratch = [low.builder.tensor(f"{conv.name}/rows", shape, kind=SCRATCH)]
    low.builder.op(op_schema.CONV_DEPTHWISE, inputs, [y], options, scratch=scratch)
    return y


def _weights(low: Lowering, node: Node) -> str:
    low.weights[node.name] = low.builder.constant(f"{node.name}/weights", _kernel(node))
    return low.weights[node.name]


def _kernel(node: Node) -> np.ndarray:
    """The kernel input channel first, [I][KH][KW][O]: a channel is one contiguous run."""
    kernel = node.layer.kernel.numpy()
    *_, channels, outputs = kernel.shape
    window = () if geometry.is_plain_dense(node) else geometry.kernel_window(node)
    return np.ascontiguousarray(channel_first(kernel).reshape(channels, *window, outputs))


def _bias(low: Lowering, node: Node) -> str:
    if node.layer.bias is None:
        return ABSENT
    values = node.layer.bias.numpy().reshape(-1)
    low.biases[node.name] = low.builder.constant(f"{node.name}/bias", values)
    return low.biases[node.name]


def _op_of(node: Node) -> op_schema.OpSpec:
    if geometry.is_plain_dense(node):
        return op_schema.DENSE
    if geometry.is_transposed(node):
        return op_schema.CONV_2D_TRANSPOSE
    return op_schema.DEPTHWISE_CONV_2D if geometry.is_depthwise(node) else op_schema.CONV_2D
