"""Layers that only move elements: cropped, repeated, or in another order, by one op.

Example:
    >>> coalesced([(2, 12), (3, 4), (4, 1)])  # a whole map: moves nothing
    [(24, 1)]
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from tf_medyate.exporter.lower.state import Lowering
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.prepared.graph import Node

Side = tuple[int, int]
"""A side of the output, and how far apart its elements are in the input."""


def permute(low: Lowering, node: Node) -> str:
    """Axes in another order."""
    sides = _sides(node)
    return strided(low, node, [sides[axis - 1] for axis in node.layer.dims])


def crop(low: Lowering, node: Node) -> str:
    """The inner part of a series or map."""
    sides, cuts = _sides(node), node.layer.cropping
    cuts = [cuts] if isinstance(cuts[0], int) else cuts
    offset = sum(stride * int(cut[0]) for (_, stride), cut in zip(sides, cuts, strict=False))
    inner = [int(side) for side in node.layer.output.shape[1:]]
    return strided(low, node, [(n, s) for n, (_, s) in zip(inner, sides, strict=True)], offset)


def repeat(low: Lowering, node: Node) -> str:
    """A vector, as often as a RepeatVector says."""
    return strided(low, node, [(node.layer.n, 0), *_sides(node)])


def up_sample(low: Lowering, node: Node) -> str:
    """Each position, as often as an UpSampling layer says."""
    kind = getattr(node.layer, "interpolation", "nearest")
    if kind != "nearest":
        low.refuse(node, 'interpolation="nearest"', kind, "Interpolate by convolutions after it.")
    size = node.layer.size
    times = [int(n) for n in ([size] if isinstance(size, int) else size)]
    *spatial, channels = _sides(node)
    pairs = [((n, stride), (often, 0)) for (n, stride), often in zip(spatial, times, strict=True)]
    return strided(low, node, [*itertools.chain(*pairs), channels])


def strided(low: Lowering, node: Node, sides: Sequence[Side], offset: int = 0) -> str:
    """A node's output, whose elements lie in its input as `sides` say; no op if all stay."""
    x = low.input(node)
    elements = low.builder.elements(x)
    merged = coalesced(sides)
    if merged == [(elements, 1)]:
        return x
    if len(merged) > op_schema.COPY_SIDES:
        low.refuse(
            node,
            f"a move along at most {op_schema.COPY_SIDES} sides",
            f"one along {len(merged)}",
            "Do it in two layers, one after the other.",
        )
    y = low.output(node, [x])
    low.builder.op(op_schema.STRIDED_COPY, [x], [y], copy_options(merged, offset, elements))
    return y


def copy_options(sides: Sequence[Side], offset: int, input_elements: int) -> dict[str, Any]:
    """What STRIDED_COPY needs to know."""
    filled = [(1, 0)] * (op_schema.COPY_SIDES - len(sides)) + list(sides)
    return {
        "sides": tuple(n for n, _ in filled),
        "strides": tuple(stride for _, stride in filled),
        "offset": offset,
        "input_elements": input_elements,
    }


def coalesced(sides: Sequence[Side]) -> list[Side]:
    """The same elements with as few sides as will do."""
    merged: list[Side] = []
    for n, stride in sides:
        if n == 1:
            continue
        if merged and merged[-1][1] == n * stride:
            merged[-1] = (merged[-1][0] * n, stride)
        else:
            merged.append((n, stride))
    return merged or [(1, 1)]


def _sides(node: Node) -> list[Side]:
    """The sides of a node's input, without the batch."""
    shape = [int(side) for side in node.layer.input.shape[1:]]
    return [(n, math.prod(shape[axis + 1 :])) for axis, n in enumerate(shape)]
