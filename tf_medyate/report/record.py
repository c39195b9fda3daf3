"""The values that a fine-tuning run leaves behind; `report.TrainingReport` shows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tf_medyate.cost import CostModel
from tf_medyate.errors import OptionError, PlanError
from tf_medyate.select.frontier import Frontier
from tf_medyate.spec import LayerRanking, LayerSpec, MemoryBudget, UpdatePlan


@dataclasses.dataclass(frozen=True)
class EpochRecord:
    """One epoch: what was trained, and what came of it.

    Attributes:
        epoch: Number of the epoch from 0, as Keras hands it to callbacks. People are shown
            `epoch + 1`, as in Keras' progress bar.
        plan: The channels that were trained in this epoch.
        logs: Keras' logs at the end of the epoch, such as "loss" and "val_accuracy".
            NumPy scalars are turned into Python floats.
        seconds: Wall time of the epoch.
    """

    epoch: int
    plan: UpdatePlan
    logs: Mapping[str, float]
    seconds: float

    def __post_init__(self):
        object.__setattr__(self, "epoch", int(self.epoch))
        object.__setattr__(self, "seconds", float(self.seconds))
        logs = {str(name): float(value) for name, value in self.logs.items()}
        object.__setattr__(self, "logs", logs)


@dataclasses.dataclass(frozen=True)
class TrainingRecord:
    """A whole fine-tuning run under a memory budget.

    Attributes:
        strategy: Name of the strategy, for example "medyate".
        specs: All weighted layers in execution order.
        ranking: The layer ranking that the run was based on.
        cost: The cost model of the plans; its unit is the budget's.
        budget: The bound that every plan had to respect.
        epochs: One record per epoch, in the order in which they ran.
        candidates: Names of the layers that could be drawn from, in execution order; if
            empty, the ranking's kept layers.
        drawn_by: What the odds of a channel followed, in words; empty if nothing was left to
            chance.
        frozen: Names of the layers whose weights are frozen because no channels can be drawn from
            them.
        frontier: What fits the device that the layers were chosen for; None if for none.

    Raises:
        OptionError: The cost model and the budget differ in their unit.
        PlanError: A plan names a layer that is not among `specs`.
    """

    strategy: str
    specs: tuple[LayerSpec, ...]
    ranking: LayerRanking
    cost: CostModel
    budget: MemoryBudget
    epochs: tuple[EpochRecord, ...]
    candidates: tuple[str, ...] = ()
    drawn_by: str = ""
    frozen: tuple[str, ...] = ()
    frontier: Frontier | None = None

    def __post_init__(self):
        if self.cost.unit != self.budget.unit:
            raise OptionError(
                "cost",
                f"a cost model in {self.budget.unit}, the budget's unit",
                self.cost.unit,
                f'Use CostModel(unit="{self.budget.unit}") or another budget.',
            )
        known = {spec.name for spec in self.specs}
        drawn = {draw.layer for record in self.epochs for draw in record.plan.layers}
        if strangers := sorted(drawn - known):
            raise PlanError(
                "epochs",
                "plans that draw from the layers in specs",
                f"a plan that draws from {', '.join(strangers)}",
                "Build the report with the specs of the model that was trained.",
            )
