"""Reads the tensors of a PyTorch state dict without PyTorch, and without running what it names.

A `.pth` file is a pickle, and a pickle may call any function that it names. Here it may call
none but the few that rebuild a tensor, and these are our own: they note which part of which
storage the tensor is, and nothing is executed. Both layouts of `torch.save` are read:

    since 1.6   a zip archive: data.pkl, and one file data/<key> for each storage
    before      five pickles in a row (magic number, version, system, object, storage keys), then
                for each key the number of elements (int64) and the elements

Example:
    >>> tensors = read_torch("mcunet-5fps_imagenet.pth")
    >>> tensors["first_conv.conv.weight"].shape
    (16, 3, 3, 3)
"""

from __future__ import annotations

import collections
import dataclasses
import io
import math
import os
import pathlib
import pickle
import struct
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from tf_medyate.errors import DataError
from tf_medyate.zoo.pickles import check_archive, check_pickle

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}
_REMEDY = (
    "Give a file that torch.save wrote from a state dict, or from a dictionary that holds one."
)


@dataclasses.dataclass(frozen=True)
class _Storage:
    """Where a tensor's elements lie; they are read after the pickle."""

    key: str
    dtype: np.dtype
    elements: int


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view of a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild(storage, offset, shape, strides, *_: Any) -> _Tensor:
    """Stands in for `torch._utils._rebuild_tensor_v2`."""
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    """Stands in for `torch._utils._rebuild_parameter`: a parameter is its tensor."""
    return data


class _Reader(pickle.Unpickler):
    """Knows the names that a state dict needs, and refuses every other."""

    _KNOWN: Mapping[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        ("torch", "Size"): tuple,
        **{("torch", name): np.dtype(code) for name, code in _DTYPES.items()},
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"the name {module}.{name}")
        return self._KNOWN[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise pickle.UnpicklingError(f"the reference {pid!r}")
        if len(pid) > 5 and pid[5] is not None:
            raise pickle.UnpicklingError("a storage that is a view of another")
        if not isinstance(pid[1], np.dtype):
            raise pickle.UnpicklingError(f"a storage of {pid[1]!r}")
        return _Storage(str(pid[2]), pid[1], int(pid[4]))


def _load(stream: BinaryIO) -> Any:
    """The next pickle of a stream."""
    check_pickle(stream)
    return _Reader(stream).load()


def read_torch(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a state dict.

    Args:
        path: A file that `torch.save` wrote from a state dict, or from a dictionary with the
            entry "state_dict" or "model".

    Returns:
        The tensors by name, in the file's order, channels first as PyTorch has them; a leading
        "module." of every name (from DataParallel) is left off. Whatever else the dictionary
        holds is left out.

    Raises:
        DataError: The file cannot be read, names anything but tensors, or holds none.
    """
    path = pathlib.Path(path)
    try:
        saved, raw = _read_zip(path) if zipfile.is_zipfile(path) else _read_old(path)
        state = _state_dict(saved)
        tensors = {name: _materialise(value, raw) for name, value in state.items()}
    except Exception as error:  # a broken pickle may raise anything
        received = str(error) if isinstance(error, pickle.UnpicklingError) else repr(error)
        raise DataError(str(path), "a PyTorch state dict", received, _REMEDY) from error
    if not tensors:
        raise DataError(str(path), "a PyTorch state dict", "no tensor", _REMEDY)
    return tensors


def _read_zip(path: pathlib.Path) -> tuple[Any, dict[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, path)
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise pickle.UnpicklingError(f"an archive with {len(names)} entries data.pkl")
        root = names[0].removesuffix("data.pkl")
        order = f"{root}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise pickle.UnpicklingError("big-endian tensors")
        saved = _load(io.BytesIO(archive.read(names[0])))
        prefix = f"{root}data/"
        inside = [name for name in archive.namelist() if name.startswith(prefix)]
        return saved, {name.removeprefix(prefix): archive.read(name) for name in inside}


def _read_old(path: pathlib.Path) -> tuple[Any, dict[str, bytes]]:
    with path.open("rb") as stream:
        magic, version, _ = (_load(stream) for _ in range(3))
        if magic != _MAGIC or version != 1001:
            raise pickle.UnpicklingError("another magic number than PyTorch's")
        saved, keys = _load(stream), _load(stream)
        width = {s.key: s.dtype.itemsize for s in _storages(saved)}
        return saved, {key: _read_storage(stream, width.get(key, 0)) for key in keys}


def _read_storage(stream: BinaryIO, width: int) -> bytes:
    """One storage of the old layout. A key without a tensor cannot be skipped: no size is known."""
    (elements,) = struct.unpack("<q", stream.read(8))
    if not width:
        raise pickle.UnpicklingError("a storage that no tensor of the state dict uses")
    return stream.read(elements * width)


def _storages(saved: Any) -> list[_Storage]:
    """Every storage in nested containers."""
    if isinstance(saved, _Tensor):
        return [saved.storage]
    inner = saved.values() if isinstance(saved, dict) else saved
    if isinstance(saved, (dict, list, tuple)):
        return [storage for value in inner for storage in _storages(value)]
    return []


def _state_dict(saved: Any) -> dict[str, _Tensor]:
    for key in ("state_dict", "model"):
        if isinstance(saved, dict) and isinstance(saved.get(key), dict):
            saved = saved[key]
    if not isinstance(saved, dict):
        raise pickle.UnpicklingError(f"a {type(saved).__name__} instead of a dictionary")
    return {
        str(name).removeprefix("module."): value
        for name, value in saved.items()
        if isinstance(value, _Tensor)
    }


def _materialise(tensor: _Tensor, raw: Mapping[str, bytes]) -> np.ndarray:
    """Copies a tensor out of its storage, after checking that it lies inside."""
    storage = tensor.storage
    elements = np.frombuffer(raw[storage.key], storage.dtype)
    if len(elements) != storage.elements or len(tensor.shape) != len(tensor.strides):
        raise pickle.UnpicklingError(f"storage {storage.key} of {len(elements)} elements")
    if min((*tensor.shape, *tensor.strides, tensor.offset, 0)) < 0:
        raise pickle.UnpicklingError("a negative shape, stride or offset")
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, storage.dtype)
    steps = ((size - 1) * step for size, step in zip(tensor.shape, tensor.strides, strict=True))
    if tensor.offset + sum(steps) >= len(elements):
        raise pickle.UnpicklingError(f"a tensor that reaches beyond storage {storage.key}")
    if math.prod(tensor.shape) > len(elements):  # with strides of 0 it could be of any size
        raise pickle.UnpicklingError(f"a tensor larger than storage {storage.key}")
    width = storage.dtype.itemsize
    strides = tuple(step * width for step in tensor.strides)
    view = np.lib.stride_tricks.as_strided(elements[tensor.offset :], tensor.shape, strides)
    return view.copy()
