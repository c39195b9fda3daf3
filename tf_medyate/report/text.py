"""The report as plain text, for a terminal or a log file."""

from __future__ import annotations

from collections.abc import Sequence

from tf_medyate.report import summary, words
from tf_medyate.report.record import TrainingRecord
from tf_medyate.spec import BYTES

_MOST_EPOCHS = 20
_MOST_LAYERS = 24
_MOST_LOGS = 4
_NAME_WIDTH = 30


def render(report: TrainingRecord) -> str:
    """Renders the whole report; lines end without blanks, the text without a newline."""
    blocks = [_heading(report), _facts(report), _layer_table(report)]
    if report.frontier:
        blocks.append(str(report.frontier))
    if report.epochs:
        blocks.append(_epoch_table(report))
    blocks.append(closing(report))
    return "\n\n".join(block for block in blocks if block)


def closing(report: TrainingRecord) -> str:
    """One sentence on the outcome, or on what to do before the first epoch."""
    if not report.epochs:
        return (
            "No epoch has run yet: call model.fit(..., callbacks=[medyate]), "
            "then print the report again."
        )
    total, trained = summary.candidate_channels(report), summary.epochs(report)[-1].trained
    sentence = f"{_budget_verdict(report)}; "
    if total:
        share = words.percent(trained / total)
        sentence += f"{trained:,} of {total:,} candidate channels trained ({share})"
    else:
        sentence += "only the head was trained"
    outcome = summary.headline(report)
    return f"{sentence}{f'; {outcome}' if outcome else ''}."


def _budget_verdict(report: TrainingRecord) -> str:
    budget = report.budget.format(report.budget.amount)
    count = summary.over_budget(report)
    if count:
        peak = report.budget.format(summary.peak(report))
        return f"OVER BUDGET in {words.plural(count, 'epoch')}: up to {peak} of {budget}"
    return f"Never above {budget}"


def _heading(report: TrainingRecord) -> str:
    title = f"Fine-tuning under a memory budget: {report.strategy}"
    if report.epochs:
        total = sum(record.seconds for record in report.epochs)
        length = words.plural(len(report.epochs), "epoch")
        title += f", {length} in {words.seconds(total)}"
    return f"{title}\n{'=' * len(title)}"


def facts(report: TrainingRecord) -> list[tuple[str, str]]:
    """What holds for the whole run, as (label, value) pairs."""
    budget, kept = report.budget, len(report.ranking.kept)
    rows = [
        ("Memory budget", str(budget)),
        (
            "Full fine-tuning",
            f"{budget.format(report.cost.full(report.specs))}, {summary.versus_budget(report)}",
        ),
        ("Layers kept", f"{kept} of {len(report.ranking.order)}, {_score_words(report)}"),
    ]
    if report.drawn_by:
        rows.append(("Channels drawn", report.drawn_by))
    if report.frozen:
        rows.append(("Frozen as they are", ", ".join(report.frozen)))
    if report.epochs:
        peak = summary.peak(report)
        share = words.percent(peak / budget.amount)
        rows[2:2] = [
            ("Most used", f"{_exact(report, peak)}, {share} of the budget"),
            ("Always trained", _fixed(report)),
        ]
    return rows


def _exact(report: TrainingRecord, amount: int) -> str:
    short, exact = report.budget.format(amount), f"{amount:,} {report.budget.unit}"
    return short if short == exact else f"{short} ({exact})"


def _fixed(report: TrainingRecord) -> str:
    kept = any(spec.bias_elements and not spec.is_head for spec in summary.candidates(report))
    what = "head and biases" if report.cost.train_bias and kept else "head"
    if report.budget.unit != BYTES:
        return f"{what}, not counted in {report.budget.unit}"
    return f"{report.budget.format(report.epochs[-1].plan.fixed)} ({what})"


def _score_words(report: TrainingRecord) -> str:
    if not report.ranking.order:
        return "no layer is ranked"
    ranking = report.ranking
    reason = f" ({ranking.reason})" if ranking.reason else ""
    return f"{ranking.covered:.1%} of the {ranking.method} score{reason}"


def _facts(report: TrainingRecord) -> str:
    rows = facts(report)
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {value}" for label, value in rows)


def _layer_table(report: TrainingRecord) -> str:
    """The candidate layers, in execution order."""
    header = ["kept layer", "kind", "channels", f"{report.budget.unit}/channel", "score share"]
    if report.epochs:
        header += ["drawn/epoch", "coverage"]
    rows = []
    for layer in summary.layers(report):
        if not layer.candidate:
            continue
        row = [
            words.shorten(layer.spec.name, _NAME_WIDTH),
            layer.spec.kind,
            f"{layer.spec.channels:,}",
            f"{layer.channel_cost:,}",
            "-" if layer.share is None else f"{layer.share:.1%}",
        ]
        if report.epochs:
            row += [
                f"{layer.mean_share * layer.spec.channels:.1f}",
                words.percent(layer.trained / layer.spec.channels),
            ]
        rows.append(row)
    return table(header, rows, left=2, most=_MOST_LAYERS, noun="layer") if rows else ""


def _epoch_table(report: TrainingRecord) -> str:
    header, rows = epoch_rows(report)
    text = table(header, rows, left=0, most=_MOST_EPOCHS, noun="epoch")
    if hidden := summary.log_names(report)[_MOST_LOGS:]:
        text += f"\nAlso recorded: {', '.join(hidden)}."
    return text


def epoch_rows(report: TrainingRecord) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of the table of epochs, with the first logs."""
    rows = summary.epochs(report)
    total = summary.candidate_channels(report)
    shown = summary.log_names(report)[:_MOST_LOGS]
    repeated = len({row.draw for row in rows}) < len(rows)
    header = ["epoch", *(["draw"] if repeated else []), "channels", "layers"]
    header += [f"{report.budget.unit} of {report.budget.amount:,}", "fill", "coverage", *shown]
    cells = [
        [
            f"{row.number}",
            *([f"{row.draw}"] if repeated else []),
            f"{row.channels:,}",
            f"{row.layers}",
            f"{row.used:,}",
            words.percent(row.fill),
            words.percent(row.trained / total) if total else "-",
            *(summary.format_log(name, row.logs.get(name)) for name in shown),
        ]
        for row in rows
    ]
    return header, cells


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], left: int, most: int, noun: str
) -> str:
    """Aligns cells in columns.

    Args:
        header: One title per column.
        rows: The cells, as wide as the header.
        left: So many columns from the left are flush left, the others flush right.
        most: Longer tables lose their middle, and say how many rows that were.
        noun: What a row is, for that line.

    Returns:
        The table, its header underlined.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        pairs = enumerate(zip(cells, widths, strict=True))
        return "  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in pairs).rstrip()

    lines = [line(row) for row in rows]
    if len(rows) > most:
        half = most // 2
        hidden = words.plural(len(rows) - 2 * half, f"more {noun}")
        lines[half:-half] = [f"... {hidden} ..."]
    return "\n".join([line(header), "  ".join("-" * width for width in widths), *lines])
