"""Reads the nets that MIT's tiny-training publishes, without PyTorch, and calls nothing they name.

A file (`algorithm/assets/mcu_models/*.pkl`) is a zip archive with one pickle: a dictionary with
`first_conv`, `blocks`, `feature_mix` and `classifier`, in 8-bit integers, batch normalization
folded. A convolution says its own geometry and holds

    weight     int8  [out, in / groups, kernel, kernel]       real value: weight * w_scales
    bias       int32 [out]                                    real value: bias * x_scale * w_scales
    w_scales   float32 [out]
    x_scale, x_zero, y_scale, y_zero                          of the maps before and after

NumPy arrays in a pickle are made by calling four functions. Here four of our own stand in for them,
which note shape, type and bytes, and check that these fit each other.

Example:
    >>> net = read_mcu("mcunet-5fps.pkl")
    >>> net.blocks[1]
    Block(kernel=3, expansion=4, channels=16, stride=2)
"""

from __future__ import annotations

import dataclasses
import io
import math
import os
import pathlib
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_medyate.errors import DataError
from tf_medyate.zoo.inverted import InvertedBlock
from tf_medyate.zoo.pickles import Fixed, check_archive, check_pickle
from tf_medyate.zoo.weights import LayerWeights

_MOST_BYTES = 16 * 2**20  # the largest of the three has 1 MiB
_DTYPES = {"i1": "<i1", "i4": "<i4", "f4": "<f4"}
_REMEDY = "Download the file once more; docs/extending.md says from where."


@dataclasses.dataclass(frozen=True, eq=False)
class McuNet:
    """A net of tiny-training's, dequantized.

    Attributes:
        layers: Kernels and biases in execution order, the classifier last, laid out as Keras's.
        blocks: The table of inverted bottlenecks that the file holds.
        mix: Width of the 1x1 convolution after the blocks; 0 for none.
        pixels: Height and width of the input that it was quantized for.
    """

    layers: tuple[LayerWeights, ...]
    blocks: tuple[InvertedBlock, ...]
    mix: int
    pixels: int


def read_mcu(path: str | os.PathLike) -> McuNet:
    """Reads a file.

    Args:
        path: One of tiny-training's `.pkl` files.

    Returns:
        The net in real values.

    Raises:
        DataError: The file cannot be read, names anything but arrays, is too large, or does not
            describe a net of inverted bottlenecks.
    """
    path = pathlib.Path(path)
    try:
        return _net(_load(path))
    except Exception as error:  # a broken pickle may raise anything
        received = str(error) if isinstance(error, pickle.UnpicklingError) else repr(error)
        expected = "a net as tiny-training publishes it"
        raise DataError(str(path), expected, received, _REMEDY) from error


def _load(path: pathlib.Path) -> Any:
    if path.stat().st_size > _MOST_BYTES:
        raise pickle.UnpicklingError(f"a file of more than {_MOST_BYTES:,} bytes")
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, path)
        stream = io.BytesIO(archive.read("archive/data.pkl"))
    check_pickle(stream)
    return _Reader(stream).load()


class _Kind:
    """Stands in for `numpy.dtype`: a type's code, and nothing else that a pickle may say of it."""

    def __init__(self, code: str, *_: Any):
        if code not in _DTYPES:
            raise pickle.UnpicklingError(f"an array of {code!r}")
        self.dtype = np.dtype(_DTYPES[code])

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", "|"):
            raise pickle.UnpicklingError(f"the byte order {state[1]!r}")


class _Array:
    """Stands in for an array under construction; what fills it must fit it."""

    value: np.ndarray

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_column, content = state
        if not isinstance(kind, _Kind) or not isinstance(content, bytes) or by_column:
            raise pickle.UnpicklingError("an array that does not lie row by row in bytes")
        if math.prod(shape) * kind.dtype.itemsize != len(content) or min(shape, default=0) < 0:
            raise pickle.UnpicklingError(f"an array {shape} of {len(content)} bytes")
        self.value = np.frombuffer(content, kind.dtype).reshape(shape)


class _Reader(pickle.Unpickler):
    """Knows the four names that an array in a pickle needs, and refuses every other."""

    _KNOWN: Mapping[tuple[str, str], str] = {
        ("numpy.core.multiarray", "_reconstruct"): "_reconstruct",
        ("numpy", "ndarray"): "_ndarray",
        ("numpy", "dtype"): "_dtype",
        ("_codecs", "encode"): "_encode",
    }
    _ndarray = "ndarray"  # only ever handed back to `_reconstruct`
    _dtype = _Kind

    def __init__(self, stream: io.BytesIO):
        super().__init__(stream)
        self._left = _MOST_BYTES

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"the name {module}.{name}")
        known = getattr(self, self._KNOWN[module, name])
        return known if isinstance(known, str) else Fixed(known)

    def _reconstruct(self, kind: Any, shape: Any, code: Any) -> _Array:
        if kind is not self._ndarray or shape != (0,):
            raise pickle.UnpicklingError(f"an array of {kind!r} and {shape!r}")
        return _Array()

    def _encode(self, text: str, encoding: str) -> bytes:
        """Bytes of a pickle of protocol 2. One text may be asked for often: all of it counts."""
        self._left -= len(text)
        if encoding != "latin1" or self._left < 0:
            raise pickle.UnpicklingError(f"bytes in {encoding}, or more than {_MOST_BYTES:,}")
        return text.encode("latin1")


def _net(saved: Any) -> McuNet:
    """From the file's dictionary to the net."""
    stem, blocks, mix = saved["first_conv"], saved["blocks"], saved["feature_mix"]
    layers = [_layer("first_conv", stem, stride=2)]
    table = []
    for place, block in enumerate(blocks):
        table.append(_block(place, block))
        parts = ("pointwise1", "depthwise", "pointwise2")
        layers += [
            _layer(f"blocks.{place}.{part}", block[part], stride=block[part]["stride"])
            for part in parts
            if block[part] is not None
        ]
    layers += [] if mix is None else [_layer("feature_mix", mix)]
    classifier = _layer("classifier", saved["classifier"])
    kernel, bias = classifier.arrays
    layers.append(LayerWeights("classifier", "dense layer", (kernel[0, 0], bias)))
    width = 0 if mix is None else mix["out_channel"]
    return McuNet(tuple(layers), tuple(table), width, stem["in_shape"])


def _block(place: int, block: Mapping[str, Any]) -> InvertedBlock:
    """One line of the table, which must say all there is to the block."""
    expand, depthwise, project = (block[k] for k in ("pointwise1", "depthwise", "pointwise2"))
    width, inside = (expand or depthwise)["in_channel"], depthwise["in_channel"]
    line = InvertedBlock(
        depthwise["kernel_size"][0],
        inside // width,
        project["out_channel"],
        depthwise["stride"],
    )
    summed = line.stride == 1 and line.channels == width
    whole = inside == width * line.expansion and depthwise["depthwise"]
    if block["se"] is not None or (block["residual"] is not None) != summed or not whole:
        raise pickle.UnpicklingError(f"blocks.{place}, which is no inverted bottleneck")
    return line


def _layer(name: str, conv: Mapping[str, Any], stride: int = 1) -> LayerWeights:
    """A convolution's kernel and bias in real values, after a check that its entries agree."""
    parameters = conv["params"]
    weight, scale, bias = (_values(name, parameters[k]) for k in ("weight", "w_scales", "bias"))
    inputs, outputs, groups = conv["in_channel"], conv["out_channel"], conv["groups"]
    shape = (outputs, inputs // groups, *conv["kernel_size"])
    fits = weight.shape == shape and scale.shape == bias.shape == (outputs,)
    step = parameters["x_scale"] * scale.astype(np.float64)
    if not fits or conv["stride"] != stride or shape[2] != shape[3] or groups not in (1, inputs):
        received = f"{name} with weights {weight.shape}, stride {conv['stride']}, {groups} groups"
        raise pickle.UnpicklingError(received)
    if not (np.isfinite(step).all() and (step > 0).all()):
        raise pickle.UnpicklingError(f"{name} with scales that are not positive")
    kernel = weight * scale[:, None, None, None]
    kind = "convolution" if groups == 1 else "depthwise convolution"
    axes: Sequence[int] = (2, 3, 1, 0) if groups == 1 else (2, 3, 0, 1)
    return LayerWeights(name, kind, (kernel.transpose(axes), (bias * step).astype(np.float32)))


def _values(name: str, array: Any) -> np.ndarray:
    if not isinstance(array, _Array):
        raise pickle.UnpicklingError(f"{name} with {type(array).__name__} for an array")
    return array.value
