"""The tables of a bench, once for Markdown and HTML alike.

Example:
    >>> for table in build(Panel(results)):
    ...     print(table.markdown())
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from tf_medyate.bench.analyse import layer_order
from tf_medyate.bench.analyse.claims import Verdict, judge
from tf_medyate.bench.analyse.panel import ALL_LEVELS, Panel, over_folds
from tf_medyate.bench.analyse.statistics import Paired, between, holm, rank
from tf_medyate.bench.plan.suites import label
from tf_medyate.bench.run.result import Result
from tf_medyate.spec import format_bytes

BEFORE = "before"
_RANKINGS = ("lara", "rgn", "fisher")


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text.

    Attributes:
        title: Above it.
        note: What one has to know to read it; may be empty.
        header: Names of the columns.
        rows: As many cells each as the header.
        words: Columns of words, from the left; all others hold numbers.
    """

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1

    def markdown(self) -> str:
        """As GitHub's Markdown."""
        rule = ["---"] * self.words + ["---:"] * (len(self.header) - self.words)
        lines = [f"## {self.title}", "", *([self.note, ""] if self.note else [])]
        rows = (self.header, tuple(rule), *self.rows)
        return "\n".join(lines + [f"| {' | '.join(map(_escape, row))} |" for row in rows]) + "\n"


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")


def build(panel: Panel, reference: str = "medyate") -> list[Table]:
    """Every table that the results allow.

    Args:
        panel: Results.
        reference: The strategy that the others are tested against, if it was run.
    """
    tables = [claims(panel), *filter(None, [order(panel)]), overall(panel)]
    tables += [by_case(panel, level) for level in panel.levels or (ALL_LEVELS,)]
    if reference in panel.strategies and len(panel.strategies) > 1:
        tables.append(tests(panel, reference))
    return tables


def overall(panel: Panel) -> Table:
    """Accuracy, memory and sparsity of every strategy at every budget."""
    rows = [_overall_row("", BEFORE, panel.columns(before=True)["zero-shot"], [])]
    for level in panel.levels or (ALL_LEVELS,):
        columns = panel.columns(level)
        ranks = rank({n: c for n, c in columns.items()})
        places = dict(zip(ranks.names, ranks.mean_ranks, strict=True))
        for name, column in columns.items():
            own = [r for found in panel.of(name, level).values() for r in found]
            own = own or [r for r in panel.results if r.run.strategy == name]
            if own[0].run.budget is None and level != (panel.levels or (ALL_LEVELS,))[0]:
                continue
            row = _overall_row(level, label(name), column, own)
            rows.append((*row[:3], _number(places.get(name, math.nan), ".2f"), *row[4:]))
    header = ("budget", "strategy", "accuracy %", "rank", "update's memory", "of full",
              "weight sparsity", "activation sparsity", "dW FLOPs saved", "CPU s")  # fmt: skip
    note = (
        "Accuracy: mean over blocks (standard deviation); a block is a net on a fold of a data "
        "set, its seeds averaged. Rank: mean over blocks among the strategies of the same budget, "
        "1 is best; of what has no budget, among those of the first. Memory: largest of all "
        "epochs, mean over runs. CPU s: seconds of processor time of a run, all threads."
    )
    return Table("All strategies", note, header, tuple(rows), words=2)


def _overall_row(level: str, name: str, column, own: list[Result]) -> tuple[str, ...]:
    values = list(column.values())
    accuracy = f"{np.mean(values):.1f} ({np.std(values):.1f})"
    if not own:
        return (level or "-", name, accuracy, *["-"] * 7)
    if own[0].run.budget is None:
        level = "-"

    def mean(of: Callable[[Result], float]) -> float:
        return float(np.mean([of(result) for result in own]))

    return (
        level,
        name,
        accuracy,
        "",
        format_bytes(mean(lambda r: r.used_bytes)),
        f"{mean(lambda r: r.used_bytes / r.full_bytes):.1%}",
        f"{mean(lambda r: r.weight_sparsity):.1%}",
        f"{mean(lambda r: r.activation_sparsity):.1%}",
        f"{mean(lambda r: r.gradient_flops_saved):.1%}",
        f"{mean(lambda r: r.seconds_processor):.1f}",
    )


def by_case(panel: Panel, level: str) -> Table:
    """Accuracy of every strategy on every net and data set, at one budget."""
    rows = []
    for name, column in panel.columns(level, before=True).items():
        cells = []
        for case in panel.cases:
            values = [value for block, value in column.items() if block.case == case]
            cells.append(_number(float(np.mean(values)), ".1f") if values else "-")
        rows.append((BEFORE if name == "zero-shot" else label(name), *cells))
    title = "Accuracy by net and data set" + (f" at {level}" if level in panel.levels else "")
    note = "Percent; mean over folds and seeds."
    return Table(title, note, ("strategy", *panel.cases), tuple(rows))


def tests(panel: Panel, reference: str) -> Table:
    """Paired t-tests of one strategy against all others."""
    rows = []
    levels = (ALL_LEVELS, *panel.levels) if len(panel.levels) > 1 else (ALL_LEVELS,)
    for level in levels:
        columns = panel.columns(level)
        others = [name for name in columns if name != reference]
        found = [between(columns[reference], columns[name]) for name in others]
        adjusted = holm([comparison.p for comparison in found])
        cases = {name: over_folds(column) for name, column in columns.items()}
        strict = [between(cases[reference], cases[name]).p for name in others]
        for name, comparison, p, p_cases in zip(others, found, adjusted, strict, strict=True):
            rows.append(
                (
                    level,
                    label(name),
                    _number(comparison.mean, "+.2f"),
                    _interval(comparison),
                    _number(comparison.effect, "+.2f"),
                    _number(comparison.p, ".3g"),
                    _number(p, ".3g"),
                    f"{comparison.better} of {comparison.units}",
                    _number(p_cases, ".3g"),
                )
            )
    header = ("budget", "against", "difference", "95 % interval", "effect size", "p", "p (Holm)",
              "better on", "p by case")  # fmt: skip
    note = (
        "Points of accuracy, paired by block; effect size: Cohen's d of the differences; p: "
        "two-sided paired t-test, then with Holm's correction over the tests of one budget; better "
        "on: how many blocks. Folds of a data set are not quite independent: p by case counts each "
        "net and data set once, its folds averaged (without correction)."
    )
    return Table(f"{label(reference)} minus the others", note, header, tuple(rows), words=2)


def claims(panel: Panel) -> Table:
    """The papers' claims, and what these results say of them."""
    rows = tuple(_claim_row(verdict) for verdict in judge(panel))
    note = (
        "Points of accuracy. Holds: significantly better at 5 %, both paired by block and paired "
        "by case (a net on a data set, folds averaged), each after Holm's correction over the "
        "tests of one budget; on these tasks: by block only, so it need not be so on others; not "
        "shown: no significant difference; does not hold: significantly the reverse. Rows of one "
        'budget repeat the tests of the row "all" on a part of its runs: read them as its details. '
        "The order of layers holds if every rank correlation between data sets reaches the papers' "
        f"{layer_order.STABLE:g}."
    )
    header = ("claim", "measured by", "budget", "verdict", "difference", "95 % interval",
              "effect size", "p", "better on", "by case", "p by case")  # fmt: skip
    return Table("The papers' claims", note, header, rows, words=4)


def _claim_row(verdict: Verdict) -> tuple[str, ...]:
    blocks, cases = verdict.comparison, verdict.by_case
    words = (verdict.claim, _short(verdict.measured), verdict.level, verdict.verdict)
    if blocks is None or cases is None:
        return (*words, *["-"] * 7)
    return (
        *words,
        _number(blocks.mean, "+.2f"),
        _interval(blocks),
        _number(blocks.effect, "+.2f"),
        _number(verdict.p, ".2g"),
        f"{blocks.better} of {blocks.units}",
        f"{cases.mean:+.2f} ({cases.units})",
        _number(verdict.p_by_case, ".2g"),
    )


def order(panel: Panel) -> Table | None:
    """Rank correlations of layer scores between data sets; None if no net was on two."""
    pairs = {method: layer_order.between_tasks(panel, method) for method in _RANKINGS}
    found = {method: {(c.network, c.datasets): c for c in own} for method, own in pairs.items()}
    keys = dict.fromkeys(key for own in found.values() for key in own)
    if not keys:
        return None
    rows = []
    for network, datasets in keys:
        cells = [found[method].get((network, datasets)) for method in _RANKINGS]
        layers = next(cell.layers for cell in cells if cell)
        texts = [_range(c.rho, c.lowest, c.highest) if c else "-" for c in cells]
        rows.append((network, " and ".join(datasets), f"{layers}", *texts))
    within = [layer_order.within_tasks(panel, method) for method in _RANKINGS]
    if any(within):
        noise = [_range(float(np.median(r)), min(r), max(r)) if r else "-" for r in within]
        rows.append(("all", "two folds or seeds of one data set", "-", *noise))
    note = (
        "Spearman's rank correlation of the layers' mean scores on one data set with those on "
        "another; in parentheses the least and the greatest of single folds and seeds. A last row "
        "is what chance does on one data set alone: median, least and greatest."
    )
    header = ("net", "data sets", "layers", *(f"by {method}" for method in _RANKINGS))
    return Table("Order of layers between tasks", note, header, tuple(rows), words=2)


def _range(middle: float, low: float, high: float) -> str:
    return f"{middle:.2f}" if low == high else f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _short(measured: str) -> str:
    return " against ".join(label(part) for part in measured.split(" against "))


def _interval(comparison: Paired) -> str:
    low, high = comparison.interval
    return f"{low:+.2f} to {high:+.2f}" if comparison.tested else "-"


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"
