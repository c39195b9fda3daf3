"""The report as one self-contained HTML file."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import jinja2
import markupsafe

from tf_medyate.report import charts, summary, text, words
from tf_medyate.report.template import CSS, PAGE
from tf_medyate.report.theme import DARK, DPI, LIGHT

if TYPE_CHECKING:
    from tf_medyate.report.record import TrainingReport

_CSS_PIXELS_PER_INCH = 96


def render(report: TrainingReport) -> str:
    """Renders the page; every string that comes from the report is escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    header, rows = _epochs(report)
    return environment.from_string(PAGE).render(
        css=markupsafe.Markup(CSS),
        title=f"tf_medyate: {report.strategy} in {report.budget.format(report.budget.amount)}",
        under=_under(report),
        lead=text.closing(report),
        over=bool(summary.over_budget(report)),
        bars=_bars(report),
        facts=text.facts(report),
        pictures=_pictures(report),
        epoch_header=header,
        epochs=rows,
        layers=_layers(report),
        unit=report.budget.unit,
    )


def _under(report: TrainingReport) -> str:
    strategy = f"Strategy {report.strategy}"
    if not report.epochs:
        return strategy
    length = words.plural(len(report.epochs), "epoch")
    return f"{strategy}, {length} in {words.seconds(sum(r.seconds for r in report.epochs))}"


def _bars(report: TrainingReport) -> list[dict[str, Any]]:
    """The budget beside full fine-tuning, to scale; the longest takes 70 % of the line."""
    budget, full = report.budget, report.cost.full(report.specs)
    rows = [("Budget", budget.amount), ("Full fine-tuning", full)]
    longest = max(budget.amount, full)
    return [
        {
            "label": label,
            "width": f"{70 * amount / longest:.2f}",
            "amount": budget.format(amount),
        }
        for label, amount in rows
    ]


def _pictures(report: TrainingReport) -> list[dict[str, Any]]:
    """Each picture for light and for dark screens, as data URLs."""
    entries = []
    for light, dark in zip(charts.draw(report, LIGHT), charts.draw(report, DARK), strict=True):
        width, height = (round(side * _CSS_PIXELS_PER_INCH / DPI) for side in light.size)
        entry = {"title": light.title, "width": width, "height": height}
        entries.append(entry | {"light": _data_url(light.png()), "dark": _data_url(dark.png())})
    return entries


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _epochs(report: TrainingReport) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of the table of epochs."""
    names, total = summary.log_names(report), summary.candidate_channels(report)
    header = [
        "epoch",
        "draw",
        "channels",
        "layers",
        f"{report.budget.unit} of {report.budget.amount:,}",
    ]
    header += ["fill", "coverage", *names, "seconds"]
    rows = [
        [
            f"{row.number}",
            f"{row.draw}",
            f"{row.channels:,}",
            f"{row.layers}",
            f"{row.used:,}",
            words.percent(row.fill),
            words.percent(row.trained / total) if total else "-",
            *(summary.format_log(name, row.logs.get(name)) for name in names),
            f"{row.seconds:.1f}",
        ]
        for row in summary.epochs(report)
    ]
    return header, rows


def _layers(report: TrainingReport) -> list[dict[str, Any]]:
    """The rows of the table of layers, in execution order."""
    rows = []
    for layer in summary.layers(report):
        spec, drawable = layer.spec, layer.candidate and bool(report.epochs)
        role = "head" if spec.is_head else "kept" if layer.candidate else "frozen"
        rows.append(
            {
                "active": layer.candidate or spec.is_head,
                "place": spec.index + 1,
                "name": spec.name,
                "kind": spec.kind,
                "channels": f"{spec.channels:,}",
                "cost": f"{layer.channel_cost:,}",
                "score": "-" if layer.share is None else f"{layer.share:.1%}",
                "role": role,
                "drawn": f"{layer.epochs_drawn} of {len(report.epochs)}" if drawable else "-",
                "mean": f"{100 * layer.mean_share:.1f}" if drawable else None,
                "coverage": words.percent(layer.trained / spec.channels) if drawable else "-",
            }
        )
    return rows
