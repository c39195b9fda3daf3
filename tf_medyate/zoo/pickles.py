"""Looks a pickle over before it is read, so that a file from anywhere cannot take what it likes.

Which names a pickle may call is each reader's own affair. Here it is about the rest: only what
PyTorch writes (protocol 2) is let through, and no more of it than a state dict needs. Others of a
pickle's operations make the interpreter set gigabytes aside for a file of a few bytes.

Example:
    >>> import io, pickle
    >>> check_pickle(io.BytesIO(pickle.dumps({"a": 1}, protocol=2)))
"""

from __future__ import annotations

import pathlib
import pickle
import pickletools
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

_MOST_OPERATIONS = 1_000_000  # the largest net of the zoo has 8,000
_PUT = ("BINPUT", "LONG_BINPUT")
_OPERATIONS = frozenset(
    (*_PUT, "PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2",
     "LONG1", "BINFLOAT", "BINUNICODE", "BINSTRING", "SHORT_BINSTRING", "EMPTY_DICT", "EMPTY_LIST",
     "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "APPEND", "APPENDS", "SETITEM",
     "SETITEMS", "BINGET", "LONG_BINGET", "GLOBAL", "REDUCE", "BUILD", "BINPERSID")
)  # fmt: skip


def check_pickle(stream: BinaryIO) -> None:
    """Goes through a pickle's operations without executing any; the stream is put back.

    Args:
        stream: At the pickle's first byte; it can be sought in.

    Raises:
        UnpicklingError: An operation that no state dict needs, or too many.
        ValueError: The pickle ends too early.
    """
    start = stream.tell()
    for count, (operation, argument, _) in enumerate(pickletools.genops(stream)):
        if operation.name not in _OPERATIONS:
            raise pickle.UnpicklingError(f"the operation {operation.name}")
        # The C unpickler keeps a table as long as the largest number.
        if operation.name in _PUT and (argument or 0) > count:
            raise pickle.UnpicklingError(f"object {argument} as the first of {count}")
        if count >= _MOST_OPERATIONS:
            raise pickle.UnpicklingError(f"more than {_MOST_OPERATIONS:,} operations")
    stream.seek(start)


class Fixed:
    """A function that a pickle may call; the operation BUILD would fill the function itself."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        """Calls it."""
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a change of what it may call")


def check_archive(archive: zipfile.ZipFile, path: pathlib.Path) -> None:
    """Refuses an archive that is larger unpacked than packed; `torch.save` does not compress.

    Raises:
        UnpicklingError: It is.
    """
    inside, outside = sum(info.file_size for info in archive.infolist()), path.stat().st_size
    if inside > outside:
        raise pickle.UnpicklingError(f"an archive of {outside:,} bytes that unpacks to {inside:,}")
