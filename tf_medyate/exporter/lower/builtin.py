"""What stands in front of everything trained and has no op of ours: TensorFlow Lite's built-in ops.

Each such node is an island: TensorFlow Lite's converter lowers all islands in one go, as one
function of their inputs, and the ops, tensors and constants that it makes are put where the node
stands in our graph. So whatever has an op of ours stays ours, and everything is planned together.
Loops are unrolled: one subgraph is all that there is.

Example:
    >>> if builtin.stands_in_front(low, node):
    ...     builtin.declare(low, node)            # its outputs are tensors from here on
    >>> builtin.fill(low)                         # when all nodes are lowered: the ops
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.errors import UnsupportedLayerError
from tf_medyate.exporter.converter import convert
from tf_medyate.exporter.ir.nodes import OpNode
from tf_medyate.exporter.ir.values import ABSENT, DTYPES
from tf_medyate.exporter.lower.geometry import kind_of
from tf_medyate.exporter.lower.state import Lowering
from tf_medyate.exporter.ops.builtin_ops import BUILTIN_RECORDS
from tf_medyate.exporter.ops.options import converted
from tf_medyate.prepared.graph import Node, Outputs
from tf_medyate.prepared.layers import ChannelMasked
from tf_medyate.prepared.rebuild import call_as
from tf_medyate.prepared.recurrent import MaskedRecurrence
from tf_medyate.private_apis import tflite_schema

_REMEDY = "Replace it, or prepare the part of the model after it and feed that with what it gives."


@dataclasses.dataclass(frozen=True)
class Island:
    """A node that is still to be lowered.

    Attributes:
        node: The node.
        layers: What it applies, one after the other: its layer, and what is fused with it.
        inputs: Tensors that it reads.
        outputs: (index among its outputs, tensor) of those that are read.
        place: Ops of the graph before it.
    """

    node: Node
    layers: tuple[Any, ...]
    inputs: tuple[str, ...]
    outputs: tuple[tuple[int, str], ...]
    place: int

    @property
    def title(self) -> str:
        """As errors name it."""
        return f"layer '{self.node.name}' ({kind_of(self.node.layer)})"


def stands_in_front(low: Lowering, node: Node) -> bool:
    """Training reaches neither a node nor what it reads."""
    places = isinstance(node.layer, ChannelMasked) and low.layout.of(node.name)
    ready = all(name in low.tensors or name in low.int8 for name in node.inputs)
    return not places and ready and not any(low.tensors.get(n) in low.wanted for n in node.inputs)


def declare(low: Lowering, node: Node) -> None:
    """Declares a node's outputs; `fill` makes the ops."""
    read = {tensor for other in low.graph.nodes for tensor in other.inputs} | {*low.graph.outputs}
    names, outputs = Outputs(node.name), []
    for index, tensor in enumerate(keras.tree.flatten(node.layer.output)):
        if names[index] in read:
            shape = (1, *tensor.shape[1:])
            low.tensors[names[index]] = low.builder.tensor(names[index], shape, str(tensor.dtype))
            outputs.append((index, low.tensors[names[index]]))
    pad, after = low.fusions.paddings.get(node.name), low.fusions.activations.get(node.name)
    layers = (*([pad.layer] if pad else []), node.layer, *([after.layer] if after else []))
    inputs = tuple(low.tensors[name] for name in node.inputs)
    low.islands.append(Island(node, layers, inputs, tuple(outputs), len(low.builder.ops)))


def fill(low: Lowering) -> None:
    """Puts the islands' ops into the graph.

    Raises:
        UnsupportedLayerError: The converter has no built-in ops for a layer, or the interpreter
            lacks one of them; the error names layer and op.
    """
    if not low.islands:
        return
    try:
        converted_graph = _Converted(low, low.islands)
    except UnsupportedLayerError:
        for island in low.islands:  # which one it is
            _Converted(low, [island])
        raise
    made = [converted_graph.ops_of(number) for number in range(len(low.islands))]
    for island, ops in reversed(list(zip(low.islands, made, strict=True))):
        low.builder.insert(island.place, ops)


class _Converted:
    """What the converter made of islands, and how its tensors are called in our graph."""

    def __init__(self, low: Lowering, islands: Sequence[Island]):
        self._low, self._islands = low, islands
        whose = islands[0].title if len(islands) == 1 else f"model '{low.graph.name}'"
        data = convert(*_traced(low, islands), whose)
        self._schema: Any = tflite_schema()
        self._model = self._schema.ModelT.InitFromPackedBuf(data)
        self._graph = self._model.subgraphs[0]
        [signature] = self._model.signatureDefs
        self._inputs = {i.name.decode(): i.tensorIndex for i in signature.inputs}
        self._outputs = {o.name.decode(): o.tensorIndex for o in signature.outputs}
        self._makers = {t: n for n, o in enumerate(self._graph.operators) for t in o.outputs}
        self._names: dict[int, str] = {}
        self._taken: set[int] = set()
        self._check(whose)

    def _check(self, whose: str):
        if len(self._model.subgraphs) > 1:
            remedy = f"Give the layer a fixed number of steps. {_REMEDY}"
            _refuse(whose, "ops without a loop or a branch", "several subgraphs", remedy)
        for number, operator in enumerate(self._graph.operators):
            kind = self._kind(operator)
            if kind not in BUILTIN_RECORDS or operator.builtinOptions2Type:
                owner = next((i for k, i in enumerate(self._islands) if number in self._needs(k)))
                _refuse(owner.title, "ops that TFLM's interpreter has", kind, _REMEDY)

    def _kind(self, operator: Any) -> str:
        code = self._model.operatorCodes[operator.opcodeIndex].builtinCode
        names = vars(self._schema.BuiltinOperator).items()
        return next(name for name, value in names if name.isupper() and value == code)

    def _needs(self, number: int) -> list[int]:
        """The ops that an island's outputs need, in order."""
        waiting = [self._outputs[_output(number, k)] for k, _ in self._islands[number].outputs]
        found: set[int] = set()
        while waiting:
            maker = self._makers.get(waiting.pop())
            if maker is not None and maker not in found:
                found.add(maker)
                waiting += list(self._graph.operators[maker].inputs)
        return sorted(found)

    def ops_of(self, number: int) -> list[OpNode]:
        """An island's ops; declares their tensors."""
        island, low = self._islands[number], self._low
        ops = []
        for index, name in enumerate(island.inputs):
            tensor = self._inputs.get(_input(number, index))
            if tensor is not None:
                shape = tuple(int(side) for side in self._graph.tensors[tensor].shape)
                self._names[tensor] = name
                if shape != low.builder.shape(name):
                    self._names[tensor] = low.builder.tensor(
                        f"{name}/shaped", shape, low.builder.dtype(name)
                    )
                    ops.append(self._reshape(name, self._names[tensor]))
        last = []
        for k, name in island.outputs:
            tensor = self._outputs[_output(number, k)]
            if tensor in self._names or tensor not in self._makers:  # an input, or a constant
                last.append(self._reshape(self._name(island, tensor), name))
            else:
                self._names[tensor] = name
        for index in self._needs(number):
            if index not in self._taken:
                self._taken.add(index)
                ops.append(self._op(island, self._graph.operators[index]))
        return [*ops, *last]

    def _reshape(self, source: str, target: str) -> OpNode:
        shape = self._low.builder.shape(target)
        constant = self._low.builder.constant(f"{target}/shape", np.array(shape, np.int32))
        self._low.builder.in_place.append((target, source))
        return OpNode("RESHAPE", (source, constant), (target,), attributes={"new_shape": shape})

    def _op(self, island: Island, operator: Any) -> OpNode:
        names = vars(self._schema.BuiltinOptions).items()
        table = next(n for n, v in names if v == operator.builtinOptionsType)
        version = self._model.operatorCodes[operator.opcodeIndex].version
        options = operator.builtinOptions
        return OpNode(
            self._kind(operator),
            tuple(ABSENT if t < 0 else self._name(island, t) for t in operator.inputs),
            tuple(self._name(island, t) for t in operator.outputs),
            attributes=converted(version, "" if options is None else table, options),
        )

    def _name(self, island: Island, index: int) -> str:
        if index not in self._names:
            tensor = self._graph.tensors[index]
            dtypes = vars(self._schema.TensorType).items()
            dtype = next(n.lower() for n, v in dtypes if n.isupper() and v == tensor.type)
            if dtype not in DTYPES or tensor.isVariable:
                received = "a variable" if tensor.isVariable else dtype
                _refuse(island.title, f"tensors of {', '.join(DTYPES)}", received, _REMEDY)
            shape = tuple(() if tensor.shape is None else map(int, tensor.shape))
            data, name = self._model.buffers[tensor.buffer].data, f"{island.node.name}/{index}"
            if data is None or not len(data):
                self._names[index] = self._low.builder.tensor(name, shape, dtype)
            else:
                values = np.frombuffer(np.asarray(data, np.uint8).tobytes(), DTYPES[dtype])
                self._names[index] = self._low.builder.constant(name, values.reshape(shape))
        return self._names[index]


def _traced(low: Lowering, islands: Sequence[Island]) -> tuple[Any, list[Any]]:
    """All islands as one concrete function of their inputs, with named outputs; its variables."""
    plain = [[_without_loops(layer) for layer in island.layers] for island in islands]
    layers = [[layer for layer, _ in each] for each in plain]
    specs = [
        tf.TensorSpec(
            (1, *keras_tensor(low, name).shape[1:]), low.builder.dtype(x), name=_input(n, index)
        )
        for n, island in enumerate(islands)
        for index, (name, x) in enumerate(zip(island.node.inputs, island.inputs, strict=True))
    ]

    @tf.function(input_signature=specs, autograph=False)
    def compute(*tensors):
        found, waiting = {}, list(tensors)
        for number, island in enumerate(islands):
            given = [
                tf.cast(waiting.pop(0), keras_tensor(low, name).dtype)
                for name in island.node.inputs
            ]
            values = keras.tree.flatten(_apply(island, layers[number], given))
            for index, _ in island.outputs:
                found[_output(number, index)] = values[index]
        return found

    held = {id(v): v for each in plain for _, variables in each for v in variables}
    return compute.get_concrete_function(), list(held.values())


def keras_tensor(low: Lowering, tensor: str) -> Any:
    """The Keras tensor of a name."""
    node = low.graph.producer(tensor)
    index = int(tensor.rpartition(":")[2]) if tensor != node.name else 0
    return keras.tree.flatten(node.layer.output)[index]


def _apply(island: Island, layers: Sequence[Any], given: list) -> Any:
    for original, layer in zip(island.layers, layers, strict=True):
        if original is island.node.layer:
            given = call_as(island.node, layer, given, training=False)
        else:
            given = layer(given[0] if isinstance(given, list) else given)
    return given


def _input(number: int, index: int) -> str:
    return f"x{number}_{index}"


def _output(number: int, index: int) -> str:
    return f"y{number}_{index}"


def _without_loops(layer: Any) -> tuple[Any, list[Any]]:
    """What does the same with ops that TFLM has, without a loop; and its variables."""
    if isinstance(layer, MaskedRecurrence):
        return layer.unrolled, list(layer.variables)
    if type(layer) is keras.layers.Embedding:
        return _lookup(layer), list(layer.variables)
    config = layer.get_config() if isinstance(layer, keras.layers.Layer) else {}
    if _unroll(config := copy.deepcopy(config)):
        twin = type(layer).from_config(config)
        twin.build(layer.input.shape)
        twin.set_weights(layer.get_weights())
        layer = twin
    return layer, list(getattr(layer, "variables", ()))


def _lookup(layer: Any) -> Any:
    """An embedding's rows. Keras counts negative numbers from the end; TFLM reads any address."""
    last = layer.input_dim - 1

    def look_up(numbers):
        inside = tf.clip_by_value(tf.cast(numbers, tf.int32), 0, last)
        return tf.gather(layer.embeddings.value, inside)

    return look_up


def _unroll(config: Any) -> bool:
    """Sets every `unroll` in a configuration; whether there was one."""
    found = False
    if isinstance(config, dict):
        if "unroll" in config:
            config["unroll"], found = True, True
        return any([_unroll(value) for value in config.values()]) or found
    return any([_unroll(value) for value in config]) if isinstance(config, list) else False


def _refuse(whose: str, expected: str, received: str, remedy: str):
    raise UnsupportedLayerError(whose, expected, received, remedy)
