"""The report as a TensorBoard event file.

`tf.summary.scalar` and `tf.summary.image` live in the tensorboard package, which is not
always installed where one trains. `tf.summary.write` is TensorFlow's own, and writes the
same events once it is told which of TensorBoard's plugins reads them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tf_medyate.report import charts, summary, text
from tf_medyate.report.record import TrainingRecord

_PREFIX = "medyate"


def write(report: TrainingRecord, log_dir: str | Path) -> None:
    """Writes the report; see `TrainingReport.write_tensorboard`."""
    import tensorflow as tf

    def metadata(plugin: str) -> Any:
        result = tf.compat.v1.SummaryMetadata()
        result.plugin_data.plugin_name = plugin
        return result

    writer = tf.summary.create_file_writer(str(log_dir))
    with writer.as_default():
        steps = _steps(report)
        for step, row in zip(steps, summary.epochs(report), strict=True):
            for tag, value in _scalars(report, row):
                value = tf.constant(value, tf.float32)
                tf.summary.write(tag, value, step, metadata("scalars"))
        last = steps[-1] if steps else 0
        for picture in charts.draw(report):
            width, height = picture.size
            # The layout of the images plugin: width, height, then the encoded pictures.
            value = tf.constant([str(width).encode(), str(height).encode(), picture.png()])
            tf.summary.write(f"{_PREFIX}/{picture.name}", value, last, metadata("images"))
        markdown = "\n".join(f"    {line}" for line in text.render(report).splitlines())
        value = tf.constant(markdown)
        tf.summary.write(f"{_PREFIX}/report", value, last, metadata("text"))
    writer.close()


def _steps(report: TrainingRecord) -> list[int]:
    """The epochs' numbers as Keras' own TensorBoard callback uses them, or else 0, 1, 2, ...

    Steps must rise; the numbers do not if `fit` was called twice.
    """
    numbers = [record.epoch for record in report.epochs]
    rising = all(a < b for a, b in itertools.pairwise(numbers))
    return numbers if rising else list(range(len(numbers)))


def _scalars(report: TrainingRecord, row: summary.EpochSummary) -> Iterator[tuple[str, float]]:
    """Tag and value of all scalars of one epoch."""
    unit, total = report.budget.unit, summary.candidate_channels(report)
    yield f"{_PREFIX}/used_{unit}", row.used
    yield f"{_PREFIX}/budget_{unit}", report.budget.amount
    yield f"{_PREFIX}/fixed_{unit}", row.fixed
    yield f"{_PREFIX}/weights_{unit}", row.weights
    yield f"{_PREFIX}/activations_{unit}", row.activations
    yield f"{_PREFIX}/fill", row.fill
    yield f"{_PREFIX}/channels", row.channels
    yield f"{_PREFIX}/layers", row.layers
    yield f"{_PREFIX}/coverage", row.trained / total if total else 0.0
    yield f"{_PREFIX}/seconds", row.seconds
    for name, value in row.logs.items():
        yield f"{_PREFIX}_logs/{name}", value
