"""Lowering and reverse mode over random nets: one step against tf.GradientTape, and the arena."""

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import tensorflow as tf
from exported import RATE, attached, lower
from random_models import CLASSES, random_model

import tf_medyate as md
from tf_medyate.exporter.lower.calibration import measure_ranges
from tf_medyate.exporter.memory.arena import predict_arena
from tf_medyate.exporter.ops.int8_schema import INT8_BOTTLENECK, INT8_CONV_DEPTHWISE
from tf_medyate.exporter.ops.schema import CONV_DEPTHWISE, Command
from tf_medyate.exporter.write.tflite import to_tflite
from tf_medyate.simulate import Interpreter

L = keras.layers
seeds = st.integers(0, 2**32 - 1)


def run(interpreter, training, sample, label, command):
    return interpreter.run(
        training.sample.stored(sample[None]),
        np.array([label], np.int32),
        np.array([RATE], np.float32),
        np.array([command], np.int32),
    )


def slot_of(selection, places):
    words = selection[places.selection_offset :]
    count = words[0]
    return words[2 : 2 + (count + 1) // 2].view(np.uint16)[:count], words[1]


@hypothesis.given(seeds, st.sampled_from(["medyate", "full", "trady"]))
@hypothesis.settings(max_examples=11)
def test_one_step_of_a_random_net_is_the_slice_of_the_full_gradient(seed, strategy):
    base = random_model(seed)
    model, medyate, x, y = attached(base, seed, strategy)
    training, plan = lower(model, medyate)
    interpreter = Interpreter(to_tflite(training.graph, plan), 1 << 22)
    arena = predict_arena(training.graph, plan)
    measured = interpreter.arena.total_bytes
    assert measured <= arena.total_bytes <= 1.03 * measured

    reference = md.prepare(base)  # everything trainable, ordinary Keras
    with tf.GradientTape() as tape:
        outputs = reference(x[:1], training=False)
        from_logits = not training.ends_in
        loss = keras.losses.sparse_categorical_crossentropy(y[:1], outputs, from_logits)
    layers = [layer for layer in md.layers.masked_layers(reference)]
    kernels = tape.gradient(loss, [layer.kernel.value for layer in layers])
    gradients = dict(zip([s.name for s in md.layer_specs(reference)], kernels, strict=True))
    _, got, selection, pool, *_ = run(interpreter, training, x[0], y[0], Command.STEP)
    np.testing.assert_allclose(got[0], loss[0], rtol=1e-4, atol=1e-5)  # a softmax of float32 logits
    for places in training.layout.layers:
        channels, offset = slot_of(selection, places)
        n = len(channels) * places.spec.weights_per_channel
        dw = gradients[places.spec.name].numpy()
        *_, inputs, fan_out = dw.shape
        full = dw.reshape(-1, inputs, fan_out).transpose(1, 0, 2)
        before = training.graph.tensor(training.weights[places.spec.name]).data
        before = before.reshape(inputs, -1)[channels].reshape(-1).astype(np.float64)
        step = -RATE * full[channels].reshape(-1)
        # Float32 sums in another order, relative to the largest gradient of the layer, and the
        # rounding of a weight.
        slack = 2e-5 * max(1e-3, np.abs(full).max()) + 2e-4 * np.abs(step)
        error = np.abs(pool[offset : offset + n] - (before + step))
        assert (error <= slack + 2.0**-23 * np.abs(before)).all()


def streaming_net(rng):
    """A frozen convolution before a depthwise one, in random shapes, and something to train."""
    height, width = (int(side) for side in rng.integers(6, 13, 2))
    inputs = keras.Input((height, width, int(rng.integers(1, 4))))
    size, stride = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    x = L.Conv2D(int(rng.integers(2, 7)), size, strides=stride, padding="same")(inputs)
    x = L.ReLU(6.0)(x) if rng.random() < 0.6 else x
    before, dilation = (int(v) for v in rng.integers(0, 3, 2))
    padding = "same"
    if before:
        x, padding = L.ZeroPadding2D(before)(x), "valid"
    extent = 2 * (1 + dilation * (before == 0)) + 1
    options = {"strides": int(rng.integers(1, 4))}
    if before == 0 and dilation:
        options = {"dilation_rate": 2}
    if padding == "valid" and min(x.shape[1:3]) < extent:
        padding = "same"
    multiplier = int(rng.integers(1, 3))
    x = L.DepthwiseConv2D(3, padding=padding, depth_multiplier=multiplier, **options)(x)
    x = L.ReLU()(x) if rng.random() < 0.6 else x
    if rng.random() < 0.5:
        x = L.Conv2D(int(rng.integers(1, 4)), 1, activation=rng.choice(["relu", "linear"]))(x)
    x = L.Conv2D(5, 1, activation="relu", name="trained")(x)
    x = L.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, L.Dense(CLASSES, activation="softmax")(x))


@pytest.mark.parametrize("op", [CONV_DEPTHWISE, INT8_CONV_DEPTHWISE], ids=["float", "int8"])
@hypothesis.given(seed=seeds)
@hypothesis.settings(max_examples=8)
def test_a_convolution_inside_the_depthwise_one_changes_no_bit(op, seed):
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    model = md.prepare(streaming_net(rng))
    model.compile(keras.optimizers.SGD(RATE), "sparse_categorical_crossentropy")
    x = rng.normal(size=(4, *model.input_shape[1:])).astype(np.float32)
    medyate = md.MeDyate("2KiB", "d-full-random", layers=["trained"], verbose=0)
    medyate.set_model(model)
    ranges = measure_ranges(model, x) if op is INT8_CONV_DEPTHWISE else None
    with_op, plan = lower(model, medyate, ranges=ranges)
    kinds = {op.kind for op in with_op.graph.ops}
    names = {op.name, INT8_BOTTLENECK.name}
    hypothesis.assume(names & kinds)  # left out where it would not pay
    without, roomy = lower(model, medyate, ranges=ranges, stream=False)
    assert not names & {op.kind for op in without.graph.ops}
    assert plan.arena_bytes <= roomy.arena_bytes
    outputs = [
        run(Interpreter(to_tflite(t.graph, p), 1 << 22), t, sample, 0, Command.PREDICT)[0]
        for t, p in ((with_op, plan), (without, roomy))
        for sample in x
    ]
    np.testing.assert_array_equal(outputs[:4], outputs[4:])
    powers = np.exp(np.array(outputs[:4]).reshape(4, -1))
    wanted = model(x).numpy()
    # In 8 bits: four tensors on the way, each within half a step of 255.
    atol = 0.1 if ranges else 1e-5
    np.testing.assert_allclose(powers / powers.sum(-1, keepdims=True), wanted, atol=atol)
