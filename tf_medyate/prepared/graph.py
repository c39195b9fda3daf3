"""A flat, named view of a Keras model, and a model built from one.

Nested models are inlined ("encoder.conv1" is layer conv1 of the model encoder). The graph is read
from `get_config()`, Keras's public description of a model's connectivity.

Example:
    >>> for node in trace(model).nodes:
    ...     print(node.name, "reads", node.inputs)
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras

from tf_medyate.errors import UnbuiltModelError, UnsupportedLayerError


@dataclasses.dataclass(frozen=True)
class Node:
    """One call of one layer.

    Attributes:
        name: Unique name in the flat graph; nested names are joined with dots.
        layer: The Keras layer that is called.
        inputs: Names of the nodes whose outputs it takes.
        takes_list: The inputs are passed as one list, as Add and Concatenate want them.
        in_training: It is called with `training=True`, or the model that it lies in is.
    """

    name: str
    layer: Any
    inputs: tuple[str, ...]
    takes_list: bool = False
    in_training: bool = False


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
        return tuple(self._readers.get(name, ()))

    @functools.cached_property
    def _readers(self) -> Mapping[str, list[Node]]:
        readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers.setdefault(name, []).append(node)
        return readers


def trace(model: keras.Model) -> ModelGraph:
    """Reads the flat graph of a Sequential or functional model.

    Raises:
        UnbuiltModelError: The model has no input shape yet.
        UnsupportedLayerError: The model is subclassed, or calls a layer with weights twice.
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
    outputs = _inline(model, Node("", model, tuple(sources)), nodes)
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


def _inline(model: keras.Model, call: Node, nodes: list[Node]) -> list[str]:
    """Appends the nodes of a model that is called; returns the names of its outputs."""
    if isinstance(model, keras.Sequential):
        current = list(call.inputs)
        for layer in model.layers:
            current = _append(Node("", layer, tuple(current)), call, nodes)
        return current
    return _inline_functional(model, call, nodes)


def _inline_functional(model: Any, call: Node, nodes: list[Node]) -> list[str]:
    operations = {operation.name: operation for operation in model.operations}
    config = _config(model)
    produced: dict[tuple[str, int], list[str]] = {}
    for (name, _, _), source in zip(_references(config["input_layers"]), call.inputs, strict=True):
        produced[name, 0] = [source]

    def outputs_of(references) -> list[str] | None:
        if not all((name, index) in produced for name, index, _ in references):
            return None
        return [produced[name, index][output] for name, index, output in references]

    waiting = [
        (operations[entry["name"]], index, inbound)
        for entry in config["layers"]
        for index, inbound in enumerate(entry["inbound_nodes"])
    ]
    while waiting:
        postponed = []
        for operation, index, inbound in waiting:
            inputs = outputs_of(list(_tensors([inbound["args"], inbound["kwargs"]])))
            if inputs is None:
                postponed.append((operation, index, inbound))
                continue
            node = _called(operation, inbound, inputs, call)
            produced[operation.name, index] = _append(node, call, nodes)
        if len(postponed) == len(waiting):
            names = sorted({operation.name for operation, _, _ in waiting})
            remedy = "Rebuild it with keras.Model(inputs, outputs)."
            raise UnsupportedLayerError(
                f"model '{model.name}'", "a graph that can be followed", f"a gap at {names}", remedy
            )
        waiting = postponed
    # Keras counts the call that made a functional model, here but not above.
    made = [name for name, operation in operations.items() if _is_functional(operation)]
    outputs = _references(config["output_layers"])
    return outputs_of([(n, i - (n in made), output) for n, i, output in outputs]) or []


def _config(model) -> dict[str, Any]:
    try:
        return model.get_config()
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UnsupportedLayerError(
            f"model '{model.name}'",
            "layers that Keras can describe",
            str(error),
            "Use Keras's own layers and functions.",
        ) from error


def _is_functional(operation) -> bool:
    return isinstance(operation, keras.Model) and not isinstance(operation, keras.Sequential)


def _called(operation, inbound, inputs: Sequence[str], around: Node) -> Node:
    """The node of a call, from Keras's description; its name is still to be made unique."""
    arguments, options = inbound["args"], dict(inbound["kwargs"])
    as_list = bool(arguments) and isinstance(arguments[0], (list, tuple))
    in_training = bool(options.pop("training", False))
    others = [value for value in (*arguments, *options.values()) if value is not None]
    if isinstance(operation, keras.layers.Layer) and not all(map(_is_tensors, others)):
        raise UnsupportedLayerError(
            f"layer '{_path(around)}{operation.name}'",
            "a call with tensors, and `training` at most",
            f"{others}",
            "Give such options to the layer's constructor, or cut the model before it.",
        )
    return Node("", operation, tuple(inputs), as_list, in_training)


def _append(node: Node, around: Node, nodes: list[Node]) -> list[str]:
    """Appends a node without a name, called in the model `around`; returns its outputs' names."""
    layer, name = node.layer, _path(around) + node.layer.name
    if getattr(layer, "weights", ()) and any(layer is other.layer for other in nodes):
        raise UnsupportedLayerError(
            f"layer '{name}'",
            "to be called once",
            "2 calls or more",
            "Give each call a layer of its own: shared weights have no single channel.",
        )
    names = {other.name for other in nodes}
    calls = itertools.chain([name], (f"{name}.{number}" for number in itertools.count(2)))
    name = next(free for free in calls if free not in names)
    node = dataclasses.replace(node, name=name, in_training=node.in_training or around.in_training)
    if isinstance(layer, keras.Model):
        _model_inputs(layer, name)
        return _inline(layer, node, nodes)
    nodes.append(node)
    return [name]


def _path(around: Node) -> str:
    return f"{around.name}." if around.name else ""


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
    """Yields the `keras_history` of every tensor in a serialized argument."""
    if _is_tensor(entry):
        name, node, tensor = entry["config"]["keras_history"]
        yield name, node, tensor
    elif isinstance(entry, (list, tuple, dict)):
        for value in entry.values() if isinstance(entry, dict) else entry:
            yield from _tensors(value)


def _is_tensor(entry) -> bool:
    return isinstance(entry, dict) and entry.get("class_name") == "__keras_tensor__"


def _is_tensors(entry) -> bool:
    return _is_tensor(entry) or (isinstance(entry, list) and all(map(_is_tensor, entry)))


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
        The new, uncompiled model; weights are as the new layers initialized them.
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
            noisy = node.in_training and isinstance(layer, keras.layers.Dropout)
            value = layer(value, training=True) if noisy else layer(value)
        tensors[node.name] = value

    def like(structure, names):
        return keras.tree.pack_sequence_as(structure, [tensors[name] for name in names])

    if isinstance(model, keras.Sequential):
        inputs, outputs = model.inputs[0], model.outputs[0]
    else:
        inputs, outputs = model.input, model.output
    return model_class(like(inputs, graph.inputs), like(outputs, graph.outputs), name=graph.name)
