"""Does the order of layers belong to the net, or to the task? Rank correlations of layer scores.

    between tasks    mean scores on one data set against those on another
    within a task    one fold and seed against another, on the same data set: what noise alone does

Example:
    >>> for pair in between_tasks(panel, "lara"):
    ...     print(pair.network, pair.datasets, pair.rho)
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from tf_medyate.bench.analyse.panel import Panel
from tf_medyate.bench.analyse.statistics import spearman
from tf_medyate.bench.plan.grid import preset_of

STABLE = 0.8  # TraDy's figure for the correlation between tasks
Scores = Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Correlation:
    """One net on two data sets.

    Attributes:
        network: The net.
        datasets: The two.
        layers: How many layers both rank.
        rho: Spearman's correlation of their mean scores.
        lowest: The least correlation of a fold and seed of one with a fold and seed of the other.
        highest: The greatest.
    """

    network: str
    datasets: tuple[str, str]
    layers: int
    rho: float
    lowest: float
    highest: float


def between_tasks(panel: Panel, method: str) -> list[Correlation]:
    """Correlations between data sets, each pair of a net's once.

    Args:
        panel: Results.
        method: "lara", "rgn" or "fisher".
    """
    found = []
    for network, by_data in _scores(panel, method).items():
        for a, b in itertools.combinations(by_data, 2):
            ours, theirs = by_data[a], by_data[b]
            first, second = _mean(ours), _mean(theirs)
            single = [spearman(one, other) for one in ours for other in theirs]
            layers = len(first.keys() & second.keys())
            rho = spearman(first, second)
            found.append(Correlation(network, (a, b), layers, rho, min(single), max(single)))
    return [one for one in found if not math.isnan(one.rho)]


def within_tasks(panel: Panel, method: str) -> list[float]:
    """Correlations of every two folds or seeds of a net and data set."""
    pairs = (
        spearman(one, other)
        for by_data in _scores(panel, method).values()
        for runs in by_data.values()
        for one, other in itertools.combinations(runs, 2)
    )
    return [rho for rho in pairs if not math.isnan(rho)]


def stable(pairs: Sequence[Correlation]) -> bool | None:
    """Every pair reaches the papers' figure; None without pairs."""
    return all(pair.rho >= STABLE for pair in pairs) if pairs else None


def describe(pairs: Sequence[Correlation], within: Sequence[float]) -> str:
    """The evidence in words."""
    if not pairs:
        return "It takes one net on two data sets, and a strategy that ranks layers by it."
    texts = [
        f"{one.network}, {one.layers} layers, {' and '.join(one.datasets)}: {one.rho:.2f} "
        f"(single folds and seeds {one.lowest:.2f} to {one.highest:.2f})"
        for one in pairs
    ]
    if within:
        low, middle = min(within), float(np.median(within))
        texts.append(f"folds and seeds of one data set: median {middle:.2f}, lowest {low:.2f}")
    return f"{'; '.join(texts)}. The papers report at least {STABLE:g} between tasks."


def _scores(panel: Panel, method: str) -> dict[str, dict[str, list[Scores]]]:
    """Net -> data set -> the scores of each fold and seed, normalized to a sum of 1.

    Strategies that rank alike measure the same scores; the first of them counts.
    """
    found: dict[str, dict[str, dict[tuple, Scores]]] = defaultdict(lambda: defaultdict(dict))
    for result in panel.results:
        run = result.run
        if result.layer_scores and preset_of(run.strategy).ranking == method:
            whole = sum(result.layer_scores.values()) or 1.0
            scores = {layer: score / whole for layer, score in result.layer_scores.items()}
            found[run.network][run.dataset].setdefault((run.fold, run.seed), scores)
    return {
        network: {data: list(runs.values()) for data, runs in by_data.items()}
        for network, by_data in found.items()
    }


def _mean(runs: Sequence[Scores]) -> dict[str, float]:
    return {layer: float(np.mean([scores[layer] for scores in runs])) for layer in runs[0]}
