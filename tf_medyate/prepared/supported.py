"""Which Keras layers can be fine-tuned, and refusals that say what to do instead."""

from __future__ import annotations

from typing import NoReturn

import keras

from tf_medyate.errors import UnsupportedLayerError
from tf_medyate.prepared.graph import Node
from tf_medyate.prepared.layers import (
    ChannelMasked,
    MaskedConv1D,
    MaskedConv2D,
    MaskedDense,
    MaskedDepthwiseConv2D,
)

_K = keras.layers

# Plain layer class -> its masked twin. Exact classes: a subclass may compute something else.
TWINS: dict[type, type[ChannelMasked]] = {
    _K.Conv2D: MaskedConv2D,
    _K.Conv1D: MaskedConv1D,
    _K.DepthwiseConv2D: MaskedDepthwiseConv2D,
    _K.Dense: MaskedDense,
}

WEIGHTLESS = (
    _K.InputLayer, _K.ReLU, _K.LeakyReLU, _K.Activation, _K.Add, _K.Concatenate, _K.MaxPooling1D,
    _K.MaxPooling2D, _K.AveragePooling1D, _K.AveragePooling2D, _K.GlobalMaxPooling1D,
    _K.GlobalMaxPooling2D, _K.GlobalAveragePooling1D, _K.GlobalAveragePooling2D, _K.ZeroPadding1D,
    _K.ZeroPadding2D, _K.Flatten, _K.Reshape, _K.Dropout, _K.Softmax, _K.Rescaling,
)  # fmt: skip

_ACTIVATIONS = ("linear", "relu", "relu6", "leaky_relu", "hard_swish", "hard_silu", "softmax")

_REMEDIES = {
    "SeparableConv1D": "Write it as a SeparableConv2D of height 1.",
    "Conv2DTranspose": "Cut the model before it and fine-tune the part that can be drawn from.",
    "Conv3D": "Only one- and two-dimensional convolutions run on the device.",
    "LayerNormalization": "Use BatchNormalization, which folds away.",
    "Lambda": "Use a layer of the list: a Lambda cannot be read.",
}


def supported_layers() -> tuple[str, ...]:
    """Names of the Keras layer classes that `prepare` accepts."""
    extra = (_K.SeparableConv2D, _K.BatchNormalization)
    return tuple(cls.__name__ for cls in (*TWINS, *extra, *WEIGHTLESS))


def refuse(node: Node, expected: str, received: str, remedy: str) -> NoReturn:
    """Raises UnsupportedLayerError with the layer's path and kind."""
    kind = type(node.layer).__name__
    raise UnsupportedLayerError(f"layer '{node.name}' ({kind})", expected, received, remedy)


def check_supported(node: Node):
    """Refuses a layer, or options of it, that cannot be folded, drawn from or exported.

    Raises:
        UnsupportedLayerError: With the layer's path, what would do, and what to do.
    """
    layer, kind = node.layer, type(node.layer)
    known = (*TWINS, *WEIGHTLESS, _K.SeparableConv2D, _K.BatchNormalization)
    if kind not in known:
        remedy = _REMEDIES.get(
            kind.__name__, "Replace it by a supported layer, or cut the model before it."
        )
        refuse(node, "one of " + ", ".join(supported_layers()), kind.__name__, remedy)
    if getattr(layer, "groups", 1) != 1:
        refuse(
            node,
            "groups=1: a channel of a grouped convolution has no row of its own",
            f"groups={layer.groups}",
            "Use a DepthwiseConv2D, or split the input and use one Conv2D per group.",
        )
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        refuse(
            node,
            'data_format="channels_last"',
            repr(layer.data_format),
            "Rebuild the model channels-last, the layout of TensorFlow Lite.",
        )
    if layer.compute_dtype != "float32" or layer.variable_dtype != "float32":
        refuse(
            node,
            "float32 weights and activations",
            f"dtype policy {layer.dtype_policy.name}",
            'Build the model under keras.config.set_dtype_policy("float32").',
        )
    _check_activation(node)


def _check_activation(node: Node):
    activation = getattr(node.layer, "activation", None)
    name = getattr(activation, "__name__", str(activation))
    if activation is not None and name not in _ACTIVATIONS:
        refuse(
            node,
            "activation " + ", ".join(_ACTIVATIONS),
            name,
            "Use one of these; for a sigmoid output, fine-tune up to the logits (from_logits).",
        )
