"""How the pictures look: colours, sizes, and the frame that all of them share.

Colours are from Okabe and Ito's palette, which people with any common form of colour
blindness can tell apart; nothing is said by colour alone.
"""

from __future__ import annotations

import dataclasses
import io
import textwrap
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

WIDTH_INCHES = 5.6
DPI = 240
BODY = 9.0
_TITLE = 12.0
_MARGIN_INCHES = 0.12
_TITLE_CHARACTERS = 54
_SUBTITLE_CHARACTERS = 84
_MOST_TICKS = 16


@dataclasses.dataclass(frozen=True)
class Theme:
    """The colours of one appearance, light or dark.

    Attributes:
        name: "light" or "dark".
        background: Behind everything.
        ink: Titles and labels.
        muted: Subtitles, ticks.
        grid: Grid lines, separators.
        pale: What is not selected.
        blue: What is selected; training curves; weights.
        orange: Validation curves; activations.
        green: The pool.
        alarm: The budget.
        ramp: From nothing to much, for heat maps.
    """

    name: str
    background: str
    ink: str
    muted: str
    grid: str
    pale: str
    blue: str
    orange: str
    green: str
    alarm: str
    ramp: tuple[str, ...]

    @property
    def colormap(self) -> LinearSegmentedColormap:
        """The ramp for matplotlib."""
        return LinearSegmentedColormap.from_list(f"medyate_{self.name}", self.ramp)

    def on(self, fill: str) -> str:
        """Ink or background: what can be read better on a filled area."""
        return max((self.ink, self.background), key=lambda c: abs(_light(c) - _light(fill)))


def _light(color: str) -> float:
    """Lightness as the eye sees it, 0 to 1 (the cube root of CIE luminance, nearly)."""
    luminance = np.dot((0.2126, 0.7152, 0.0722), np.power(to_rgb(color), 2.2))
    return float(np.cbrt(luminance))


LIGHT = Theme(
    name="light",
    background="#ffffff",
    ink="#1b2430",
    muted="#5c6773",
    grid="#e3e7ec",
    pale="#c3cad2",
    blue="#0072b2",
    orange="#e69f00",
    green="#00795a",
    alarm="#b8420a",
    ramp=("#f1f4f7", "#9ecae1", "#3a8fc4", "#0b4f86", "#062b4f"),
)
DARK = Theme(
    name="dark",
    background="#161b22",
    ink="#e8edf2",
    muted="#9aa7b4",
    grid="#2b333d",
    pale="#566271",
    blue="#56b4e9",
    orange="#f0b429",
    green="#35c69a",
    alarm="#ff8a5c",
    ramp=("#20272f", "#1d4f73", "#2f86bd", "#7cc6f2", "#e6f5ff"),
)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure ready to be saved.

    Attributes:
        name: File name without its ending.
        title: What one sees, as a sentence.
        figure: The drawing.
    """

    name: str
    title: str
    figure: Figure

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the PNG in pixels."""
        width, height = self.figure.get_size_inches() * DPI
        return round(width), round(height)

    def png(self) -> bytes:
        """Renders the picture as PNG; 256 colours are plenty, and make it a third as large."""
        canvas = FigureCanvasAgg(self.figure)
        self.figure.set_dpi(DPI)
        canvas.draw()
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        buffer = io.BytesIO()
        pixels = pixels.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        pixels.save(buffer, "png", optimize=True, dpi=(DPI, DPI))
        return buffer.getvalue()


def frame(title: str, subtitle: str, body_inches: float, theme: Theme) -> Figure:
    """An empty figure with its title; axes may be added below it.

    Args:
        title: What one sees.
        subtitle: What one has to know to read it.
        body_inches: Height below the titles.
        theme: The colours.

    Returns:
        A figure without any axes, laid out by matplotlib's constrained layout.
    """
    title = textwrap.fill(title, _TITLE_CHARACTERS)
    subtitle = textwrap.fill(subtitle, _SUBTITLE_CHARACTERS)
    title_inches = 0.225 * (title.count("\n") + 1)
    subtitle_inches = 0.17 * (subtitle.count("\n") + 1) if subtitle else 0.0
    head_inches = _MARGIN_INCHES + title_inches + subtitle_inches + 0.1
    height = round((head_inches + body_inches) * DPI) / DPI
    figure = Figure(figsize=(WIDTH_INCHES, height), facecolor=theme.background)
    rectangle = (0, 0, 1, 1 - head_inches / height)
    figure.set_layout_engine("constrained", rect=rectangle, w_pad=_MARGIN_INCHES, h_pad=0.08)
    write = {"x": _MARGIN_INCHES / WIDTH_INCHES, "va": "top", "in_layout": False}
    write |= {"parse_math": False, "linespacing": 1.25}
    top = 1 - _MARGIN_INCHES / height
    figure.text(y=top, s=title, color=theme.ink, size=_TITLE, weight="bold", **write)
    top -= (title_inches + 0.02) / height
    figure.text(y=top, s=subtitle, color=theme.muted, size=BODY, **write)
    return figure


def clean(axes: Axes, theme: Theme, grid: Literal["", "x", "y"] = "") -> None:
    """Takes the box away, mutes the ticks, and draws a faint grid along one axis ("x", "y")."""
    axes.set_facecolor(theme.background)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(colors=theme.muted, labelsize=BODY, length=0, which="both")
    axes.set_axisbelow(True)
    if grid:
        axes.grid(True, axis=grid, color=theme.grid, linewidth=0.8)


def epoch_axis(axes: Axes, numbers: Sequence[int], theme: Theme) -> None:
    """Labels positions 1, 2, ... with the numbers of the epochs, however these run.

    Args:
        axes: Its x axis has one unit per epoch, the first at 1.
        numbers: The epochs' numbers, which start again if `fit` was called twice.
        theme: The colours.
    """

    def label(value: float, _: int | None) -> str:
        place = round(value) - 1
        return str(numbers[place]) if 0 <= place < len(numbers) else ""

    axes.set_xlim(0.4, len(numbers) + 0.6)
    if len(numbers) <= _MOST_TICKS:
        axes.set_xticks(range(1, len(numbers) + 1))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(9, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(label))
    axes.set_xlabel("epoch", color=theme.muted, size=BODY)


def legend(axes: Axes, theme: Theme, handles: Sequence[Artist] | None = None) -> None:
    """A legend in one line above the axes, flush left."""
    handles = axes.get_legend_handles_labels()[0] if handles is None else list(handles)
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        borderpad=0.2,
        ncols=len(handles),
        frameon=False,
        fontsize=BODY,
        labelcolor=theme.ink,
        handlelength=1.0,
        handleheight=0.9,
        columnspacing=1.4,
    )
