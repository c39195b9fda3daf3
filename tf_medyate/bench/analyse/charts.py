"""The pictures of a bench: t-test heat map, critical differences, accuracy against budget.

Example:
    >>> for picture in draw(Panel(results)):
    ...     (folder / f"{picture.name}.png").write_bytes(picture.png())
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from tf_medyate.bench.analyse.panel import ALL_LEVELS, Panel
from tf_medyate.bench.analyse.statistics import ALPHA, Ranks, pairwise, rank
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
    return f"{value:+.0f}" if abs(value) >= 9.95 else f"{value:+.1f}"


def _square(column: float, row: float, theme: Theme) -> Rectangle:
    return Rectangle(
        (column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=theme.ink, linewidth=0.9
    )


def critical_differences(panel: Panel, theme: Theme) -> Picture | None:
    """Mean ranks on a line; a bar joins what Nemenyi's test cannot tell apart."""
    ranks, _ = _by_rank(panel)
    if len(ranks.names) < 3 or ranks.blocks < _FEWEST_BLOCKS or math.isnan(ranks.p):
        return None
    cliques = ranks.cliques()
    title = _rank_title(ranks)
    likely = f"p = {ranks.p:.2g}" if ranks.p >= 1e-4 else "p < 0.0001"
    subtitle = (
        f"Friedman's test over {ranks.blocks} blocks: {likely}. A bar joins strategies closer than "
        f"Nemenyi's critical difference of {ranks.critical_difference:.2f} ranks (5 %)."
    )
    half = math.ceil(len(ranks.names) / 2)
    figure = frame(title, subtitle, 0.9 + 0.2 * half + 0.1 * len(cliques), theme)
    axes = figure.add_subplot()
    clean(axes, theme)
    _rank_line(axes, ranks, half, cliques, theme)
    return Picture("critical_differences", title, figure)


def _rank_title(ranks: Ranks) -> str:
    best, leaders = ranks.mean_ranks[0], ranks.leaders
    if len(leaders) == len(ranks.names):
        return "All strategies have the same mean rank"
    if len(leaders) > 1:
        return f"{len(leaders)} strategies share the best mean rank, {best:.2f}"
    return f"{label(ranks.names[0])} has the best mean rank, {best:.2f}"


def _rank_line(
    axes: Axes, ranks: Ranks, half: int, cliques: Sequence[tuple[int, int]], theme: Theme
) -> None:
    """The better half is named on the left, the others on the right, as Demsar draws it."""
    count, bars = len(ranks.names), 0.45 * len(cliques)
    axes.set_xlim(1 - 0.42 * (count - 1), count + 0.42 * (count - 1))
    axes.set_ylim(1.0 + bars + half + 0.3, -2.2)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.plot([1, count], [0, 0], color=theme.ink, linewidth=1.2)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [0, -0.25], color=theme.ink, linewidth=1.0)
        if count > _MANY and tick % 2 == 0:  # two digits would touch
            continue
        axes.text(tick, -0.4, f"{tick}", ha="center", va="bottom", size=BODY, color=theme.muted)
    critical = ranks.critical_difference
    axes.plot([1, 1 + critical], [-1.75, -1.75], color=theme.alarm, linewidth=2.0)
    axes.text(1 + critical, -1.75, f"  critical difference {critical:.2f}", va="center", size=BODY,
              color=theme.alarm)  # fmt: skip
    for place, (name, value) in enumerate(zip(ranks.names, ranks.mean_ranks, strict=True)):
        left = place < half
        depth = 1.0 + bars + (place if left else count - 1 - place)
        edge = 0.8 if left else count + 0.2
        axes.plot([value, value, edge], [0, depth, depth], color=theme.muted, linewidth=0.8)
        text = f"{label(name)}  {value:.2f} " if left else f" {value:.2f}  {label(name)}"
        axes.text(edge, depth, text, ha="right" if left else "left", va="center", size=BODY,
                  color=theme.ink)  # fmt: skip
    for level, (first, last) in enumerate(cliques):
        y = 0.4 + 0.45 * level
        ends = [ranks.mean_ranks[first] - 0.04, ranks.mean_ranks[last] + 0.04]
        axes.plot(ends, [y, y], color=theme.blue, linewidth=3.2, solid_capstyle="round")


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
    best = max(budgeted, key=lambda n: float(np.mean(list(columns[panel.levels[0]][n].values()))))
    title = f"At the smallest budget {label(best)} is the most accurate"
    subtitle = (
        "Mean accuracy over all blocks; the budget as mean share of full fine-tuning's bytes."
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
    """Names the lines at their right ends, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.048
    names = sorted(ends, key=lambda name: ends[name][1])
    heights = [ends[name][1] for name in names]
    for place in range(1, len(heights)):
        heights[place] = max(heights[place], heights[place - 1] + gap)
    over = max(0.0, heights[-1] - high)
    for place in reversed(range(len(heights))):  # push back down what was pushed out at the top
        limit = heights[place + 1] - gap if place + 1 < len(heights) else heights[-1] - over
        heights[place] = min(heights[place], limit)
    for name, height in zip(names, heights, strict=True):
        axes.annotate(
            name, (1.01, height), xycoords=("axes fraction", "data"), va="center",
            size=BODY - 0.5, color=ends[name][2], annotation_clip=False,
        )  # fmt: skip
