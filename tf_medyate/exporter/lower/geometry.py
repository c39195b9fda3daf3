"""Which layers of a Keras graph become one op, and the shapes that the op works on.

An activation that nothing else reads is fused into the layer before it, and zero padding into the
convolution after it, so that the padded map never exists.

Example:
    >>> fusions = find_fusions(model_graph)
    >>> conv_options(model_graph.nodes[1], fusions)["padding"]
    (1, 1)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NoReturn

import keras

from tf_medyate.errors import UnsupportedLayerError
from tf_medyate.exporter.ir.values import SOFTMAX
from tf_medyate.exporter.lower import activations
from tf_medyate.exporter.ops.schema import Activation
from tf_medyate.prepared import padding
from tf_medyate.prepared.graph import ModelGraph, Node
from tf_medyate.prepared.layers import ChannelMasked, MaskedDense, MaskedDepthwiseConv2D
from tf_medyate.prepared.padding import padding_of, pair, plane
from tf_medyate.prepared.supported import known_activation
from tf_medyate.prepared.transposed import MaskedConvTranspose

_K = keras.layers

LINEAR = "linear"
GATED = "gated"
_PARAMETRIC = (_K.ReLU, _K.ELU)
# What does nothing but its activation. Exact classes: a subclass may compute something else.
_ALONE = (_K.Activation, _K.ReLU, _K.LeakyReLU)
_GATED = {
    keras.activations.relu: (Activation.RELU, 0.0),
    keras.activations.relu6: (Activation.RELU6, 0.0),
    keras.activations.leaky_relu: (Activation.LEAKY_RELU, 0.2),  # its default
}
_OTHERS = {keras.activations.linear: LINEAR, keras.activations.softmax: SOFTMAX}


@dataclasses.dataclass(frozen=True)
class Fusions:
    """What is drawn together into one op.

    Attributes:
        activations: Weighted node -> the node whose activation it applies.
        paddings: Convolution -> the ZeroPadding node that it pads for.
    """

    activations: Mapping[str, Node]
    paddings: Mapping[str, Node]

    @property
    def absorbed(self) -> frozenset[str]:
        """Names of the nodes that need no op of their own."""
        nodes = (*self.activations.values(), *self.paddings.values())
        return frozenset(node.name for node in nodes)


def find_fusions(graph: ModelGraph) -> Fusions:
    """Finds what can be fused in a prepared model's graph."""
    activations, paddings = {}, {}
    for node in graph.nodes:
        if not isinstance(node.layer, ChannelMasked):
            continue
        readers = graph.consumers(node.name)
        alone = len(readers) == 1 and node.name not in graph.outputs
        if alone and getattr(node.layer, "activation", None) in (None, keras.activations.linear):
            [reader] = readers
            if type(reader.layer) in _ALONE and gated_activation(reader):
                activations[node.name] = reader
        pad = padding.fused_padding(graph, node)
        if pad is not None:
            paddings[node.name] = pad
    return Fusions(activations, paddings)


def activation_name(node: Node) -> str:
    """The activation that a node applies: LINEAR for none, GATED for what `gated_activation` says.

    Of one in `elementwise_schema.UNARY` it is the op's name.

    Raises:
        UnsupportedLayerError: It is none of those of keras.activations that a device has.
    """
    layer = node.layer
    if type(layer) is _K.Softmax:
        return SOFTMAX
    if gated_activation(node) is not None:
        return GATED
    call = activations.unary_call(layer)
    if call is not None:
        return call.op.name
    function = getattr(layer, "activation", None)
    if function is None and type(layer) not in _PARAMETRIC:
        return LINEAR
    name = None if function is None else _known(_OTHERS, function)
    if name is None:
        _refuse_activation(node)
    return name


def _refuse_activation(node: Node) -> NoReturn:
    layer = node.layer
    if type(layer) in _PARAMETRIC:
        expected = "max_value above 0, alpha not below 0"
        received = f"max_value={layer.max_value}" if type(layer) is _K.ReLU else f"{layer.alpha}"
    else:
        names = (*(known.__name__ for known in (*_GATED, *_OTHERS)), *activations.FUNCTION_NAMES)
        expected = f"one of keras.activations, itself and not one like it: {', '.join(names)}"
        function = layer.activation
        received = (
            f"{getattr(function, '__module__', '')}.{getattr(function, '__name__', function)}"
        )
    raise UnsupportedLayerError(
        f"layer '{node.name}' ({kind_of(layer)})",
        expected,
        received,
        "Give the layer one of these.",
    )


def kind_of(layer: Any) -> str:
    """Name of a layer's class as the user knows it."""
    return type(layer).__name__.removeprefix("Masked")


def _known(table: Mapping[Any, Any], function: Any) -> Any:
    """What a table says of a function itself; a name, or being equal, is not enough."""
    function = known_activation(function) or function
    return next((value for known, value in table.items() if known is function), None)


def gated_activation(node: Node) -> tuple[Activation, float] | None:
    """The activation of a node, if one bit an element is all that its gradient needs.

    Returns:
        The activation and its negative slope, or None.
    """
    layer = node.layer
    if type(layer) is _K.LeakyReLU:
        return Activation.LEAKY_RELU, float(layer.negative_slope)
    if type(layer) is _K.ReLU:
        return _relu(layer)
    return _known(_GATED, getattr(layer, "activation", None))


def _relu(layer: Any) -> tuple[Activation, float] | None:
    """A ReLU with a threshold, another top than 6, or a slope and a top, needs more than a bit."""
    slope, top = float(layer.negative_slope or 0.0), layer.max_value
    if layer.threshold or top not in (None, 6) or (slope and top is not None):
        return None
    if top is not None:
        return Activation.RELU6, 0.0
    return (Activation.LEAKY_RELU, slope) if slope else (Activation.RELU, 0.0)


# --- shapes


def input_plane(node: Node, fusions: Fusions) -> tuple[int, int, int]:
    """(height, width, channels) that a weighted node reads: without fused padding."""
    return padding.input_plane(node, fusions.paddings.get(node.name))


def conv_options(node: Node, fusions: Fusions) -> dict[str, Any]:
    """The geometry of a convolution as `op_schema.CONV_2D_OPTIONS` has it.

    A dense layer over a map is a 1x1 convolution. Padding of a transposed one is that of the
    convolution from its output to its input.
    """
    layer = node.layer
    height, width, channels = input_plane(node, fusions)
    out_height, out_width, outputs = plane(layer.output.shape)
    kernel, stride, dilation = ((1, 1),) * 3
    before = (0, 0)
    if not isinstance(layer, MaskedDense):
        kernel, stride, dilation = (
            pair(getattr(layer, name)) for name in ("kernel_size", "strides", "dilation_rate")
        )
        pad = fusions.paddings.get(node.name)
        before = (
            _before(layer, (height, width), (out_height, out_width), kernel, stride, dilation)
            if pad is None
            else tuple(side[0] for side in padding_of(pad))
        )
    return {
        "input_channels": channels,
        "output_channels": outputs,
        "input_size": (height, width),
        "output_size": (out_height, out_width),
        "kernel_size": kernel,
        "stride": stride,
        "dilation": dilation,
        "padding": before,
    }


def kernel_window(node: Node) -> tuple[int, int]:
    """Height and width of a weighted node's kernel."""
    return (1, 1) if isinstance(node.layer, MaskedDense) else pair(node.layer.kernel_size)


def is_plain_dense(node: Node) -> bool:
    """A dense layer over a vector, not over a map."""
    return isinstance(node.layer, MaskedDense) and len(node.layer.input.shape) == 2


def is_depthwise(node: Node) -> bool:
    """A depthwise convolution."""
    return isinstance(node.layer, MaskedDepthwiseConv2D)


def is_transposed(node: Node) -> bool:
    """A transposed convolution."""
    return isinstance(node.layer, MaskedConvTranspose)


def _before(layer, size, out, kernel, stride, dilation) -> tuple[int, int]:
    """Positions of padding above and left, as TensorFlow pads."""
    if layer.padding == "valid":
        return 0, 0
    if isinstance(layer, MaskedConvTranspose):
        size, out = out, size
    if layer.padding == "causal":
        return 0, (kernel[1] - 1) * dilation[1]
    return tuple(  # type: ignore[return-value]
        same_padding(*axis) for axis in zip(size, out, kernel, stride, dilation, strict=True)
    )


def same_padding(size: int, out: int, kernel: int, stride: int, dilation: int = 1) -> int:
    """Positions before the first with TensorFlow's padding "SAME": the odd one goes to the end."""
    return max(0, (out - 1) * stride + (kernel - 1) * dilation + 1 - size) // 2
