"""Which Keras layers can be fine-tuned, and refusals that say what to do instead."""

from __future__ import annotations

import functools
from typing import Any, NoReturn

import keras
import tensorflow as tf

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

_A = keras.activations

# Keras's activation, and other functions that compute the very same.
_ACTIVATIONS: tuple[tuple[Any, ...], ...] = (
    (_A.linear, tf.identity),
    (_A.relu, keras.ops.relu, tf.nn.relu),
    (_A.relu6, keras.ops.relu6, tf.nn.relu6),
    (_A.leaky_relu, keras.ops.leaky_relu, tf.nn.leaky_relu),
    (_A.hard_silu, keras.ops.hard_silu),
    (_A.softmax, keras.ops.softmax, tf.nn.softmax),
)

_LEARNS_OR_ANSWERS = (
    "call", "train_step", "test_step", "predict_step", "compute_loss", "compute_metrics"
)  # fmt: skip

_WEIGHTS = ("kernel", "bias", "depthwise_kernel", "pointwise_kernel", "gamma", "beta")

_REMEDIES = {
    "SeparableConv1D": "Write it as a SeparableConv2D of height 1.",
    "Conv2DTranspose": "Cut the model before it and fine-tune the part that can be drawn from.",
    "Conv3D": "Only one- and two-dimensional convolutions run on the device.",
    "LayerNormalization": "Use BatchNormalization, which folds away.",
    "Add": "Write the sum as keras.layers.Add()([x, y]).",
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


def check_policy():
    """Refuses to go on while Keras makes layers of another type than float32.

    Raises:
        UnsupportedLayerError: A mixed precision or quantizing policy is in force.
    """
    policy = keras.config.dtype_policy()
    if (policy.compute_dtype, policy.variable_dtype) != ("float32", "float32"):
        raise UnsupportedLayerError(
            "keras.config.dtype_policy()",
            "float32",
            policy.name,
            'Call keras.config.set_dtype_policy("float32"), then build or load the model again.',
        )


@functools.cache
def _plain_classes() -> tuple[type, type]:
    """The classes of models that Keras itself makes: Sequential, and of keras.Model(x, y)."""
    x = keras.Input((1,))
    return keras.Sequential, type(keras.Model(x, x))


def check_methods(model: Any, path: str = "", checked=_LEARNS_OR_ANSWERS):
    """Refuses models with steps of their own, nested ones with a call of their own.

    Raises:
        UnsupportedLayerError: `prepare` would drop what they do.
    """
    plain = next((cls for cls in _plain_classes() if isinstance(model, cls)), type(model))
    for name in checked:
        if name in vars(model) or getattr(type(model), name) is not getattr(plain, name):
            raise UnsupportedLayerError(
                f"model '{path}{model.name}' ({type(model).__name__})",
                "Keras's own methods: those of a subclass would be lost",
                f"a {name}() of its own",
                "Prepare keras.Model(model.inputs, model.outputs); for a step of your own, see "
                "set_model, begin_epoch and end_epoch of MeDyate.",
            )
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            check_methods(layer, f"{path}{model.name}.", ("call",))


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
        layers = "one of " + ", ".join(supported_layers())
        if not isinstance(layer, keras.layers.Layer):
            received = f"keras.ops.{layer.name}, or an operator such as +: no layer"
            refuse(node, "a layer, " + layers, received, remedy)
        refuse(node, layers, kind.__name__, remedy)
    if kind is _K.BatchNormalization and node.in_training:
        received = "a call with training=True: statistics of each batch"
        refuse(node, "the statistics that were learned", received, "Leave training=True out.")
    for weight in (getattr(layer, name, None) for name in _WEIGHTS):
        if weight is not None and weight.trainable != layer.trainable:
            received = f"{weight.name} alone {'trainable' if weight.trainable else 'frozen'}"
            refuse(node, "whole layers frozen", received, "Set `layer.trainable`, for all of it.")
    if getattr(layer, "activity_regularizer", None) is not None:
        refuse(
            node,
            "no activity_regularizer",
            type(layer.activity_regularizer).__name__,
            "Leave it out: the device does not compute it, and folding would change its input.",
        )
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
    if kind is not _K.InputLayer and (layer.compute_dtype, layer.variable_dtype) != (
        "float32",
        "float32",
    ):
        refuse(
            node,
            "float32 weights and activations",
            f"dtype policy {layer.dtype_policy.name}",
            'Build the model under keras.config.set_dtype_policy("float32").',
        )
    _check_activation(node)


def known_activation(function) -> Any:
    """Keras's own activation that computes what a function does, None for an unknown one.

    Told by identity: a user's function may have any name.
    """
    same = (row[0] for row in _ACTIVATIONS if any(known is function for known in row))
    return next(same, None)


def _check_activation(node: Node):
    activation = getattr(node.layer, "activation", None)
    if activation is None or known_activation(activation) is not None:
        return
    names = [row[0].__name__ for row in _ACTIVATIONS]
    name = getattr(activation, "__name__", type(activation).__name__)
    refuse(
        node,
        f"one of Keras's activations {', '.join(names)}",
        f"another function called {name}" if name in names else name,
        "Use one of these, or put a layer such as LeakyReLU(0.1) after this one; for a sigmoid "
        "output, fine-tune up to the logits (from_logits).",
    )
