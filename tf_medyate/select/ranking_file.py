"""Measurements of a net's layers as a small JSON file: measured once, used on any task.

The file holds norms, not scores: each ranking, cost and budget makes its own scores of them. Layers
are told by what they are, in order, not by their names; the head is left out, for it is another
on each task.

Example:
    >>> gradients = md.measure_gradients(model, (x, y, 8), steps=20)
    >>> save_ranking("ranking.json", md.layer_specs(model), gradients, "flowers, 20 steps")
    >>> medyate = md.MeDyate("8KiB", ranking="ranking.json")    # elsewhere: nothing is measured
"""

from __future__ import annotations

import json
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from tf_medyate.errors import OptionError
from tf_medyate.files import check_file, write_text
from tf_medyate.json_values import JsonError, read_object, require
from tf_medyate.select.gradients import ChannelGradients, LayerGradient
from tf_medyate.spec import LayerSpec

FORMAT = "tf_medyate ranking"
VERSION = 1
_MEASURED = ("norm", "channel_norms", "squared_norm")
_REMEDY = "Make one of this net: medyate rank --save FILE."


def save_ranking(
    path: str | os.PathLike[str],
    specs: Sequence[LayerSpec],
    gradients: ChannelGradients,
    task: str = "",
):
    """Writes what was measured of the layers.

    Args:
        path: File to write, ending in .json.
        specs: The net's layers.
        gradients: What was measured of them.
        task: What they were measured on, for people.
    """
    check_file("path", path, (".json",))
    found = gradients.layers()
    layers = [
        _described(s) | {name: getattr(found[s.name], name) for name in _MEASURED}
        for s in _ranked(specs)
    ]
    content = {
        "format": FORMAT,
        "version": VERSION,
        "task": task,
        "batches": gradients.batches,
        "layers": layers,
    }
    write_text(path, json.dumps(content, indent=1) + "\n")


def load_ranking(
    path: str | os.PathLike[str], specs: Sequence[LayerSpec]
) -> Mapping[str, LayerGradient]:
    """Reads what `save_ranking` wrote, for a net of the same layers.

    Args:
        path: The file.
        specs: The net's layers; their names, maps and head may be others.

    Returns:
        The measurements by the layers' names here.

    Raises:
        OptionError: The file is missing, damaged, or of another net.
    """
    entries = _read(path)
    ranked = _ranked(specs)
    if len(entries) != len(ranked):
        _refuse(path, f"{len(ranked)} layers beside the head, as the net has", f"{len(entries)}")
    found = {}
    for place, (spec, entry) in enumerate(zip(ranked, entries, strict=True)):
        described = {name: entry.get(name) for name in _described(spec)}
        if described != _described(spec):
            _refuse(path, f"layer {place} {_described(spec)}", f"{described}")
        values: list[Any] = [entry.get(name) for name in _MEASURED]
        if not all(_is_measure(value) for value in values):
            _refuse(path, f"finite {', '.join(_MEASURED)} of layer {place}", f"{values}")
        found[spec.name] = LayerGradient(*map(float, values))
    return found


def _ranked(specs: Sequence[LayerSpec]) -> list[LayerSpec]:
    return [spec for spec in specs if not spec.is_head]


def _described(spec: LayerSpec) -> dict[str, Any]:
    """What tells a layer from others, as JSON gives it back."""
    return {
        "kind": spec.kind,
        "kernel_size": list(spec.kernel_size),
        "channels": spec.channels,
        "outputs": spec.outputs,
    }


def _is_measure(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0


def _read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    try:
        content = read_object(pathlib.Path(path))
        require(content, format=FORMAT, version=VERSION)
    except JsonError as error:
        _refuse(path, error.expected, error.received)
    layers = content.get("layers")
    if not isinstance(layers, list) or not all(isinstance(entry, dict) for entry in layers):
        _refuse(path, "a list of layers", type(layers).__name__)
    return layers


def _refuse(path: str | os.PathLike[str], expected: str, received: str) -> NoReturn:
    raise OptionError(f"ranking {str(path)!r}", expected, received, _REMEDY)
