"""The three nets that the papers fine-tune, as MIT's tiny-training publishes them.

ImageNet weights at 128 x 128 pixels, quantized to 8 bits with batch normalization folded; here in
real values, ready to be fine-tuned in Keras. MobileNetV2 and ProxylessNAS are without the last 1x1
convolution of `tf_medyate.zoo.inverted`'s, and none has batch normalization. The published top-1
accuracies, in 8 bits, are 45.7 (MobileNetV2), 54.1 (MCUNet) and 48.3 % (ProxylessNAS).

Example:
    >>> model = get_network("mcunet_in1_folded").pretrained(10, path="mcu_models")
    >>> whole = get_network("mcunet_in1_folded").pretrained(1000, head=True)     # MEDYATE_WEIGHTS
"""

from __future__ import annotations

import functools
import itertools
import os
import pathlib
from collections.abc import Callable, Sequence

import keras

from tf_medyate.errors import DataError, OptionError
from tf_medyate.zoo import inverted
from tf_medyate.zoo.inverted import InvertedBlock
from tf_medyate.zoo.mcu_file import McuNet, read_mcu
from tf_medyate.zoo.network import Network
from tf_medyate.zoo.weights import find_file, transfer

WHERE = "github.com/mit-han-lab/tiny-training, folder algorithm/assets/mcu_models"
_PIXELS = 128


def load_folded(
    classes: int,
    *,
    name: str,
    build: Callable[[Sequence[int], int], keras.Model],
    blocks: Sequence[InvertedBlock],
    file: str,
    input_shape: Sequence[int] = (_PIXELS, _PIXELS, 3),
    path: str | os.PathLike | None = None,
    head: bool = False,
) -> keras.Model:
    """Builds a net and loads its file, after comparing the two block by block.

    Args:
        classes: Number of classes.
        name: The net's name, for errors.
        build: (input shape, number of classes) -> the net without batch normalization.
        blocks: The table that it is built from.
        file: Name of the file in a folder.
        input_shape: Height, width and channels of the input.
        path: The file, or the folder it lies in; the environment variable MEDYATE_WEIGHTS if None.
        head: Load the file's classifier, too; `classes` must be its 1,000.

    Returns:
        An uncompiled model; without `head` its head is freshly drawn.

    Raises:
        DataError: There is no such file, it cannot be read, or it belongs to another net.
        OptionError: `head` with another number of classes.
    """
    found = _locate(name, file, path)
    net = read_mcu(found)
    _compare(name, blocks, net, str(found))
    saved = len(net.layers[-1].arrays[1])
    if head and classes != saved:
        remedy = "Leave head out for a fresh one."
        raise OptionError("classes", f"{saved:,}, as in the file", f"{classes:,}", remedy)
    model = build(input_shape, classes)
    transfer(net.layers, model, str(found), head=head)
    return model


def _locate(name: str, file: str, path: str | os.PathLike | None = None) -> pathlib.Path:
    return find_file(name, (file,), f"{file} ({WHERE})", path)


def _compare(name: str, blocks: Sequence[InvertedBlock], net: McuNet, file: str) -> None:
    """Strides and shortcuts are in no weight's shape, so the tables are compared themselves."""
    pairs = itertools.zip_longest(blocks, net.blocks)
    for place, (ours, theirs) in enumerate(pairs, start=1):
        if ours != theirs:
            expected = f"{ours or 'no more blocks'} as block {place} of {name}"
            raise DataError(file, expected, str(theirs), "Give the file of this net.")
    if net.mix:
        expected = f"no convolution after the blocks of {name}"
        raise DataError(file, expected, f"one of {net.mix}", "Give the file of this net.")


def _entry(
    build: Callable[..., keras.Model],
    blocks: Sequence[InvertedBlock],
    file: str,
    parameters: int,
    macs: int,
    **options: bool,
) -> Network:
    name = f"{build.__name__}_folded"
    build = functools.partial(build, norm=False, **options)
    return Network(
        name=name,
        build=build,
        input_shape=(_PIXELS, _PIXELS, 3),
        classes=1000,
        parameters=parameters,
        macs=macs,
        source=f"{file} of {WHERE}; counted there, biases instead of batch normalization",
        pretrained=functools.partial(load_folded, name=name, build=build, blocks=blocks, file=file),
        locate=functools.partial(_locate, name, file),
    )


NETWORK = (
    _entry(
        *(inverted.mobilenet_v2_035, inverted.MOBILENET_V2, "mbv2-w0.35.pkl"),
        parameters=357_448,
        macs=16_758_912,
        mix=False,
    ),
    _entry(
        *(inverted.mcunet_in1, inverted.MCUNET_IN1, "mcunet-5fps.pkl"),
        parameters=630_224,
        macs=22_613_504,
    ),
    _entry(
        *(inverted.proxyless_w03, inverted.PROXYLESSNAS, "proxyless-w0.3.pkl"),
        parameters=423_232,
        macs=18_715_904,
        mix=False,
    ),
)
