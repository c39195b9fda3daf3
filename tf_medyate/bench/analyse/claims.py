"""Which of the papers' claims hold in a panel of results.

Most claims compare strategies that differ in one part only, budgets averaged:

    dynamic better than static     a new draw before every epoch, or the first one kept
    weighted better than uniform   a draw by gradient norm, or one where all channels are equal
    raw norm better than RGN       a draw by the norm, or by the norm over the cost
    LaRa's layers, TraDy's         the layers that either ranking keeps, each as published
    alpha, a share of the score    how many layers are kept
    top layers, the whole net      uniform draws from either
    MeDyate, Sparse Update         as published, and its like by calibration
    MeDyate near its oracle        a full gradient before every draw; not worse by MARGIN points

Each is tested paired by block: is it so on these nets and data? And paired by case, folds averaged:
may one expect it of others? A claim holds if both say so.

The last, that the order of layers belongs to the net and not to the task, is in layer_order.py.

Example:
    >>> for verdict in judge(Panel(results)):
    ...     print(verdict)
"""

from __future__ import annotations

import dataclasses
import math

from tf_medyate.bench.analyse import layer_order
from tf_medyate.bench.analyse.panel import ALL_LEVELS, Panel, over_folds
from tf_medyate.bench.analyse.statistics import ALPHA, Paired, between, holm
from tf_medyate.bench.plan.suites import COVER_TWIN, RGN_TWIN

HOLDS, REFUTED, OPEN, UNMEASURED = "holds", "does not hold", "not shown", "not measured"
ON_THESE_TASKS = " on these tasks"


@dataclasses.dataclass(frozen=True)
class Pair:
    """A claim about two strategies: ours is better, or worse by less than a margin, in points."""

    claim: str
    ours: str
    theirs: str
    margin: float = 0.0


DYNAMIC = "dynamic better than static"
# Fixed before the first panel was run. A test set of 400 pictures tells two points apart.
MARGIN = 1.0
PAIRS = (
    Pair(DYNAMIC, "trady", "s-topk-random"),
    Pair(DYNAMIC, "d-full-random", "s-full-random"),
    Pair("weighted better than uniform", "medyate", "lara-trady"),
    Pair("weighted better than uniform", "prev-medyate", "trady"),
    Pair("raw norm better than RGN", "medyate", RGN_TWIN),
    Pair("LaRa's layers better than TraDy's", "medyate", "prev-medyate"),
    Pair("LaRa's layers better than TraDy's", "lara-trady", "trady"),
    Pair("alpha better than a share of the score", "medyate", COVER_TWIN),
    Pair("top layers better than the whole net", "trady", "d-full-random"),
    Pair("better than Sparse Update", "medyate", "su"),
    Pair("better than Sparse Update", "medyate", "su-like"),
    Pair("a random draw better than the strongest", "lara-prob-raw", "lara-det-raw"),
    Pair("near a full gradient before every draw", "medyate", "lara-prob-raw", MARGIN),
    Pair("near MeDyate with a calibrated start", "medyate", "medyate-calibrated", MARGIN),
)
ORDER_CLAIM = "layer order stable across tasks"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the results say of one claim.

    Attributes:
        claim: The claim.
        measured: By what, for people.
        level: Budget level, or "all".
        verdict: HOLDS or REFUTED (significantly the reverse), ON_THESE_TASKS if that is only so
            by block; OPEN or UNMEASURED.
        comparison: Ours minus theirs by block, in points of accuracy; None for the order of layers.
        p: Of `comparison`, after Holm's correction over the claims of this level; NaN where there
            is no test.
        by_case: The same difference by case; None likewise.
        p_by_case: Its p, corrected likewise.
        text: The evidence in words.
    """

    claim: str
    measured: str
    level: str
    verdict: str
    text: str
    comparison: Paired | None = None
    p: float = math.nan
    by_case: Paired | None = None
    p_by_case: float = math.nan

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
    cases = {name: over_folds(column) for name, column in columns.items()}
    here = [pair for pair in PAIRS if pair.ours in columns and pair.theirs in columns]
    blocks = _corrected(here, [between(columns[p.ours], columns[p.theirs]) for p in here])
    strict = _corrected(here, [between(cases[p.ours], cases[p.theirs]) for p in here])
    return [_verdict(pair, level, blocks.get(pair), strict.get(pair)) for pair in PAIRS]


def _corrected(pairs: list[Pair], found: list[Paired]) -> dict[Pair, tuple[Paired, float]]:
    """Those that go by a margin are judged by their bound: they are no part of the correction."""
    tests = [math.nan if q.margin else c.p for q, c in zip(pairs, found, strict=True)]
    adjusted = holm(tests)
    return dict(zip(pairs, zip(found, adjusted, strict=True), strict=True))


def _verdict(
    pair: Pair, level: str, blocks: tuple[Paired, float] | None, cases: tuple[Paired, float] | None
) -> Verdict:
    measured = f"{pair.ours} against {pair.theirs}"
    if blocks is None or cases is None or blocks[0].units == 0:
        text = f"Run with --strategies {pair.ours},{pair.theirs} to measure it."
        return Verdict(pair.claim, measured, level, UNMEASURED, text)
    (comparison, p), (strict, p_strict) = blocks, cases
    verdict = _word(comparison, p, strict, p_strict)
    if pair.margin:
        verdict = _near(pair, comparison, strict)
    text = (
        f"{comparison.mean:+.2f} points, better on {comparison.better} of {comparison.units} blocks"
    )
    if pair.margin and comparison.tested:
        bound = f"lower bound {comparison.low:+.2f}, {strict.low:+.2f} by case"
        text += f" ({bound}; allowed is {-pair.margin:+.2f})"
    elif comparison.tested:
        low, high = comparison.interval
        text += f" ({low:+.2f} to {high:+.2f}, effect size {comparison.effect:+.2f}, p = {p:.3g})"
    if strict.tested and not pair.margin:
        text += f"; by case {strict.mean:+.2f}, p = {p_strict:.3g}, {strict.units} cases"
    return Verdict(
        pair.claim, measured, level, verdict, f"{text}.", comparison, p, strict, p_strict
    )


def _near(pair: Pair, blocks: Paired, cases: Paired) -> str:
    """Not worse by the margin: one-sided 95 % bounds; see `statistics.Paired.low`."""
    if blocks.tested and blocks.interval[1] < -pair.margin:
        return REFUTED
    if not blocks.low > -pair.margin:  # or there is no test
        return OPEN
    return HOLDS if cases.low > -pair.margin else HOLDS + ON_THESE_TASKS


def _word(blocks: Paired, p: float, cases: Paired, p_cases: float) -> str:
    if not p <= ALPHA:  # or there is no test
        return OPEN
    word = HOLDS if blocks.mean > 0 else REFUTED
    general = p_cases <= ALPHA and (cases.mean > 0) == (blocks.mean > 0)
    return word if general else word + ON_THESE_TASKS


def _layer_order(panel: Panel) -> list[Verdict]:
    verdicts = []
    for method in ("lara", "rgn"):
        measured = f"Spearman correlation of {method} scores between data sets"
        pairs = layer_order.between_tasks(panel, method)
        verdict = {None: UNMEASURED, True: HOLDS, False: REFUTED}[layer_order.stable(pairs)]
        text = layer_order.describe(pairs, layer_order.within_tasks(panel, method))
        verdicts.append(Verdict(ORDER_CLAIM, measured, ALL_LEVELS, verdict, text))
    return verdicts
