"""The ops without weights in the official TFLM interpreter, against tf.GradientTape in float64.

What only moves or selects numbers must be exact, and so must a single correctly rounded addition.
Else the tolerance counts roundings: a sum of n numbers is off by at most n * 2^-24 times the sum of
their absolute values, and each further operation adds one. The sum of absolute values comes from
the same reference, run on absolute values.
"""

import dataclasses

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
from op_calls import ROUNDING, SENTINEL, call, command, gradient, normal, shape_and_dtype
from simulate_graph import Graph, pack_any

from tf_medyate.exporter.ops import elementwise_schema, frozen_schema
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.ops.schema import Activation, Command, StateWord
from tf_medyate.simulate import Interpreter, InterpreterError

HARD_SWISH = elementwise_schema.HARD_SWISH
HARD_SWISH_GRADIENT = elementwise_schema.GRADIENTS[HARD_SWISH.name]
TRAINING = (Command.STEP, Command.ACCUMULATE)
seeds = st.integers(0, 2**32 - 1)


def random_shape(rng):
    return [int(n) for n in rng.integers(1, 6, size=rng.integers(1, 5))]


def assert_within(actual, expected, bound):
    error = np.abs(actual - expected.reshape(actual.shape))
    assert (error <= bound.reshape(actual.shape)).all(), f"off by up to {error.max()}"


def bits_of(values):
    return np.packbits(values.ravel(), bitorder="little")


# Activations


ACTIVATIONS = {
    Activation.RELU: lambda x, slope: tf.nn.relu(x),
    Activation.RELU6: lambda x, slope: tf.nn.relu6(x),
    Activation.LEAKY_RELU: tf.nn.leaky_relu,
}


@hypothesis.given(seeds, st.sampled_from(list(ACTIVATIONS)), st.booleans(), st.booleans())
@hypothesis.settings(max_examples=60)
def test_activation_and_its_gradient(seed, kind, in_place, keeps_gates):
    rng = np.random.default_rng(seed)
    x, leaky = 4 * normal(rng, random_shape(rng)), kind == Activation.LEAKY_RELU
    kinks = rng.random(x.shape) < 0.2
    x[kinks] = rng.choice([0.0, -0.0, 6.0], size=int(kinks.sum()))
    dy = normal(rng, x.shape)
    slope = np.float32(rng.uniform(-1, 1)) if leaky else np.float32(0)
    options = {"activation": kind, "negative_slope": slope}
    flat = [x.size]  # a reshape is the same memory
    gates_of = ([(x.size + 7) // 8], np.uint8)
    y, *gates = call(
        op_schema.ACTIVATION,
        pack_any(op_schema.ACTIVATION, **options, keeps_gates=int(keeps_gates)),
        [x],
        [flat, gates_of][: 1 + keeps_gates],
        in_place=[(0, 0)] * in_place,
    )
    want, want_dx = gradient(lambda v: ACTIVATIONS[kind](v, float(slope)), x, dy)
    # Exact but for the product with a slope.
    assert_within(y, want, np.where(leaky & (x < 0), ROUNDING * np.abs(want), 0))
    if keeps_gates:
        opened = (x > 0) & ((x < 6) | (kind != Activation.RELU6))
        np.testing.assert_array_equal(gates[0], bits_of(opened))
        arrays = [gates[0], dy, command(Command.STEP)]
        op = op_schema.GATE_GRADIENT
        (dx,) = call(op, pack_any(op, **options, keeps_gates=1), arrays, [flat])
        assert_within(dx, want_dx, np.where(leaky & (x <= 0), ROUNDING * np.abs(want_dx), 0))


@hypothesis.given(seeds, st.booleans(), st.sampled_from(TRAINING))
@hypothesis.settings(max_examples=40)
def test_hard_swish_and_its_gradient(seed, in_place, now):
    rng = np.random.default_rng(seed)
    x = 3 * normal(rng, random_shape(rng))
    x[rng.random(x.shape) < 0.2] = rng.choice([-3.0, 0.0, 3.0])
    dy = normal(rng, x.shape)
    want, want_dx = gradient(lambda v: v * tf.nn.relu6(v + 3) / 6, x, dy)
    op, options = HARD_SWISH, pack_any(HARD_SWISH)
    (y,) = call(op, options, [x], [[x.size]], in_place=[(0, 0)] * in_place)
    # x + 3, the constant 1/6 and two products round; one more for terms of second order.
    assert_within(y, want, 5 * ROUNDING * np.abs(x) * (np.abs(x) + 3) / 6)
    op, options = HARD_SWISH_GRADIENT, pack_any(HARD_SWISH_GRADIENT)
    inputs = [x, dy, command(now)]
    (dx,) = call(op, options, inputs, [[x.size]], in_place=[(0, 1)] * in_place)
    # 2 x + 3, the constant and two products.
    assert_within(dx, want_dx, 5 * ROUNDING * np.abs(dy) * (2 * np.abs(x) + 3) / 6)


# Poolings


@dataclasses.dataclass(frozen=True)
class Side:
    """Height or width of a pooling."""

    size: int
    out: int
    window: int
    stride: int
    pad: int

    @property
    def pad_after(self):
        return max(0, (self.out - 1) * self.stride + self.window - self.size - self.pad)


def random_side(rng, padding):
    size, stride = int(rng.integers(1, 10)), int(rng.integers(1, 5))
    window = int(rng.integers(1, size + 1 if padding == "VALID" else 6))
    if padding == "VALID":
        return Side(size, (size - window) // stride + 1, window, stride, 0)
    if padding == "SAME":
        out = -(-size // stride)
        total = max(0, (out - 1) * stride + window - size)
        return Side(size, out, window, stride, total // 2)
    pad = int(rng.integers(0, window))
    return Side(size, int(rng.integers(1, (size - 1 + pad) // stride + 2)), window, stride, pad)


@dataclasses.dataclass(frozen=True)
class Pool:
    h: Side
    w: Side
    channels: int
    padding: str  # SAME, VALID, or ANY: what the options allow beyond

    @property
    def x_shape(self):
        return (1, self.h.size, self.w.size, self.channels)

    @property
    def y_shape(self):
        return (1, self.h.out, self.w.out, self.channels)

    @property
    def choice_bytes(self):
        width = (self.h.window * self.w.window - 1).bit_length()
        return max(1, (int(np.prod(self.y_shape)) * width + 7) // 8)

    def options(self, **changes):
        values = {
            "channels": self.channels,
            "input_size": (self.h.size, self.w.size),
            "output_size": (self.h.out, self.w.out),
            "window": (self.h.window, self.w.window),
            "stride": (self.h.stride, self.w.stride),
            "padding": (self.h.pad, self.w.pad),
        }
        return op_schema.POOL_OPTIONS.pack(**(values | changes))

    def windows(self, pool, x, fill):
        """`pool` over the windows, by TensorFlow's own padding where it has a name for it."""
        window, stride = [self.h.window, self.w.window], [self.h.stride, self.w.stride]
        if self.padding != "ANY":
            return pool(x, window, stride, self.padding)
        pads = [[0, 0], *([s.pad, s.pad_after] for s in (self.h, self.w)), [0, 0]]
        y = pool(tf.pad(x, pads, constant_values=fill), window, stride, "VALID")
        return y[:, : self.h.out, : self.w.out]

    def maximum(self, x):
        return self.windows(tf.nn.max_pool2d, x, tf.constant(-np.inf, tf.float64))

    def mean(self, x):
        positions = self.windows(tf.nn.avg_pool2d, tf.ones_like(x), 0)
        return self.windows(tf.nn.avg_pool2d, x, 0) / positions


def random_pool(rng, padding):
    sides = random_side(rng, padding), random_side(rng, padding)
    return Pool(*sides, channels=int(rng.integers(1, 6)), padding=padding)


paddings = st.sampled_from(["SAME", "VALID", "ANY"])


@hypothesis.given(seeds, paddings, st.sampled_from(TRAINING))
@hypothesis.settings(max_examples=60)
def test_max_pool_and_its_gradient(seed, padding, now):
    rng = np.random.default_rng(seed)
    pool = random_pool(rng, padding)
    x, dy = normal(rng, pool.x_shape), normal(rng, pool.y_shape)
    kept = ([pool.choice_bytes], np.uint8)
    op = op_schema.MAX_POOL_2D
    y, choices = call(op, pool.options(keeps_choices=1), [x], [pool.y_shape, kept])
    (alone,) = call(op, pool.options(), [x], [pool.y_shape])
    want, want_dx = gradient(pool.maximum, x, dy)
    np.testing.assert_array_equal(y, want)  # chosen, not computed
    np.testing.assert_array_equal(alone, y)
    inputs = [choices, dy.reshape(-1), command(now)]
    op = op_schema.MAX_POOL_2D_GRADIENT
    (dx,) = call(op, pool.options(keeps_choices=1), inputs, [[x.size]])
    # As many terms as windows may hold one position.
    _, size = gradient(pool.maximum, x, np.abs(dy))
    assert_within(dx, want_dx, pool.h.window * pool.w.window * ROUNDING * size)


@hypothesis.given(seeds, paddings, st.sampled_from(TRAINING))
@hypothesis.settings(max_examples=60)
def test_average_pool_and_its_gradient(seed, padding, now):
    rng = np.random.default_rng(seed)
    pool = random_pool(rng, padding)
    x, dy = normal(rng, pool.x_shape), normal(rng, pool.y_shape)
    (y,) = call(op_schema.AVERAGE_POOL_2D, pool.options(), [x], [pool.y_shape])
    inputs = [dy, command(now)]
    (dx,) = call(op_schema.AVERAGE_POOL_2D_GRADIENT, pool.options(), inputs, [[x.size]])
    want, want_dx = gradient(pool.mean, x, dy)
    size, size_dx = gradient(pool.mean, np.abs(x), np.abs(dy))
    # A window's terms, or as many as windows may hold one position; then a division.
    bound = (pool.h.window * pool.w.window + 2) * ROUNDING
    assert_within(y, want, bound * size)
    assert_within(dx, want_dx, bound * size_dx)


def test_global_average_pool_is_a_window_of_the_whole_map():
    side = Side(size=7, out=1, window=7, stride=1, pad=0)
    pool = Pool(side, side, channels=3, padding="VALID")
    x = np.arange(147, dtype=np.float32).reshape(pool.x_shape)
    (y,) = call(op_schema.AVERAGE_POOL_2D, pool.options(), [x], [[1, 3]])
    np.testing.assert_array_equal(y[0], x.mean((0, 1, 2)))  # sums of whole numbers are exact


def test_a_choice_outside_its_window_is_refused_at_run_time():
    side = Side(size=4, out=2, window=3, stride=2, pad=1)
    pool = Pool(side, side, channels=1, padding="ANY")
    dy, shapes = np.ones(pool.y_shape, np.float32), [pool.x_shape]
    op, options = op_schema.MAX_POOL_2D_GRADIENT, pool.options(keeps_choices=1)
    for wrong in (0, 9, 15):  # the first lies in the padding, the others beyond the window
        entries = np.array([wrong, 4, 4, 4])
        choices = np.array([entries[0] | entries[1] << 4, entries[2] | entries[3] << 4], np.uint8)
        with pytest.raises(InterpreterError, match="expected choices inside their windows"):
            call(op, options, [choices, dy, command(Command.STEP)], shapes)
        (unused,) = call(op, options, [choices, dy, command(Command.PREDICT)], shapes)
        np.testing.assert_array_equal(unused, SENTINEL)


# What adds or moves elements


@hypothesis.given(seeds, st.sampled_from([(), ((0, 0),), ((0, 1),)]), st.booleans())
@hypothesis.settings(max_examples=40)
def test_add_of_activations_and_of_gradients(seed, in_place, of_gradients):
    rng = np.random.default_rng(seed)
    a = normal(rng, random_shape(rng))
    b = normal(rng, [a.size])
    inputs = [a, b, command(rng.choice(TRAINING))][: 2 + of_gradients]
    (total,) = call(op_schema.ADD, pack_any(op_schema.ADD), inputs, [a.shape], in_place)
    np.testing.assert_array_equal(total.ravel(), a.ravel() + b)


@hypothesis.given(seeds, st.sampled_from(TRAINING))
@hypothesis.settings(max_examples=60)
def test_concatenation_and_its_gradient(seed, now):
    rng = np.random.default_rng(seed)
    shape = random_shape(rng)
    axis, parts = int(rng.integers(len(shape))), int(rng.integers(2, 5))
    sides = rng.integers(1, 5, size=parts)
    arrays = [normal(rng, [*shape[:axis], side, *shape[axis + 1 :]]) for side in sides]
    blocks = int(np.prod(shape[:axis]))
    sizes = [x.size // blocks for x in arrays]
    common = {"blocks": blocks, "total": sum(sizes)}
    want = tf.concat(arrays, axis).numpy()
    op = op_schema.CONCATENATION
    options = pack_any(op, **common, block=sizes[0], offset=0)
    (y,) = call(op, options, arrays, [want.shape])
    np.testing.assert_array_equal(y, want)

    dy = normal(rng, want.shape)
    with tf.GradientTape() as tape:
        variables = [tf.Variable(x) for x in arrays]
        joined = tf.concat(variables, axis)
    want_parts = tape.gradient(joined, variables, dy)
    op = op_schema.CONCATENATION_GRADIENT
    for index, want_part in enumerate(want_parts):
        options = pack_any(op, **common, block=sizes[index], offset=sum(sizes[:index]))
        (part,) = call(op, options, [dy, command(now)], [want_part.shape])
        np.testing.assert_array_equal(part, want_part)


@hypothesis.given(seeds, st.sampled_from(TRAINING))
@hypothesis.settings(max_examples=40)
def test_pad_and_its_gradient(seed, now):
    rng = np.random.default_rng(seed)
    height, width, channels = (int(n) for n in rng.integers(1, 6, size=3))
    before, after = ([int(n) for n in rng.integers(0, 4, size=2)] for _ in range(2))
    x = normal(rng, (1, height, width, channels))
    options = pack_any(
        op_schema.PAD, channels=channels, input_size=(height, width), before=before, after=after
    )
    pads = [[0, 0], [before[0], after[0]], [before[1], after[1]], [0, 0]]
    shape = tf.pad(x, pads).shape
    dy = normal(rng, shape)
    want, want_dx = gradient(lambda v: tf.pad(v, pads), x, dy)
    (y,) = call(op_schema.PAD, options, [x], [shape])
    (dx,) = call(op_schema.PAD_GRADIENT, options, [dy, command(now)], [x.shape])
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(dx, want_dx)


@hypothesis.given(seeds, st.sampled_from(TRAINING))
@hypothesis.settings(max_examples=40)
def test_strided_copy_and_its_gradient(seed, now):
    rng = np.random.default_rng(seed)
    sides, strides = rng.integers(1, 4, 5), rng.integers(0, 7, 5)
    offset = int(rng.integers(0, 4))
    places = offset + sum(np.indices(sides) * strides[:, None, None, None, None, None])
    x = normal(rng, (int(places.max()) + 1 + int(rng.integers(0, 3)),))
    dy = normal(rng, sides)
    options = pack_any(
        op_schema.STRIDED_COPY,
        sides=tuple(sides),
        strides=tuple(strides),
        offset=offset,
        input_elements=x.size,
    )
    want, want_dx = gradient(lambda v: tf.gather(v, places), x, dy)
    (y,) = call(op_schema.STRIDED_COPY, options, [x], [sides])
    (dx,) = call(op_schema.STRIDED_COPY_GRADIENT, options, [dy, command(now)], [x.shape])
    np.testing.assert_array_equal(y, want)
    size = gradient(lambda v: tf.gather(v, places), x, np.abs(dy))[1]
    assert_within(dx, want_dx, dy.size * ROUNDING * size)  # as many terms as there are copies


def normalized(x, gamma, beta, centered, epsilon):
    """Over positions and width of [rows, positions, groups, width]."""
    mean = tf.reduce_mean(x, (1, 3), keepdims=True) if centered else tf.zeros((), x.dtype)
    variance = tf.reduce_mean((x - mean) ** 2, (1, 3), keepdims=True)
    inverse = tf.math.rsqrt(variance + epsilon)
    gamma, beta = (tf.constant(value, x.dtype) for value in (gamma, beta))
    return (x - mean) * inverse * gamma + beta, inverse, (x - mean) * inverse


@hypothesis.given(seeds, st.booleans(), st.booleans(), st.sampled_from(TRAINING))
@hypothesis.settings(max_examples=40)
def test_normalize_and_its_gradient(seed, centered, in_place, now):
    rng = np.random.default_rng(seed)
    rows, positions, groups, width = (int(n) for n in rng.integers(1, 6, 4))
    shape, channels = (rows, positions, groups, width), groups * width
    x, dy = normal(rng, shape) + np.float32(0.5), normal(rng, shape)
    gamma, beta = normal(rng, (groups, width)), normal(rng, (groups, width))
    has_gamma, has_beta = rng.random(2) < 0.7
    epsilon = np.float32(0.01)
    options = pack_any(
        frozen_schema.NORMALIZE,
        rows=rows,
        positions=positions,
        groups=groups,
        width=width,
        centered=int(centered),
        epsilon=epsilon,
    )
    scale, shift = gamma * has_gamma + (not has_gamma), beta * has_beta

    def reference(v):
        return normalized(v, scale, shift, centered, float(epsilon))

    want, want_dx = gradient(lambda v: reference(v)[0], x, dy)
    _, inverse, h = (t.numpy() for t in reference(tf.constant(x, tf.float64)))
    inputs = [x, *([gamma.reshape(channels)] if has_gamma else []), *([beta] if has_beta else [])]
    given = [0, 1 if has_gamma else -1, (1 + has_gamma) if has_beta else -1]
    op = frozen_schema.NORMALIZE
    (y,) = call(op, options, inputs, [[x.size]], [(0, 0)] * in_place, given)
    # Sums of n numbers, the root of one, and what a small variance makes of their roundings.
    far = (1 + np.abs(h).max()) ** 3
    room = (positions * width + 8) * ROUNDING * inverse.max() * (1 + np.abs(x).max())
    bound = np.full(x.shape, 2 * far * room * np.abs(scale).max() + ROUNDING * np.abs(want).max())
    assert_within(y, want, bound)
    op = frozen_schema.NORMALIZE_GRADIENT
    inputs = [x, *([gamma] if has_gamma else []), dy, command(now)]
    given = [0, 1, 2, 3] if has_gamma else [0, -1, 1, 2]
    place = [(0, given[2])] * in_place
    (dx,) = call(op, options, inputs, [[x.size]], place, given)
    bound = np.full(x.shape, 4 * far * room * inverse.max() * np.abs(scale).max())
    assert_within(dx, want_dx, bound * np.abs(dy).max())


# Losses


LOSSES = {
    op_schema.SOFTMAX_CROSS_ENTROPY: np.array([1], np.int32),
    op_schema.SIGMOID_CROSS_ENTROPY: np.zeros(3, np.float32),
    op_schema.MEAN_SQUARED_ERROR: np.zeros(3, np.float32),
    op_schema.MEAN_ABSOLUTE_ERROR: np.zeros(3, np.float32),
    op_schema.HUBER: np.zeros(3, np.float32),
}
losses = pytest.mark.parametrize("op", LOSSES, ids=lambda op: op.key)


def loss_interpreter(op, words):
    g = Graph()
    net, truth = g.input([1, 3]), g.input(LOSSES[op].shape, LOSSES[op].dtype)
    now, selection = g.input([1], np.int32), g.input([words], np.int32)
    loss, grad = g.tensor([1]), g.tensor([3])
    g.op(op, pack_any(op), [net, truth, now, selection], [loss, grad])
    return Interpreter(g.bytes([loss, selection]))


@losses
def test_a_loss_counts_samples_and_sets_the_scale(op):
    words = op_schema.STATE_WORDS + 2
    interpreter = loss_interpreter(op, words)
    net, state = np.array([[1, 2, 3]], np.float32), np.arange(10, 10 + words, dtype=np.int32)
    state[StateWord.ACCUMULATED] = 0
    commands = ["ACCUMULATE", "ACCUMULATE", "PREDICT", "EVALUATE", "APPLY"]
    for samples, now in zip([1, 2, 2, 2, 2], commands, strict=True):
        before = state
        loss, state = interpreter.run(net, LOSSES[op], command(Command[now]), before)
        assert (loss[0] > 0) == (now in ("ACCUMULATE", "EVALUATE"))
        assert state[StateWord.ACCUMULATED] == samples
        assert state[StateWord.STEPS] == before[StateWord.STEPS] + (now == "ACCUMULATE")
        others = ~np.isin(np.arange(words), [StateWord.ACCUMULATED, StateWord.STEPS])
        np.testing.assert_array_equal(state[others], before[others])
    _, after = interpreter.run(net, LOSSES[op], command(Command.STEP), state)
    assert after[StateWord.ACCUMULATED] == 0
    # One correctly rounded division.
    assert after[StateWord.GRADIENT_SCALE].view(np.float32) == np.float32(1) / np.float32(3)
    assert after[StateWord.STEPS] == state[StateWord.STEPS] + 1
    kept = [StateWord.INITIALIZED, StateWord.DRAW, *range(op_schema.STATE_WORDS, words)]
    np.testing.assert_array_equal(after[kept], state[kept])


@losses
def test_steps_are_not_counted_where_importance_is_a_running_mean(op):
    state = np.zeros(op_schema.STATE_WORDS, np.int32)
    state[StateWord.STEPS] = op_schema.NO_STEPS
    net = np.array([[1, 2, 3]], np.float32)
    interpreter = loss_interpreter(op, op_schema.STATE_WORDS)
    _, after = interpreter.run(net, LOSSES[op], command(Command.STEP), state)
    assert after[StateWord.STEPS] == op_schema.NO_STEPS


@losses
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_counts_no_sample(op, value):
    interpreter = loss_interpreter(op, op_schema.STATE_WORDS)
    state = np.zeros(op_schema.STATE_WORDS, np.int32)
    net = np.array([[0, value, value]], np.float32)
    with pytest.raises(InterpreterError, match="expected a finite loss; nothing was updated"):
        interpreter.run(net, LOSSES[op], command(Command.STEP), state)
    good = np.zeros_like(net)
    _, after = interpreter.run(good, LOSSES[op], command(Command.STEP), state)
    assert after[StateWord.GRADIENT_SCALE].view(np.float32) == 1


# What is wrong is reported, never run; and what has nothing to do writes nothing.


@dataclasses.dataclass(frozen=True)
class Good:
    """A call that is accepted: options by name, shapes of inputs and outputs."""

    op: op_schema.OpSpec
    options: dict
    inputs: list
    outputs: list


U8, I32 = np.uint8, np.int32
NOW = ([1], I32)
STATE = ([op_schema.STATE_WORDS], I32)
POOLED = {
    "channels": 2,
    "input_size": (6, 5),
    "output_size": (3, 2),
    "window": (3, 2),
    "stride": (2, 2),
    "padding": (1, 0),
}
CHOSEN = POOLED | {"keeps_choices": 1}
PART = {"blocks": 2, "block": 3, "total": 7}
PADDED = {"channels": 2, "input_size": (3, 4), "before": (1, 0), "after": (0, 2)}
COPIED = {"sides": (1, 2, 3, 1, 2), "strides": (0, 0, 2, 0, 1), "offset": 1, "input_elements": 8}
NORMED = {"rows": 2, "positions": 1, "groups": 2, "width": 3, "epsilon": 0.1}
GOOD = {
    good.op: good
    for good in (
        Good(op_schema.ACTIVATION, {"activation": 1, "keeps_gates": 1}, [[9]], [[9], ([2], U8)]),
        Good(HARD_SWISH, {}, [[9]], [[9]]),
        Good(HARD_SWISH_GRADIENT, {}, [[9], [9], NOW], [[9]]),
        Good(op_schema.MAX_POOL_2D, CHOSEN, [[60]], [[12], ([5], U8)]),
        Good(op_schema.MAX_POOL_2D_GRADIENT, CHOSEN, [([5], U8), [12], NOW], [[60]]),
        Good(op_schema.AVERAGE_POOL_2D, POOLED, [[60]], [[12]]),
        Good(op_schema.AVERAGE_POOL_2D_GRADIENT, POOLED, [[12], NOW], [[60]]),
        Good(op_schema.ADD, {}, [[9], [9], NOW], [[9]]),
        Good(op_schema.CONCATENATION, PART | {"offset": 0}, [[6], [2, 4]], [[14]]),
        Good(op_schema.CONCATENATION_GRADIENT, PART | {"offset": 4}, [[14], NOW], [[6]]),
        Good(op_schema.PAD, PADDED, [[24]], [[48]]),
        Good(op_schema.PAD_GRADIENT, PADDED, [[48], NOW], [[24]]),
        Good(frozen_schema.NORMALIZE, NORMED, [[12], [6], [6]], [[12]]),
        Good(frozen_schema.NORMALIZE_GRADIENT, NORMED, [[12], [6], [12], NOW], [[12]]),
        Good(op_schema.STRIDED_COPY, COPIED, [[8]], [[12]]),
        Good(op_schema.STRIDED_COPY_GRADIENT, COPIED, [[12], NOW], [[8]]),
        Good(op_schema.SOFTMAX_CROSS_ENTROPY, {}, [[4], NOW, NOW, STATE], [[1], [4]]),
        *(
            Good(op, {}, [[4], [2, 2], NOW, STATE], [[1], [4]])
            for op in LOSSES
            if op is not op_schema.SOFTMAX_CROSS_ENTROPY
        ),
    )
}
ops = pytest.mark.parametrize("op", GOOD, ids=lambda op: op.key)


def call_good(op, now=Command.STEP, inputs=None, outputs=None, **changes):
    good = GOOD[op]
    arrays = [np.zeros(*shape_and_dtype(item)) for item in inputs or good.inputs]
    index = op.inputs.index("command") if "command" in op.inputs else None
    index = op.inputs.index("[command]") if "[command]" in op.inputs else index
    if index is not None and index < len(arrays):
        arrays[index][...] = now
    if op == op_schema.MAX_POOL_2D_GRADIENT:
        # Tap 2, the first of the window's second row, for every output.
        tap_2 = [0b10010010, 0b00100100, 0b01001001, 0b10010010, 0b00100100]
        arrays[0].ravel()[: len(tap_2)] = np.array(tap_2[: arrays[0].size]).astype(arrays[0].dtype)
    options = pack_any(op, **(good.options | changes))
    return call(op, options, arrays, outputs or good.outputs)


GRADIENTS = [op for op in GOOD if "GRADIENT" in op.name or op == op_schema.ADD]


@pytest.mark.parametrize("op", GRADIENTS, ids=lambda op: op.key)
def test_a_gradient_op_returns_early_unless_training(op):
    for now in Command:
        (output,) = call_good(op, now)
        assert (output == SENTINEL).all() != (now in TRAINING)


@losses
def test_a_loss_is_zero_without_a_label(op):
    for now in set(Command) - {*TRAINING, Command.EVALUATE}:
        loss, grad = call_good(op, now)
        assert loss[0] == 0
        np.testing.assert_array_equal(grad, SENTINEL)


@ops
def test_a_wrong_type_size_or_number_of_tensors_is_refused(op):
    good = GOOD[op]
    call_good(op)
    for side in ("inputs", "outputs"):
        items = getattr(good, side)
        for index, item in enumerate(items):
            shape, dtype = shape_and_dtype(item)
            wrong = [([*shape[:-1], shape[-1] + 1], dtype), (shape, np.int8)]
            if (op, side, index) == (op_schema.CONCATENATION, "inputs", 1):
                wrong += [([8, 2], dtype), ([2, 3], dtype)]
            if side == "inputs" and op in LOSSES and index == 3:
                wrong = [([shape[0] - 1], dtype), (shape, np.int8)]  # it may be longer
            for other in wrong:
                changed = [*items[:index], other, *items[index + 1 :]]
                with pytest.raises(InterpreterError, match=f"{op.name}: .*: expected"):
                    call_good(op, **{side: changed})
        with pytest.raises(InterpreterError, match=f"{op.name}: "):
            call_good(op, **{side: [*items, [3, 3]]})


WRONG_POOL = [
    ({"channels": 0}, "channels: expected 1 to 65535, received 0"),
    ({"channels": 3}, ": expected"),
    ({"input_size": (6, -5)}, "input_size: expected 1 to 65535, received -5"),
    ({"output_size": (5, 2)}, "begin of the last window: expected -65535 to 5, received 7"),
    ({"output_size": (3, 65535), "stride": (2, 65535)}, "begin of the last window: expected"),
    ({"window": (0, 2)}, "window: expected 1 to 65535, received 0"),
    ({"stride": (2, 65536)}, "stride: expected 1 to 65535, received 65536"),
    ({"padding": (3, 0)}, "padding: expected 0 to 2, received 3"),
    ({"padding": (1, -1)}, "padding: expected 0 to 1, received -1"),
    ({"input_size": (65535, 65535)}, "elements of the input: expected 1 to 2147483647"),
    ({"keeps_choices": 2}, "keeps_choices: expected"),
]
WRONG_PART = [
    ({"blocks": 0}, "blocks: expected 1 to 2147483647, received 0"),
    ({"blocks": 2**31 - 1}, "elements of the output: expected 1 to 2147483647"),
    ({"block": 8}, "block: expected 1 to 7, received 8"),
    ({"block": 0}, "block: expected 1 to 7, received 0"),
    ({"total": -7}, "total: expected 1 to 2147483647, received -7"),
    ({"offset": 5}, "offset: expected 0 to 4, received 5"),
    ({"offset": -1}, "offset: expected 0 to 4, received -1"),
]
WRONG_PAD = [
    ({"channels": 65536}, "channels: expected 1 to 65535, received 65536"),
    ({"input_size": (0, 4)}, "input_size: expected 1 to 65535, received 0"),
    ({"before": (-1, 0)}, "before: expected 0 to 65535, received -1"),
    ({"after": (0, 65536)}, "after: expected 0 to 65535, received 65536"),
    ({"before": (65535, 65535)}, "elements of the output: expected 1 to 2147483647"),
    ({"before": (1, 1)}, ": expected"),
]
WRONG_COPY = [
    ({"sides": (1, 2, 0, 1, 2)}, "sides: expected 1 to 2147483647, received 0"),
    ({"strides": (0, 0, -2, 0, 1)}, "strides: expected 0 to 2147483647, received -2"),
    ({"offset": 8}, "offset: expected 0 to 7, received 8"),
    ({"offset": 3}, "last element copied: expected 0 to 7, received 8"),
    ({"input_elements": 0}, "input_elements: expected 1 to 2147483647, received 0"),
    ({"sides": (65536, 65536, 1, 1, 2)}, "elements of the output: expected 1 to 2147483647"),
    ({"sides": (1, 1, 3, 1, 2)}, ": expected"),
]
WRONG_LOSS = [
    ({"weight": float("inf")}, "expected a finite weight of at least 0"),
    ({"weight": -1.0}, "expected a finite weight of at least 0"),
    ({"smoothing": float("nan")}, "expected a smoothing of 0 to 1"),
    ({"smoothing": 1.5}, "expected a smoothing of 0 to 1"),
    ({"delta": 0.0}, "expected a finite delta above 0"),
]
HUGE_WINDOW = {"window": (4097, 4097), "padding": (4096, 4096)}
WRONG = {
    op_schema.ACTIVATION: [
        ({"activation": 0}, "activation: expected 1 to 3, received 0"),
        ({"activation": 4}, "activation: expected 1 to 3, received 4"),
        ({"negative_slope": 0.5}, "expected a finite negative_slope"),
        ({"activation": 3, "negative_slope": float("nan")}, "expected a finite negative_slope"),
        ({"keeps_gates": -1}, "keeps_gates: expected 0 to 1, received -1"),
        ({"keeps_gates": 0}, "outputs: expected 1, received 2"),
    ],
    op_schema.MAX_POOL_2D: [
        *WRONG_POOL,
        (HUGE_WINDOW, "positions of the window: expected 1 to 16777216, received 16785409"),
        ({"keeps_choices": 0}, "outputs: expected 1, received 2"),
    ],
    op_schema.MAX_POOL_2D_GRADIENT: [
        *WRONG_POOL,
        ({"keeps_choices": 0}, "keeps_choices: expected 1, received 0"),
        ({"window": (5, 5)}, "choices: dimension 0: expected 8, received 5"),
    ],
    op_schema.AVERAGE_POOL_2D: [
        *WRONG_POOL,
        ({"keeps_choices": 1}, "keeps_choices: expected 0, received 1"),
    ],
    op_schema.AVERAGE_POOL_2D_GRADIENT: WRONG_POOL,
    op_schema.CONCATENATION: [
        *WRONG_PART,
        ({"offset": 1}, "offset of the first input: expected 0, received 1"),
        ({"total": 8}, "output: expected 16, received 14"),
        ({"block": 2}, "input: expected 4, received 6"),
    ],
    op_schema.CONCATENATION_GRADIENT: [
        *WRONG_PART,
        ({"block": 2}, "input_gradient: expected 4, received 6"),
    ],
    op_schema.PAD: WRONG_PAD,
    op_schema.PAD_GRADIENT: WRONG_PAD,
    frozen_schema.NORMALIZE: [
        ({"rows": 0}, "sides: expected 1 to 2147483647, received 0"),
        ({"rows": 65536, "width": 65536}, "elements: expected 1 to 2147483647"),
        ({"centered": 2}, "centered: expected 0 to 1, received 2"),
        ({"epsilon": float("nan")}, "expected a finite epsilon, 0 or more"),
        ({"epsilon": -1.0}, "expected a finite epsilon, 0 or more"),
        ({"groups": 1, "width": 6, "rows": 1}, "input: expected 6, received 12"),
    ],
    op_schema.STRIDED_COPY: WRONG_COPY,
    op_schema.STRIDED_COPY_GRADIENT: WRONG_COPY,
    **{op: WRONG_LOSS for op in LOSSES},
}


@pytest.mark.parametrize(
    ("op", "changes", "message"),
    [(op, *case) for op, cases in WRONG.items() for case in cases],
    ids=lambda value: value.key if isinstance(value, op_schema.OpSpec) else "",
)
def test_wrong_options_are_refused(op, changes, message):
    with pytest.raises(InterpreterError, match=op.name) as error:
        call_good(op, **({"offset": 0} if op is op_schema.CONCATENATION else {}) | changes)
    assert message in str(error.value)


@ops
def test_options_of_another_version_or_size_are_refused(op):
    version = op_schema.VERSION
    with pytest.raises(InterpreterError, match=f"options version: expected {version}, received 9"):
        call_good(op, version=9)
    arrays = [np.zeros(*shape_and_dtype(item)) for item in GOOD[op].inputs]
    options = pack_any(op, **GOOD[op].options)
    with pytest.raises(InterpreterError, match=f"bytes of options: expected {len(options)}"):
        call(op, options + b"\0", arrays, GOOD[op].outputs)


def test_concatenation_names_what_does_not_fit():
    op = op_schema.CONCATENATION
    for inputs, message in [
        ([[6], [9]], "elements of an input beyond a multiple of blocks: expected 0, received 1"),
        ([[6], [10]], "block of an input: expected 1 to 4, received 5"),
        ([[6], [6]], "blocks of the inputs together: expected 7, received 6"),
        ([[6], [8], [2]], "block of an input: expected 1 to 0, received 1"),
        ([[6]], "inputs: expected 2 to 65535, received 1"),
    ]:
        with pytest.raises(InterpreterError) as error:
            call_good(op, inputs=inputs)
        assert message in str(error.value)
