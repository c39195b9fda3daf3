"""The loss that `compile` was given, as far as a device can do it.

Losses are told by identity and by their whole configuration, never by a name: whatever is not known
to be done alike is refused.

Example:
    >>> model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    >>> loss_of(model)
    Loss(kind='softmax_cross_entropy', from_logits=False, ...)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NoReturn

import keras
import numpy as np

from tf_medyate.errors import OptionError
from tf_medyate.exporter.ir.values import (
    HUBER,
    MEAN_ABSOLUTE_ERROR,
    MEAN_SQUARED_ERROR,
    SIGMOID,
    SIGMOID_CROSS_ENTROPY,
    SOFTMAX,
    SOFTMAX_CROSS_ENTROPY,
    SUM_OF_LOSSES,
)
from tf_medyate.exporter.lower.loss_lists import compiled_weights, losses_of_outputs
from tf_medyate.exporter.ops import schema as op_schema

_K = keras.losses
KINDS = {
    _K.SparseCategoricalCrossentropy: SOFTMAX_CROSS_ENTROPY,
    _K.CategoricalCrossentropy: SOFTMAX_CROSS_ENTROPY,
    _K.BinaryCrossentropy: SIGMOID_CROSS_ENTROPY,
    _K.MeanSquaredError: MEAN_SQUARED_ERROR,
    _K.MeanAbsoluteError: MEAN_ABSOLUTE_ERROR,
    _K.Huber: HUBER,
}
"""What a device computes, these classes and none derived from them."""
_FUNCTIONS = {
    _K.sparse_categorical_crossentropy: _K.SparseCategoricalCrossentropy,
    _K.categorical_crossentropy: _K.CategoricalCrossentropy,
    _K.binary_crossentropy: _K.BinaryCrossentropy,
    _K.mean_squared_error: _K.MeanSquaredError,
    _K.mean_absolute_error: _K.MeanAbsoluteError,
    _K.huber: _K.Huber,
}
_SUM, _EACH, _BY_WEIGHT = "sum", ("none", None), "mean_with_sample_weight"
_HONOURED = ("name", "from_logits", "reduction", "label_smoothing", "delta")

OPS: Mapping[str, op_schema.OpSpec] = {
    SOFTMAX_CROSS_ENTROPY: op_schema.SOFTMAX_CROSS_ENTROPY,
    SIGMOID_CROSS_ENTROPY: op_schema.SIGMOID_CROSS_ENTROPY,
    MEAN_SQUARED_ERROR: op_schema.MEAN_SQUARED_ERROR,
    MEAN_ABSOLUTE_ERROR: op_schema.MEAN_ABSOLUTE_ERROR,
    HUBER: op_schema.HUBER,
}
"""The op of each kind of loss."""


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss that a device can compute, for one sample at a time.

    Attributes:
        kind: One of `OPS`.
        from_logits: The Keras loss takes logits, not probabilities.
        weight: What it is multiplied by.
        smoothing: Label smoothing of a cross-entropy.
        delta: Where Huber's loss becomes linear.
        class_weights: What a sample of each class is multiplied by; empty for 1.
        parts: Of several outputs the loss of each, whose sum it is.
    """

    kind: str
    from_logits: bool
    weight: float = 1.0
    smoothing: float = 0.0
    delta: float = 1.0
    class_weights: tuple[float, ...] = ()
    parts: tuple[Loss, ...] = ()

    @property
    def each(self) -> tuple[Loss, ...]:
        """The loss of each output."""
        return self.parts or (self,)

    @property
    def folds(self) -> str:
        """The activation at a model's end that it takes the place of; "" for none."""
        return {SOFTMAX_CROSS_ENTROPY: SOFTMAX, SIGMOID_CROSS_ENTROPY: SIGMOID}.get(self.kind, "")

    @property
    def takes_class(self) -> bool:
        """A label is the number of a class; else it says what each output should be."""
        return self.kind == SOFTMAX_CROSS_ENTROPY

    @property
    def takes_shares(self) -> bool:
        """Labels are targets from 0 to 1."""
        return self.kind == SIGMOID_CROSS_ENTROPY


def loss_of(model: keras.Model, class_weight: Mapping[int, float] | None = None) -> Loss:
    """The compiled loss of a model; of several outputs the sum of their losses.

    Args:
        model: The model.
        class_weight: Weight of each class, 1 for those that it leaves out.

    Raises:
        OptionError: It is none that a device computes alike; the error says which are.
    """
    shapes = [[int(side) for side in tensor.shape[1:]] for tensor in model.outputs]
    if len(shapes) == 1:
        given = keras.tree.flatten(getattr(model, "loss", None))
        loss = given[0] if len(given) == 1 else given
        return _loss_of(loss, _weight(model), shapes[0], class_weight or {})
    if class_weight:
        remedy = "Leave class_weight out, as Keras wants it."
        expected = f"none: the model has {len(shapes)} outputs"
        raise OptionError("class_weight", expected, str(dict(class_weight)), remedy)
    losses, weights = losses_of_outputs(model)
    parts = [_loss_of(*part, {}) for part in zip(losses, weights, shapes, strict=True)]
    return Loss(SUM_OF_LOSSES, from_logits=True, parts=tuple(parts))


def _loss_of(loss: Any, weight: float, shape: list[int], class_weight: Mapping[int, float]) -> Loss:
    """The loss of an output of a shape, multiplied by a loss weight."""
    if isinstance(loss, str):
        loss = _by_name(loss)
    loss = _FUNCTIONS[loss]() if _is_known_function(loss) else loss
    if type(loss) not in KINDS:
        _refuse_loss(_told(loss))
    positions = math.prod(shape[:-1])
    kind, config = KINDS[type(loss)], _config(loss)
    _check_options(loss, config, positions)
    sums = config["reduction"] == _SUM
    found = Loss(
        kind,
        from_logits=bool(config.get("from_logits", True)),
        weight=weight * (positions if sums else 1),
        smoothing=_in_range("label_smoothing", config.get("label_smoothing", 0.0), 0, 1),
        delta=_in_range("delta", config.get("delta", 1.0), _LEAST, math.inf),
    )
    weights = _class_weights(class_weight, found, shape, config["reduction"])
    return dataclasses.replace(found, class_weights=weights)


def _by_name(name: str) -> Any:
    try:
        return keras.losses.get(name)
    except ValueError:  # names that Keras resolves once it has seen data, such as "crossentropy"
        return name


def _is_known_function(loss: Any) -> bool:
    return any(loss is function for function in _FUNCTIONS)


def _told(loss: Any) -> str:
    """What a loss is, in words that tell it from one of the same name."""
    if loss is None or isinstance(loss, (list, str)):
        return repr(loss)
    kind = loss if callable(loss) and hasattr(loss, "__qualname__") else type(loss)
    return f"{kind.__module__}.{kind.__qualname__}"


def _refuse_loss(received: str) -> NoReturn:
    *names, last = (kind.__name__ for kind in KINDS)
    raise OptionError(
        "model.loss",
        f"{', '.join(names)} or {last} of keras.losses, itself and not one like it",
        received,
        "Compile the model with one of these for each output before exporting.",
    )


def _config(loss: Any) -> dict[str, Any]:
    """Everything that a loss was told: Huber's own get_config() leaves out delta, others axis."""
    return {**super(type(loss), loss).get_config(), "dtype": loss.dtype}


def _check_options(loss: Any, config: Mapping[str, Any], positions: int):
    """Compares a loss of Keras with one made without options.

    Args:
        loss: The loss.
        config: Its options.
        positions: Losses that it reduces for one sample: 1 for a vector of outputs.
    """
    usual = _config(type(loss)()) | {"dtype": "float32"}
    for name, value in config.items():
        same = value == usual.get(name) or (name == "axis" and value == 1 and positions == 1)
        if name not in _HONOURED and not same:
            raise OptionError(
                f"model.loss.{name}",
                repr(usual.get(name)),
                repr(value),
                f"Compile the model with {type(loss).__name__} without it before exporting.",
            )
    # Of a single number sum and mean are the same.
    if config["reduction"] in _EACH and positions > 1:
        raise OptionError(
            "model.loss.reduction",
            f"a mean or a sum over the {positions} positions of the output",
            repr(config["reduction"]),
            'Compile the model with reduction="sum", which trains alike.',
        )


# --- weights

_LEAST = float(np.finfo(np.float32).tiny)


def _in_range(name: str, given: Any, low: float, high: float) -> float:
    value = float(given)
    if not (low <= value <= high and math.isfinite(np.float32(value))):
        expected = f"a number from 0 to {high:g}" if low == 0 else "a finite number above 0"
        raise OptionError(f"model.loss.{name}", expected, repr(given), "Choose another one.")
    return value


def _weight(model: keras.Model) -> float:
    """The loss weight of the model's one output."""
    weights = keras.tree.flatten(compiled_weights(model))
    given = [1.0 if weight is None else float(weight) for weight in weights] or [1.0]
    if len(given) > 1 or not (given[0] >= _LEAST and math.isfinite(np.float32(given[0]))):
        remedy = "Compile the model with one such weight, or none."
        raise OptionError("model.loss_weights", "a finite number above 0", str(weights), remedy)
    return given[0]


def _class_weights(
    given: Mapping[int, float], loss: Loss, shape: list[int], reduction: str | None
) -> tuple[float, ...]:
    """A number for each class, in their order."""
    if not given:
        return ()
    classes = shape[-1] if loss.takes_class else 2
    told, remedy = str(dict(given)), "Leave class_weight out."
    if not (loss.takes_class or (loss.takes_shares and shape == [1])):
        expected = "none: classes are those of a softmax, or of a single sigmoid"
        raise OptionError("class_weight", expected, told, remedy)
    if reduction == _BY_WEIGHT:
        expected = f"another reduction than {_BY_WEIGHT!r}, which divides by the weight again"
        raise OptionError("class_weight", expected, told, remedy)
    weights = [float(given.get(label, 1.0)) for label in range(classes)]
    if not set(given) <= set(range(classes)) or not all(
        weight >= 0 and math.isfinite(np.float32(weight)) for weight in weights
    ):
        expected = f"finite weights of at least 0 for classes 0 to {classes - 1}"
        raise OptionError("class_weight", expected, told, "Number the classes as the labels.")
    return tuple(weights)
