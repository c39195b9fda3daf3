"""Several inputs and outputs under masks in Keras: GradientTape's steps, all else stays."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawn import by_channel

import tf_medyate as md
from tf_medyate.ends import End, in_order, outputs_of
from tf_medyate.errors import DataError, LabelError

L = keras.layers
RATE, SAMPLES = 0.1, 8
# As Keras wants them of a model with a dict, and of one with a list of outputs.
LOSSES = {"kind": "sparse_categorical_crossentropy", "place": "mse", "near": "binary_crossentropy"}
WEIGHTS = {"kind": 0.5, "place": 2.0, "near": 0.3}


def net(as_dict):
    image, extra = keras.Input((6, 6, 2), name="image"), keras.Input((5,), name="extra")
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="conv")(image))
    shared = L.Dense(4, activation="tanh", name="shared")
    y = L.Dense(6, activation="relu", name="feature")(L.Add()([shared(extra), shared(2.0 * extra)]))
    z = L.Dense(8, activation="relu", name="body")(L.Concatenate()([x, y]))
    outputs = {
        "kind": L.Dense(3, activation="softmax", name="kind")(z),
        "place": L.Dense(2, name="place")(z),
        "near": L.Dense(1, activation="sigmoid", name="near")(y),
    }
    inputs = {"image": image, "extra": extra}
    both = (inputs, outputs) if as_dict else (list(inputs.values()), list(outputs.values()))
    return keras.Model(*both)


def data():
    rng = np.random.default_rng(0)
    x = {"image": rng.normal(size=(SAMPLES, 6, 6, 2)), "extra": rng.normal(size=(SAMPLES, 5))}
    y = {
        "kind": rng.integers(0, 3, SAMPLES),
        "place": rng.normal(size=(SAMPLES, 2)),
        "near": rng.integers(0, 2, (SAMPLES, 1)).astype(np.float32),
    }
    return x, y


@pytest.mark.parametrize("as_dict", [True, False])
def test_weighted_losses_of_several_outputs_as_gradient_tape_has_them(as_dict):
    base, (x, y) = net(as_dict), data()
    model = md.prepare(base)
    told = (LOSSES, WEIGHTS) if as_dict else (list(LOSSES.values()), list(WEIGHTS.values()))
    model.compile(keras.optimizers.SGD(RATE), *told, run_eagerly=True)
    layers = ["conv", "feature", "body"]
    medyate = md.MeDyate("1KiB", calibration=(x, y), seed=1, layers=layers, verbose=0)
    medyate.set_model(model)
    medyate.begin_epoch()
    drawn = {draw.layer: list(draw.channels) for draw in medyate.plan.layers}
    assert list(drawn) == layers
    frozen = {v.path: v.numpy() for v in base.variables}
    for _ in range(3):
        _step(base, x, y, drawn)
        labels = y if as_dict else list(y.values())
        model.train_on_batch(x, labels)
    medyate.end_epoch()
    count = 0
    for layer in (layer for layer in md.strip(model).layers if layer.weights):
        expected = base.get_layer(layer.name)
        for ours, theirs in zip(layer.weights, expected.weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
        old, new = frozen[expected.kernel.path], layer.kernel.numpy()
        still = [c for c in range(old.shape[-2]) if c not in drawn.get(layer.name, ())]
        if layer.name not in LOSSES:  # a head is always trained
            assert (by_channel(layer, old)[still] == by_channel(layer, new)[still]).all()
            count += len(still)
    assert count > len(frozen[base.get_layer("shared").kernel.path])


def test_labels_that_no_output_has_are_named():
    model, (x, y) = md.prepare(net(as_dict=False)), data()
    model.compile("sgd", LOSSES)
    wrong = y | {"kind": y["kind"] + 1}
    for given in (wrong, list(wrong.values())):
        with pytest.raises(LabelError, match=r"y of calibration of 'kind'.*from 0 to 2"):
            md.MeDyate("1KiB", calibration=(x, given), verbose=0).set_model(model)


def _step(base, x, y, drawn):
    """Plain gradients of the weighted sum, where channels are drawn."""
    with tf.GradientTape() as tape:
        made = base(x)
        made = made if isinstance(made, dict) else dict(zip(LOSSES, made, strict=True))
        each = [WEIGHTS[n] * tf.reduce_mean(keras.losses.get(LOSSES[n])(y[n], made[n])) for n in y]
        loss = sum(each)
    trained = [v for v in base.trainable_variables if "shared" not in v.path]
    for variable, gradient in zip(trained, tape.gradient(loss, trained), strict=True):
        layer, name = variable.path.split("/")[-2:]
        mask = np.full(variable.shape, np.float32(layer in LOSSES))
        if name == "kernel":  # biases are trained in heads alone
            mask[..., drawn.get(layer, ()), :] = 1.0
        variable.assign_sub(RATE * gradient * mask)


def test_what_is_given_comes_in_the_order_of_the_model_or_is_named():
    ends = (End("image", (2,)), End("extra", (1,)))
    assert in_order("x", {"extra": 1, "image": 2, "other": 3}, ends) == [2, 1]
    assert in_order("x", (2, 1), ends) == [2, 1]
    assert in_order("x", [5], ends[:1]) == [[5]]
    for given in ({"image": 2}, [2], [1, 2, 3], np.zeros(2)):
        with pytest.raises(DataError, match=r"x: expected .image., .extra..*a dict by name"):
            in_order("x", given, ends)


def test_outputs_keep_their_names_when_their_layers_are_folded_or_divided(tmp_path):
    x = keras.Input((6, 6, 2))
    outputs = [
        L.BatchNormalization(name="z")(L.Conv2D(2, 3, name="conv")(x)),
        L.SeparableConv2D(2, 3, name="a")(x),
    ]
    base, rng = keras.Model(x, outputs), np.random.default_rng(0)
    labels = {name: rng.normal(size=(4, 4, 4, 2)).astype(np.float32) for name in ("z", "a")}
    image, found = rng.normal(size=(4, 6, 6, 2)).astype(np.float32), []
    model = md.prepare(base)
    model.save(tmp_path / "model.keras")
    for either in (base, model, keras.models.load_model(tmp_path / "model.keras"), md.strip(model)):
        either.compile("sgd", {"a": "mse", "z": "mae"}, {"a": 2.0, "z": 1.0}, run_eagerly=True)
        found.append(either.evaluate(image, labels, verbose=0, return_dict=True))
        assert [end.name for end in outputs_of(either)] == ["z", "a"]
    for ours in found[1:]:
        assert ours == pytest.approx(found[0], rel=1e-5)
