"""Layers that become several masked ones, since their kernels are those of Dense layers.

    EinsumDense           a MaskedDense over flattened axes
    MultiHeadAttention    query, key, value and output as MaskedDense layers, and attention between
    LSTM, GRU, SimpleRNN  the projection of the inputs, a MaskedDense, and a MaskedRecurrence

Only what these parts do exactly: a layer with a mask, a state to begin with or to end with, or
dropout inside a cell stays as it is, frozen.

Example:
    >>> x = keras.Input((5, 4))
    >>> y = keras.layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    >>> [spec.name for spec in md.layer_specs(keras.Model(x, keras.layers.Dense(2)(y)))][:2]
    ['attention.query', 'attention.key']
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from tf_medyate.prepared.graph import ModelGraph, Node, Slot
from tf_medyate.prepared.layers import MaskedDense
from tf_medyate.prepared.recurrent import RECURRENT, MaskedRecurrence
from tf_medyate.prepared.step_masks import is_masked
from tf_medyate.prepared.supported import (
    CALLED_TWICE,
    MASKABLE,
    known_activation,
    why_not_masked,
)

_K = keras.layers
_OPS: Any = keras.ops

Weights = list[tuple[Any, Any, Any]]
DIVISIBLE = (_K.EinsumDense, _K.MultiHeadAttention, *RECURRENT)


def is_divisible(graph: ModelGraph, node: Node) -> bool:
    """A layer that masked parts can stand for."""
    return type(node.layer) in DIVISIBLE and why_whole(graph, node) is None


def why_whole(graph: ModelGraph, node: Node) -> tuple[str, str] | None:
    """Why a layer stays as it is, frozen, and what to do; None if it does not.

    Args:
        graph: Of a plain or a prepared model.
        node: A layer that channels cannot be drawn from.
    """
    layer: Any = node.layer
    kind = type(layer)
    if kind is _K.Bidirectional:
        return "two directions in one layer", "Use two layers, one with go_backwards=True."
    if kind is _K.PReLU:
        return "slopes, which belong to no input channel", "Learn them before md.prepare."
    if kind in MASKABLE:
        return why_not_masked(graph, node)
    if kind not in DIVISIBLE:
        return "no channels of its own", "Draw from the layers around it."
    if graph.calls(layer) != 1:
        return CALLED_TWICE
    if is_masked(graph, node):
        return "a mask of steps", "Leave Masking or mask_zero=True out, and pad with zeros."
    if kind is _K.EinsumDense:
        plain = node.arguments is None and _axes(layer) is not None
        return None if plain else (f"the equation {layer.equation}", "Sum over the last axes.")
    if kind is _K.MultiHeadAttention:
        return _why_no_attention(node)
    if node.arguments is not None:
        return "a call with states or a mask", "Call it with the series alone."
    return next(((what, do) for holds, what, do in _recurrent_faults(layer) if holds), None)


def divide(node: Node, weights: Weights) -> list[Callable]:
    """What stands for a divisible node, applied one after the other.

    Args:
        node: The node.
        weights: (masked layer, kernel, bias or None) of each part is appended.
    """
    layer: Any = node.layer
    if type(layer) is _K.EinsumDense:
        return [lambda x: _project(layer, node.name, x, weights)]
    if type(layer) is _K.MultiHeadAttention:
        return [lambda inputs: _attend(node, inputs, weights)]
    return _recur(layer, node.name, weights)


def join(graph: ModelGraph, node: Node) -> tuple[Any, Callable[[], list]] | None:
    """The Keras layer that a recurrence and the projection before it stand for.

    Args:
        graph: Of a prepared model.
        node: The recurrence.

    Returns:
        The layer, and a function of the weights that it is to be given once it is built.
    """
    masked, before = node.layer, graph.producer(node.inputs[0]).layer
    gates = {} if masked.cell is _K.SimpleRNN else {"recurrent_activation": masked.gate}
    joined = masked.cell(
        masked.units,
        activation=masked.step_activation,
        use_bias=before.use_bias,
        return_sequences=masked.return_sequences,
        go_backwards=masked.go_backwards,
        trainable=masked.trainable,
        dtype=masked.dtype_policy,
        name=node.name.removesuffix(_RECURRENT),
        **gates,
    )

    def values() -> list:
        biases = [] if before.bias is None else [before.bias.numpy()]
        if masked.bias is not None:
            biases = [np.stack([*biases, masked.bias.numpy()])]
        return [before.kernel.numpy(), masked.kernel.numpy(), *biases]

    return joined, values


def is_projection(graph: ModelGraph, node: Node) -> bool:
    """The projection before a recurrence: `join` takes both."""
    readers = graph.consumers(node.name)
    return len(readers) == 1 and isinstance(readers[0].layer, MaskedRecurrence)


# --- EinsumDense


def _axes(layer: Any) -> tuple[int, int] | None:
    """(axes that the kernel sums over, axes that it makes), if these are the last ones."""
    inputs, kernel, outputs = layer.equation.replace("->", ",").split(",")
    summed = next((n for n in range(1, len(kernel)) if inputs.endswith(kernel[:n])), 0)
    made = len(kernel) - summed
    if not summed or outputs != inputs[:-summed] + kernel[summed:] or len(inputs) == summed:
        return None
    biased = sorted(layer.bias_axes or "")
    return (summed, made) if biased in ([], sorted(kernel[summed:])) else None


def _project(layer: Any, name: str, x: Any, weights: Weights) -> Any:
    """Applies a MaskedDense, and reshapes around it, in the place of an EinsumDense."""
    axes = _axes(layer)
    assert axes is not None
    summed, made = axes
    shape, columns = tuple(layer.kernel.shape[:summed]), tuple(layer.kernel.shape[summed:])
    steps = tuple(x.shape[1:-summed])
    activation = known_activation(layer.activation) or layer.activation
    dense = MaskedDense(
        math.prod(columns),
        activation=activation if made == 1 else None,
        use_bias=layer.bias is not None,
        trainable=layer.trainable,
        name=name,
    )
    kernel = layer.kernel.numpy().reshape(math.prod(shape), -1)
    weights.append((dense, kernel, None if layer.bias is None else layer.bias.numpy().reshape(-1)))
    if summed > 1:
        x = _K.Reshape((*steps, math.prod(shape)), name=f"{name}.flat")(x)
    x = dense(x)
    if made > 1:
        x = _K.Reshape((*steps, *columns), name=f"{name}.apart")(x)
        if activation not in (None, keras.activations.linear):
            x = _K.Activation(activation, name=f"{name}.activation")(x)
    return x


# --- attention


_TENSORS = ("query", "value", "key")


def _tensors_of(node: Node) -> Mapping[str, Any] | None:
    """Slots by name, None if the call says more than query, value and key."""
    if node.arguments is None:
        return None
    args, kwargs = node.arguments
    given = dict(zip((*_TENSORS, *map(str, range(len(args)))), args, strict=False)) | kwargs
    given = {name: value for name, value in given.items() if value not in (None, False)}
    known = all(isinstance(value, Slot) and name in _TENSORS for name, value in given.items())
    return given if known and "value" in given else None


def _why_no_attention(node: Node) -> tuple[str, str] | None:
    layer, config = node.layer, node.layer.get_config()
    if (
        config.get("use_gate")
        or config.get("sliding_window")
        or tuple(layer.attention_axes) != (1,)
    ):
        return (
            "a gate, a window or other axes",
            "Leave use_gate, sliding_window, attention_axes out.",
        )
    projections = (layer.query_dense, layer.key_dense, layer.value_dense)
    if any(dense.equation.index(",") != 3 for dense in projections):
        return "inputs of another rank than 3", "Reshape them to [batch, steps, channels]."
    if _tensors_of(node) is None:
        return "a call with more than query, value and key", "Leave masks and scores out."
    return None


def _attend(node: Node, inputs: list, weights: Weights) -> Any:
    layer, name, slots = node.layer, node.name, _tensors_of(node)
    assert slots is not None
    slots = {"key": slots["value"], **slots}
    query, key, value = (
        _project(dense, f"{name}.{part}", inputs[slots[part].number], weights)
        for part, dense in (
            ("query", layer.query_dense),
            ("key", layer.key_dense),
            ("value", layer.value_dense),
        )
    )
    query = _K.Rescaling(1.0 / math.sqrt(layer.key_dim), name=f"{name}.scaled")(query)
    scores = _OPS.einsum("btnh,bsnh->bnts", query, key)
    scores = _K.Softmax(name=f"{name}.softmax")(scores)
    if layer.dropout:
        scores = _K.Dropout(layer.dropout, name=f"{name}.dropout")(scores)
    mixed = _OPS.einsum("bnts,bsnh->btnh", scores, value)
    return _project(layer.output_dense, f"{name}.output", mixed, weights)


# --- recurrent layers

_RECURRENT = ".recurrent"


def _recurrent_faults(layer: Any) -> Iterator[tuple[bool, str, str]]:
    """(it is so, what, what to do)."""
    yield layer.stateful, "a state that goes on (stateful)", "Set stateful=False."
    yield layer.return_state, "states as outputs (return_state)", "Set return_state=False."
    dropout = layer.dropout or layer.recurrent_dropout
    yield bool(dropout), "dropout in its cell", "Put a Dropout layer before it."
    late = getattr(layer, "reset_after", True)  # else candidates read another state than gates
    yield not late, "reset_after=False", "Leave it out: Keras's default is True."


def _recur(layer: Any, name: str, weights: Weights) -> list[Callable]:
    cell = layer.cell
    bias, own = cell.bias if layer.use_bias else None, None
    if bias is not None:
        bias = bias.numpy()
        bias, own = bias if bias.ndim == 2 else (bias, None)
    project = MaskedDense(
        cell.kernel.shape[-1],
        use_bias=bias is not None,
        trainable=layer.trainable,
        name=f"{name}.input",
    )
    recur = MaskedRecurrence(
        layer.units,
        type(layer),
        known_activation(layer.activation) or layer.activation,
        _gate(layer),
        own is not None,
        layer.return_sequences,
        layer.go_backwards,
        trainable=layer.trainable,
        name=f"{name}{_RECURRENT}",
    )
    weights.append((project, cell.kernel.numpy(), bias))
    weights.append((recur, cell.recurrent_kernel.numpy(), own))
    return [project, recur]


def _gate(layer: Any) -> Any:
    gate = getattr(layer, "recurrent_activation", None)
    return known_activation(gate) or gate
