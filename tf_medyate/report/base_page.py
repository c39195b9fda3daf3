"""The frame of every page that we write: one head, one style, one way to show pictures.

A page is one self-contained file without a script or a link. It gives a Jinja template that extends
"base" and fills the blocks `top` (below the lead) and `body` (below facts and pictures).

Example:
    >>> page = '{% extends "base" %}{% block body %}<p>{{ word }}</p>{% endblock %}'
    >>> print(render(page, title="Hello", heading="Hello", under="", lead="", footer="",
    ...              pictures=[], word="<b>"))
    <!doctype html>...<p>&lt;b&gt;</p>...
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import jinja2
import markupsafe

from tf_medyate.report.theme import DPI, Picture

_CSS_PIXELS_PER_INCH = 96

_CSS = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1b2430; --muted: #5c6773;
  --line: #e3e7ec; --soft: #f5f7f9; --blue: #0072b2; --pale: #c3cad2; --alarm: #b8420a; }
@media (prefers-color-scheme: dark) { :root { --ground: #161b22; --ink: #e8edf2;
  --muted: #9aa7b4; --line: #2b333d; --soft: #1d242d; --blue: #56b4e9; --pale: #566271;
  --alarm: #ff8a5c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1.75rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .6rem; }
p { max-width: 62rem; }
.under { color: var(--muted); margin: .2rem 0 1.2rem; }
.lead { font-size: 1.08rem; margin: 0 0 1.4rem; padding: .7rem 1rem; background: var(--soft);
  border-left: 4px solid var(--blue); border-radius: 0 6px 6px 0; overflow-wrap: anywhere; }
.lead.over { border-color: var(--alarm); }
.scroll { overflow-x: auto; max-height: 36rem; border: 1px solid var(--line);
  border-radius: 6px;
  /* A shadow at a side where there is more to see: the first two layers move with the content. */
  background: linear-gradient(90deg, var(--ground) 40%, transparent) 0 0 / 3rem 100% local,
    linear-gradient(270deg, var(--ground) 40%, transparent) 100% 0 / 3rem 100% local,
    linear-gradient(90deg, var(--pale), transparent) 0 0 / .9rem 100% scroll,
    linear-gradient(270deg, var(--pale), transparent) 100% 0 / .9rem 100% scroll, var(--ground);
  background-repeat: no-repeat; }
table { border-collapse: collapse; width: 100%; font-size: .84rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .36rem .48rem; text-align: right; white-space: nowrap; }
thead th { position: sticky; top: 0; background: var(--soft); color: var(--muted);
  font-weight: 600; }
tbody tr + tr > * { border-top: 1px solid var(--line); }
.text { text-align: left; }
th.text { font-weight: 600; }
.name { white-space: normal; overflow-wrap: anywhere; min-width: 10rem; }
.off { color: var(--muted); }
.facts { margin: 0 0 1.4rem; }
.facts td { white-space: normal; text-align: left; width: 100%; }
.facts th { color: var(--muted); text-align: left; vertical-align: top; }
.bars { display: grid; grid-template-columns: max-content 1fr; gap: .4rem .8rem;
  align-items: center; font-size: .88rem; margin: 0 0 1.4rem; }
.bar { display: flex; align-items: center; gap: .5rem; }
.bar i { display: block; height: 1rem; min-width: 2px; border-radius: 2px;
  background: var(--pale); }
.bar .own { background: var(--blue); }
.bar span { white-space: nowrap; }
.meter { display: inline-block; width: 3rem; height: .7rem; margin-right: .4rem;
  background: var(--line); border-radius: 2px; vertical-align: baseline; }
.meter i { display: block; height: 100%; background: var(--blue); border-radius: 2px; }
.several { columns: 27rem; column-gap: 1rem; }
figure { margin: 0 0 1rem; border: 1px solid var(--line);
  border-radius: 6px; padding: .4rem; break-inside: avoid; }
figure img { display: block; width: 100%; max-width: 45rem; height: auto;
  margin: 0 auto; }
@media (max-width: 40rem) { main { padding: 1rem .7rem 2rem; }
  figure { border: 0; padding: 0; } }
.note { color: var(--muted); font-size: .9rem; margin: .2rem 0 .6rem; }
.whole { max-height: none; }
.whole thead th { white-space: normal; vertical-align: bottom; }
.whole td.prose { white-space: normal; min-width: 11rem; }
footer { color: var(--muted); font-size: .85rem; margin-top: 2.5rem; }
@media print { .scroll { max-height: none; } }
"""


_BASE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{{ title }}</title>
<style>{{ css }}</style>
</head>
<body>
<main>
<h1>{{ heading }}</h1>
<p class="under">{{ under }}</p>
<p class="lead{{ ' over' if alarm }}">{{ lead }}</p>
{% block top %}{% endblock %}
{% if facts %}
<table class="facts"><tbody>
{% for label, value in facts %}
<tr><th scope="row">{{ label }}</th><td>{{ value }}</td></tr>
{% endfor %}
</tbody></table>
{% endif %}
{% if pictures %}
{% if pictures|length > 1 %}
<h2>Pictures</h2>
{% endif %}
<div{{ ' class=several' if pictures|length > 1 }}>
{% for picture in pictures %}
<figure><picture>
<source media="(prefers-color-scheme: dark)" srcset="{{ picture.dark }}">
<img src="{{ picture.light }}" width="{{ picture.width }}" height="{{ picture.height }}"
 alt="{{ picture.title }}">
</picture></figure>
{% endfor %}
</div>
{% endif %}
{% block body %}{% endblock %}
<footer>{{ footer }} KiB is 1024 bytes. Written by tf_medyate.</footer>
</main>
</body>
</html>
"""


def render(
    page: str,
    /,
    *,
    pictures: Iterable[dict[str, Any]],
    facts: Sequence[tuple[str, str]] = (),
    alarm: bool = False,
    **values: Any,
) -> str:
    """Fills a page in; every string among the values is escaped.

    Args:
        page: A Jinja template that extends "base".
        pictures: From `embed`.
        facts: Names and values, for a table above the pictures.
        alarm: Show the lead as a warning.
        **values: What the template names; of the base these are `title`, `heading`, `under` (what
            was run), `lead` (what came of it), `footer`.
    """
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.DictLoader({"base": _BASE, "page": page}),
    )
    css = markupsafe.Markup(_CSS)
    template = environment.get_template("page")
    values |= {"css": css, "pictures": list(pictures), "facts": facts, "alarm": alarm}
    return template.render(**values)


def embed(light: Iterable[Picture], dark: Iterable[Picture]) -> list[dict[str, Any]]:
    """Each picture for light and for dark screens, as data URLs, in CSS pixels."""
    entries = []
    for ours, theirs in zip(light, dark, strict=True):
        width, height = (round(side * _CSS_PIXELS_PER_INCH / DPI) for side in ours.size)
        urls = {"light": _data_url(ours.png()), "dark": _data_url(theirs.png())}
        entries.append({"title": ours.title, "width": width, "height": height, **urls})
    return entries


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
