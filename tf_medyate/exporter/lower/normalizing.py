"""Normalizations by statistics of the sample itself; their scale and shift are frozen.

Example:
    >>> [trailing_sides((8, 8, 3), axes) for axes in ((-1,), (2, 3), (1,))]
    [1, 2, None]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_medyate.exporter.ir.values import ABSENT
from tf_medyate.exporter.lower.state import Lowering
from tf_medyate.exporter.ops import frozen_schema
from tf_medyate.prepared.graph import Node

_UNIT_EPSILON = 1e-12


def layer_normalization(low: Lowering, node: Node) -> str:
    """Over the last sides of the input."""
    layer = node.layer
    if layer.rms_scaling:
        low.refuse(node, "rms_scaling=False", "True", "Use an RMSNormalization layer.")
    return _over_last(low, node, layer.axis, layer.gamma, layer.beta, layer.epsilon)


def rms_normalization(low: Lowering, node: Node) -> str:
    """Over the last sides, without their mean."""
    layer = node.layer
    return _over_last(low, node, layer.axis, layer.scale, None, layer.epsilon, centered=False)


def unit_normalization(low: Lowering, node: Node) -> str:
    """To a length of 1: by the root of a mean of squares, and that of their number."""
    sides = _sides(node)
    count = trailing_sides(sides, _axes(node.layer.axis))
    n = math.prod(sides[len(sides) - (count or 0) :])
    scale = np.full(n, 1 / math.sqrt(n))
    return _over_last(low, node, node.layer.axis, scale, None, _UNIT_EPSILON / n, centered=False)


def group_normalization(low: Lowering, node: Node) -> str:
    """Over all positions of some channels."""
    layer, sides = node.layer, _sides(node)
    if layer.axis not in (-1, len(sides)):
        low.refuse(node, "axis=-1", str(layer.axis), "Put the channels last.")
    options = {
        "rows": 1,
        "positions": math.prod(sides[:-1]),
        "groups": layer.groups,
        "width": sides[-1] // layer.groups,
        "epsilon": layer.epsilon,
    }
    return _normalize(low, node, layer.gamma, layer.beta, options)


def trailing_sides(sides: Sequence[int], axes: Sequence[int]) -> int | None:
    """How many sides `axes`, which count the batch, are, if they are the last; else None."""
    found = sorted(axis - 1 if axis > 0 else axis + len(sides) for axis in axes)
    return len(found) if found == list(range(len(sides) - len(found), len(sides))) else None


def _over_last(low: Lowering, node: Node, axis, gamma, beta, epsilon: float, centered=True) -> str:
    sides, axes = _sides(node), _axes(axis)
    count = trailing_sides(sides, axes)
    if count is None:
        low.refuse(node, "the last axes, -1 or all of them", str(axes), "Permute its input first.")
    rows = math.prod(sides[: len(sides) - count])
    options = {
        "rows": rows,
        "positions": 1,
        "groups": 1,
        "width": math.prod(sides) // rows,
        "centered": int(centered),
        "epsilon": epsilon,
    }
    return _normalize(low, node, gamma, beta, options)


def _normalize(low: Lowering, node: Node, gamma, beta, options: dict[str, Any]) -> str:
    low.require_one_call(node)
    x = low.input(node)
    y = low.output(node, [x])
    # The gradient needs the input: it must not be written over then.
    in_place = [] if x in low.wanted else [(y, x)]
    inputs = [x, _constant(low, node, "gamma", gamma), _constant(low, node, "beta", beta)]
    low.builder.op(frozen_schema.NORMALIZE, inputs, [y], options, in_place=in_place)
    return y


def _constant(low: Lowering, node: Node, name: str, values) -> str:
    if values is None:
        return ABSENT
    return low.builder.constant(f"{node.name}/{name}", np.asarray(values, np.float32).reshape(-1))


def _sides(node: Node) -> list[int]:
    return [int(side) for side in node.layer.input.shape[1:]]


def _axes(axis) -> list[int]:
    return [axis] if isinstance(axis, int) else list(axis)
