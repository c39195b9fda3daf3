"""Layers without weights become activation, pooling and moving ops, or nothing at all."""

from __future__ import annotations

import math
from typing import Any

import keras

from tf_medyate.exporter.ir.values import SIGMOID, SOFTMAX
from tf_medyate.exporter.lower import activations, geometry
from tf_medyate.exporter.lower.state import Lowering
from tf_medyate.exporter.ops import elementwise_schema
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.ops.schema import Activation
from tf_medyate.prepared.graph import Node

_K = keras.layers
_FOLDED = {geometry.SOFTMAX: SOFTMAX, elementwise_schema.SIGMOID.name: SIGMOID}


def activation(low: Lowering, node: Node) -> str:
    """An activation on its own; nothing for a linear one."""
    return activate(low, node, low.input(node))


def activate(low: Lowering, node: Node, x: str) -> str:
    """A node's activation of a tensor."""
    name = geometry.activation_name(node)
    if name in _FOLDED and _folded(low, node, _FOLDED[name]):
        return x
    gated = geometry.gated_activation(node)
    if gated is not None:
        return _gated(low, node, x, *gated)
    if name == geometry.LINEAR:
        return x
    return softmax(low, node, x) if name == geometry.SOFTMAX else unary(low, node, x)


def _gated(low: Lowering, node: Node, x: str, activation: Activation, slope: float) -> str:
    y = low.output(node, [x])
    outputs = [y]
    keeps = y in low.wanted
    if keeps:
        bytes_ = (low.builder.elements(y) + 7) // 8
        outputs.append(low.builder.tensor(f"{y}/gates", (bytes_,), "uint8"))
    options = {
        "activation": activation,
        "negative_slope": slope,
        "keeps_gates": int(keeps),
    }
    low.builder.op(op_schema.ACTIVATION, [x], outputs, options, in_place=[(y, x)])
    return y


def unary(low: Lowering, node: Node, x: str) -> str:
    """A node's activation, one of `elementwise_schema.UNARY`, of a tensor."""
    call = activations.unary_call(node.layer)
    assert call is not None
    return _unary_op(low, node, x, call)


def _unary_op(low: Lowering, node: Node, x: str, call: activations.UnaryCall) -> str:
    y = low.output(node, [x])
    low.builder.op(call.op, [x], [y], call.options, in_place=[(y, x)])
    return y


def _folded(low: Lowering, node: Node, activation: str) -> bool:
    """Leaves an output's activation out if nothing else reads it: its loss takes the place."""
    folded = bool(low.folds.get(node.name)) and not low.graph.consumers(node.name)
    if folded:
        low.ends_in[node.name] = activation
    return folded


def softmax(low: Lowering, node: Node, x: str) -> str:
    """A softmax over one axis."""
    shape = tuple(node.layer.output.shape[1:])
    axis = getattr(node.layer, "axis", -1)
    call = activations.softmax_call(shape, axis)
    if call is None:
        low.refuse(node, "a softmax over one axis", f"axis={axis}", "Flatten these axes first.")
    return _unary_op(low, node, x, call)


def alias(low: Lowering, node: Node) -> str:
    """A layer that moves nothing: its output is its input's memory."""
    return low.input(node)


# A device leaves them out, as Keras does at inference.
OFF = (
    _K.Dropout, _K.SpatialDropout1D, _K.SpatialDropout2D, _K.SpatialDropout3D, _K.AlphaDropout,
    _K.GaussianDropout, _K.GaussianNoise,
    _K.RandomFlip, _K.RandomRotation, _K.RandomTranslation, _K.RandomZoom, _K.RandomContrast,
    _K.RandomBrightness, _K.RandomShear, _K.RandomPerspective, _K.RandomElasticTransform,
    _K.RandomGaussianBlur, _K.RandomHue, _K.RandomSaturation, _K.RandomSharpness, _K.RandomInvert,
    _K.RandomGrayscale, _K.RandomColorDegeneration, _K.RandomColorJitter, _K.RandomErasing,
    _K.RandomPosterization, _K.RandAugment, _K.AugMix,
)  # fmt: skip


def leave_out(low: Lowering, node: Node) -> str:
    """A layer that is off on the device."""
    note_left_out(low, node)
    return low.input(node)


def note_left_out(low: Lowering, node: Node):
    """Makes a note of a layer that is left out, if it does anything in Keras's training."""
    layer = node.layer
    if getattr(layer, "rate", None) != 0 and getattr(layer, "stddev", None) != 0:
        low.left_out.append(node.name)


def concatenate(low: Lowering, node: Node) -> str:
    """A concatenation along any axis."""
    inputs = [low.tensors[name] for name in node.inputs]
    parts = [
        concat_part(tuple(shape.shape[1:]), node.layer.axis)
        for shape in keras.tree.flatten(node.layer.input)
    ]
    y = low.output(node, inputs)
    total = sum(block for _, block in parts)
    blocks, block = parts[0]
    options = {"blocks": blocks, "block": block, "total": total, "offset": 0}
    low.builder.op(op_schema.CONCATENATION, inputs, [y], options)
    return y


def pool(low: Lowering, node: Node) -> str:
    """A pooling; a global one is one large window."""
    layer, x = node.layer, low.input(node)
    y = low.output(node, [x])
    options = pool_options(layer)
    outputs = [y]
    # Of a single position maximum and mean are the same, and the mean keeps no choices.
    is_max = options["window"] != (1, 1) and is_max_pool(layer)
    if is_max:
        options["keeps_choices"] = int(y in low.wanted)
        if y in low.wanted:
            bits = (math.prod(options["window"]) - 1).bit_length()
            bytes_ = (low.builder.elements(y) * bits + 7) // 8
            outputs.append(low.builder.tensor(f"{y}/choices", (bytes_,), "uint8"))
    kind = op_schema.MAX_POOL_2D if is_max else op_schema.AVERAGE_POOL_2D
    low.builder.op(kind, [x], outputs, options)
    return y


def pad(low: Lowering, node: Node) -> str:
    """Zero padding that no convolution could take over."""
    x = low.input(node)
    (top, bottom), (left, right) = geometry.padding_of(node)
    height, width, channels = geometry.plane(node.layer.input.shape)
    y = low.output(node, [x])
    options = {
        "channels": channels,
        "input_size": (height, width),
        "before": (top, left),
        "after": (bottom, right),
    }
    low.builder.op(op_schema.PAD, [x], [y], options)
    return y


def concat_part(shape: tuple[int, ...], axis: int) -> tuple[int, int]:
    """(blocks, block) of an input [batch, *shape] of a concatenation along `axis` of the batch."""
    at = axis - 1 if axis > 0 else len(shape) + axis
    return math.prod(shape[:at]), math.prod(shape[at:])


_GLOBAL_MAX = (_K.GlobalMaxPooling1D, _K.GlobalMaxPooling2D)
_GLOBAL_AVERAGE = (_K.GlobalAveragePooling1D, _K.GlobalAveragePooling2D)
_MAX = (_K.MaxPooling1D, _K.MaxPooling2D, *_GLOBAL_MAX)
POOLS = (
    *_GLOBAL_MAX,
    *_GLOBAL_AVERAGE,
    _K.MaxPooling1D,
    _K.MaxPooling2D,
    _K.AveragePooling1D,
    _K.AveragePooling2D,
)


def is_max_pool(layer) -> bool:
    """It takes maxima, not means."""
    return isinstance(layer, _MAX)


def pool_options(layer) -> dict[str, Any]:
    """A pooling as `op_schema.POOL_OPTIONS` has it; a global one is one large window."""
    height, width, channels = geometry.plane(layer.input.shape)
    if isinstance(layer, (*_GLOBAL_MAX, *_GLOBAL_AVERAGE)):
        window, stride, out, before = (height, width), (1, 1), (1, 1), (0, 0)
    else:
        window, stride = _pool_pair(layer.pool_size), _pool_pair(layer.strides)
        out = geometry.plane(layer.output.shape)[:2]
        before = (0, 0)
        if layer.padding == "same":
            axes = zip((height, width), out, window, stride, strict=True)
            before = tuple(geometry.same_padding(*axis) for axis in axes)
    return {
        "channels": channels,
        "input_size": (height, width),
        "output_size": out,
        "window": window,
        "stride": stride,
        "padding": before,
    }


def _pool_pair(value) -> tuple[int, int]:
    sides = (value,) if isinstance(value, int) else tuple(value)
    return (1, int(sides[0])) if len(sides) == 1 else (int(sides[0]), int(sides[1]))
