"""A flat, named view of a Keras model, and the weighted layers in it.

Nested models are inlined ("encoder.conv1" is layer conv1 of the model encoder). The graph is read
from `get_config()`, Keras's public description of a model's connectivity.

Example:
    >>> for spec in layer_specs(md.prepare(model)):
    ...     print(spec)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras

from tf_medyate.errors import UnbuiltModelError, UnsupportedLayerError
from tf_medyate.spec import LayerSpec


@dataclasses.dataclass(frozen=True)
class Node:
    """One call of one layer.

    Attributes:
        name: Unique name in the flat graph; nested names are joined with dots.
        layer: The Keras layer that is called.
        inputs: Names of the nodes whose outputs it takes.
        takes_list: The inputs are passed as one list, as Add and Concatenate want them.
    """

    name: str
    layer: Any
    inputs: tuple[str, ...]
    takes_list: bool = False


@dataclasses.dataclass(frozen=True)
class ModelGraph:
    """A model's nodes in execution order.

    Attributes:
        name: The model's name.
        nodes: Every node once, producers before consumers.
        inputs: Names of the input nodes, in the order of `model.inputs`.
        outputs: Names of the nodes that make the model's outputs, in order.
    """

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def consumers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read a node's output."""
        return tuple(node for node in self.nodes if name in node.inputs)


def trace(model: keras.Model) -> ModelGraph:
    """Reads the flat graph of a Sequential or functional model.

    Raises:
        UnbuiltModelError: The model has no input shape yet.
        UnsupportedLayerError: The model is subclassed, or calls one layer twice.
    """
    nodes: list[Node] = []
    sources: list[str] = []
    for tensor in _model_inputs(model, getattr(model, "name", "?")):
        name = tensor.name
        shape = tuple(tensor.shape)
        if any(side is None for side in shape[1:]):
            raise UnbuiltModelError(
                f"input '{name}' of model '{model.name}'",
                "a fixed shape: memory is planned ahead",
                f"shape {shape}",
                "Rebuild the model with a keras.Input of fixed height, width and channels.",
            )
        layer = keras.layers.InputLayer(batch_shape=shape, dtype=tensor.dtype, name=name)
        nodes.append(Node(name, layer, ()))
        sources.append(name)
    outputs = _inline(model, "", sources, nodes)
    return ModelGraph(model.name, tuple(nodes), tuple(sources), tuple(outputs))


def _model_inputs(model: keras.Model, path: str) -> list:
    if not isinstance(model, keras.Model):
        raise UnsupportedLayerError(
            "model", "a keras.Model", type(model).__name__, "Pass the Keras model itself."
        )
    inputs = getattr(model, "inputs", None)
    if not model.built:
        raise UnbuiltModelError(
            f"model '{path}'",
            "a built model",
            "one without weights",
            "Start it with keras.Input(shape), or call it once on a batch of data.",
        )
    if not inputs:
        raise UnsupportedLayerError(
            f"model '{path}'",
            "a Sequential or functional model",
            f"the subclass {type(model).__name__}",
            "Express it with keras.Model(inputs, outputs): its graph must be known.",
        )
    return inputs


def _inline(model: keras.Model, prefix: str, sources: list[str], nodes: list[Node]) -> list[str]:
    """Appends the model's nodes, fed by `sources`; returns the names of its outputs."""
    if isinstance(model, keras.Sequential):
        current = sources
        for layer in model.layers:
            current = _append(layer, prefix, tuple(current), False, nodes)
        return current
    return _inline_functional(model, prefix, sources, nodes)


def _inline_functional(model, prefix: str, sources: list[str], nodes: list[Node]) -> list[str]:
    operations = {operation.name: operation for operation in model.operations}
    config = model.get_config()
    produced: dict[str, list[str]] = {}
    for (name, _, _), source in zip(_references(config["input_layers"]), sources, strict=True):
        produced[name] = [source]
    waiting = [entry for entry in config["layers"] if entry["name"] not in produced]
    while waiting:
        postponed = []
        for entry in waiting:
            calls = entry["inbound_nodes"]
            if len(calls) > 1:
                raise UnsupportedLayerError(
                    f"layer '{prefix}{entry['name']}'",
                    "to be called once",
                    f"{len(calls)} calls",
                    "Give each call a layer of its own: shared weights have no single channel.",
                )
            arguments = [] if not calls else [*calls[0]["args"], *calls[0]["kwargs"].values()]
            references = list(_tensors(arguments))
            if any(name not in produced for name, _, _ in references):
                postponed.append(entry)
                continue
            inputs = tuple(produced[name][index] for name, _, index in references)
            as_list = bool(arguments) and isinstance(arguments[0], (list, tuple))
            operation = operations[entry["name"]]
            produced[entry["name"]] = _append(operation, prefix, inputs, as_list, nodes)
        waiting = postponed
    return [produced[name][index] for name, _, index in _references(config["output_layers"])]


def _append(operation, prefix: str, inputs, as_list: bool, nodes: list[Node]) -> list[str]:
    name = prefix + operation.name
    if isinstance(operation, keras.Model):
        _model_inputs(operation, name)
        return _inline(operation, f"{name}.", list(inputs), nodes)
    nodes.append(Node(name, operation, inputs, as_list))
    return [name]


def _references(entry) -> Iterator[tuple[str, int, int]]:
    """Yields (layer, node, tensor) triples out of a possibly nested structure of them."""
    if isinstance(entry, dict):
        for key in sorted(entry):  # the order in which keras.tree flattens a dict
            yield from _references(entry[key])
    elif len(entry) == 3 and isinstance(entry[0], str):
        yield entry[0], entry[1], entry[2]
    else:
        for value in entry:
            yield from _references(value)


def _tensors(entry) -> Iterator[tuple[str, int, int]]:
    """Yields the `keras_history` of every tensor in a serialised argument."""
    if isinstance(entry, dict):
        if entry.get("class_name") == "__keras_tensor__":
            name, node, tensor = entry["config"]["keras_history"]
            yield name, node, tensor
        else:
            for value in entry.values():
                yield from _tensors(value)
    elif isinstance(entry, (list, tuple)):
        for value in entry:
            yield from _tensors(value)


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
            empty list passes the node's input on.
        model_class: `keras.Model` or a subclass without constructor arguments of its own.

    Returns:
        The new, uncompiled model; weights are as the new layers initialised them.
    """
    tensors: dict[str, Any] = {}
    for node in graph.nodes:
        if isinstance(node.layer, keras.layers.InputLayer):
            shape = node.layer.batch_shape
            tensors[node.name] = keras.Input(
                batch_shape=shape, dtype=node.layer.dtype, name=node.name
            )
            continue
        value = [tensors[name] for name in node.inputs]
        value = value if node.takes_list else value[0]
        for layer in convert(node):
            value = layer(value)
        tensors[node.name] = value

    def like(structure, names):
        return keras.tree.pack_sequence_as(structure, [tensors[name] for name in names])

    if isinstance(model, keras.Sequential):
        inputs, outputs = model.inputs[0], model.outputs[0]
    else:
        inputs, outputs = model.input, model.output
    return model_class(like(inputs, graph.inputs), like(outputs, graph.outputs), name=graph.name)


def specs_of(graph: ModelGraph, kind_of: Callable[[Any], str | None]) -> tuple[LayerSpec, ...]:
    """Describes the weighted layers of a flat, folded graph, in execution order.

    Args:
        graph: The graph of a prepared model.
        kind_of: The kind of a layer, or None for one without trainable weights.
    """
    feeds: dict[str, tuple[str, ...]] = {}
    weighted = []
    for node in graph.nodes:
        ancestors = tuple(dict.fromkeys(a for name in node.inputs for a in feeds[name]))
        feeds[node.name] = (node.name,) if kind_of(node.layer) else ancestors
        if kind_of(node.layer):
            weighted.append((node, ancestors))
    followed = {name for _, ancestors in weighted for name in ancestors}
    return tuple(
        _spec(node, index, ancestors, str(kind_of(node.layer)), node.name not in followed)
        for index, (node, ancestors) in enumerate(weighted)
    )


def _spec(node: Node, index: int, inputs: tuple[str, ...], kind: str, is_head: bool) -> LayerSpec:
    layer = node.layer
    channels = int(layer.input.shape[-1])
    weights = math.prod(layer.kernel.shape)
    positions = math.prod(layer.output.shape[1:-1])
    kernel_size = tuple(layer.kernel.shape[:-2])
    return LayerSpec(
        name=node.name,
        kind=kind,
        index=index,
        channels=channels,
        outputs=int(layer.output.shape[-1]),
        weights_per_channel=weights // channels,
        activation_elements=math.prod(layer.input.shape[1:-1]),
        bias_elements=math.prod(layer.bias.shape) if layer.bias is not None else 0,
        macs=positions * weights,
        kernel_size=kernel_size,
        inputs=inputs,
        is_head=is_head,
        trainable=layer.trainable,
    )
