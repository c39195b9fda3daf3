"""frozen="int8" after the first trained layer: weights in 8 bits, and otherwise the float step."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from cases import Case
from cpp_training import assert_same_bits_everywhere

import tf_medyate as md
from tf_medyate.exporter.lower.int8_weights import int8_kernel
from tf_medyate.exporter.memory.planner import plan_memory
from tf_medyate.kernel_order import as_keras, channel_first
from tf_medyate.simulate import TFLMTrainer
from tf_medyate.spec import LayerDraw

pytestmark = pytest.mark.usefixtures("quick_export")
L = keras.layers
FROZEN = ("expand", "depthwise", "project", "widen", "shrink", "grouped", "hidden")


@pytest.fixture
def case():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((12, 12, 3))
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="stem")(inputs)
    y = L.Conv2D(40, 1, activation="relu6", name="expand")(x)
    y = L.DepthwiseConv2D(3, padding="same", activation="leaky_relu", name="depthwise")(y)
    x = L.Add()([x, L.Conv2D(8, 1, use_bias=False, name="project")(y)])
    x = L.Conv2D(24, 1, activation="relu", name="widen")(x)
    x = L.DepthwiseConv2D(3, strides=2, padding="same", activation="relu6", name="shrink")(x)
    x = L.Conv2D(6, 3, groups=2, activation="relu", name="grouped")(x)
    x = L.Dense(10, activation="relu", name="hidden")(L.Flatten()(x))
    model = md.prepare(keras.Model(inputs, L.Dense(3, activation="softmax", name="head")(x)))
    model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    plan = md.UpdatePlan(0, 0, md.MemoryBudget(1 << 20), 172, 1728, (LayerDraw("stem", (0, 2)),))
    x = np.random.default_rng(0).normal(size=(12, 12, 12, 3)).astype(np.float32)
    return Case(model, plan, x, np.arange(12) % 3)


def stand_in(model):
    """Gives every frozen layer the weights that it will have in 8 bits."""
    for name in FROZEN:
        layer = model.get_layer(name)
        kernel = layer.kernel.numpy()
        first = channel_first(kernel)
        depthwise = isinstance(layer, L.DepthwiseConv2D)
        stored, scales = int8_kernel(first, depthwise)
        scales = scales.reshape(first.shape[0], 1, -1) if depthwise else scales
        real = as_keras(scales * stored.astype(np.float32), kernel.shape)
        assert np.abs(real - kernel).max() <= scales.max() / 2
        layer.kernel.assign(real)


def test_a_step_is_the_float_one_with_the_weights_that_8_bits_stand_for(case, tmp_path):
    model, data = case.model, {"representative_data": case.x}
    kernels = sum(math.prod(model.get_layer(name).kernel.shape) for name in FROZEN)
    ours = TFLMTrainer(md.export(model, tmp_path / "int8", case.medyate, frozen="int8", **data))
    stand_in(model)
    plain = TFLMTrainer(md.export(model, tmp_path / "float", case.medyate, **data))
    losses = [[t.step(a, b) for a, b in zip(case.x, case.y, strict=True)] for t in (ours, plain)]
    np.testing.assert_array_equal(*losses)
    learned = ours.weights()
    assert list(learned) == ["stem", "head"], "the others lie in 8 bits"
    for name, weights in learned.items():
        for got, wanted in zip(weights, plain.weights()[name], strict=True):
            np.testing.assert_array_equal(got, wanted)
    before = model.get_layer("expand").kernel.numpy()
    ours.copy_to(model)
    np.testing.assert_array_equal(model.get_layer("stem").kernel.numpy(), learned["stem"][0])
    np.testing.assert_array_equal(model.get_layer("expand").kernel.numpy(), before)
    sizes = [t.manifest.files["train.tflite"].size_bytes for t in (ours, plain)]
    assert sizes[1] - sizes[0] > 1.5 * kernels, "three bytes a weight, less scales and records"


def test_the_gradient_is_that_of_keras_with_those_weights(case, tmp_path):
    base, data = md.strip(case.model), {"representative_data": case.x}
    ours = TFLMTrainer(md.export(case.model, tmp_path, case.medyate, frozen="int8", **data), 1.0)
    stand_in(base)
    kernel = base.get_layer("stem").kernel
    with tf.GradientTape() as tape:
        loss = keras.losses.sparse_categorical_crossentropy(case.y[:1], base(case.x[:1]))
    wanted = tape.gradient(loss, kernel.value).numpy()
    assert ours.step(case.x[0], case.y[0]) == pytest.approx(float(loss[0]), rel=1e-4)
    ours.commit()
    change = kernel.numpy() - ours.weights()["stem"][0]
    drawn = [0, 2]
    np.testing.assert_allclose(change[..., drawn, :], wanted[..., drawn, :], rtol=1e-4, atol=1e-6)
    assert not change[..., 1, :].any()


def test_tflm_the_static_runner_and_a_cortex_m4f_give_the_same_bits(case, tmp_path):
    exported = assert_same_bits_everywhere(case, tmp_path, "int8")
    kinds = {op.kind for op in exported.training.graph.ops}
    training = exported.training
    forward = {("depthwise", "expand"), ("shrink", "widen")}
    backward = {
        ("expand/gradient", "depthwise/gradient_2"),
        ("widen/gradient", "shrink/gradient_4"),
    }
    assert forward | backward <= set(plan_memory(training.graph, training.in_place).in_place)
    for layer in ("CONV_2D", "DEPTHWISE_CONV_2D", "DENSE"):
        assert {f"MEDYATE_INT8_WEIGHTS_{layer}{end}" for end in ("", "_INPUT_GRADIENT")} <= kinds
