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
from tf_medyate.zoo.pickles import Fixed, check_archive, check_pickle

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


def _refuse(self: Any, state: Any) -> None:
    """A pickle fills objects of its own, not ours."""
    raise pickle.UnpicklingError("a change of what it was given")


@dataclasses.dataclass(frozen=True)
class _Storage:
    """Where a tensor's elements lie; they are read after the pickle."""

    key: str
    dtype: np.dtype
    elements: int

    __setstate__ = _refuse

    @property
    def size_bytes(self) -> int:
        """Bytes of all elements."""
        return self.elements * self.dtype.itemsize


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view of a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    __setstate__ = _refuse


def _rebuild(storage, offset, shape, strides, *_: Any) -> _Tensor:
    """Stands in for `torch._utils._rebuild_tensor_v2`."""
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    """Stands in for `torch._utils._rebuild_parameter`: a parameter is its tensor."""
    return data


class _Reader(pickle.Unpickler):
    """Knows the names that a state dict needs, and refuses every other.

    Attributes:
        storages: Those that any tensor in the pickle refers to, by key.
    """

    _KNOWN: Mapping[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): Fixed(_rebuild),
        ("torch._utils", "_rebuild_parameter"): Fixed(_rebuild_parameter),
        ("torch", "Size"): tuple,
        **{("torch", name): code for name, code in _DTYPES.items()},
    }

    def __init__(self, stream: BinaryIO):
        check_pickle(stream)
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"the name {module}.{name}")
        return self._KNOWN[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise pickle.UnpicklingError(f"the reference {pid!r}")
        if len(pid) > 5 and pid[5] is not None:
            raise pickle.UnpicklingError("a storage that is a view of another")
        if pid[1] not in _DTYPES.values():
            raise pickle.UnpicklingError(f"a storage of {pid[1]!r}")
        storage = _Storage(str(pid[2]), np.dtype(pid[1]), int(pid[4]))
        if self.storages.setdefault(storage.key, storage) != storage:
            raise pickle.UnpicklingError(f"storage {storage.key} is described twice")
        return storage


def read_torch(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a state dict.

    Args:
        path: A file that `torch.save` wrote from a state dict, or from a dictionary with the
            entry "state_dict" or "model".

    Returns:
        The tensors by name, in the file's order, channels first as PyTorch has them; a leading
        "module." of every name (from DataParallel) is left off. What else the dictionary holds
        is left out, and not read. The arrays cannot be written to.

    Raises:
        DataError: The file cannot be read, names anything but tensors, or holds none.
    """
    path = pathlib.Path(path)
    try:
        state, raw = _read_zip(path) if zipfile.is_zipfile(path) else _read_old(path)
        tensors = {name: _materialize(value, raw) for name, value in state.items()}
    except Exception as error:  # a broken pickle may raise anything
        received = str(error) if isinstance(error, pickle.UnpicklingError) else repr(error)
        raise DataError(str(path), "a PyTorch state dict", received, _REMEDY) from error
    if not tensors:
        raise DataError(str(path), "a PyTorch state dict", "no tensor", _REMEDY)
    return tensors


def _read_zip(path: pathlib.Path) -> tuple[dict[str, _Tensor], dict[str, bytes]]:
    """The state, and the contents of the storages that it uses."""
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, path)
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise pickle.UnpicklingError(f"an archive with {len(names)} entries data.pkl")
        root = names[0].removesuffix("data.pkl")
        order = f"{root}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise pickle.UnpicklingError("big-endian tensors")
        state = _state_dict(_Reader(io.BytesIO(archive.read(names[0]))).load())
        raw = {}
        for storage in _used(state):
            info = archive.getinfo(f"{root}data/{storage.key}")
            if info.file_size != storage.size_bytes:
                raise _of_other_size(storage, info.file_size)
            raw[storage.key] = archive.read(info)
        return state, raw


def _read_old(path: pathlib.Path) -> tuple[dict[str, _Tensor], dict[str, bytes]]:
    """The same of the old layout, where a storage's place is known by those before it."""
    with path.open("rb") as stream:
        magic, version, _ = (_Reader(stream).load() for _ in range(3))
        if magic != _MAGIC or version != 1001:
            raise pickle.UnpicklingError("another magic number than PyTorch's")
        reader = _Reader(stream)
        state = _state_dict(reader.load())
        keys = _Reader(stream).load()
        used, raw = {storage.key for storage in _used(state)}, {}
        for key in keys:
            if key not in reader.storages:
                raise pickle.UnpicklingError(f"storage {key}, of unknown type")
            storage = reader.storages[key]
            (elements,) = struct.unpack("<q", stream.read(8))
            if elements != storage.elements:
                raise _of_other_size(storage, elements * storage.dtype.itemsize)
            if key in used:
                raw[key] = _read_exactly(stream, storage.size_bytes)
            else:
                stream.seek(storage.size_bytes, os.SEEK_CUR)
        return state, raw


def _read_exactly(stream: BinaryIO, size_bytes: int) -> bytes:
    """So many bytes, if they are there: else no memory is taken for them."""
    left = os.fstat(stream.fileno()).st_size - stream.tell()
    if left < size_bytes:
        raise pickle.UnpicklingError(f"a file that ends {size_bytes - left:,} bytes too early")
    return stream.read(size_bytes)


def _of_other_size(storage: _Storage, size_bytes: int) -> pickle.UnpicklingError:
    expected = f"storage {storage.key} of {storage.elements} elements"
    return pickle.UnpicklingError(f"{expected} in {size_bytes:,} bytes")


def _used(state: Mapping[str, _Tensor]) -> list[_Storage]:
    return list({tensor.storage.key: tensor.storage for tensor in state.values()}.values())


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


def _materialize(tensor: _Tensor, raw: Mapping[str, bytes]) -> np.ndarray:
    """A tensor as a view of its storage, after checking that it lies inside."""
    storage = tensor.storage
    elements = np.frombuffer(raw[storage.key], storage.dtype)
    if len(tensor.shape) != len(tensor.strides):
        raise pickle.UnpicklingError(f"a tensor of storage {storage.key} without all strides")
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
    return np.lib.stride_tricks.as_strided(elements[tensor.offset :], tensor.shape, strides)
