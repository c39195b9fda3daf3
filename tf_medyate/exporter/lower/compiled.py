"""What `compile` was given, as far as a device can do it: the loss, and SGD.

Losses, optimizers and schedules are told by identity and by their whole configuration, never by a
name: whatever is not known to be done alike is refused.

Example:
    >>> model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    >>> loss_of(model), sgd_of(model).learning_rate
    (Loss(kind='softmax_cross_entropy', from_logits=False), 0.05...)
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping
from typing import Any, NoReturn

import keras
import numpy as np

from tf_medyate.errors import OptionError
from tf_medyate.exporter.ir.values import MEAN_SQUARED_ERROR, SOFTMAX_CROSS_ENTROPY

_LOSSES = {
    keras.losses.SparseCategoricalCrossentropy: SOFTMAX_CROSS_ENTROPY,
    keras.losses.CategoricalCrossentropy: SOFTMAX_CROSS_ENTROPY,
    keras.losses.MeanSquaredError: MEAN_SQUARED_ERROR,
}
_FUNCTIONS = {
    keras.losses.sparse_categorical_crossentropy: keras.losses.SparseCategoricalCrossentropy,
    keras.losses.categorical_crossentropy: keras.losses.CategoricalCrossentropy,
    keras.losses.mean_squared_error: keras.losses.MeanSquaredError,
}
_SUMS = ("sum", "none", None)
_HONOURED = (
    "learning_rate",
    "momentum",
    "nesterov",
    "weight_decay",
    "clipvalue",
    "global_clipnorm",
    "gradient_accumulation_steps",
)
_UNUSED = ("name", "ema_momentum", "ema_overwrite_frequency")  # the last two without use_ema
_REMEDIES = {
    "clipnorm": "Use global_clipnorm: a device has no per-variable norms.",
    "use_ema": "Leave use_ema out.",
}


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss that a device can compute, for one sample at a time.

    Attributes:
        kind: SOFTMAX_CROSS_ENTROPY or MEAN_SQUARED_ERROR.
        from_logits: The Keras loss takes logits, not probabilities.
    """

    kind: str
    from_logits: bool


@dataclasses.dataclass(frozen=True)
class Sgd:
    """The optimizer: keras.optimizers.SGD.

    Attributes:
        learning_rate: A number, or the configuration of a Keras schedule.
        momentum: 0 to 1.
        nesterov: Nesterov's momentum.
        weight_decay: Share of a weight that a step at learning rate 1 takes off.
        clip_value: Largest magnitude of an element of the gradient; 0 for any.
        clip_norm: Largest norm of all gradients together; 0 for any.
        batch_size: Samples whose gradients are averaged before a step.
    """

    learning_rate: float | Mapping[str, Any] = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    clip_value: float = 0.0
    clip_norm: float = 0.0
    batch_size: int = 1

    @property
    def accumulates(self) -> bool:
        """Gradients are summed in the pool before a step."""
        return self.batch_size > 1


# --- the loss


def loss_of(model: keras.Model) -> Loss:
    """The compiled loss of a model with one output.

    Raises:
        OptionError: It is none that a device computes alike; the error says which are.
    """
    given: Any = keras.tree.flatten(getattr(model, "loss", None))
    loss: Any = given[0] if len(given) == 1 else given
    if isinstance(loss, str):
        loss = _by_name(loss)
    loss = _FUNCTIONS[loss]() if _is_known_function(loss) else loss
    if type(loss) not in _LOSSES:
        _refuse_loss(_told(loss))
    _check_weights(model)
    _check_options(loss, math.prod(model.outputs[0].shape[1:-1]))
    config = loss.get_config()
    return Loss(_LOSSES[type(loss)], bool(config.get("from_logits", True)))


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
    raise OptionError(
        "model.loss",
        "SparseCategoricalCrossentropy, CategoricalCrossentropy or MeanSquaredError of "
        "keras.losses, itself and not one like it",
        received,
        "Compile the model with one of these, for its one output, before exporting.",
    )


def _check_weights(model: keras.Model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lambdas among the metrics
        weights = keras.tree.flatten((model.get_compile_config() or {}).get("loss_weights"))
    if any(weight is not None and weight != 1 for weight in weights):
        raise OptionError(
            "model.loss_weights",
            "none",
            str(weights),
            "Compile the model without them, with a learning rate that is so many times larger.",
        )


def _check_options(loss: keras.losses.Loss, positions: int):
    """Compares a loss of Keras with one made without options.

    Args:
        loss: The loss.
        positions: Losses that it reduces for one sample: 1 for a vector of outputs.
    """
    config = {**loss.get_config(), "dtype": loss.dtype}
    plain = type(loss)()
    usual = {**plain.get_config(), "dtype": "float32", "axis": -1}
    free = {"name", "from_logits", "reduction"}
    for name, value in config.items():
        same = value == usual.get(name) or (name == "axis" and value == 1 and positions == 1)
        if name not in free and not same:
            raise OptionError(
                f"model.loss.{name}",
                repr(usual.get(name)),
                repr(value),
                f"Compile the model with {type(loss).__name__} without it before exporting: no "
                "label smoothing, no ignored class.",
            )
    # Of a single number sum and mean are the same.
    if config["reduction"] in _SUMS and positions > 1:
        raise OptionError(
            "model.loss.reduction",
            f"a mean over the {positions} positions of the output",
            repr(config["reduction"]),
            'Compile the model with reduction="sum_over_batch_size", and with a learning rate '
            f"{positions} times as large.",
        )


# --- the optimizer


def sgd_of(model: keras.Model) -> Sgd:
    """The compiled optimizer.

    Raises:
        OptionError: It is not SGD, or has an option that a device does not do.
    """
    optimizer: Any = getattr(model, "optimizer", None)
    if type(optimizer) is not keras.optimizers.SGD:
        raise OptionError(
            "model.optimizer",
            "keras.optimizers.SGD",
            "None" if optimizer is None else type(optimizer).__qualname__,
            "Compile the model with SGD (momentum and clipping allowed) before exporting.",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a lambda as learning rate, which is refused below
        config = optimizer.get_config()
    usual = keras.optimizers.SGD().get_config()
    for name, value in config.items():
        if name not in (*_HONOURED, *_UNUSED) and value != usual.get(name) and value:
            _refuse_option(name, "not set", value, _REMEDIES.get(name, f"Leave {name} out."))
    _check_decay(optimizer)
    batch = config.get("gradient_accumulation_steps") or 1
    if not isinstance(batch, int):
        _refuse_option("gradient_accumulation_steps", "a whole number", batch, "Round it.")
    return Sgd(
        learning_rate=_rate(config["learning_rate"]),
        momentum=_number(config, "momentum"),
        nesterov=bool(config.get("nesterov")),
        weight_decay=_number(config, "weight_decay"),
        clip_value=_limit(config, "clipvalue"),
        clip_norm=_clip_norm(config, batch),
        batch_size=batch,
    )


def _check_decay(optimizer: Any):
    # Keras shows in no other way what exclude_from_weight_decay was told.
    told = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")
    if optimizer.weight_decay and any(getattr(optimizer, name, None) for name in told):
        _refuse_option(
            "exclude_from_weight_decay",
            "not called: a device decays every weight that it trains, biases too",
            "variables that do not decay",
            "Leave it out, or leave weight_decay out.",
        )


def _rate(rate: Any) -> float | Mapping[str, Any]:
    """A learning rate of at least 0, or the configuration of one of Keras's own schedules."""
    if not isinstance(rate, Mapping):
        value = float(rate)
        if not (value >= 0 and math.isfinite(np.float32(value))):
            _refuse_option("learning_rate", "a number of at least 0", value, "Choose 0.01.")
        return value
    own = rate.get("module") == "keras.optimizers.schedules" and not rate.get("registered_name")
    if not own:
        _refuse_option(
            "learning_rate",
            "a number, or a schedule of keras.optimizers.schedules",
            rate.get("registered_name") or rate.get("class_name"),
            "Compile the model with one of these. A TFLMTrainer takes any function as its "
            "learning_rate.",
        )
    return rate


def _number(config: Mapping[str, Any], name: str) -> float:
    value = float(config.get(name) or 0.0)
    if not (value >= 0 and math.isfinite(np.float32(value))):
        _refuse_option(name, "a finite number of at least 0", value, "Choose 0.")
    return value


def _limit(config: Mapping[str, Any], name: str) -> float:
    """A largest value, 0 for none: what Keras makes of one that is infinite or not above 0."""
    value = float(config.get(name) or 0.0)
    return value if value > 0 and math.isfinite(np.float32(value)) else 0.0


def _clip_norm(config: Mapping[str, Any], batch: int) -> float:
    norm = _limit(config, "global_clipnorm")
    if norm and batch == 1:
        _refuse_option(
            "global_clipnorm",
            "gradient_accumulation_steps of 2 or more beside it",
            f"{norm} with steps of one sample",
            "Use clipvalue: the norm of all gradients is known only once they are accumulated.",
        )
    return norm


def _refuse_option(name: str, expected: str, received: Any, remedy: str) -> NoReturn:
    raise OptionError(f"model.optimizer.{name}", expected, str(received), remedy)
