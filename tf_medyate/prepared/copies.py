"""Copies of the layers that stay as they are: weights and all, frozen.

Example:
    >>> import keras
    >>> from tf_medyate.prepared.graph import Node
    >>> copies = Copies()
    >>> copies.of(Node("relu", keras.layers.ReLU(6.0), ("x",))).name
    'relu'
"""

from __future__ import annotations

from typing import Any

import keras

from tf_medyate.prepared.graph import Node
from tf_medyate.prepared.supported import known_activation, refuse


class Copies:
    """Makes one copy of every layer with weights, one for each call of the others."""

    def __init__(self):
        self._made: list[tuple[Any, Any]] = []

    def of(self, node: Node) -> Any:
        """A copy of a node's layer, under the node's name, without its weights as yet.

        Raises:
            UnsupportedLayerError: Keras cannot make the layer again from its configuration.
        """
        layer = node.layer
        if not getattr(layer, "weights", ()):
            return _copy(node)
        known = next((copy for original, copy in self._made if original is layer), None)
        if known is not None:
            return known
        copy = _copy(node)
        self._made.append((layer, copy))
        return copy

    def give_weights(self):
        """Gives the copies, which have been called, the weights of their originals."""
        for layer, copy in self._made:
            freeze(copy)
            copy.set_weights(layer.get_weights())
            if isinstance(copy, keras.layers.Normalization):
                copy.finalize_state()


def freeze(layer: Any):
    """Freezes a layer and its parts, those too that it made after it was told before."""
    layer.trainable = True  # Keras passes on only what is new
    layer.trainable = False


def _copy(node: Node) -> Any:
    layer = node.layer
    if type(layer) is keras.layers.Lambda:  # its configuration loses what the function refers to
        shape = layer.get_config().get("output_shape")
        shape = None if isinstance(shape, dict) else shape
        kept = {"arguments": layer.arguments, "name": node.name}
        return keras.layers.Lambda(layer.function, shape, **kept)
    try:
        config = layer.get_config() | {"name": node.name}
        if callable(getattr(layer, "activation", None)) and "activation" in config:
            config["activation"] = known_activation(layer.activation) or layer.activation
        return type(layer).from_config(config)
    except Exception as error:  # whatever a class of the user's own raises
        refuse(
            node,
            "a layer that can be made again: from_config(get_config())",
            f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}",
            "Give its class a get_config() that returns what its constructor takes.",
        )
