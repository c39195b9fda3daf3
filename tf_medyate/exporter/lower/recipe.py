"""How the exported step trains: read off a prepared model and its MeDyate callback, or a plan.

Example:
    >>> recipe = recipe_of(model, medyate)       # after medyate.set_model(model), or a fit
    >>> recipe.loss.kind, recipe.kept
    ('softmax_cross_entropy', ('stem', 'body', ...))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_medyate.callback import MeDyate
from tf_medyate.cost import CostModel
from tf_medyate.errors import NotPreparedError, OptionError, PlanError
from tf_medyate.exporter.lower.fixed_plan import fixed_plan
from tf_medyate.exporter.lower.loss import Loss, loss_of
from tf_medyate.exporter.lower.optimizer import Optimizer, optimizer_of
from tf_medyate.exporter.ops.schema import ImportanceRule
from tf_medyate.prepared.folding import layer_specs
from tf_medyate.prepared.layers import masked_layers
from tf_medyate.prepared.model import PreparedModel
from tf_medyate.select.fitting import Terms
from tf_medyate.select.strategies import AUTO, PRESETS, Strategy
from tf_medyate.spec import RUNNING, WEIGHTS, LayerSpec, MemoryBudget, UpdatePlan


@dataclasses.dataclass(frozen=True)
class TrainingRecipe:
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
        prior: Importance [channels], float32, of every kept layer; UNSEEN for a channel that was
            never trained.
        loss: What is to become less.
        optimizer: The update.
        importance_rule: How a channel's importance follows from its gradients.
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
    loss: Loss
    optimizer: Optimizer
    importance_rule: ImportanceRule = ImportanceRule.RUNNING_MEAN

    @property
    def trained(self) -> tuple[LayerSpec, ...]:
        """Kept layers in execution order, then those that are trained in full."""
        kept = [spec for spec in self.specs if spec.name in self.kept]
        return (*kept, *(spec for spec in self.specs if spec.name in self.whole))

    def keeping(self, names: Sequence[str]) -> TrainingRecipe:
        """The same with channels drawn from other layers, all of them seen before."""
        prior = {s.name: np.ones(s.channels, np.float32) for s in self.specs if s.name in names}
        kept = tuple(prior)
        return dataclasses.replace(self, kept=kept, prior=prior)

    @property
    def weight_copies(self) -> int:
        """Values in the pool for each trained weight: itself, accumulator, the optimizer's."""
        return 1 + int(self.optimizer.accumulates) + self.optimizer.slots

    @property
    def capacity(self) -> int:
        """Room for drawn channels, in the budget's unit."""
        return self.budget.amount - self.cost.fixed(self.specs, self.kept)


def recipe_of(
    model: PreparedModel, medyate: Any, class_weight: Mapping[int, float] | None = None
) -> TrainingRecipe:
    """Reads what to export.

    Args:
        model: A prepared, compiled model. What is live in its pool is committed.
        medyate: The callback that fine-tuned it, or that was given it by `set_model`; or an
            UpdatePlan, which is then trained for good.
        class_weight: Weight of each class in the loss; None for those of the last fit.

    Raises:
        NotPreparedError: The model is not prepared, or the callback has not seen it.
        PlanError: Callback or plan belong to another model, or to this one as it was before.
        OptionError: Loss, optimizer or strategy cannot run on a device; the error says which can.
    """
    if isinstance(medyate, UpdatePlan):
        return _recipe_of_plan(model, medyate, _loss_of(model, class_weight))
    _check_plan(medyate)
    if medyate.attached_model is None:
        raise NotPreparedError(
            "medyate",
            "a callback that has ranked the layers",
            "one that no fit has run with",
            "Call set_model(model) on it, or fit with callbacks=[medyate], before exporting.",
        )
    loss, optimizer = _loss_of(model, class_weight), optimizer_of(model)
    specs = layer_specs(model)
    _check_attached(model, medyate, specs, optimizer)
    trains_all = medyate.strategy.trains_all
    kept = () if trains_all else medyate.report().candidates
    model.commit()
    layers = {layer.name: layer for layer in masked_layers(model)}
    return TrainingRecipe(
        specs=specs,
        kept=kept,
        whole=_whole(specs, trains_all),
        cost=medyate.cost,
        budget=medyate.budget,
        strategy=medyate.strategy,
        seed=medyate.seed,
        first_draw=_first_draw(medyate),
        prior={name: np.array(layers[name].importance.numpy()) for name in kept},
        loss=loss,
        optimizer=optimizer,
        importance_rule=_importance_rule(medyate.strategy),
    )


def _loss_of(model: PreparedModel, class_weight: Mapping[int, float] | None) -> Loss:
    return loss_of(model, model.class_weight if class_weight is None else class_weight)


def _recipe_of_plan(model: PreparedModel, plan: UpdatePlan, loss: Loss) -> TrainingRecipe:
    optimizer = optimizer_of(model)
    specs = layer_specs(model)
    cost = CostModel(optimizer_slots=optimizer.slots, accumulate=optimizer.accumulates)
    fixed = fixed_plan(plan, specs, cost)
    model.commit()
    return TrainingRecipe(
        specs=specs,
        kept=fixed.kept,
        whole=_whole(specs, fixed.strategy.trains_all),
        cost=fixed.cost,
        budget=fixed.budget,
        strategy=fixed.strategy,
        seed=plan.seed,
        first_draw=plan.draw,
        prior=fixed.prior,
        loss=loss,
        optimizer=optimizer,
        importance_rule=_importance_rule(fixed.strategy),
    )


def recipe_of_terms(model: PreparedModel, terms: Terms) -> TrainingRecipe:
    """What is going to be exported, before it is known which layers are kept: none so far.

    Raises:
        OptionError: As `recipe_of`.
    """
    strategy = terms.strategy
    if strategy.sharpness == AUTO:  # found by calibration, of no matter to any size
        strategy = dataclasses.replace(strategy, sharpness=1)
    _check_device(strategy, terms.cost.device_batch, terms.budget)
    loss, optimizer = _loss_of(model, None), optimizer_of(model)
    heads = terms.cost.fixed(terms.specs, ())
    return TrainingRecipe(
        specs=terms.specs,
        kept=(),
        whole=_whole(terms.specs, strategy.trains_all),
        cost=terms.cost,
        budget=terms.budget or MemoryBudget(heads, terms.cost.unit),
        strategy=strategy,
        seed=terms.seed,
        first_draw=0,
        prior={},
        loss=loss,
        optimizer=optimizer,
        importance_rule=_importance_rule(strategy),
    )


def _importance_rule(strategy: Strategy) -> ImportanceRule:
    """A device has no rule for "last": such strategies are refused before."""
    running = strategy.refresh == RUNNING
    return ImportanceRule.RUNNING_MEAN if running else ImportanceRule.DRAW_MEAN


def unranked_recipe(
    model: PreparedModel, medyate: MeDyate, class_weight: Mapping[int, float] | None = None
) -> TrainingRecipe:
    """As `recipe_of` for a callback that has not ranked the layers yet: all of them are trained.

    Or all that the callback names.

    Raises:
        OptionError: As `recipe_of`.
    """
    _check_plan(medyate)
    loss, optimizer = _loss_of(model, class_weight), optimizer_of(model)
    specs, asked = layer_specs(model), medyate.asked_layers
    cost = CostModel(optimizer_slots=optimizer.slots, accumulate=optimizer.accumulates)
    heads = _whole(specs, trains_all=False)
    everything = _whole(specs, trains_all=True)
    return TrainingRecipe(
        specs=specs,
        kept=(),
        whole=tuple(n for n in everything if asked is None or n in asked or n in heads),
        cost=cost,
        budget=MemoryBudget(cost.full(specs)),
        strategy=PRESETS["full"],
        seed=medyate.seed,
        first_draw=0,
        prior={},
        loss=loss,
        optimizer=optimizer,
    )


def _whole(specs: Sequence[LayerSpec], trains_all: bool) -> tuple[str, ...]:
    """Names of the layers that every draw trains in full."""
    return tuple(s.name for s in specs if s.trainable and (s.is_head or trains_all))


def _check_plan(medyate: Any):
    """Checks how channels are to be drawn."""
    if not isinstance(medyate, MeDyate):
        raise OptionError(
            "medyate",
            "a MeDyate callback or an UpdatePlan",
            type(medyate).__name__,
            "Pass the callback that fit ran with, or what sample_channels drew.",
        )
    _check_device(medyate.strategy, medyate.device_batch, medyate.asked_budget)


def _check_device(strategy: Strategy, device_batch: int, budget: MemoryBudget | None):
    """Checks that a device can do so."""
    if not strategy.runs_on_device:
        raise OptionError(
            "medyate",
            f"a strategy that a device can run: {', '.join(_device_presets())}",
            f"{strategy.name!r}: importance={strategy.importance!r}, refresh={strategy.refresh!r}",
            "It needs full gradients or stored activations, or the last norm; choose another.",
        )
    if device_batch != 1:
        raise OptionError(
            "medyate",
            "device_batch=1: the exported step takes one sample at a time",
            str(device_batch),
            "Leave device_batch out; accumulate gradients in the optimizer instead.",
        )
    if budget is not None and budget.unit == WEIGHTS:
        raise OptionError(
            "medyate",
            "a budget in bytes or elements: a pool holds activations, too",
            str(budget),
            'Fine-tune with, for example, budget="64KiB".',
        )


def _check_attached(model, medyate: MeDyate, specs: tuple[LayerSpec, ...], optimizer: Optimizer):
    """Checks that the callback planned for this very model, as it is and is compiled now."""
    if medyate.attached_model is not model:
        raise PlanError(
            "medyate",
            f"a callback of this very model '{model.name}'",
            "one that was attached to another model",
            "Export the model that the callback fine-tuned.",
        )
    remedy = "Compile the model before the callback sees it: call medyate.set_model(model) again."
    if medyate.specs != specs:
        changed = [new.name for old, new in zip(medyate.specs, specs, strict=True) if old != new]
        received = f"one made before {', '.join(changed)} changed"
        raise PlanError("medyate", "a callback of the model as it is now", received, remedy)
    wanted = (optimizer.slots, optimizer.accumulates)
    counted = (medyate.cost.optimizer_slots, medyate.cost.accumulate)
    if counted != wanted:
        raise PlanError(
            "medyate",
            "costs counted for the compiled optimizer: optimizer_slots={}, accumulate={}".format(
                *wanted
            ),
            "optimizer_slots={}, accumulate={}".format(*counted),
            remedy,
        )


def _device_presets() -> list[str]:
    return [name for name, preset in PRESETS.items() if preset.runs_on_device]


def _first_draw(medyate: MeDyate) -> int:
    return 0 if medyate.plan is None else medyate.plan.draw + int(not medyate.strategy.draws_once)
