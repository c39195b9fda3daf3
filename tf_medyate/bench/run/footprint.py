"""What a fine-tuning took, out of its report: memory, sparsities, work.

Example:
    >>> footprint = measure(report, [r.plan for r in report.epochs], medyate.strategy)
    >>> print(f"{footprint.used_bytes:,} bytes, {footprint.gradient_flops_saved:.1%} FLOPs saved")
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tf_medyate.cost import CostModel
from tf_medyate.select.strategies import Strategy
from tf_medyate.spec import BYTES, ELEMENTS, LayerSpec, UpdatePlan

if TYPE_CHECKING:
    from tf_medyate.report import TrainingReport


@dataclasses.dataclass(frozen=True)
class Footprint:
    """Memory is the largest of all epochs, sparsities are means over them; see `Result`."""

    used_bytes: int
    used_elements: int
    full_bytes: int
    full_elements: int
    trained_weights: int
    weight_sparsity: float
    activation_sparsity: float
    gradient_flops_saved: float


def measure(report: TrainingReport, plans: Sequence[UpdatePlan], strategy: Strategy) -> Footprint:
    """Measures a run.

    Args:
        report: Of the run.
        plans: What was trained in each epoch, one at least.
        strategy: What was trained.
    """
    specs = report.specs
    trained = [_trained_channels(specs, plan) for plan in plans]
    used = {unit: max(_used(report, plan, strategy, unit) for plan in plans)
            for unit in (BYTES, ELEMENTS)}  # fmt: skip
    drawn = [_weights(specs, plan) for plan in plans]
    return Footprint(
        used_bytes=used[BYTES],
        used_elements=used[ELEMENTS],
        full_bytes=CostModel(BYTES).full(specs),
        full_elements=CostModel(ELEMENTS).full(specs),
        trained_weights=max(drawn),
        weight_sparsity=_left_out(specs, trained, [s.weights_per_channel for s in specs]),
        activation_sparsity=_left_out(specs, trained, [s.activation_elements for s in specs]),
        # A layer's weight gradient takes as many multiply-accumulates as its forward pass, and
        # each input channel has the same part in both.
        gradient_flops_saved=_left_out(specs, trained, [s.macs / s.channels for s in specs]),
    )


def _trained_channels(specs: Sequence[LayerSpec], plan: UpdatePlan) -> np.ndarray:
    """How many channels of each layer get a gradient: int64 [layers]."""
    return np.array([len(plan.channels_of(s.name)) for s in specs], np.int64)


def _left_out(specs: Sequence[LayerSpec], trained: list[np.ndarray], each: list[float]) -> float:
    """Mean share that is not needed, of something that every channel has `each` of.

    Without the heads, as the papers count.
    """
    each = [0.0 if spec.is_head else value for spec, value in zip(specs, each, strict=True)]
    weight = np.asarray(each, np.float64)
    total = float(weight @ np.array([spec.channels for spec in specs]))
    return float(np.mean([1 - float(weight @ channels) / total for channels in trained]))


def _weights(specs: Sequence[LayerSpec], plan: UpdatePlan) -> int:
    return sum(
        s.weights_per_channel * len(plan.channels_of(s.name)) for s in specs if not s.is_head
    )


def _used(report: TrainingReport, plan: UpdatePlan, strategy: Strategy, unit: str) -> int:
    """What a plan occupies, in either unit."""
    cost, specs = CostModel(unit, train_bias=strategy.train_bias), report.specs
    if strategy.trains_all:
        return cost.full(s for s in specs if s.trainable)
    drawn = sum(len(plan.channels_of(s.name)) * cost.channel(s) for s in specs if not s.is_head)
    return drawn + cost.fixed(specs, report.candidates)
