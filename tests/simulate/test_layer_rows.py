"""Every row of docs/layers.md: tf.GradientTape's gradients, and 50 steps in TFLM against Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_rows import CLASSES, NETS

import tf_medyate as md
from tf_medyate.exporter.lower import weightless
from tf_medyate.exporter.lower.forward import RULES
from tf_medyate.prepared.supported import TWINS
from tf_medyate.simulate import TFLMTrainer
from tools import layers

STEPS, SAMPLES = 50, 10
LOSS = keras.losses.SparseCategoricalCrossentropy()


def test_the_page_is_what_the_code_does():
    assert layers.PAGE.read_text(encoding="utf-8") == layers.page(), "run: python tools/layers.py"


def test_every_layer_that_has_a_rule_has_a_row():
    classes = {kind for kinds, _ in RULES for kind in kinds} | set(TWINS)
    in_rows = {type(layer) for net in NETS.values() for layer in net.build()[0].layers}
    assert not {kind.__name__ for kind in classes - in_rows - set(weightless.OFF)}


@pytest.mark.usefixtures("quick_export")
@pytest.mark.parametrize("name", NETS)
def test_rows_as_in_keras(name, tmp_path):
    net = NETS[name]
    rng = np.random.default_rng(5)
    x = rng.normal(size=(SAMPLES, *net.shape)).astype(np.float32)
    y = rng.integers(0, CLASSES, SAMPLES)
    model, names = layers.prepared(net, net.rows)
    gradients = gradients_of(net.build()[0], x[:1], y[:1])
    ours = gradients_of(model, x[:1], y[:1])
    assert {"start", "head"} <= set(gradients) & set(ours)
    for layer in set(gradients) & set(ours):
        assert_alike(ours[layer], gradients[layer])
    if layers.exported(model, names) is None:
        return
    medyate = md.MeDyate(None, "full", verbose=0)
    medyate.set_model(model)
    trainer = TFLMTrainer(md.export(model, tmp_path, medyate))
    before, step = trainer.weights(), keras_step(model)
    for number in range(STEPS):
        if number < 2:  # the first step is an epoch of its own: its weights are looked at
            medyate.begin_epoch(number)
        sample, label = x[number % SAMPLES], y[number % SAMPLES]
        wanted, got = step(sample[None], label[None]), trainer.step(sample, label)
        assert abs(got - wanted) <= 1e-4 * max(1, wanted), number  # the project's own limit
        if number == 0:
            medyate.end_epoch()
            trainer.end_epoch()
            assert_moved(before, trainer.weights(), gradients)


def assert_moved(before, after, gradients):
    """One step of SGD went down these gradients."""
    for layer in set(gradients) & set(before):
        moved = (before[layer][0] - after[layer][0]) / layers.RATE
        assert_alike(moved, gradients[layer], limit=1e-4)


def gradients_of(model, x, y):
    """Layer -> the gradient of its kernel, by tf.GradientTape; of kernels that are trained."""
    found = [
        layer
        for layer in model.layers
        if isinstance(getattr(layer, "kernel", None), keras.Variable) and layer.trainable
    ]
    kernels = [layer.kernel.value for layer in found]
    with tf.GradientTape() as tape:
        tape.watch(kernels)
        loss = LOSS(y, model(x, training=False))
    gradients = tape.gradient(loss, kernels)
    return {layer.name: np.asarray(g) for layer, g in zip(found, gradients, strict=True)}


def keras_step(model):
    """One step of Keras's; what is off on a device is off in it, too."""

    @tf.function
    def step(sample, label):
        with tf.GradientTape() as tape:
            value = LOSS(label, model(sample, training=False))
        gradients = tape.gradient(value, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value

    return lambda sample, label: float(step(sample, label))


def assert_alike(ours, wanted, limit=2e-5):
    # Float32 sums in another order; a weight's change is rounded to the weight's own bits.
    np.testing.assert_allclose(
        ours, wanted, rtol=2e-4, atol=limit * max(1e-3, np.abs(wanted).max())
    )
