"""Collects the tensors and ops of a graph while it is being lowered.

Example:
    >>> from tf_medyate.exporter.ir.values import INPUT
    >>> from tf_medyate.exporter.ops import elementwise_schema as ops
    >>> builder = Builder()
    >>> x = builder.tensor("x", (1, 8), kind=INPUT)
    >>> y = builder.tensor("y", (1, 8))
    >>> builder.op(ops.TANH, [x], [y], options={}, in_place=[(y, x)])
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_medyate.exporter.ir.graph import Graph
from tf_medyate.exporter.ir.nodes import OpNode, Tensor
from tf_medyate.exporter.ir.values import ACTIVATION, CONSTANT, INPUT, OUTPUT, Quantization
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.ops.options import CUSTOM_OPTIONS


class Builder:
    """A graph that grows.

    Args:
        reserved: Names of tensors that are still to come: others of that name get a number.

    Attributes:
        ops: The ops so far, in execution order.
        in_place: (output, input) pairs that may share memory.
    """

    def __init__(self, reserved: Iterable[str] = ()):
        self._tensors: dict[str, Tensor] = {}
        self._reserved = frozenset(reserved)
        self.ops: list[OpNode] = []
        self.in_place: list[tuple[str, str]] = []

    def tensor(
        self,
        name: str,
        shape: Iterable[int],
        dtype: str = "float32",
        kind: str = ACTIVATION,
        reserved: bool = False,
        quantization: Quantization | None = None,
    ) -> str:
        """Declares a tensor; returns its name, with a number after it if it was taken.

        Args:
            name: Its name.
            shape: Positive sides.
            dtype: As `Tensor`.
            kind: As `Tensor`.
            reserved: It is the one that the name was reserved for.
            quantization: As `Tensor`.
        """
        free = name if reserved else self._unique(name)
        return self._declare(Tensor(free, tuple(shape), dtype, kind, quantization))

    def constant(self, name: str, data: np.ndarray, reserved: bool = False) -> str:
        """Declares a constant (float32, int32, int8); the name is as for `tensor`."""
        values = np.asarray(data)
        free = name if reserved else self._unique(name)
        return self._declare(Tensor(free, values.shape, str(values.dtype), CONSTANT, data=values))

    def _declare(self, tensor: Tensor) -> str:
        self._tensors[tensor.name] = tensor
        return tensor.name

    def _unique(self, name: str) -> str:
        free, number = name, 2
        while free in self._tensors or free in self._reserved:
            free, number = f"{name}_{number}", number + 1
        return free

    def op(
        self,
        kind: op_schema.OpSpec,
        inputs: Iterable[str],
        outputs: Iterable[str],
        options: Mapping[str, Any] | bytes,
        *,
        scratch: Iterable[str] = (),
        mutates: Iterable[str] = (),
        in_place: Iterable[tuple[str, str]] = (),
        first: bool = False,
    ) -> OpNode:
        """Appends one of our ops.

        Args:
            kind: The op.
            inputs: Its tensors, as the schema lists them.
            outputs: As the schema lists them, without scratch.
            options: The fields of its options, or the packed options of another op.
            scratch: Tensors that it needs only while it runs.
            mutates: Variables among the inputs that it writes.
            in_place: (output, input) pairs that may share memory.
            first: It comes before all others instead.
        """
        packed = options if isinstance(options, bytes) else kind.options.pack(**options)
        op = OpNode(
            kind.name,
            tuple(inputs),
            tuple(outputs),
            tuple(scratch),
            {CUSTOM_OPTIONS: packed},
            tuple(mutates),
        )
        self.ops.insert(0 if first else len(self.ops), op)
        self.in_place += in_place
        return op

    def mark(self) -> tuple[int, int, int]:
        """How far the graph has grown, for `rewind`."""
        return len(self.ops), len(self.in_place), len(self._tensors)

    def rewind(self, mark: tuple[int, int, int]):
        """Takes back what was added since a `mark`."""
        ops, in_place, tensors = mark
        del self.ops[ops:], self.in_place[in_place:]
        for name in list(self._tensors)[tensors:]:
            del self._tensors[name]

    def insert(self, place: int, ops: Sequence[OpNode]):
        """Puts ops before the one at a place."""
        self.ops[place:place] = ops

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape."""
        return self._tensors[name].shape

    def dtype(self, name: str) -> str:
        """A tensor's dtype."""
        return self._tensors[name].dtype

    def quantization(self, name: str) -> Quantization:
        """How an int8 tensor's numbers are meant."""
        found = self._tensors[name].quantization
        assert found is not None
        return found

    def elements(self, name: str) -> int:
        """A tensor's number of elements."""
        return self._tensors[name].elements

    def make_output(self, name: str, new_name: str) -> str:
        """Turns an activation into an output of the graph, under a new name, a reserved one."""
        old = self._tensors.pop(name)
        self._declare(dataclasses.replace(old, name=new_name, kind=OUTPUT))

        def swap(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(new_name if n == name else n for n in names)

        self.ops = [
            dataclasses.replace(op, inputs=swap(op.inputs), outputs=swap(op.outputs))
            for op in self.ops
        ]
        self.in_place = [(swap((a,))[0], swap((b,))[0]) for a, b in self.in_place]
        return new_name

    def readers(self, name: str) -> list[OpNode]:
        """The ops that read a tensor."""
        return [op for op in self.ops if name in op.inputs]

    def replace_input(self, name: str, made: str, without: Iterable[OpNode]):
        """Makes a tensor that ops computed of an input that very input; the ops go.

        Args:
            name: The input, which keeps its name.
            made: The tensor, which gives it its type and shape.
            without: The ops; nothing but them reads the input, or what they make but `made`.
        """
        gone = list(without)
        self._tensors[name] = dataclasses.replace(self._tensors.pop(made), name=name, kind=INPUT)

        def swap(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name if n == made else n for n in names)

        self.ops = [
            dataclasses.replace(op, inputs=swap(op.inputs)) for op in self.ops if op not in gone
        ]
        self.in_place = [swap(pair) for pair in self.in_place if pair[0] != made]

    def graph(self, name: str, inputs: Iterable[str], outputs: Iterable[str]) -> Graph:
        """The finished graph; tensors that no op uses are left out.

        Raises:
            GraphError: The graph contradicts itself.
        """
        inputs, outputs = tuple(inputs), tuple(outputs)
        used = {n for op in self.ops for n in (*op.reads, *op.outputs, *op.scratch)}
        used |= {*inputs, *outputs}
        tensors = tuple(t for t in self._tensors.values() if t.name in used)
        return Graph(name, tensors, tuple(self.ops), inputs, outputs)
