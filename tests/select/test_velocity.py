"""Velocity as its paper defines it: output neurons, by how fast their outputs still change."""

import keras
import numpy as np
import pytest
from random_models import random_data, random_model, small_net

import tf_medyate as md
from tf_medyate.prepared.layers import masked_layers
from tf_medyate.select.sampling import UNSEEN
from tf_medyate.select.velocity import VelocityProbe


@pytest.fixture
def model():
    found = md.prepare(small_net())
    found.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    return found


def test_velocities_by_hand(model):
    x, _ = random_data(model, 4)
    probe, stem = VelocityProbe(model, x), model.get_layer("stem")
    tap = keras.Model(model.inputs, stem.output)

    def maps():
        return np.asarray(tap(x), np.float64).reshape(4, -1, 12)

    assert all((values == UNSEEN).all() for values in probe().values())
    before, phi, velocity = maps(), np.full(12, 4.0), np.zeros(12)
    rng = np.random.default_rng(0)
    for _ in range(3):
        stem.kernel.assign(stem.kernel.numpy() + 0.1 * rng.normal(size=stem.kernel.shape))
        found, now = probe(), maps()
        lengths = np.linalg.norm(now, axis=1) * np.linalg.norm(before, axis=1)
        cosines = np.where(lengths > 0, (now * before).sum(1) / np.maximum(lengths, 1e-12), 1.0)
        change, phi = cosines.sum(0) - phi, cosines.sum(0)
        velocity, before = change - 0.5 * velocity, now
        np.testing.assert_allclose(found["stem"], np.abs(velocity), rtol=1e-6, atol=1e-9)
    assert found["body"].max() > 0.0, "what reads them moves, too"


def test_what_does_not_change_has_no_velocity_even_where_it_is_silent(model):
    stem = model.get_layer("stem")
    kernel, bias = stem.kernel.numpy(), stem.bias.numpy()
    kernel[..., 3], bias[3] = 0.0, -1.0  # its ReLU never opens
    stem.kernel.assign(kernel)
    stem.bias.assign(bias)
    probe = VelocityProbe(model, random_data(model, 4)[0])
    probe()
    assert all((values < 1e-9).all() for values in probe().values())


@pytest.mark.parametrize("seed", [None, 2, 5])
def test_only_the_drawn_neurons_learn_and_the_weights_fit(model, seed):
    if seed is not None:
        model = md.prepare(random_model(seed, blocks=3))
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    x, y = random_data(model, 12)
    budget = sum(s.weight_elements for s in md.layer_specs(model) if not s.is_head) // 3
    medyate = md.MeDyate(md.MemoryBudget(budget, "weights"), "velocity", verbose=0)
    before, moved = {}, 0

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            before.update({v.name: v.kernel.numpy() for v in masked_layers(self.model)})

        def on_epoch_end(self, epoch, logs=None):
            nonlocal moved
            for layer in masked_layers(self.model)[:-1]:
                neurons = medyate.plan.channels_of(layer.name)
                *_, channels, outputs = layer.kernel.shape
                count = channels * outputs if layer.kind == "depthwise_conv2d" else outputs
                turned = (-1, 1, count) if count > outputs else (-1, channels, outputs)
                old = before[layer.name].reshape(turned)
                new = layer.kernel.numpy().reshape(turned)
                changed = (old != new).any(axis=(0, 1))
                assert not changed[np.setdiff1d(np.arange(count), neurons)].any(), layer.name
                moved += changed.sum()

    model.fit(x, y, batch_size=6, epochs=4, verbose=0, callbacks=[medyate, Watch()])
    assert moved > 5
    plans = [record.plan for record in medyate.report().epochs]
    sizes = {s.name: s.weight_elements // s.outputs for s in medyate.specs}
    for plan in plans:
        assert plan.drawn == sum(len(d.channels) * sizes[d.layer] for d in plan.layers)
        assert 0 < plan.used <= budget
    assert len({plan.layers for plan in plans}) > 1


def test_gradients_of_neurons_are_those_of_a_whole_kernel(model):
    """One SGD step of the drawn neurons against one of everything."""
    x, y = random_data(model, 12)
    medyate = md.MeDyate("600 weights", "velocity", calibration=(x, y), verbose=0)
    whole = md.prepare(small_net())
    whole.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    start = {layer.name: layer.kernel.numpy() for layer in masked_layers(whole)}
    for net, callbacks in ((model, [medyate]), (whole, [])):
        net.fit(x, y, batch_size=12, epochs=1, verbose=0, callbacks=callbacks)
    for ours, theirs in list(zip(masked_layers(model), masked_layers(whole), strict=True))[:-1]:
        neurons = list(medyate.plan.channels_of(ours.name))
        part = (..., neurons, 0) if ours.kind == "depthwise_conv2d" else (..., neurons)
        first = start[ours.name][part]
        found, wanted = ours.kernel.numpy()[part] - first, theirs.kernel.numpy()[part] - first
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)


def test_a_prepared_model_saved_while_neurons_are_drawn_loads(model, tmp_path):
    x, y = random_data(model, 12)
    medyate = md.MeDyate("600 weights", "velocity", verbose=0)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[medyate])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(loaded(x)), np.asarray(model(x)))
