"""Where a draw's channels lie in the pool: worked out in NumPy, read by the training step.

    Sizes      what every draw that the pool has room for fits into
    Layout     one draw, as parts of a single int32 vector
    lay_out    draws -> Layout
    Placement  where one layer's run lies, for work between epochs

Example:
    >>> sizes = Sizes.of(2048, kernels=[(3, 3, 16, 32), (3, 3, 32, 32)])
    >>> vector = lay_out(sizes, kernels, [[0, 3], []], draw=7).joined()
    >>> Layout.cut(vector, sizes.pool, sizes.drawn).placements()
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

Kernels = Sequence[Sequence[int]]
Draws = Sequence[Sequence[int] | np.ndarray]

_BLOCK = 8  # channels that a convolution's inner loop takes at once


@dataclasses.dataclass(frozen=True)
class PoolPlacement:
    """Where a layer's run lies.

    Attributes:
        channels: int32 [n], the channels drawn, rising.
        weights: Their weights' places in the pool.
        importance: Their places in the state's running means.
    """

    channels: np.ndarray
    weights: slice
    importance: slice


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What the layout of every draw that the pool has room for fits into.

    Attributes:
        pool: Weights in the pool.
        drawn: Entries of `Layout.channels`, and running means.
        layers: Layers that may be drawn from.
        rows, depth: Of the layers' `index`es together.
        key: Tells these layers from others of the same sizes; not by their names, of which Keras
            makes new ones whenever a net is built again.
    """

    pool: int
    drawn: int
    layers: int
    rows: int
    depth: int
    key: int

    @staticmethod
    def of(pool: int, kernels: Kernels, positions: Sequence[int] = ()) -> Sizes:
        """For a pool of so many weights, the layers' kernel shapes, and their places in the net."""
        channels = [int(kernel[-2]) for kernel in kernels]
        outputs = [int(kernel[-1]) for kernel in kernels]
        weights = [int(np.prod(kernel)) // int(kernel[-2]) for kernel in kernels]
        rows = sum(c * w // o for c, w, o in zip(channels, weights, outputs, strict=True))
        return Sizes(
            pool=pool,
            drawn=min(sum(channels), _BLOCK * len(kernels) + 2 * (pool // min(weights))),
            layers=len(kernels),
            rows=min(rows, pool // min(outputs)),
            depth=max(len(kernel) - 1 for kernel in kernels),
            key=zlib.crc32(",".join(map(str, positions)).encode()) >> 1,
        )

    @property
    def parts(self) -> tuple[int, ...]:
        """Lengths of the parts of a Layout, in order."""
        shapes = [4] * self.layers
        index = self.rows * self.depth
        return (5, *[self.layers + 1] * 3, *shapes, self.drawn, index, self.pool, self.pool)


@dataclasses.dataclass(frozen=True)
class PoolLayout:
    """One draw, as parts of an int32 vector: NumPy arrays, or tensors in a graph.

    Attributes:
        head: [5], number of the draw, and of the Sizes layers, rows, depth and key.
        elements, rows, counts: [layers + 1], of each layer's run: pool elements, rows of `index`,
            and entries of `channels`; the last entry is what is left over.
        kernel_shapes: [4] for each layer: height, width, channels and outputs of the kernel of
            `channels` alone.
        channels: [drawn], the channels that gradients are computed for, layer after layer: those
            drawn, rising, the last one repeated up to `_rounded`; channel 0 if none is.
        index: [rows * depth], where in the layer's kernel each row of outputs belongs: the
            last (kernel rank - 1) columns say so.
        places: [pool], of each weight in the gradient of its layer's `kernel_shapes`.
        owners: [pool], the channel that each weight belongs to, as a place in `channels`; -1 for
            none.
    """

    head: Any
    elements: Any
    rows: Any
    counts: Any
    kernel_shapes: Sequence[Any]
    channels: Any
    index: Any
    places: Any
    owners: Any

    @staticmethod
    def of(parts: Sequence[Any]) -> PoolLayout:
        """The parts by name."""
        head, elements, rows, counts, *shapes, channels, index, places, owners = parts
        runs = elements, rows, counts
        return PoolLayout(head, *runs, shapes, channels, index, places, owners)

    @staticmethod
    def cut(vector: np.ndarray, pool: int, drawn: int) -> PoolLayout:
        """From the whole vector."""
        ends = np.cumsum(Sizes(pool, drawn, *(int(size) for size in vector[1:5])).parts)
        return PoolLayout.of(np.split(vector, ends[:-1]))

    @property
    def sizes(self) -> Sizes:
        """What the layout fits into."""
        return Sizes(self.places.size, self.channels.size, *(int(size) for size in self.head[1:]))

    def joined(self) -> np.ndarray:
        """The whole vector."""
        parts = [self.head, self.elements, self.rows, self.counts]
        parts += self.kernel_shapes
        parts += [self.channels, self.index.reshape(-1), self.places, self.owners]
        return np.concatenate(parts).astype(np.int32)

    def placements(self) -> list[PoolPlacement]:
        """Where each layer's run lies, layer after layer."""
        weights = channel = 0
        found = []
        for elements, shape in zip(self.elements[:-1], self.kernel_shapes, strict=True):
            height, width, count, outputs = (int(side) for side in shape)
            run = slice(weights, weights + int(elements))
            drawn = slice(channel, channel + int(elements) // (height * width * outputs))
            found.append(PoolPlacement(self.channels[drawn], run, drawn))
            weights, channel = run.stop, channel + count
        return found


def lay_out(sizes: Sizes, kernels: Kernels, draws: Draws, draw: int) -> PoolLayout:
    """Lays the runs of a draw one after the other.

    Args:
        sizes: `Sizes.of` the pool and the kernels.
        kernels: Kernel shape of each layer.
        draws: The channels drawn of each layer, rising.
        draw: The draw's number.
    """
    indices = np.zeros((sizes.rows, sizes.depth), np.int32)
    channels = np.zeros(sizes.drawn, np.int32)
    places = np.zeros(sizes.pool, np.int32)
    owners = np.full(sizes.pool, -1, np.int32)
    counts = np.zeros((3, sizes.layers + 1), np.int32)
    shapes = []
    for layer, (kernel, chosen) in enumerate(zip(kernels, draws, strict=True)):
        *window, inputs, outputs = (int(side) for side in kernel)
        positions, drawn = int(np.prod(window, dtype=np.int64)), np.asarray(chosen, np.int32)
        element, row, channel = counts[:, :layer].sum(axis=1)
        named = np.full(_rounded(drawn.size, inputs), drawn[-1] if drawn.size else 0, np.int32)
        named[: drawn.size] = drawn
        index = _row_index(window, drawn)
        gradient = np.arange(positions * named.size * outputs).reshape(positions, -1, outputs)
        run = gradient[:, : drawn.size].transpose(1, 0, 2).reshape(-1)
        places[element : element + run.size] = run
        owner = channel + np.repeat(np.arange(drawn.size), positions * outputs)
        owners[element : element + run.size] = owner
        indices[row : row + len(index), -index.shape[1] :] = index
        channels[channel : channel + named.size] = named
        counts[:, layer] = run.size, len(index), named.size
        shapes.append([1] * (2 - len(window)) + window + [named.size, outputs])
    counts[:, -1] = (sizes.pool, sizes.rows, sizes.drawn) - counts[:, :-1].sum(axis=1)
    head = np.array([draw, sizes.layers, sizes.rows, sizes.depth, sizes.key])
    elements, rows, named = counts
    return PoolLayout(head, elements, rows, named, shapes, channels, indices, places, owners)


def _rounded(drawn: int, channels: int) -> int:
    """Channels to compute the gradients of, for so many drawn: a power of two, or all.

    TensorFlow prepares and keeps a program for each shape of convolution and each thread. Rounding
    bounds their number, whatever is drawn; it costs little, since they take channels in blocks.
    """
    block = _BLOCK
    while block < drawn:
        block *= 2
    return min(block, channels)


def _row_index(window: Sequence[int], channels: np.ndarray) -> np.ndarray:
    """Places [n * positions, kernel rank - 1] in a kernel of the channels' rows of outputs."""
    corners = np.indices(tuple(window)).reshape(len(window), -1).T if window else np.zeros((1, 0))
    wide = np.repeat(corners[None, :, :], channels.size, axis=0)
    tall = np.broadcast_to(channels[:, None, None], (*wide.shape[:2], 1))
    return np.concatenate([wide, tall], axis=2).reshape(-1, len(window) + 1).astype(np.int32)
