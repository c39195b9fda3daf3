"""Where each tensor lies in the arena.

Two tensors may share memory if no op needs both. The planner places tensors one after the other,
each into the smallest gap that fits between those it lives with (best fit), in several orders, and
keeps the smallest arena. If that could be smaller, what ends on top comes first in other orders.
TFLM's own planner takes one order, by size, and the first gap.

Constants lie in flash, variables in the persistent part of the arena: both get offset -1.

Example:
    >>> plan = plan_memory(graph, arena_limit="64KiB")
    >>> plan.arena_bytes >= plan.lower_bound_bytes
    True
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from tf_medyate.errors import PlanError
from tf_medyate.exporter.ir.graph import Graph
from tf_medyate.exporter.ir.values import CONSTANT, VARIABLE, FrozenMap
from tf_medyate.exporter.memory.placing import ALIGNMENT_BYTES, align, blocks_of, live_bytes, place
from tf_medyate.spec import BYTES, MemoryBudget, format_bytes

UNPLANNED = -1
_SHOWN = 5


class ArenaLimitError(PlanError):
    """A graph whose tensors do not fit into the arena limit.

    Attributes:
        excess_bytes: How many bytes are missing.
    """

    def __init__(self, argument: str, expected: str, received: str, remedy: str, excess_bytes=0):
        super().__init__(argument, expected, received, remedy)
        self.excess_bytes = excess_bytes


@dataclasses.dataclass(frozen=True)
class TensorPlacement:
    """Where and when one tensor lies.

    Attributes:
        name: The tensor.
        size_bytes: Its size, without padding.
        offset: Start in the arena in bytes, a multiple of `ALIGNMENT_BYTES`.
        first: Index of the first op during which it is alive.
        last: Index of the last one, inclusive.
    """

    name: str
    size_bytes: int
    offset: int
    first: int
    last: int

    @property
    def end(self) -> int:
        """First free byte after it, aligned."""
        return self.offset + align(self.size_bytes)

    def __str__(self) -> str:
        return (
            f"{self.name:<32} ops {self.first:4d} to {self.last:4d}  at {self.offset:9,d}  "
            f"{self.size_bytes:9,d} bytes"
        )


@dataclasses.dataclass(frozen=True)
class MemoryPlan:
    """Offsets of a graph's tensors in the arena.

    Attributes:
        graph: Name of the graph it was made for.
        offsets: Start of every tensor in bytes, -1 for constants and variables, in file order.
        placements: The planned tensors in file order.
        in_place: (output, input) pairs that share their start.
        arena_bytes: Size of the planned part of the arena. The runtime adds variables and its
            own records.
        lower_bound_bytes: No plan with these lifetimes and pairs is smaller.
        variable_bytes: Bytes of the variables, which the runtime places.
        peak: Index of the op during which most bytes are alive.
        peak_op: That op's kind.
    """

    graph: str
    offsets: Mapping[str, int]
    placements: tuple[TensorPlacement, ...]
    in_place: tuple[tuple[str, str], ...]
    arena_bytes: int
    lower_bound_bytes: int
    variable_bytes: int
    peak: int
    peak_op: str

    @property
    def at_peak(self) -> tuple[TensorPlacement, ...]:
        """The tensors that are alive at the peak, largest first."""
        alive = (p for p in self.placements if p.first <= self.peak <= p.last)
        return tuple(sorted(alive, key=lambda p: (-p.size_bytes, p.name)))

    def check(self) -> None:
        """Proves that the plan is sound.

        Raises:
            PlanError: Two tensors that live at the same time overlap (the pairs in place may), a
                tensor is not aligned, or one reaches beyond the arena.
        """
        shared = {frozenset(pair) for pair in self.in_place}
        for item in self.placements:
            outside = item.offset < 0 or item.end > self.arena_bytes
            if outside or item.offset % ALIGNMENT_BYTES:
                expected = f"an aligned place within {self.arena_bytes} bytes"
                raise PlanError("memory plan", expected, str(item), "Plan the graph again.")
        for one, other in _overlaps(self.placements):
            in_place = frozenset((one.name, other.name)) in shared and one.offset == other.offset
            if not in_place:
                raise PlanError(
                    "memory plan",
                    "tensors that live together to lie apart",
                    f"'{one.name}' and '{other.name}' at {one.offset} and {other.offset}",
                    "Plan the graph again.",
                )

    def __str__(self) -> str:
        share = self.arena_bytes / max(self.lower_bound_bytes, 1) - 1
        lines = [
            f"arena of {self.graph}: {format_bytes(self.arena_bytes)} planned "
            f"({self.arena_bytes:,} bytes, {share:.1%} above the lower bound), "
            f"variables {format_bytes(self.variable_bytes)} besides",
            f"peak at op {self.peak} {self.peak_op}, largest tensors alive there:",
            *(f"  {item}" for item in self.at_peak[:_SHOWN]),
        ]
        return "\n".join(lines)


def plan_memory(
    graph: Graph,
    in_place: Iterable[tuple[str, str]] = (),
    arena_limit: int | str | MemoryBudget | None = None,
) -> MemoryPlan:
    """Gives every tensor a place in the arena.

    Args:
        graph: The graph, its ops in execution order.
        in_place: (output, input) pairs of one op each: the op may write the output where the
            input lies. Pairs whose input lives on are ignored, and so are second pairs of a
            tensor.
        arena_limit: Largest planned arena plus variables, in bytes ("64KiB"); None for no limit.

    Returns:
        The smallest plan found, sound by `MemoryPlan.check`.

    Raises:
        PlanError: A pair of `in_place` is not an output and an input of one op.
        ArenaLimitError: The arena is larger than the limit.
        BudgetError: The limit cannot be read.
    """
    limit = None if arena_limit is None else _limit_bytes(arena_limit)
    lives = graph.lifetimes()
    pairs = _usable_pairs(graph, in_place, lives)
    sizes = {name: graph.tensor(name).size_bytes for name in lives}
    offsets, used = place(lives, sizes, pairs)
    placements = tuple(TensorPlacement(n, sizes[n], offsets[n], *lives[n]) for n in lives)
    alive = live_bytes([*blocks_of(lives, sizes, used)])
    peak = int(np.argmax(alive))
    everything = {tensor.name: offsets.get(tensor.name, UNPLANNED) for tensor in graph.tensors}
    plan = MemoryPlan(
        graph=graph.name,
        offsets=FrozenMap(everything),
        placements=placements,
        in_place=used,
        arena_bytes=max((item.end for item in placements), default=0),
        lower_bound_bytes=int(alive[peak]),
        variable_bytes=sum(align(t.size_bytes) for t in graph.tensors if t.kind == VARIABLE),
        peak=peak,
        peak_op=graph.ops[peak].kind,
    )
    plan.check()
    if limit is not None and plan.arena_bytes + plan.variable_bytes > limit:
        raise _too_large(graph, plan, limit)
    return plan


def _limit_bytes(arena_limit: int | str | MemoryBudget) -> int:
    limit = MemoryBudget.parse(arena_limit)
    if limit.unit != BYTES:
        raise PlanError("arena_limit", "bytes", str(limit), 'Write, for example, "128KiB".')
    return limit.amount


def _too_large(graph: Graph, plan: MemoryPlan, limit: int) -> ArenaLimitError:
    total = plan.arena_bytes + plan.variable_bytes
    largest = [(p.size_bytes, p.name) for p in plan.at_peak]
    largest += [(t.size_bytes, t.name) for t in graph.tensors if t.kind == VARIABLE]
    named = ", ".join(f"{n} ({b:,} bytes)" for b, n in sorted(largest, reverse=True)[:_SHOWN])
    return ArenaLimitError(
        "arena_limit",
        f"at least {total:,} bytes",
        f"{limit:,} bytes, {total - limit:,} too few at op {plan.peak} {plan.peak_op}",
        f"Largest there: {named}. Take a smaller input, model or budget.",
        total - limit,
    )


# --- in-place pairs


def _usable_pairs(graph: Graph, in_place, lives) -> tuple[tuple[str, str], ...]:
    """The pairs whose input dies in the op that makes the output."""
    taken: set[tuple[str, str]] = set()
    usable = []
    for output, source in in_place:
        made_by = graph.producers.get(output)
        if made_by is None or source not in graph.ops[made_by].inputs:
            raise PlanError(
                "in_place",
                "pairs of an output and an input of one op",
                f"('{output}', '{source}')",
                "List the output first.",
            )
        kinds = {graph.tensor(output).kind, graph.tensor(source).kind}
        dies = not kinds & {CONSTANT, VARIABLE} and lives[source][1] == made_by
        new = {("output", output), ("input", source)}
        if dies and not new & taken:
            taken |= new
            usable.append((output, source))
    return tuple(usable)


def _overlaps(
    placements: tuple[TensorPlacement, ...],
) -> Iterator[tuple[TensorPlacement, TensorPlacement]]:
    """Pairs of placements that share both an op and a byte."""
    table = np.array([(p.first, p.last, p.offset, p.offset + p.size_bytes) for p in placements])
    table = table.reshape(-1, 4)
    for index, (first, last, offset, end) in enumerate(table):
        later = table[index + 1 :]
        in_time = (later[:, 0] <= last) & (later[:, 1] >= first)
        in_space = (later[:, 2] < end) & (later[:, 3] > offset)
        for other in np.flatnonzero(in_time & in_space):
            yield placements[index], placements[index + 1 + int(other)]
