"""Files and folders that are written whole or not at all.

A draft is made in a hidden folder beside its target, flushed to disk, and moved into place: a
crash, a full disk or a power cut at any instant leaves the old content or the new. The hidden
folder is locked while its writer lives; what a killed writer left is removed by the next one.

Example:
    >>> import numpy
    >>> with replacing("data.npz") as draft:
    ...     numpy.savez(draft, x=x, y=y)
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tf_medyate.errors import MedyateError, OptionError

_ENDING = ".part"
_LONGEST_NAME = 100
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
_REMEDY = "Free some space there, or name another place."

Path = str | os.PathLike


class OutputError(MedyateError, OSError):
    """A file or folder that cannot be written."""


# --- before the work


def check_file(
    argument: str, path: Path, endings: Sequence[str], room_bytes: int = 0
) -> pathlib.Path:
    """Makes sure that a file can be written, before hours go into what it shall hold.

    Args:
        argument: Where the path comes from, for errors.
        path: The file. Its folder need not exist yet.
        endings: Those that are possible, as in ".keras".
        room_bytes: So much disk space is needed.

    Returns:
        The path.

    Raises:
        OptionError: It has another ending, or is a folder.
        OutputError: The folder cannot be written to, or the disk is full.
    """
    path = pathlib.Path(path)
    if path.suffix not in endings:
        expected = f"a file ending in {' or '.join(endings)}"
        remedy = f"Name it, for example, {path.stem or 'file'}{endings[0]}."
        raise OptionError(argument, expected, str(path), remedy)
    if os.path.isdir(path):
        raise OptionError(argument, "a file", f"the folder {path}", "Name a file in it.")
    _probe(argument, _real(path).parent, room_bytes)
    return path


def check_folder(argument: str, path: Path, room_bytes: int = 0) -> pathlib.Path:
    """The same for a folder that will be written to, or written whole.

    Raises:
        OptionError: It is a file.
        OutputError: It cannot be written to, or the disk is full.
    """
    path = pathlib.Path(path)
    if os.path.exists(path) and not os.path.isdir(path):
        raise OptionError(argument, "a folder", f"the file '{path}'", "Name a folder.")
    target = _real(path)
    if os.path.isdir(target):
        _probe(argument, target, room_bytes)
    if not _in_place(target):
        _probe(argument, target.parent, room_bytes)
    return path


def _probe(argument: str, folder: pathlib.Path, room_bytes: int) -> None:
    """Makes a folder there and removes it: permissions do not tell of read-only disks."""
    while not os.path.exists(folder) and folder != folder.parent:
        folder = folder.parent
    try:
        tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=_ENDING).cleanup()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        received = f"{folder}: {error.strerror}"
        remedy = "Name another place."
        raise OutputError(argument, "a place that can be written to", received, remedy) from None
    if free < room_bytes:
        expected = f"{room_bytes:,} bytes of free disk space in {folder}"
        raise OutputError(argument, expected, f"{free:,}", _REMEDY)


# --- files


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[pathlib.Path]:
    """Gives a draft to write; what it holds in the end becomes the file.

    Args:
        path: The file; its folder is made if missing. A symbolic link is followed.

    Yields:
        The draft, of the same name in another folder.

    Raises:
        OutputError: It cannot be written; the file is as it was.
    """
    target = _real(path)
    with _explained(path), _draft_folder(target.parent, target) as folder:
        draft = folder / target.name
        yield draft
        _flush(draft)
        os.replace(draft, target)
        _flush(target.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file, whole or not at all.

    Raises:
        OutputError: It cannot be written; the file is as it was.
    """
    with replacing(path) as draft:
        draft.write_bytes(data)


def save_keras(model: Any, path: Path) -> None:
    """The same for a Keras model: .keras or .h5."""
    with replacing(path) as draft:
        try:
            model.save(draft)
        except RuntimeError as error:  # of HDF5, for a full disk
            raise OSError(str(error)) from error


def write_text(path: Path, text: str) -> None:
    """The same for text, in UTF-8."""
    write_bytes(path, text.encode())


# --- folders


@contextlib.contextmanager
def replacing_folder(
    path: Path, is_ours: Callable[[pathlib.PurePath], bool], last: str = ""
) -> Iterator[pathlib.Path]:
    """Gives a draft of a folder; in the end it takes the folder's place, in one step.

    What a user has put into the folder stays. A folder that cannot be moved, because it is a mount
    point or this process stands in it, is renewed entry by entry.

    Args:
        path: The folder; made if missing.
        is_ours: Says of a path relative to the folder whether it is of an earlier writing: then it
            goes, with all in it.
        last: The entry without which the rest does not count; it is moved last where it must be
            entry by entry.

    Yields:
        The draft, an empty folder.

    Raises:
        OutputError: It cannot be written; the folder is as it was.
    """
    target = _real(path)
    in_place = _in_place(target)
    parent = target if in_place else target.parent
    with _explained(path), _draft_folder(parent, target) as folder:
        draft = folder / target.name
        draft.mkdir()
        yield draft
        if os.path.exists(target):
            _carry_over(target, draft, is_ours, pathlib.PurePath())
        _flush_all(draft)
        if in_place:
            _renew_entries(draft, target, last)
        else:
            _swap(draft, target)
        _flush(parent)


def _in_place(target: pathlib.Path) -> bool:
    here = pathlib.Path(os.path.realpath("."))
    return os.path.isdir(target) and (os.path.ismount(target) or here.is_relative_to(target))


def _carry_over(
    old: pathlib.Path,
    new: pathlib.Path,
    is_ours: Callable[[pathlib.PurePath], bool],
    place: pathlib.PurePath,
) -> None:
    """Links what is a user's into the draft: both folders hold it until one of them goes."""
    for entry in os.scandir(old / place):
        inner = place / entry.name
        if is_ours(inner) or _is_draft(entry.name):
            continue
        fresh = new / inner
        if entry.is_dir(follow_symlinks=False):
            _carry_over(old, new, is_ours, inner)
        elif not os.path.lexists(fresh):
            fresh.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(entry.path, fresh, follow_symlinks=False)
            except OSError:  # a file system without links, or somebody else's file
                shutil.copy2(entry.path, fresh, follow_symlinks=False)


def _swap(draft: pathlib.Path, target: pathlib.Path) -> None:
    """The draft takes the target's place, and the target the draft's."""
    if not os.path.lexists(target):
        os.rename(draft, target)
    elif not _exchange(draft, target):
        # Two steps; a crash between them is mended by `_remove_left_over`.
        os.rename(target, draft.with_name(_old(target)))
        os.rename(draft, target)


def _old(target: pathlib.Path) -> str:
    return f"{target.name[:_LONGEST_NAME]}.old"


def _renew_entries(draft: pathlib.Path, target: pathlib.Path, last: str) -> None:
    entries = sorted(draft.iterdir(), key=lambda entry: entry.name == last)
    fresh = {entry.name for entry in entries}
    for entry in entries:
        _swap(entry, target / entry.name)
    for entry in target.iterdir():
        if entry.name not in fresh and not _is_draft(entry.name):
            os.rename(entry, draft / entry.name)


def _exchange(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Swaps two names in one step; False where the system or the file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))


# --- drafts


def _real(path: Path) -> pathlib.Path:
    return pathlib.Path(os.path.realpath(path))


def _is_draft(name: str) -> bool:
    return name.startswith(".") and name.endswith(_ENDING)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except MedyateError:
        raise
    except OSError as error:
        raise OutputError(str(path), "a place to write to", str(error), _REMEDY) from error


@contextlib.contextmanager
def _draft_folder(parent: pathlib.Path, target: pathlib.Path) -> Iterator[pathlib.Path]:
    """A locked folder in `parent`, removed in the end."""
    parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name[:_LONGEST_NAME]}-"
    _remove_left_over(parent, prefix, target)
    folder, lock = _locked_folder(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder(parent: pathlib.Path, prefix: str) -> tuple[pathlib.Path, int]:
    while True:
        folder = pathlib.Path(tempfile.mkdtemp(prefix=prefix, suffix=_ENDING, dir=parent))
        with contextlib.suppress(FileNotFoundError):  # taken for a left-over before it was locked
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.is_dir():
                return folder, lock
            os.close(lock)


def _remove_left_over(parent: pathlib.Path, prefix: str, target: pathlib.Path) -> None:
    """Removes the drafts whose writers were killed; first puts back what they had moved away."""
    with os.scandir(parent) as entries:
        names = [e.name for e in entries if e.name.startswith(prefix) and _is_draft(e.name)]
    for name in names:
        folder = parent / name
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # gone, or no folder
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (folder / _old(target)).exists() and not os.path.lexists(target):
                os.rename(folder / _old(target), target)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # its writer lives, or the file system has no locks
        finally:
            os.close(lock)


def _flush(path: pathlib.Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError:
        if not os.path.isdir(path):  # some network file systems cannot flush folders
            raise
    finally:
        os.close(number)


def _flush_all(folder: pathlib.Path) -> None:
    for at, _, names in os.walk(folder):
        for name in names:
            if not os.path.islink(os.path.join(at, name)):
                _flush(pathlib.Path(at, name))
        _flush(pathlib.Path(at))
