"""What the bench concludes: tests against scipy, units of the tests, claims, layer order."""

import math

import numpy as np
import pytest
import scipy.stats
from bench_fakes import fake_result, fake_run, results_of
from hypothesis import given
from hypothesis import strategies as st

from tf_medyate.bench.analyse import charts, claims, layer_order, statistics, tables
from tf_medyate.bench.analyse.panel import PairedBlock, Panel

# --- statistics

values = st.lists(st.floats(-100, 100), min_size=3, max_size=20)


@given(values, st.floats(-5, 5), st.integers(0, 2**32 - 1))
def test_paired_test_is_students(theirs, shift, seed):
    noise = np.random.default_rng(seed).normal(size=len(theirs))
    ours = np.asarray(theirs) + shift + noise
    found = statistics.paired(ours, theirs)
    expected = scipy.stats.ttest_rel(ours, theirs)
    # Differences of numbers up to 100 lose 14 of 53 bits at most.
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    # Student's formula.
    count, difference = len(theirs), ours - np.asarray(theirs)
    error = difference.std(ddof=1) / math.sqrt(count)
    one_sided, half = scipy.stats.t.ppf([0.95, 0.975], count - 1) * error
    mean = difference.mean()
    assert found.low == pytest.approx(mean - one_sided, rel=1e-6, abs=1e-9)
    assert found.interval == pytest.approx((mean - half, mean + half), rel=1e-6, abs=1e-9)
    assert found.better == int((ours > theirs).sum())
    assert found.effect * math.sqrt(len(theirs)) == pytest.approx(expected.statistic, rel=1e-6)
    back = statistics.paired(theirs, ours)
    assert (back.mean, back.p) == (pytest.approx(-found.mean), pytest.approx(found.p))


def test_paired_says_when_there_is_no_test():
    for ours, theirs in (([], []), ([1], [0]), ([1, 2, 3], [0, 1, 2]), ([0.1 + 0.2], [0.3])):
        found = statistics.paired(ours, theirs)
        assert math.isnan(found.p)
        assert math.isnan(found.low)
        assert not found.tested
        assert found.units == len(ours)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_agrees_with_its_definition(p_values):
    adjusted = statistics.holm([*p_values, math.nan])
    assert math.isnan(adjusted.pop())
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for place, own in enumerate(order):
        steps = [(len(order) - k) * p_values[order[k]] for k in range(place + 1)]
        assert adjusted[own] == min(1.0, max(steps))


def test_critical_difference_is_demsars():
    # Demsar, JMLR 7 (2006), section 3.2.2: 4 classifiers on 14 data sets; printed to two digits.
    assert statistics.critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    # Table 5(a): q at 0.05 for 10 classifiers is 3.164, printed to three digits.
    q = statistics.critical_difference(10, 1) / math.sqrt(10 * 11 / 6)
    assert q == pytest.approx(3.164, abs=5e-4)


def test_ranks_and_whom_the_best_is_told_from():
    columns = {
        "good": {b: 90.0 + b for b in range(20)},
        "same": {b: 90.0 + b for b in range(20)},
        "bad": {b: 80.0 + b for b in range(20)},
        "worst": {b: 10.0 for b in range(25)},
    }
    ranks = statistics.rank(columns)
    assert ranks.names == ("good", "same", "bad", "worst")
    assert ranks.mean_ranks == (1.5, 1.5, 3.0, 4.0)  # ties share
    assert ranks.blocks == 20
    assert ranks.p < 1e-6
    # q = 2.569 (Demsar's table): 2.569 * sqrt(4 * 5 / (6 * 20)) = 1.049, less than 3.0 - 1.5.
    assert ranks.best == ("good", "same")
    assert ranks.significant
    assert statistics.rank({"a": {1: 0.0}, "b": {2: 0.0}}).blocks == 0
    constant = statistics.rank({name: {1: 5.0, 2: 5.0} for name in "abc"})
    assert math.isnan(constant.p)


def test_every_pair_is_compared_once_and_corrected_together():
    rng = np.random.default_rng(0)
    columns = {name: {b: float(rng.normal(shift)) for b in range(12)}
               for name, shift in (("a", 0), ("b", 3), ("c", 0))}  # fmt: skip
    found = statistics.pairwise(columns)
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    plain = [comparison.p for comparison, _ in found.values()]
    assert [p for _, p in found.values()] == statistics.holm(plain)


# --- panel, claims


def test_panel_averages_seeds_then_levels_and_pairs_blocks():
    results = [
        fake_result(fake_run("medyate", 0.05, 0, 0), 0.5),
        fake_result(fake_run("medyate", 0.05, 0, 1), 0.75),
        fake_result(fake_run("medyate", 0.2, 0, 0), 1.0),
        fake_result(fake_run("head", None, 0, 0), 0.25),
    ]
    panel, block = Panel(results), PairedBlock("net", "data", 0)
    assert panel.levels == ("5%", "20%")
    assert panel.columns("5%") == {"medyate": {block: 62.5}, "head": {block: 25.0}}
    assert panel.columns()["medyate"] == {block: (62.5 + 100) / 2}
    assert panel.columns("20%", before=True)["zero-shot"] == {block: 25.0}


FOUR = ("digits", "mnist5k", "watch", "vowels")


def judged(effects, **options):
    panel = Panel(results_of(effects, **options))
    return {(v.measured, v.level): v for v in claims.judge(panel)}


def test_claims_are_judged_both_ways_and_not_at_all():
    key = ("trady against s-topk-random", "all")
    better = judged({"trady": 0.1, "s-topk-random": 0.0}, datasets=FOUR)[key]
    assert better.verdict == claims.HOLDS
    assert better.comparison is not None
    assert better.comparison.units == 4 * 8  # seeds and budgets are averaged, folds are not
    assert better.comparison.mean == pytest.approx(10, abs=0.5)  # noise: 0.2 points, 128 runs
    reverse = judged({"trady": 0.0, "s-topk-random": 0.1}, datasets=FOUR)[key]
    assert reverse.verdict == claims.REFUTED
    assert judged({"trady": 0.0, "s-topk-random": 0.0})[key].verdict == claims.OPEN
    missing = judged({"trady": 0.0})[key]
    assert missing.verdict == claims.UNMEASURED
    assert "s-topk-random" in missing.text


@pytest.mark.parametrize(("behind", "verdict"), [(0.005, claims.HOLDS), (0.02, claims.REFUTED)])
def test_near_is_judged_by_its_bound_and_stays_out_of_the_correction(behind, verdict):
    key = ("medyate against lara-prob-raw", "all")
    found = judged({"medyate": 0.0, "lara-prob-raw": behind}, datasets=FOUR)
    assert found[key].verdict == verdict
    both = found[key].comparison
    assert both is not None
    assert f"lower bound {both.low:+.2f}" in found[key].text
    with_rival = judged(
        {"medyate": 0.0, "lara-prob-raw": behind, "prev-medyate": 0.01}, datasets=FOUR
    )
    rival = with_rival["medyate against prev-medyate", "all"]
    assert rival.comparison is not None
    assert rival.p == rival.comparison.p  # the only test


def test_near_is_not_shown_by_blocks_that_disagree():
    accuracies = {"medyate": (0.5, 0.5, 0.5), "lara-prob-raw": (0.53, 0.47, 0.51)}
    results = [
        fake_result(fake_run(name, 0.05, fold, 0), value)
        for name, values in accuracies.items()
        for fold, value in enumerate(values)
    ]
    measured = "medyate against lara-prob-raw"
    verdict = next(v for v in claims.judge(Panel(results)) if v.measured == measured)
    assert verdict.verdict == claims.OPEN


def test_many_folds_of_few_data_sets_show_nothing_of_others():
    """One data set of four decides: 32 pairs look sure, four data sets do not."""

    def effect(data):
        return 0.1 if data == "digits" else 0.0

    results = [
        fake_result(run, 0.6 + noise + (effect(data) if name == "trady" else 0.0))
        for name in ("trady", "s-topk-random")
        for data in FOUR
        for fold in range(8)
        for run in [fake_run(name, 0.05, fold, 0, "ds_cnn", data)]
        for noise in [np.random.default_rng([fold, len(name), len(data)]).normal() / 500]
    ]
    panel = Panel(results)
    (verdict,) = (v for v in claims.judge(panel) if "s-topk-random" in v.measured)
    assert verdict.verdict == claims.HOLDS + claims.ON_THESE_TASKS
    # Both numbers are scipy's, on the means of what belongs together.
    table = {(r.run.strategy, r.run.dataset, r.run.fold): 100 * r.accuracy_after for r in results}
    ours, theirs = (
        np.array([[table[name, data, fold] for fold in range(8)] for data in FOUR])
        for name in ("trady", "s-topk-random")
    )
    by_block = scipy.stats.ttest_rel(ours.ravel(), theirs.ravel())
    by_case = scipy.stats.ttest_rel(ours.mean(1), theirs.mean(1))
    assert by_block.pvalue < 0.01 < 0.3 < by_case.pvalue
    assert verdict.p == pytest.approx(by_block.pvalue)  # the only test: nothing to correct
    assert f"p = {by_case.pvalue:.3g}, 4 cases" in verdict.text
    interval = by_block.confidence_interval()
    assert f"({interval.low:+.2f} to {interval.high:+.2f}, effect" in verdict.text


def test_claims_of_one_budget_are_corrected_together():
    effects = {"trady": 0.004, "s-topk-random": 0.003, "medyate": 0.002, "lara-trady": 0.0}
    panel = Panel(results_of(effects, datasets=FOUR))
    for level in ("all", "5%", "20%"):
        columns = panel.columns(level)
        plain = [
            statistics.between(columns[a], columns[b]).p
            for a, b in (
                ("trady", "s-topk-random"),
                ("medyate", "lara-trady"),
                ("lara-trady", "trady"),
            )
        ]
        found = [v.p for v in claims.judge(panel) if v.level == level and v.comparison]
        assert found == statistics.holm(plain)


@pytest.mark.parametrize(
    ("watch", "verdict"),
    [((4, 3, 2, 1), claims.HOLDS), ((1, 2, 3, 4), claims.REFUTED), ((4, 2, 1, 3), claims.REFUTED)],
)
def test_layer_order_is_compared_between_data_sets(watch, verdict):
    scores = {"digits": (4, 3, 2, 1), "watch": watch}
    results = results_of(
        {"medyate": 0.0},
        datasets=("digits", "watch"),
        scores=lambda data: {f"layer{i}": float(s) for i, s in enumerate(scores[data])},
    )
    panel = Panel(results)
    expected = scipy.stats.spearmanr(scores["digits"], watch).statistic
    (pair,) = layer_order.between_tasks(panel, "lara")
    assert (pair.network, pair.datasets, pair.layers) == ("ds_cnn", ("digits", "watch"), 4)
    assert (pair.lowest, pair.rho, pair.highest) == pytest.approx([expected] * 3)
    assert layer_order.between_tasks(panel, "rgn") == []
    found = [v for v in claims.judge(panel) if v.claim == claims.ORDER_CLAIM]
    assert [v.verdict for v in found] == [verdict, claims.UNMEASURED]  # lara, rgn


def test_noise_of_layer_scores_within_a_data_set_is_told_apart():
    """One of three seeds reverses the order on one data set; the mean follows the two others."""
    straight, reverse = (3.0, 2.0, 1.0), (1.0, 2.0, 3.0)
    orders = {"digits": (reverse, straight, straight), "watch": (straight,) * 3}
    results = [
        fake_result(
            fake_run("medyate", 0.05, 0, seed, "ds_cnn", data),
            scores=dict(zip("abc", order, strict=True)),
        )
        for data, seeds in orders.items()
        for seed, order in enumerate(seeds)
    ]
    panel = Panel(results)
    assert sorted(layer_order.within_tasks(panel, "lara")) == pytest.approx([-1, -1, 1, 1, 1, 1])
    (pair,) = layer_order.between_tasks(panel, "lara")
    assert (pair.lowest, pair.rho, pair.highest) == pytest.approx((-1, 1, 1))


def test_tables_of_claims_and_layer_order_say_what_was_judged():
    scores = {"digits": (4, 3, 2, 1), "watch": (4, 2, 3, 1)}
    results = results_of(
        {"trady": 0.05, "s-topk-random": 0.0},
        datasets=("digits", "watch"),
        scores=lambda data: {f"layer{i}": float(s) for i, s in enumerate(scores[data])},
    )
    panel = Panel(results)
    built = {table.title: table for table in tables.build(panel)}
    verdict = next(v for v in claims.judge(panel) if "s-topk-random" in v.measured)
    row = next(row for row in built["The papers' claims"].rows if "s-topk" in row[1])
    assert verdict.comparison is not None
    assert verdict.by_case is not None
    assert row[:4] == (verdict.claim, "trady against s-topk-random", "all",
                       verdict.verdict)  # fmt: skip
    low, high = verdict.comparison.interval
    assert row[4:6] == (f"{verdict.comparison.mean:+.2f}", f"{low:+.2f} to {high:+.2f}")
    assert row[8:10] == ("16 of 16", f"{verdict.by_case.mean:+.2f} (2)")
    unmeasured = next(row for row in built["The papers' claims"].rows if "prev" in row[1])
    assert unmeasured[3:] == (claims.UNMEASURED, *["-"] * 7)
    order = built["Order of layers between tasks"].rows
    assert order[0] == ("ds_cnn", "digits and watch", "4", "-", "0.80", "-")
    assert order[1][2:5] == ("-", "-", "1.00")


def test_a_title_claims_no_more_than_its_test():
    units = [("net", "data", fold) for fold in range(3)]
    columns = {name: dict.fromkeys(units, 0.5) for name in ("a", "b", "c")}
    tie = statistics.rank(columns)
    assert not tie.significant
    for _ in range(2):  # too few blocks to tell anything apart, tie or not
        assert "No strategy ranks better" in charts.rank_title(statistics.rank(columns))
        columns["b"] = {unit: 0.5 + 0.1 * unit[2] for unit in units}
    many = [("net", "data", fold) for fold in range(20)]
    steps = {"a": 0.1, "b": 0.3, "c": 0.3, "d": 0.0}
    columns = {
        name: {unit: 90 + step + (unit[2] * 7 + len(name + "c" * (name == "c"))) % 5 / 1000
               for unit in many}
        for name, step in steps.items()
    }  # fmt: skip
    title = charts.rank_title(statistics.rank(columns))
    assert "has the best mean rank" in title
    assert "1 other is not significantly worse" in title


def test_the_most_accurate_is_named_if_a_test_tells_it_from_the_others():
    rng = np.random.default_rng(0)
    units = range(12)
    noise = {name: rng.normal(0, 1, 12) for name in "abc"}
    columns = {n: {u: 80 + noise[n][u] for u in units} for n in "abc"}
    assert "no strategy is significantly" in charts._accuracy_title("5%", columns)
    columns["b"] = {u: 90 + noise["b"][u] for u in units}
    assert charts._accuracy_title("5%", columns) == "At 5% b is the most accurate"
    columns["c"] = {u: 89.9 + noise["c"][u] for u in units}
    title = charts._accuracy_title("5%", columns)
    assert title.endswith("is the most accurate; 1 other is not significantly worse")
