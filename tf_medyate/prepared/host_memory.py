"""Gives memory that is no longer used back to the operating system.

A process that trains holds on to what it frees: Python leaves traced graphs in cycles, and the C
library keeps freed pages in the gaps between those in use, ten MiB and more for a small net, a
little more after each epoch. Half a millisecond between epochs returns them.
"""

from __future__ import annotations

import ctypes
import gc


def collect():
    """Frees objects that only refer to each other, and returns what was freed; 0.2 s."""
    gc.collect()
    return_pages()


def return_pages():
    """Returns freed pages, where the C library can (glibc: Linux); elsewhere does nothing."""
    if _trim is not None:
        _trim(0)


def _find_trim():
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library; Windows has no CDLL(None)
        return None


_trim = _find_trim()
