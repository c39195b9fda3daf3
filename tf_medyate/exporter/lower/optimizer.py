"""The optimizer that `compile` was given, as far as a device can do it: SGD, Adam, AdamW.

Optimizers and schedules are told by identity and by their whole configuration, never by a name:
whatever is not known to be done alike is refused.

Example:
    >>> model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    >>> optimizer = optimizer_of(model)
    >>> optimizer.kind, optimizer.slots
    ('sgd', 0)
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
from tf_medyate.exporter.ops import schema as op_schema

SGD, ADAM = "sgd", "adam"
KINDS: Mapping[Any, str] = {
    keras.optimizers.SGD: SGD,
    keras.optimizers.Adam: ADAM,
    keras.optimizers.AdamW: ADAM,  # the same with a weight decay of its own
}
"""What a device does, these classes and none derived from them."""
_HONOURED = (
    "learning_rate",
    "momentum",
    "nesterov",
    "beta_1",
    "beta_2",
    "epsilon",
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
class Optimizer:
    """The optimizer: keras.optimizers.SGD, Adam or AdamW.

    Attributes:
        kind: SGD or ADAM.
        learning_rate: A number, or the configuration of a Keras schedule.
        momentum: Of SGD, 0 to 1.
        nesterov: Of SGD: Nesterov's momentum.
        beta_1: Of Adam: how much of the first moment a step keeps, below 1.
        beta_2: Of Adam: how much of the second.
        epsilon: Of Adam: what the second moment's root is increased by.
        weight_decay: Share of a weight that a step at learning rate 1 takes off.
        clip_value: Largest magnitude of an element of the gradient; 0 for any.
        clip_norm: Largest norm of all gradients together; 0 for any.
        batch_size: Samples whose gradients are averaged before a step.
    """

    kind: str = SGD
    learning_rate: float | Mapping[str, Any] = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    beta_1: float = 0.0
    beta_2: float = 0.0
    epsilon: float = 0.0
    weight_decay: float = 0.0
    clip_value: float = 0.0
    clip_norm: float = 0.0
    batch_size: int = 1

    @property
    def is_adam(self) -> bool:
        """Moments are kept, and updates counted."""
        return self.kind == ADAM

    @property
    def slots(self) -> int:
        """Values that are kept for each trained weight."""
        return 2 if self.is_adam else int(self.momentum > 0)

    @property
    def state_words(self) -> int:
        """Words of the selection that updates are counted in."""
        return op_schema.CORRECTION_WORDS if self.is_adam else 0

    @property
    def accumulates(self) -> bool:
        """Gradients are summed in the pool before a step."""
        return self.batch_size > 1

    def constants(self) -> np.ndarray:
        """The constant `optimizer` of the update ops, float32."""
        words: dict[int, float]
        if self.is_adam:
            words = {
                op_schema.AdamWord.FIRST_RATE: 1 - self.beta_1,
                op_schema.AdamWord.SECOND_RATE: 1 - self.beta_2,
                op_schema.AdamWord.EPSILON: self.epsilon,
                op_schema.AdamWord.WEIGHT_DECAY: self.weight_decay,
                op_schema.AdamWord.CLIP_VALUE: self.clip_value,
            }
        else:
            words = {
                op_schema.OptimizerWord.MOMENTUM: self.momentum,
                op_schema.OptimizerWord.NESTEROV: float(self.nesterov),
                op_schema.OptimizerWord.WEIGHT_DECAY: self.weight_decay,
                op_schema.OptimizerWord.CLIP_VALUE: self.clip_value,
            }
        return np.array([words[word] for word in sorted(words)], np.float32)


def optimizer_of(model: keras.Model) -> Optimizer:
    """The compiled optimizer.

    Raises:
        OptionError: It is another one, or has an option that a device does not do.
    """
    optimizer: Any = getattr(model, "optimizer", None)
    if type(optimizer) not in KINDS:
        raise OptionError(
            "model.optimizer",
            "keras.optimizers.SGD, Adam or AdamW",
            "None" if optimizer is None else type(optimizer).__qualname__,
            "Compile the model with one of these (momentum and clipping allowed) before exporting.",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a lambda as learning rate, which is refused below
        config = optimizer.get_config()
    usual = type(optimizer)().get_config()
    for name, value in config.items():
        if name not in (*_HONOURED, *_UNUSED) and value != usual.get(name) and value:
            _refuse_option(name, "not set", value, _REMEDIES.get(name, f"Leave {name} out."))
    _check_decay(optimizer)
    batch = config.get("gradient_accumulation_steps") or 1
    if not isinstance(batch, int):
        _refuse_option("gradient_accumulation_steps", "a whole number", batch, "Round it.")
    return Optimizer(
        kind=KINDS[type(optimizer)],
        learning_rate=_rate(config["learning_rate"]),
        momentum=_number(config, "momentum"),
        nesterov=bool(config.get("nesterov")),
        beta_1=_beta(config, "beta_1"),
        beta_2=_beta(config, "beta_2"),
        epsilon=_number(config, "epsilon"),
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


def _beta(config: Mapping[str, Any], name: str) -> float:
    value = config.get(name, 0.0)
    if not isinstance(value, float | int) or not 0 <= np.float32(value) < 1:
        _refuse_option(name, "a number of at least 0 and below 1", value, "Choose 0.9 or 0.999.")
    return float(value)


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
