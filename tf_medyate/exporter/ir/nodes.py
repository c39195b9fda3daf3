"""What a training graph consists of: tensors, and the ops over them.

Constants are held by reference, never copied.

Example:
    >>> print(OpNode("RELU", ("x",), ("y",)))
    RELU(x) -> y
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_medyate.exporter.ir.values import (
    ABSENT,
    ACTIVATION,
    CONSTANT,
    DTYPES,
    KINDS,
    FrozenMap,
    GraphError,
    Quantization,
)
from tf_medyate.spec import format_bytes


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the training graph; compared by identity, since it may hold an array.

    Attributes:
        name: Unique in its graph, not empty.
        shape: Positive sides; () for a scalar constant. TFLM wants rank 1 or more elsewhere.
        dtype: "float32", "int8", "int32" or "uint8"; of built-in ops also "int64" or "bool".
        kind: "input", "output", "constant", "variable", "activation" or "scratch".
        quantization: None for a tensor whose stored values are the real ones.
        data: A read-only view of a constant's values (`shape`, `dtype`), None otherwise.

    Raises:
        GraphError: One of these is out of range or contradicts another.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    kind: str = ACTIVATION
    quantization: Quantization | None = None
    data: np.ndarray | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self):
        self._require(bool(self.name), "name", "a name", repr(self.name), "Name every tensor.")
        self._require(self.dtype in DTYPES, "dtype", _any_of(DTYPES), repr(self.dtype), "Cast it.")
        self._require(self.kind in KINDS, "kind", _any_of(KINDS), repr(self.kind), "Choose one.")
        whole = all(isinstance(s, int | np.integer) and s > 0 for s in self.shape)
        self._require(
            whole, "shape", "positive sides", str(self.shape), "Fix the model's input shape."
        )
        object.__setattr__(self, "shape", tuple(int(side) for side in self.shape))
        self._check_data()
        self._check_quantization()

    def _require(self, condition: bool, what: str, expected: str, received: str, remedy: str):
        if not condition:
            raise GraphError(f"{what} of tensor '{self.name}'", expected, received, remedy)

    def _check_data(self):
        if self.data is None:
            self._require(self.kind != CONSTANT, "data", "an array", "None", "Give the values.")
            return
        remedy = "Only constants hold data, in their own shape and dtype."
        self._require(self.kind == CONSTANT, "data", "None", f"data and kind {self.kind}", remedy)
        fits = self.data.shape == self.shape and self.data.dtype == DTYPES[self.dtype]
        received = f"{self.data.dtype}{self.data.shape}"
        self._require(fits, "data", f"{self.dtype}{self.shape}", received, remedy)
        view = np.ascontiguousarray(self.data).reshape(self.shape).view()
        view.flags.writeable = False
        object.__setattr__(self, "data", view)

    def _check_quantization(self):
        q = self.quantization
        if q is None:
            return
        integer = self.dtype != "float32"
        self._require(integer, "quantization", "None", str(q), "Only integers are quantized.")
        sides = dict(enumerate(self.shape))
        fits = len(q.scale) in (1, sides.get(q.axis))
        expected = f"1 scale, or one for each index of axis {q.axis} of {self.shape}"
        self._require(fits, "quantization", expected, str(q), "Set axis to the quantized axis.")
        limits = np.iinfo(DTYPES[self.dtype]) if integer else np.iinfo(np.int8)
        inside = all(limits.min <= zero <= limits.max for zero in q.zero_point)
        expected = f"{limits.min} to {limits.max}"
        self._require(inside, "zero point", expected, str(q), "Calibrate it again.")

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Size in bytes, without padding."""
        return self.elements * DTYPES[self.dtype].itemsize

    def __str__(self) -> str:
        shape = "x".join(str(side) for side in self.shape) or "scalar"
        quantized = f"  {self.quantization}" if self.quantization else ""
        return (
            f"{self.name:<32} {self.kind:<10} {self.dtype:<7} {shape:>16} "
            f"{format_bytes(self.size_bytes):>13}{quantized}"
        )


def _any_of(names) -> str:
    return ", ".join(names)


@dataclasses.dataclass(frozen=True)
class OpNode:
    """One operation.

    Attributes:
        kind: Name of a TensorFlow Lite built-in op ("CONV_2D") or of a custom op.
        inputs: Tensor names in the op's order; `ABSENT` for an optional one that is not there.
        outputs: Names of the tensors it produces.
        scratch: Names of the tensors that it needs only while it runs.
        attributes: Its options.
        mutates: Those of its inputs, variables, that it writes.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scratch: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=FrozenMap)
    mutates: tuple[str, ...] = ()

    def __post_init__(self):
        for field in ("inputs", "outputs", "scratch", "mutates"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        object.__setattr__(self, "attributes", FrozenMap(self.attributes))

    @property
    def reads(self) -> tuple[str, ...]:
        """The inputs that are there."""
        return tuple(name for name in self.inputs if name != ABSENT)

    def __str__(self) -> str:
        inputs = ", ".join(f"{n}!" if n in self.mutates else n or "-" for n in self.inputs)
        scratch = f" scratch {', '.join(self.scratch)}" if self.scratch else ""
        options = f"  [{self.attributes}]" if self.attributes else ""
        return f"{self.kind}({inputs}) -> {', '.join(self.outputs) or '-'}{scratch}{options}"
