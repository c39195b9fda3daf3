"""What the lowering of a model keeps while it goes from layer to layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from tf_medyate.errors import UnsupportedLayerError
from tf_medyate.exporter.ir.values import Quantization
from tf_medyate.exporter.lower.builder import Builder
from tf_medyate.exporter.lower.geometry import Fusions, kind_of
from tf_medyate.exporter.lower.training_layout import TrainingLayout
from tf_medyate.prepared.graph import ModelGraph, Node

POOL = "pool"
SELECTION = "selection"
COMMAND = "command"


class Lowering:
    """The state of a lowering.

    Attributes:
        graph: The prepared model's graph.
        layout: What is trained, and where it lies.
        fusions: What is drawn together into one op.
        builder: Takes the ops.
        streams: Compute frozen convolutions inside the depthwise ones after them.
        ranges: Node -> how its output lies in 8 bits, if what is never trained shall.
        wanted: Tensors that backpropagation needs the gradient of.
        weights: Layer -> its weights tensor.
        biases: Layer -> its bias tensor.
        tensors: Node -> the float tensor that its output is.
        int8: Node -> the int8 tensor that its output is.
        streamed: Frozen convolutions whose op is still to come, inside a depthwise one.
        folds: Output -> the activation that its loss takes the place of, "" for none.
        ends_in: Output -> the one that was left out there.
        left_out: Names of the layers that are on in Keras's training and off on the device.
        islands: What is to be lowered by TensorFlow Lite's converter, see `builtin`.
    """

    def __init__(
        self,
        graph: ModelGraph,
        layout: TrainingLayout,
        fusions: Fusions,
        builder: Builder,
        streams: bool,
        ranges: Mapping[str, Quantization] | None = None,
        folds: Mapping[str, str] | None = None,
    ):
        self.graph = graph
        self.layout = layout
        self.fusions = fusions
        self.builder = builder
        self.streams = streams
        self.ranges = ranges
        self.wanted: set[str] = set()
        self.weights: dict[str, str] = {}
        self.biases: dict[str, str] = {}
        self.tensors: dict[str, str] = {}
        self.int8: dict[str, str] = {}
        self.streamed: dict[str, Node] = {}
        self.folds = folds or {}
        self.ends_in: dict[str, str] = {}
        self.left_out: list[str] = []
        self.islands: list[Any] = []

    def input(self, node: Node) -> str:
        """The tensor that a node reads first."""
        return self.tensors[node.inputs[0]]

    def output(self, node: Node, inputs: list[str]) -> str:
        """Declares a node's output, which backpropagation wants if it wants an input."""
        return self.derived(node.name, (1, *node.layer.output.shape[1:]), inputs)

    def derived(self, name: str, shape: Sequence[int], inputs: list[str]) -> str:
        """Declares a tensor, which backpropagation wants if it wants an input."""
        name = self.builder.tensor(name, shape)
        if any(tensor in self.wanted for tensor in inputs):
            self.wanted.add(name)
        return name

    def int8_output(self, node: Node, quantization: Quantization) -> str:
        """Declares a node's output in 8 bits; backpropagation never wants it."""
        shape = (1, *node.layer.output.shape[1:])
        return self.builder.tensor(node.name, shape, "int8", quantization=quantization)

    def require_one_call(self, node: Node):
        """Refuses a layer with weights that is called more than once."""
        if self.graph.calls(node.layer) != 1:
            self.refuse(
                node,
                "a layer with weights that is called once",
                f"one that is called {self.graph.calls(node.layer)} times",
                "Call copies of it, with the same weights.",
            )

    def refuse(self, node: Node, expected: str, received: str, remedy: str) -> NoReturn:
        """Raises UnsupportedLayerError with the layer's path and kind."""
        kind = kind_of(node.layer)
        raise UnsupportedLayerError(f"layer '{node.name}' ({kind})", expected, received, remedy)
