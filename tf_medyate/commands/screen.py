"""What the commands show: text, progress bars, tables.

Nothing is read as markup, and control characters are shown as escapes: names come from boards and
files.
"""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from tf_medyate.commands.dataset import TARGETS
from tf_medyate.names import visible


class Screen(Console):
    """A terminal that text from anywhere can be written to."""

    def __init__(self, **options: Any):
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any):
        """Every text, cells of tables included, passes here."""
        return super().render_str(visible(text), **options)

    def say(self, text: object, style: str = "") -> None:
        """Prints a text, leaving its lines as long as they are."""
        self.print(str(text), style=style, soft_wrap=True)


out = Screen()


def progress(*columns: ProgressColumn) -> Progress:
    """A progress bar with more columns; the last one says how long it will take, then took."""
    time = TimeRemainingColumn(elapsed_when_finished=True)
    return Progress(column("{task.description:<12}"), BarColumn(), *columns, time, console=out)


def column(text: str) -> TextColumn:
    """A column of a progress bar."""
    return TextColumn(text, markup=False)


def epoch_progress(epochs: int, *columns: ProgressColumn) -> Progress:
    """A progress bar whose tasks have the fields `epoch` and `loss`."""
    epoch = column("epoch {task.fields[epoch]}/" + str(epochs))
    return progress(epoch, _Loss(), *columns)


class _Loss(ProgressColumn):
    """The loss, once there is one."""

    def render(self, task: Task) -> Text:
        loss = task.fields["loss"]
        return Text("loss -" if math.isnan(loss) else f"loss {loss:.4f}")


def results_table(title: str, score: str = "accuracy") -> Table:
    """A table of strategies, scores and memory."""
    table = Table(title=title, title_justify="left")
    for heading in ("strategy", score, "memory of the update", "share of full"):
        table.add_column(heading, justify="left" if heading == "strategy" else "right")
    return table


def metric(kind: str) -> str:
    """Name of a score on targets of this kind."""
    return "mean squared error" if kind == TARGETS else "accuracy"


def score_text(score: float, kind: str) -> str:
    """A score as people read it."""
    return f"{score:.4g}" if kind == TARGETS else f"{score:.1%}"
