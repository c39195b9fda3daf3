"""The picture of what training achieved: losses and accuracies over the epochs."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tf_medyate.report import summary
from tf_medyate.report.record import TrainingRecord
from tf_medyate.report.theme import BODY, Picture, Theme, clean, epoch_axis, frame

_MOST_PANELS = 4
_PANEL_INCHES = 1.8
_MOST_MARKERS = 30
# Labels closer than this share of the panel's height would overlap.
_LABEL_DISTANCE = 0.11


def learning_curves(report: TrainingRecord, theme: Theme) -> Picture | None:
    """One panel per metric; training and validation share a panel."""
    names = [name for name in summary.log_names(report) if summary.progress(report, name)]
    bases = list(dict.fromkeys(summary.base_name(name) for name in names))[:_MOST_PANELS]
    outcome = summary.headline(report)
    if not bases or outcome is None:
        return None
    title = _title(outcome)
    subtitle = _subtitle(outcome)
    figure = frame(title, subtitle, _PANEL_INCHES * len(bases) + 0.5, theme)
    panels = figure.subplots(len(bases), 1, sharex=True, squeeze=False)[:, 0]
    for axes, base in zip(panels, bases, strict=True):
        clean(axes, theme, grid="y")
        epoch_axis(axes, [record.epoch + 1 for record in report.epochs], theme)
        axes.label_outer()
        shown = [name for name in names if summary.base_name(name) == base]
        _panel(axes, report, shown, theme)
        axes.set_title(summary.log_title(base), loc="left", size=BODY + 1, color=theme.ink, pad=6)
    return Picture("learning_curves", title, figure)


def _title(outcome: summary.Progress) -> str:
    words = summary.log_title(outcome.name).capitalize()
    first = summary.format_log(outcome.name, outcome.first)
    last = summary.format_log(outcome.name, outcome.last)
    if first == last:
        return f"{words}: {last}"
    way = "rose" if outcome.last > outcome.first else "fell"
    return f"{words} {way} from {first} to {last}"


def _subtitle(outcome: summary.Progress) -> str:
    best = summary.format_log(outcome.name, outcome.best)
    return f"End of the first epoch to end of the last. Best: {best} in epoch {outcome.best_epoch}."


def _panel(axes: Axes, report: TrainingRecord, names: list[str], theme: Theme) -> None:
    """Draws the lines of one metric, each labelled at its end."""
    ends = []
    for name in names:
        values = np.array([record.logs.get(name, np.nan) for record in report.epochs])
        places = np.flatnonzero(np.isfinite(values))
        color = theme.orange if summary.is_validation(name) else theme.blue
        marker = "o" if len(places) <= _MOST_MARKERS else None
        (line,) = axes.plot(places + 1, values[places], color=color, linewidth=1.9, marker=marker)
        line.set(markersize=3.6, clip_on=False)
        word = "validation" if summary.is_validation(name) else "training"
        last = float(values[places[-1]])
        ends.append((last, f"{word} {summary.format_log(name, last)}", color))
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    # No steps of 2.5: their labels would be rounded.
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    if summary.is_share(names[0]) and -0.1 <= low < high <= 1.1:  # 0 to 1 with its margins
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if high - low > 0.05 else 1))
        low, high = max(low, -0.005), min(high, 1.005)
        axes.set_ylim(low, high)
    _label_ends(axes, ends, theme)


def _label_ends(axes: Axes, ends: list[tuple[float, str, str]], theme: Theme) -> None:
    """Writes each line's name at its end, pushed apart where two would overlap."""
    low, high = axes.get_ylim()
    ends = sorted(ends)
    heights = [(value - low) / (high - low) for value, _, _ in ends]
    if len(heights) == 2 and (missing := _LABEL_DISTANCE - (heights[1] - heights[0])) > 0:
        heights = [heights[0] - missing / 2, heights[1] + missing / 2]
    for height, (_, label, color) in zip(heights, ends, strict=True):
        axes.annotate(
            "●",
            (1, height),
            xycoords="axes fraction",
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            size=BODY - 1,
            color=color,
        )
        axes.annotate(
            label,
            (1, height),
            xycoords="axes fraction",
            xytext=(15, 0),
            textcoords="offset points",
            va="center",
            size=BODY,
            color=theme.ink,
        )
