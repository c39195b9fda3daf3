"""Results as one CSV file, a line a run: small enough to be committed, and read back for a report.

Left out is what no table needs: curves, layer scores and the recipe, which a run's key stands for.
Versions are written where they change.

Example:
    >>> write(results, pathlib.Path("imagenet.csv"))
    >>> results, others = read(pathlib.Path("imagenet.csv"), runs)
"""

from __future__ import annotations

import csv
import dataclasses
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from tf_medyate import files
from tf_medyate.bench.plan.grid import Run
from tf_medyate.bench.run.result import Result
from tf_medyate.errors import DataError

_RUN = ("key", "network", "dataset", "fold", "seed", "strategy", "budget")
_LEFT_OUT: dict[str, Any] = {"run": None, "curve": {}, "layer_scores": {}}
_DIGITS = 7


def _columns() -> list[str]:
    return [field.name for field in dataclasses.fields(Result) if field.name not in _LEFT_OUT]


def write(results: Iterable[Result], path: pathlib.Path) -> None:
    """Writes one line a run, in the order given, with seven digits after the point."""
    with files.replacing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*_RUN, *_columns()))
        versions = ""
        for result in results:
            run, before = result.run, versions
            versions = " ".join(f"{k}={v}" for k, v in sorted(result.versions.items()))
            level = run.budget.level if run.budget else ""
            place = (run.key, run.network, run.dataset, run.fold, run.seed, run.strategy, level)
            cells = {name: _cell(getattr(result, name)) for name in _columns()}
            cells["versions"] = "" if versions == before else versions
            writer.writerow((*place, *cells.values()))


def read(path: pathlib.Path, runs: Sequence[Run]) -> tuple[list[Result], int]:
    """Reads the results of a grid.

    Args:
        path: What `write` wrote.
        runs: The grid.

    Returns:
        The results that it has of these runs, in their order; how many lines belong to others.

    Raises:
        DataError: The file cannot be read, or has other columns.
    """
    remedy = "Give a results.csv of `medyate bench`."
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(str(path), "a file of results", repr(error), remedy) from error
    if list(reader.fieldnames or ()) != [*_RUN, *_columns()]:
        received = ", ".join(reader.fieldnames or ["nothing"])
        raise DataError(str(path), f"the columns {', '.join(_columns())}", received, remedy)
    versions = ""
    for row in rows:
        versions = row["versions"] = row["versions"] or versions
    lines = {row["key"]: row for row in rows}
    try:
        found = [_result(run, lines[run.key]) for run in runs if run.key in lines]
    except ValueError as error:
        raise DataError(str(path), "numbers", repr(error), remedy) from error
    return found, len(lines) - len(found)


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".")
    return value


def _result(run: Run, row: dict[str, str]) -> Result:
    values: dict[str, Any] = {"run": run}
    for field in dataclasses.fields(Result):
        if field.name in _LEFT_OUT:
            continue
        text, kind = row[field.name], str(field.type)
        if kind == "bool":
            values[field.name] = bool(int(text))
        elif kind in ("int", "float"):
            values[field.name] = {"int": int, "float": float}[kind](text)
        else:
            values[field.name] = dict(part.split("=", 1) for part in text.split())
    return Result(**_LEFT_OUT | values)
