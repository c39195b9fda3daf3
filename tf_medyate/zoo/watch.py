"""A small convolutional net for the smartwatch data of `tf_medyate.data.watch`.

Example:
    >>> model = watch_cnn()
    >>> model.count_params()
    18871
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from tf_medyate.zoo.network import Network

# Filters, kernel size, and whether a max-pool of 2 halves the time axis afterwards.
_STAGES = ((16, 7, True), (32, 5, True), (32, 3, True), (48, 3, False), (48, 3, False))


def watch_cnn(input_shape: Sequence[int] = (100, 6), classes: int = 7) -> keras.Model:
    """Builds five Conv1D + BatchNormalization + ReLU stages and a softmax head.

    | layer | output | weights |
    |---|---|---|
    | conv1, 7 wide, 16 filters; max-pool 2 | 50 x 16 | 672 |
    | conv2, 5 wide, 32 filters; max-pool 2 | 25 x 32 | 2,560 |
    | conv3, 3 wide, 32 filters; max-pool 2 | 12 x 32 | 3,072 |
    | conv4, 3 wide, 48 filters | 12 x 48 | 4,608 |
    | conv5, 3 wide, 48 filters | 12 x 48 | 6,912 |
    | global average pooling, dense | 7 | 343 |

    With 704 values of batch normalization that makes 18,871 parameters, 18,519 of them
    trainable. The convolutions have no bias: normalization supplies it, and folding the
    normalization into the convolution leaves one.

    Args:
        input_shape: Time steps and axes of one window; at least 8 time steps.
        classes: Number of classes.

    Returns:
        An uncompiled model with freshly drawn weights: [n, steps, axes] -> probabilities
        [n, classes]. Train it with "sparse_categorical_crossentropy".
    """
    x = inputs = keras.Input(tuple(input_shape), name="window")
    for place, (filters, width, pooled) in enumerate(_STAGES, start=1):
        x = keras.layers.Conv1D(
            filters,
            width,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"conv{place}",
        )(x)
        x = keras.layers.BatchNormalization(name=f"bn{place}")(x)
        x = keras.layers.ReLU(name=f"relu{place}")(x)
        if pooled:
            x = keras.layers.MaxPooling1D(2, name=f"pool{place}")(x)
    x = keras.layers.GlobalAveragePooling1D(name="average")(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs, name="watch_cnn")


NETWORK = Network(
    name="watch_cnn",
    build=watch_cnn,
    input_shape=(100, 6),
    classes=7,
    parameters=18_871,
    macs=410_576,
    source="ours: for tf_medyate.data.watch",
)
