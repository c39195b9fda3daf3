"""The end of the training graph: what the model gives, its loss, and where gradients begin.

Several outputs are put one after the other, as are their labels, so that host, protocol and static
runner know of one: `SUM_OF_LOSSES` computes a loss for each.

Example:
    >>> x = keras.Input((4,))
    >>> both = keras.Model(x, [keras.layers.Dense(3)(x), keras.layers.Dense(2)(x)])
    >>> output_shape(both)
    (5,)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import keras
import numpy as np

from tf_medyate.errors import OptionError
from tf_medyate.exporter.ir.values import OUTPUT, SOFTMAX
from tf_medyate.exporter.lower.activations import UnaryCall, softmax_call
from tf_medyate.exporter.lower.builder import Builder
from tf_medyate.exporter.lower.forward import Forward
from tf_medyate.exporter.lower.loss import OPS as LOSS_OPS
from tf_medyate.exporter.lower.loss import Loss
from tf_medyate.exporter.lower.state import COMMAND, SELECTION
from tf_medyate.exporter.ops import elementwise_schema
from tf_medyate.exporter.ops import schema as op_schema

LABEL = "label"
LOGITS = "logits"
LOSS = "loss"


@dataclasses.dataclass(frozen=True)
class Ending:
    """The end of a training graph.

    Attributes:
        logits: The graph's first output.
        gradients: Tensors that gradients begin at -> their gradients.
        ends_in: As `TrainingGraph`.
    """

    logits: str
    gradients: dict[str, str]
    ends_in: str


def output_shape(model: keras.Model) -> tuple[int, ...]:
    """Shape of the output, without the batch; of several [n], one after the other."""
    shapes = [tuple(int(side) for side in tensor.shape[1:]) for tensor in model.outputs]
    return shapes[0] if len(shapes) == 1 else (sum(map(math.prod, shapes)),)


def append_losses(builder: Builder, loss: Loss, forward: Forward, model: keras.Model) -> Ending:
    """Appends outputs and losses.

    Raises:
        OptionError: A loss does not fit its output.
    """
    shapes = [tuple(tensor.shape[1:]) for tensor in model.outputs]
    for part, shape, ends_in in zip(loss.each, shapes, forward.ends_in, strict=True):
        _check_loss(part, shape, ends_in)
    if not loss.parts:
        logits = builder.make_output(forward.outputs[0], LOGITS)
        return Ending(logits, {logits: _append_loss(builder, loss, logits)}, forward.ends_in[0])
    joined = _concatenated(builder, "logits/joined", forward.outputs)
    logits = joined
    if any(forward.ends_in):
        pairs = zip(forward.outputs, forward.ends_in, strict=True)
        logits = _concatenated(builder, "scores", [_scores(builder, *pair) for pair in pairs])
    sizes = [builder.elements(part) for part in forward.outputs]
    gradient = _append_sum(builder, loss, joined, sizes)
    output = builder.make_output(logits, LOGITS)
    return Ending(output, {output if logits == joined else joined: gradient}, "")


def _check_loss(loss: Loss, shape: tuple[int, ...], ends_in: str):
    if loss.takes_class and len(shape) != 1:
        raise OptionError(
            "model.loss", "an output [classes]", f"an output {shape}", "Flatten it before the loss."
        )
    if ends_in and ends_in != loss.folds:
        raise OptionError(
            "model.loss",
            f"a cross-entropy after a {ends_in}",
            loss.kind,
            f"Remove the {ends_in}, or train with the cross-entropy.",
        )
    if loss.folds and loss.from_logits == bool(ends_in):
        raise OptionError(
            "model.loss",
            f"from_logits=False after a {loss.folds}, from_logits=True after none",
            f"from_logits={loss.from_logits}, {loss.folds}: {bool(ends_in)}",
            "Compile the model with the loss that fits its last layer.",
        )


def _concatenated(builder: Builder, name: str, parts: Sequence[str]) -> str:
    """One tensor [1, n] of several, one after the other."""
    sizes = [builder.elements(part) for part in parts]
    y = builder.tensor(name, (1, sum(sizes)))
    options = {"blocks": 1, "block": sizes[0], "total": sum(sizes), "offset": 0}
    builder.op(op_schema.CONCATENATION, list(parts), [y], options)
    return y


def _scores(builder: Builder, x: str, ends_in: str) -> str:
    """What the model gives, of an output whose last activation its loss has taken over."""
    if not ends_in:
        return x
    y = builder.tensor(f"{x}/scores", builder.shape(x))
    call = UnaryCall(elementwise_schema.SIGMOID)
    if ends_in == SOFTMAX:
        call = softmax_call((builder.elements(x),), -1)
        assert call is not None
    builder.op(call.op, [x], [y], call.options)
    return y


def _append_loss(builder: Builder, loss: Loss, logits: str) -> str:
    value = builder.tensor(LOSS, (1,), kind=OUTPUT, reserved=True)
    gradient = builder.tensor(f"{logits}/gradient", builder.shape(logits))
    inputs = [logits, LABEL, COMMAND, SELECTION]
    if loss.class_weights:
        weights = np.array(loss.class_weights, np.float32)
        inputs.append(builder.constant(f"{LOSS}/class_weights", weights))
    options = {"weight": loss.weight, "smoothing": loss.smoothing, "delta": loss.delta}
    builder.op(LOSS_OPS[loss.kind], inputs, [value, gradient], options, mutates=[SELECTION])
    return gradient


def _append_sum(builder: Builder, loss: Loss, logits: str, sizes: Sequence[int]) -> str:
    value = builder.tensor(LOSS, (1,), kind=OUTPUT, reserved=True)
    gradient = builder.tensor(f"{logits}/gradient", builder.shape(logits))
    word = op_schema.LossWord
    table = np.zeros((len(loss.parts), len(word)), np.float32)
    for row, part, size in zip(table, loss.parts, sizes, strict=True):
        row[word.KIND], row[word.OUTPUTS] = op_schema.LossKind[part.kind.upper()], size
        row[word.WEIGHT :] = part.weight, part.smoothing, part.delta
    inputs = [logits, LABEL, COMMAND, SELECTION, builder.constant(f"{LOSS}/table", table)]
    builder.op(op_schema.SUM_OF_LOSSES, inputs, [value, gradient], {}, mutates=[SELECTION])
    return gradient
