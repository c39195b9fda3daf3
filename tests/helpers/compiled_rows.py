"""The rows of docs/layers.md that are told to `compile`: losses and optimizers.

`tools/layers.py` writes the tables from what MeDyate and `check_export` say of them;
tests/exporter/test_compiled.py trains those that are exported, 50 steps as in Keras.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras

K, O = keras.losses, keras.optimizers  # noqa: E741
L = keras.layers
FEATURES = 6


@dataclasses.dataclass(frozen=True)
class LossRow:
    """A loss.

    Attributes:
        name: As the table has it: Markdown.
        make: The loss.
        last: Activation at the end of its net.
        units: Outputs of its net.
        options: Of `compile`.
    """

    name: str
    make: Callable[[], Any]
    last: str | None = "softmax"
    units: int = 3
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class OptimizerRow:
    """An optimizer; `name` and `make` as of a loss."""

    name: str
    make: Callable[[], Any]


def dense_net(last: str | None = "softmax", name: str = "head", units: int = 3) -> keras.Model:
    """Two dense layers."""
    return keras.Sequential(
        [keras.Input((FEATURES,)), L.Dense(8, activation="relu"), L.Dense(units, last, name=name)]
    )


def _own(y, p):
    return keras.ops.mean(keras.ops.abs(y - p), axis=-1)


LOSSES = (
    LossRow("`SparseCategoricalCrossentropy`", K.SparseCategoricalCrossentropy),
    LossRow(
        "`CategoricalCrossentropy`, label smoothing",
        lambda: K.CategoricalCrossentropy(label_smoothing=0.1),
    ),
    LossRow("`BinaryCrossentropy`", K.BinaryCrossentropy, "sigmoid", 1),
    LossRow(
        "`BinaryCrossentropy` of several labels, from logits, a loss weight",
        lambda: K.BinaryCrossentropy(from_logits=True, label_smoothing=0.2),
        None,
        options={"loss_weights": [3.0]},
    ),
    LossRow("`MeanSquaredError`, a sum or a mean", lambda: K.MeanSquaredError("sum"), None),
    LossRow("`MeanSquaredError` after a softmax", K.MeanSquaredError),
    LossRow("`MeanAbsoluteError`", K.MeanAbsoluteError, None, 1, {"loss_weights": {"head": 0.5}}),
    LossRow("`Huber`", lambda: K.Huber(0.3, reduction="mean_with_sample_weight"), None),
    LossRow("any other of Keras's", K.KLDivergence),
    LossRow("a function of your own", lambda: _own, None),
)

OPTIMIZERS = (
    OptimizerRow(
        "`SGD`, momentum, Nesterov's too, `weight_decay`, `clipvalue`",
        lambda: O.SGD(0.05, momentum=0.5, nesterov=True, weight_decay=0.01, clipvalue=0.5),
    ),
    OptimizerRow(
        "`gradient_accumulation_steps`, with `global_clipnorm` or without",
        lambda: O.SGD(0.1, gradient_accumulation_steps=4, global_clipnorm=0.5),
    ),
    OptimizerRow("`Adam`", lambda: O.Adam(0.003)),
    OptimizerRow("`AdamW`", lambda: O.AdamW(0.003, gradient_accumulation_steps=2)),
    OptimizerRow("`CosineDecay`", lambda: O.Adam(O.schedules.CosineDecay(0.005, 40))),
    OptimizerRow(
        "another schedule of Keras's", lambda: O.SGD(O.schedules.ExponentialDecay(0.1, 9, 0.5))
    ),
    OptimizerRow("a function as learning rate", lambda: O.SGD(lambda: 0.1)),
    OptimizerRow("`amsgrad`", lambda: O.Adam(amsgrad=True)),
    OptimizerRow("`clipnorm`", lambda: O.Adam(clipnorm=1.0)),
    OptimizerRow("`use_ema`", lambda: O.SGD(use_ema=True)),
    OptimizerRow("`RMSprop`", O.RMSprop),
    OptimizerRow("`Adafactor`", O.Adafactor),
)
