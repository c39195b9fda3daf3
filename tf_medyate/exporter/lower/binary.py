"""Layers that join tensors element by element, and PReLU, whose slopes are the second tensor."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np

from tf_medyate.exporter.lower.activations import broadcast_sides
from tf_medyate.exporter.lower.state import Lowering
from tf_medyate.exporter.ops import elementwise_schema as ops
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.ops.structs import OpSpec
from tf_medyate.prepared.graph import Node

_K = keras.layers
_Term = tuple[str, tuple[int, ...]]
"""A tensor, and its shape without the batch."""

_OPS: dict[Any, OpSpec] = {
    _K.Add: ops.BROADCAST_ADD,
    _K.Average: ops.BROADCAST_ADD,
    _K.Subtract: ops.SUBTRACT,
    _K.Multiply: ops.MULTIPLY,
    _K.Maximum: ops.MAXIMUM,
    _K.Minimum: ops.MINIMUM,
}
LAYERS = tuple(_OPS)


def merge(low: Lowering, node: Node) -> str:
    """A sum, product and so on, two terms at a time, as Keras takes them."""
    shapes = [tuple(tensor.shape[1:]) for tensor in keras.tree.flatten(node.layer.input)]
    terms = zip([low.tensors[name] for name in node.inputs], shapes, strict=True)
    op = _OPS[type(node.layer)]
    total = functools.reduce(lambda a, b: _join(low, node, op, a, b), terms)
    if type(node.layer) is _K.Average:
        share = np.array([1 / len(shapes)], np.float32)
        factor = low.builder.constant(f"{node.name}/share", share)
        total = _join(low, node, ops.MULTIPLY, total, (factor, (1,)))
    return total[0]


def p_relu(low: Lowering, node: Node) -> str:
    """PReLU with its slopes as they are: prepare freezes them."""
    slopes = node.layer.alpha.numpy()
    constant = low.builder.constant(f"{node.name}/slopes", slopes)
    x = (low.input(node), tuple(node.layer.input.shape[1:]))
    return _join(low, node, ops.P_RELU, x, (constant, slopes.shape))[0]


def _join(low: Lowering, node: Node, op: OpSpec, a: _Term, b: _Term) -> _Term:
    shape = np.broadcast_shapes(a[1], b[1])
    y = low.builder.tensor(node.name, (1, *shape))
    if a[0] in low.wanted or b[0] in low.wanted:
        low.wanted.add(y)
    places = [(y, name) for name, own in (a, b) if own == shape]
    if op is ops.BROADCAST_ADD and a[1] == b[1]:
        low.builder.op(op_schema.ADD, [a[0], b[0]], [y], {}, in_place=places)
        return y, shape
    options = broadcast_sides(a[1], b[1])
    if options is None:
        low.refuse(
            node,
            "inputs that differ in up to three groups of neighbouring sides",
            f"{a[1]} and {b[1]}",
            "Bring them to one shape first.",
        )
    low.builder.op(op, [a[0], b[0]], [y], options, in_place=places)
    return y, shape
