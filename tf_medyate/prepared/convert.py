"""The masked layers that stand for a layer of the user's in a prepared model.

A batch normalization that is folded into a layer, or stands alone, comes as its scale and shift
(float64, [channels]). What works over a series in Keras alone works over a map of height 1 here.

Example:
    >>> from tf_medyate.prepared.graph import trace
    >>> x = keras.Input((8, 3))
    >>> node = trace(keras.Model(x, keras.layers.DepthwiseConv1D(3, name="wide")(x))).nodes[1]
    >>> [layer.name for layer in masked_layers_of(node, None, [])]
    ['wide.map', 'wide', 'wide.series']
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tf_medyate.prepared.graph import Node
from tf_medyate.prepared.layers import MaskedConv2D, MaskedDepthwiseConv2D
from tf_medyate.prepared.supported import SEPARABLE, SERIES, TWINS, known_activation
from tf_medyate.prepared.transposed import as_stored

_K = keras.layers

PENALTIES = (
    "kernel_regularizer", "bias_regularizer", "depthwise_regularizer", "pointwise_regularizer",
    "kernel_constraint", "bias_constraint", "depthwise_constraint", "pointwise_constraint",
    "gamma_regularizer", "beta_regularizer", "gamma_constraint", "beta_constraint",
    "recurrent_regularizer", "recurrent_constraint",
)  # fmt: skip

_DROPPED = (
    *PENALTIES, "activity_regularizer", "quantization_config", "lora_rank", "lora_alpha", "groups"
)  # fmt: skip

# Whatever keras.config.image_data_format() says now.
_LAST: dict[str, Any] = {"data_format": "channels_last"}


def standalone_norm(node: Node, affine, weights: list) -> list:
    """As a 1x1 depthwise convolution; over a vector or series, reshaped to a map and back."""
    scale, shift = affine
    rank, channels = node.layer.input_spec.ndim, scale.size
    layer = MaskedDepthwiseConv2D(1, **_LAST, name=node.name, trainable=node.layer.trainable)
    weights.append((layer, scale.reshape(1, 1, -1, 1), shift))
    return [layer] if rank == 4 else _over_map(node, rank, channels, [layer], channels)


def _over_map(node: Node, rank: int, channels: int, layers: list, outputs: int) -> list:
    """Layers over a map, for a vector or series: reshaped to a map of height 1 and back."""
    shape, name = ((outputs,), "vector") if rank == 2 else ((-1, outputs), "series")
    as_map = _K.Reshape((1, -1, channels), name=f"{node.name}.map")
    return [as_map, *layers, _K.Reshape(shape, name=f"{node.name}.{name}")]


def masked_layers_of(node: Node, affine, weights: list) -> list:
    """The masked layers of a layer; appends the weights that they are to be given."""
    layer, kind = node.layer, type(node.layer)
    if kind in SEPARABLE:
        layers = _split_separable(node, affine, weights)
    elif kind is _K.DepthwiseConv1D:
        layers = [_depthwise_over_map(node, affine, weights)]
    else:
        return [_twin(node, affine, weights)]
    channels, outputs = (int(t.shape[-1]) for t in (layer.input, layer.output))
    return _over_map(node, 3, channels, layers, outputs) if kind in SERIES else layers


def _twin(node: Node, affine, weights: list) -> Any:
    layer, kind = node.layer, type(node.layer)
    config = layer.get_config() | {"name": node.name}
    config["activation"] = known_activation(layer.activation) or layer.activation
    config = {k: v for k, v in config.items() if k not in _DROPPED}
    config |= {"use_bias": layer.use_bias or affine is not None}
    masked = TWINS[kind].from_config(config)
    kernel, bias = layer.kernel.numpy(), layer.bias.numpy() if layer.use_bias else None
    weights.append((masked, *_fold(as_stored(masked, kernel), bias, affine, kind)))
    return masked


def _depthwise_over_map(node: Node, affine, weights: list) -> Any:
    layer = node.layer
    masked = MaskedDepthwiseConv2D(
        **_window_over_map(layer),
        use_bias=layer.use_bias or affine is not None,
        activation=known_activation(layer.activation) or layer.activation,
        trainable=layer.trainable,
        name=node.name,
    )
    kernel, bias = layer.kernel.numpy()[None], layer.bias.numpy() if layer.use_bias else None
    weights.append((masked, *_fold(kernel, bias, affine, _K.DepthwiseConv2D)))
    return masked


def _window_over_map(layer: Any) -> dict[str, Any]:
    """What a depthwise convolution over maps is told of one over maps, or over series.

    TensorFlow wants strides of one length, and across a height of 1 any will do.
    """
    kernel, strides, dilation = (
        tuple(getattr(layer, name)) for name in ("kernel_size", "strides", "dilation_rate")
    )
    if len(kernel) == 1:
        kernel, strides, dilation = (1, *kernel), strides * 2, (1, *dilation)
    return {
        "kernel_size": kernel,
        "strides": strides,
        "padding": layer.padding,
        "dilation_rate": dilation,
        "depth_multiplier": layer.depth_multiplier,
        **_LAST,
    }


def _fold(kernel: np.ndarray, bias: np.ndarray | None, affine, kind: type):
    """Kernel and bias with a following affine map folded in, computed in float64."""
    if affine is None:
        return kernel, bias
    scale, shift = affine
    by_output = scale.reshape(kernel.shape[-2:]) if kind is _K.DepthwiseConv2D else scale
    folded_bias = shift if bias is None else bias * scale + shift
    return (kernel * by_output).astype(np.float32), folded_bias.astype(np.float32)


def _split_separable(node: Node, affine, weights: list) -> list:
    layer = node.layer
    depthwise = MaskedDepthwiseConv2D(
        **_window_over_map(layer),
        use_bias=False,
        trainable=layer.trainable,
        name=f"{node.name}.depthwise",
    )
    pointwise = MaskedConv2D(
        layer.filters,
        1,
        **_LAST,
        use_bias=layer.use_bias or affine is not None,
        activation=known_activation(layer.activation) or layer.activation,
        trainable=layer.trainable,
        name=f"{node.name}.pointwise",
    )
    kernel, point = layer.depthwise_kernel.numpy(), layer.pointwise_kernel.numpy()
    if kernel.ndim == 3:
        kernel, point = kernel[None], point[None]
    weights.append((depthwise, kernel, None))
    bias = layer.bias.numpy() if layer.use_bias else None
    weights.append((pointwise, *_fold(point, bias, affine, _K.Conv2D)))
    return [depthwise, pointwise]
