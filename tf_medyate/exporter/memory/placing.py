"""Best-fit placing of blocks of memory that live for a while; the search inside the planner.

Example:
    >>> place({"a": (0, 1), "b": (1, 2), "c": (2, 3)}, {"a": 16, "b": 16, "c": 16}, ())
    ({'a': 0, 'b': 16, 'c': 0}, ())
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np

ALIGNMENT_BYTES = 16

Pairs = tuple[tuple[str, str], ...]


def align(size_bytes: int) -> int:
    """Rounds up to a multiple of `ALIGNMENT_BYTES`."""
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


@dataclasses.dataclass(frozen=True)
class Block:
    """Tensors that share their place; one tensor, or a chain of in-place ops."""

    names: tuple[str, ...]
    size: int
    first: int
    last: int


def place(
    lives: Mapping[str, tuple[int, int]], sizes: Mapping[str, int], pairs: Pairs
) -> tuple[dict[str, int], Pairs]:
    """Finds an offset for each tensor, trying several orders, with and without the pairs.

    Args:
        lives: First and last op of each tensor, inclusive.
        sizes: Size of each tensor in bytes.
        pairs: (output, input) names that may share their place, which is as large as the larger
            one, all the time; the input dies where the output is born.

    Returns:
        The aligned offsets in bytes of the smallest arena found, and the pairs that it shares.
    """
    best: tuple[int, dict[str, int], Pairs] | None = None
    shrinking = tuple((new, old) for new, old in pairs if sizes[new] <= sizes[old])
    for chosen in dict.fromkeys((pairs, shrinking, ())):
        blocks = list(blocks_of(lives, sizes, chosen))
        for order in _ORDERS:
            offsets = _best_fit(sorted(blocks, key=order))
            arena = max((offsets[b] + b.size for b in blocks), default=0)
            if best is None or arena < best[0]:
                named = {name: offsets[block] for block in blocks for name in block.names}
                best = (arena, named, chosen)
    assert best is not None
    return best[1], best[2]


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
        size = align(max(sizes[link] for link in chain))
        yield Block(tuple(chain), size, lives[name][0], lives[chain[-1]][1])


def _best_fit(blocks: list[Block]) -> dict[Block, int]:
    """Places blocks in the given order, each into the smallest gap that holds it."""
    placed = np.empty((len(blocks), 4), np.int64)  # first op, last op, offset, end
    offsets = {}
    for count, block in enumerate(blocks):
        done = placed[:count]
        beside = done[(done[:, 0] <= block.last) & (done[:, 1] >= block.first)]
        beside = beside[np.argsort(beside[:, 2], kind="stable")]
        offsets[block] = offset = _gap(beside[:, 2], beside[:, 3], block.size)
        placed[count] = (block.first, block.last, offset, offset + block.size)
    return offsets


def _gap(starts: np.ndarray, ends: np.ndarray, size: int) -> int:
    """Start of the smallest gap of at least `size`; the first free byte after all otherwise."""
    reached = np.maximum.accumulate(np.concatenate(([0], ends)))
    gaps = starts - reached[:-1]
    fits = np.flatnonzero(gaps >= size)
    return int(reached[fits[np.argmin(gaps[fits])]] if fits.size else reached[-1])
