"""Sparse Update's published schemes on the papers' networks, and nowhere else."""

import keras
import numpy as np
import pytest
from random_models import random_data, small_net

import tf_medyate as md
from tf_medyate.cost import CostModel
from tf_medyate.errors import BudgetTooSmallError, OptionError
from tf_medyate.select.planner import Planner
from tf_medyate.select.published import PUBLISHED, scheme_plan
from tf_medyate.zoo.registry import get_network


@pytest.fixture(scope="module")
def mcunet():
    return md.prepare(get_network("mcunet_in1").build((128, 128, 3), 4))


def test_the_strongest_input_channels_by_weight_norm_are_trained_for_good(mcunet):
    planner = Planner(md.PRESETS["su"], md.MemoryBudget(15_936, "elements"))
    importance = planner.survey(mcunet, (), None, None)
    plan = planner.plan(importance, 0)
    specs = md.layer_specs(mcunet)
    numbers = {spec.name: number for number, spec in enumerate(specs)}
    assert {numbers[d.layer] for d in plan.layers} <= {23, 24, 27, 30, 33, 39}
    for draw in plan.layers:
        kernel = mcunet.get_layer(draw.layer).kernel.numpy()
        norms = np.sqrt((kernel.astype(np.float64) ** 2).sum(axis=(0, 1, 3)))
        share = {24: 0.25, 27: 0.5, 30: 0.5}[numbers[draw.layer]]
        count = int(len(norms) * share)
        assert draw.channels == tuple(sorted(np.argsort(-norms)[:count].tolist()))
    assert plan.used == plan.budget.amount == 15_936
    assert planner.ranking.kept == tuple(reversed([d.layer for d in plan.layers]))
    assert planner.ranking.reason == "Sparse Update's scheme of 15,936 elements"
    assert not planner.needs_data


@pytest.mark.parametrize(
    ("budget", "number"),
    [("15936 elements", 0), ("12096 weights", 0), ("64831 elements", 1), ("64832 elements", 2),
     ("9000000 elements", 4), ("98560 weights", 4)],
)  # fmt: skip
def test_the_largest_scheme_that_fits_is_taken(mcunet, budget, number):
    planner = Planner(md.PRESETS["su"], md.MemoryBudget.parse(budget))
    planner.survey(mcunet, (), None, None)
    elements = PUBLISHED["mcunet_in1"].schemes[number].elements
    assert f"{elements:,} elements" in planner.ranking.reason


def test_in_bytes_a_scheme_is_counted_with_its_slots_and_the_head(mcunet):
    specs, scheme = md.layer_specs(mcunet), PUBLISHED["mcunet_in1"].schemes[0]
    counts = scheme.channels(specs)
    cost = CostModel(optimizer_slots=1, train_bias=False)
    least = sum(counts[s.name] * cost.channel(s) for s in specs if s.name in counts)
    least += cost.fixed(specs, ())
    momentum = keras.optimizers.SGD(0.1, momentum=0.9)
    planner = Planner(md.PRESETS["su"], md.MemoryBudget(least))
    importance = planner.survey(mcunet, (), momentum, None)
    assert planner.plan(importance, 0).used == least
    with pytest.raises(BudgetTooSmallError, match="the smallest scheme for mcunet_in1"):
        Planner(md.PRESETS["su"], md.MemoryBudget(least - 1)).survey(mcunet, (), momentum, None)


def test_mobilenets_first_scheme_leaves_out_what_its_published_count_does_not_hold():
    specs = md.layer_specs(get_network("mobilenet_v2_035").build((128, 128, 3), 4))
    scheme = PUBLISHED["mobilenet_v2_035"].schemes[0]
    norms = {s.name: np.arange(s.channels, 0.0, -1.0) for s in specs}
    budget, cost = md.MemoryBudget(27_946, "elements"), CostModel("elements")
    plan = scheme_plan(specs, scheme, norms, budget, cost)
    counts = scheme.channels(specs)
    left_out = {n: c - len(plan.channels_of(n)) for n, c in counts.items()}
    # 336 elements too many by our count: 14 channels of 9 + 16 in the last, a depthwise layer.
    assert {n: c for n, c in left_out.items() if c} == {specs[49].name: 14}
    assert plan.used == 28_282 - 14 * (9 + 16)
    roomy = scheme_plan(specs, scheme, norms, md.MemoryBudget(28_282, "elements"), cost)
    assert roomy.used == 28_282


def test_other_nets_are_refused_before_anything_changes():
    model = md.prepare(small_net())
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = random_data(model, 8)
    with pytest.raises(OptionError, match=r"papers' nets.*another net.*mcunet_in1.*'su-like'"):
        model.fit(x, y, verbose=0, callbacks=[md.MeDyate("8KiB", "su", verbose=0)])
    with pytest.raises(OptionError, match='importance="weights"'):
        md.strategy("medyate", sampling="scheme")
