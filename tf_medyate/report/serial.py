"""A report as JSON, and back.

Strict JSON: numbers that JSON does not have are written as the strings "nan", "inf" and
"-inf", and only logs may hold them.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, TypeVar

import numpy as np

from tf_medyate.errors import OptionError
from tf_medyate.json_values import JsonError, build, read_object, require
from tf_medyate.report.record import TrainingRecord

FORMAT = "tf_medyate.report"
VERSION = 2

_Record = TypeVar("_Record", bound=TrainingRecord)


def to_json(report: TrainingRecord) -> str:
    """Renders a report as indented JSON text."""
    return json.dumps(to_dict(report), indent=1, allow_nan=False, default=_number) + "\n"


def to_dict(report: TrainingRecord) -> dict[str, Any]:
    """Turns a report into plain dicts, lists, strings and numbers."""
    data = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(report)}
    for record in data["epochs"]:
        record["logs"] = {
            name: value if math.isfinite(value) else str(value)
            for name, value in record["logs"].items()
        }
    return data


def _number(value: Any) -> int | float:
    """Plain number for a NumPy scalar that came in with a plan or a ranking."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not a number")


def from_json(text: str | bytes, kind: type[_Record]) -> _Record:
    """Reads what `to_json` wrote, as a record of a kind.

    Raises:
        OptionError: The text is not JSON, not a report, damaged, or of another version.
    """
    try:
        data = read_object(text)
        require(data, format=FORMAT, version=VERSION)
        return build(kind, data)
    except JsonError as error:
        remedy = "Read a file that this version of tf_medyate wrote."
        raise OptionError("report", error.expected, error.received, remedy) from error
