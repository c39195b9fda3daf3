"""Names of classes as a board sends and takes them: text, a line for each."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Mapping

from tf_medyate.device.delta import DeltaError
from tf_medyate.names import is_name

_MOST_BYTES = 1 << 20
_SHOWN = 80  # characters of a line, in errors


def names_text(names: Mapping[int, str]) -> str:
    """Names of classes as a board sends and takes them: a line "label<tab>name" for each."""
    return "".join(f"{label}\t{name}\n" for label, name in sorted(names.items()))


def read_names(text: str, classes: int = 1 << 16) -> dict[int, str]:
    """Reads what `names_text` wrote.

    Args:
        text: It.
        classes: Labels are below it.

    Raises:
        DeltaError: A line is something else; a label or a name comes twice.
    """
    names: dict[int, str] = {}
    for line in filter(None, text.split("\n")):
        digits, _, name = line.partition("\t")
        label = int(digits) if re.fullmatch("[0-9]{1,9}", digits) else classes
        if label >= classes or not is_name(name) or label in names or name in names.values():
            expected = f"lines of a label below {classes} and a name"
            remedy = "Write a label, a tab and a name in each line, every class and name once."
            raise DeltaError("names", expected, ascii(line[:_SHOWN]), remedy)
        names[label] = name
    return names


def load_names(path: str | os.PathLike) -> dict[int, str]:
    """Reads a file that `names_text` filled; none without a file.

    Raises:
        DeltaError: It holds something else.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return {}
    remedy = "Pull it again."
    if path.stat().st_size > _MOST_BYTES:
        raise DeltaError("names", f"{_MOST_BYTES:,} bytes at most", f"{path}", remedy)
    try:
        return read_names(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise DeltaError("names", "text in UTF-8", f"{path}: {error}", remedy) from None
