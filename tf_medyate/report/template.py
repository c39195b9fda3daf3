"""The page that `page.render` fills in: HTML and CSS, without a script or a link."""

CSS = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1b2430; --muted: #5c6773;
  --line: #e3e7ec; --soft: #f5f7f9; --blue: #0072b2; --pale: #c3cad2; --alarm: #b8420a; }
@media (prefers-color-scheme: dark) { :root { --ground: #161b22; --ink: #e8edf2;
  --muted: #9aa7b4; --line: #2b333d; --soft: #1d242d; --blue: #56b4e9; --pale: #566271;
  --alarm: #ff8a5c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 1.75rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .6rem; }
.under { color: var(--muted); margin: .2rem 0 1.2rem; }
.lead { font-size: 1.08rem; margin: 0 0 1.4rem; padding: .7rem 1rem; background: var(--soft);
  border-left: 4px solid var(--blue); border-radius: 0 6px 6px 0; overflow-wrap: anywhere; }
.lead.over { border-color: var(--alarm); }
.scroll { overflow-x: auto; max-height: 36rem; border: 1px solid var(--line);
  border-radius: 6px; }
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
figure { margin: 0 0 1.2rem; border: 1px solid var(--line);
  border-radius: 6px; padding: .4rem; }
figure img { display: block; width: 100%; max-width: 45rem; height: auto;
  margin: 0 auto; }
footer { color: var(--muted); font-size: .85rem; margin-top: 2.5rem; }
@media print { .scroll { max-height: none; } figure { break-inside: avoid; } }
"""

PAGE = """<!doctype html>
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
<h1>Fine-tuning under a memory budget</h1>
<p class="under">{{ under }}</p>
<p class="lead{{ ' over' if over }}">{{ lead }}</p>

<div class="bars">
{% for bar in bars %}
<div>{{ bar.label }}</div>
<div class="bar"><i{{ ' class=own' if loop.first }} style="width:{{ bar.width }}%"></i>
<span>{{ bar.amount }}</span></div>
{% endfor %}
</div>

<table class="facts">
<tbody>
{% for label, value in facts %}
<tr><th scope="row">{{ label }}</th><td>{{ value }}</td></tr>
{% endfor %}
</tbody>
</table>

<h2>Pictures</h2>
{% for picture in pictures %}
<figure><picture>
<source media="(prefers-color-scheme: dark)" srcset="{{ picture.dark }}">
<img src="{{ picture.light }}" width="{{ picture.width }}" height="{{ picture.height }}"
 alt="{{ picture.title }}">
</picture></figure>
{% endfor %}

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
<footer>Drawn in: epochs with at least one channel of the layer. Mean draw: share of a layer's
channels drawn, averaged over the epochs. Coverage: share of the channels trained at least once.
Fill and coverage are rounded down. KiB is 1024 bytes. Written by tf_medyate.</footer>
</main>
</body>
</html>
"""
