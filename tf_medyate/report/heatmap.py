"""The picture of the channels that were drawn, epoch by epoch."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tf_medyate.report import summary, words
from tf_medyate.report.record import TrainingRecord
from tf_medyate.report.theme import BODY, Picture, Theme, clean, epoch_axis, frame
from tf_medyate.spec import LayerSpec

_MOST_CHANNELS = 600
_LABEL_INCHES = 0.16
_GAP_INCHES = 0.06
_NAME_WIDTH = 22
# Drawn channels are 1; the ramp's last quarter is too dark to be a fill.
_FILLED = 1.35


def drawn_channels(report: TrainingRecord, theme: Theme) -> Picture | None:
    """A heat map: one row per channel in small nets, one per layer in others."""
    layers = summary.candidates(report)
    if not layers or not report.epochs:
        return None
    total, trained = summary.candidate_channels(report), summary.epochs(report)[-1].trained
    share = words.percent(trained / total)
    title = f"{share} of candidate channels trained at least once"
    maker = _by_channel if total <= _MOST_CHANNELS else _by_layer
    return Picture("drawn_channels", title, maker(report, layers, title, theme))


def _panels(figure: Figure, theme: Theme) -> tuple[Axes, Axes]:
    """The map, and a narrow panel of bars at its right that shares its rows."""
    main, side = figure.subplots(1, 2, sharey=True, width_ratios=(5, 1))
    for axes in (main, side):
        clean(axes, theme)
    side.tick_params(labelleft=False)
    side.set_xlim(0, 1)
    side.set_xticks((0, 1))
    side.grid(True, axis="x", color=theme.grid, linewidth=0.8)
    side.xaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    return main, side


def _by_channel(
    report: TrainingRecord, layers: tuple[LayerSpec, ...], title: str, theme: Theme
) -> Figure:
    """Rows are channels, grouped by layer; a cell is filled where the channel was drawn."""
    total = sum(spec.channels for spec in layers)
    row_inches = min(0.07, max(0.012, 4.2 / total))
    heights = [max(_LABEL_INCHES, spec.channels * row_inches) for spec in layers]
    subtitle = (
        "One row per channel, grouped by layer, the input at the top; filled where the channel "
        "was drawn. The head is always trained and not shown."
    )
    body = sum(heights) + _GAP_INCHES * len(layers) + 0.8
    figure = frame(title, subtitle, body, theme)
    main, side = _panels(figure, theme)
    columns = np.arange(len(report.epochs) + 1) + 0.5
    top, middles = 0.0, []
    for spec, height in zip(layers, heights, strict=True):
        drawn = _drawn(report, spec)
        edges = np.linspace(top, top + height, spec.channels + 1)
        main.pcolormesh(columns, edges, drawn, cmap=theme.colormap, vmin=0, vmax=_FILLED)
        centers, thickness = (edges[1:] + edges[:-1]) / 2, height / spec.channels
        side.barh(centers, drawn.mean(axis=1), thickness, color=theme.blue, linewidth=0)
        middles.append(top + height / 2)
        top += height + _GAP_INCHES
    labels = [f"{words.shorten(s.name, _NAME_WIDTH)}  ({s.channels})" for s in layers]
    _finish(report, main, middles, labels, theme)
    main.set_ylim(top - _GAP_INCHES, 0)
    side.set_xlabel("% of epochs\ndrawn", color=theme.muted, size=BODY)
    _column_lines(main, len(report.epochs), theme)
    return figure


def _by_layer(
    report: TrainingRecord, layers: tuple[LayerSpec, ...], title: str, theme: Theme
) -> Figure:
    """Rows are layers; the colour says which share of the layer's channels was drawn."""
    shares = np.array([_drawn(report, spec).mean(axis=0) for spec in layers])
    row_inches = min(0.2, max(0.05, 12.0 / len(layers)))
    subtitle = (
        "Colour: share of a layer's channels drawn in an epoch. Bars: share of them trained at "
        "least once. The head is always trained and not shown."
    )
    figure = frame(title, subtitle, row_inches * len(layers) + 1.15, theme)
    main, side = _panels(figure, theme)
    most = max(float(shares.max()), 1e-9)
    edges = np.arange(len(layers) + 1) - 0.5
    columns = np.arange(len(report.epochs) + 1) + 0.5
    main.pcolormesh(columns, edges, shares, cmap=theme.colormap, vmin=0, vmax=most)
    reached = [row.trained / row.spec.channels for row in summary.layers(report) if row.candidate]
    side.barh(range(len(layers)), reached, 0.7, color=theme.blue)
    step = int(np.ceil(_LABEL_INCHES / row_inches))
    labels = [f"{words.shorten(s.name, _NAME_WIDTH)}  ({s.channels})" for s in layers]
    _finish(report, main, list(range(len(layers)))[::step], labels[::step], theme)
    main.set_ylim(len(layers) - 0.5, -0.5)
    side.set_xlabel("% trained\nat least once", color=theme.muted, size=BODY)
    _column_lines(main, len(report.epochs), theme)
    for edge in edges[1:-1]:
        main.axhline(edge, color=theme.background, linewidth=0.8)
    _color_bar(figure, main, most, theme)
    return figure


def _drawn(report: TrainingRecord, spec: LayerSpec) -> np.ndarray:
    """1 where a channel was drawn: [channels, epochs]."""
    drawn = np.zeros((spec.channels, len(report.epochs)))
    for column, record in enumerate(report.epochs):
        drawn[list(record.plan.channels_of(spec.name)), column] = 1
    return drawn


def _finish(
    report: TrainingRecord, axes: Axes, places: list, labels: list[str], theme: Theme
) -> None:
    axes.set_yticks(places, labels, parse_math=False)
    axes.tick_params(axis="y", labelcolor=theme.ink, pad=4)
    epoch_axis(axes, [record.epoch + 1 for record in report.epochs], theme)
    axes.set_xlim(0.5, len(report.epochs) + 0.5)


def _column_lines(axes: Axes, epochs: int, theme: Theme) -> None:
    """Keeps the epochs apart while there is room for it."""
    if epochs <= 60:
        for edge in np.arange(1, epochs) + 0.5:
            axes.axvline(edge, color=theme.background, linewidth=1.0)


def _color_bar(figure: Figure, axes: Axes, most: float, theme: Theme) -> None:
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, most), theme.colormap),
        ax=axes,
        location="top",
        aspect=60,
        pad=0.01,
        format=PercentFormatter(1, decimals=0 if most > 0.05 else 1),
    )
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.ax.tick_params(colors=theme.muted, labelsize=BODY, length=0)
