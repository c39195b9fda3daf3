"""What an export says about a board: where its weights lie, and what they were at the factory.

Example:
    >>> exported = read_export("out/")
    >>> exported.factory.shape
    (...,)
"""

from __future__ import annotations

import dataclasses
import pathlib
import zlib

import numpy as np

from tf_medyate.device.applying import read_layout
from tf_medyate.device.delta import DeltaError
from tf_medyate.exporter.write.region import LAYOUT_FILE, RegionLayout


@dataclasses.dataclass(frozen=True)
class Exported:
    """An export as the host's end of the line needs it.

    Attributes:
        layout: What lies where in the weights region.
        factory: The region as the firmware ships it, float32 [layout.weights].
    """

    layout: RegionLayout
    factory: np.ndarray


def read_export(path: str | pathlib.Path) -> Exported:
    """Reads layout and factory weights of an export.

    Args:
        path: The exported folder, or the layout in it.

    Raises:
        DeltaError: They are not there, are damaged, or do not belong together.
    """
    path = pathlib.Path(path)
    layout_file = path if path.suffix == ".json" else path / LAYOUT_FILE
    layout = read_layout(layout_file)
    remedy = "Name the folder that `medyate export` wrote for this firmware, or export again."
    expected = f"factory weights beside {layout_file}"
    if layout.factory is None:
        raise DeltaError("export", expected, "none", remedy)
    try:
        file = layout_file.parent / pathlib.PurePath(layout.factory.file).name
        # A file of another size is not read.
        data = file.read_bytes() if file.stat().st_size == 4 * layout.weights else b""
    except (OSError, ValueError) as error:
        raise DeltaError("export", expected, f"{type(error).__name__}: {error}", remedy) from None
    crc = layout.factory.crc32
    if len(data) != 4 * layout.weights or zlib.crc32(data) != crc:
        expected = f"{4 * layout.weights:,} bytes of factory weights with CRC-32 {crc:#010x}"
        received = f"{len(data):,} bytes with {zlib.crc32(data):#010x}"
        raise DeltaError("export", expected, received, remedy)
    return Exported(layout, np.frombuffer(data, "<f4").astype(np.float32))
