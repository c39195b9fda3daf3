"""Which Keras layers are masked, and refusals that say what to do instead.

A layer stands in a prepared model in one of three ways:

    masked   Dense and convolutions: channels are drawn from them
    folded   batch normalization: into the layer before it, or a scale and shift of its own
    kept     everything else, as it is; frozen if it has weights
"""

from __future__ import annotations

from typing import Any, NoReturn

import keras
import tensorflow as tf

from tf_medyate.errors import UnsupportedLayerError
from tf_medyate.prepared.graph import ModelGraph, Node, own_method
from tf_medyate.prepared.layers import (
    ChannelMasked,
    MaskedConv1D,
    MaskedConv2D,
    MaskedDense,
    MaskedDepthwiseConv2D,
)
from tf_medyate.prepared.transposed import MaskedConv1DTranspose, MaskedConv2DTranspose

_K = keras.layers

# Plain layer class -> its masked twin. Exact classes: a subclass may compute something else.
TWINS: dict[type, type[ChannelMasked]] = {
    _K.Conv2D: MaskedConv2D,
    _K.Conv1D: MaskedConv1D,
    _K.Conv2DTranspose: MaskedConv2DTranspose,
    _K.Conv1DTranspose: MaskedConv1DTranspose,
    _K.DepthwiseConv2D: MaskedDepthwiseConv2D,
    _K.Dense: MaskedDense,
}

# Layers with two kernels: their two halves are masked.
SEPARABLE = (_K.SeparableConv1D, _K.SeparableConv2D)
# Layers over a series that become layers over a map of height 1.
SERIES = (_K.DepthwiseConv1D, _K.SeparableConv1D)

MASKABLE = (*TWINS, *SEPARABLE, *SERIES)
CALLED_TWICE = ("a layer called more than once", "Give each call a layer of its own.")

_A = keras.activations

# Keras's activation, and other functions that compute the very same.
_ACTIVATIONS: tuple[tuple[Any, ...], ...] = (
    (_A.linear, tf.identity),
    (_A.relu, keras.ops.relu, tf.nn.relu),
    (_A.relu6, keras.ops.relu6, tf.nn.relu6),
    (_A.leaky_relu, keras.ops.leaky_relu, tf.nn.leaky_relu),
    (_A.hard_silu, keras.ops.hard_silu),
    (_A.softmax, keras.ops.softmax, tf.nn.softmax),
    (_A.sigmoid, keras.ops.sigmoid, tf.nn.sigmoid),
    (_A.hard_sigmoid, keras.ops.hard_sigmoid),
    (_A.tanh, keras.ops.tanh, tf.nn.tanh, tf.tanh),
    (_A.silu, keras.ops.silu, tf.nn.silu, tf.nn.swish),
    (_A.gelu, tf.nn.gelu),
    (_A.elu, keras.ops.elu, tf.nn.elu),
    (_A.selu, keras.ops.selu, tf.nn.selu),
    (_A.softplus, keras.ops.softplus, tf.nn.softplus),
    (_A.softsign, keras.ops.softsign, tf.nn.softsign),
    (_A.exponential, keras.ops.exp, tf.exp),
)

_LEARNS_OR_ANSWERS = (
    "call", "train_step", "test_step", "predict_step", "compute_loss", "compute_metrics"
)  # fmt: skip

_WEIGHTS = ("kernel", "bias", "depthwise_kernel", "pointwise_kernel", "gamma", "beta")

_FLOAT32 = ("float32", "float32")


def is_maskable(graph: ModelGraph, node: Node) -> bool:
    """A layer that channels can be drawn from: itself, or the layers that it is split into."""
    return type(node.layer) in MASKABLE and why_not_masked(graph, node) is None


def why_not_masked(graph: ModelGraph, node: Node) -> tuple[str, str] | None:
    """Why a layer of a kind that is masked stays as it is, and what to do; None if it does not.

    A channel has no row of its own then, or several.
    """
    layer = node.layer
    if graph.calls(layer) != 1:
        return CALLED_TWICE
    if node.arguments is not None:
        return "a call with more than its input", "Call it with the tensor alone."
    if getattr(layer, "groups", 1) != 1:
        return "a convolution in groups", "Leave groups out, or take a DepthwiseConv2D."
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return "a map with its channels first", 'Build it with data_format="channels_last".'
    return None


def is_affine(graph: ModelGraph, node: Node) -> bool:
    """A batch normalization that can be folded, or kept as a scale and shift of channels."""
    layer: Any = node.layer
    if type(layer) is not _K.BatchNormalization or graph.calls(layer) != 1 or node.arguments:
        return False
    spec: Any = layer.input_spec
    rank = spec.ndim
    return rank in (2, 3, 4) and layer.axis in (-1, rank - 1)


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


def check_methods(model: Any, checked=_LEARNS_OR_ANSWERS):
    """Refuses models with steps of their own.

    Raises:
        UnsupportedLayerError: `prepare` would drop what they do.
    """
    name = own_method(model, checked)
    if name is not None:
        raise UnsupportedLayerError(
            f"model '{model.name}' ({type(model).__name__})",
            "Keras's own methods: those of a subclass would be lost",
            f"a {name}() of its own",
            "Prepare keras.Model(model.inputs, model.outputs); for a step of your own, see "
            "set_model, begin_epoch and end_epoch of MeDyate.",
        )


def check_supported(node: Node):
    """Refuses options of a layer that is to be folded or drawn from, if they would be lost.

    Raises:
        UnsupportedLayerError: With the layer's path, what would do, and what to do.
    """
    layer, kind = node.layer, type(node.layer)
    if kind is _K.BatchNormalization and node.training:
        received = "a call with training=True: statistics of each batch"
        refuse(node, "the statistics that were learned", received, "Leave training=True out.")
    adapted = getattr(layer, "quantization_mode", None) or getattr(layer, "lora_enabled", False)
    if adapted:
        received = "LoRA" if adapted is True else f"one quantized to {adapted}"
        refuse(node, "a plain float32 kernel", received, "Prepare the model before that.")
    for weight in (getattr(layer, name, None) for name in _WEIGHTS):
        if weight is not None and weight.trainable != layer.trainable:
            received = f"{weight.name} alone {'trainable' if weight.trainable else 'frozen'}"
            refuse(node, "whole layers frozen", received, "Set `layer.trainable`, for all of it.")
    if getattr(layer, "activity_regularizer", None) is not None:
        refuse(
            node,
            "no activity_regularizer",
            type(layer.activity_regularizer).__name__,
            "Leave it out: folding would change its input. An ActivityRegularization layer stays.",
        )
    if (layer.compute_dtype, layer.variable_dtype) != _FLOAT32:
        refuse(
            node,
            "float32 weights and activations",
            f"dtype policy {layer.dtype_policy.name}",
            'Build the model under keras.config.set_dtype_policy("float32").',
        )
    activation = getattr(layer, "activation", None)
    if isinstance(activation, keras.layers.Layer):  # it may have weights of its own
        refuse(
            node,
            "a function as its activation",
            type(activation).__name__,
            "Put it after the layer, as a layer of its own.",
        )


def known_activation(function) -> Any:
    """Keras's own activation that computes what a function does, None for an unknown one.

    Told by identity: a user's function may have any name.
    """
    same = (row[0] for row in _ACTIVATIONS if any(known is function for known in row))
    return next(same, None)
