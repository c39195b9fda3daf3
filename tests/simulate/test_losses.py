"""Loss ops in TFLM against TensorFlow's own in float64."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from simulate_graph import Graph, pack_any

from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.ops.schema import Command
from tf_medyate.simulate import Interpreter, InterpreterError

ROUNDING = 2.0**-24
SOFTMAX, SIGMOID = op_schema.SOFTMAX_CROSS_ENTROPY, op_schema.SIGMOID_CROSS_ENTROPY
SMOOTHING, DELTA = 0.2, 0.7


def softmax_cross_entropy(x, label):
    classes = x.shape[0]
    smooth = np.eye(classes)[label[0]] * (1 - SMOOTHING) + SMOOTHING / classes
    return tf.nn.softmax_cross_entropy_with_logits(smooth, x)


def sigmoid_cross_entropy(x, target):
    smooth = target * (1 - SMOOTHING) + SMOOTHING / 2
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(smooth, x))


def huber(x, target):
    size = tf.abs(x - target)
    return tf.reduce_mean(tf.where(size > DELTA, DELTA * (size - DELTA / 2), size**2 / 2))


REFERENCES = {
    SOFTMAX: softmax_cross_entropy,
    SIGMOID: sigmoid_cross_entropy,
    op_schema.MEAN_SQUARED_ERROR: lambda x, y: tf.reduce_mean((x - y) ** 2),
    op_schema.MEAN_ABSOLUTE_ERROR: lambda x, y: tf.reduce_mean(tf.abs(x - y)),
    op_schema.HUBER: huber,
}
every_loss = pytest.mark.parametrize("op", REFERENCES, ids=lambda op: op.key)


def run(op, x, label, now=Command.STEP, class_weights=None, **options):
    """(loss, gradient) of one call."""
    g = Graph()
    net, truth, command = (
        g.input(x.shape),
        g.input(label.shape, label.dtype),
        g.input([1], np.int32),
    )
    inputs = [net, truth, command]
    values = [x, label, np.array([now], np.int32)]
    if class_weights is not None:
        state = np.zeros(op_schema.STATE_WORDS, np.int32)
        inputs += [g.input(state.shape, state.dtype), g.constant(class_weights)]
        values.append(state)
    loss, gradient = g.tensor([1]), g.tensor(x.shape)
    g.op(op, pack_any(op, **options), inputs, [loss, gradient])
    return Interpreter(g.bytes([loss, gradient])).run(*values)


def problem(op, rng, n=None):
    """Outputs, and a label or targets."""
    n = n or int(rng.integers(1, 30))
    x = (rng.normal(size=n) * 10.0 ** rng.integers(-2, 2)).astype(np.float32)
    if op is SOFTMAX:
        return x, rng.integers(0, n, 1).astype(np.int32)
    y = rng.random(n) if op is SIGMOID else rng.normal(size=n) * 10.0 ** rng.integers(-2, 2)
    return x, y.astype(np.float32)


@every_loss
@hypothesis.given(st.integers(0, 2**32 - 1))
@hypothesis.settings(max_examples=15)
def test_loss_and_gradient_are_those_of_tensorflow(op, seed):
    rng = np.random.default_rng(seed)
    x, label = problem(op, rng)
    weight = np.float32(rng.uniform(0.1, 3))
    loss, gradient = run(op, x, label, weight=weight, smoothing=SMOOTHING, delta=DELTA)
    variable = tf.Variable(x, dtype=tf.float64)
    with tf.GradientTape() as tape:
        want = float(weight) * REFERENCES[op](
            variable, label if op is SOFTMAX else np.float64(label)
        )
    # Exp and Log are right within 2 units in the last place, a sum of n adds n roundings, and a
    # dozen come with the terms: each at the size of the numbers that meet, or of their square.
    size = 1 + np.abs(x).max() + np.abs(0 if op is SOFTMAX else label).max()
    limit = 3 * (x.size + 16) * ROUNDING * size
    assert abs(loss[0] - want.numpy()) <= limit * size
    np.testing.assert_allclose(gradient, tape.gradient(want, variable).numpy(), rtol=0, atol=limit)
    again, _ = run(op, x, label, Command.EVALUATE, weight=weight, smoothing=SMOOTHING, delta=DELTA)
    assert again[0] == loss[0]


@pytest.mark.parametrize(
    ("op", "n", "label", "weight"),
    [(SOFTMAX, 3, 1, 2.0), (SOFTMAX, 3, 2, 0.0), (SIGMOID, 1, 0.0, 5.0), (SIGMOID, 1, 0.75, 2.0)],
)
def test_a_class_weight_multiplies_loss_and_gradient(op, n, label, weight):
    x, _ = problem(op, np.random.default_rng(0), n)
    label = np.array([label], np.int32 if op is SOFTMAX else np.float32)
    plain = run(op, x, label)
    weights = np.array([5.0, 2.0, 0.0][: max(n, 2)], np.float32)
    for value, wanted in zip(run(op, x, label, class_weights=weights), plain, strict=True):
        np.testing.assert_array_equal(value, np.float32(weight) * wanted)


@pytest.mark.parametrize(
    ("op", "n", "weights", "message"),
    [
        (SOFTMAX, 3, [1, 2], "class_weights: expected 3, received 2"),
        (SOFTMAX, 2, [1, -1], "expected finite class weights of at least 0"),
        (SOFTMAX, 2, [1, np.nan], "expected finite class weights of at least 0"),
        (SIGMOID, 2, [1, 2], "expected no class weights, for labels are of no class"),
        (op_schema.HUBER, 1, [1], "expected no class weights"),
    ],
)
def test_wrong_class_weights_are_refused(op, n, weights, message):
    x, label = problem(op, np.random.default_rng(0), n)
    with pytest.raises(InterpreterError, match=message):
        run(op, x, label, class_weights=np.array(weights, np.float32))


@pytest.mark.parametrize("target", [-0.1, 1.1])
def test_targets_of_a_sigmoid_are_shares(target):
    with pytest.raises(InterpreterError, match="expected targets from 0 to 1"):
        run(SIGMOID, np.zeros(2, np.float32), np.array([0.5, target], np.float32))


def test_a_bad_label_or_loss_fails_before_any_update():
    for label in (-1, 3, 2**31 - 1):
        with pytest.raises(InterpreterError, match="label: expected 0 to 2"):
            run(SOFTMAX, np.zeros(3, np.float32), np.array([label], np.int32))
    for value in (np.nan, np.inf):
        with pytest.raises(InterpreterError, match="expected a finite loss"):
            run(SOFTMAX, np.array([0, value, 0], np.float32), np.array([0], np.int32))
