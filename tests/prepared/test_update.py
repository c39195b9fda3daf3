"""Plans in and out of a model; the size of the pool."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import small_net

import tf_medyate as md
from tf_medyate import errors
from tf_medyate.prepared.update import ChannelUpdater, pool_elements
from tf_medyate.spec import LayerDraw

KEPT = ("stem", "body", "point")


@pytest.fixture
def updater():
    model = md.prepare(small_net())
    found = ChannelUpdater(model, md.layer_specs(model), KEPT, train_bias=True)
    found.attach(1000, None)
    return found


def plan(**channels):
    draws = tuple(LayerDraw(name, chosen) for name, chosen in channels.items())
    return md.UpdatePlan(4, 0, md.MemoryBudget(9), 0, 0, draws)


def test_load_and_commit_move_weights_and_nothing_else(updater):
    model = updater.model
    before = {name: model.get_layer(name).kernel.numpy() for name in KEPT}
    updater.load(plan(stem=(1,), point=(0, 5)))
    pool = model.training_state.pool.numpy()
    stem, point = before["stem"], before["point"]
    expected = np.concatenate(
        [stem[:, :, 1, :].ravel(), point[:, :, 0, :].ravel(), point[:, :, 5, :].ravel()]
    )
    np.testing.assert_array_equal(pool[: expected.size], expected)
    assert not pool[expected.size :].any()
    model.training_state.pool.assign(pool + 1)
    model.commit()
    moved = model.get_layer("point").kernel.numpy()
    np.testing.assert_array_equal(moved[:, :, [0, 5]], point[:, :, [0, 5]] + 1)
    rest = [c for c in range(12) if c not in (0, 5)]
    np.testing.assert_array_equal(moved[:, :, rest], point[:, :, rest])
    np.testing.assert_array_equal(model.get_layer("body").kernel.numpy(), before["body"])


def test_a_new_draw_commits_the_old_one(updater):
    model = updater.model
    x = np.ones((2, 8, 8, 3), "f")
    updater.load(plan(body=(2, 3)))
    model.training_state.pool.assign_add(np.full(1000, 0.01, "f"))
    outputs = model(x).numpy()
    updater.load(plan(stem=(0,)))
    np.testing.assert_array_equal(model(x).numpy(), outputs)


def test_plans_that_do_not_fit_are_refused(updater):
    with pytest.raises(errors.PlanError, match="'separable"):
        updater.load(plan(**{"separable.depthwise": (1,)}))
    with pytest.raises(errors.PlanError, match="1000 weights"):
        updater.load(plan(body=tuple(range(12))))


specs = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(0, 40)), min_size=1, max_size=5
)


@given(specs, st.integers(1, 4000), st.integers(0, 2), st.integers(0, 5))
def test_no_draw_needs_a_larger_pool_than_foreseen(layers, capacity, slots, seed):
    layers = [
        md.LayerSpec(f"l{i}", "conv2d", i, channels, 1, weights, activations, 0, 0)
        for i, (channels, weights, activations) in enumerate(layers)
    ]
    cost = md.CostModel(optimizer_slots=slots)
    importance = {s.name: np.ones(s.channels) for s in layers}
    budget = max(capacity, min(cost.channel(s) for s in layers))
    plan = md.sample_channels(layers, importance, budget, cost=cost, seed=seed)
    weights = {s.name: s.weights_per_channel for s in layers}
    need = sum(len(d.channels) * weights[d.layer] for d in plan.layers)
    assert need <= pool_elements(layers, cost, budget)
    assert 4 * need <= budget
