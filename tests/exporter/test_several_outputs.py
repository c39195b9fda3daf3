"""Models with several outputs: in TFLM as in Keras, and without TFLM as one target of all."""

import keras
import numpy as np
import pytest
from cases import Case
from cpp_build import HOST
from cpp_training import assert_same_weights, export_both, read_output

import tf_medyate as md
from tf_medyate.errors import (
    DataError,
    LabelError,
    NonFiniteLossError,
    OptionError,
    UnsupportedLayerError,
)

pytestmark = pytest.mark.usefixtures("quick_export")
L, K = keras.layers, keras.losses
SAMPLES = 12
LOSSES = {
    "kind": K.SparseCategoricalCrossentropy(),
    "place": K.Huber(delta=0.3),
    "near": "binary_crossentropy",
    "sort": K.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    "map": K.MeanSquaredError("sum"),
}
WEIGHTS = {"kind": 0.5, "place": 2.0, "near": 0.3, "sort": 1.0, "map": 0.2}


def net(as_dict):
    inputs = keras.Input((6, 6, 2))
    x = L.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    y = L.Dense(8, activation="relu", name="body")(L.GlobalAveragePooling2D()(x))
    outputs = {
        "kind": L.Dense(3, activation="softmax", name="kind")(y),
        "place": L.Dense(2, name="place")(y),
        "near": L.Dense(1, activation="sigmoid", name="near")(L.Flatten()(x)),
        "sort": L.Dense(4, name="sort")(y),
        "map": L.Conv2D(2, 2, name="map")(x),
    }
    return keras.Model(inputs, outputs if as_dict else list(outputs.values()))


def ready(as_dict=True, budget="1500B"):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, 6, 6, 2)).astype(np.float32)
    y = {
        "kind": rng.integers(0, 3, SAMPLES),
        "place": rng.normal(size=(SAMPLES, 2)).astype(np.float32),
        "near": rng.integers(0, 2, (SAMPLES, 1)).astype(np.float32),
        "sort": np.eye(4, dtype=np.float32)[rng.integers(0, 4, SAMPLES)],
        "map": rng.normal(size=(SAMPLES, 3, 3, 2)).astype(np.float32),
    }
    model = md.prepare(net(as_dict))
    told = (LOSSES, WEIGHTS) if as_dict else (list(LOSSES.values()), list(WEIGHTS.values()))
    model.compile(keras.optimizers.SGD(0.05), *told, run_eagerly=True)
    medyate = md.MeDyate(budget, calibration=(x, y), seed=3, verbose=0)
    medyate.set_model(model)
    return model, medyate, x, y


def label_of(y, index):
    return {name: array[index] for name, array in y.items()}


@pytest.mark.parametrize(("as_dict", "steps"), [(True, 50), (False, 5)])
def test_steps_are_those_of_keras(as_dict, steps, tmp_path):
    model, medyate, x, y = ready(as_dict)
    bundle = md.export(model, tmp_path / "out", medyate)
    trainer = md.simulate.TFLMTrainer(bundle)
    assert trainer.arena_bytes <= bundle.arena.total_bytes <= 1.03 * trainer.arena_bytes
    medyate.begin_epoch()
    for step in range(steps):
        rows = slice(step % SAMPLES, step % SAMPLES + 1)
        labels = [array[rows] for array in y.values()]
        labels = dict(zip(y, labels, strict=True)) if as_dict else labels
        loss = model.train_on_batch(x[rows], labels, return_dict=True)["loss"]
        model.reset_metrics()
        label = label_of(y, rows.start)
        ours = trainer.step(x[rows], label if as_dict else list(label.values()))
        assert abs(ours - loss) <= 1e-4 * max(1.0, loss)
    expected, found = model(x[:1]), trainer.predict(x[0])
    assert type(expected) is type(found)
    for theirs, ours in zip(*map(keras.tree.flatten, (expected, found)), strict=True):
        np.testing.assert_allclose(ours, theirs[0], atol=1e-4)


def test_the_same_bits_without_tflm(tmp_path):
    model, medyate, x, y = ready()
    bundle = md.export(model, tmp_path / "out", medyate)
    joined = np.stack([bundle.manifest.joined_label(label_of(y, i)) for i in range(SAMPLES)])
    exported = export_both(Case(model, medyate, x, joined), tmp_path)
    program = HOST.program(exported.cpp.folder, HOST.library())
    output = read_output(HOST.output(program, exported.input(2)), exported, 2)
    trainer = assert_bits_as_in_tflm(output, exported, x, joined)
    scores = trainer.manifest.divided(output.scores[0])
    for name, ours in trainer.predict(x[0]).items():
        np.testing.assert_array_equal(scores[name], ours)


def assert_bits_as_in_tflm(output, exported, x, joined):
    trainer = md.simulate.TFLMTrainer(exported.bundle, learning_rate=output.rate)
    for epoch in output.epochs:
        losses = [trainer.step(*pair) for pair in zip(x, joined, strict=True)]
        np.testing.assert_array_equal(epoch.losses, np.array(losses, np.float32))
        trainer.end_epoch()
    assert_same_weights(output.region, exported, trainer)
    return trainer


def test_labels_that_do_not_fit_are_named_and_nothing_is_learned(tmp_path):
    model, medyate, x, y = ready()
    trainer = md.simulate.TFLMTrainer(md.export(model, tmp_path / "out", medyate))
    good = label_of(y, 0)
    before = trainer.loss(x[0], good)
    for change, error, words in (
        ({"kind": 3}, LabelError, "'kind': expected a class from 0 to 2"),
        ({"near": 1.5}, LabelError, "'near': expected numbers from 0 to 1"),
        ({"place": [0.0]}, DataError, "'place': expected a target of 2 numbers"),
        ({"sort": [0.5, 0.5, 0, 0]}, LabelError, "'sort'.*one-hot row of 4"),
    ):
        with pytest.raises(error, match=words):
            trainer.step(x[0], good | change)
    with pytest.raises(DataError, match="no 'map'"):
        trainer.step(x[0], {name: value for name, value in good.items() if name != "map"})
    assert trainer.loss(x[0], good) == before
    with pytest.raises(NonFiniteLossError):
        trainer.step(x[0], good | {"map": np.full((3, 3, 2), 3e38)})
    with pytest.raises(OptionError, match=r"5 outputs.*output by output"):
        trainer.accuracy(x, y)
    trainer.discard()
    assert trainer.loss(x[0], good) == before


@pytest.mark.parametrize(
    ("losses", "weights", "words"),
    [
        (["mse", "mae"], None, "each output: 'kind', 'map', 'near'.*received \\['mse', 'mae'\\]"),
        (LOSSES | {"map": None}, None, "leaves one out"),
        (LOSSES, list(WEIGHTS.values()), "loss_weights.*losses and weights alike"),
        (LOSSES, WEIGHTS | {"map": 0.0}, "loss_weights.*above 0"),
        (LOSSES | {"sort": "mae", "map": "poisson"}, None, "Huber of keras.losses.*poisson"),
        (LOSSES | {"near": K.BinaryCrossentropy(True)}, None, "from_logits=False after a sigmoid"),
    ],
)
def test_losses_that_a_device_would_read_otherwise_are_refused(losses, weights, words):
    model = md.prepare(net(as_dict=True))
    model.compile("sgd", losses, weights)
    with pytest.raises(OptionError, match=words):
        md.check_export(model, md.MeDyate("1500B", verbose=0))


def test_the_same_output_twice_is_refused():
    inputs = keras.Input((4,))
    y = L.Dense(2, name="head")(inputs)
    model = md.prepare(keras.Model(inputs, [y, y]))
    model.compile("sgd", "mse")
    with pytest.raises(UnsupportedLayerError, match=r"each output once.*head, head"):
        md.check_export(model, md.MeDyate("1500B", verbose=0))
