"""A fine-tuning run that can be printed, drawn and saved: the one class that people meet.

All that it says is worked out in the modules that it calls; they know only its values.
"""

from __future__ import annotations

from pathlib import Path

from tf_medyate import files, notebook
from tf_medyate.report import text, words
from tf_medyate.report.record import TrainingRecord


class TrainingReport(TrainingRecord):
    """A whole fine-tuning run under a memory budget; its attributes are `TrainingRecord`'s."""

    def __repr__(self) -> str:
        length = words.plural(len(self.epochs), "epoch")
        budget = self.budget.format(self.budget.amount)
        return f"<TrainingReport {self.strategy}, {length} in {budget}>"

    def __str__(self) -> str:
        return text.render(self)

    def _repr_html_(self) -> str:
        """Facts and epochs as tables; `save_html` has all of it."""
        summed = notebook.table(text.closing(self), ("", ""), text.facts(self), words=2)
        header, rows = text.epoch_rows(self)
        return summed + notebook.table("", header, rows, words=0)

    def save_png(self, folder: str | Path) -> list[Path]:
        """Draws the report as PNG files.

        Args:
            folder: Where to put them; created if missing.

        Returns:
            Their paths: layer_ranking.png, drawn_channels.png, memory.png and
            learning_curves.png, without those that have nothing to show (before the first
            epoch; without candidate layers; without logs).
        """
        from tf_medyate.report import charts

        folder = Path(folder)
        paths = []
        for picture in charts.draw(self):
            path = folder / f"{picture.name}.png"
            files.write_bytes(path, picture.png())
            paths.append(path)
        return paths

    def save_html(self, path: str | Path) -> Path:
        """Writes one HTML file that holds everything: tables, pictures, styles.

        Args:
            path: The file; its folder is created if missing.

        Returns:
            The path that was written.
        """
        from tf_medyate.report import page

        files.write_text(path, page.render(self))
        return Path(path)

    def write_tensorboard(self, log_dir: str | Path) -> None:
        """Writes scalars per epoch, the pictures and the printed report for TensorBoard.

        Args:
            log_dir: The run's log folder. Calling it twice adds a second event file.
        """
        from tf_medyate.report import tensorboard

        tensorboard.write(self, log_dir)

    def to_json(self) -> str:
        """Renders everything that the report holds as JSON text."""
        from tf_medyate.report import serial

        return serial.to_json(self)

    @classmethod
    def from_json(cls, json: str | bytes) -> TrainingReport:
        """Reads what `to_json` wrote; the result is equal to the original.

        Raises:
            OptionError: The text is not JSON, not a report, or of another version.
        """
        from tf_medyate.report import serial

        return serial.from_json(json, cls)
