"""What our values show in a notebook: small tables of HTML, readable on light and dark ground.

Example:
    >>> print(table("2 layers kept", ("layer", "score"), [("conv", "0.7"), ("<head>", "0.3")]))
    <div>...<b>2 layers kept</b>...&lt;head&gt;...</div>
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

_MOST_ROWS = 40


def table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1, note: str = ""
) -> str:
    """A table with a line above it; every string is escaped.

    Args:
        title: The line above; may be empty.
        header: Names of the columns.
        rows: As many cells each as the header; of more than 40 the middle is left out.
        words: Columns of words, from the left; all others hold numbers.
        note: Lines below; may be empty.
    """
    rows = list(rows)
    lines = [_row("th", header, words), *(_row("td", row, words) for row in rows)]
    if len(rows) > _MOST_ROWS:
        half = _MOST_ROWS // 2
        hidden = f"... {len(rows) - 2 * half} more ..."
        lines[half + 1 : -half] = [_row("td", (hidden, *[""] * (len(header) - 1)), words)]
    parts = [f"<p style='margin:0 0 .4em'><b>{html.escape(title)}</b></p>"] if title else []
    if rows:
        parts.append(f"<table>{''.join(lines)}</table>")
    if note:
        below = html.escape(note).replace("\n", "<br>")
        parts.append(f"<p style='margin:.4em 0 0;opacity:.75'>{below}</p>")
    return f"<div>{''.join(parts)}</div>"


def _row(tag: str, cells: Sequence[str], words: int) -> str:
    sides = ("left" if place < words else "right" for place in range(len(cells)))
    pairs = zip(cells, sides, strict=True)
    inner = (
        f"<{tag} style='text-align:{side}'>{html.escape(cell)}</{tag}>" for cell, side in pairs
    )
    return f"<tr>{''.join(inner)}</tr>"


def ranges(numbers: Sequence[int]) -> str:
    """Rising whole numbers in short: [0, 1, 2, 7] is "0-2, 7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)
