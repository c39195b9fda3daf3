"""What a fine-tuning run did: printed, drawn, and written to disk.

    record       EpochRecord, TrainingRecord: the values that the callback fills
    report       TrainingReport: the same values, with everything below as its methods
    summary      figures derived from them: coverage, fill, how often a layer was drawn
    words        numbers and names as people read them
    text         str(report)
    charts       the four pictures, each a matplotlib Figure; theme holds their looks
    page         save_html, one self-contained file; base_page is the frame of all our pages
    tensorboard  write_tensorboard
    serial       to_json, from_json

Matplotlib, jinja2 and TensorFlow are imported only by the methods that need them.

Example:
    >>> print(report)
    >>> report.save_png("pictures")
    >>> report.save_html("report.html")
    >>> TrainingReport.from_json(report.to_json()) == report
    True
"""

from tf_medyate.report.record import EpochRecord
from tf_medyate.report.report import TrainingReport

__all__ = ["EpochRecord", "TrainingReport"]
