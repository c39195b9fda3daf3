"""A model built from a flat graph, each layer replaced by others.

Example:
    >>> from tf_medyate.prepared.graph import trace
    >>> copy_of = lambda node: [type(node.layer).from_config(node.layer.get_config())]
    >>> copied = rebuild(model, trace(model), copy_of)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras

from tf_medyate.prepared.graph import ModelGraph, Node, Outputs, Slot


def rebuild(
    model: keras.Model,
    graph: ModelGraph,
    convert: Callable[[Node], list],
    model_class: type[keras.Model] = keras.Model,
) -> keras.Model:
    """Builds a new functional model by replacing each node by zero or more layers.

    Args:
        model: The model that `graph` was read from; gives the structure of inputs and outputs.
        graph: Its flat graph.
        convert: Returns the layers that stand for a node, applied one after the other; an
            empty list passes the node's input on. A layer of the node's own class is called as
            that was.
        model_class: `keras.Model` or a subclass without constructor arguments of its own.

    Returns:
        The new, uncompiled model; weights are as the new layers initialized them.
    """
    tensors: dict[str, Any] = {}
    for node in graph.nodes:
        if isinstance(node.layer, keras.layers.InputLayer):
            shape = node.layer.batch_shape
            value = keras.Input(batch_shape=shape, dtype=node.layer.dtype, name=node.name)
        else:
            value = _apply(node, convert(node), [tensors[name] for name in node.inputs])
        for index, output in enumerate(keras.tree.flatten(value)):
            tensors[Outputs(node.name)[index]] = output

    def like(structure, names):
        return keras.tree.pack_sequence_as(structure, [tensors[name] for name in names])

    if isinstance(model, keras.Sequential):
        inputs, outputs = model.inputs[0], model.outputs[0]
    else:
        inputs, outputs = model.input, model.output
    made: Any = model_class(
        like(inputs, graph.inputs), like(outputs, graph.outputs), name=graph.name
    )
    # Losses and labels go by these names, whatever layer an output now comes from.
    made.output_names = list(getattr(model, "output_names", made.output_names))
    return made


def _apply(node: Node, layers: Sequence[Any], inputs: list) -> Any:
    """What a node's layers make of its inputs, one after the other."""
    value = inputs if node.takes_list or len(inputs) > 1 else inputs[0]
    for layer in layers:
        if type(layer) is not type(node.layer):
            value = layer(value)
            continue
        value = call_as(node, layer, inputs if value is inputs else [value], node.training)
    return value


def call_as(node: Node, layer: Any, inputs: list, training: bool | None) -> Any:
    """Calls a layer as a node's is called.

    Args:
        node: The node.
        layer: Its layer, or one like it.
        inputs: Tensors in the place of the node's inputs.
        training: Passed on to a layer that takes it; None leaves it to Keras.
    """
    plain = inputs if node.takes_list or len(inputs) > 1 else inputs[0]
    args, kwargs = node.arguments or ((plain,), {})
    filled: Any = keras.tree.map_structure(
        lambda entry: inputs[entry.number] if isinstance(entry, Slot) else entry, (args, kwargs)
    )
    args, kwargs = filled
    if training is not None and _takes_training(layer):
        kwargs = {**kwargs, "training": training}
    return layer(*args, **kwargs)


def _takes_training(layer: Any) -> bool:
    return "training" in inspect.signature(getattr(layer, "call", layer)).parameters
