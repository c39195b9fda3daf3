"""The heart: masked gradients are slices of the full gradient, and frozen means frozen."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawn import WatchExactness, attach_random, by_channel
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import random_data, random_model, small_net

import tf_medyate as md
from tf_medyate.prepared.layers import ChannelMasked, masked_layers
from tf_medyate.prepared.state import TrainingState
from tf_medyate.prepared.tensors import select_channels
from tf_medyate.prepared.update import ChannelUpdater
from tf_medyate.select.strategies import strategy

LOSS = keras.losses.SparseCategoricalCrossentropy()


@settings(max_examples=15)
@given(seed=st.integers(0, 100_000))
def test_drawn_gradients_equal_slices_of_the_full_gradient(seed):
    model = md.prepare(random_model(seed))
    x, y = random_data(model, 5, seed)
    layers = masked_layers(model)

    @tf.function
    def full_gradients():
        loss = LOSS(y, model(x, training=False))
        return tf.gradients(loss, [v.value for v in model.trainable_variables])

    names = [v.path for v in model.trainable_variables]
    full = dict(zip(names, full_gradients(), strict=True))
    before = model(x, training=False).numpy()
    _, drawn = attach_random(model, np.random.default_rng(seed))

    # Nothing has been learned yet: reading weights through the pool changes no bit.
    np.testing.assert_array_equal(model(x, training=False).numpy(), before)

    @tf.function
    def drawn_gradients():
        with tf.GradientTape() as tape:
            loss = LOSS(y, model(x, training=False))
        return tape.gradient(loss, [v.value for v in model.trainable_variables])

    found = dict(zip([v.path for v in model.trainable_variables], drawn_gradients(), strict=True))
    pool = found.pop(model.training_state.pool.path).numpy()
    used = np.zeros(pool.size, bool)
    for layer in layers:
        channels = list(drawn.get(layer.name, ()))
        if layer.name in drawn:
            assert layer.kernel.path not in found
            expected = by_channel(layer, full[layer.kernel.path])[channels]
            part = model.training_state.placements()[layer.slot].weights
            # Both sum the same products, in another order: float32 rounding only.
            np.testing.assert_allclose(
                pool[part].reshape(expected.shape), expected, rtol=1e-5, atol=1e-5
            )
            assert not used[part].any()
            used[part] = True
    assert not pool[~used].any()
    for path, gradient in found.items():
        np.testing.assert_allclose(gradient, full[path], rtol=1e-5, atol=1e-5)


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.05),
    "adamw": lambda: keras.optimizers.AdamW(0.05, weight_decay=0.1),
    "adagrad": lambda: keras.optimizers.Adagrad(0.05),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "lion": lambda: keras.optimizers.Lion(0.01),
    "clipped": lambda: keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.5),
    "accumulating": lambda: keras.optimizers.Adam(0.05, gradient_accumulation_steps=2),
    "averaging": lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=3),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_frozen_channels_keep_every_bit_with_any_optimizer(name):
    model = md.prepare(small_net())
    x, y = random_data(model, 24)
    model.compile(OPTIMIZERS[name](), LOSS)
    full = md.CostModel(optimizer_slots=3, accumulate=True).full(md.layer_specs(model))
    medyate = md.MeDyate(full // 4, verbose=0)
    watch = WatchExactness(medyate)
    model.fit(x, y, batch_size=6, epochs=5, verbose=0, callbacks=[medyate, watch])
    assert watch.checked > 50
    assert watch.moved > 5, "nothing was trained"


@settings(max_examples=6)
@given(
    seed=st.integers(0, 100_000),
    share=st.floats(0.15, 0.9),
    name=st.sampled_from(
        ["medyate", "trady", "greedy", "medyate-calibrated", "d-det-rgn", "lara-prob-raw"]
    ),
)
def test_budget_and_exactness_over_random_architectures(seed, share, name):
    model = md.prepare(random_model(seed, blocks=3))
    x, y = random_data(model, 12, seed)
    model.compile(keras.optimizers.Adam(0.01), LOSS)
    specs = md.layer_specs(model)
    cost = md.CostModel(optimizer_slots=2)
    hidden = [s for s in specs if not s.is_head]
    least = cost.fixed(specs, [s.name for s in hidden]) + max(cost.channel(s) for s in hidden)
    budget = max(least, int(share * cost.full(specs)))
    medyate = md.MeDyate(budget, strategy(name, top_k=1.0), seed=seed, verbose=0)
    watch = WatchExactness(medyate)
    model.fit(x, y, batch_size=6, epochs=2, verbose=0, callbacks=[medyate, watch])


def test_the_graph_neither_computes_undrawn_gradients_nor_goes_below_the_kept_layers():
    inputs = keras.Input((8, 8, 3))
    x = inputs
    for index in range(4):
        x = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name=f"c{index}")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = md.prepare(keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x)))
    specs = md.layer_specs(model)
    updater = ChannelUpdater(model, specs, ("c2", "c3"), train_bias=True)
    updater.attach(400, None)
    x, y = random_data(model, 4)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = LOSS(y, model(x, training=False))
        return tape.gradient(loss, [v.value for v in model.trainable_variables])

    alive = reachable(gradients.get_concrete_function().graph)
    filters = [op for op in alive if op.type == "Conv2DBackpropFilter"]
    inputs_ = [op for op in alive if op.type == "Conv2DBackpropInput"]
    # One weight gradient for each kept layer, of as many channels as are drawn: the shape comes
    # from the draw, not from the kernel. None for the frozen ones.
    assert len(filters) == 2
    assert all(op.outputs[0].shape[2] is None for op in filters)
    # dX of c3 feeds c2's weight gradient; c2's own would feed frozen layers only.
    assert len(inputs_) == 1


def reachable(graph):
    """The operations that the graph's results depend on: what is left after pruning."""
    todo = [t.op for t in graph.outputs] + list(graph.control_outputs)
    todo = [getattr(op, "op", op) for op in todo]
    seen = set()
    while todo:
        op = todo.pop()
        if op not in seen:
            seen.add(op)
            todo += [t.op for t in op.inputs] + list(op.control_inputs)
    return seen


@given(st.integers(1, 9), st.integers(0, 9), st.integers(0, 99))
def test_select_channels_is_an_exact_gather(channels, count, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, 3, channels)).astype(np.float32)
    indices = np.sort(rng.permutation(channels)[: min(count, channels)]).astype(np.int32)
    np.testing.assert_array_equal(select_channels(tf.constant(x), indices), x[..., indices])


def test_importance_is_the_running_mean_of_the_gradient_norm():
    model = md.prepare(random_model(5))
    x, y = random_data(model, 6)
    updater, drawn = attach_random(model, np.random.default_rng(0), share=0.7)
    updater.set_importance({n: np.full(len(v), 3.0) for n, v in updater.importance().items()})

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = LOSS(y, model(x, training=False))
        return tape.gradient(loss, model.training_state.pool.value)

    pool = step().numpy()
    for layer in updater.kept_layers:
        channels = list(drawn[layer.name])
        expected = np.full(layer.importance.shape, 3.0, np.float32)
        run = pool[model.training_state.placements()[layer.slot].weights]
        runs = run.reshape(len(channels), -1)
        expected[channels] = 0.9 * 3.0 + 0.1 * np.linalg.norm(runs, axis=1)
        measured = updater.importance()[layer.name]
        # The same squares, summed in another order: float32 rounding only.
        np.testing.assert_allclose(measured, expected, rtol=1e-5)
        np.testing.assert_array_equal(layer.importance.numpy(), measured)


def test_a_layer_called_on_its_own_measures_only_itself():
    model = md.prepare(random_model(5))
    updater, drawn = attach_random(model, np.random.default_rng(0), share=0.9)
    updater.set_importance({n: np.full(len(v), 3.0) for n, v in updater.importance().items()})
    alone = next(layer for layer in updater.kept_layers if drawn[layer.name])
    x = tf.random.normal((2, *alone.input.shape[1:]))
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(tf.square(alone(x)))
    assert tape.gradient(y, model.training_state.pool.value) is not None
    for name, means in updater.importance().items():
        changed = means != 3.0
        assert changed.any() == (name == alone.name)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 9999),
    windows=st.lists(st.sampled_from([(), (3,), (1, 1), (2, 3)]), min_size=1, max_size=4),
)
def test_the_pool_and_its_runs_hold_the_same_weights(seed, windows):
    """Rebuilds every kernel from a pool by NumPy alone, through the layout that the graph uses."""
    rng = np.random.default_rng(seed)
    kernels = [(*window, *rng.integers(1, 6, 2)) for window in windows]
    full = [rng.normal(size=kernel).astype(np.float32) for kernel in kernels]
    draws = [np.flatnonzero(rng.random(k[-2]) < 0.5) for k in kernels]
    runs = [
        np.moveaxis(f[..., d, :], -2, 0).ravel() for f, d in zip(full, draws, strict=True)
    ]  # [channel][position][output]
    pool = np.concatenate([*runs, np.zeros(max(k[-1] * 6 for k in kernels), np.float32)])
    state = TrainingState()
    state.allocate(pool.size, kernels)
    state.pool.assign(pool)
    state.lay_out(draws, 0)
    for slot, (kernel, draw) in enumerate(zip(kernels, draws, strict=True)):
        run = state.run(slot)
        index = tuple(np.asarray(run.index)[:, 1 - len(kernel) :].T)
        rebuilt = np.zeros(kernel, np.float32)
        rebuilt[index] = np.reshape(run.weights, (-1, kernel[-1]))
        expected = np.zeros(kernel, np.float32)
        expected[..., draw, :] = full[slot][..., draw, :]
        np.testing.assert_array_equal(rebuilt, expected)
        np.testing.assert_array_equal(np.unique(run.channels), draw if draw.size else [0])


def test_a_layer_kind_without_an_operation_says_so():
    with pytest.raises(NotImplementedError, match="linear"):
        ChannelMasked().linear(None, None)
