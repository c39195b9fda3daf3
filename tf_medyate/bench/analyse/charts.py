"""The pictures of a bench: t-test heat map, critical differences, accuracy against budget.

Example:
    >>> for picture in draw(Panel(results)):
    ...     (folder / f"{picture.name}.png").write_bytes(picture.png())
"""

from __future__ import annotations

import math

import numpy as np
import scipy.optimize
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from tf_medyate.bench.analyse.panel import ALL_LEVELS, Panel
from tf_medyate.bench.analyse.statistics import ALPHA, Ranks, between, holm, pairwise, rank
from tf_medyate.bench.plan.suites import label
from tf_medyate.report.theme import BODY, LIGHT, Picture, Theme, clean, frame

_MARKERS = "osD^vP*Xh<>pd"
# Okabe and Ito's palette without black and yellow, which vanish on one ground or the other.
_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#7f8a95")
_FEWEST_BLOCKS = 2
_SATURATED = 0.85
_MANY = 9


def draw(panel: Panel, theme: Theme = LIGHT) -> tuple[Picture, ...]:
    """Draws every picture that the results allow."""
    makers = (differences, critical_differences, accuracy_by_budget)
    pictures = (maker(panel, theme) for maker in makers)
    return tuple(picture for picture in pictures if picture is not None)


def _by_rank(panel: Panel) -> tuple[Ranks, dict]:
    columns = panel.columns(ALL_LEVELS)
    return rank(columns), columns


def differences(panel: Panel, theme: Theme) -> Picture | None:
    """Heat map of mean paired differences, marked where they are no chance."""
    ranks, columns = _by_rank(panel)
    if len(ranks.names) < 2 or ranks.blocks < 1:
        return None
    found = pairwise({name: columns[name] for name in ranks.names})
    size = len(ranks.names)
    means, sure = np.full((size, size), np.nan), np.zeros((size, size), bool)
    for (a, b), (comparison, p) in found.items():
        row, column = ranks.names.index(a), ranks.names.index(b)
        means[row, column], means[column, row] = comparison.mean, -comparison.mean
        sure[row, column] = sure[column, row] = p <= ALPHA
    count = int(sure.sum()) // 2
    sure_ones = f"{count} of {len(found)} differences" if count else "No difference"
    title = f"{sure_ones} {'are' if count > 1 else 'is'} significant"
    subtitle = (
        f"Row minus column in points of accuracy, budgets averaged, {ranks.blocks} blocks. Framed, "
        f"bold: paired t-test, p at most {ALPHA:g} after Holm's correction. Best mean rank first."
    )
    figure = frame(title, subtitle, 1.5 + 0.3 * size, theme)
    axes = figure.add_subplot()
    clean(axes, theme)
    _cells(axes, means, sure, theme)
    names = [label(name) for name in ranks.names]
    axes.set_xticks(range(size), names, rotation=45, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(size), names)
    axes.xaxis.tick_top()
    axes.tick_params(labelcolor=theme.ink)
    return Picture("differences", title, figure)


def _cells(axes: Axes, means: np.ndarray, sure: np.ndarray, theme: Theme) -> None:
    """Coloured squares with their numbers; the scale is symmetric, so that zero has no colour."""
    sizes = np.abs(means[np.isfinite(means)])
    # One far-off strategy, such as the head alone, must not take the colour from all others.
    most = float(np.quantile(sizes, _SATURATED)) if sizes.size else 0.0
    ramp = LinearSegmentedColormap.from_list(
        "worse_better", [theme.orange, theme.background, theme.blue]
    )
    # Wider than the data, so that ink stays readable on the strongest colour of either theme.
    norm = Normalize(-1.7 * max(most, 1e-9), 1.7 * max(most, 1e-9))
    axes.imshow(np.clip(means, -most, most), cmap=ramp, norm=norm, aspect="auto")
    digits = BODY - 1.5 if len(means) <= _MANY else BODY - 2.5
    for row, column in np.argwhere(np.isfinite(means)):
        value, strong = float(means[row, column]), bool(sure[row, column])
        axes.text(
            column, row, _signed(value), ha="center", va="center", color=theme.ink,
            size=digits, weight="bold" if strong else "normal",
        )  # fmt: skip
        if strong:
            axes.add_patch(_square(column, row, theme))


def _signed(value: float) -> str:
    if abs(value) < 0.05:
        return "0.0"
    return f"{value:+.0f}" if abs(value) >= 9.95 else f"{value:+.1f}"


def _square(column: float, row: float, theme: Theme) -> Rectangle:
    return Rectangle(
        (column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=theme.ink, linewidth=0.9
    )


def critical_differences(panel: Panel, theme: Theme) -> Picture | None:
    """Mean ranks, a row for each strategy; whiskers that do not overlap tell two apart."""
    ranks, _ = _by_rank(panel)
    if len(ranks.names) < 3 or ranks.blocks < _FEWEST_BLOCKS or math.isnan(ranks.p):
        return None
    title = rank_title(ranks)
    critical = ranks.critical_difference
    subtitle = (
        f"Mean rank over {ranks.blocks} blocks, 1 is best; Friedman's test: {_p(ranks.p)}. "
        f"Whiskers: half of Nemenyi's critical difference of {critical:.2f} to each side. Where "
        f"two do not overlap, the strategies differ at {ALPHA:.0%}."
    )
    count = len(ranks.names)
    figure = frame(title, subtitle, 0.7 + 0.2 * count, theme)
    axes = figure.add_subplot()
    clean(axes, theme, grid="x")
    tied = ranks.best if ranks.significant else ranks.names
    colors = [theme.blue if name in tied else theme.muted for name in ranks.names]
    means, rows = np.array(ranks.mean_ranks), np.arange(count)
    half = critical / 2
    axes.hlines(rows, means - half, means + half, colors=colors, linewidth=1.8)
    axes.scatter(means, rows, s=30, c=colors, zorder=3)
    if ranks.significant:
        axes.axvline(means[0] + half, color=theme.blue, linewidth=0.9, linestyle=(0, (4, 3)))
    names = [f"{label(name)}  {mean:.2f}" for name, mean in zip(ranks.names, means, strict=True)]
    axes.set_yticks(rows, names)
    axes.tick_params(axis="y", labelcolor=theme.ink)
    axes.set_ylim(count - 0.4, -0.6)
    axes.set_xticks(range(1, count + 1, 1 if count <= _MANY else 2))
    axes.set_xlim(min(1.0, means.min() - half) - 0.1, max(count, means.max() + half) + 0.1)
    axes.set_xlabel("mean rank", color=theme.muted, size=BODY)
    return Picture("critical_differences", title, figure)


def rank_title(ranks: Ranks) -> str:
    """What the mean ranks say, no more than their test does."""
    if not ranks.significant:
        return f"No strategy ranks better than another: Friedman's test, {_p(ranks.p)}"
    best, others = label(ranks.names[0]), len(ranks.best) - 1
    text = f"{best} has the best mean rank, {ranks.mean_ranks[0]:.2f}"
    return text + _not_worse(others)


def _p(p: float) -> str:
    return f"p = {p:.2g}" if p >= 1e-4 else "p < 0.0001"


def _not_worse(count: int) -> str:
    others = "1 other is" if count == 1 else f"{count} others are"
    return f"; {others} not significantly worse" if count else ""


def accuracy_by_budget(panel: Panel, theme: Theme) -> Picture | None:
    """Mean accuracy against the budget, a line for each strategy that has one."""
    if not panel.levels:
        return None
    places = {level: _share_of_full(panel, level) for level in panel.levels}
    columns = {level: panel.columns(level) for level in panel.levels}
    budgeted = [n for n in panel.strategies if any(panel.of(n, lv) and _has(panel, n, lv)
                                                   for lv in panel.levels)]  # fmt: skip
    if not budgeted:
        return None
    last = panel.levels[-1]
    title = _accuracy_title(panel.levels[0], {n: columns[panel.levels[0]][n] for n in budgeted})
    subtitle = (
        "Mean accuracy over all blocks; the budget as mean share of full fine-tuning's bytes. "
        f"Title: paired t-tests by block, p at most {ALPHA:g} after Holm's correction."
    )
    figure = frame(title, subtitle, 3.6, theme)
    axes = figure.add_subplot()
    clean(axes, theme, grid="y")
    ends = {}
    for number, name in enumerate(budgeted):
        x = [places[level] for level in panel.levels if name in columns[level]]
        y = [float(np.mean(list(columns[level][name].values()))) for level in panel.levels
             if name in columns[level]]  # fmt: skip
        axes.plot(x, y, color=_COLORS[number % len(_COLORS)], marker=_MARKERS[number % 13],
                  markersize=5, linewidth=1.6)  # fmt: skip
        ends[label(name)] = (x[-1], y[-1], _COLORS[number % len(_COLORS)])
    fixed = [name for name in panel.strategies if name not in budgeted]
    for name in fixed:
        level = float(np.mean(list(columns[last][name].values())))
        axes.axhline(level, color=theme.muted, linewidth=1.0, linestyle=(0, (4, 3)))
        ends[label(name)] = (max(places.values()), level, theme.muted)
    axes.set_xscale("log")
    axes.set_xticks(list(places.values()), [f"{100 * x:.3g} %" for x in places.values()])
    axes.set_xticks([], minor=True)
    axes.set_xlim(min(places.values()) / 1.06, max(places.values()) * 1.06)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    axes.set_xlabel("budget as share of full fine-tuning", color=theme.muted, size=BODY)
    _end_labels(axes, ends)
    return Picture("accuracy_by_budget", title, figure)


def _accuracy_title(level: str, columns: dict) -> str:
    """Names the most accurate strategy at a budget, if paired t-tests tell it from the others."""
    means = {name: float(np.mean(list(column.values()))) for name, column in columns.items()}
    best = max(means, key=means.__getitem__)
    found = [between(columns[best], columns[name]) for name in columns if name != best]
    tied = sum(not p <= ALPHA for p in holm([comparison.p for comparison in found]))
    if not found:
        return f"{label(best)} reaches {means[best]:.1f} % at {level}"
    if tied == len(found):
        return f"At {level} no strategy is significantly more accurate than the others"
    text = f"At {level} {label(best)} is the most accurate"
    return text + _not_worse(tied)


def _has(panel: Panel, name: str, level: str) -> bool:
    return any(r.run.budget is not None for rs in panel.of(name, level).values() for r in rs)


def _share_of_full(panel: Panel, level: str) -> float:
    return float(
        np.mean(
            [
                result.budget_bytes / result.full_bytes
                for result in panel.results
                if result.run.budget and result.run.budget.level == level
            ]
        )
    )


def _end_labels(axes: Axes, ends: dict[str, tuple[float, float, str]]) -> None:
    """Names the lines beside their right ends, moved apart as little as it takes."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.048
    names = sorted(ends, key=lambda name: ends[name][1])
    steps = gap * np.arange(len(names))
    wanted = np.array([ends[name][1] for name in names])
    # The nearest heights, in the sense of least squares, that are at least a gap apart.
    heights = scipy.optimize.isotonic_regression(wanted - steps).x + steps
    heights -= min(0.0, heights[0] - low)  # the lowest label stays above the axis
    for name, height in zip(names, heights, strict=True):
        _, y, color = ends[name]
        axes.plot([1.012, 1.04], [y, height], transform=axes.get_yaxis_transform(), color=color,
                  linewidth=0.8, clip_on=False)  # fmt: skip
        axes.annotate(
            name, (1.05, height), xycoords=("axes fraction", "data"), va="center",
            size=BODY - 0.5, color=color, annotation_clip=False,
        )  # fmt: skip
