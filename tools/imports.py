"""Who imports whom in tf_medyate, read from the sources; draws docs/img/architecture.svg.

    python tools/imports.py              # draws
    python tools/imports.py exporter     # prints who imports whom inside one folder

Every import counts, also one in a function or for types alone: a circle is a circle.
"""

from __future__ import annotations

import ast
import dataclasses
import html
import itertools
import statistics
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "tf_medyate"
PICTURE = ROOT / "docs/img/architecture.svg"
VALUES = "values"
"""The box of all single files that import no folder."""
_VALUES_SAY = "errors, spec, cost and the other single files that import no folder"

Graph = Mapping[str, set[str]]
_Stop = str | tuple[str, str, int]  # a room, or where an arrow passes a row


@dataclasses.dataclass(frozen=True)
class Module:
    """One file: its dotted name, its docstring's first line, and the modules that it imports."""

    name: str
    summary: str
    imports: frozenset[str]


def read_modules(root: Path = ROOT) -> dict[str, Module]:
    """Every module of the package by name."""
    files = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        files[name.removesuffix(".__init__")] = path
    return {name: _read(name, path, files) for name, path in files.items()}


def _read(name: str, path: Path, known: Iterable[str]) -> Module:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # "from a.b import c" imports the module a.b.c if there is one, else a.b.
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = names & set(known)
            found |= modules | ({node.module} if modules != names else set())
    text = (ast.get_docstring(tree) or "").split("\n")[0]
    return Module(name, text, frozenset(found & set(known) - {name}))


def room_of(module: str) -> str:
    """The folder or single file right under the package that a module belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else PACKAGE


def room_graph(modules: Mapping[str, Module]) -> dict[str, set[str]]:
    """Room -> the rooms that it imports."""
    graph: dict[str, set[str]] = {room_of(name): set() for name in modules}
    for module in modules.values():
        graph[room_of(module.name)] |= {room_of(other) for other in module.imports}
    return {room: others - {room} for room, others in graph.items()}


def circle(graph: Graph) -> list[str]:
    """One circle, its first member again at the end; [] if there is none."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for other in sorted(graph[node]):
            if found := visit(other, [*path, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := visit(node, []))), [])


# --- the picture

_BOX, _GAP, _MARGIN = (204, 88), (26, 46), 16
_CHARACTERS = 29
_STYLE = """
  text { font: 11px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #5c6773; }
  .name { font-weight: 600; font-size: 14px; fill: #1b2430; }
  rect { fill: #f5f7f9; stroke: #0072b2; stroke-width: 1.5; }
  path { fill: none; stroke: #9aa7b4; stroke-width: 1.3; } polygon { fill: #9aa7b4; }
  .ground { fill: #ffffff; stroke: none; }
  @media (prefers-color-scheme: dark) { text { fill: #9aa7b4; } .name { fill: #e8edf2; }
    rect { fill: #1d242d; stroke: #56b4e9; } .ground { fill: #161b22; } }
"""


def picture(modules: Mapping[str, Module]) -> str:
    """The rooms as SVG: each above all that it imports, an arrow to what is next below it."""
    graph = with_values(room_graph(modules))
    chains = _chains(_reduced(graph), _levels(graph))
    places, width, height = _places(_ordered(_levels(graph), chains))
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {width} {height}" width="{width}">',
        "<title>Who imports whom in tf_medyate</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{width}" height="{height}"/>',
        *(_arrow([places[stop] for stop in chain]) for chain in chains),
    ]
    for room in sorted(graph):
        summary = _VALUES_SAY if room == VALUES else modules[_module(room)].summary
        lines += _box(room, summary, *places[room])
    return "\n".join([*lines, "</svg>", ""])


def _module(room: str) -> str:
    return PACKAGE if room == PACKAGE else f"{PACKAGE}.{room}"


def with_values(graph: Graph) -> dict[str, set[str]]:
    """The graph with all single files that import only their like as one box."""
    folders = {p.parent.name for p in (ROOT / PACKAGE).glob("*/__init__.py")} | {PACKAGE}
    singles = {room for room in graph if room not in folders and not graph[room] & folders}
    singles = {room for room in singles if graph[room] <= singles}
    merged: dict[str, set[str]] = defaultdict(set)
    for room, others in graph.items():
        merged[VALUES if room in singles else room] |= {
            VALUES if other in singles else other for other in others
        }
    return {room: others - {room} for room, others in merged.items()}


def _levels(graph: Graph) -> dict[str, int]:
    """Row of each room, 0 at the bottom: one above the highest that it imports."""
    levels: dict[str, int] = {}

    def level(room: str) -> int:
        if room not in levels:
            levels[room] = 1 + max((level(other) for other in sorted(graph[room])), default=-1)
        return levels[room]

    for room in sorted(graph):
        level(room)
    return levels


def _reduced(graph: Graph) -> dict[str, set[str]]:
    """Without the arrows that a longer way says already."""

    def reach(room: str) -> set[str]:
        return graph[room].union(*(reach(other) for other in graph[room]))

    return {
        room: others - set().union(*(reach(other) for other in others)) if others else set()
        for room, others in graph.items()
    }


def _chains(graph: Graph, levels: Mapping[str, int]) -> list[list[_Stop]]:
    """Every arrow as the stops on its way: a room, a gap in each row that it passes, a room."""
    return [
        [room, *((room, other, row) for row in range(levels[room] - 1, levels[other], -1)), other]
        for room in sorted(graph)
        for other in sorted(graph[room])
    ]


def _ordered(levels: Mapping[str, int], chains: list[list[_Stop]]) -> list[list[_Stop]]:
    """Rooms and gaps row by row from the top, each near its neighbours in the rows beside it."""
    rows: list[list[_Stop]] = [[] for _ in range(1 + max(levels.values()))]
    for room, level in levels.items():
        rows[-1 - level].append(room)
    near: dict[_Stop, list[_Stop]] = defaultdict(list)
    for chain in chains:
        for gap in chain[1:-1]:
            rows[-1 - int(gap[2])].append(gap)
        for one, other in itertools.pairwise(chain):
            near[one].append(other)
            near[other].append(one)
    for _ in range(8):
        for row in (*rows, *rows[::-1]):
            at = {stop: x for own in rows for stop, x in zip(own, _centres(own), strict=True)}
            row.sort(key=lambda stop: statistics.mean(at[other] for other in near[stop]))
    return rows


def _centres(row: list[_Stop]) -> list[float]:
    """Middles of a row's rooms and gaps, side by side around 0."""
    widths = [_BOX[0] if isinstance(stop, str) else 0 for stop in row]
    ends = list(itertools.accumulate(width + _GAP[0] for width in widths))
    return [
        end - width / 2 - (ends[-1] + _GAP[0]) / 2 for end, width in zip(ends, widths, strict=True)
    ]


def _places(rows: list[list[_Stop]]) -> tuple[dict[_Stop, tuple[float, float]], int, int]:
    """Middle of the upper edge of every room and gap; width and height of the picture."""
    centres = [_centres(row) for row in rows]
    half = max(abs(x) for row in centres for x in row) + _BOX[0] / 2 + _MARGIN
    places = {}
    for number, (row, xs) in enumerate(zip(rows, centres, strict=True)):
        y = _MARGIN + number * (_BOX[1] + _GAP[1])
        places |= {stop: (half + x, y) for stop, x in zip(row, xs, strict=True)}
    return places, round(2 * half), 2 * _MARGIN + len(rows) * (_BOX[1] + _GAP[1]) - _GAP[1]


def _arrow(stops: list[tuple[float, float]]) -> str:
    """From the first room's lower edge through the gaps to the last one's upper edge."""
    parts = [f"M{stops[0][0]:.0f} {stops[0][1] + _BOX[1]:.0f}"]
    for (x0, y0), (x1, y1) in itertools.pairwise(stops):
        start, bend = y0 + _BOX[1], _GAP[1] / 2
        parts.append(
            f"V{start:.0f} C{x0:.0f} {start + bend:.0f} {x1:.0f} {y1 - bend:.0f} {x1:.0f} {y1:.0f}"
        )
    x, y = stops[-1]
    head = f'<polygon points="{x:.0f},{y:.0f} {x - 4:.0f},{y - 8:.0f} {x + 4:.0f},{y - 8:.0f}"/>'
    return f'<path d="{" ".join(parts)}"/>{head}'


def _box(room: str, summary: str, middle: float, y: float) -> list[str]:
    x = middle - _BOX[0] / 2
    lines = textwrap.wrap(summary.rstrip("."), _CHARACTERS, max_lines=4, placeholder=" ...")
    parts = [f'<rect x="{x:.0f}" y="{y:.0f}" width="{_BOX[0]}" height="{_BOX[1]}" rx="8"/>']
    parts.append(f'<text class="name" x="{x + 10:.0f}" y="{y + 19:.0f}">{html.escape(room)}</text>')
    for number, line in enumerate(lines):
        below = y + 35 + 14 * number
        parts.append(f'<text x="{x + 10:.0f}" y="{below:.0f}">{html.escape(line)}</text>')
    return parts


def main(words: list[str]):
    """Draws, or prints the imports inside a folder."""
    modules = read_modules()
    if not words:
        PICTURE.write_text(picture(modules), encoding="utf-8")
        print(f"{PICTURE.relative_to(ROOT)}: {len(room_graph(modules))} rooms")
        return
    inside = f"{PACKAGE}.{words[0]}."
    for name, module in modules.items():
        if name.startswith(inside):
            others = sorted(o.removeprefix(inside) for o in module.imports if o.startswith(inside))
            print(f"{name.removeprefix(inside):<28} {' '.join(others)}")


if __name__ == "__main__":
    main(sys.argv[1:])
