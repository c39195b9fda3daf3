"""Results arranged for comparison: strategy by block by budget level.

A block is a net on a fold of a data set; seeds are averaged in it. A case is a net on a data set;
folds are averaged in it, too. These are the units of the tests.

Example:
    >>> panel = Panel(results)
    >>> panel.columns("5%")["medyate"]
    {PairedBlock(network='ds_cnn', dataset='digits', fold=0): 62.4..., ...}
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from tf_medyate.bench.plan.grid import ZERO_SHOT
from tf_medyate.bench.run.result import Result

ALL_LEVELS = "all"


@dataclasses.dataclass(frozen=True, order=True)
class PairedBlock:
    """A net on a fold of a data set."""

    network: str
    dataset: str
    fold: int

    @property
    def case(self) -> str:
        """Net and data set, for people."""
        return f"{self.network} on {self.dataset}"


class Panel:
    """Read-only views of a list of results.

    Args:
        results: Of any suite; runs without a budget count at every level.

    Attributes:
        results: The results, as given.
        levels: Names of the budget levels, in the order in which they were met.
        strategies: Likewise.
    """

    def __init__(self, results: Iterable[Result]):
        self.results = tuple(results)
        budgets = [r.run.budget for r in self.results if r.run.budget]
        self.levels = tuple(dict.fromkeys(budget.level for budget in budgets))
        self.strategies = tuple(dict.fromkeys(r.run.strategy for r in self.results))
        self.cases = tuple(dict.fromkeys(block_of(r).case for r in self.results))
        self._values: dict[tuple[str, str], dict[PairedBlock, list[Result]]] = {}
        for result in self.results:
            level = result.run.budget.level if result.run.budget else ""
            found = self._values.setdefault((result.run.strategy, level), defaultdict(list))
            found[block_of(result)].append(result)

    def of(self, strategy: str, level: str) -> dict[PairedBlock, list[Result]]:
        """The results of a strategy at a level, by block."""
        own = self._values.get((strategy, level), {})
        return dict(own or self._values.get((strategy, ""), {}))

    def columns(
        self,
        level: str = ALL_LEVELS,
        value: Callable[[Result], float] = lambda result: 100 * result.accuracy_after,
        before: bool = False,
    ) -> dict[str, dict[PairedBlock, float]]:
        """Means over seeds: strategy -> block -> value, in percent if nothing else is asked for.

        Args:
            level: One budget level, or "all" for the mean over the levels that a block has.
            value: What to take from a result.
            before: Add the accuracy before fine-tuning, as a strategy of its own.
        """
        levels = (self.levels or ("",)) if level == ALL_LEVELS else (level,)
        table: dict[str, dict[PairedBlock, float]] = {}
        for strategy in self.strategies:
            parts: dict[PairedBlock, list[float]] = defaultdict(list)
            for one in levels:
                for block, results in self.of(strategy, one).items():
                    parts[block].append(float(np.mean([value(result) for result in results])))
            if parts:
                table[strategy] = {block: float(np.mean(part)) for block, part in parts.items()}
        if before:
            table = {ZERO_SHOT: self._before()} | table
        return table

    def _before(self) -> dict[PairedBlock, float]:
        found: dict[PairedBlock, list[float]] = defaultdict(list)
        for result in self.results:
            found[block_of(result)].append(100 * result.accuracy_before)
        return {block: float(np.mean(values)) for block, values in found.items()}


def over_folds(column: Mapping[PairedBlock, float]) -> dict[str, float]:
    """Means over the folds of each net and data set."""
    found: dict[str, list[float]] = defaultdict(list)
    for block, value in column.items():
        found[block.case].append(value)
    return {case: float(np.mean(values)) for case, values in found.items()}


def block_of(result: Result) -> PairedBlock:
    """The block that a result belongs to."""
    return PairedBlock(result.run.network, result.run.dataset, result.run.fold)
