"""The learning rate that every recipe here lets fall along half a cosine, to 0."""

from __future__ import annotations

import math


def cosine(rate: float, progress: float) -> float:
    """The rate at a time: `rate` at progress 0, 0 at progress 1 and after.

    Example:
        >>> cosine(0.1, 0.5)
        0.05
    """
    return rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
