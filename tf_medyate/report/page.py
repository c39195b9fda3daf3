"""The report as one self-contained HTML file."""

from __future__ import annotations

from typing import Any

from tf_medyate.report import base_page, charts, summary, text, words
from tf_medyate.report.record import TrainingRecord
from tf_medyate.report.theme import DARK, LIGHT

_PAGE = """{% extends "base" %}
{% block top %}
<div class="bars">
{% for bar in bars %}
<div>{{ bar.label }}</div>
<div class="bar"><i{{ ' class=own' if loop.first }} style="width:{{ bar.width }}%"></i>
<span>{{ bar.amount }}</span></div>
{% endfor %}
</div>
{% endblock %}
{% block body %}
{% if epochs %}
<h2>Epochs</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Epochs"><table>
<thead><tr>{% for cell in epoch_header %}<th scope="col">{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in epochs %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% endif %}

<h2>Layers</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Layers"><table>
<thead><tr><th scope="col">#</th><th scope="col" class="text">layer</th>
<th scope="col" class="text">kind</th><th scope="col">channels</th>
<th scope="col">{{ unit }}/channel</th><th scope="col">score share</th>
<th scope="col" class="text">role</th>
{% if epochs %}
<th scope="col">drawn in</th><th scope="col" class="text">mean draw</th>
<th scope="col">coverage</th>
{% endif %}
</tr></thead>
<tbody>
{% for row in layers %}
<tr{{ ' class=off' if not row.active }}><td>{{ row.place }}</td>
<th scope="row" class="text name">{{ row.name }}</th><td class="text">{{ row.kind }}</td>
<td>{{ row.channels }}</td><td>{{ row.cost }}</td><td>{{ row.score }}</td>
<td class="text">{{ row.role }}</td>
{% if epochs %}
<td>{{ row.drawn }}</td>
<td class="text">{% if row.mean is not none %}<span class="meter">
<i style="width:{{ row.mean }}%"></i></span>{{ row.mean }}%{% else %}-{% endif %}</td>
<td>{{ row.coverage }}</td>
{% endif %}
</tr>
{% endfor %}
</tbody>
</table></div>
{% if frontier %}
<h2>What fits the device</h2>
<p>{{ frontier.title }}</p>
<div class="scroll" tabindex="0" role="region" aria-label="What fits the device"><table>
<thead><tr>{% for cell in frontier_header %}<th scope="col">{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in frontier_rows %}
<tr>{% for cell in row %}<td{{ ' class=text' if loop.last }}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% endif %}
{% endblock %}
"""
_FOOTER = (
    "Drawn in: epochs with at least one channel of the layer. Mean draw: share of a layer's "
    "channels drawn, averaged over the epochs. Coverage: share of the channels trained at least "
    "once. Fill and coverage are rounded down."
)


def render(report: TrainingRecord) -> str:
    """Renders the page; every string that comes from the report is escaped."""
    header, rows = _epochs(report)
    fitting = report.frontier.rows() if report.frontier else ((), [])
    return base_page.render(
        _PAGE,
        title=f"tf_medyate: {report.strategy} in {report.budget.format(report.budget.amount)}",
        heading="Fine-tuning under a memory budget",
        under=_under(report),
        lead=text.closing(report),
        footer=_FOOTER,
        alarm=bool(summary.over_budget(report)),
        pictures=base_page.embed(charts.draw(report, LIGHT), charts.draw(report, DARK)),
        bars=_bars(report),
        facts=text.facts(report),
        epoch_header=header,
        epochs=rows,
        layers=_layers(report),
        unit=report.budget.unit,
        frontier=report.frontier,
        frontier_header=fitting[0],
        frontier_rows=fitting[1],
    )


def _under(report: TrainingRecord) -> str:
    strategy = f"Strategy {report.strategy}"
    if not report.epochs:
        return strategy
    length = words.plural(len(report.epochs), "epoch")
    return f"{strategy}, {length} in {words.seconds(sum(r.seconds for r in report.epochs))}"


def _bars(report: TrainingRecord) -> list[dict[str, Any]]:
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


def _epochs(report: TrainingRecord) -> tuple[list[str], list[list[str]]]:
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


def _layers(report: TrainingRecord) -> list[dict[str, Any]]:
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
