"""A learned delta goes back into the prepared Keras model whose export runs on the board.

Example:
    >>> layout = read_layout("out/weights.json")
    >>> apply_to_model(read_delta(data), model, layout)
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_medyate.device.delta import DeltaError, SparseDelta
from tf_medyate.errors import PlanError

if TYPE_CHECKING:
    from tf_medyate.exporter.manifest import LayerEntry
    from tf_medyate.exporter.write.cpp import CppModel
    from tf_medyate.prepared.model import PreparedModel


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
class RegionLayout:
    """The weights region of an export: what lies where. Floats that nobody owns are 0.

    Attributes:
        model_hash: Of the export, 64 bits.
        weights: Floats of the region.
        places: The layers in it.
    """

    model_hash: int
    weights: int
    places: tuple[WeightPlace, ...]

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
    entries = json.loads(layout.to_json())
    factory_entry = {"file": path.with_suffix(".bin").name, "crc32": zlib.crc32(data)}
    path.write_text(json.dumps({**entries, "factory": factory_entry}, indent=1) + "\n")


def read_layout(path: str | pathlib.Path) -> RegionLayout:
    """Reads what `RegionLayout.to_json` wrote.

    Raises:
        DeltaError: There is no such file, or it says something else.
    """
    try:
        entries = json.loads(pathlib.Path(path).read_text())
        places = tuple(WeightPlace(**place) for place in entries["places"])
        return RegionLayout(int(entries["model_hash"], 16), int(entries["weights"]), places)
    except (OSError, ValueError, KeyError, TypeError) as error:
        remedy = "Give the layout that was written along with the firmware."
        raise DeltaError("layout", "a weights layout", f"{path}: {error}", remedy) from None


def region_of(model: PreparedModel, layout: RegionLayout) -> np.ndarray:
    """The weights region of a prepared model, float32 [weights].

    Raises:
        PlanError: The model has other layers than the layout.
    """
    region = np.zeros(layout.weights, np.float32)
    for place, layer in _layers(model, layout):
        kernel = layer.kernel.numpy()
        rows = _channel_first(kernel)
        region[_part(place.kernel_offset, kernel.size, layout)] = rows.reshape(-1)
        if place.bias_offset >= 0:
            bias = layer.bias.numpy()
            region[_part(place.bias_offset, bias.size, layout)] = bias
    return region


def apply_to_model(delta: SparseDelta, model: PreparedModel, layout: RegionLayout) -> None:
    """Puts what a device learned into the prepared model whose export runs on it.

    Raises:
        DeltaError: The delta belongs to another model, or the model was trained since its export.
        PlanError: The model has other layers than the layout.
    """
    model.commit()
    learned = delta.apply(region_of(model, layout), layout.model_hash)
    for place, layer in _layers(model, layout):
        shape = tuple(layer.kernel.shape)
        flat = learned[_part(place.kernel_offset, int(np.prod(shape)), layout)]
        channels, outputs = shape[-2], shape[-1]
        rows = flat.reshape(channels, -1, outputs).transpose(1, 0, 2)
        layer.kernel.assign(rows.reshape(shape))
        if place.bias_offset >= 0:
            size = int(np.prod(layer.bias.shape))
            layer.bias.assign(learned[_part(place.bias_offset, size, layout)])
    model.reload_pool()


def _channel_first(kernel: np.ndarray) -> np.ndarray:
    channels, outputs = kernel.shape[-2:]
    return kernel.reshape(-1, channels, outputs).transpose(1, 0, 2)


def _part(offset: int, size: int, layout: RegionLayout) -> slice:
    if not 0 <= offset <= layout.weights - size:
        remedy = "Use the layout and the Keras model of one export."
        raise PlanError("layout", f"{size} floats at {offset}", f"{layout.weights} in all", remedy)
    return slice(offset, offset + size)


def _layers(model: PreparedModel, layout: RegionLayout) -> list[tuple[WeightPlace, Any]]:
    from tf_medyate.prepared.folding import require_prepared
    from tf_medyate.prepared.layers import masked_layers

    by_name = {layer.name: layer for layer in masked_layers(require_prepared(model))}
    missing = [place.layer for place in layout.places if place.layer not in by_name]
    if missing:
        remedy = "Prepare the model that was exported."
        raise PlanError("model", f"layers {missing}", f"{sorted(by_name)}", remedy)
    return [(place, by_name[place.layer]) for place in layout.places]
