"""How large an arena TFLM needs: what the planner placed, the variables, and TFLM's own records.

Its planner works in the arena, too, before anything lies there: of a tiny net that takes more than
the net itself.

Example:
    >>> print(predict_arena(graph, plan))
    arena ... bytes: planned ..., variables ..., TFLM's records ... (64-bit host)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tf_medyate.exporter.ir.graph import Graph
from tf_medyate.exporter.ir.nodes import OpNode
from tf_medyate.exporter.ir.values import CONSTANT, VARIABLE
from tf_medyate.exporter.memory.placing import align
from tf_medyate.exporter.memory.planner import MemoryPlan
from tf_medyate.exporter.ops.builtin_ops import BUILTIN_RECORDS, record_bytes, scratch_bytes
from tf_medyate.exporter.ops.options import is_custom
from tf_medyate.private_apis import tflite_schema

_WORD_BYTES = 4  # of an element of a variable


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a graph consists of, as far as TFLM keeps records of it.

    Attributes:
        tensors, ops: How many there are.
        ends: Inputs and outputs of the graph.
        placed: Tensors that the planner places: neither constants nor variables.
        variables: How many there are.
        variable_bytes: What they take, aligned.
        builtin_bytes: What is kept of built-in ops besides.
        scratches: Scratch buffers that built-in ops ask for.
        quantized: Ends that have a scale.
    """

    tensors: int
    ops: int
    ends: int
    placed: int
    variables: int
    variable_bytes: int
    builtin_bytes: int = 0
    scratches: int = 0
    quantized: int = 0

    @classmethod
    def of(cls, graph: Graph) -> Counts:
        """Those of a graph."""
        builtin = [op for op in graph.ops if not is_custom(op)]
        variables = [tensor for tensor in graph.tensors if tensor.kind == VARIABLE]
        constants = sum(tensor.kind == CONSTANT for tensor in graph.tensors)
        return cls(
            len(graph.tensors),
            len(graph.ops),
            len(graph.inputs) + len(graph.outputs),
            len(graph.tensors) - constants - len(variables),
            len(variables),
            sum(align(tensor.size_bytes) for tensor in variables),
            sum(_record_bytes(op, graph) for op in builtin),
            sum(len(_scratch_bytes(op, graph)) for op in builtin),
            sum(graph.tensor(n).quantization is not None for n in (*graph.inputs, *graph.outputs)),
        )

    @classmethod
    def of_tflite(cls, data: bytes) -> Counts:
        """Those of the first subgraph of a .tflite."""
        model: Any = tflite_schema().Model.GetRootAs(data, 0)
        graph = model.Subgraphs(0)
        tensors = [graph.Tensors(index) for index in range(graph.TensorsLength())]
        variables = [tensor for tensor in tensors if tensor.IsVariable()]
        constants = sum(model.Buffers(tensor.Buffer()).DataLength() > 0 for tensor in tensors)
        builtin = list(_builtin_ops(model, graph))
        return cls(
            len(tensors),
            graph.OperatorsLength(),
            graph.InputsLength() + graph.OutputsLength(),
            len(tensors) - constants - len(variables),
            len(variables),
            sum(align(_WORD_BYTES * int(t.ShapeAsNumpy().prod())) for t in variables),
            sum(record_bytes(*op) for op in builtin),
            sum(len(scratch_bytes(kind, reads)) for kind, reads, _ in builtin),
        )


def _builtin_ops(model: Any, graph: Any) -> Iterator[tuple[str, list, list]]:
    """(kind, shapes read, shapes made) of a subgraph's built-in ops."""
    operators = vars(tflite_schema().BuiltinOperator).items()
    kinds = {number: name for name, number in operators if name.isupper()}

    def shape(index: int) -> list[int]:
        sides: Any = graph.Tensors(index).ShapeAsNumpy()
        return [] if np.ndim(sides) == 0 else [int(side) for side in sides]

    for op in map(graph.Operators, range(graph.OperatorsLength())):
        kind = kinds[model.OperatorCodes(op.OpcodeIndex()).BuiltinCode()]
        if kind in BUILTIN_RECORDS:
            reads = [shape(index) for index in op.InputsAsNumpy() if index >= 0]
            yield kind, reads, [shape(index) for index in op.OutputsAsNumpy()]


def _shapes(names: Iterable[str], graph: Graph) -> list[tuple[int, ...]]:
    return [graph.tensor(name).shape for name in names]


def _record_bytes(op: OpNode, graph: Graph) -> int:
    adj = [bool(op.attributes.get(name)) for name in ("adj_x", "adj_y")]
    return record_bytes(op.kind, _shapes(op.reads, graph), _shapes(op.outputs, graph), adj)


def _scratch_bytes(op: OpNode, graph: Graph) -> tuple[int, ...]:
    return scratch_bytes(op.kind, _shapes(op.reads, graph))


@dataclasses.dataclass(frozen=True)
class Records:
    """Bytes of the records of TFLM at commit 88f8587, by its RecordingMicroAllocator and sources.

    Attributes:
        tensor, op, end, variable: In the arena's tail for each of them.
        fixed: There, too, whatever the graph.
        requests: What precedes the planner's memory: requests for scratch buffers.
        noted: What the planner notes of each tensor.
        placed: The same of each that it places.
        quantized: In the tail, for an end that has a scale.
    """

    tensor: int
    op: int
    end: int
    variable: int
    fixed: int
    requests: int
    noted: int
    placed: int
    quantized: int

    def tail_bytes(self, counts: Counts) -> int:
        """What stays besides the variables, once all is allocated."""
        ends = self.end * counts.ends + self.quantized * counts.quantized
        # After what is not a multiple of 16 bytes the next allocation may leave a gap.
        return align(self._early(counts) + ends)

    def planning_bytes(self, counts: Counts) -> int:
        """What there must be while the planner works: inputs and outputs come after it."""
        tensors, placed = counts.tensors + counts.scratches, counts.placed + counts.scratches
        notes = align(self.requests + self.noted * tensors) + self.placed * placed
        return align(notes + self._early(counts) + counts.variable_bytes)

    def _early(self, counts: Counts) -> int:
        return (
            self.fixed
            + self.tensor * counts.tensors
            + self.op * counts.ops
            + self.variable * counts.variables
            + self.variable * counts.scratches  # a pointer, too
            + counts.builtin_bytes
        )


HOST = Records(24, 64, 72, 8, 488, 12 * 16 + 8, 32, 40, 32)
"""On the 64-bit host that the wheel runs on."""
BOARD = Records(12, 32, 36, 4, 144, 12 * 12 + 4, 24, 40, 20)
"""On a 32-bit board, with TFLM's plain allocator: 0 to 32 bytes above an emulated Cortex-M4F."""


@dataclasses.dataclass(frozen=True)
class ArenaPrediction:
    """Bytes of the arena, by what they are for.

    Attributes:
        planned_bytes: Tensors that the memory plan places.
        variable_bytes: The pool, the selection and the importances.
        runtime_bytes: TFLM's own records, on the 64-bit host that the wheel runs on.
        planning_bytes: What its planner needs before all that, there.
        board_runtime_bytes: The records on a 32-bit board, from the sizes of the structs.
        board_planning_bytes: The same of the planner.
    """

    planned_bytes: int
    variable_bytes: int
    runtime_bytes: int
    planning_bytes: int
    board_runtime_bytes: int
    board_planning_bytes: int

    @property
    def total_bytes(self) -> int:
        """What the TFLM interpreter of the wheel reports; never less."""
        return self.planned_bytes + self.variable_bytes + self.runtime_bytes

    @property
    def needed_bytes(self) -> int:
        """What it must be given."""
        return max(self.total_bytes, self.planning_bytes)

    @property
    def board_bytes(self) -> int:
        """What TFLM must be given on a 32-bit board."""
        total = self.planned_bytes + self.variable_bytes + self.board_runtime_bytes
        return max(total, self.board_planning_bytes)

    def __str__(self) -> str:
        planning = ""
        if self.planning_bytes > self.total_bytes:
            planning = f"; its planner needs {self.planning_bytes:,} for a moment"
        return (
            f"arena {self.total_bytes:,} bytes: planned {self.planned_bytes:,}, "
            f"variables {self.variable_bytes:,}, TFLM's records {self.runtime_bytes:,} "
            f"(64-bit host){planning}"
        )


def predict_arena(graph: Graph, plan: MemoryPlan) -> ArenaPrediction:
    """Predicts what TFLM reports after allocating a graph with this plan."""
    counts = Counts.of(graph)
    return ArenaPrediction(
        planned_bytes=_with_scratch(graph, plan),
        variable_bytes=counts.variable_bytes,
        runtime_bytes=HOST.tail_bytes(counts),
        planning_bytes=HOST.planning_bytes(counts),
        board_runtime_bytes=BOARD.tail_bytes(counts),
        board_planning_bytes=BOARD.planning_bytes(counts),
    )


def _with_scratch(graph: Graph, plan: MemoryPlan) -> int:
    """End of the planned memory with the scratch buffers of built-in ops, as TFLM places them.

    It puts each into the first gap among the tensors of our plan that are alive then.
    """
    end = plan.arena_bytes
    for number, op in enumerate(graph.ops):
        sizes = () if is_custom(op) else _scratch_bytes(op, graph)
        alive = [p for p in plan.placements if p.first <= number <= p.last] if sizes else []
        taken = [(p.offset, align(p.end)) for p in alive]
        for size in sizes:
            start = 0
            for first, last in sorted(taken):
                if first - start >= size:
                    break
                start = max(start, last)
            taken.append((start, start + size))
            end = max(end, start + size)
    return end
