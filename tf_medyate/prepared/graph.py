"""A flat, named view of a Keras model.

Nested models are inlined ("encoder.conv1" is layer conv1 of the model encoder). The graph is read
from `get_config()`, Keras's public description of a model's connectivity.

Example:
    >>> for node in trace(model).nodes:
    ...     print(node.name, "reads", node.inputs)
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import inspect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from tf_medyate.errors import UnbuiltModelError, UnsupportedLayerError


@dataclasses.dataclass(frozen=True)
class Node:
    """One call of one layer.

    Attributes:
        name: Unique name in the flat graph; nested names are joined with dots.
        layer: The Keras layer that is called.
        inputs: Names of the tensors that it takes: of a node for its first output, with ":1" and
            so on after it for the others.
        takes_list: The inputs are passed as one list, as Add and Concatenate want them.
        training: The `training` that it is called with, or the model that it lies in; None where
            it is for the caller to say.
        arguments: (args, kwargs) of a call with more than tensors in its first argument, with a
            `Slot` for each of the inputs; None for a plain call.
    """

    name: str
    layer: Any
    inputs: tuple[str, ...]
    takes_list: bool = False
    training: bool | None = None
    arguments: Any = None


@dataclasses.dataclass(frozen=True)
class Slot:
    """The place of an input, by its number, in a call's arguments."""

    number: int


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

    def producer(self, tensor: str) -> Node:
        """The node that a tensor is an output of."""
        nodes = self._by_name
        return nodes[tensor] if tensor in nodes else nodes[tensor.rpartition(":")[0]]

    def calls(self, layer: Any) -> int:
        """How often a layer is called."""
        return self._calls[id(layer)]

    @functools.cached_property
    def _by_name(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    @functools.cached_property
    def _calls(self) -> Mapping[int, int]:
        return collections.Counter(id(node.layer) for node in self.nodes)

    @functools.cached_property
    def _readers(self) -> Mapping[str, list[Node]]:
        readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(self.producer(tensor).name for tensor in node.inputs):
                readers.setdefault(name, []).append(node)
        return readers


def trace(model: keras.Model) -> ModelGraph:
    """Reads the flat graph of a Sequential or functional model.

    Raises:
        UnbuiltModelError: The model has no input shape yet.
        UnsupportedLayerError: The model is subclassed.
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
        current: Sequence[str] = call.inputs
        for layer in model.layers:
            node = Node("", layer, tuple(current), training=call.training)
            current = _append(node, call, nodes)
        return list(current)
    return _inline_functional(model, call, nodes)


def _inline_functional(model: Any, call: Node, nodes: list[Node]) -> list[str]:
    operations = {operation.name: operation for operation in model.operations}
    config = _config(model)
    produced: dict[tuple[str, int], Sequence[str]] = {}
    for (name, _, _), source in zip(_references(config["input_layers"]), call.inputs, strict=True):
        produced[name, 0] = [source]

    def outputs_of(references) -> Any:
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
            " ".join(str(error).split("Please")[0].split()),
            "Give a class of your own a get_config() that returns what its constructor takes, and "
            "use Keras's own functions.",
        ) from error


def _is_functional(operation) -> bool:
    return isinstance(operation, keras.Model) and not isinstance(operation, keras.Sequential)


def _called(operation, inbound, inputs: Sequence[str], around: Node) -> Node:
    """The node of a call, from Keras's description; its name is still to be made unique."""
    arguments, options = list(inbound["args"]), dict(inbound["kwargs"])
    training = options.pop("training", None)
    training = around.training if training is None else bool(training)
    if not arguments and _is_by_keyword(operation, options):
        arguments, options = [*options.values()], {}
    as_list = bool(arguments) and isinstance(arguments[0], (list, tuple))
    others = [value for value in (*arguments[1:], *options.values()) if value is not None]
    if arguments and _is_tensors(arguments[0]) and not others:
        return Node("", operation, tuple(inputs), as_list, training)
    slots = itertools.count()
    filled = _with_slots(arguments, slots), _with_slots(options, slots)
    return Node("", operation, tuple(inputs), as_list, training, filled)


def _is_by_keyword(operation: Any, options: Mapping[str, Any]) -> bool:
    """`layer(inputs=x)`, which is as good as `layer(x)`."""
    return len(options) == 1 and [*options] == [*inspect.signature(operation.call).parameters][:1]


def _with_slots(entry: Any, slots: Iterator[int]) -> Any:
    """A serialized argument as it was, with slots for tensors, numbered as `_tensors` goes."""
    if _is_tensor(entry):
        return Slot(next(slots))
    if isinstance(entry, (list, tuple)):
        return type(entry)(_with_slots(value, slots) for value in entry)
    if not isinstance(entry, dict):
        return entry
    if entry.get("class_name") == "__tuple__":
        return tuple(_with_slots(value, slots) for value in entry["config"]["value"])
    if "class_name" not in entry:
        return {key: _with_slots(value, slots) for key, value in entry.items()}
    return keras.saving.deserialize_keras_object(entry)


def _append(node: Node, around: Node, nodes: list[Node]) -> Sequence[str]:
    """Appends a node without a name, called in the model `around`; returns its outputs' names."""
    layer, name = node.layer, _path(around) + node.layer.name
    names = {other.name for other in nodes}
    calls = itertools.chain([name], (f"{name}.{number}" for number in itertools.count(2)))
    name = next(free for free in calls if free not in names)
    node = dataclasses.replace(node, name=name)
    if _can_be_inlined(node):
        return _inline(layer, node, nodes)
    nodes.append(node)
    return Outputs(name)


class Outputs(Sequence):
    """Names of a node's outputs, however many are asked for; iterated over, the first alone."""

    def __init__(self, name: str):
        self._name = name

    def __getitem__(self, index: Any) -> Any:
        return f"{self._name}:{index}" if index else self._name

    def __iter__(self) -> Iterator[str]:
        return iter((self._name,))

    def __len__(self) -> int:
        return 1


def _can_be_inlined(node: Node) -> bool:
    """A model that Keras itself made, with a graph, in a plain call."""
    model = node.layer
    if not isinstance(model, keras.Model) or node.arguments is not None:
        return False
    return own_method(model, ("call",)) is None and bool(model.built and _inputs_of(model))


def _inputs_of(model: keras.Model) -> Any:
    try:
        return getattr(model, "inputs", None)
    except ValueError:  # a Sequential that was never called
        return None


@functools.cache
def _plain_classes() -> tuple[type, type]:
    """The classes of models that Keras itself makes: Sequential, and of keras.Model(x, y)."""
    x = keras.Input((1,))
    return keras.Sequential, type(keras.Model(x, x))


def own_method(model: Any, names: Sequence[str]) -> str | None:
    """The first of some methods that a model has its own version of; None for none."""
    plain = next((cls for cls in _plain_classes() if isinstance(model, cls)), type(model))
    own = (n for n in names if n in vars(model) or getattr(type(model), n) is not getattr(plain, n))
    return next(own, None)


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
