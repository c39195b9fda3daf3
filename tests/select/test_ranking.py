"""Rankings: formulas against numbers worked out by hand, the number kept, files."""

import json
import math

import pytest
from random_models import random_data, small_net

import tf_medyate as md
from tf_medyate import errors
from tf_medyate.cost import CostModel
from tf_medyate.select.gradients import LayerGradient
from tf_medyate.select.published import PUBLISHED, published_net
from tf_medyate.select.ranking_file import load_ranking, save_ranking
from tf_medyate.zoo.registry import get_network


def spec(name, index, channels, weights, activations, **options):
    return md.LayerSpec(name, "dense", index, channels, 1, weights, activations, 0, 0, **options)


SPECS = (spec("a", 0, 2, 3, 1), spec("b", 1, 1, 2, 2), spec("c", 2, 4, 1, 0),
         spec("head", 3, 2, 5, 1, is_head=True))  # fmt: skip
# Costs of a channel in elements: a 3 + 1, b 2 + 2, c 1 + 0; of all channels: a 8, b 4, c 4.
GRADIENTS = {
    "a": LayerGradient(norm=4.0, channel_norms=6.0, squared_norm=18.0, fisher=2.0),
    "b": LayerGradient(norm=1.0, channel_norms=1.0, squared_norm=1.0, fisher=8.0),
    "c": LayerGradient(norm=3.0, channel_norms=5.0, squared_norm=16.0, fisher=0.0),
}


@pytest.mark.parametrize(
    ("method", "scores"),
    [
        # MeDyate, Eq. 9: the norm of the whole layer's gradient over the cost of the whole layer.
        ("lara", {"c": 3 / 4, "a": 4 / 8, "b": 1 / 4}),
        # Eq. 8 (TraDy): the channels' norms together over the cost of one channel.
        ("rgn", {"c": 5 / 1, "a": 6 / 4, "b": 1 / 4}),
        ("lara-squared", {"c": 16 / 4, "a": 18 / 8, "b": 1 / 4}),
        ("fisher", {"b": 8 / 4, "a": 2 / 8, "c": 0.0}),
        ("last_k", {"c": 1.0, "b": 1.0, "a": 1.0}),
    ],
)
def test_formulas_by_hand(method, scores):
    found = md.rank_layers(SPECS, GRADIENTS, method, 1.0)
    assert found.order == tuple(scores)
    assert found.scores == pytest.approx(tuple(scores.values()))
    assert found.kept == found.order
    assert found.reason == "all of them"


def test_costs_are_those_of_the_unit():
    cost = CostModel(optimizer_slots=1, device_batch=2)
    found = md.rank_layers(SPECS, GRADIENTS, "lara", 1.0, cost)
    a, b, c = 2 * 4 * (3 * 2 + 1 * 2), 4 * (2 * 2 + 2 * 2), 4 * 4 * (1 * 2)
    assert dict(zip(found.order, found.scores, strict=True)) == pytest.approx(
        {"a": 4 / a, "b": 1 / b, "c": 3 / c}
    )


def test_top_k_counts_or_covers():
    def kept(top_k):
        return md.rank_layers(SPECS, GRADIENTS, "lara-squared", top_k).kept

    total = 4 + 18 / 8 + 0.25
    assert kept(1) == ("c",)
    assert kept(9) == ("c", "a", "b")
    assert kept(4 / total) == ("c",)
    assert kept(4 / total + 1e-6) == ("c", "a")
    assert kept(0.97) == kept("fixed") == ("c", "a", "b")
    assert kept(0.9) == ("c", "a")
    ranking = md.rank_layers(SPECS, GRADIENTS, "lara-squared", 2)
    assert ranking.covered == pytest.approx((total - 0.25) / total)
    assert "*  1" in str(ranking)
    assert str(ranking).splitlines()[-1].startswith("   3")
    for wrong in (0, -1, 1.2, True, "all"):
        with pytest.raises(errors.OptionError, match="top_k"):
            kept(wrong)


@pytest.mark.parametrize(
    ("budget", "alpha", "kept", "reason"),
    [
        # By lara: c (4 elements in all), a (8), b (4): M_1 = 4, M_2 = 12, M_3 = 16.
        ("1 elements", 0.2, 2, "alpha_2 = 0.0833 <= 0.2 < alpha_1 = 0.25"),
        ("1 elements", 0.25, 1, "alpha_1 = 0.25 <= 0.25"),  # exactly alpha
        ("1 elements", 0.24, 2, "alpha_2 = 0.0833 <= 0.24 < alpha_1 = 0.25"),
        ("3 elements", 0.2, 3, "alpha_3 = 0.188 <= 0.2 < alpha_2 = 0.25"),
        # No K satisfies it: the budget is a large share even of the whole net.
        ("4 elements", 0.2, 3, "all: alpha_3 = 0.25 > 0.2"),
        ("1000 elements", 1.0, 3, "all: alpha_3 = 62.5 > 1"),
    ],
)
def test_the_search_space_of_eq_10(budget, alpha, kept, reason):
    found = md.rank_layers(SPECS, GRADIENTS, "lara", "alpha", budget=budget, alpha=alpha)
    assert found.kept == ("c", "a", "b")[:kept]
    assert found.reason == reason
    assert reason in str(found)


def test_alpha_in_bytes_leaves_out_on_both_sides_what_is_always_trained():
    """B is what is left for channels: without head and, if they are trained, K layers' biases."""
    specs = [md.LayerSpec("one", "dense", 0, 10, 4, 4, 1, 4, 40),
             md.LayerSpec("two", "dense", 1, 4, 6, 6, 1, 6, 24),
             md.LayerSpec("head", "dense", 2, 6, 2, 2, 1, 2, 12, is_head=True)]  # fmt: skip
    gradients = {"one": LayerGradient(9.0, 9.0, 9.0), "two": LayerGradient(1.0, 1.0, 1.0)}
    head, one = 4 * (6 * (2 + 1) + 2), 4 * 10 * (4 + 1)
    for train_bias, biases in ((False, 0), (True, 4 * 4)):
        cost = CostModel(train_bias=train_bias)
        for amount, kept in ((head + biases + one // 5, 1), (head + biases + one // 5 + 1, 2)):
            found = md.rank_layers(specs, gradients, "lara", "alpha", cost, budget=amount)
            assert len(found.kept) == kept, (train_bias, amount)
    # A budget that not even the head fits keeps one layer; the draw says what lacks.
    assert len(md.rank_layers(specs, gradients, "lara", "alpha", budget="8 B").kept) == 1


def test_alpha_needs_a_budget_of_its_unit():
    for options in ({}, {"cost": CostModel(), "budget": "5 elements"}):
        with pytest.raises(errors.OptionError, match=r'budget: .*top_k="alpha"'):
            md.rank_layers(SPECS, GRADIENTS, "lara", "alpha", **options)
    for wrong in (0, 1.5, "0.2", True, math.nan):
        with pytest.raises(errors.OptionError, match=r"alpha: .*0\.2"):
            md.rank_layers(SPECS, GRADIENTS, "lara", "alpha", budget="5 elements", alpha=wrong)


@pytest.mark.parametrize(
    ("network", "layers"), [("mobilenet_v2_035", 35), ("mcunet_in1", 27), ("proxyless_w03", 43)]
)
def test_tradys_numbers_hold_for_the_papers_nets_whatever_their_size(network, layers):
    specs = md.layer_specs(get_network(network).build((64, 64, 3), 7))
    assert published_net(specs) is PUBLISHED[network]
    gradients = {s.name: LayerGradient(1.0, 1.0, 1.0) for s in specs}
    found = md.rank_layers(specs, gradients, "rgn", "fixed")
    assert len(found.kept) == layers
    assert found.reason == f"TraDy's number for {network}"
    without_mix = [s for s in specs if s.name != "mix_conv"]
    assert published_net(without_mix) is PUBLISHED[network]
    assert published_net(specs[1:]) is None


def test_frozen_layers_are_not_ranked_and_zero_gradients_keep_all():
    frozen = (SPECS[0], spec("b", 1, 1, 2, 2, trainable=False), *SPECS[2:])
    assert md.rank_layers(frozen, GRADIENTS).order == ("c", "a")
    nothing = dict.fromkeys("abc", LayerGradient(0.0, 0.0, 0.0))
    assert len(md.rank_layers(SPECS, nothing).kept) == 3


def test_bad_rankings_are_refused():
    with pytest.raises(errors.OptionError, match=r"lara \| rgn"):
        md.rank_layers(SPECS, GRADIENTS, "lora")
    with pytest.raises(errors.OptionError, match="measure_gradients"):
        md.rank_layers(SPECS, None, "lara")
    unmeasured = dict.fromkeys("abc", LayerGradient(1.0, 1.0, 1.0))
    with pytest.raises(errors.OptionError, match="batches of one sample"):
        md.rank_layers(SPECS, unmeasured, "fisher")


# --- over a mock fine-tuning, and in files


@pytest.fixture(scope="module")
def model():
    prepared = md.prepare(small_net())
    prepared.compile("sgd", "sparse_categorical_crossentropy")
    return prepared


def test_a_ranking_file_serves_other_tasks_budgets_and_names(model, tmp_path):
    specs, path = md.layer_specs(model), tmp_path / "ranking.json"
    gradients = md.measure_gradients(model, (*random_data(model, 12), 4), steps=5)
    save_ranking(path, specs, gradients, "noise")
    other = md.layer_specs(md.prepare(small_net(classes=5)))  # another head, other weights
    for method in ("lara", "rgn", "lara-squared"):
        for top_k in ("alpha", 0.97):
            options = {"top_k": top_k, "budget": "2000 elements"}
            wanted = md.rank_layers(specs, gradients, method, **options)
            assert md.rank_layers(other, load_ranking(path, other), method, **options) == wanted
    assert path.stat().st_size < 4000
    direct = md.rank_layers(model, (*random_data(model, 12), 4), "lara", 1.0, steps=5)
    assert direct == md.rank_layers(specs, gradients, "lara", 1.0)


def test_files_of_other_nets_or_damaged_ones_are_refused(model, tmp_path):
    specs, path = md.layer_specs(model), tmp_path / "ranking.json"
    gradients = md.measure_gradients(model, random_data(model, 8))
    save_ranking(path, specs, gradients)
    text = path.read_text()
    content = json.loads(text)

    def refused(changed, match):
        path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
        with pytest.raises(errors.OptionError, match=match):
            load_ranking(path, specs)

    refused(text[:-9], r"a readable ranking\.json")
    refused("[]", "a JSON object")
    refused("{}", "tf_medyate ranking")
    refused(content | {"version": 9}, "version 1")
    refused(content | {"layers": content["layers"][1:]}, "layers beside the head")
    refused(content | {"layers": 3}, "a list of layers")
    first, *rest = content["layers"]
    refused(content | {"layers": [first | {"channels": 99}, *rest]}, "layer 0 .*'channels': 3")
    for wrong in (-1.0, None, True, "1"):
        refused(content | {"layers": [first | {"norm": wrong}, *rest]}, "finite norm")
    with pytest.raises(errors.OptionError, match=r"ranking .*none\.json"):
        load_ranking(tmp_path / "none.json", specs)
    with pytest.raises(errors.OptionError, match=r"\.json"):
        save_ranking(tmp_path / "ranking.txt", specs, gradients)
