"""Where the C++ sources lie: `tflm_ops` of the checkout, or the copy in an installed package.

Example:
    >>> (source_root() / "tflm_ops" / "kernels" / "ops.h").is_file()
    True
"""

from __future__ import annotations

from pathlib import Path

from tf_medyate.errors import MedyateError

PACKAGE = Path(__file__).resolve().parent
PACKAGED = "_cpp"
"""Folder of an installed package with the sources and the compiled op library."""

_PACKAGED_SUFFIXES = (".cc", ".h", ".ld", ".ino", ".properties", ".txt", ".in")


class SourcesError(MedyateError, RuntimeError):
    """C++ sources are not where they should be."""


def source_root() -> Path:
    """The folder that holds `tflm_ops`: the checkout, or the installed package's copy."""
    packaged = PACKAGE / PACKAGED
    return packaged if packaged.is_dir() else PACKAGE.parent


def packaged_files(root: Path) -> list[Path]:
    """All of tflm_ops that an installed package needs: the library's sources and a board's."""
    files = (p for p in (root / "tflm_ops").rglob("*") if p.is_file())
    return sorted(p for p in files if p.suffix in _PACKAGED_SUFFIXES)
