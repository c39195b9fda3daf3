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

from tf_medyate.cost import CostModel
from tf_medyate.errors import MedyateError, OptionError
from tf_medyate.report.record import EpochRecord, TrainingRecord
from tf_medyate.spec import LayerDraw, LayerRanking, LayerSpec, MemoryBudget, UpdatePlan

FORMAT = "tf_medyate.report"
VERSION = 1

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
        OptionError: The text is not JSON, not a report, or of another version.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise _refusal(f"something else: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise _refusal("JSON of something else")
    if data.get("version") != VERSION:
        raise _refusal(f"version {data.get('version')!r}")
    try:
        return from_dict(data, kind)
    except MedyateError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refusal(f"a damaged one: {type(error).__name__} {error}") from error


def from_dict(data: dict[str, Any], kind: type[_Record]) -> _Record:
    """Builds a report from what `to_dict` returned, or from the same read from JSON."""
    return kind(
        strategy=data["strategy"],
        specs=tuple(LayerSpec(**_tuples(spec)) for spec in data["specs"]),
        ranking=LayerRanking(**_tuples(data["ranking"])),
        cost=CostModel(**data["cost"]),
        budget=MemoryBudget(**data["budget"]),
        epochs=tuple(_epoch(record) for record in data["epochs"]),
        candidates=tuple(data["candidates"]),
        drawn_by=data.get("drawn_by", ""),
    )


def _epoch(data: dict[str, Any]) -> EpochRecord:
    plan = dict(data["plan"])
    plan["budget"] = MemoryBudget(**plan["budget"])
    plan["layers"] = tuple(LayerDraw(**_tuples(draw)) for draw in plan["layers"])
    return EpochRecord(data["epoch"], UpdatePlan(**plan), data["logs"], data["seconds"])


def _tuples(data: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


def _refusal(received: str) -> OptionError:
    return OptionError(
        "report",
        f"JSON from TrainingReport.to_json, version {VERSION}",
        received,
        "Read a file that this version of tf_medyate wrote.",
    )
