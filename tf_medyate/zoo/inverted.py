"""Nets of inverted bottlenecks: the three that the papers fine-tune, as MIT publishes them.

MobileNetV2 at width 0.35 (Sandler et al., arXiv 1801.04381), MCUNet-in1 (Lin et al., arXiv
2007.10319) and ProxylessNAS at width 0.3 (Cai et al., arXiv 1812.00332), in the sizes of MIT's
model zoo (github.com/mit-han-lab/mcunet), which "On-Device Training Under 256KB Memory" and the
papers after it start from. All are stacks of

    1x1 expansion -> k x k depthwise convolution -> 1x1 projection without activation

each followed by batch normalization, with ReLU6 between, and the sum with the block's input where
neither stride nor width changes. A table of four columns says it all. Two arguments say what the
table does not: whether there is a last 1x1 convolution before the average, and whether batch
normalization is there or folded away into biases.

Maps are padded by floor(k / 2) on every side, also where the stride is 2, as PyTorch does: the
published weights want that. Keras's "same" would pad one side only.

Example:
    >>> model = mcunet_in1(classes=10)
    >>> model.count_params()
    488858
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras

from tf_medyate.zoo.network import Network
from tf_medyate.zoo.weights import find_file, load_pretrained

_STEM = 16
_HOST = "https://hanlab18.mit.edu/projects/tinyml/mcunet/release/"


class InvertedBlock(NamedTuple):
    """One inverted bottleneck.

    Attributes:
        kernel: Height and width of the depthwise convolution.
        expansion: How many times wider the block is inside; 1 leaves the expansion out.
        channels: Output channels.
        stride: Stride of the depthwise convolution.
    """

    kernel: int
    expansion: int
    channels: int
    stride: int


MOBILENET_V2 = (
    InvertedBlock(3, 1, 8, 1),
    *(InvertedBlock(3, 6, 8, 2), InvertedBlock(3, 6, 8, 1)),
    *(InvertedBlock(3, 6, 16, 2), *[InvertedBlock(3, 6, 16, 1)] * 2),
    *(InvertedBlock(3, 6, 24, 2), *[InvertedBlock(3, 6, 24, 1)] * 3),
    *[InvertedBlock(3, 6, 32, 1)] * 3,
    *(InvertedBlock(3, 6, 56, 2), *[InvertedBlock(3, 6, 56, 1)] * 2),
    InvertedBlock(3, 6, 112, 1),
)
MCUNET_IN1 = (
    InvertedBlock(3, 1, 8, 1),
    *(InvertedBlock(3, 4, 16, 2), InvertedBlock(3, 3, 16, 1)),
    *(InvertedBlock(7, 3, 24, 2), InvertedBlock(3, 5, 24, 1)),
    *(InvertedBlock(3, 5, 40, 2), InvertedBlock(7, 4, 40, 1)),
    *(InvertedBlock(5, 4, 48, 1), InvertedBlock(3, 3, 48, 1), InvertedBlock(3, 4, 48, 1)),
    *(InvertedBlock(7, 5, 96, 2), *[InvertedBlock(5, 4, 96, 1)] * 2),
    InvertedBlock(3, 6, 160, 1),
)
PROXYLESSNAS = (
    InvertedBlock(3, 1, 8, 1),
    *(InvertedBlock(5, 3, 16, 2), InvertedBlock(3, 3, 16, 1)),
    *(InvertedBlock(7, 3, 16, 2), InvertedBlock(3, 3, 16, 1), *[InvertedBlock(5, 3, 16, 1)] * 2),
    *(InvertedBlock(7, 6, 24, 2), *[InvertedBlock(5, 3, 24, 1)] * 3),
    *(InvertedBlock(5, 6, 32, 1), *[InvertedBlock(5, 3, 32, 1)] * 3),
    *(InvertedBlock(7, 6, 64, 2), InvertedBlock(7, 6, 64, 1), *[InvertedBlock(7, 3, 64, 1)] * 2),
    InvertedBlock(7, 6, 96, 1),
)


def _conv(
    x: Any, filters: int | None, kernel: int, stride: int, name: str, epsilon: float | None
) -> Any:
    """A convolution (depthwise if `filters` is None), with its normalization or a bias."""
    folded = epsilon is None
    padding = "same"
    if stride > 1:
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        padding = "valid"
    options = {"strides": stride, "padding": padding, "use_bias": folded, "name": f"{name}_conv"}
    if filters is None:
        layer = keras.layers.DepthwiseConv2D(kernel, depthwise_initializer="he_normal", **options)
    else:
        layer = keras.layers.Conv2D(filters, kernel, kernel_initializer="he_normal", **options)
    if folded:
        return layer(x)
    return keras.layers.BatchNormalization(epsilon=epsilon, name=f"{name}_bn")(layer(x))


def _relu6(x: Any, name: str) -> Any:
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x)


def _bottleneck(x: Any, block: InvertedBlock, name: str, epsilon: float | None) -> Any:
    """One inverted bottleneck, with its shortcut if it has one."""
    y, width = x, x.shape[-1]
    if block.expansion > 1:
        y = _conv(y, width * block.expansion, 1, 1, f"{name}_expand", epsilon)
        y = _relu6(y, f"{name}_expand")
    y = _conv(y, None, block.kernel, block.stride, f"{name}_depthwise", epsilon)
    y = _relu6(y, f"{name}_depthwise")
    y = _conv(y, block.channels, 1, 1, f"{name}_project", epsilon)
    if block.stride == 1 and block.channels == width:
        y = keras.layers.Add(name=f"{name}_add")([x, y])
    return y


def inverted_bottlenecks(
    blocks: Sequence[InvertedBlock],
    mix: int,
    input_shape: Sequence[int],
    classes: int,
    epsilon: float | None,
    name: str,
) -> keras.Model:
    """Builds a net from its table.

    Args:
        blocks: The bottlenecks, from the input to the output.
        mix: Width of the 1x1 convolution between the last block and the average; 0 for none.
        input_shape: Height, width and channels.
        classes: Number of classes.
        epsilon: What batch normalization adds to the variance; None for a net without: its
            convolutions have biases.
        name: Name of the model.

    Returns:
        An uncompiled model with freshly drawn weights: [n, height, width, channels], scaled to
        -1..1 -> probabilities [n, classes].
    """
    x = inputs = keras.Input(tuple(input_shape), name="image")
    x = _relu6(_conv(x, _STEM, 3, 2, "stem", epsilon), "stem")
    for place, block in enumerate(blocks, start=1):
        x = _bottleneck(x, block, f"block{place}", epsilon)
    if mix:
        x = _relu6(_conv(x, mix, 1, 1, "mix", epsilon), "mix")
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs, name=name)


def mobilenet_v2_035(
    input_shape: Sequence[int] = (144, 144, 3),
    classes: int = 1000,
    mix: bool = True,
    norm: bool = True,
) -> keras.Model:
    """Builds MobileNetV2 at width 0.35 as MIT's zoo has it: 448 features before the head.

    Keras's (`tf_medyate.zoo.mobilenet_v2`) keeps 1,280 features there at every width, which is
    more than all the rest of the net.

    Args:
        input_shape: Height, width and channels.
        classes: Number of classes.
        mix: With the 1x1 convolution before the average. MIT's training code leaves it out.
        norm: With batch normalization; else with biases, as after folding.

    Returns:
        See `inverted_bottlenecks`.
    """
    epsilon, width = 1e-3 if norm else None, 448 if mix else 0
    return inverted_bottlenecks(
        MOBILENET_V2, width, input_shape, classes, epsilon, "mobilenet_v2_035"
    )


def mcunet_in1(
    input_shape: Sequence[int] = (96, 96, 3), classes: int = 1000, norm: bool = True
) -> keras.Model:
    """Builds MCUNet-in1, the zoo's "5 frames a second" net; see `mobilenet_v2_035`."""
    epsilon = 1e-5 if norm else None
    return inverted_bottlenecks(MCUNET_IN1, 0, input_shape, classes, epsilon, "mcunet_in1")


def proxyless_w03(
    input_shape: Sequence[int] = (176, 176, 3),
    classes: int = 1000,
    mix: bool = True,
    norm: bool = True,
) -> keras.Model:
    """Builds ProxylessNAS (mobile) at width 0.3; see `mobilenet_v2_035`.

    The zoo does not list the epsilon of its normalization apart from the weights; 1e-3 is what
    the unscaled net and the zoo's MobileNetV2 have.
    """
    epsilon, width = 1e-3 if norm else None, 384 if mix else 0
    return inverted_bottlenecks(PROXYLESSNAS, width, input_shape, classes, epsilon, "proxyless_w03")


def _entry(
    build: Callable[..., keras.Model], size: int, parameters: int, macs: int, names: str, file: str
) -> Network:
    """One line of MIT's table. `names`: how the table calls the net, and its two figures."""
    name = build.__name__
    shape = (size, size, 3)
    where = {
        "name": name,
        "files": (file, f"{name}.pth"),
        "where": f"{_HOST}{file} (ImageNet, by the authors of MCUNet)",
    }
    return Network(
        name=name,
        build=build,
        input_shape=shape,
        classes=1000,
        parameters=parameters,
        macs=macs,
        source=f"github.com/mit-han-lab/mcunet, README: {names}",
        pretrained=functools.partial(load_pretrained, build=build, input_shape=shape, **where),
        locate=functools.partial(find_file, **where),
    )


NETWORK = (
    _entry(
        *(mobilenet_v2_035, 144, 750_280, 23_499_152),
        "mbv2-w0.35, 0.75 M parameters, 23.5 M MACs at 144 x 144",
        "mbv2-w0.35-r144_imagenet.pth",
    ),
    _entry(
        *(mcunet_in1, 96, 636_232, 12_790_096),
        "mcunet-in1, 0.64 M parameters, 12.8 M MACs at 96 x 96",
        "mcunet-5fps_imagenet.pth",
    ),
    _entry(
        *(proxyless_w03, 176, 754_280, 38_282_216),
        "proxyless-w0.3, 0.75 M parameters, 38.3 M MACs at 176 x 176",
        "proxyless-w0.3-r176_imagenet.pth",
    ),
)
