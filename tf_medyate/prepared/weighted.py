"""The weighted layers of a flat graph, described by what their channels cost.

Example:
    >>> for spec in md.layer_specs(model):
    ...     print(spec)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tf_medyate.prepared.graph import ModelGraph, Node
from tf_medyate.prepared.padding import fused_padding, input_plane
from tf_medyate.prepared.recurrent import MaskedRecurrence
from tf_medyate.prepared.transposed import MaskedConvTranspose
from tf_medyate.spec import LayerSpec


def specs_of(graph: ModelGraph, kind_of: Callable[[Any], str | None]) -> tuple[LayerSpec, ...]:
    """Describes the weighted layers of a flat, folded graph, in execution order.

    Args:
        graph: The graph of a prepared model.
        kind_of: The kind of a layer, or None for one without trainable weights.
    """
    feeds: dict[str, tuple[str, ...]] = {}
    weighted = []
    for node in graph.nodes:
        sources = [graph.producer(tensor).name for tensor in node.inputs]
        ancestors = tuple(dict.fromkeys(a for name in sources for a in feeds[name]))
        feeds[node.name] = (node.name,) if kind_of(node.layer) else ancestors
        if kind_of(node.layer):
            weighted.append((node, ancestors))
    followed = {name for _, ancestors in weighted for name in ancestors}
    return tuple(
        _spec(graph, node, index, ancestors, str(kind_of(node.layer)), node.name not in followed)
        for index, (node, ancestors) in enumerate(weighted)
    )


def _spec(
    graph: ModelGraph, node: Node, index: int, inputs: tuple[str, ...], kind: str, is_head: bool
) -> LayerSpec:
    layer = node.layer
    height, width, _ = input_plane(node, fused_padding(graph, node))
    *kernel_size, channels, columns = (int(side) for side in layer.kernel.shape)
    weights = math.prod(layer.kernel.shape)
    saved, positions = height * width, math.prod(layer.output.shape[1:-1])
    if isinstance(layer, MaskedConvTranspose):  # every input position meets every weight
        positions = saved
    if isinstance(layer, MaskedRecurrence):  # the state before the first step is zero
        saved, positions = width - 1, width
    return LayerSpec(
        name=node.name,
        kind=kind,
        index=index,
        channels=channels,
        outputs=max(int(layer.output.shape[-1]), columns),  # a recurrent unit has several columns
        weights_per_channel=weights // channels,
        activation_elements=saved,
        bias_elements=math.prod(layer.bias.shape) if layer.bias is not None else 0,
        macs=positions * weights,
        kernel_size=tuple(kernel_size),
        inputs=inputs,
        is_head=is_head,
        trainable=layer.trainable,
    )
