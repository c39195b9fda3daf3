"""The secret that a board and its hosts share, if its firmware is built with one.

Example:
    >>> key = read_key("board.key")  # doctest: +SKIP
    >>> len(key)  # doctest: +SKIP
    32
"""

from __future__ import annotations

import os
import pathlib
import stat
import warnings

from tf_medyate.errors import OptionError

KEY_BYTES = 32
KEY_HEADER = "medyate_key.h"
"""The key as firmware includes it, beside what it is for; never to be committed or shared."""

_MAKE = "head -c 32 /dev/urandom > board.key && chmod 600 board.key"


def read_key(path: str | os.PathLike) -> bytes:
    """Reads a key; warns if others than its owner can do so, too.

    Args:
        path: A file of 32 random bytes.

    Raises:
        OptionError: There is no such file, or it holds something else. What it holds is not told.
    """
    expected = f"a file of {KEY_BYTES} random bytes"
    path = pathlib.Path(path)
    try:
        with path.open("rb") as file:
            key = file.read(KEY_BYTES + 1)
            status = os.fstat(file.fileno())
    except OSError as error:
        received = f"'{path}': {error.strerror}"
        raise OptionError("device_key", expected, received, f"Make one: {_MAKE}") from None
    if len(key) != KEY_BYTES or len(set(key)) == 1:
        received = f"'{path}' of {status.st_size:,} bytes"
        if len(key) == KEY_BYTES:
            received = f"'{path}' of {KEY_BYTES} equal bytes"
        raise OptionError("device_key", expected, received, f"Make one: {_MAKE}")
    if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        text = f"device_key: others than its owner can read '{path}'; chmod 600 {path}"
        warnings.warn(text, stacklevel=2)
    return key


def write_key_header(key: bytes, folder: pathlib.Path) -> None:
    """Writes the key as C++ for the firmware in a folder; for the owner's eyes alone."""
    path = folder / KEY_HEADER
    path.touch(mode=0o600)
    path.write_text(_HEADER.format(bytes=", ".join(f"0x{byte:02x}" for byte in key)))


_HEADER = """#ifndef MEDYATE_KEY_H_
#define MEDYATE_KEY_H_

// SECRET: who has this file can push to the board. Keep it out of version control (add
// medyate_key.h to .gitignore), and close the board's debug port: docs/security.md of tf_medyate.

#include <stdint.h>

namespace medyate_key {{

constexpr uint8_t kKey[32] = {{{bytes}}};

}}  // namespace medyate_key

#endif  // MEDYATE_KEY_H_
"""
