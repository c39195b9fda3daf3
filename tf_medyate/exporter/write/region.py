"""weights.json and weights.bin: what lies where in the weights region of a board.

Example:
    >>> layout = RegionLayout.of(cpp, manifest.layers)
    >>> write_layout(layout, factory, "out/weights.json")
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tf_medyate.exporter.manifest import LayerEntry
    from tf_medyate.exporter.write.cpp import CppModel

LAYOUT_FILE = "weights.json"
"""Beside the firmware in an exported folder."""


@dataclasses.dataclass(frozen=True)
class WeightPlace:
    """Where a layer's weights lie in the region.

    Attributes:
        layer: Name of the layer in the prepared model.
        kernel_offset: First float of its kernel, input channel first, [I][positions][O].
        bias_offset: First float of its bias; -1 if the region does not hold it.
    """

    layer: str
    kernel_offset: int
    bias_offset: int = -1


@dataclasses.dataclass(frozen=True)
class FactoryFile:
    """The weights that a device leaves the factory with: a file beside the layout, its CRC-32."""

    file: str
    crc32: int


@dataclasses.dataclass(frozen=True)
class RegionLayout:
    """The weights region of an export: what lies where. Floats that nobody owns are 0.

    Attributes:
        model_hash: Of the export, 64 bits.
        weights: Floats of the region.
        places: The layers in it.
        factory: Where its first content lies; None if that is not written yet.
    """

    model_hash: int
    weights: int
    places: tuple[WeightPlace, ...]
    factory: FactoryFile | None = dataclasses.field(default=None, compare=False)

    @classmethod
    def of(cls, cpp: CppModel, layers: Iterable[LayerEntry]) -> RegionLayout:
        """The layout of an export.

        Args:
            cpp: What `write_cpp` wrote.
            layers: The manifest's.
        """
        places = tuple(
            WeightPlace(layer.name, cpp.weights[layer.weights], cpp.weights.get(layer.bias, -1))
            for layer in layers
            if layer.weights in cpp.weights
        )
        return cls(cpp.model_hash, cpp.weights_floats, places)

    def to_json(self) -> str:
        """As a file holds it."""
        entries = dataclasses.asdict(self)
        return json.dumps({**entries, "model_hash": f"{self.model_hash:016x}"}, indent=1)


def write_layout(layout: RegionLayout, factory: np.ndarray, path: str | pathlib.Path) -> None:
    """Writes a layout, and beside it the weights that the device leaves the factory with.

    Args:
        layout: What lies where.
        factory: The weights region, float32 [layout.weights].
        path: JSON file to write; the weights get its name with the ending ".bin".
    """
    path = pathlib.Path(path)
    data = np.ascontiguousarray(factory, "<f4").tobytes()
    path.with_suffix(".bin").write_bytes(data)
    entry = FactoryFile(path.with_suffix(".bin").name, zlib.crc32(data))
    path.write_text(dataclasses.replace(layout, factory=entry).to_json() + "\n")
