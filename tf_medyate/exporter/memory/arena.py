"""How large an arena TFLM needs: what the planner placed, the variables, and TFLM's own records.

Example:
    >>> print(predict_arena(graph, plan))
    arena ... bytes: planned ..., variables ..., TFLM's records ... (64-bit host)
"""

from __future__ import annotations

import dataclasses

from tf_medyate.exporter.ir.graph import Graph
from tf_medyate.exporter.ir.values import VARIABLE
from tf_medyate.exporter.memory.placing import align
from tf_medyate.exporter.memory.planner import MemoryPlan

# What TFLM at commit 88f8587 keeps in the arena's tail, from its RecordingMicroAllocator and
# micro_allocator.cc. A 32-bit board's structs are made of 4-byte pointers and one-byte enums.
_HOST = {"tensor": 24, "op": 64, "end": 72, "variable": 8, "fixed": 488}
_BOARD = {"tensor": 12, "op": 32, "end": 44, "variable": 4, "fixed": 264}


@dataclasses.dataclass(frozen=True)
class ArenaPrediction:
    """Bytes of the arena, by what they are for.

    Attributes:
        planned_bytes: Tensors that the memory plan places.
        variable_bytes: The pool, the selection and the importances.
        runtime_bytes: TFLM's own records, on the 64-bit host that the wheel runs on.
        board_runtime_bytes: The same on a 32-bit board, estimated from the sizes of the structs.
    """

    planned_bytes: int
    variable_bytes: int
    runtime_bytes: int
    board_runtime_bytes: int

    @property
    def total_bytes(self) -> int:
        """What the TFLM interpreter of the wheel reports; never less."""
        return self.planned_bytes + self.variable_bytes + self.runtime_bytes

    @property
    def board_bytes(self) -> int:
        """What TFLM would report on a 32-bit board; an estimate."""
        return self.planned_bytes + self.variable_bytes + self.board_runtime_bytes

    def __str__(self) -> str:
        return (
            f"arena {self.total_bytes:,} bytes: planned {self.planned_bytes:,}, "
            f"variables {self.variable_bytes:,}, TFLM's records {self.runtime_bytes:,} "
            "(64-bit host)"
        )


def predict_arena(graph: Graph, plan: MemoryPlan) -> ArenaPrediction:
    """Predicts what TFLM reports after allocating a graph with this plan."""
    variables = [tensor for tensor in graph.tensors if tensor.kind == VARIABLE]

    def records(size: dict[str, int]) -> int:
        ends = len(graph.inputs) + len(graph.outputs)
        total = size["fixed"] + size["tensor"] * len(graph.tensors) + size["op"] * len(graph.ops)
        # Behind what is not a multiple of 16 bytes the next allocation may leave a gap.
        return align(total + size["end"] * ends + size["variable"] * len(variables))

    return ArenaPrediction(
        planned_bytes=plan.arena_bytes,
        variable_bytes=sum(align(tensor.size_bytes) for tensor in variables),
        runtime_bytes=records(_HOST),
        board_runtime_bytes=records(_BOARD),
    )
