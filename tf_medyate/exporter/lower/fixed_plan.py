"""An UpdatePlan as what is exported: its channels and the heads, for good.

A device knows draws, not lists. So it is told to take the strongest channels, of a prior that is 1
for those of the plan and 0 for all others, in exactly the room that these take.

Example:
    >>> specs, kept = md.layer_specs(model), ("stem", "body")
    >>> plan = md.sample_channels(specs, {}, "8KiB", kept=kept, weighting="uniform")
    >>> fixed_plan(plan, specs, CostModel()).kept
    ('stem', 'body')
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tf_medyate.cost import CostModel
from tf_medyate.errors import PlanError
from tf_medyate.select.strategies import CALIBRATED, NEVER, PRESETS, STRONGEST, WHOLE_NET, Strategy
from tf_medyate.spec import BYTES, WEIGHTS, LayerSpec, MemoryBudget, UpdatePlan

_MOST_DRAW = 2**31 - 2


@dataclasses.dataclass(frozen=True)
class FixedPlan:
    """What a plan comes to; the attributes are those of `TrainingRecipe`."""

    strategy: Strategy
    kept: tuple[str, ...]
    cost: CostModel
    budget: MemoryBudget
    prior: dict[str, np.ndarray]


def fixed_plan(plan: UpdatePlan, specs: Sequence[LayerSpec], cost: CostModel) -> FixedPlan:
    """Checks a plan against the model, and says how a device is to come by it.

    The biases of its layers are trained if its fixed cost counts more than the heads. A plan that
    holds every channel of every trainable layer is ordinary fine-tuning, biases included.

    Args:
        plan: Channels of trainable layers; heads are trained whether it names them or not.
        specs: The model's weighted layers.
        cost: What the compiled optimizer keeps for each weight; unit and biases are the plan's.

    Raises:
        PlanError: The plan is of another model or optimizer, or exceeds its own budget.
    """
    _check_channels(plan, specs)
    unit = plan.budget.unit
    drawn = {d.layer: d.channels for d in plan.layers}
    trainable = [spec for spec in specs if spec.trainable]
    everything = cost.full(trainable)
    if all(len(drawn.get(spec.name, ())) == spec.channels for spec in trainable):
        return FixedPlan(PRESETS["full"], (), cost, MemoryBudget(everything), {})
    kept = [s for s in specs if s.name in drawn and not s.is_head]
    names = tuple(spec.name for spec in kept)
    heads = dataclasses.replace(cost, unit=unit, train_bias=False).fixed(specs, ())
    with_bias = unit == BYTES and plan.fixed > heads
    cost = dataclasses.replace(cost, unit=unit, train_bias=with_bias)
    counted = sum(len(drawn[spec.name]) * cost.channel(spec) for spec in kept)
    used = cost.fixed(specs, names) + counted
    _check_cost(plan, counted, used, cost)
    strategy = Strategy(
        "plan",
        ranking=WHOLE_NET,
        importance=CALIBRATED,
        sampling=STRONGEST,
        resample_every=NEVER,
        train_bias=with_bias,
    )
    return FixedPlan(
        strategy if kept else PRESETS["head"],
        names,
        cost,
        MemoryBudget(max(used, 1), unit),
        {s.name: np.isin(np.arange(s.channels), drawn[s.name]).astype(np.float32) for s in kept},
    )


def _check_channels(plan: UpdatePlan, specs: Sequence[LayerSpec]):
    remedy = "Draw a plan from md.layer_specs(model)."
    by_name = {spec.name: spec for spec in specs if spec.trainable}
    for entry in plan.layers:
        spec = by_name.get(entry.layer)
        if spec is None:
            received = f"channels of '{entry.layer}'"
            raise PlanError("plan", "trainable layers of this model", received, remedy)
        least = spec.channels if spec.is_head else 1
        distinct = set(entry.channels)
        inside = distinct <= set(range(spec.channels))
        if not inside or not least <= len(distinct) == len(entry.channels):
            some = "all (a head is trained in full)" if spec.is_head else "some"
            raise PlanError(
                "plan",
                f"{some} of the channels 0 to {spec.channels - 1} of '{entry.layer}', each once",
                f"{len(entry.channels)} channels: {list(entry.channels[:8])} ...",
                remedy,
            )
    if len({entry.layer for entry in plan.layers}) < len(plan.layers):
        raise PlanError("plan", "each layer once", "a layer twice", remedy)
    if not 0 <= plan.draw <= _MOST_DRAW:
        expected = f"a draw from 0 to {_MOST_DRAW}, which a device counts in 31 bits"
        raise PlanError("plan", expected, str(plan.draw), remedy)


def _check_cost(plan: UpdatePlan, drawn: int, used: int, cost: CostModel):
    written = plan.budget.format
    counts = f"optimizer_slots={cost.optimizer_slots}, accumulate={cost.accumulate}"
    remedy = f"Draw with cost=CostModel({cost.unit!r}, {counts}), as the model is compiled."
    if cost.unit == WEIGHTS:
        remedy = 'Draw with, for example, budget="64KiB".'
        raise PlanError("plan", "a budget in bytes or elements", str(plan.budget), remedy)
    if drawn != plan.drawn:
        expected = f"channels that cost {written(drawn)} together, as they do on a device"
        raise PlanError("plan", expected, f"a plan that counts {written(plan.drawn)}", remedy)
    if used > plan.budget.amount:
        expected = f"at most its own budget of {plan.budget}"
        raise PlanError("plan", expected, f"{written(used)} with what is always trained", remedy)
