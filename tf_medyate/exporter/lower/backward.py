"""Reverse-mode differentiation of a graph of our ops.

The ops are walked backwards. Each has a rule that turns the gradient of its output into gradients
of those inputs that are wanted, and updates what it trains. Where several ops read one tensor their
gradients are added. What nobody wants is never computed, so the chain ends at the shallowest layer
that is trained.

Example:
    >>> append_backward(builder, {"logits": "logits/gradient"}, wanted=forward.wanted)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tf_medyate.errors import UnsupportedLayerError
from tf_medyate.exporter.ir.nodes import OpNode
from tf_medyate.exporter.ir.values import ABSENT, SCRATCH
from tf_medyate.exporter.lower.builder import Builder
from tf_medyate.exporter.lower.int8_weights import INT8_TWINS, block_elements, plane_in_place
from tf_medyate.exporter.lower.state import COMMAND, POOL, SELECTION
from tf_medyate.exporter.ops import frozen_schema, int8_schema
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.ops.elementwise_schema import (
    BINARY,
    BROADCAST_ADD,
    GRADIENTS,
    INPUT,
    SUBTRACT,
    UNARY,
)
from tf_medyate.exporter.ops.options import CUSTOM_OPTIONS

IMPORTANCE = "importance"
LEARNING_RATE = "learning_rate"
OPTIMIZER = "optimizer"

_TRAINABLE_INPUTS = 5

ADAM_TWINS: Mapping[op_schema.OpSpec, op_schema.OpSpec] = {
    op_schema.CONV_2D_UPDATE: op_schema.CONV_2D_ADAM,
    op_schema.DEPTHWISE_CONV_2D_UPDATE: op_schema.DEPTHWISE_CONV_2D_ADAM,
    op_schema.CONV_2D_TRANSPOSE_UPDATE: op_schema.CONV_2D_TRANSPOSE_ADAM,
    op_schema.DENSE_UPDATE: op_schema.DENSE_ADAM,
}
"""An update op -> the one that does the same by Adam."""


def append_backward(
    builder: Builder,
    seeds: Mapping[str, str],
    wanted: Collection[str],
    scratch_channels: int = 4,
    adam_rates: str | None = None,
) -> None:
    """Appends the backward pass and the updates to a forward pass.

    Args:
        builder: Holds the forward ops, and the tensors that updates read: pool, selection,
            command, learning_rate, optimizer, and importance if any layer draws by it.
        seeds: Tensor -> the gradient of the loss with respect to it.
        wanted: Tensors whose gradients are needed.
        scratch_channels: Channels whose weight gradients are computed at a time; 4 is fast, 1
            takes least memory.
        adam_rates: What ADAM_RATE gives the updates if they are Adam's; None if they are SGD's.

    Raises:
        UnsupportedLayerError: An op has no rule.
    """
    _Reverse(builder, seeds, wanted, scratch_channels, adam_rates).run()


class _Reverse:
    def __init__(
        self,
        builder: Builder,
        seeds: Mapping[str, str],
        wanted: Collection[str],
        scratch_channels: int,
        adam_rates: str | None,
    ):
        self.builder = builder
        self.gradients: dict[str, str] = dict(seeds)
        self.wanted = wanted
        self.scratch_channels = scratch_channels
        self.adam_rates = adam_rates

    def run(self):
        for op in reversed(list(self.builder.ops)):
            gradient = self.gradients.get(op.outputs[0]) if op.outputs else None
            if gradient is None:
                continue
            if op.kind not in _RULES:
                raise UnsupportedLayerError(
                    f"op {op.kind}",
                    f"one of {', '.join(_RULES)}",
                    "one without a rule of differentiation",
                    "Cut the model after it, or freeze the layers before it.",
                )
            _RULES[op.kind](self, op, gradient)

    def want(self, tensor: str) -> bool:
        return tensor in self.wanted

    def new(self, tensor: str) -> str:
        """Declares one more gradient of a tensor."""
        return self.builder.tensor(f"{tensor}/gradient", self.builder.shape(tensor))

    def give(self, tensor: str, gradient: str):
        """Adds a gradient to what is known of a tensor's."""
        known = self.gradients.get(tensor)
        if known is None:
            self.gradients[tensor] = gradient
            return
        total = self.new(tensor)
        self.builder.op(
            op_schema.ADD,
            [known, gradient, COMMAND],
            [total],
            {},
            in_place=[(total, known), (total, gradient)],
        )
        self.gradients[tensor] = total


def _options(op: OpNode) -> bytes:
    return op.attributes[CUSTOM_OPTIONS]


def _through_gate(reverse: _Reverse, op: OpNode, gradient: str, gates: str, fields) -> str:
    """The gradient before an activation; it may take the place of the one after it."""
    before = reverse.new(op.outputs[0])
    options = {name: fields[name] for name in ("activation", "negative_slope", "keeps_gates")}
    reverse.builder.op(
        op_schema.GATE_GRADIENT,
        [gates, gradient, COMMAND],
        [before],
        options,
        in_place=[(before, gradient)],
    )
    return before


def _weighted(
    kind: op_schema.OpSpec, gradient_kind: op_schema.OpSpec, update_kind: op_schema.OpSpec
) -> Callable[[_Reverse, OpNode, str], None]:
    """The rule of a convolution or dense layer."""

    def rule(reverse: _Reverse, op: OpNode, gradient: str):
        fields = kind.options.unpack(_options(op))
        x, weights = op.inputs[:2]
        if fields["keeps_gates"]:
            gradient = _through_gate(reverse, op, gradient, op.outputs[1], fields)
        trained = len(op.inputs) >= _TRAINABLE_INPUTS
        # The gradient goes through the weights as they were: before the update.
        if reverse.want(x):
            dx = reverse.new(x)
            state = [POOL, SELECTION] if trained else []
            inputs = [gradient, weights, COMMAND, *state]
            reverse.builder.op(gradient_kind, inputs, [dx], _options(op))
            reverse.give(x, dx)
        if trained:
            _update(reverse, update_kind, op, fields, gradient)

    return rule


def _int8_weights(
    kind: op_schema.OpSpec, gradient_kind: op_schema.OpSpec
) -> Callable[[_Reverse, OpNode, str], None]:
    """The rule of a layer that is never trained, with weights in 8 bits."""

    def rule(reverse: _Reverse, op: OpNode, gradient: str):
        fields = kind.options.unpack(_options(op))
        x, weights, _, scales = op.inputs
        if fields["keeps_gates"]:
            gradient = _through_gate(reverse, op, gradient, op.outputs[1], fields)
        dx, builder = reverse.new(x), reverse.builder
        plane = plane_in_place(gradient_kind, builder.shape(weights), fields)
        elements = block_elements(gradient_kind, builder.shape(weights), plane)
        block = builder.tensor(f"{dx}/block", (elements,), kind=SCRATCH)
        inputs = [gradient, weights, COMMAND, scales]
        pairs = [(dx, gradient)] if plane else []
        builder.op(gradient_kind, inputs, [dx], _options(op), scratch=[block], in_place=pairs)
        reverse.give(x, dx)

    return rule


def _update(reverse: _Reverse, kind, op: OpNode, fields, gradient: str):
    builder, (_, weights, bias) = reverse.builder, op.inputs[:3]
    by_importance = fields["importance_offset"] != op_schema.NO_IMPORTANCE
    trains_bias = fields["bias_offset"] != op_schema.NO_BIAS_RUN
    per_channel = math.prod(builder.shape(weights)[1:])
    channels = max(1, min(reverse.scratch_channels, int(fields["selection_capacity"])))
    biases = builder.elements(bias) if trains_bias else 0
    scratch = builder.tensor(
        f"{op.outputs[0]}/weight_gradient", (max(channels * per_channel, biases),), kind=SCRATCH
    )
    builder.op(
        kind if reverse.adam_rates is None else ADAM_TWINS[kind],
        [
            gradient,
            POOL,
            SELECTION,
            reverse.adam_rates or LEARNING_RATE,
            COMMAND,
            IMPORTANCE if by_importance else ABSENT,
            OPTIMIZER,
        ],
        [],
        _options(op),
        scratch=[scratch],
        mutates=[POOL, *([IMPORTANCE] if by_importance else [])],
    )


def _activation(reverse: _Reverse, op: OpNode, gradient: str):
    fields = op_schema.GATE_OPTIONS.unpack(_options(op))
    reverse.give(op.inputs[0], _through_gate(reverse, op, gradient, op.outputs[1], fields))


def _unary(reverse: _Reverse, op: OpNode, gradient: str):
    [x], [y] = op.inputs, op.outputs
    kind = GRADIENTS[op.kind]
    dx = reverse.new(x)
    reverse.builder.op(
        kind,
        [x if kind.inputs[0] == INPUT else y, gradient, COMMAND],
        [dx],
        _options(op),
        in_place=[(dx, gradient)],
    )
    reverse.give(x, dx)


def _binary(reverse: _Reverse, op: OpNode, gradient: str):
    kind = GRADIENTS[op.kind]
    fields: dict[str, Any] = dict(kind.options.unpack(_options(op)))
    del fields["version"]
    operands = list(op.inputs) if "a" in kind.inputs else [ABSENT, ABSENT]
    for operand, x in enumerate(op.inputs):
        if not reverse.want(x):
            continue
        whole = fields["size"] == fields[("a_size", "b_size")[operand]]
        if whole and (op.kind == BROADCAST_ADD.name or (op.kind == SUBTRACT.name and not operand)):
            reverse.give(x, gradient)
            continue
        dx = reverse.new(x)
        reverse.builder.op(
            kind,
            [gradient, COMMAND, *operands],
            [dx],
            fields | {"operand": operand},
            in_place=[(dx, gradient)] if whole else [],
        )
        reverse.give(x, dx)


def _moving(
    kind: op_schema.OpSpec, kept: int | None = None
) -> Callable[[_Reverse, OpNode, str], None]:
    """The rule of an op with one input, whose gradient op shares its options.

    Args:
        kind: The gradient op.
        kept: Index of the output that the gradient needs too.
    """

    def rule(reverse: _Reverse, op: OpNode, gradient: str):
        [x] = op.inputs
        dx = reverse.new(x)
        needed = [] if kept is None else [op.outputs[kept]]
        reverse.builder.op(kind, [*needed, gradient, COMMAND], [dx], _options(op))
        reverse.give(x, dx)

    return rule


def _add(reverse: _Reverse, op: OpNode, gradient: str):
    for x in op.inputs:
        if reverse.want(x):
            reverse.give(x, gradient)


def _concatenation(reverse: _Reverse, op: OpNode, gradient: str):
    fields: dict[str, Any] = dict(op_schema.CONCATENATION_OPTIONS.unpack(_options(op)))
    del fields["version"]
    offset = 0
    for x in op.inputs:
        block = reverse.builder.elements(x) // fields["blocks"]
        if reverse.want(x):
            dx = reverse.new(x)
            options = fields | {"block": block, "offset": offset}
            inputs = [gradient, COMMAND]
            reverse.builder.op(op_schema.CONCATENATION_GRADIENT, inputs, [dx], options)
            reverse.give(x, dx)
        offset += block


def _normalize(reverse: _Reverse, op: OpNode, gradient: str):
    x, gamma, _ = op.inputs
    dx = reverse.new(x)
    reverse.builder.op(
        frozen_schema.NORMALIZE_GRADIENT,
        [x, gamma, gradient, COMMAND],
        [dx],
        _options(op),
        in_place=[(dx, gradient)],
    )
    reverse.give(x, dx)


_S = op_schema
_RULES: dict[str, Callable[[_Reverse, OpNode, str], None]] = {
    _S.CONV_2D.name: _weighted(_S.CONV_2D, _S.CONV_2D_INPUT_GRADIENT, _S.CONV_2D_UPDATE),
    _S.DEPTHWISE_CONV_2D.name: _weighted(
        _S.DEPTHWISE_CONV_2D, _S.DEPTHWISE_CONV_2D_INPUT_GRADIENT, _S.DEPTHWISE_CONV_2D_UPDATE
    ),
    _S.CONV_2D_TRANSPOSE.name: _weighted(
        _S.CONV_2D_TRANSPOSE, _S.CONV_2D_TRANSPOSE_INPUT_GRADIENT, _S.CONV_2D_TRANSPOSE_UPDATE
    ),
    int8_schema.INT8_INPUT_CONV_2D.name: _weighted(
        int8_schema.INT8_INPUT_CONV_2D, _S.CONV_2D_INPUT_GRADIENT, _S.CONV_2D_UPDATE
    ),
    int8_schema.INT8_INPUT_DEPTHWISE_CONV_2D.name: _weighted(
        int8_schema.INT8_INPUT_DEPTHWISE_CONV_2D,
        _S.DEPTHWISE_CONV_2D_INPUT_GRADIENT,
        _S.DEPTHWISE_CONV_2D_UPDATE,
    ),
    _S.DENSE.name: _weighted(_S.DENSE, _S.DENSE_INPUT_GRADIENT, _S.DENSE_UPDATE),
    **{
        INT8_TWINS[kind].name: _int8_weights(INT8_TWINS[kind], INT8_TWINS[gradient_kind])
        for kind, gradient_kind in (
            (_S.CONV_2D, _S.CONV_2D_INPUT_GRADIENT),
            (_S.DEPTHWISE_CONV_2D, _S.DEPTHWISE_CONV_2D_INPUT_GRADIENT),
            (_S.DENSE, _S.DENSE_INPUT_GRADIENT),
        )
    },
    _S.ACTIVATION.name: _activation,
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(BINARY, _binary),
    _S.MAX_POOL_2D.name: _moving(_S.MAX_POOL_2D_GRADIENT, kept=1),
    _S.AVERAGE_POOL_2D.name: _moving(_S.AVERAGE_POOL_2D_GRADIENT),
    _S.PAD.name: _moving(_S.PAD_GRADIENT),
    _S.STRIDED_COPY.name: _moving(_S.STRIDED_COPY_GRADIENT),
    frozen_schema.NORMALIZE.name: _normalize,
    _S.ADD.name: _add,
    _S.CONCATENATION.name: _concatenation,
}
