"""Do rankings agree, do importances last, how heavy are the tails? Pure functions of measurements.

`tf_medyate.select.diagnostics` says what they are for, and measures what they need.

Example:
    >>> ranking = medyate.report().ranking
    >>> print(agreement({"digits": ranking, "watch": ranking}))
    Spearman correlation of 2 rankings: mean 1.000, least 1.000
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.stats

from tf_medyate.errors import DataError, OptionError
from tf_medyate.spec import LayerRanking

_FEWEST = 64
_SHUFFLES = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Agreement:
    """How alike several rankings of the same layers are.

    Attributes:
        names: What was ranked: tasks, or epochs.
        rho: Spearman's correlation of every two, float64 [n, n]; NaN where a ranking does not
            tell its layers apart.
    """

    names: tuple[str, ...]
    rho: np.ndarray

    @property
    def pairs(self) -> np.ndarray:
        """Each pair once, float64 [n (n - 1) / 2]."""
        return self.rho[np.triu_indices(len(self.names), 1)]

    def __str__(self) -> str:
        pairs = self.pairs[np.isfinite(self.pairs)]
        if not len(pairs):
            return "Spearman correlation: no two rankings that can be compared"
        mean, least = pairs.mean(), pairs.min()
        rankings = f"{len(self.names)} rankings"
        return f"Spearman correlation of {rankings}: mean {mean:.3f}, least {least:.3f}"


def agreement(rankings: Mapping[str, LayerRanking]) -> Agreement:
    """Correlates the layers' scores between tasks, or between epochs.

    Args:
        rankings: By name; of the same layers, in any order.

    Returns:
        Spearman's rank correlation of every two.

    Raises:
        OptionError: There is none, or two rank different layers.
    """
    if not rankings:
        raise OptionError("rankings", "at least one", "none", "Pass rankings by name.")
    (first, reference), *_ = rankings.items()
    layers = sorted(reference.order)
    rows = []
    for name, ranking in rankings.items():
        scores = dict(zip(ranking.order, ranking.scores, strict=True))
        if sorted(scores) != layers:
            other = sorted(set(scores) ^ set(layers))
            remedy = "Rank the same net on every task."
            expected = f"the layers of ranking '{first}'"
            raise OptionError(f"ranking '{name}'", expected, f"another set: {other}", remedy)
        rows.append([scores[layer] for layer in layers])
    rho = [[spearman(one, other) for other in rows] for one in rows]
    return Agreement(tuple(rankings), np.array(rho))


def spearman(one: Sequence[float] | np.ndarray, other: Sequence[float] | np.ndarray) -> float:
    """Spearman's rank correlation; NaN for fewer than two values, or if all are equal."""
    one, other = np.asarray(one, float), np.asarray(other, float)
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(scipy.stats.spearmanr(one, other).statistic)


def tail_index(values: np.ndarray, seed: int = 0) -> float:
    """Estimates the tail index alpha of a symmetric alpha-stable distribution.

    2 is a Gaussian; the smaller, the heavier the tails: P(|X| > t) falls as t^-alpha. The
    estimator is that of Mohammadi, Mohammadpour and Ogata (Metrika, 2015), corollary 2.4, which
    Simsekli et al., "A tail-index analysis of stochastic gradient noise in deep neural networks"
    (arXiv 1901.06053) brought to gradients: the sum of m independent copies of X is distributed
    as m^(1/alpha) X, so with sums Y of m values each, m being the root of their number,

        1 / alpha = (mean log |Y| - mean log |X|) / log m

    Values are centred on their median, and shuffled: neighbours in a kernel share a channel and
    are not independent. The mean over Y is taken over eight shufflings, which makes it steadier.
    Zeros, from channels that are never active, are left out.

    Args:
        values: Elements of a gradient, any shape.
        seed: Seed of the shuffling.

    Returns:
        alpha; an estimate may lie somewhat above 2. NaN for fewer than 64 values beside zeros,
        or if they are all equal.
    """
    x = np.asarray(values, np.float64).ravel()
    x = x[x != 0]
    x = x - np.median(x) if len(x) else x
    x = x[x != 0]
    if len(x) < _FEWEST:
        return float("nan")
    size, draw = int(np.sqrt(len(x))), np.random.default_rng(seed)
    whole = len(x) // size * size
    shuffled = [draw.permutation(x)[:whole].reshape(-1, size) for _ in range(_SHUFFLES)]
    sums = np.concatenate([rows.sum(1) for rows in shuffled])
    sums = sums[sums != 0]  # only if the values are so few and so even that they cancel
    if not len(sums):
        return float("nan")
    slope = (np.log(np.abs(sums)).mean() - np.log(np.abs(x)).mean()) / np.log(size)
    return float(1 / slope) if slope > 0 else float("inf")


@dataclasses.dataclass(frozen=True, eq=False)
class Stability:
    """How much of a channel's importance lasts.

    Attributes:
        to_first: Spearman's correlation of each measurement with the first, float64 [n].
        to_previous: Likewise with the one before; NaN for the first.
        overlap_first: Share of the first measurement's top channels that are still on top.
        overlap_previous: Likewise of the one before.
        share: What "top" means: this share of the channels, at least one.
    """

    to_first: np.ndarray
    to_previous: np.ndarray
    overlap_first: np.ndarray
    overlap_previous: np.ndarray
    share: float


def stability(importance: np.ndarray, share: float = 0.1) -> Stability:
    """Compares the importances of the same channels at several times.

    Args:
        importance: float [times, channels].
        share: Share of the channels that counts as the top, above 0 and up to 1. Of channels of
            equal importance the first count.

    Raises:
        DataError: `importance` has not two axes, or an empty one.
        OptionError: `share` is out of range.
    """
    importance = np.asarray(importance, np.float64)
    if importance.ndim != 2 or not importance.size:
        remedy = "Stack one row of channels for each time."
        raise DataError("importance", "[times, channels]", str(importance.shape), remedy)
    if not 0 < share <= 1:
        raise OptionError("share", "above 0 and up to 1", repr(share), "Use 0.1 for a tenth.")
    count = max(1, round(share * importance.shape[1]))
    top = [set(np.argsort(-row, kind="stable")[:count]) for row in importance]
    times = range(len(importance))
    nan = float("nan")
    return Stability(
        np.array([spearman(importance[0], row) for row in importance]),
        np.array([nan] + [spearman(importance[t - 1], importance[t]) for t in times[1:]]),
        np.array([len(top[0] & chosen) / count for chosen in top]),
        np.array([nan] + [len(top[t - 1] & top[t]) / count for t in times[1:]]),
        share,
    )
