"""A learned delta goes back into the prepared Keras model whose export runs on the board.

Example:
    >>> layout = read_layout("out/weights.json")
    >>> apply_to_model(read_delta(data), model, layout)
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_medyate.device.delta import DeltaError, SparseDelta
from tf_medyate.errors import PlanError
from tf_medyate.exporter.write.region import RegionLayout, WeightPlace
from tf_medyate.json_values import build, read_object
from tf_medyate.kernel_order import as_keras, channel_first

if TYPE_CHECKING:
    from tf_medyate.prepared.model import PreparedModel

_MOST_WEIGHTS = 1 << 24


def read_layout(path: str | pathlib.Path) -> RegionLayout:
    """Reads what `RegionLayout.to_json` wrote.

    Raises:
        DeltaError: There is no such file, or it says something else.
    """
    try:
        entries = read_object(pathlib.Path(path))
        entries["model_hash"] = int(str(entries.get("model_hash")), 16)
        layout = build(RegionLayout, entries)
        if not (0 <= layout.model_hash < 1 << 64 and 0 <= layout.weights <= _MOST_WEIGHTS):
            raise ValueError("numbers out of range")
        return layout
    except ValueError as error:
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
        rows = channel_first(kernel)
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
        layer.kernel.assign(as_keras(flat, shape))
        if place.bias_offset >= 0:
            size = int(np.prod(layer.bias.shape))
            layer.bias.assign(learned[_part(place.bias_offset, size, layout)])
    model.reload_pool()


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
