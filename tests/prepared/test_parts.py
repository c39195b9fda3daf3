"""Recurrent layers, attention and EinsumDense are drawn from; what cannot be is named."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawn import WatchExactness, attach_random, by_channel
from random_models import random_data

import tf_medyate as md
from tf_medyate.errors import OptionError
from tf_medyate.prepared.layers import masked_layers

L = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
STEPS, CHANNELS = 7, 5


def recurrent(cell, **options):
    series = {"return_sequences": True}
    return keras.Sequential(
        [
            keras.Input((STEPS, CHANNELS)),
            cell(6, name="a", bias_initializer="normal", **series, **options),
            cell(4, name="b", activation="relu", **options),
            L.Dense(3, name="head"),
        ]
    )


def attention():
    """One over two series, with values of another size; one whose scores are dropped in part."""
    series = keras.Input((STEPS, CHANNELS))
    other = L.Dense(8, activation="relu", name="other")(series)
    x = L.MultiHeadAttention(2, 4, value_dim=3, name="a")(
        other, value=other[:, :5], key=series[:, :5]
    )
    y = L.LayerNormalization()(L.Add()([other, x]))
    x = L.MultiHeadAttention(2, 4, dropout=0.3, output_shape=(2, 3), name="b")(y, y)
    x = L.EinsumDense("btcd,cde->bte", (STEPS, 6), bias_axes="e", activation="tanh", name="c")(x)
    x = L.EinsumDense("...e,ehd->...hd", (2, 4), activation="softmax", name="d")(x)
    return keras.Model(series, L.Dense(3, name="head")(L.Flatten()(x)))


def _variables(base):
    """{name of a part: its kernel in the base, name of a bias: likewise}."""
    found = {}
    for layer in base.layers:
        name = layer.name
        if isinstance(layer, L.RNN):
            found |= {f"{name}.input": layer.cell.kernel}
            found |= {f"{name}.recurrent": layer.cell.recurrent_kernel}
        elif isinstance(layer, L.MultiHeadAttention):
            for part in ("query", "key", "value", "output"):
                found[f"{name}.{part}"] = getattr(layer, f"{part}_dense").kernel
        elif isinstance(layer, L.EinsumDense | L.Dense):
            found[name] = layer.kernel
    return found


def _biases(base):
    """Gradients of recurrent biases belong to two parts."""
    return {v.name: v.cell.bias for v in base.layers if isinstance(v, L.RNN) and v.use_bias}


NETS = {
    "lstm": lambda: recurrent(L.LSTM, recurrent_activation="hard_sigmoid"),
    "gru": lambda: recurrent(L.GRU, go_backwards=True),
    "simple": lambda: recurrent(L.SimpleRNN, use_bias=False),
    "attention": attention,
    "one": lambda: keras.Sequential(
        [keras.Input((STEPS, CHANNELS)), L.GRU(6, name="a"), L.Dense(3, name="head")]
    ),
}


@pytest.mark.parametrize("net", ["lstm", "gru", "simple", "attention"])
def test_drawn_gradients_are_slices_of_keras_own(net):
    keras.utils.set_random_seed(3)
    base = NETS[net]()
    model = md.prepare(base)
    x, y = random_data(base, 5)
    kernels, biases = _variables(base), _biases(base)
    wanted = [v.value for v in (*kernels.values(), *biases.values())]
    with tf.GradientTape() as tape:
        loss = LOSS(y, base(x, training=False))
    full = [np.asarray(g) for g in tape.gradient(loss, wanted)]
    by_bias = dict(zip(biases, full[len(kernels) :], strict=True))
    _, drawn = attach_random(model, np.random.default_rng(1), share=0.5)
    layers = {layer.name: layer for layer in masked_layers(model)}
    assert set(layers) == set(kernels)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = LOSS(y, model(x, training=False))
        return tape.gradient(loss, [v.value for v in model.trainable_variables])

    found = dict(zip([v.path for v in model.trainable_variables], gradients(), strict=True))
    pool = found[model.training_state.pool.path].numpy()
    checked = 0
    # float32 rounding of the same products, summed in another order.
    close = {"rtol": 1e-4, "atol": 1e-6}
    for (name, _), expected in zip(kernels.items(), full, strict=False):
        layer = layers[name]
        if name not in drawn:
            continue
        channels = list(drawn[name])
        run = pool[model.training_state.placements()[layer.slot].weights]
        rows = by_channel(layer, expected.reshape(layer.kernel.shape))[channels]
        np.testing.assert_allclose(run.reshape(rows.shape), rows, **close)
        checked += np.abs(rows).max(initial=0) > 1e-4
    assert checked >= 3
    for name, expected in by_bias.items():
        parts = [layers[f"{name}.{part}"].bias for part in ("input", "recurrent")]
        mine = np.stack([found[v.path] for v in parts if v is not None])
        np.testing.assert_allclose(mine.reshape(expected.shape), expected, **close)


@pytest.mark.parametrize("net", ["one", "attention"])
def test_a_fit_moves_drawn_channels_alone_and_answers_stay_the_same_after_it(net, tmp_path):
    base = NETS[net]()
    model = md.prepare(base)
    x, y = random_data(base, 24)
    np.testing.assert_allclose(model(x), base(x), rtol=1e-4, atol=1e-5)
    model.compile(keras.optimizers.Adam(0.02), LOSS)
    full = md.CostModel(optimizer_slots=2).full(md.layer_specs(model))
    medyate = md.MeDyate(int(0.4 * full), verbose=0)
    watch = WatchExactness(medyate)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[medyate, watch])
    assert watch.checked > 10
    assert watch.moved > 5
    model.save(tmp_path / "model.keras")
    for other in (md.strip(model), keras.models.load_model(tmp_path / "model.keras")):
        np.testing.assert_allclose(other(x), model(x), rtol=1e-4, atol=1e-5)


def test_a_recurrent_layer_is_stripped_as_it_came():
    for cell, options in ((L.LSTM, {}), (L.GRU, {"go_backwards": True}), (L.SimpleRNN, {})):
        base = recurrent(cell, **options)
        model = md.prepare(base)
        keras.config.set_dtype_policy("mixed_bfloat16")  # for other models that are made now
        try:
            plain = md.strip(model)
        finally:
            keras.config.set_dtype_policy("float32")
        assert {layer.compute_dtype for layer in plain.layers[1:]} == {"float32"}
        assert [type(layer) for layer in plain.layers[1:]] == [type(layer) for layer in base.layers]
        for one, other in zip(plain.get_weights(), base.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_unit_costs_its_row_and_its_states_of_all_steps_but_the_last():
    x = keras.Input((STEPS, CHANNELS))
    y = L.MultiHeadAttention(2, 4, name="a")(L.GRU(6, return_sequences=True, name="g")(x), x)
    specs = {s.name: s for s in md.layer_specs(keras.Model(x, L.Dense(2, name="head")(y)))}
    cost = md.CostModel("elements")
    costs = {name: (spec.channels, cost.channel(spec)) for name, spec in specs.items()}
    assert costs == {
        "g.input": (CHANNELS, 3 * 6 + STEPS),
        "g.recurrent": (6, 3 * 6 + STEPS - 1),
        "a.query": (6, 8 + STEPS),
        "a.key": (CHANNELS, 8 + STEPS),
        "a.value": (CHANNELS, 8 + STEPS),
        "a.output": (8, 6 + STEPS),
        "head": (6, 2 + STEPS),
    }
    assert specs["g.recurrent"].macs == STEPS * 6 * 18
    assert specs["g.recurrent"].by_neurons().channels == 18


def _with_state(x):
    return L.GRU(4, name="kept")(x, initial_state=[L.Dense(4)(L.Flatten()(x))])


def _masked(x):
    return L.GRU(4, name="kept")(L.Masking()(x))


def _shared(x):
    layer = L.SimpleRNN(5, return_sequences=True, name="kept")
    return L.Flatten()(layer(layer(x)))


def _attended(x, **options):
    return L.Flatten()(L.MultiHeadAttention(1, 2, name="kept")(x, x, **options))


KEPT = {
    "two directions": lambda x: L.Bidirectional(L.LSTM(2), name="kept")(x),
    "dropout": lambda x: L.LSTM(2, recurrent_dropout=0.1, name="kept")(x),
    "reset_after": lambda x: L.GRU(2, reset_after=False, name="kept")(x),
    "return_state": lambda x: L.LSTM(2, return_state=True, name="kept")(x)[0],
    "stateful": lambda x: L.GRU(2, stateful=True, name="kept")(x),
    "states or a mask": _with_state,
    "a mask of steps": _masked,
    "more than once": _shared,
    "more than query": lambda x: _attended(x, use_causal_mask=True),
    "equation": lambda x: L.Flatten()(
        L.EinsumDense("btc,ct->btc", (STEPS, CHANNELS), name="kept")(x)
    ),
    "in groups": lambda x: L.Flatten()(L.Conv1D(5, 1, groups=5, name="kept")(x)),
    "channels first": lambda x: L.Flatten()(
        L.Conv1D(2, 1, data_format="channels_first", name="kept")(x)
    ),
    "no input channel": lambda x: L.Flatten()(L.PReLU(name="kept")(x)),
    "no channels": lambda x: L.Flatten()(L.LayerNormalization(name="kept")(x)),
}


@pytest.mark.parametrize("why", KEPT)
def test_what_is_not_drawn_from_says_why(why):
    batch = 4 if why == "stateful" else None
    x = keras.Input((STEPS, CHANNELS), batch_size=batch)
    model = md.prepare(keras.Model(x, L.Dense(2, name="head")(KEPT[why](x))))
    assert "kept" in model.frozen_layers
    lines = []
    model.summary(print_fn=lines.append)
    assert any(line.startswith("kept: ") and why in line for line in lines)
    model.compile("sgd", LOSS)
    with pytest.raises(OptionError, match=why):
        md.MeDyate("1KiB", layers=["kept"], calibration=random_data(model, 4)).set_model(model)
