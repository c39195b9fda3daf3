"""Best-fit placing of blocks of memory that live for a while; the search inside the planner.

Example:
    >>> place({"a": (0, 1), "b": (1, 2), "c": (2, 3)}, {"a": 16, "b": 16, "c": 16}, ())
    ({'a': 0, 'b': 16, 'c': 0}, ())
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

ALIGNMENT_BYTES = 16

Pairs = tuple[tuple[str, str], ...]


def align(size_bytes: int) -> int:
    """Rounds up to a multiple of `ALIGNMENT_BYTES`."""
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


@dataclasses.dataclass(frozen=True)
class Block:
    """Tensors that share their start; one tensor, or a chain of in-place ops.

    Attributes:
        names: The tensors, in order.
        size: Of the largest of them, aligned.
        parts: First op, last op and size of as long as it takes so much; one begins with the last
            op of the one before.
    """

    names: tuple[str, ...]
    size: int
    parts: tuple[tuple[int, int, int], ...]

    @property
    def first(self) -> int:
        """First op during which it is there."""
        return self.parts[0][0]

    @property
    def last(self) -> int:
        """Last op during which it is there."""
        return self.parts[-1][1]


def place(
    lives: Mapping[str, tuple[int, int]], sizes: Mapping[str, int], pairs: Pairs
) -> tuple[dict[str, int], Pairs]:
    """Finds an offset for each tensor, trying several orders, with and without the pairs.

    Args:
        lives: First and last op of each tensor, inclusive.
        sizes: Size of each tensor in bytes.
        pairs: (output, input) names that may share their start; the input dies where the output
            is born, and the larger one has room from its birth on.

    Returns:
        The aligned offsets in bytes of the smallest arena found, and the pairs that it shares.
    """
    sets = {chosen: list(blocks_of(lives, sizes, chosen)) for chosen in (pairs, ())}
    best, used = _Try(1 << 62, {}, []), pairs
    for chosen, blocks in sets.items():
        least = live_bytes(blocks).max(initial=0)
        for order in _ORDERS:
            if best.arena > least:
                found = _try(sorted(blocks, key=order))
                if found.arena < best.arena:
                    best, used = found, chosen
    best = _repaired(best, sets[used])
    return {name: best.offsets[block] for block in best.blocks for name in block.names}, used


def live_bytes(blocks: Sequence[Block]) -> np.ndarray:
    """Bytes that the blocks take during each op, [ops]: no arena is smaller than the most."""
    live = np.zeros(max((block.last + 1 for block in blocks), default=0), np.int64)
    for block in blocks:
        own = np.zeros(block.last + 1 - block.first, np.int64)
        for first, last, size in block.parts:
            there = slice(first - block.first, last + 1 - block.first)
            own[there] = np.maximum(own[there], size)
        live[block.first : block.last + 1] += own
    return live


class _Try(NamedTuple):
    """What an order of blocks leads to."""

    arena: int
    offsets: dict[Block, int]
    blocks: list[Block]


def _try(blocks: list[Block]) -> _Try:
    offsets = _best_fit(blocks)
    return _Try(max((offsets[b] + b.size for b in blocks), default=0), offsets, blocks)


def _repaired(best: _Try, blocks: list[Block]) -> _Try:
    """A smaller arena, if one is found: what ends on top comes first the next time.

    From the last of _ORDERS that leads to the least possible most often.
    """
    least = live_bytes(blocks).max(initial=0)
    if best.arena <= least + least // _CLOSE:
        return best
    found = _try(sorted(blocks, key=_ORDERS[-1]))
    for _ in range(_REPAIRS):
        if best.arena <= least + least // _CLOSE:
            break
        top = [b for b in found.blocks if found.offsets[b] + b.size == found.arena]
        found = _try([*top, *(b for b in found.blocks if b not in top)])
        if found.arena < best.arena:
            best = found
    return best


_REPAIRS = 24
_CLOSE = 1024
_ORDERS: tuple[Callable[[Block], tuple], ...] = (
    lambda b: (-b.size, b.first, b.names),
    lambda b: (-(b.last - b.first + 1), -b.size, b.names),
    lambda b: (-b.size * (b.last - b.first + 1), b.first, b.names),
    lambda b: (b.first, -b.size, b.names),
    lambda b: (-b.last, -b.size, b.names),
)


def blocks_of(
    lives: Mapping[str, tuple[int, int]], sizes: Mapping[str, int], pairs: Pairs
) -> Iterator[Block]:
    """The tensors, each with those that follow in its place; arguments as `place`."""
    follower = {source: output for output, source in pairs}
    followers = set(follower.values())
    for name in lives:
        if name in followers:
            continue
        chain = [name]
        while chain[-1] in follower:
            chain.append(follower[chain[-1]])
        parts = [(*lives[link], align(sizes[link])) for link in chain]
        if len({size for *_, size in parts}) == 1:
            parts = [(parts[0][0], parts[-1][1], parts[0][2])]
        yield Block(tuple(chain), max(size for *_, size in parts), tuple(parts))


def _best_fit(blocks: list[Block]) -> dict[Block, int]:
    """Places blocks in the given order, each into the smallest gap that holds it."""
    rows = sum(len(block.parts) for block in blocks)
    placed = np.empty((rows, 4), np.int64)  # first op, last op, offset, end
    offsets, count = {}, 0
    for block in blocks:
        beside = placed[:count]
        beside = beside[(beside[:, 0] <= block.last) & (beside[:, 1] >= block.first)]
        starts = beside[:, 2] + _spare(block, beside)
        order = np.argsort(starts, kind="stable")
        offsets[block] = offset = _gap(starts[order], beside[order, 3], block.size)
        for first, last, size in block.parts:
            placed[count] = (first, last, offset, offset + size)
            count += 1
    return offsets


def _spare(block: Block, beside: np.ndarray) -> np.ndarray:
    """Bytes of the block's size that it never takes while what is `beside` is there."""
    taken = np.zeros(len(beside), np.int64)
    for first, last, size in block.parts:
        together = (beside[:, 0] <= last) & (beside[:, 1] >= first)
        taken[together] = np.maximum(taken[together], size)
    return block.size - taken


def _gap(starts: np.ndarray, ends: np.ndarray, size: int) -> int:
    """Start of the smallest gap of at least `size`; the first free byte after all otherwise."""
    reached = np.maximum.accumulate(np.concatenate(([0], ends)))
    gaps = starts - reached[:-1]
    fits = np.flatnonzero(gaps >= size)
    return int(reached[fits[np.argmin(gaps[fits])]] if fits.size else reached[-1])
