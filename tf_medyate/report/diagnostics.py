"""Pictures of `tf_medyate.select.diagnostics`, in the look of the training report.

Example:
    >>> from tf_medyate.select.diagnostics import diagnose
    >>> for path in save(draw(diagnose(model, x, y)), "out"):
    ...     print(path)
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tf_medyate import files
from tf_medyate.report import words
from tf_medyate.report.theme import BODY, LIGHT, Picture, Theme, clean, frame, legend

if TYPE_CHECKING:
    from tf_medyate.select.diagnostics import Agreement, Diagnostics, Stability

_NAME_WIDTH = 22
_MOST_NUMBERS = 12
_GAUSSIAN = 2.0


def draw(found: Diagnostics, theme: Theme = LIGHT) -> tuple[Picture, ...]:
    """Draws everything that `diagnose` found."""
    return (
        agreement(found.agreement, theme, "epoch"),
        tail_index(found, theme),
        stability(found.stability(), theme),
    )


def save(pictures: Sequence[Picture], folder: str | os.PathLike) -> list[pathlib.Path]:
    """Writes pictures as PNG into a folder, which is made if need be; returns their paths."""
    folder = pathlib.Path(folder)
    paths = [folder / f"{picture.name}.png" for picture in pictures]
    for picture, path in zip(pictures, paths, strict=True):
        files.write_bytes(path, picture.png())
    return paths


def agreement(found: Agreement, theme: Theme = LIGHT, of: str = "task") -> Picture:
    """A heat map of Spearman's correlations.

    Args:
        found: Rankings of several tasks, or epochs.
        theme: The colours.
        of: What was ranked, one word: "task" or "epoch".
    """
    count, pairs = len(found.names), found.pairs[np.isfinite(found.pairs)]
    subtitle = "Rank correlation of the layers' scores; 1 is the same order."
    title = f"Layer order of {of}s that tell nothing apart"
    if count == 1:
        title = f"Layer order of one {of}"
    elif len(pairs):
        title = f"Layer order between {of}s: Spearman {pairs.min():.2f} or more"
        subtitle = f"{subtitle} Mean: {pairs.mean():.2f}."
    figure = frame(title, subtitle, min(4.6, max(1.6, 0.42 * count)) + 0.6, theme)
    axes = figure.add_subplot()
    clean(axes, theme)
    least = min([0.0, *pairs])
    image = axes.imshow(found.rho, cmap=theme.colormap, vmin=least, vmax=1.0)
    _names(axes, [words.shorten(name, _NAME_WIDTH) for name in found.names], theme)
    if of == "epoch":
        axes.set_xlabel("epoch (0: before training)", color=theme.muted, size=BODY)
    if count <= _MOST_NUMBERS:
        _numbers(axes, found.rho, least, theme)
    else:
        bar = figure.colorbar(image, ax=axes, aspect=40)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        bar.ax.tick_params(colors=theme.muted, labelsize=BODY, length=0)
    return Picture(f"layer_order_by_{of}", title, figure)


def _names(axes: Axes, names: list[str], theme: Theme) -> None:
    """The same names along both axes, as many as there is room for."""
    places = range(0, len(names), max(1, -(-len(names) // 20)))
    shown = [names[place] for place in places]
    turned = {} if max(map(len, names)) <= 3 else {"rotation": 35, "ha": "right"}
    axes.set_xticks(places, shown, parse_math=False, **turned)
    axes.set_yticks(places, shown, parse_math=False)
    axes.tick_params(labelcolor=theme.ink)


def _numbers(axes: Axes, values: np.ndarray, least: float, theme: Theme) -> None:
    """Writes each value into its cell, light on dark cells and dark on light ones."""
    for (row, column), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        dark = (value - least) / (1 - least) > 0.5
        # In the dark theme the ramp runs the other way, from dark to light.
        color = theme.background if dark else theme.ink
        text = f"{value:.2f}".replace("0.", ".", 1) if value < 0.995 else "1"
        axes.text(column, row, text, ha="center", va="center", size=BODY - 1.5, color=color)


def tail_index(found: Diagnostics, theme: Theme = LIGHT) -> Picture:
    """The layers' tail indices over the epochs: the median, and where most of them lie."""
    epochs = np.arange(len(found.alpha))
    known = found.alpha[:, np.isfinite(found.alpha).all(0)]
    subtitle = (
        "Alpha of a layer's gradient by the estimator of Mohammadi et al. (2015). 2 is a Gaussian; "
        "the smaller, the more a few weights dominate."
    )
    title = "Too few weights in every layer to tell how heavy the tails are"
    if known.shape[1]:
        heavy = int((np.median(known, 0) < _GAUSSIAN).sum())
        layers = words.plural(known.shape[1], "layer")
        title = f"Gradients of {heavy} of {layers} are heavy-tailed"
    figure = frame(title, subtitle, 2.9, theme)
    axes = figure.add_subplot()
    clean(axes, theme, grid="y")
    if known.shape[1]:
        low, middle, high = np.percentile(known, (10, 50, 90), axis=1)
        axes.fill_between(epochs, low, high, color=theme.pale, alpha=0.5, linewidth=0,
                          label="10 to 90 % of the layers")  # fmt: skip
        axes.plot(epochs, middle, color=theme.blue, linewidth=2, marker="o", markersize=4,
                  label="median layer")  # fmt: skip
        axes.set_ylim(0, max(2.2, 1.05 * float(high.max())))
        legend(axes, theme)
    axes.axhline(_GAUSSIAN, color=theme.alarm, linewidth=1.4)
    axes.annotate("Gaussian", (1, _GAUSSIAN), xycoords=("axes fraction", "data"), xytext=(0, 3),
                  textcoords="offset points", ha="right", size=BODY, color=theme.alarm)  # fmt: skip
    axes.set_ylabel("alpha", color=theme.muted, size=BODY)
    _epochs(axes, len(epochs), theme)
    return Picture("tail_index", title, figure)


def stability(found: Stability, theme: Theme = LIGHT) -> Picture:
    """How long a channel's importance lasts, in two panels: rank correlation and overlap."""
    last, epochs = found.to_first[-1], np.arange(len(found.to_first))
    title = "Channel importances are all equal"
    if np.isfinite(last):
        after = words.plural(len(epochs) - 1, "epoch")
        title = f"Channel importances: Spearman {last:.2f} after {after}"
    subtitle = f"Importance: expected norm of a channel's gradient. Top: {found.share:.0%} of all."
    figure = frame(title, subtitle, 2.9, theme)
    panels = figure.subplots(1, 2)
    pairs = (
        ("Spearman correlation", found.to_first, found.to_previous),
        ("top channels still on top", found.overlap_first, found.overlap_previous),
    )
    least = np.nanmin([0.0, *found.to_first, *found.to_previous])
    for axes, (label, first, previous) in zip(panels, pairs, strict=True):
        clean(axes, theme, grid="y")
        style = {"linewidth": 2, "marker": "o", "markersize": 4}
        axes.plot(epochs, first, color=theme.blue, label="with the first", **style)
        axes.plot(epochs, previous, color=theme.orange, label="with the one before", **style)
        axes.set_ylim(min(0.0, 1.1 * least), 1.05)
        axes.set_title(label, color=theme.ink, size=BODY, loc="left", pad=20)
        _epochs(axes, len(epochs), theme)
    panels[1].yaxis.set_major_formatter(PercentFormatter(1))
    legend(panels[0], theme)
    if (box := panels[0].get_legend()) is not None:
        box.set_in_layout(False)  # it may reach into the gap between the panels
    return Picture("channel_stability", title, figure)


def _epochs(axes: Axes, times: int, theme: Theme) -> None:
    axes.set_xlim(-0.3, times - 0.7)
    axes.xaxis.set_major_locator(MaxNLocator(min(10, times), integer=True))
    axes.set_xlabel("epoch (0: before training)", color=theme.muted, size=BODY)
