"""Masks of steps: which layers make one, and what comes after those.

Example:
    >>> import keras
    >>> embedding = keras.layers.Embedding(9, 4, mask_zero=True)
    >>> _ = embedding(keras.Input((5,), dtype="int32"))
    >>> makes_mask(embedding)
    True
"""

from __future__ import annotations

from typing import Any

import keras

from tf_medyate.prepared.graph import ModelGraph, Node


def makes_mask(layer: Any) -> bool:
    """A layer, called before, adds a mask to an input without one: Masking, one of a user's own."""
    if isinstance(layer, keras.layers.InputLayer) or not getattr(layer, "supports_masking", False):
        return False
    first = layer.input
    masks = layer.compute_mask(first, keras.tree.map_structure(lambda _: None, first))
    return any(mask is not None for mask in keras.tree.flatten(masks))


def is_masked(graph: ModelGraph, node: Node) -> bool:
    """A layer in front may say which steps are to be left out.

    An operator and an EinsumDense do not pass that on, but layers that do the same would.
    """
    waiting, seen = list(node.inputs), set()
    while waiting:
        source = graph.producer(waiting.pop())
        if source.name not in seen:
            seen.add(source.name)
            waiting += source.inputs
            if makes_mask(source.layer):
                return True
    return False
