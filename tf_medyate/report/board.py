"""What a board did, as a picture and a page: losses sample by sample, accuracies, memory.

Example:
    >>> story = BoardStory("A watch learned its wearer", [2.0, 1.0, 0.5], 1, [("RAM", "34.7 KiB")])
    >>> save_story(story, "out/device_demo")
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from tf_medyate import files
from tf_medyate.report import base_page
from tf_medyate.report.theme import BODY, DARK, LIGHT, Picture, Theme, clean, frame, legend

_MEAN_OF = 40


@dataclasses.dataclass(frozen=True)
class BoardStory:
    """What is told.

    Attributes:
        title: What came of it, as a sentence.
        losses: Of every sample before it was learned from, in order.
        epoch_samples: Samples of an epoch; after each epoch there was a commit.
        facts: Names and values for the table.
    """

    title: str
    losses: Sequence[float]
    epoch_samples: int
    facts: Sequence[tuple[str, str]]


def board_losses(story: BoardStory, theme: Theme = LIGHT) -> Picture:
    """Draws the losses: each sample's, and their running mean."""
    subtitle = (
        f"Each dot: a sample's loss before the board learned from it. Line: mean of the last "
        f"{_MEAN_OF}. Upright lines: commits to flash."
    )
    figure = frame(story.title, subtitle, 2.6, theme)
    axes = figure.add_subplot()
    clean(axes, theme, grid="y")
    losses = np.asarray(story.losses)
    samples = np.arange(1, len(losses) + 1)
    axes.scatter(samples, losses, s=3, color=theme.pale, linewidths=0, label="sample")
    sums = np.cumsum(np.insert(losses, 0, 0.0))
    begins = np.maximum(samples - _MEAN_OF, 0)
    means = (sums[samples] - sums[begins]) / (samples - begins)
    axes.plot(samples, means, color=theme.blue, linewidth=1.9, label="mean")
    for end in range(story.epoch_samples, len(losses) + 1, story.epoch_samples):
        axes.axvline(end, color=theme.orange, linewidth=0.9)
    axes.set_ylim(0, max(float(np.quantile(losses, 0.98)), 0.1) * 1.2)
    axes.set_xlabel("samples learned from", color=theme.muted, size=BODY)
    axes.set_ylabel("loss", color=theme.muted, size=BODY)
    legend(axes, theme)
    return Picture("board_losses", story.title, figure)


def save_story(story: BoardStory, folder: str | pathlib.Path) -> pathlib.Path:
    """Writes board_losses.png and board.html; returns the page's path."""
    folder = pathlib.Path(folder)
    light, dark = board_losses(story), board_losses(story, DARK)
    files.write_bytes(folder / f"{light.name}.png", light.png())
    page = base_page.render(
        '{% extends "base" %}',
        title=story.title,
        heading="On the board",
        under="Emulated Cortex-M4F, fed over its serial line",
        lead=story.title,
        footer="",
        pictures=base_page.embed([light], [dark]),
        facts=story.facts,
    )
    path = folder / "board.html"
    files.write_text(path, page)
    return path
