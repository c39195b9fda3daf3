r"""Names of classes and models: what may be one, and how text from elsewhere is shown.

Example:
    >>> check_name("class_names", "sit still")
    'sit still'
    >>> visible("evil\x1b[2J")
    'evil\\x1b[2J'
"""

from __future__ import annotations

import unicodedata

from tf_medyate.errors import OptionError

MOST_NAME_BYTES = 60
"""Longest name of a class, in bytes of UTF-8."""

_BIDI = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def _is_control(character: str) -> bool:
    """It moves a cursor, ends a line, turns the direction, or is half a character."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _BIDI


def is_name(text: str, most_bytes: int = MOST_NAME_BYTES) -> bool:
    """Whether a text may be a name: not empty, not too long, and without control characters."""
    if not text or any(map(_is_control, text)):
        return False
    return len(text.encode()) <= most_bytes


def check_name(argument: str, text: str, most_bytes: int = MOST_NAME_BYTES) -> str:
    """The text, if it may be a name.

    Raises:
        OptionError: It may not.
    """
    if not is_name(text, most_bytes):
        expected = f"a name of 1 to {most_bytes} bytes of UTF-8 without control characters"
        raise OptionError(argument, expected, ascii(text), "Choose another name.")
    return text


def visible(text: str) -> str:
    """The text with control characters as escapes; line ends and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(ascii(c)[1:-1] if _is_control(c) and c not in "\n\t" else c for c in text)
