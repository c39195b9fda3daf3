"""From a prepared Keras model to the forward part of the training graph.

Every layer becomes one of our ops, in execution order. Layers that are trained read drawn weights
from the pool, and a stash op keeps the drawn channels of their input. Reshapes cost nothing: every
op takes its operands by the number of their elements.

Example:
    >>> forward = lower_forward(model_graph, layout, fusions, builder, "sample")
    >>> forward.outputs, forward.ends_in
    (('dense',), ('softmax',))
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras

from tf_medyate.errors import OptionError, UnsupportedLayerError
from tf_medyate.exporter.ir.values import Quantization
from tf_medyate.exporter.lower import (
    activations,
    affine,
    binary,
    builtin,
    frozen,
    geometry,
    int8_front,
    moving,
    normalizing,
    weightless,
)
from tf_medyate.exporter.lower import weighted as lower_weighted
from tf_medyate.exporter.lower.builder import Builder
from tf_medyate.exporter.lower.geometry import Fusions
from tf_medyate.exporter.lower.inputs import cut_sample
from tf_medyate.exporter.lower.sample import int8_sample
from tf_medyate.exporter.lower.state import Lowering
from tf_medyate.exporter.lower.training_layout import TrainingLayout
from tf_medyate.prepared.graph import ModelGraph, Node
from tf_medyate.prepared.layers import ChannelMasked
from tf_medyate.prepared.padding import pair
from tf_medyate.prepared.recurrent import MaskedRecurrence
from tf_medyate.prepared.step_masks import makes_mask
from tf_medyate.sample_type import FLOATS, SampleType

_K = keras.layers


@dataclasses.dataclass(frozen=True)
class Forward:
    """The lowered forward pass.

    Attributes:
        outputs: The tensor that each of the model's outputs is: logits, if its activation was left
            out.
        ends_in: The activation of each that was left out, "" for none.
        wanted: Tensors that backpropagation needs the gradient of.
        weights: Trained or frozen layer -> its weights tensor.
        biases: Layer -> its bias tensor.
        left_out: Names of the layers that are on in Keras's training and off on the device.
        sample: How the input tensor takes a sample.
    """

    outputs: tuple[str, ...]
    ends_in: tuple[str, ...]
    wanted: frozenset[str]
    weights: dict[str, str]
    biases: dict[str, str]
    left_out: tuple[str, ...] = ()
    sample: SampleType = FLOATS


def stash_positions(graph: ModelGraph, fusions: Fusions) -> dict[str, int]:
    """Input positions of every weighted layer that a stash holds for a channel."""
    return {
        node.name: math.prod(geometry.input_plane(node, fusions)[:2])
        for node in graph.nodes
        if isinstance(node.layer, ChannelMasked)
    }


def lower_forward(
    graph: ModelGraph,
    layout: TrainingLayout,
    fusions: Fusions,
    builder: Builder,
    sample: str,
    stream: bool = True,
    ranges: Mapping[str, Quantization] | None = None,
    folds: Mapping[str, str] | None = None,
) -> Forward:
    """Appends the forward pass of a model to a graph.

    Args:
        graph: A prepared model's graph.
        layout: What is trained.
        fusions: What is fused.
        builder: Where to append; holds pool, selection and command.
        sample: Name of the input tensor, float32, of `sample_shape`; int8 afterwards if it is read
            as that alone.
        stream: Compute frozen convolutions inside the depthwise ones after them.
        ranges: As `lower_training`.
        folds: Output -> the activation that its loss takes the place of, "" for none.

    Raises:
        UnsupportedLayerError: A layer cannot be exported; the error names it and what to do.
            In front of everything trained, that is one that TensorFlow Lite or TFLM cannot run.
    """
    _check_ends(graph)
    low = Lowering(graph, layout, fusions, builder, stream, ranges, folds or {})
    cut_sample(low, sample)
    for node in graph.nodes:
        if isinstance(node.layer, _K.InputLayer):
            continue
        if getattr(node.layer, "activity_regularizer", None) is not None:
            low.left_out.append(node.name)
        _check_layout(low, node)
        _check_calls(low, node)
        _check_precision(low, node)
        if node.name in fusions.absorbed:
            _pass_on(low, node)
        elif node.name not in low.int8:
            _lower(low, node)
    builtin.fill(low)
    kind = FLOATS if ranges is None else int8_sample(low, sample)
    return Forward(
        tuple(low.tensors[name] for name in graph.outputs),
        tuple(low.ends_in.get(name, "") for name in graph.outputs),
        frozenset(low.wanted),
        low.weights,
        low.biases,
        tuple(low.left_out),
        kind,
    )


def _check_ends(graph: ModelGraph):
    if len(set(graph.outputs)) != len(graph.outputs):
        raise UnsupportedLayerError(
            f"model '{graph.name}'",
            "each output once",
            ", ".join(graph.outputs),
            "Give one of them a layer of its own, such as keras.layers.Identity().",
        )


def _pass_on(low: Lowering, node: Node):
    """The output of a node that needs no op is its input."""
    for tensors in (low.tensors, low.int8):
        if node.inputs[0] in tensors:
            tensors[node.name] = tensors[node.inputs[0]]


def _lower(low: Lowering, node: Node):
    if makes_mask(node.layer):
        low.refuse(node, "layers without a mask of steps", "one that makes a mask", _NO_MASK)
    mark = None
    try:
        if int8_front.lower_int8(low, node):
            return
        if not lower_weighted.reads_int8(low, node):
            int8_front.dequantize_inputs(low, node)
        mark = low.builder.mark()
        low.tensors[node.name] = _lowered(low, node)
    except (OptionError, UnsupportedLayerError) as error:
        if mark is not None and builtin.stands_in_front(low, node):
            low.builder.rewind(mark)
            for made in (low.weights, low.biases):
                made.pop(node.name, None)
            builtin.declare(low, node)
        elif isinstance(error, UnsupportedLayerError):
            raise
        else:  # a side beyond what an op counts to
            low.refuse(node, f"{error.argument} of {error.expected}", error.received, error.remedy)


def _lowered(low: Lowering, node: Node) -> str:
    if isinstance(node.layer, MaskedRecurrence) and low.layout.of(node.name):
        low.refuse(node, "a recurrent layer that is not trained", "one that is", _AFTER)
    if isinstance(node.layer, ChannelMasked) and not isinstance(node.layer, MaskedRecurrence):
        return lower_weighted.weighted(low, node)
    for kinds, rule in RULES:
        if type(node.layer) in kinds and node.arguments is None:  # no rule knows of a mask
            return rule(low, node)
    if type(node.layer) is activations.gelu_operation():
        return weightless.activation(low, node)
    low.refuse(
        node, "a layer with a gradient on the device", "one after a trained layer, without", _AFTER
    )


def _is_ruled(node: Node) -> bool:
    return any(type(node.layer) in kinds for kinds, _ in RULES)


def _check_layout(low: Lowering, node: Node):
    """Refuses what no file can hold, fused and in 8 bits, too.

    Every op of ours counts channels last, and TensorFlow Lite has no dilated transposed
    convolutions, which model.tflite would need.
    """
    if isinstance(node.layer, (_K.Conv1DTranspose, _K.Conv2DTranspose)):
        dilation = pair(node.layer.dilation_rate)
        if dilation != (1, 1):
            remedy = "Build it without dilation, or put an UpSampling before a dilated convolution."
            low.refuse(node, "dilation_rate=1", str(node.layer.dilation_rate), remedy)
    layout = getattr(node.layer, "data_format", None)
    if _is_ruled(node) and layout not in (None, "channels_last"):
        remedy = "Build the model channels-last, with a Permute after its input if need be."
        low.refuse(node, 'data_format="channels_last"', repr(layout), remedy)


def _check_calls(low: Lowering, node: Node):
    """Refuses a layer with weights that is called on several shapes: Keras tells of one."""
    if low.graph.calls(node.layer) == 1:
        return
    calls = [other.inputs for other in low.graph.nodes if other.layer is node.layer]
    shapes = {str([builtin.keras_tensor(low, name).shape[1:] for name in call]) for call in calls}
    if len(shapes) > 1:
        remedy = "Call copies of it, with the same weights."
        low.refuse(node, "calls on inputs of one shape", " and ".join(sorted(shapes)), remedy)


def _check_precision(low: Lowering, node: Node):
    """Refuses what is computed in another type than float32, as all our ops do."""
    outputs = keras.tree.flatten(node.layer.output)
    types = {keras.backend.standardize_dtype(tensor.dtype) for tensor in outputs}
    others = {name for name in types if "float" in name}
    if _is_ruled(node):
        others.add(node.layer.compute_dtype)
    others -= {"float32"}
    if others:
        remedy = 'Build it under keras.config.set_dtype_policy("float32").'
        low.refuse(node, "float32", " and ".join(sorted(others)), remedy)


_NO_MASK = "Replace it by one without (mask_zero=False), and pad with zeros: no op knows of masks."
_AFTER = (
    "Replace it by one of docs/using.md, or train only layers after it: MeDyate(layers=[...]), or "
    "trainable=False of those before it, before md.prepare."
)

# Exact classes: a subclass may compute something else.
RULES: tuple[tuple[Any, Callable[[Lowering, Node], str]], ...] = (
    ((_K.ReLU, _K.LeakyReLU, _K.ELU, _K.Activation, _K.Softmax), weightless.activation),
    ((_K.PReLU,), binary.p_relu),
    ((_K.Flatten, _K.Reshape, _K.Identity, _K.ActivityRegularization), weightless.alias),
    (weightless.OFF, weightless.leave_out),
    (binary.LAYERS, binary.merge),
    ((_K.Concatenate,), weightless.concatenate),
    (weightless.POOLS, weightless.pool),
    ((_K.ZeroPadding1D, _K.ZeroPadding2D), weightless.pad),
    ((_K.Rescaling,), affine.rescaling),
    ((_K.Normalization,), affine.normalization),
    ((_K.BatchNormalization,), affine.batch_normalization),
    ((_K.Permute,), moving.permute),
    ((_K.Cropping1D, _K.Cropping2D, _K.Cropping3D), moving.crop),
    ((_K.UpSampling1D, _K.UpSampling2D, _K.UpSampling3D), moving.up_sample),
    ((_K.RepeatVector,), moving.repeat),
    ((_K.Conv1D, _K.Conv2D, _K.Conv1DTranspose, _K.Conv2DTranspose), frozen.convolution),
    ((_K.LayerNormalization,), normalizing.layer_normalization),
    ((_K.GroupNormalization,), normalizing.group_normalization),
    ((_K.RMSNormalization,), normalizing.rms_normalization),
    ((_K.UnitNormalization,), normalizing.unit_normalization),
)
