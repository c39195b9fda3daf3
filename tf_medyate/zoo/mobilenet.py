"""MobileNetV2, the net that the papers fine-tune, at the width that fits a microcontroller.

Example:
    >>> model = mobilenet_v2()
    >>> model.count_params()
    423018
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import keras

from tf_medyate.zoo.network import Network
from tf_medyate.zoo.weights import find_file, load_pretrained


def mobilenet_v2(
    alpha: float = 0.35, input_shape: Sequence[int] = (96, 96, 3), classes: int = 10
) -> keras.Model:
    """Builds Keras's own MobileNetV2 (Sandler et al., arXiv 1801.04381) without weights.

    At alpha 0.35 the convolutions and their normalization hold 410,208 parameters and the head
    1,281 per class: 423,018 for 10 classes, 408,938 of them trainable, and 1,691,208 for
    ImageNet's 1,000. 53 weighted layers.

    The ImageNet weights are not loaded, because that needs the network:
    `keras.applications.MobileNetV2(alpha=0.35, input_shape=(96, 96, 3), include_top=False)`
    fetches them, and its layers bear the same names.

    Args:
        alpha: Width multiplier of every layer.
        input_shape: Height, width and channels; height and width of at least 32.
        classes: Number of classes.

    Returns:
        An uncompiled model with freshly drawn weights: [n, height, width, channels], scaled to
        -1..1 -> probabilities [n, classes].
    """
    # Keras's hints leave out the None that its documentation asks for.
    return keras.applications.MobileNetV2(
        input_shape=tuple(input_shape),
        alpha=alpha,
        weights=None,  # pyright: ignore[reportArgumentType]
        classes=classes,
    )


def _build(input_shape: tuple[int, ...], classes: int) -> keras.Model:
    return mobilenet_v2(0.35, input_shape, classes)


_NAMES = tuple(
    f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96{top}.h5" for top in ("_no_top", "")
)
_WHERE = {
    "name": "mobilenet_v2_035_keras",
    "files": (*_NAMES, "mobilenet_v2_035_keras.keras", "mobilenet_v2_035_keras.h5"),
    "where": "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
    f"{_NAMES[0]} (ImageNet, by the authors of Keras)",
}
NETWORK = Network(
    name="mobilenet_v2_035_keras",
    build=_build,
    input_shape=(96, 96, 3),
    classes=1000,
    parameters=1_691_208,
    macs=11_934_128,
    source="github.com/tensorflow/models, research/slim/nets/mobilenet: float_v2_0.35_96, "
    "1.66 M parameters (normalization left out), 11 M MACs (rounded down)",
    pretrained=functools.partial(load_pretrained, build=_build, input_shape=(96, 96, 3), **_WHERE),
    locate=functools.partial(find_file, **_WHERE),
)
