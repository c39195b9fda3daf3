"""How large a network is, in the two numbers that papers publish.

Example:
    >>> from tf_medyate.zoo.resnet import resnet8
    >>> macs(resnet8())
    12501632
"""

from __future__ import annotations

import math

import keras

from tf_medyate.errors import UnsupportedLayerError

_K = keras.layers
_FREE = (_K.BatchNormalization, _K.Rescaling)


def macs(model: keras.Model) -> int:
    """Counts the multiply-accumulates of one inference, as MIT's and MLPerf Tiny's tables do.

    Convolutions and dense layers alone: an output element costs as many multiply-accumulates as
    its window holds weights, padding included. Biases, batch normalization (folded away before
    deployment), activations, sums and pooling count nothing.

    Args:
        model: A model with a known input shape. Nested models are not looked into.

    Returns:
        Multiply-accumulates for a batch of one.

    Raises:
        UnsupportedLayerError: A layer with weights is of another kind.
    """
    return sum(_layer_macs(layer) for layer in model.layers)


def _layer_macs(layer: keras.Layer) -> int:
    if not layer.weights or isinstance(layer, _FREE):
        return 0
    if isinstance(layer, _K.Dense):
        return math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1])
    if isinstance(layer, (_K.Conv1D, _K.Conv2D, _K.DepthwiseConv2D)):
        # A kernel of either kind holds one window of each output channel.
        return math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1])
    raise UnsupportedLayerError(
        f"layer '{layer.name}'",
        "a convolution or a dense layer",
        type(layer).__name__,
        "Count its multiply-accumulates by hand.",
    )
