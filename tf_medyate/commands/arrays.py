"""Reads the arrays of an .npz file. What a file claims is checked before memory is taken for it.

Example:
    >>> arrays, unused = read_arrays("data.npz", ("x", "y"))
    >>> arrays["x"].shape
    (16, 8, 8, 3)
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tf_medyate.errors import DataError, OptionError

_ZIP, _NPY = b"PK", b"\x93NUMPY"
_ENDING = ".npy"
_WRITE = "Write it with numpy.savez(path, x=x, y=y)."
_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def existing_file(flag: str, path: str) -> Path:
    """The path of a file that is there.

    Raises:
        OptionError: It is not, or is a folder.
    """
    if not Path(path).is_file():
        received = f"the folder {path}" if Path(path).is_dir() else str(path)
        raise OptionError(flag, "an existing file", received, "Check the path.")
    return Path(path)


def read_arrays(path: str, wanted: Iterable[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Reads arrays from a file that `numpy.savez` wrote.

    Args:
        path: The file.
        wanted: Names of arrays; those that are not there are left out.

    Returns:
        The arrays by name, and the names of all others in the file.

    Raises:
        OptionError: There is no such file.
        DataError: It is no .npz file, is damaged, or holds objects or more than fits into memory.
    """
    existing_file("--data", path)
    try:
        _check_kind(path)
        with zipfile.ZipFile(path) as archive:
            inside = {info.filename.removesuffix(_ENDING): info for info in archive.infolist()}
            found = [name for name in wanted if name in inside]
            for name in found:
                _check_member(archive, inside[name], name)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in found}
    except DataError:
        raise
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError,
            zipfile.BadZipFile, zlib.error, MemoryError) as error:  # fmt: skip
        received = f"{path}, which cannot be read ({error})"
        remedy = f"It may be damaged or cut short. {_WRITE}"
        raise DataError("--data", "an .npz file of arrays", received, remedy) from None
    return arrays, [name for name in inside if name not in arrays]


def _check_kind(path: str):
    with open(path, "rb") as file:
        start = file.read(len(_NPY))
    if start.startswith(_ZIP):
        return
    received = f"{path}, which is something else"
    if start == _NPY:
        received = f"{path}, which holds a single array (numpy.save)"
    raise DataError("--data", "an .npz file of arrays", received, _WRITE)


def _check_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str):
    """Compares what an array's header says with what is there."""
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version not in _READERS:
            raise ValueError(f"{name} is in format {version}")
        shape, _, dtype = _READERS[version](file)
        size = math.prod(shape) * dtype.itemsize
        there = info.file_size - file.tell()
    if dtype.hasobject:
        remedy = "Write numbers or text: for example y.astype(str), and rows of one length."
        raise DataError(f"--data: {name}", "numbers or text", "Python objects", remedy)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        expected = f"an array that fits into this machine's {memory:,} bytes of memory"
        remedy = "Give a part of the data, or correct the file."
        raise DataError(f"--data: {name}", expected, f"{size:,} bytes", remedy)
    if size != there:
        raise ValueError(f"{name} should have {size:,} bytes and has {there:,}")
