"""Rankings: measurements against tf.GradientTape, formulas against hand-made numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from random_models import random_data, small_net

import tf_medyate as md
from tf_medyate import errors
from tf_medyate.prepared.layers import masked_layers
from tf_medyate.select.ranking import ChannelGradients, GradientProbe, full_mode
from tf_medyate.select.velocity import VelocityProbe

LOSS = keras.losses.SparseCategoricalCrossentropy()


@pytest.fixture(scope="module")
def model():
    prepared = md.prepare(small_net())
    prepared.compile("sgd", LOSS)
    return prepared


def test_measurements_equal_those_of_a_gradient_tape(model):
    x, y = random_data(model, 12)
    batches = [(x[i : i + 4], y[i : i + 4]) for i in (0, 4, 8)]
    found = md.measure_gradients(model, batches, batches=3)
    assert found.batches == 3
    squares = {layer.name: 0.0 for layer in masked_layers(model)}
    norms, taylor = dict(squares), dict(squares)
    for start in (0, 4, 8):
        part = slice(start, start + 4)
        with tf.GradientTape() as tape:
            loss = LOSS(y[part], model(x[part], training=False))
        kernels = [layer.kernel.value for layer in masked_layers(model)]
        for layer, gradient in zip(masked_layers(model), tape.gradient(loss, kernels), strict=True):
            rows = np.moveaxis(gradient.numpy(), -2, 0).reshape(gradient.shape[-2], -1)
            weights = np.moveaxis(layer.kernel.numpy(), -2, 0).reshape(rows.shape)
            squares[layer.name] += (rows**2).sum(1) / 3
            norms[layer.name] += np.linalg.norm(rows, axis=1) / 3
            taylor[layer.name] += (rows * weights).sum(1) ** 2 / 6
    for name in squares:
        # The same sums in float32, ordered otherwise.
        np.testing.assert_allclose(found.squared_norm[name], squares[name], rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(found.norm[name], norms[name], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.fisher[name], taylor[name], rtol=1e-3, atol=1e-9)


def test_fisher_of_single_samples_is_activation_times_gradient(model):
    """TinyTrain's Fisher potential, from activations and their gradients as it defines it."""
    x, y = random_data(model, 5)
    found = md.measure_gradients(model, (x, y, 1), batches=5)
    layer = model.get_layer("point")
    tapped = keras.Model(model.inputs, [layer.input, model.outputs[0]])
    rest = keras.Model(layer.input, model.outputs[0])
    expected = np.zeros(layer.kernel.shape[-2])
    for index in range(5):
        activation = tapped(x[index : index + 1])[0]
        with tf.GradientTape() as tape:
            tape.watch(activation)
            loss = LOSS(y[index : index + 1], rest(activation))
        gradient = tape.gradient(loss, activation)
        expected += (activation * gradient).numpy().sum((0, 1, 2)) ** 2 / 2 / 5
    np.testing.assert_allclose(found.fisher["point"], expected, rtol=1e-3, atol=1e-9)


def test_measuring_changes_nothing(model):
    x, y = random_data(model, 8)
    before = [v.numpy() for v in model.variables]
    md.measure_gradients(model, (x, y))
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def spec(name, index, channels, weights, activations, **options):
    return md.LayerSpec(name, "dense", index, channels, 1, weights, activations, 0, 0, **options)


SPECS = (spec("a", 0, 2, 3, 1), spec("b", 1, 1, 2, 2), spec("c", 2, 4, 1, 0),
         spec("head", 3, 2, 5, 1, is_head=True))  # fmt: skip
GRADIENTS = ChannelGradients(
    squared_norm={"a": np.array([4.0, 12]), "b": np.array([1.0]), "c": np.array([9.0, 0, 0, 7])},
    norm={},
    fisher={"a": np.array([1.0, 1]), "b": np.array([8.0]), "c": np.zeros(4)},
    batches=1,
)


def test_formulas_by_hand():
    # Costs in elements: a 2 * (3 + 1) = 8, b 4, c 4.
    lara = md.rank_layers(SPECS, GRADIENTS, "lara", 1.0)
    assert lara.order == ("c", "a", "b")
    assert lara.scores == pytest.approx((16 / 4, 16 / 8, 1 / 4))
    rgn = md.rank_layers(SPECS, GRADIENTS, "rgn", 1.0)
    assert rgn.scores == pytest.approx((4 / 4, 4 / 8, 1 / 4))
    fisher = md.rank_layers(SPECS, GRADIENTS, "fisher", 1.0)
    assert fisher.order == ("b", "a", "c")
    assert fisher.scores == pytest.approx((8 / 4, 2 / 8, 0))
    assert md.rank_layers(SPECS, None, "last_k", 2).kept == ("c", "b")


def test_top_k_counts_or_covers():
    def kept(top_k):
        return md.rank_layers(SPECS, GRADIENTS, "lara", top_k).kept

    total = 4 + 2 + 0.25
    assert kept(1) == ("c",)
    assert kept(9) == ("c", "a", "b")
    assert kept(4 / total) == ("c",)
    assert kept(4 / total + 1e-6) == ("c", "a")
    assert kept(0.97) == ("c", "a", "b")
    assert kept(0.9) == ("c", "a")
    ranking = md.rank_layers(SPECS, GRADIENTS, "lara", 2)
    assert ranking.covered == pytest.approx(6 / total)
    assert "*  1" in str(ranking)
    assert str(ranking).splitlines()[-1].startswith("   3")
    for wrong in (0, -1, 1.2, True, "all"):
        with pytest.raises(errors.OptionError, match="top_k"):
            kept(wrong)


def test_frozen_layers_are_not_ranked_and_zero_gradients_keep_all():
    frozen = (SPECS[0], spec("b", 1, 1, 2, 2, trainable=False), *SPECS[2:])
    assert md.rank_layers(frozen, GRADIENTS).order == ("c", "a")
    nothing = ChannelGradients({n: np.zeros(2) for n in "abc"}, {}, {}, 1)
    assert len(md.rank_layers(SPECS, nothing).kept) == 3


def test_bad_rankings_are_refused():
    with pytest.raises(errors.OptionError, match=r"lara \| rgn"):
        md.rank_layers(SPECS, GRADIENTS, "lora")
    with pytest.raises(errors.OptionError, match="measure_gradients"):
        md.rank_layers(SPECS, None, "lara")


def test_velocity_is_zero_at_rest_and_positive_after_a_change(model):
    x, _ = random_data(model, 6)
    probe = VelocityProbe(model, x)
    assert all((value == 1).all() for value in probe().values())
    assert all((value < 1e-9).all() for value in probe().values())
    stem = model.get_layer("stem")
    kernel = stem.kernel.numpy()
    stem.kernel.assign(kernel + np.random.default_rng(0).normal(size=kernel.shape))
    moved = probe()
    stem.kernel.assign(kernel)
    assert (moved["stem"] < 1e-9).all(), "the input itself does not change"
    assert (moved["body"] > 1e-6).any()


def test_full_mode_gives_everything_back(model):
    layer = model.get_layer("body")
    before = (layer.mode, layer.kernel.trainable)
    with pytest.raises(RuntimeError), full_mode(model):
        raise RuntimeError
    assert (layer.mode, layer.kernel.trainable) == before
    with pytest.raises(errors.NotPreparedError):
        GradientProbe(small_net())
