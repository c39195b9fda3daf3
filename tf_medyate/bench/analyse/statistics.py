"""Tests that tell a difference between strategies from chance.

A run is no independent unit: seeds of one block (a net on a fold of a data set) share their data
and are averaged first. Nor are the folds of a case (a net on a data set) quite independent: they
share training samples, or at least net and classes. So claims are tested twice, paired by block
and, with the folds averaged too, paired by case; see claims.py.

Example:
    >>> print(paired([93.1, 90.2, 95.0], [92.0, 90.1, 93.9]))
    +0.77 (-0.67 to +2.20, d=1.33, p=0.148, n=3)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import scipy.stats

ALPHA = 0.05
Unit = TypeVar("Unit", bound=Hashable)


@dataclasses.dataclass(frozen=True)
class Paired:
    """A paired comparison, "ours minus theirs".

    Attributes:
        units: Pairs.
        mean: Mean difference; NaN without pairs.
        low: Its one-sided lower 95 % bound; NaN below two pairs, or where all are alike.
        interval: Its two-sided 95 % confidence interval; NaNs likewise.
        p: Of the two-sided paired t-test; NaN likewise.
        effect: Cohen's d of the differences, mean over standard deviation; NaN likewise.
        better: Pairs in which ours is the larger.
    """

    units: int
    mean: float
    low: float
    interval: tuple[float, float]
    p: float
    effect: float
    better: int

    @property
    def tested(self) -> bool:
        """There were enough pairs for a test, and they differ."""
        return not math.isnan(self.p)

    def __str__(self) -> str:
        if not self.tested:
            return f"{self.mean:+.2f} ({self.units} pairs: no test)"
        low, high = self.interval
        numbers = f"{low:+.2f} to {high:+.2f}, d={self.effect:.2f}, p={self.p:.3g}"
        return f"{self.mean:+.2f} ({numbers}, n={self.units})"


def paired(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> Paired:
    """Compares two samples, pair by pair.

    Args:
        ours: [n].
        theirs: [n], in the same order.
    """
    difference = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    count = difference.size
    mean = float(difference.mean()) if count else math.nan
    spread = float(difference.std(ddof=1)) if count > 1 else 0.0
    better = int((difference > 0).sum())
    # Differences that are all alike up to rounding carry no measure of chance.
    if count < 2 or spread <= 1e-12 * max(1.0, abs(mean)):
        nan = math.nan
        return Paired(count, mean, nan, (nan, nan), nan, nan, better)
    test = scipy.stats.ttest_1samp(difference, 0)
    low, high = map(float, test.confidence_interval(1 - ALPHA))
    one_sided = float(test.confidence_interval(1 - 2 * ALPHA).low)
    p, effect = float(test.pvalue), mean / spread
    return Paired(count, mean, one_sided, (low, high), p, effect, better)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction for several tests; NaNs are no tests and stay as they are.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    adjusted = [math.nan] * len(p_values)
    tests = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    highest = 0.0
    for done, (p, place) in enumerate(tests):
        highest = max(highest, min(1.0, (len(tests) - done) * p))
        adjusted[place] = highest
    return adjusted


def pairwise(
    columns: Mapping[str, Mapping[Unit, float]],
) -> dict[tuple[str, str], tuple[Paired, float]]:
    """Compares every strategy with every other on the blocks that both have.

    Args:
        columns: Strategy -> block -> accuracy.

    Returns:
        (ours, theirs) -> (comparison, p after Holm's correction over all of them), once for each
        pair, in the order of `columns`.
    """
    names = list(columns)
    pairs = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]
    found = [between(columns[a], columns[b]) for a, b in pairs]
    adjusted = holm([comparison.p for comparison in found])
    return dict(zip(pairs, zip(found, adjusted, strict=True), strict=True))


def between(ours: Mapping[Unit, float], theirs: Mapping[Unit, float]) -> Paired:
    """Compares two strategies on the blocks that both have."""
    common = [block for block in ours if block in theirs]
    return paired([ours[b] for b in common], [theirs[b] for b in common])


@dataclasses.dataclass(frozen=True)
class Ranks:
    """Friedman's test over blocks and Nemenyi's critical difference (Demsar, JMLR 7, 2006).

    Attributes:
        names: Strategies, best mean rank first.
        mean_ranks: Their mean ranks, 1 for the best.
        blocks: Blocks that have all of them.
        p: Of Friedman's test that they are all alike; NaN where it cannot be made.
        critical_difference: Mean ranks that differ by more are told apart at 5 %; NaN likewise.
    """

    names: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    blocks: int
    p: float
    critical_difference: float

    @property
    def significant(self) -> bool:
        """Friedman's test says that they are not all alike."""
        return self.p <= ALPHA

    @property
    def best(self) -> tuple[str, ...]:
        """The best strategy, and those that Nemenyi's test cannot tell from it."""
        reach = self.mean_ranks[0] + self.critical_difference + 1e-9
        pairs = zip(self.names, self.mean_ranks, strict=True)
        return tuple(name for name, mean in pairs if mean <= reach)


def rank(columns: Mapping[str, Mapping[Unit, float]]) -> Ranks:
    """Ranks strategies by accuracy within every block that has all of them.

    Args:
        columns: Strategy -> block -> accuracy.
    """
    names = list(columns)
    shared = [
        block
        for block in dict.fromkeys(b for column in columns.values() for b in column)
        if all(block in column for column in columns.values())
    ]
    if not shared:
        return Ranks(tuple(names), (math.nan,) * len(names), 0, math.nan, math.nan)
    scores = np.array([[columns[name][block] for name in names] for block in shared])
    ranks = scipy.stats.rankdata(-scores, axis=1).mean(0)
    order = np.argsort(ranks, kind="stable")
    p, critical = math.nan, math.nan
    if len(names) > 2 and len(shared) > 1 and np.ptp(scores, axis=1).any():
        p = float(scipy.stats.friedmanchisquare(*scores.T).pvalue)
        critical = critical_difference(len(names), len(shared))
    return Ranks(
        tuple(names[place] for place in order),
        tuple(float(ranks[place]) for place in order),
        len(shared),
        p,
        critical,
    )


def critical_difference(strategies: int, blocks: int, alpha: float = ALPHA) -> float:
    """Nemenyi's critical difference of mean ranks.

    q sqrt(k (k + 1) / (6 n)), q the studentized range of k and infinitely many degrees of freedom
    over sqrt(2).
    """
    q = float(scipy.stats.studentized_range.ppf(1 - alpha, strategies, np.inf)) / math.sqrt(2)
    return q * math.sqrt(strategies * (strategies + 1) / (6 * blocks))


def spearman(ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    """Rank correlation of the scores that two rankings give to the same things; NaN below 3."""
    common = [name for name in ours if name in theirs]
    if len(common) < 3:
        return math.nan
    a, b = ([scores[name] for name in common] for scores in (ours, theirs))
    return float(scipy.stats.spearmanr(a, b).statistic)
