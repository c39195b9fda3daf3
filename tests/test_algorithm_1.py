"""MeDyate's Algorithm 1 (arXiv 2510.20979) under Keras, step by step against GradientTape."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from random_models import random_data, small_net

import tf_medyate as md
from tf_medyate.errors import OptionError
from tf_medyate.prepared.layers import masked_layers
from tf_medyate.select.sampling import UNSEEN, sample_channels

LAYERS = ("stem", "body", "point")
LOSS = keras.losses.SparseCategoricalCrossentropy()


@pytest.fixture
def model():
    found = md.prepare(small_net())
    found.compile(keras.optimizers.SGD(0.1), LOSS, run_eagerly=True)
    return found


def importance(model):
    """As it would be saved: after a commit."""
    model.commit()
    return {name: model.get_layer(name).importance.numpy() for name in LAYERS}


def norms(model, x, y):
    """||dW_c|| of the layers, from full gradients at the committed weights."""
    model.commit()
    twin = md.prepare(small_net())
    for ours, theirs in zip(masked_layers(twin), masked_layers(model), strict=True):
        ours.set_weights([v.numpy() for v in theirs.variables])
    kernels = [twin.get_layer(name).kernel.value for name in LAYERS]
    with tf.GradientTape() as tape:
        loss = LOSS(y, twin(x, training=False))
    return {
        name: np.sqrt(np.square(np.moveaxis(g.numpy(), -2, 0)).sum((1, 2, 3)))
        for name, g in zip(LAYERS, tape.gradient(loss, kernels), strict=True)
    }


def test_the_draws_and_norms_of_three_epochs_by_hand(model):
    x, y = random_data(model, 8)
    medyate = md.MeDyate("1200 elements", "medyate", layers=LAYERS, seed=4, verbose=0)
    medyate.set_model(model)  # not compiled data, no calibration: nothing is measured
    assert medyate.strategy.importance == "observed"
    specs, known = md.layer_specs(model), {}

    @tf.function
    def step(batch_x, batch_y):
        with tf.GradientTape() as tape:
            loss = LOSS(batch_y, model(batch_x, training=True))
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        model.optimizer.apply_gradients(zip(gradients, variables, strict=True))

    for epoch in range(3):
        # e = 1: uniform; then in proportion to the norms known, the largest for the unseen.
        medyate.begin_epoch(epoch)
        options = {"kept": LAYERS, "seed": 4, "draw": epoch}
        if epoch == 0:
            wanted = sample_channels(specs, {}, "1200 elements", weighting="uniform", **options)
            assert all((values == UNSEEN).all() for values in importance(model).values())
        else:
            if epoch == 1:
                top = max(values.max() for values in known.values())
                known = {n: np.where(v == UNSEEN, top, v) for n, v in known.items()}
            for name, values in importance(model).items():
                np.testing.assert_allclose(values, known[name], rtol=1e-4, atol=1e-7)
            wanted = sample_channels(specs, known, "1200 elements", **options)
        assert medyate.plan.layers == wanted.layers, epoch
        # Two steps; what is noted is the mean of their norms, of the drawn channels alone.
        seen = []
        for part in (slice(0, 4), slice(4, 8)):
            seen.append(norms(model, x[part], y[part]))
            step(x[part], y[part])
        medyate.end_epoch()
        for name in LAYERS:
            drawn = list(medyate.plan.channels_of(name))
            before = known.get(name, np.full(12 if name != "stem" else 3, UNSEEN))
            known[name] = np.array(before)
            known[name][drawn] = (seen[0][name][drawn] + seen[1][name][drawn]) / 2
            np.testing.assert_allclose(importance(model)[name], known[name], rtol=1e-3, atol=1e-6)
    assert {d.layer for d in medyate.plan.layers} <= set(LAYERS)


@pytest.mark.parametrize(
    ("refresh", "wanted"),
    [("mean", (2 + 6 + 4) / 3), ("last", 4.0), ("running", None)],
)
def test_the_norm_of_a_draw_that_lasts_two_epochs(model, refresh, wanted):
    """Gradients of a loss that is linear in the pool are what the loss is multiplied by."""
    chosen = md.strategy("medyate", refresh=refresh, resample_every=2)
    medyate = md.MeDyate("400 elements", chosen, layers=["point"], verbose=0)
    medyate.set_model(model)
    state = model.training_state

    @tf.function
    def step(factor):
        with state.opened():
            run = state.run(0)
            return tf.gradients(factor * tf.reduce_sum(run.weights), [state.pool.value])

    medyate.begin_epoch(0)
    [(channel, *_)] = [draw.channels for draw in medyate.plan.layers]
    root = np.sqrt(12.0)  # weights of a channel
    for factors in ((2.0,), (6.0, 4.0)):
        for factor in factors:
            step(tf.constant(factor))
        medyate.end_epoch()
        medyate.begin_epoch(1)
    found = importance(model)["point"][channel]
    if refresh == "running":
        mean = 2.0 * root  # of what was never trained there is nothing to go on from
        for factor in (6.0, 4.0):
            mean += 0.1 * (factor * root - mean)
        wanted = mean / root
    assert found == pytest.approx(wanted * root, rel=1e-5)


def test_an_epoch_without_steps_leaves_its_channels_unseen(model):
    medyate = md.MeDyate("1200 elements", "medyate", layers=LAYERS, verbose=0)
    medyate.set_model(model)
    for epoch in range(2):
        medyate.begin_epoch(epoch)
        medyate.end_epoch()
    assert all((values == UNSEEN).all() for values in importance(model).values())


def test_neither_a_layer_list_nor_a_ranking_file_needs_calibration(model, tmp_path):
    x, y = random_data(model, 12)

    def endless():
        while True:
            yield x[:6], y[:6]

    def fit(**options):
        medyate = md.MeDyate("1200 elements", verbose=0, **options)
        model.fit(endless(), steps_per_epoch=2, epochs=2, verbose=0, callbacks=[medyate])
        return medyate

    with pytest.raises(OptionError, match="calibration"):
        fit(strategy="medyate")  # a generator can be read only once
    assert fit(strategy="medyate", layers=LAYERS).report().candidates == LAYERS
    path = tmp_path / "ranking.json"
    gradients = md.measure_gradients(model, (x, y, 6), steps=4)
    md.save_ranking(path, md.layer_specs(model), gradients)
    for name in ("medyate", "prev-medyate", "trady", "lara-trady", "s-topk-random"):
        found = fit(strategy=name, ranking=path)
        method = found.strategy.ranking
        options = {"top_k": found.strategy.top_k, "budget": "1200 elements"}
        wanted = md.rank_layers(md.layer_specs(model), gradients, method, **options)
        assert found.ranking.kept == wanted.kept
        assert found.ranking.reason == wanted.reason
        assert found.ranking.reason in str(found.report())
    assert md.rank_layers(md.layer_specs(model), gradients, "lara").kept != ()
