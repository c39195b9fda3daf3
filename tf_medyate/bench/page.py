"""The bench as one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import jinja2
import markupsafe

from tf_medyate.bench import charts
from tf_medyate.bench.panel import Panel
from tf_medyate.bench.tables import Table
from tf_medyate.report.template import CSS
from tf_medyate.report.theme import DARK, DPI, LIGHT

_CSS_PIXELS_PER_INCH = 96

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{{ title }}</title>
<style>{{ css }}
.scroll { max-height: none; }
td.text { white-space: normal; }
thead th { white-space: normal; vertical-align: bottom; }
.prose { white-space: normal; min-width: 16rem; }
.note { color: var(--muted); font-size: .9rem; margin: .2rem 0 .6rem; }
</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
<p class="under">{{ under }}</p>
<p class="lead">{{ lead }}</p>

{% if pictures %}
<h2>Pictures</h2>
{% for picture in pictures %}
<figure><picture>
<source media="(prefers-color-scheme: dark)" srcset="{{ picture.dark }}">
<img src="{{ picture.light }}" width="{{ picture.width }}" height="{{ picture.height }}"
 alt="{{ picture.title }}">
</picture></figure>
{% endfor %}
{% endif %}

{% for table in tables %}
<h2>{{ table.title }}</h2>
{% if table.note %}<p class="note">{{ table.note }}</p>{% endif %}
<div class="scroll" tabindex="0" role="region" aria-label="{{ table.title }}"><table>
<thead><tr>
{% for cell in table.header %}
<th scope="col"{{ ' class=text' if loop.index0 < table.words }}>{{ cell }}</th>
{% endfor %}
</tr></thead>
<tbody>
{% for row in table.rows %}
<tr>
{% for cell in row %}
<td class="{{ 'text' if loop.index0 < table.words }}{{ ' prose' if cell|length > 60 }}">
{{- cell }}</td>
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table></div>
{% endfor %}

<footer>{{ footer }} KiB is 1024 bytes. Written by tf_medyate.</footer>
</main>
</body>
</html>
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
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_PAGE).render(
        css=markupsafe.Markup(CSS),
        title=title,
        under=under,
        lead=lead,
        footer=footer,
        tables=tables,
        pictures=_pictures(panel),
    )


def _pictures(panel: Panel) -> list[dict[str, Any]]:
    entries = []
    for light, dark in zip(charts.draw(panel, LIGHT), charts.draw(panel, DARK), strict=True):
        width, height = (round(side * _CSS_PIXELS_PER_INCH / DPI) for side in light.size)
        entry = {"title": light.title, "width": width, "height": height}
        entries.append(entry | {"light": _data_url(light.png()), "dark": _data_url(dark.png())})
    return entries


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
