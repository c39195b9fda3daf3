"""Zero padding before a convolution, which never exists as a map: the convolution pads by itself.

So what is saved of such a convolution's input, and paid for, is the map without the padding.

Example:
    >>> from tf_medyate.prepared.graph import trace
    >>> graph = trace(model)
    >>> node = graph.nodes[1]                             # the first convolution
    >>> pad = fused_padding(graph, node)                  # the ZeroPadding2D before it, or None
    >>> input_plane(node, pad)                            # (height, width, channels) without it
    (8, 8, ...)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    from tf_medyate.prepared.graph import ModelGraph, Node

_K = keras.layers
_PADDINGS = (_K.ZeroPadding1D, _K.ZeroPadding2D)
_OTHERS = (_K.Dense, _K.Conv1DTranspose, _K.Conv2DTranspose)


def fused_padding(graph: ModelGraph, node: Node) -> Node | None:
    """The ZeroPadding node that a weighted node's own padding can stand for, None if there is none.

    It must have no other reader, and the kernel must touch the map at the first output position
    and at the last.
    """
    source = graph.producer(node.inputs[0])
    if type(source.layer) not in _PADDINGS:  # a subclass may pad with something else
        return None
    alone = len(graph.consumers(source.name)) == 1 and source.name not in graph.outputs
    return source if alone and _can_pad(node, source) else None


def plane(shape: tuple[int | None, ...]) -> tuple[int, int, int]:
    """(height, width, channels) of a tensor [batch, ..., channels]; missing sides are 1.

    More than two spatial sides are taken together: only their product matters to a 1x1 op.
    """
    *spatial, channels = (int(side) for side in shape[1:])  # type: ignore[arg-type]
    if len(spatial) > 2:
        spatial = [math.prod(spatial[:-1]), spatial[-1]]
    height, width = (1,) * (2 - len(spatial)) + tuple(spatial)
    return height, width, channels


def padding_of(pad: Node) -> tuple[tuple[int, int], tuple[int, int]]:
    """((above, below), (left, right)) of a ZeroPadding node."""
    sides = pad.layer.padding
    if isinstance(pad.layer, _K.ZeroPadding1D):
        return (0, 0), (int(sides[0]), int(sides[1]))
    (top, bottom), (left, right) = sides
    return (int(top), int(bottom)), (int(left), int(right))


def input_plane(node: Node, pad: Node | None) -> tuple[int, int, int]:
    """(height, width, channels) that a weighted node reads, without its fused padding."""
    height, width, channels = plane(node.layer.input.shape)
    if pad is not None:
        (top, bottom), (left, right) = padding_of(pad)
        height, width = height - top - bottom, width - left - right
    return height, width, channels


def pair(value) -> tuple[int, int]:
    """Two sides; a single one is a width."""
    sides = tuple(int(side) for side in value)
    return (1, sides[0]) if len(sides) == 1 else (sides[0], sides[1])


def _can_pad(node: Node, pad: Node) -> bool:
    layer = node.layer
    if isinstance(layer, _OTHERS) or layer.padding != "valid":
        return False
    height, width, _ = plane(layer.input.shape)
    out_height, out_width, _ = plane(layer.output.shape)
    axes = zip(
        (height, width),
        (out_height, out_width),
        padding_of(pad),
        *(pair(getattr(layer, name)) for name in ("kernel_size", "strides", "dilation_rate")),
        strict=True,
    )
    return all(
        before <= (kernel - 1) * dilation and (out - 1) * stride < size - after
        for size, out, (before, after), kernel, stride, dilation in axes
    )
