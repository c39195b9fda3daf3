"""The bench as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence

from tf_medyate.bench.analyse import charts
from tf_medyate.bench.analyse.panel import Panel
from tf_medyate.bench.analyse.tables import Table
from tf_medyate.report import base_page
from tf_medyate.report.theme import DARK, LIGHT

_PAGE = """{% extends "base" %}
{% block body %}
{% for table in tables %}
<h2>{{ table.title }}</h2>
{% if table.note %}<p class="note">{{ table.note }}</p>{% endif %}
<div class="scroll whole" tabindex="0" role="region" aria-label="{{ table.title }}"><table>
<thead><tr>
{% for cell in table.header %}
<th scope="col"{{ ' class=text' if loop.index0 < table.words }}>{{ cell }}</th>
{% endfor %}
</tr></thead>
<tbody>
{% for row in table.rows %}
<tr>
{% for cell in row %}
<td class="{{ 'text' if loop.index0 < table.words }}{{ ' text prose' if cell|length > 24 }}">
{{- cell }}</td>
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table></div>
{% endfor %}
{% endblock %}
"""


def render(
    panel: Panel, tables: Sequence[Table], title: str, under: str, lead: str, footer: str
) -> str:
    """Renders the page; every string is escaped.

    Args:
        panel: Results; the pictures are drawn of them, for light and for dark screens.
        tables: What to print below the pictures.
        title: Headline.
        under: What was run, below it.
        lead: What came of it, in one sentence.
        footer: Versions and the like.
    """
    return base_page.render(
        _PAGE,
        title=title,
        heading=title,
        under=under,
        lead=lead,
        footer=footer,
        pictures=base_page.embed(charts.draw(panel, LIGHT), charts.draw(panel, DARK)),
        tables=tables,
    )
