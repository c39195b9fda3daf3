"""The training graph as a plain value: tensors, ops in execution order, and the graph of both.

Every tensor carries its dtype and, if it has one, its quantization. A graph is checked when it is
built, so what receives one may trust it.

Example:
    >>> graph = Graph(
    ...     "tiny",
    ...     (Tensor("x", (1, 4), kind="input"), Tensor("y", (1, 4), kind="output")),
    ...     (OpNode("RELU", ("x",), ("y",)),),
    ... )
    >>> graph.lifetimes()
    {'x': (0, 0), 'y': (0, 0)}
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Mapping

from tf_medyate.exporter.ir.nodes import OpNode, Tensor
from tf_medyate.exporter.ir.rules import check_graph
from tf_medyate.exporter.ir.values import (
    CONSTANT,
    INPUT,
    OUTPUT,
    PLANNED_KINDS,
    VARIABLE,
    GraphError,
)
from tf_medyate.spec import format_bytes


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """Tensors, and the ops over them in execution order. Checked when it is built.

    Attributes:
        name: Name of the graph.
        tensors: Every tensor once. Their order is their index in the file.
        ops: The ops in execution order.
        inputs: Names of the input tensors; by default all of kind "input", as they stand.
        outputs: Names of the output tensors; by default all of kind "output", as they stand.

    Raises:
        GraphError: See `tf_medyate.exporter.ir.rules.check_graph`.
    """

    name: str
    tensors: tuple[Tensor, ...]
    ops: tuple[OpNode, ...]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "tensors", tuple(self.tensors))
        object.__setattr__(self, "ops", tuple(self.ops))
        for field, kind in (("inputs", INPUT), ("outputs", OUTPUT)):
            names = getattr(self, field) or (t.name for t in self.tensors if t.kind == kind)
            object.__setattr__(self, field, tuple(names))
        check_graph(self.name, self.tensors, self.ops, self.inputs, self.outputs)

    @functools.cached_property
    def by_name(self) -> Mapping[str, Tensor]:
        """The tensors by name, read-only."""
        return types.MappingProxyType({tensor.name: tensor for tensor in self.tensors})

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name.

        Raises:
            GraphError: There is none.
        """
        if name not in self.by_name:
            raise GraphError(
                "tensor", f"one of '{self.name}'", repr(name), "Print the graph to see them."
            )
        return self.by_name[name]

    @functools.cached_property
    def producers(self) -> Mapping[str, int]:
        """Index of the op that produces a tensor, or has it as scratch; others are left out."""
        made = {n: i for i, op in enumerate(self.ops) for n in (*op.outputs, *op.scratch)}
        return types.MappingProxyType(made)

    @functools.cached_property
    def consumers(self) -> Mapping[str, tuple[int, ...]]:
        """Indices of the ops that read a tensor, rising; () for one that is never read."""
        readers: dict[str, list[int]] = {tensor.name: [] for tensor in self.tensors}
        for index, op in enumerate(self.ops):
            for name in dict.fromkeys(op.reads):
                readers[name].append(index)
        return types.MappingProxyType({name: tuple(ops) for name, ops in readers.items()})

    def lifetimes(self) -> dict[str, tuple[int, int]]:
        """First and last op, inclusive, during which each planned tensor holds something.

        Inputs live from op 0, outputs to the last op, scratch in its op alone. Constants lie in
        flash and variables outside the planned part of the arena: neither is listed.
        """
        lives = {}
        for tensor in self.tensors:
            if tensor.kind in PLANNED_KINDS:
                first = self.producers.get(tensor.name, 0)
                last = max((first, *self.consumers[tensor.name]))
                lives[tensor.name] = (first, self._end if tensor.kind == OUTPUT else last)
        return lives

    @property
    def _end(self) -> int:
        return len(self.ops) - 1

    def __str__(self) -> str:
        ops = [f"{index:4d} {op}" for index, op in enumerate(self.ops)]
        sizes = {
            kind: sum(t.size_bytes for t in self.tensors if t.kind == kind)
            for kind in (CONSTANT, VARIABLE)
        }
        return "\n".join(
            [
                f"graph {self.name}: {len(self.ops)} ops, {len(self.tensors)} tensors, "
                f"constants {format_bytes(sizes[CONSTANT])}, "
                f"variables {format_bytes(sizes[VARIABLE])}",
                *(f"     {tensor}" for tensor in self.tensors),
                *ops,
            ]
        )
