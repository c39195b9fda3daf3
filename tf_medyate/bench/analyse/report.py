"""Everything that a bench writes when it is done: CSV, Markdown, HTML and pictures.

Example:
    >>> from tf_medyate.bench.plan.suites import get_suite
    >>> for path in write(results, get_suite("tiny"), pathlib.Path("runs/report")):
    ...     print(path)
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Sequence

from tf_medyate import files
from tf_medyate.bench.analyse import charts, csv_results, page, tables
from tf_medyate.bench.analyse.panel import Panel
from tf_medyate.bench.analyse.statistics import rank
from tf_medyate.bench.plan.suites import Suite
from tf_medyate.bench.run.progress import duration
from tf_medyate.bench.run.result import Result


def write(
    results: Sequence[Result], suite: Suite, folder: pathlib.Path, reference: str = "medyate"
) -> list[pathlib.Path]:
    """Writes results.csv, report.md, report.html and the pictures as PNG.

    Args:
        results: One at least.
        suite: What they are of.
        folder: Created if missing.
        reference: The strategy that the others are tested against.

    Returns:
        What was written; report.html first.
    """
    panel = Panel(results)
    built = tables.build(panel, reference)
    title = f"Suite {suite.name}"
    under, lead, footer = _under(panel, suite), _lead(panel), _footer(panel)
    markdown = [f"# {title}", under, lead, *(table.markdown() for table in built), footer]
    paths = [folder / name for name in ("report.html", "report.md", "results.csv")]
    files.write_text(paths[0], page.render(panel, built, title, under, lead, footer))
    files.write_text(paths[1], "\n\n".join(markdown) + "\n")
    csv_results.write(results, paths[2])
    for picture in charts.draw(panel):
        path = folder / f"{picture.name}.png"
        files.write_bytes(path, picture.png())
        paths.append(path)
    return paths


def _under(panel: Panel, suite: Suite) -> str:
    summary = suite.summary[0].upper() + suite.summary[1:]
    seeds = len({result.run.seed for result in panel.results})
    seconds = sum(result.seconds_processor for result in panel.results)
    return (
        f"{summary}. {len(panel.results):,} runs of {len(panel.strategies)} strategies, {seeds} "
        f"seed{'s' if seeds > 1 else ''}; {duration(seconds)} of processor time in all."
    )


def _lead(panel: Panel) -> str:
    ranks = rank(panel.columns())
    if len(ranks.names) < 2 or not ranks.blocks:
        return "Too few results to compare."
    blocks = f"over {ranks.blocks} block{'s' if ranks.blocks > 1 else ''}"
    if math.isnan(ranks.p):
        lead = f"Too few results {blocks} to tell strategies apart."
    else:
        lead = f"{charts.rank_title(ranks)} ({len(ranks.names)} strategies {blocks})."
    diverged = sum(result.diverged for result in panel.results)
    return lead + (f" {diverged} runs diverged; see results.csv." if diverged else "")


def _footer(panel: Panel) -> str:
    found = {tuple(sorted(result.versions.items())) for result in panel.results}
    texts = [", ".join(f"{name} {version}" for name, version in one) for one in sorted(found)]
    return f"Made with {'; and with '.join(texts)}."
