"""How the kernels of convolutions walk over a map: tiles of four positions, and single ones.

The walk is that of tflm_ops/math/strips.cc: four positions that use the same taps share a tile,
side by side or below one another; at a border, four that do not quite agree can, too. What is left
is computed position by position, at almost twice the cost.

Example:
    >>> side = Axis(size=12, out=12, kernel=3, stride=1, dilation=1, padding=1)
    >>> row = Axis(1, 1, 1, 1, 1, 0)
    >>> walk((row, side), forward=True, border=True)
    Walk(strips=3, strip_taps=9, strip_rows=3, singles=0, single_taps=0, single_rows=0)
    >>> walk((row, side), forward=True, border=False).singles
    4
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Axis:
    """Output position p reads input position p * stride - padding + k * dilation with tap k."""

    size: int
    out: int
    kernel: int
    stride: int
    dilation: int
    padding: int

    def taps(self, position: int, forward: bool) -> tuple[int, ...]:
        """The taps that an output position reads, or that an input position is read with."""
        if forward:
            at = (position * self.stride - self.padding + k * self.dilation for k in self._kernel)
            return tuple(k for k, place in enumerate(at) if 0 <= place < self.size)
        at = (position + self.padding - k * self.dilation for k in self._kernel)
        return tuple(
            k
            for k, place in enumerate(at)
            if place % self.stride == 0 and 0 <= place // self.stride < self.out
        )

    @property
    def _kernel(self) -> range:
        return range(self.kernel)

    @property
    def is_unit(self) -> bool:
        """Whether every output position reads its own input position alone."""
        return (self.kernel, self.stride, self.padding, self.size) == (1, 1, 0, self.out)

    def pairs(self) -> int:
        """Pairs of an output position and a tap that read the map and not its padding."""
        return sum(len(self.taps(position, True)) for position in range(self.out))


@dataclasses.dataclass
class Walk:
    """What a pass over all positions of a map does.

    Attributes:
        strips: Tiles of four positions.
        strip_taps: Their taps in all.
        strip_rows: Their rows of taps.
        singles: Positions that are computed alone.
        single_taps: Theirs.
        single_rows: Theirs.
    """

    strips: int = 0
    strip_taps: int = 0
    strip_rows: int = 0
    singles: int = 0
    single_taps: int = 0
    single_rows: int = 0

    def add_strips(self, rows: int, taps: list[int], times: int = 1):
        """Strips with so many rows of taps, each row with the taps of one of the list."""
        self.strips += times * len(taps)
        self.strip_taps += times * rows * sum(taps)
        self.strip_rows += times * rows * len(taps)

    def add_singles(self, rows: int, taps: list[int]):
        """Single positions, likewise."""
        self.singles += len(taps)
        self.single_taps += rows * sum(taps)
        self.single_rows += rows * len(taps)


def walk(map_: tuple[Axis, Axis], forward: bool, border: bool, single_rows: bool = False) -> Walk:
    """Walks over the output positions (forward) or the input positions.

    Args:
        map_: Down and across.
        forward: Which.
        border: Whether four positions share a tile where some of them meet padding.
        single_rows: One row at a time: none are taken together.
    """
    down, across = (_Side.of(axis, forward) for axis in map_)
    found = Walk()
    columns = {rows: _columns(across, border and rows == 1) for rows in (1, 4)}
    for rows, taps in _groups(down, single_rows):
        strips, others = columns[rows]
        found.add_strips(taps, strips, rows)
        (found.add_strips if rows == 4 else found.add_singles)(taps, others)
    return found


@dataclasses.dataclass(frozen=True)
class _Side:
    taps: list[tuple[int, ...]]  # of each position
    apart: int  # positions that far apart can share a tile

    @classmethod
    def of(cls, axis: Axis, forward: bool) -> _Side:
        count = axis.out if forward else axis.size
        taps = [axis.taps(position, forward) for position in range(count)]
        return cls(taps, 1 if forward else axis.stride)


def _groups(side: _Side, alone: bool) -> Iterator[tuple[int, int]]:
    """(4 positions that share their taps, or 1; their number of taps)."""
    for phase in range(min(side.apart, len(side.taps))):
        at = phase
        while at < len(side.taps):
            last = at + 3 * side.apart
            taps = side.taps[at]
            shared = not alone and last < len(side.taps) and taps and taps == side.taps[last]
            count = 4 if shared else 1
            yield count, len(taps)
            at += count * side.apart


def _columns(side: _Side, border: bool) -> tuple[list[int], list[int]]:
    """The taps of each strip side by side, and of each position that is in none."""
    strips: list[int] = []
    others: list[int] = []
    for phase in range(min(side.apart, len(side.taps))):
        at = phase
        while at < len(side.taps):
            last = at + 3 * side.apart
            joint = 0
            if last < len(side.taps):
                joint = _joint(side.taps[at], side.taps[last], border)
            if joint:
                strips.append(joint)
            else:
                others.append(len(side.taps[at]))
            at += 4 * side.apart if joint else side.apart
    return strips, others


def _joint(first: tuple[int, ...], last: tuple[int, ...], border: bool) -> int:
    """Taps of a strip from its first and its last position's; 0 if they cannot share one."""
    if not first or not last:
        return 0
    if first == last:
        return len(first)
    if not border or len(first) + len(last) == 2:
        return 0
    more = max(first, last, key=len)
    count = (max(first[-1], last[-1]) - min(first[0], last[0])) // (more[1] - more[0]) + 1
    return count if len(first) + len(last) >= count else 0
