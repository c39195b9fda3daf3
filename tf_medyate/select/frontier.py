"""Which layers a device has room to train: a line for each layer that training may begin with.

Example:
    >>> limits = md.LayersThatFit(board="nano33ble")
    >>> medyate = md.MeDyate("64KiB", layers=limits, calibration=(x, y))
    >>> medyate.set_model(model)
    >>> print(medyate.frontier)
"""

from __future__ import annotations

import dataclasses

from tf_medyate import notebook
from tf_medyate.spec import KIB


@dataclasses.dataclass(frozen=True)
class FrontierPoint:
    """The best layers from a certain one on, and what training them takes.

    Attributes:
        first_layer: Number of the first of them, counted from 0 at the input.
        kept: Their names, in the ranking's order.
        score: Their worth, 1 for the layers that would be kept if memory were no matter.
        arena_bytes: Arena of the training step on a 32-bit board, without TFLM, or TFLM's for a
            model with built-in ops of it; 0 if these layers cannot be exported.
        flash_bytes: Flash in all, the board's own software included; 0 if unknown.
        misses: What it is too large for, in words; empty if it fits.
        left_out: Layers that had to go for the sake of the flash.
        accuracy: In 0..1, where somebody has measured it.
    """

    first_layer: int
    kept: tuple[str, ...]
    score: float
    arena_bytes: int
    flash_bytes: int
    misses: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    accuracy: float | None = None

    @property
    def fits(self) -> bool:
        """It is within all limits."""
        return not self.misses

    @property
    def remark(self) -> str:
        """Why it does not fit, or at what price it does."""
        if self.misses:
            return ", ".join(self.misses)
        return f"without {', '.join(self.left_out)}" if self.left_out else ""


@dataclasses.dataclass(frozen=True, repr=False)
class Frontier:
    """Worth against memory.

    Attributes:
        limits: What has to be fitted, in words.
        points: From the first layer on to the last.
        chosen: Index of the best that fits; -1 if none does.
    """

    limits: str
    points: tuple[FrontierPoint, ...]
    chosen: int

    @property
    def best(self) -> FrontierPoint | None:
        """The point that was chosen."""
        return self.points[self.chosen] if self.chosen >= 0 else None

    @property
    def title(self) -> str:
        """What came of it, as a line."""
        if self.best is None:
            return f"no layers fit {self.limits}"
        return (
            f"best layers that fit {self.limits}: {len(self.best.kept)} from layer "
            f"{self.best.first_layer} on, {self.best.score:.1%} of the score"
        )

    def rows(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Header and cells of the table; the column of accuracies only if there are any."""
        measured = any(point.accuracy is not None for point in self.points)
        header = ["from layer", "kept", "score", "arena KiB", "flash KiB"]
        header += ["accuracy"] if measured else []
        rows = []
        for index, point in enumerate(self.points):
            cells = [
                f"{'*' if index == self.chosen else ''}{point.first_layer}",
                f"{len(point.kept)}",
                f"{point.score:.1%}",
                *(f"{n / KIB:,.1f}" if n else "-" for n in (point.arena_bytes, point.flash_bytes)),
            ]
            if measured:
                cells.append("-" if point.accuracy is None else f"{point.accuracy:.1%}")
            rows.append((*cells, point.remark or "fits"))
        return (*header, ""), rows

    def __repr__(self) -> str:
        return f"<Frontier {self.title}>"

    def _repr_html_(self) -> str:
        return notebook.table(self.title, *self.rows(), words=0)

    def __str__(self) -> str:
        header, rows = self.rows()
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)][:-1]
        lines = [
            "  ".join([*(c.rjust(w) for c, w in zip(cells, widths, strict=False)), cells[-1]])
            for cells in (header, *rows)
        ]
        return "\n".join([self.title, *(line.rstrip() for line in lines)])
