"""The small values that a training graph is made of: kinds, dtypes, attributes, quantization.

Example:
    >>> Quantization((0.5,), (-128,))
    Quantization(scale=(0.5,), zero_point=(-128,), axis=0)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tf_medyate.errors import OptionError

DTYPES = {
    "float32": np.dtype("<f4"),
    "int8": np.dtype("i1"),
    "int32": np.dtype("<i4"),
    "uint8": np.dtype("u1"),
    "int64": np.dtype("<i8"),
    "bool": np.dtype("?"),
}

INPUT = "input"
OUTPUT = "output"
CONSTANT = "constant"
VARIABLE = "variable"
ACTIVATION = "activation"
SCRATCH = "scratch"
KINDS = (INPUT, OUTPUT, CONSTANT, VARIABLE, ACTIVATION, SCRATCH)
PLANNED_KINDS = (INPUT, OUTPUT, ACTIVATION, SCRATCH)

SOFTMAX_CROSS_ENTROPY = "softmax_cross_entropy"
SIGMOID_CROSS_ENTROPY = "sigmoid_cross_entropy"
MEAN_SQUARED_ERROR = "mean_squared_error"
MEAN_ABSOLUTE_ERROR = "mean_absolute_error"
HUBER = "huber"
SUM_OF_LOSSES = "sum_of_losses"
"""The losses that can be exported, by name."""

SOFTMAX, SIGMOID = "softmax", "sigmoid"
"""What a loss takes the place of at a model's end."""

ABSENT = ""
"""Stands in an op's inputs for an optional tensor that is not there, such as a bias."""


class GraphError(OptionError):
    """A training graph that contradicts itself: a tensor used before it is produced, ..."""


class FrozenMap(Mapping[str, Any]):
    """An immutable, hashable mapping of names to numbers, strings, bytes or tuples of them."""

    def __init__(self, values: Mapping[str, Any] | None = None):
        self._values = {k: _frozen(k, v) for k, v in dict(values or {}).items()}

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"FrozenMap({self._values!r})"

    def __str__(self) -> str:
        return " ".join(f"{key}={_short(value)}" for key, value in self._values.items())


def _frozen(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_frozen(name, item) for item in value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | int | float | str | bytes):
        return value
    raise OptionError(
        f"attribute '{name}'",
        "a number, a string, bytes, or a tuple of them",
        type(value).__name__,
        "Arrays belong into constant tensors.",
    )


def _short(value: Any) -> str:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)


@dataclasses.dataclass(frozen=True)
class Quantization:
    """real = scale * (stored - zero_point), for a whole tensor or for each index of one axis.

    Attributes:
        scale: Positive finite scales: one, or one for each index of `axis`.
        zero_point: As many zero points as scales.
        axis: The axis that several scales belong to.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int = 0

    def __post_init__(self):
        object.__setattr__(self, "scale", tuple(float(s) for s in self.scale))
        object.__setattr__(self, "zero_point", tuple(int(z) for z in self.zero_point))
        if not self.scale or len(self.scale) != len(self.zero_point):
            raise OptionError(
                "quantization",
                "as many zero points as scales, at least one",
                f"{len(self.scale)} scales and {len(self.zero_point)} zero points",
                "Give one pair for the tensor, or one for each index of the axis.",
            )
        if not all(math.isfinite(s) and s > 0 for s in self.scale):
            raise OptionError(
                "quantization scale",
                "positive finite numbers",
                str(self.scale),
                "Calibrate with data that is not all zero.",
            )

    def __str__(self) -> str:
        scale, zero = self.scale[0], self.zero_point[0]
        several = f"{len(self.scale)} scales on axis {self.axis}"
        return several if len(self.scale) > 1 else f"scale {scale:.4g} zero {zero}"
