"""The pictures of a report, drawn without any global state of matplotlib."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tf_medyate.report import summary, words
from tf_medyate.report.curves import learning_curves
from tf_medyate.report.heatmap import drawn_channels
from tf_medyate.report.record import TrainingRecord
from tf_medyate.report.theme import BODY, LIGHT, Picture, Theme, clean, epoch_axis, frame, legend
from tf_medyate.spec import LayerRanking

_MOST_RANKED = 60
_LOG_SPREAD = 50.0
_NAME_WIDTH = 28
_MOST_APART = 60


def draw(report: TrainingRecord, theme: Theme = LIGHT) -> tuple[Picture, ...]:
    """Draws every picture that has something to show."""
    makers = (layer_ranking, drawn_channels, memory, learning_curves)
    pictures = (maker(report, theme) for maker in makers)
    return tuple(picture for picture in pictures if picture is not None)


def layer_ranking(report: TrainingRecord, theme: Theme) -> Picture | None:
    """The layers' scores, best first, and which of them are kept."""
    ranking = report.ranking
    if not ranking.order:
        return None
    title = _ranking_title(ranking)
    subtitle = "Percent: share of the total score. In brackets: place in the network."
    hidden = len(ranking.order) - _MOST_RANKED
    if hidden > 0:
        subtitle += f" The {hidden} lowest layers are not shown."
    names, scores = ranking.order[:_MOST_RANKED], np.array(ranking.scores[:_MOST_RANKED])
    figure = frame(title, subtitle, 0.95 + 0.2 * len(names), theme)
    axes = figure.add_subplot()
    logarithmic = bool(scores.min() > 0 and scores.max() > _LOG_SPREAD * scores.min())
    clean(axes, theme, grid="x")
    _score_bars(axes, report, names, scores, logarithmic, theme)
    axes.set_xlabel(
        f"{ranking.method} score{', logarithmic' if logarithmic else ''}",
        color=theme.muted,
        size=BODY,
    )
    _layer_labels(axes, report, names, theme)
    return Picture("layer_ranking", title, figure)


def _ranking_title(ranking: LayerRanking) -> str:
    layers, kept = words.plural(len(ranking.order), "layer"), len(ranking.kept)
    if kept == len(ranking.order):
        return f"All {layers} are kept, ranked by {ranking.method} score"
    if not kept:
        return f"None of {layers} is kept, ranked by {ranking.method} score"
    return f"{kept} of {layers} hold {ranking.covered:.1%} of the {ranking.method} score"


def _score_bars(
    axes: Axes,
    report: TrainingRecord,
    names: tuple[str, ...],
    scores: np.ndarray,
    logarithmic: bool,
    theme: Theme,
) -> None:
    """Bars on a linear axis; on a logarithmic one, where length means little, dots on stems."""
    kept = [name in report.ranking.kept for name in names]
    colors = [theme.blue if is_kept else theme.pale for is_kept in kept]
    places = np.arange(len(names))
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(scores.min() / 1.6, scores.max() * 3.0)
        axes.hlines(places, scores.min() / 1.6, scores, colors=colors, linewidth=1.6)
        axes.scatter(scores, places, s=34, c=colors, zorder=3)
    else:
        axes.barh(places, scores, height=0.68, color=colors)
        axes.set_xlim(min(0.0, scores.min() * 1.1), max(scores.max() * 1.12, 1e-30))
        axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4), useMathText=True)
        axes.xaxis.get_offset_text().set(color=theme.muted, size=BODY)
    axes.set_ylim(len(names) - 0.4, -0.6)
    total = sum(report.ranking.scores)
    for place, (score, is_kept) in enumerate(zip(scores, kept, strict=True)):
        axes.annotate(
            _share(score / total) if total > 0 else f"{score:.2g}",
            (score if logarithmic else max(score, 0.0), place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            size=BODY - 0.5,
            color=theme.ink if is_kept else theme.muted,
        )
    handles = [Patch(color=theme.blue, label="kept"), Patch(color=theme.pale, label="not kept")]
    legend(axes, theme, handles if not all(kept) else handles[:1])


def _share(share: float) -> str:
    return "< 0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def _layer_labels(axes: Axes, report: TrainingRecord, names: tuple[str, ...], theme: Theme) -> None:
    places = {spec.name: spec.index + 1 for spec in report.specs}
    labels = [
        words.shorten(name, _NAME_WIDTH) + (f"  [{places[name]}]" if name in places else "")
        for name in names
    ]
    axes.set_yticks(range(len(names)), labels, parse_math=False)
    for name, label in zip(names, axes.get_yticklabels(), strict=True):
        label.set_color(theme.ink if name in report.ranking.kept else theme.muted)


def memory(report: TrainingRecord, theme: Theme) -> Picture | None:
    """What each epoch used, stacked, against the budget."""
    rows = summary.epochs(report)
    if not rows:
        return None
    budget, scale, unit = report.budget, *summary.unit_scale(report)
    title = _memory_title(report)
    full = budget.format(report.cost.full(report.specs))
    subtitle = f"Training every weight of the model would take {full}."
    figure = frame(title, subtitle, 3.1, theme)
    axes = figure.add_subplot()
    clean(axes, theme, grid="y")
    _memory_bars(axes, rows, scale, theme)
    line, top = budget.amount / scale, max(budget.amount, summary.peak(report)) / scale
    axes.axhline(line, color=theme.alarm, linewidth=1.8)
    axes.annotate(
        f"budget {budget.format(budget.amount)}",
        (1, line),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        size=BODY,
        weight="bold",
        color=theme.alarm,
    )
    axes.set_ylim(0, top * 1.1)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=top > 6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_ylabel(unit, color=theme.muted, size=BODY)
    epoch_axis(axes, [row.number for row in rows], theme)
    legend(axes, theme)
    return Picture("memory", title, figure)


def _memory_title(report: TrainingRecord) -> str:
    amount = report.budget.amount
    shares = [record.plan.used / amount for record in report.epochs]
    least, most = words.percent(min(shares)), words.percent(max(shares))
    if count := summary.over_budget(report):
        return f"{words.plural(count, 'epoch')} over budget: up to {most} used"
    used = most if least == most else f"{least} to {most}"
    return f"Every epoch fits {report.budget.format(amount)}: {used} used"


def _memory_bars(
    axes: Axes, rows: tuple[summary.EpochSummary, ...], scale: float, theme: Theme
) -> None:
    parts = (
        ("head, biases", [row.fixed for row in rows], theme.pale),
        ("drawn weights", [row.weights for row in rows], theme.blue),
        ("their activations", [row.activations for row in rows], theme.orange),
    )
    # Bars that touch would show hairlines between them where they are anti-aliased.
    apart = len(rows) <= _MOST_APART
    width = 0.78 * min(1.0, len(rows) / 5) if apart else 1.0
    x, bottom = np.arange(1, len(rows) + 1), np.zeros(len(rows))
    for label, costs, color in parts:
        height = np.array(costs) / scale
        axes.bar(x, height, width, bottom, color=color, label=label, antialiased=apart)
        bottom += height
