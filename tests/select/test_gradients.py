"""Gradients of layers and channels against tf.GradientTape, at rest and while a net learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from random_models import random_data, small_net

import tf_medyate as md
from tf_medyate import errors
from tf_medyate.prepared.layers import masked_layers
from tf_medyate.select.gradients import GradientProbe, full_mode

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
    norms, taylor, whole = dict(squares), dict(squares), dict(squares)
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
            whole[layer.name] += np.linalg.norm(rows) / 3
            taylor[layer.name] += (rows * weights).sum(1) ** 2 / 6
    for name in squares:
        # The same sums in float32, ordered otherwise.
        np.testing.assert_allclose(found.squared_norm[name], squares[name], rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(found.norm[name], norms[name], rtol=1e-4, atol=1e-6)
        layer = found.layers()[name]
        assert layer.norm == pytest.approx(whole[name], rel=1e-4)
        assert layer.channel_norms == pytest.approx(norms[name].sum(), rel=1e-4)
        assert layer.squared_norm == pytest.approx(squares[name].sum(), rel=1e-4)
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


def test_a_mock_fine_tuning_measures_each_step_where_it_is_and_leaves_no_trace(model):
    x, y = random_data(model, 12)
    before = [v.numpy() for v in model.variables]
    found = md.measure_gradients(model, (x, y, 4), steps=5, learning_rate=0.1, seed=3)
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    # The same by hand: SGD on every weight and bias, from 0.1 down a cosine, shuffled epochs.
    twin, order = md.prepare(small_net()), np.random.default_rng(3)
    twin.set_weights([v.numpy() for v in model.variables])
    batches = []
    for _ in range(2):
        first = order.permutation(12)
        again = first[np.random.default_rng(0).permutation(12)]  # as arrays are always cut
        batches += [again[i : i + 4] for i in (0, 4, 8)]
    norms = dict.fromkeys((layer.name for layer in masked_layers(twin)), 0.0)
    for step, rows in enumerate(batches[:5]):
        variables = twin.trainable_variables
        with tf.GradientTape() as tape:
            loss = LOSS(y[rows], twin(x[rows], training=False))
        gradients = tape.gradient(loss, [v.value for v in variables])
        rate = 0.1 * 0.5 * (1 + np.cos(np.pi * step / 5))
        for variable, gradient in zip(variables, gradients, strict=True):
            if variable.name == "kernel":
                norms[variable.path.split("/")[0]] += np.linalg.norm(gradient) / 5
            variable.assign_sub(rate * gradient)
    assert found.batches == 5
    for name, norm in norms.items():
        assert found.layer_norm[name] == pytest.approx(norm, rel=1e-3)
    still = md.measure_gradients(model, (x, y, 4), batches=3)
    assert any(abs(still.layer_norm[n] / norms[n] - 1) > 0.02 for n in norms), "nothing was learned"


def test_a_mock_fine_tuning_reads_data_sets_again_and_refuses_nonsense(model):
    x, y = random_data(model, 12)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(6)
    assert md.measure_gradients(model, data, steps=5).batches == 5
    with pytest.raises(errors.OptionError, match="steps"):
        md.measure_gradients(model, data, steps=-1)
    weights = [v.numpy() for v in model.variables]
    with pytest.raises(errors.NonFiniteDataError):
        md.measure_gradients(model, data, steps=9, learning_rate=1e30)
    for old, variable in zip(weights, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_full_mode_gives_everything_back(model):
    layer = model.get_layer("body")
    before = (layer.mode, layer.kernel.trainable)
    with pytest.raises(RuntimeError), full_mode(model):
        raise RuntimeError
    assert (layer.mode, layer.kernel.trainable) == before
    with pytest.raises(errors.NotPreparedError):
        GradientProbe(small_net())
