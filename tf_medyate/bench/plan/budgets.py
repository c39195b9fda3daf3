"""Budgets of the bench: shares of full fine-tuning, and those that the papers set.

The papers' are those of Sparse Update's schemes: see `tf_medyate.select.published`.

Example:
    >>> Budget.share(0.1).resolve(specs)
    MemoryBudget(amount=..., unit='bytes')
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from tf_medyate.cost import CostModel
from tf_medyate.errors import OptionError
from tf_medyate.spec import BYTES, ELEMENTS, WEIGHTS, LayerSpec, MemoryBudget

SHARE = "share"


@dataclasses.dataclass(frozen=True)
class Budget:
    """A budget as a suite states it, before the net is known.

    Attributes:
        level: What it is called in tables; results of one level are compared with each other.
        amount: Bytes, elements, weights, or a share of full fine-tuning's bytes (0 to 1).
        unit: "bytes", "elements", "weights" or "share".
    """

    level: str
    amount: float
    unit: str

    def __post_init__(self):
        if self.unit not in (BYTES, ELEMENTS, WEIGHTS, SHARE) or not 0 < self.amount < math.inf:
            raise OptionError(
                "budget",
                'a positive amount of "bytes", "elements" or "weights", or a "share" of full',
                f"{self.amount} {self.unit}",
                "Write, for example, Budget.share(0.1).",
            )

    @classmethod
    def share(cls, share: float) -> Budget:
        """A share of what full fine-tuning takes in bytes, head and biases included."""
        return cls(f"{100 * share:g}%", share, SHARE)

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Reads "5%", a share of full fine-tuning, or whatever `MemoryBudget.parse` reads.

        Raises:
            BudgetError, OptionError: It is neither, or not positive.
        """
        if not text.endswith("%"):
            budget = MemoryBudget.parse(text)
            return cls(text, budget.amount, budget.unit)
        try:
            percent = float(text[:-1])
        except ValueError:
            remedy = 'Write, for example, "5%" or "64KiB".'
            raise OptionError("budget", "a number before the %", repr(text), remedy) from None
        return cls.share(percent / 100)

    def resolve(self, specs: Sequence[LayerSpec]) -> MemoryBudget:
        """The budget in bytes, elements or weights for a net.

        Args:
            specs: The net's weighted layers.
        """
        unit = BYTES if self.unit == SHARE else self.unit
        cost = CostModel(unit)
        amount = self.amount * cost.full(specs) if self.unit == SHARE else self.amount
        return MemoryBudget(int(amount), unit)

    def __str__(self) -> str:
        if self.unit == SHARE:
            return f"{100 * self.amount:g}% of full"
        return f"{self.amount:,.0f} {self.unit}"
