"""Numbers and names as people read them."""

from __future__ import annotations

import math


def percent(share: float) -> str:
    """A share in percent, rounded down: only what is complete reads 100.0%."""
    # The epsilon keeps shares such as 0.29, which is stored a little too small, at 29.0%.
    return f"{math.floor(share * 1000 + 1e-9) / 10:.1f}%"


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 layer", "2 layers"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def seconds(duration: float) -> str:
    """A duration for people: "3.4 s", "2 min 5 s", "1 h 4 min"."""
    if duration < 60:
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def shorten(name: str, width: int) -> str:
    """Cuts the middle out of a name that is longer than `width`."""
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    return f"{name[: width - 1 - tail]}…{name[-tail:]}"
