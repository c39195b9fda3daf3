"""The C++ sources that a board needs: from the math to its end of the serial protocol.

Example:
    >>> [path.name for path in device_sources() if path.parent.name == "device"][:2]
    ['class_names.cc', 'class_names.h']
"""

from __future__ import annotations

import pathlib

from tf_medyate.cpp_sources import SourcesError, source_root

DEVICE_FOLDERS = ("schema", "math", "draw", "store", "kernels", "trainer", "device")
"""Folders of tflm_ops that are compiled for a board."""

_HOST_ONLY = "_reference.h"


def device_sources() -> list[pathlib.Path]:
    """Sources and headers, sorted; included as "tflm_ops/FOLDER/FILE" from `source_root()`.

    Raises:
        SourcesError: There are none.
    """
    base = source_root() / "tflm_ops"
    files = [
        path
        for folder in DEVICE_FOLDERS
        for path in (base / folder).glob("*.*")
        if path.suffix in (".cc", ".h") and not path.name.endswith(_HOST_ONLY)
    ]
    if not any(path.parent.name == "device" for path in files):
        remedy = "Install tf_medyate from a checkout: pip install ."
        raise SourcesError("device sources", f"C++ files under {base}", "none", remedy)
    return sorted(files)
