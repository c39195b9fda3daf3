"""From a prepared Keras model to the forward part of the training graph.

Every layer becomes one of our ops, in execution order. Layers that are trained read their deltas
from the pool, and a stash op keeps the drawn channels of their input. Reshapes cost nothing: every
op takes its operands by the number of their elements.

Example:
    >>> forward = lower_forward(model_graph, layout, fusions, builder, "sample")
    >>> forward.output, forward.ends_in_softmax
    ('dense', True)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tf_medyate.errors import UnsupportedLayerError
from tf_medyate.export import geometry, op_schema
from tf_medyate.export.builder import Builder
from tf_medyate.export.geometry import Fusions
from tf_medyate.export.layout import Layout, TrainedLayer
from tf_medyate.export.op_schema import Activation
from tf_medyate.export.values import ABSENT, SCRATCH
from tf_medyate.graph import ModelGraph, Node
from tf_medyate.layers import ChannelMasked

_K = keras.layers

POOL = "pool"
SELECTION = "selection"
COMMAND = "command"


@dataclasses.dataclass(frozen=True)
class Forward:
    """The lowered forward pass.

    Attributes:
        output: The tensor that the model's output is: logits, if it ends in a softmax.
        ends_in_softmax: A softmax at the end was left out.
        wanted: Tensors that backpropagation needs the gradient of.
        weights: Trained or frozen layer -> its weights tensor.
        biases: Layer -> its bias tensor.
    """

    output: str
    ends_in_softmax: bool
    wanted: frozenset[str]
    weights: dict[str, str]
    biases: dict[str, str]


def stash_positions(graph: ModelGraph, fusions: Fusions) -> dict[str, int]:
    """Input positions of every weighted layer that a stash holds for a channel."""
    return {
        node.name: math.prod(geometry.input_plane(node, fusions)[:2])
        for node in graph.nodes
        if isinstance(node.layer, ChannelMasked)
    }


def lower_forward(
    graph: ModelGraph,
    layout: Layout,
    fusions: Fusions,
    builder: Builder,
    sample: str,
    stream: bool = True,
) -> Forward:
    """Appends the forward pass of a model to a graph.

    Args:
        graph: A prepared model's graph, with one input and one output.
        layout: What is trained.
        fusions: What is fused.
        builder: Where to append; holds pool, selection and command.
        sample: Name of the input tensor.
        stream: Compute frozen convolutions inside the depthwise ones behind them.

    Raises:
        UnsupportedLayerError: A layer cannot be exported; the error names it and what to do.
    """
    lowering = _Lowering(graph, layout, fusions, builder, stream)
    return lowering.run(sample)


class _Lowering:
    def __init__(
        self,
        graph: ModelGraph,
        layout: Layout,
        fusions: Fusions,
        builder: Builder,
        stream: bool,
    ):
        self.graph = graph
        self.layout = layout
        self.fusions = fusions
        self.builder = builder
        self.streams = stream
        self.wanted: set[str] = set()
        self.weights: dict[str, str] = {}
        self.biases: dict[str, str] = {}
        self.tensors: dict[str, str] = {}
        # Frozen convolutions that will be computed row by row inside the depthwise one behind.
        self.streamed: dict[str, Node] = {}
        self.ends_in_softmax = False

    def run(self, sample: str) -> Forward:
        self._check_ends()
        for node in self.graph.nodes:
            if isinstance(node.layer, _K.InputLayer):
                self.tensors[node.name] = sample
            elif node.name in self.fusions.absorbed:
                self.tensors[node.name] = self._input(node)
            else:
                self.tensors[node.name] = self._lower(node)
        output = self.tensors[self.graph.outputs[0]]
        return Forward(
            output, self.ends_in_softmax, frozenset(self.wanted), self.weights, self.biases
        )

    def _check_ends(self):
        for what, names in (("input", self.graph.inputs), ("output", self.graph.outputs)):
            if len(names) != 1:
                raise UnsupportedLayerError(
                    f"model '{self.graph.name}'",
                    f"one {what}",
                    f"{len(names)}: {', '.join(names)}",
                    f"Export a model with a single {what}.",
                )

    # --- helpers

    def _input(self, node: Node, index: int = 0) -> str:
        return self.tensors[node.inputs[index]]

    def _refuse(self, node: Node, expected: str, received: str, remedy: str):
        kind = type(node.layer).__name__
        raise UnsupportedLayerError(f"layer '{node.name}' ({kind})", expected, received, remedy)

    def _output(self, node: Node, inputs: list[str]) -> str:
        """Declares a node's output, which backpropagation wants if it wants an input."""
        name = self.builder.tensor(node.name, (1, *node.layer.output.shape[1:]))
        if any(tensor in self.wanted for tensor in inputs):
            self.wanted.add(name)
        return name

    def _lower(self, node: Node) -> str:
        for kinds, rule in _RULES:
            if isinstance(node.layer, kinds):
                return rule(self, node)
        return self._refuse(  # type: ignore[return-value]
            node, "a layer that can be exported", type(node.layer).__name__, "Replace it."
        )

    # --- weighted layers

    def weighted(self, node: Node) -> str:
        places = self.layout.of(node.name)
        x = self._input(node)
        if self._can_stream(node):
            self.streamed[node.name] = node
            return node.name
        if places is not None:
            self._stash(node, places, x)
        if x in self.streamed:
            y = self._conv_depthwise(self.streamed[x], node)
        else:
            y = self._linear(node, places, x)
        name = geometry.activation_name(node)
        if name == geometry.SOFTMAX:
            return self._softmax(node, y)
        return self._hard_swish(node, y) if name == geometry.HARD_SWISH else y

    def _stash(self, node: Node, places: TrainedLayer, x: str):
        self.builder.op(
            op_schema.STASH,
            [x, POOL, SELECTION, COMMAND],
            [],
            {
                "pixels": places.stash,
                "channels": places.spec.channels,
                "delta_elements": places.spec.weights_per_channel,
                **self._slot(places),
            },
            mutates=[POOL],
        )

    def _slot(self, places: TrainedLayer) -> dict[str, Any]:
        return {
            "selection_offset": places.selection_offset,
            "selection_capacity": places.capacity,
            "accumulates": int(self.layout.accumulates),
            "has_velocity": int(self.layout.has_velocity),
        }

    def _linear(self, node: Node, places: TrainedLayer | None, x: str) -> str:
        builder = self.builder
        y = self._output(node, [x])
        if places is not None:
            self.wanted.add(y)
        options = self._options(node, places, keeps_gates=y in self.wanted)
        inputs = [x, self._weights(node), self._bias(node)]
        outputs, scratch = [y], []
        if options["keeps_gates"]:
            bytes_ = (builder.elements(y) + 7) // 8
            outputs.append(builder.tensor(f"{y}/gates", (bytes_,), "uint8"))
        if places is not None:
            inputs += [POOL, SELECTION]
            if places.biases:
                scratch = [builder.tensor(f"{y}/live_bias", (places.biases,), kind=SCRATCH)]
        builder.op(_op_of(node), inputs, outputs, options, scratch=scratch)
        return y

    def _options(self, node: Node, places: TrainedLayer | None, keeps_gates: bool):
        options: dict[str, Any]
        if geometry.is_plain_dense(node):
            options = {"inputs": node.layer.input.shape[-1], "units": node.layer.output.shape[-1]}
        else:
            options = geometry.conv_options(node, self.fusions)
        source = self.fusions.activations.get(node.name, node)
        gated = geometry.gated_activation(source)
        if gated is not None:
            activation, slope = gated
            options |= {"activation": activation, "negative_slope": slope}
        options["keeps_gates"] = int(gated is not None and keeps_gates)
        if places is None:
            return options | {"selection_offset": op_schema.STATE_WORDS}
        return options | {
            **self._slot(places),
            "bias_offset": places.bias_offset,
            "importance_offset": places.importance_offset,
        }

    # --- a convolution inside the depthwise one behind it

    def _is_frozen(self, node: Node) -> bool:
        """Neither trained, nor behind a layer that is."""
        return self.layout.of(node.name) is None and self._input(node) not in self.wanted

    def _can_stream(self, node: Node) -> bool:
        """A frozen convolution whose only reader is a frozen depthwise one."""
        plain = self.streams and _op_of(node) is op_schema.CONV_2D and self._is_frozen(node)
        if not plain or geometry.activation_name(node) == geometry.HARD_SWISH:
            return False
        reader = self._only_reader(node)
        while reader is not None and reader.name in self.fusions.absorbed:
            reader = self._only_reader(reader)
        if reader is None or not isinstance(reader.layer, ChannelMasked):
            return False
        frozen = self.layout.of(reader.name) is None
        return frozen and geometry.is_depthwise(reader) and self._streaming_pays(node, reader)

    def _streaming_pays(self, conv: Node, depthwise: Node) -> bool:
        """Input, rows and output together are less than the map with the larger of the two."""
        sizes = (geometry.input_plane(conv, self.fusions), geometry.plane(conv.layer.output.shape))
        x, middle = (math.prod(size) for size in sizes)
        y = math.prod(geometry.plane(depthwise.layer.output.shape))
        rows = math.prod(self._row_shape(conv, self._options(depthwise, None, keeps_gates=False)))
        return x + rows + y < middle + max(x, y)

    def _row_shape(self, conv: Node, depthwise: dict[str, Any]) -> tuple[int, int, int]:
        """Shape of what an output row of the depthwise half needs of the map between."""
        height, width, channels = geometry.plane(conv.layer.output.shape)
        taps, dilation = depthwise["kernel_size"][0], depthwise["dilation"][0]
        return op_schema.conv_depthwise_rows(height, taps, dilation), width, channels

    def _only_reader(self, node: Node) -> Node | None:
        readers = self.graph.consumers(node.name)
        return readers[0] if len(readers) == 1 and node.name not in self.graph.outputs else None

    def _conv_depthwise(self, conv: Node, depthwise: Node) -> str:
        x = self._input(conv)
        y = self._output(depthwise, [x])
        first = self._options(conv, None, keeps_gates=False)
        second = self._options(depthwise, None, keeps_gates=False)
        options: dict[str, Any] = {
            "input_channels": first["input_channels"],
            "middle_channels": first["output_channels"],
            "output_channels": second["output_channels"],
            "input_size": first["input_size"],
            "middle_size": first["output_size"],
            "output_size": second["output_size"],
        }
        own = ("kernel_size", "stride", "dilation", "padding", "activation", "negative_slope")
        for prefix, half in (("conv", first), ("depthwise", second)):
            options |= {f"{prefix}_{name}": half[name] for name in own if name in half}
        shape = self._row_shape(conv, second)
        inputs = [x]
        for node in (conv, depthwise):
            inputs += [self._weights(node), self._bias(node)]
        scratch = [self.builder.tensor(f"{conv.name}/rows", shape, kind=SCRATCH)]
        self.builder.op(op_schema.CONV_DEPTHWISE, inputs, [y], options, scratch=scratch)
        return y

    # --- constants

    def _weights(self, node: Node) -> str:
        """The kernel input channel first, [I][KH][KW][O]: a channel is one contiguous run."""
        kernel = node.layer.kernel.numpy()
        *_, channels, outputs = kernel.shape
        flat = kernel.reshape(-1, channels, outputs).transpose(1, 0, 2)
        if geometry.is_plain_dense(node):
            values = flat.reshape(channels, outputs)
        else:
            values = flat.reshape(channels, *geometry.kernel_window(node), outputs)
        name = self.builder.constant(f"{node.name}/weights", np.ascontiguousarray(values))
        self.weights[node.name] = name
        return name

    def _bias(self, node: Node) -> str:
        if node.layer.bias is None:
            return ABSENT
        values = node.layer.bias.numpy().reshape(-1)
        self.biases[node.name] = self.builder.constant(f"{node.name}/bias", values)
        return self.biases[node.name]

    # --- activations

    def activation(self, node: Node) -> str:
        name = geometry.activation_name(node)
        x = self._input(node)
        gated = geometry.gated_activation(node)
        if gated is not None:
            return self._gated(node, x, *gated)
        if name == geometry.LINEAR:
            return x
        return self._softmax(node, x) if name == geometry.SOFTMAX else self._hard_swish(node, x)

    def _gated(self, node: Node, x: str, activation: Activation, slope: float) -> str:
        y = self._output(node, [x])
        outputs = [y]
        keeps = y in self.wanted
        if keeps:
            bytes_ = (self.builder.elements(y) + 7) // 8
            outputs.append(self.builder.tensor(f"{y}/gates", (bytes_,), "uint8"))
        options = {
            "activation": activation,
            "negative_slope": slope,
            "keeps_gates": int(keeps),
        }
        self.builder.op(op_schema.ACTIVATION, [x], outputs, options, in_place=[(y, x)])
        return y

    def _hard_swish(self, node: Node, x: str) -> str:
        y = self._output(node, [x])
        # The gradient needs the input: it must not be written over then.
        in_place = [] if x in self.wanted else [(y, x)]
        self.builder.op(op_schema.HARD_SWISH, [x], [y], {}, in_place=in_place)
        return y

    def _softmax(self, node: Node, x: str) -> str:
        """Left out at the end, where the loss takes logits."""
        shape = node.layer.output.shape
        last = node.name in self.graph.outputs and not self.graph.consumers(node.name)
        if not last or len(shape) != 2 or getattr(node.layer, "axis", -1) not in (-1, 1):
            self._refuse(
                node,
                "a softmax as the model's last layer, over a vector",
                f"one of shape {tuple(shape[1:])}" if last else "one inside the model",
                "Move it to the end, or remove it.",
            )
        self.ends_in_softmax = True
        return x

    # --- layers without weights

    def alias(self, node: Node) -> str:
        return self._input(node)

    def add(self, node: Node) -> str:
        inputs = [self.tensors[name] for name in node.inputs]
        shapes = {tuple(tensor.shape[1:]) for tensor in keras.tree.flatten(node.layer.input)}
        if len(shapes) > 1:
            self._refuse(
                node, "inputs of one shape", str(sorted(shapes)), "Bring them to one shape first."
            )
        total = inputs[0]
        for term in inputs[1:]:
            y = self._output(node, [total, term])
            places = [(y, total), (y, term)]
            self.builder.op(op_schema.ADD, [total, term], [y], {}, in_place=places)
            total = y
        return total

    def concatenate(self, node: Node) -> str:
        inputs = [self.tensors[name] for name in node.inputs]
        parts = [
            concat_part(tuple(shape.shape[1:]), node.layer.axis)
            for shape in keras.tree.flatten(node.layer.input)
        ]
        y = self._output(node, inputs)
        total = sum(block for _, block in parts)
        blocks, block = parts[0]
        options = {"blocks": blocks, "block": block, "total": total, "offset": 0}
        self.builder.op(op_schema.CONCATENATION, inputs, [y], options)
        return y

    def pool(self, node: Node) -> str:
        layer, x = node.layer, self._input(node)
        y = self._output(node, [x])
        options = _pool_options(layer)
        outputs = [y]
        # Of a single position maximum and mean are the same, and the mean keeps no choices.
        is_max = options["window"] != (1, 1) and isinstance(layer, _MAX)
        if is_max:
            options["keeps_choices"] = int(y in self.wanted)
            if y in self.wanted:
                bits = (math.prod(options["window"]) - 1).bit_length()
                bytes_ = (self.builder.elements(y) * bits + 7) // 8
                outputs.append(self.builder.tensor(f"{y}/choices", (bytes_,), "uint8"))
        kind = op_schema.MAX_POOL_2D if is_max else op_schema.AVERAGE_POOL_2D
        self.builder.op(kind, [x], outputs, options)
        return y

    def pad(self, node: Node) -> str:
        x = self._input(node)
        (top, bottom), (left, right) = geometry.padding_of(node)
        height, width, channels = geometry.plane(node.layer.input.shape)
        y = self._output(node, [x])
        options = {
            "channels": channels,
            "input_size": (height, width),
            "before": (top, left),
            "after": (bottom, right),
        }
        self.builder.op(op_schema.PAD, [x], [y], options)
        return y

    def rescale(self, node: Node) -> str:
        """As a 1x1 depthwise convolution."""
        layer, x = node.layer, self._input(node)
        height, width, channels = geometry.plane(layer.input.shape)
        y = self._output(node, [x])

        def per_channel(value) -> np.ndarray:
            return np.broadcast_to(np.asarray(value, np.float32), (channels,)).copy()

        weights = per_channel(layer.scale).reshape(channels, 1, 1, 1)
        inputs = [
            x,
            self.builder.constant(f"{node.name}/weights", weights),
            self.builder.constant(f"{node.name}/bias", per_channel(layer.offset)),
        ]
        options = {
            "input_channels": channels,
            "output_channels": channels,
            "input_size": (height, width),
            "output_size": (height, width),
            "kernel_size": (1, 1),
            "stride": (1, 1),
            "dilation": (1, 1),
            "padding": (0, 0),
            "selection_offset": op_schema.STATE_WORDS,
        }
        self.builder.op(op_schema.DEPTHWISE_CONV_2D, inputs, [y], options)
        return y


def _op_of(node: Node) -> op_schema.Op:
    if geometry.is_plain_dense(node):
        return op_schema.DENSE
    return op_schema.DEPTHWISE_CONV_2D if geometry.is_depthwise(node) else op_schema.CONV_2D


def concat_part(shape: tuple[int, ...], axis: int) -> tuple[int, int]:
    """(blocks, block) of an input [batch, *shape] of a concatenation along `axis` of the batch."""
    at = axis - 1 if axis > 0 else len(shape) + axis
    return math.prod(shape[:at]), math.prod(shape[at:])


_GLOBAL_MAX = (_K.GlobalMaxPooling1D, _K.GlobalMaxPooling2D)
_GLOBAL_AVERAGE = (_K.GlobalAveragePooling1D, _K.GlobalAveragePooling2D)
_MAX = (_K.MaxPooling1D, _K.MaxPooling2D, *_GLOBAL_MAX)
_POOLS = (_K.MaxPooling1D, _K.MaxPooling2D, _K.AveragePooling1D, _K.AveragePooling2D)


def _pool_options(layer) -> dict[str, Any]:
    height, width, channels = geometry.plane(layer.input.shape)
    if isinstance(layer, (*_GLOBAL_MAX, *_GLOBAL_AVERAGE)):
        window, stride, out, before = (height, width), (1, 1), (1, 1), (0, 0)
    else:
        window, stride = _pool_pair(layer.pool_size), _pool_pair(layer.strides)
        out = geometry.plane(layer.output.shape)[:2]
        before = (0, 0)
        if layer.padding == "same":
            axes = zip((height, width), out, window, stride, strict=True)
            before = tuple(geometry.same_padding(*axis) for axis in axes)
    return {
        "channels": channels,
        "input_size": (height, width),
        "output_size": out,
        "window": window,
        "stride": stride,
        "padding": before,
    }


def _pool_pair(value) -> tuple[int, int]:
    sides = (value,) if isinstance(value, int) else tuple(value)
    return (1, int(sides[0])) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


# First match wins.
_RULES: tuple[tuple[Any, Callable[[_Lowering, Node], str]], ...] = (
    (ChannelMasked, _Lowering.weighted),
    ((_K.ReLU, _K.LeakyReLU, _K.Activation, _K.Softmax), _Lowering.activation),
    ((_K.Dropout, _K.Flatten, _K.Reshape), _Lowering.alias),
    (_K.Add, _Lowering.add),
    (_K.Concatenate, _Lowering.concatenate),
    ((*_POOLS, *_GLOBAL_MAX, *_GLOBAL_AVERAGE), _Lowering.pool),
    ((_K.ZeroPadding1D, _K.ZeroPadding2D), _Lowering.pad),
    (_K.Rescaling, _Lowering.rescale),
)
