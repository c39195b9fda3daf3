"""Models with several inputs: in Keras, in TFLM, and without TFLM as one sample of all inputs."""

import keras
import numpy as np
import pytest
from cases import Case
from cpp_build import HOST
from cpp_training import assert_as_in_tflm, export_both, read_output

import tf_medyate as md
from tf_medyate.errors import DataError, NonFiniteDataError

pytestmark = pytest.mark.usefixtures("quick_export")
L = keras.layers
SAMPLES = 12


def two_inputs(as_dict=True):
    """A map and a vector; Keras sorts the names of a dict."""
    image, extra = keras.Input((6, 6, 2), name="image"), keras.Input((5,), name="extra")
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="conv")(image))
    y = L.Dense(6, activation="relu", name="feature")(extra)
    x = L.Dense(8, activation="relu", name="body")(L.Concatenate()([x, y]))
    inputs = {"image": image, "extra": extra} if as_dict else [image, extra]
    return keras.Model(inputs, L.Dense(3, activation="softmax", name="head")(x))


def behind_other_layers():
    """One input behind TFLM's own ops, a layer that two share, one that no trained layer reads."""
    words, left = keras.Input((4,), dtype="int32", name="words"), keras.Input((3,), name="left")
    right, unused = keras.Input((3,), name="right"), keras.Input((2, 2), name="unused")
    text = L.GlobalAveragePooling1D()(L.Embedding(9, 4)(words))
    both = L.Dense(4, activation="tanh", name="both")
    x = L.Concatenate()([text, both(left), both(right)])
    x = L.Dense(6, activation="relu", name="body")(x)
    return keras.Model([words, left, right, unused], L.Dense(3, activation="softmax")(x))


def data_of(model, seed=0):
    rng = np.random.default_rng(seed)
    x = {
        tensor.name: rng.integers(0, 9, (SAMPLES, *tensor.shape[1:]))
        if tensor.dtype == "int32"
        else rng.normal(size=(SAMPLES, *tensor.shape[1:])).astype(np.float32)
        for tensor in model.inputs
    }
    return x, rng.integers(0, 3, SAMPLES)


def ready(base, budget="700B", optimizer=None, **options):
    model = md.prepare(base)
    optimizer = optimizer or keras.optimizers.SGD(0.1)
    model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=True)
    x, y = data_of(model)
    medyate = md.MeDyate(budget, calibration=(x, y), seed=3, verbose=0, **options)
    medyate.set_model(model)
    return model, medyate, x, y


def sample_of(x, index):
    return {name: array[index] for name, array in x.items()}


def keras_losses(model, x, y, steps):
    """Of single samples, in turn, given as a dict by name."""
    for step in range(steps):
        rows = slice(step % SAMPLES, step % SAMPLES + 1)
        batch = {name: array[rows] for name, array in x.items()}
        yield model.train_on_batch(batch, y[rows], return_dict=True)["loss"]
        model.reset_metrics()


@pytest.mark.parametrize(
    ("build", "options"),
    [(two_inputs, {}), (behind_other_layers, {"layers": ["body"]})],
    ids=["dict", "other layers"],
)
def test_fifty_steps_are_those_of_keras(build, options, tmp_path):
    model, medyate, x, y = ready(build(), **options)
    bundle = md.export(model, tmp_path / "out", medyate)
    assert [end.name for end in bundle.manifest.inputs] == [t.name for t in model.inputs]
    trainer = md.simulate.TFLMTrainer(bundle)
    assert trainer.arena_bytes <= bundle.arena.total_bytes <= 1.03 * trainer.arena_bytes
    medyate.begin_epoch()
    for step, loss in enumerate(keras_losses(model, x, y, 50)):
        index = step % SAMPLES
        ours = trainer.step(sample_of(x, index), int(y[index]))
        assert abs(ours - loss) <= 1e-4 * max(1.0, loss)
    expected = np.asarray(model(x))
    found = [trainer.predict(sample_of(x, index)) for index in range(SAMPLES)]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    share = np.mean(expected.argmax(1) == y)
    ordered = [x[tensor.name] for tensor in model.inputs]
    assert trainer.accuracy(x, y) == trainer.accuracy(ordered, y) == share


def test_the_same_bits_without_tflm(tmp_path):
    model, medyate, x, y = ready(two_inputs(as_dict=False), "1KiB")
    joined = np.concatenate([array.reshape(SAMPLES, -1) for array in x.values()], axis=1)
    exported = export_both(Case(model, medyate, joined, y), tmp_path)
    program = HOST.program(exported.cpp.folder, HOST.library())
    written = HOST.output(program, exported.input(2))
    trainer = assert_as_in_tflm(read_output(written, exported, 2), exported)
    np.testing.assert_array_equal(trainer.manifest.joined(sample_of(x, 3)), joined[3])


def test_what_is_missing_or_of_another_shape_is_named(tmp_path):
    model, medyate, x, y = ready(two_inputs())
    trainer = md.simulate.TFLMTrainer(md.export(model, tmp_path / "out", medyate))
    sample = sample_of(x, 0)
    for given, error, words in (
        ({"image": sample["image"]}, DataError, "no 'extra'.*dict by name"),
        ([sample["image"]], DataError, "'extra', 'image'.*1 of them"),
        (sample["image"], DataError, r"shape \(6, 6, 2\)"),
        ([sample["image"], sample["extra"]], DataError, r"'extra'.*\(5,\).*\(6, 6, 2\)"),
        (sample | {"extra": np.full(5, np.nan)}, NonFiniteDataError, "'extra'.*NaN"),
    ):
        with pytest.raises(error, match=words):
            trainer.predict(given)
    for images, labels, words in (
        (x | {"extra": x["extra"][:9]}, y, r"x 'extra': 9, x 'image': 12"),
        (x, y[:9], "x: 12, y: 9"),
    ):
        with pytest.raises(DataError, match=words):
            trainer.accuracy(images, labels)


def test_calibration_data_are_checked_input_by_input():
    model = md.prepare(two_inputs())
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = data_of(model)
    for given, words in (
        ({"image": x["image"]}, "calibration.*no 'extra'"),
        (x | {"extra": x["extra"][:, :4]}, r"'extra' of shape \(batch, 5\).*\(12, 4\)"),
    ):
        with pytest.raises(DataError, match=words):
            md.MeDyate("700B", calibration=(given, y), verbose=0).set_model(model)


def test_an_int8_front_has_ranges_of_its_own_for_each_input(tmp_path):
    model, medyate, x, _ = ready(two_inputs(), layers=["body"])
    x["image"] *= 50.0  # by the range of the other input nothing would be left of it
    for representative in (x, [x["extra"], x["image"]]):
        options = {"frozen": "int8", "representative_data": representative}
        assert md.check_export(model, medyate, **options)
    bundle = md.export(model, tmp_path / "out", medyate, **options)
    assert bundle.manifest.sample.dtype == "float32"
    trainer = md.simulate.TFLMTrainer(bundle)
    found = [trainer.predict(sample_of(x, index)) for index in range(SAMPLES)]
    np.testing.assert_allclose(found, model(x), atol=0.05)
