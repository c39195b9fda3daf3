"""How the exported step trains: read off a prepared model and its MeDyate callback.

Example:
    >>> recipe = recipe_of(model, medyate)       # after medyate.set_model(model), or a fit
    >>> recipe.loss, recipe.kept
    ('softmax_cross_entropy', ('conv_3', 'conv_4'))
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tf_medyate.callback import MeDyate
from tf_medyate.cost import CostModel
from tf_medyate.errors import NotPreparedError, OptionError, PlanError
from tf_medyate.exporter.ir.values import MEAN_SQUARED_ERROR, SOFTMAX_CROSS_ENTROPY
from tf_medyate.prepared.layers import masked_layers
from tf_medyate.prepared.model import PreparedModel
from tf_medyate.select.strategies import PRESETS, Strategy
from tf_medyate.spec import LayerSpec, MemoryBudget


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


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is trained, and how.

    Attributes:
        specs: The model's weighted layers in execution order.
        kept: Names of the layers that channels are drawn from.
        whole: Names of the layers that every draw trains in full: the heads.
        cost: Cost of a channel, in the budget's unit.
        budget: Bound on the pool.
        strategy: How channels are drawn.
        seed: Seed of the sampler.
        first_draw: Number of the draw that the device begins with.
        prior: Importance [channels], float32, of every kept layer.
        loss: SOFTMAX_CROSS_ENTROPY or MEAN_SQUARED_ERROR.
        from_logits: The Keras loss takes logits, not probabilities.
        optimizer: The update.
    """

    specs: tuple[LayerSpec, ...]
    kept: tuple[str, ...]
    whole: tuple[str, ...]
    cost: CostModel
    budget: MemoryBudget
    strategy: Strategy
    seed: int
    first_draw: int
    prior: Mapping[str, np.ndarray]
    loss: str
    from_logits: bool
    optimizer: Sgd

    @property
    def trained(self) -> tuple[LayerSpec, ...]:
        """Kept layers in execution order, then those that are trained in full."""
        kept = [spec for spec in self.specs if spec.name in self.kept]
        return (*kept, *(spec for spec in self.specs if spec.name in self.whole))

    @property
    def weight_copies(self) -> int:
        """Values in the pool for each trained weight: delta, accumulator, velocity."""
        return 1 + int(self.optimizer.accumulates) + int(self.optimizer.momentum > 0)

    @property
    def capacity(self) -> int:
        """Room for drawn channels, in the budget's unit."""
        return self.budget.amount - self.cost.fixed(self.specs, self.kept)


def recipe_of(model: PreparedModel, medyate: Any) -> Recipe:
    """Reads what to export.

    Args:
        model: A prepared, compiled model. What is live in its pool is committed.
        medyate: The callback that fine-tuned it, or that was given it by `set_model`.

    Raises:
        NotPreparedError: The model is not prepared, or the callback has not seen it.
        PlanError: The callback was attached to another model.
        OptionError: Loss, optimizer or strategy cannot run on a device; the error says which can.
    """
    if not isinstance(medyate, MeDyate):
        raise OptionError(
            "medyate",
            "a MeDyate callback",
            type(medyate).__name__,
            "Pass the callback that fit ran with.",
        )
    specs = _specs_of(model, medyate)
    _check_strategy(medyate)
    trains_all = medyate.strategy.trains_all
    kept = () if trains_all else medyate.report().candidates
    model.commit()
    layers = {layer.name: layer for layer in masked_layers(model)}
    loss, from_logits = _loss(model)
    return Recipe(
        specs=specs,
        kept=kept,
        whole=tuple(s.name for s in specs if s.trainable and (s.is_head or trains_all)),
        cost=medyate.cost,
        budget=medyate.budget,
        strategy=medyate.strategy,
        seed=medyate.seed,
        first_draw=_first_draw(medyate),
        prior={name: np.array(layers[name].importance.numpy()) for name in kept},
        loss=loss,
        from_logits=from_logits,
        optimizer=_sgd(getattr(model, "optimizer", None), medyate.cost),
    )


def _specs_of(model: PreparedModel, medyate: MeDyate) -> tuple[LayerSpec, ...]:
    if medyate.attached_model is None:
        raise NotPreparedError(
            "medyate",
            "a callback that has ranked the layers",
            "one that no fit has run with",
            "Call set_model(model) on it, or fit with callbacks=[medyate], before exporting.",
        )
    if medyate.attached_model is not model:
        raise PlanError(
            "medyate",
            f"a callback of this very model '{model.name}'",
            "one that was attached to another model",
            "Export the model that the callback fine-tuned.",
        )
    return medyate.specs


def _check_strategy(medyate: MeDyate):
    strategy = medyate.strategy
    if not strategy.runs_on_device:
        raise OptionError(
            "medyate",
            f"a strategy that a device can run: {', '.join(_device_presets())}",
            f"{strategy.name!r} with importance={strategy.importance!r}",
            "It needs the full gradient or stored activations; choose another strategy.",
        )
    if medyate.cost.device_batch != 1:
        raise OptionError(
            "medyate",
            "device_batch=1: the exported step takes one sample at a time",
            str(medyate.cost.device_batch),
            "Leave device_batch out; accumulate gradients in the optimizer instead.",
        )


def _device_presets() -> list[str]:
    return [name for name, preset in PRESETS.items() if preset.runs_on_device]


def _first_draw(medyate: MeDyate) -> int:
    return 0 if medyate.plan is None else medyate.plan.draw + int(not medyate.strategy.draws_once)


def _loss(model: keras.Model) -> tuple[str, bool]:
    loss = getattr(model, "loss", None)
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    name = getattr(loss, "__name__", type(loss).__name__).replace("_", "").lower()
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    plain = not config.get("label_smoothing") and config.get("ignore_class") is None
    if plain and name in ("sparsecategoricalcrossentropy", "categoricalcrossentropy"):
        return SOFTMAX_CROSS_ENTROPY, bool(config.get("from_logits", False))
    if name in ("meansquarederror", "mse"):
        return MEAN_SQUARED_ERROR, True
    raise OptionError(
        "model.loss",
        "SparseCategoricalCrossentropy, CategoricalCrossentropy or MeanSquaredError",
        str(None if loss is None else config or name),
        "Compile the model with one of these, without label smoothing, before exporting.",
    )


def _sgd(optimizer: Any, cost: CostModel) -> Sgd:
    if type(optimizer) is not keras.optimizers.SGD:
        raise OptionError(
            "model.optimizer",
            "keras.optimizers.SGD",
            type(optimizer).__name__,
            "Compile the model with SGD (momentum and clipping allowed) before exporting.",
        )
    config = optimizer.get_config()
    for name, remedy in (
        ("clipnorm", "Use global_clipnorm: a device has no per-variable norms."),
        ("use_ema", "Leave use_ema out."),
    ):
        if config.get(name):
            raise OptionError(f"model.optimizer.{name}", "not set", str(config[name]), remedy)
    batch = int(config.get("gradient_accumulation_steps") or 1)
    clip_norm = float(config.get("global_clipnorm") or 0.0)
    if clip_norm and batch == 1:
        raise OptionError(
            "model.optimizer.global_clipnorm",
            "gradient_accumulation_steps of 2 or more beside it",
            f"{clip_norm} with steps of one sample",
            "Use clipvalue: the norm of all gradients is known only once they are accumulated.",
        )
    if cost.accumulate != (batch > 1):
        raise PlanError(
            "medyate",
            f"costs counted for gradient_accumulation_steps={batch}",
            f"accumulate={cost.accumulate}",
            "Compile the model before the callback sees it.",
        )
    rate = config["learning_rate"]
    return Sgd(
        learning_rate=float(rate) if not isinstance(rate, Mapping) else rate,
        momentum=float(config.get("momentum") or 0.0),
        nesterov=bool(config.get("nesterov")),
        weight_decay=float(config.get("weight_decay") or 0.0),
        clip_value=float(config.get("clipvalue") or 0.0),
        clip_norm=clip_norm if math.isfinite(clip_norm) else 0.0,
        batch_size=batch,
    )
