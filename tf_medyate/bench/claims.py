"""Which of the papers' claims hold in a panel of results.

Three claims compare strategies that differ in one part only, on all blocks, budgets averaged:

    dynamic better than static     a new draw before every epoch, or the first one kept
    weighted better than uniform   a draw by gradient norm, or one where all channels are equal
    LaRa better than RGN           the layers that either ranking keeps

The fourth, that the order of layers belongs to the net and not to the task, is the rank correlation
of layer scores between data sets.

Example:
    >>> for verdict in judge(Panel(results)):
    ...     print(verdict)
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from tf_medyate.bench.grid import preset_of
from tf_medyate.bench.panel import ALL_LEVELS, Panel
from tf_medyate.bench.statistics import ALPHA, Paired, between, holm, spearman
from tf_medyate.bench.suites import RGN_TWIN, STATIC_TWIN, UNIFORM_TWIN

HOLDS, REFUTED, OPEN, UNMEASURED = "holds", "does not hold", "not shown", "not measured"
STABLE = 0.8  # TraDy's figure for the correlation between tasks


@dataclasses.dataclass(frozen=True)
class Pair:
    """A claim about two strategies that differ in one part."""

    claim: str
    ours: str
    theirs: str


PAIRS = (
    Pair("dynamic better than static", "medyate-paper", STATIC_TWIN),
    Pair("dynamic better than static", "trady", "s-topk-random"),
    Pair("weighted better than uniform", "medyate-paper", UNIFORM_TWIN),
    Pair("LaRa better than RGN", "medyate-paper", RGN_TWIN),
    Pair("LaRa better than RGN", UNIFORM_TWIN, "trady"),
)
ORDER_CLAIM = "layer order stable across tasks"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the results say of one claim.

    Attributes:
        claim: The claim.
        measured: By what, for people.
        level: Budget level, or "all".
        verdict: HOLDS, REFUTED (significantly the reverse), OPEN or UNMEASURED.
        comparison: Ours minus theirs, in points of accuracy; None for the order of layers.
        p: After Holm's correction over the claims of this level; NaN where there is no test.
        text: The evidence in words.
    """

    claim: str
    measured: str
    level: str
    verdict: str
    comparison: Paired | None
    p: float
    text: str

    def __str__(self) -> str:
        return f"{self.claim} [{self.measured}, {self.level}]: {self.verdict}. {self.text}"


def judge(panel: Panel) -> list[Verdict]:
    """Judges every claim, over all budgets and at each, and the order of layers."""
    levels = (ALL_LEVELS, *(panel.levels if len(panel.levels) > 1 else ()))
    compared = [verdict for level in levels for verdict in _compare(panel, level)]
    # What was not measured is said once, not for each budget.
    compared = [v for v in compared if v.verdict != UNMEASURED or v.level == ALL_LEVELS]
    return [*compared, *_layer_order(panel)]


def _compare(panel: Panel, level: str) -> list[Verdict]:
    columns = panel.columns(level)
    found = {
        pair: between(columns[pair.ours], columns[pair.theirs])
        for pair in PAIRS
        if pair.ours in columns and pair.theirs in columns
    }
    adjusted = dict(zip(found, holm([c.p for c in found.values()]), strict=True))
    return [_verdict(pair, level, found.get(pair), adjusted.get(pair, math.nan)) for pair in PAIRS]


def _verdict(pair: Pair, level: str, comparison: Paired | None, p: float) -> Verdict:
    measured = f"{pair.ours} against {pair.theirs}"
    if comparison is None or comparison.units == 0:
        text = f"Run with --strategies {pair.ours},{pair.theirs} to measure it."
        return Verdict(pair.claim, measured, level, UNMEASURED, None, math.nan, text)
    verdict = OPEN if math.isnan(p) or p > ALPHA else HOLDS if comparison.mean > 0 else REFUTED
    text = f"{comparison.mean:+.2f} points on {comparison.units} blocks"
    if not math.isnan(p):
        text += f", effect size {comparison.effect:+.2f}, p = {p:.3g} after Holm's correction"
    return Verdict(pair.claim, measured, level, verdict, comparison, p, f"{text}.")


def layer_correlations(panel: Panel, method: str) -> dict[str, dict[tuple[str, str], float]]:
    """Spearman's correlation of layer scores between data sets.

    Args:
        panel: Results; the scores of one net, method and data set are averaged over folds and
            seeds, each normalised to a sum of 1.
        method: "lara", "rgn" or "fisher".

    Returns:
        Net -> (data set, data set) -> correlation, each pair once.
    """
    scores: dict[str, dict[str, list[Mapping[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for result in panel.results:
        if result.layer_scores and preset_of(result.run.strategy).ranking == method:
            scores[result.run.network][result.run.dataset].append(result.layer_scores)
    table: dict[str, dict[tuple[str, str], float]] = {}
    for network, by_data in scores.items():
        means = {data: _mean_scores(found) for data, found in by_data.items()}
        pairs = itertools.combinations(means, 2)
        found = {(a, b): spearman(means[a], means[b]) for a, b in pairs}
        if found:
            table[network] = found
    return table


def _mean_scores(found: list[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = defaultdict(float)
    for scores in found:
        whole = sum(scores.values()) or 1.0
        for layer, score in scores.items():
            total[layer] += score / whole / len(found)
    return dict(total)


def _layer_order(panel: Panel) -> list[Verdict]:
    verdicts = []
    for method in ("lara", "rgn"):
        table = layer_correlations(panel, method)
        measured = f"Spearman correlation of {method} scores between data sets"
        values = [v for found in table.values() for v in found.values() if not math.isnan(v)]
        if not values:
            text = "It takes one net on two data sets, and a strategy that ranks layers by it."
            verdicts.append(
                Verdict(ORDER_CLAIM, measured, ALL_LEVELS, UNMEASURED, None, math.nan, text)
            )
            continue
        low, median = min(values), float(np.median(values))
        verdict = HOLDS if low >= STABLE else REFUTED if median < STABLE else OPEN
        nets = "; ".join(
            f"{net} {min(found.values()):.2f} to {max(found.values()):.2f}"
            for net, found in table.items()
        )
        text = f"Median {median:.2f}, lowest {low:.2f}, pairs: {len(values)} ({nets}); "
        text += f"the papers report at least {STABLE:g}."
        verdicts.append(Verdict(ORDER_CLAIM, measured, ALL_LEVELS, verdict, None, math.nan, text))
    return verdicts
