"""Which op computes a node's activation, if one bit an element is not all that its gradient needs.

Told by identity and configuration, never by name: a function of the user's own may have any.

Example:
    >>> import keras
    >>> unary_call(keras.layers.ELU(0.5)).op.name
    'MEDYATE_ELU'
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import keras

from tf_medyate.exporter.ops import elementwise_schema as ops
from tf_medyate.exporter.ops.structs import OpSpec
from tf_medyate.prepared.supported import known_activation

_K = keras.layers
_A = keras.activations
# Klambauer et al., 2017 (1706.02515): the numbers that Keras has.
_SELU = {"alpha": 1.6732632423543772, "scale": 1.0507009873554805}
_MOST_SIDES = 3


@dataclasses.dataclass(frozen=True)
class UnaryCall:
    """An op of one tensor, and its options."""

    op: OpSpec
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


_FUNCTIONS: tuple[tuple[Any, UnaryCall], ...] = (
    (_A.hard_silu, UnaryCall(ops.HARD_SWISH)),
    (_A.hard_sigmoid, UnaryCall(ops.HARD_SIGMOID)),
    (_A.sigmoid, UnaryCall(ops.SIGMOID)),
    (_A.tanh, UnaryCall(ops.TANH)),
    (_A.exponential, UnaryCall(ops.EXPONENTIAL)),
    (_A.softplus, UnaryCall(ops.SOFTPLUS)),
    (_A.softsign, UnaryCall(ops.SOFTSIGN)),
    (_A.silu, UnaryCall(ops.SILU)),
    (_A.elu, UnaryCall(ops.ELU, {"alpha": 1.0, "scale": 1.0})),
    (_A.selu, UnaryCall(ops.ELU, _SELU)),
    (_A.gelu, UnaryCall(ops.GELU)),
    (keras.ops.gelu, UnaryCall(ops.GELU_TANH)),  # its default, unlike keras.activations.gelu's
)
FUNCTION_NAMES = tuple(function.__name__ for function, _ in _FUNCTIONS)
"""For messages."""


def unary_call(layer: Any) -> UnaryCall | None:
    """The op of a layer's activation; None for one that is gated, linear, a softmax or unknown."""
    if type(layer) is _K.ELU:
        return _elu(float(layer.alpha))
    if type(layer) is _K.ReLU:
        return _clipped_relu(layer)
    if type(layer) is gelu_operation():
        return UnaryCall(ops.GELU_TANH if layer.approximate else ops.GELU)
    function = getattr(layer, "activation", None)
    function = known_activation(function) or function
    return next((call for known, call in _FUNCTIONS if known is function), None)


def softmax_call(shape: tuple[int, ...], axis: Any) -> UnaryCall | None:
    """A softmax over one axis of [batch, *shape], counted with the batch; None for several axes."""
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    at = axes[0] - 1 if axes[0] > 0 else len(shape) + axes[0]
    if len(axes) != 1 or not 0 <= at < len(shape):
        return None
    return UnaryCall(ops.SOFTMAX, {"size": shape[at], "inner": math.prod(shape[at + 1 :])})


def _elu(alpha: float) -> UnaryCall | None:
    # The gradient is taken from the output, whose sign says nothing if alpha is negative.
    return UnaryCall(ops.ELU, {"alpha": alpha, "scale": 1.0}) if alpha >= 0 else None


def _clipped_relu(layer: Any) -> UnaryCall | None:
    top = math.inf if layer.max_value is None else float(layer.max_value)
    options = {
        "max_value": top,
        "threshold": float(layer.threshold or 0.0),
        "negative_slope": float(layer.negative_slope or 0.0),
    }
    return UnaryCall(ops.CLIPPED_RELU, options) if top > 0 else None


@functools.cache
def gelu_operation() -> type:
    """What Keras makes of `keras.ops.gelu(x)` in a functional model."""
    x = keras.Input((2,))
    return type(keras.Model(x, keras.ops.gelu(x)).operations[-1])


# --- two tensors


def broadcast_sides(a: tuple[int, ...], b: tuple[int, ...]) -> dict[str, tuple[int, ...]] | None:
    """The fewest sides that say how two shapes are repeated, as `BROADCAST_OPTIONS` has them.

    Args:
        a: Shape of the first operand, without the batch.
        b: Of the second.

    Returns:
        size, a_size and b_size, three sides each; None if three are not enough.
    """
    rank = max(len(a), len(b))
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in (a, b)]
    sides: list[list[int]] = []
    for left, right in zip(*padded, strict=True):
        if left == right == 1:
            continue
        alike = sides and [was == 1 for was in sides[-1]] == [left == 1, right == 1]
        if alike:
            sides[-1] = [sides[-1][0] * left, sides[-1][1] * right]
        else:
            sides.append([left, right])
    if len(sides) > _MOST_SIDES:
        return None
    sides = [[1, 1]] * (_MOST_SIDES - len(sides)) + sides
    return {
        "size": tuple(max(pair) for pair in sides),
        "a_size": tuple(pair[0] for pair in sides),
        "b_size": tuple(pair[1] for pair in sides),
    }
