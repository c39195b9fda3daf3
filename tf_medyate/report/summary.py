"""Figures that all renderings of a report share, derived in one place."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from tf_medyate.cost import CostModel
from tf_medyate.report.record import TrainingRecord
from tf_medyate.spec import BYTES, KIB, LayerSpec, UpdatePlan

_VALIDATION = "val_"
_RATES = ("lr", "learning_rate")


@dataclasses.dataclass(frozen=True)
class EpochSummary:
    """What one epoch trained. Costs are in the budget's unit.

    Attributes:
        number: The epoch as people count, from 1.
        draw: Number of the draw; it repeats while a draw lasts several epochs.
        channels: Channels drawn.
        layers: Layers with at least one drawn channel.
        fixed: Cost of head and biases.
        weights: Share of the drawn channels' cost that their weights cause.
        activations: The rest of the drawn channels' cost.
        fill: `used` as a share of the budget.
        trained: Distinct channels trained so far, this epoch included.
        logs: Keras' logs.
        seconds: Wall time.
    """

    number: int
    draw: int
    channels: int
    layers: int
    fixed: int
    weights: int
    activations: int
    fill: float
    trained: int
    logs: Mapping[str, float]
    seconds: float

    @property
    def used(self) -> int:
        """Everything that the update occupied."""
        return self.fixed + self.weights + self.activations


@dataclasses.dataclass(frozen=True)
class LayerSummary:
    """How one layer was treated over the whole run.

    Attributes:
        spec: The layer.
        channel_cost: Cost of one channel, in the budget's unit.
        share: Share of the ranking's total score; None if the layer is not ranked.
        candidate: The layer could be drawn from.
        epochs_drawn: Epochs in which at least one of its channels was drawn.
        mean_share: Share of its channels that were drawn, averaged over all epochs.
        trained: Distinct channels trained.
    """

    spec: LayerSpec
    channel_cost: int
    share: float | None
    candidate: bool
    epochs_drawn: int
    mean_share: float
    trained: int


@dataclasses.dataclass(frozen=True)
class Progress:
    """One log's way through the epochs; epochs without a finite value are left out."""

    name: str
    first: float
    last: float
    best: float
    best_epoch: int

    @property
    def rising(self) -> bool:
        """Larger is better."""
        return rises(self.name)

    def __str__(self) -> str:
        first, last = format_log(self.name, self.first), format_log(self.name, self.last)
        words = log_title(self.name)
        if first == last:
            return f"{words} {last}"
        return f"{words} from {first} to {last}"


def candidates(report: TrainingRecord) -> tuple[LayerSpec, ...]:
    """The layers that could be, or were, drawn from, in execution order."""
    names = set(report.candidates or report.ranking.kept)
    names.update(draw.layer for record in report.epochs for draw in record.plan.layers)
    return tuple(spec for spec in report.specs if spec.name in names)


def epochs(report: TrainingRecord) -> tuple[EpochSummary, ...]:
    """One summary per epoch."""
    specs = {spec.name: spec for spec in report.specs}
    seen: set[tuple[str, int]] = set()
    rows = []
    for record in report.epochs:
        plan = record.plan
        seen.update((draw.layer, channel) for draw in plan.layers for channel in draw.channels)
        weights = _weight_part(plan, specs, report.cost)
        rows.append(
            EpochSummary(
                number=record.epoch + 1,
                draw=plan.draw,
                channels=plan.channel_count,
                layers=len(plan.layers),
                fixed=plan.fixed,
                weights=weights,
                activations=plan.drawn - weights,
                fill=plan.used / report.budget.amount,
                trained=len(seen),
                logs=record.logs,
                seconds=record.seconds,
            )
        )
    return tuple(rows)


def _weight_part(plan: UpdatePlan, specs: Mapping[str, LayerSpec], cost: CostModel) -> int:
    """The part of `plan.drawn` that weights cause; exact if `cost` is what the plan used."""
    weights = total = 0
    for draw in plan.layers:
        spec = specs[draw.layer]
        bare = dataclasses.replace(spec, activation_elements=0)
        weights += len(draw.channels) * cost.channel(bare)
        total += len(draw.channels) * cost.channel(spec)
    return round(plan.drawn * weights / total) if total else plan.drawn


def layers(report: TrainingRecord) -> tuple[LayerSummary, ...]:
    """One summary per weighted layer, in execution order."""
    total = sum(report.ranking.scores)
    scores = dict(zip(report.ranking.order, report.ranking.scores, strict=True))
    drawable = {spec.name for spec in candidates(report)}
    rows = []
    for spec in report.specs:
        draws = [record.plan.channels_of(spec.name) for record in report.epochs]
        score = scores.get(spec.name)
        rows.append(
            LayerSummary(
                spec=spec,
                channel_cost=report.cost.channel(spec),
                share=None if score is None or total <= 0 else score / total,
                candidate=spec.name in drawable,
                epochs_drawn=sum(1 for draw in draws if draw),
                mean_share=sum(map(len, draws)) / (len(draws) * spec.channels) if draws else 0.0,
                trained=len({channel for draw in draws for channel in draw}),
            )
        )
    return tuple(rows)


def candidate_channels(report: TrainingRecord) -> int:
    """Channels of all layers that could be drawn from."""
    return sum(spec.channels for spec in candidates(report))


def log_names(report: TrainingRecord) -> tuple[str, ...]:
    """The logs that exist: loss, accuracies, others; each followed by its validation twin.

    The learning rate is left out: it is a setting, not an outcome.
    """
    found = dict.fromkeys(name for record in report.epochs for name in record.logs)
    bases = dict.fromkeys(name.removeprefix(_VALIDATION) for name in found)
    kept = [base for base in bases if base not in _RATES]
    kept.sort(key=lambda base: (base != "loss", not is_share(base)))
    twins = [name for base in kept for name in (base, _VALIDATION + base)]
    return tuple(name for name in twins if name in found)


def base_name(log: str) -> str:
    """The log's name without "val_"."""
    return log.removeprefix(_VALIDATION)


def is_validation(log: str) -> bool:
    """The log was measured on validation data."""
    return log.startswith(_VALIDATION)


def is_share(log: str) -> bool:
    """The log is an accuracy: shown in percent, and the larger the better."""
    return "acc" in log.lower()


def rises(log: str) -> bool:
    """A larger value is better, as far as the name tells."""
    words = ("acc", "auc", "precision", "recall", "f1", "iou", "score")
    return any(word in log.lower() for word in words)


def log_title(log: str) -> str:
    """The log's name in words: "val_accuracy" is "validation accuracy"."""
    words = base_name(log).replace("_", " ")
    return f"validation {words}" if is_validation(log) else words


def format_log(log: str, value: float | None) -> str:
    """Renders a log with the digits that matter: accuracies in percent."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    if is_share(log) and 0 <= value <= 1:
        return f"{value:.1%}"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def progress(report: TrainingRecord, name: str) -> Progress | None:
    """The way of one log through the run; None if it was never finite."""
    points = [
        (record.logs[name], record.epoch + 1)
        for record in report.epochs
        if math.isfinite(record.logs.get(name, math.nan))
    ]
    if not points:
        return None
    best = (max if rises(name) else min)(points, key=lambda point: point[0])
    return Progress(name, points[0][0], points[-1][0], *best)


def headline(report: TrainingRecord) -> Progress | None:
    """The log that tells best how well the run went: a validation accuracy if there is one."""
    names = log_names(report)
    for wanted in (lambda n: is_validation(n) and is_share(n), is_share, is_validation, bool):
        for name in filter(wanted, names):
            if found := progress(report, name):
                return found
    return None


def peak(report: TrainingRecord) -> int:
    """The most that any epoch used, in the budget's unit; 0 before the first."""
    return max((record.plan.used for record in report.epochs), default=0)


def over_budget(report: TrainingRecord) -> int:
    """Epochs that used more than the budget; anything but 0 is a defect."""
    return sum(record.plan.used > report.budget.amount for record in report.epochs)


def versus_budget(report: TrainingRecord) -> str:
    """The cost of full fine-tuning in terms of the budget."""
    ratio = report.cost.full(report.specs) / report.budget.amount
    return f"{ratio:,.1f} times the budget" if ratio > 1 else f"{ratio:.0%} of the budget: it fits"


def unit_scale(report: TrainingRecord) -> tuple[float, str]:
    """Divisor and unit in which an axis or a column shows the budget's amounts."""
    if report.budget.unit != BYTES:
        return 1.0, report.budget.unit
    return (float(KIB), "KiB") if report.budget.amount >= KIB else (1.0, "bytes")
