"""The optimizer that `compile` was given, as far as a device can do it: SGD.

Optimizers and schedules are told by identity and by their whole configuration, never by a name:
whatever is not known to be done alike is refused.

Example:
    >>> model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    >>> sgd_of(model).learning_rate
    0.05...
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
