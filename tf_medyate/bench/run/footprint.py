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


def measure(
    report: TrainingReport,
    plans: Sequence[UpdatePlan],
    strategy: Strategy,
    specs: Sequence[LayerSpec] | None = None,
) -> Footprint:
    """Measures a run.

    Args:
        report: Of the run.
        plans: What was trained in each epoch, one at least.
        strategy: What was trained.
        specs: The net's layers, where the report has output neurons in place of input channels.
    """
    specs = report.specs if specs is None else specs
    drawn = np.array([[_drawn(spec, plan, strategy) for spec in specs] for plan in plans])
    whole = np.array([_whole(spec) for spec in specs]).sum(axis=0)
    each = drawn.sum(axis=1)  # [plans, (weights, activations, work)], without the heads
    fixed = CostModel(train_bias=strategy.train_bias).fixed(specs, report.candidates)
    used = 4 * (each[:, 0] + each[:, 1]) + fixed
    if strategy.trains_all:
        used = np.array([CostModel().full(s for s in specs if s.trainable)])
    sparsity = 1 - each.mean(axis=0) / whole
    return Footprint(
        used_bytes=int(used.max()),
        used_elements=int((each[:, 0] + each[:, 1]).max()),
        full_bytes=CostModel(BYTES).full(specs),
        full_elements=CostModel(ELEMENTS).full(specs),
        trained_weights=int(each[:, 0].max()),
        weight_sparsity=float(sparsity[0]),
        activation_sparsity=float(sparsity[1]),
        gradient_flops_saved=float(sparsity[2]),
    )


def _whole(spec: LayerSpec) -> tuple[int, int, int]:
    """(weights, activations, multiply-accumulates) of a layer; nothing of a head, as in the papers.

    A layer's weight gradient takes as many multiply-accumulates as its forward pass.
    """
    if spec.is_head:
        return 0, 0, 0
    return spec.weight_elements, spec.channels * spec.activation_elements, spec.macs


def _drawn(spec: LayerSpec, plan: UpdatePlan, strategy: Strategy) -> tuple[float, float, float]:
    """The part of `_whole` that a plan trains; each channel, or neuron, has the same."""
    weights, activations, work = _whole(spec)
    count = len(plan.channels_of(spec.name))
    if strategy.draws_neurons:  # whose gradient takes all of the layer's input
        share = count / spec.outputs
        return share * weights, activations if count else 0, share * work
    share = count / spec.channels
    return share * weights, share * activations, share * work
