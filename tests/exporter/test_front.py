"""Whatever stands in front of what is trained runs as TFLM's built-in ops, in the same graph."""

import keras
import numpy as np
import pytest
from arduino_build import STAND_INS, run
from cpp_build import HOST

import tf_medyate as md
from tf_medyate.errors import UnsupportedLayerError
from tf_medyate.exporter.write.tflm_library import builtin_of

pytestmark = pytest.mark.usefixtures("quick_export")

L = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RNG = np.random.default_rng(0)


def front(build, shape=(5, 6), dtype="float32", **options):
    """A model of some layers in front of a trained body and head, its callback and data."""
    inputs = keras.Input(shape, dtype=dtype)
    x = L.Flatten()(build(inputs))
    x = L.Dense(6, activation="relu", name="body")(x)
    model = md.prepare(keras.Model(inputs, L.Dense(3, name="head")(x)))
    model.compile(keras.optimizers.SGD(0.05), LOSS)
    x = RNG.normal(size=(8, *shape)) if dtype == "float32" else RNG.integers(0, 9, (8, *shape))
    data = x.astype(dtype), RNG.integers(0, 3, 8)
    medyate = md.MeDyate("512B", layers=["body"], verbose=0, seed=1, **options)
    medyate.set_model(model)
    return model, medyate, data


def text(words):
    """Embedding, both directions, attention over a masked recurrence: four kinds of islands."""
    x = L.Embedding(9, 6)(words)
    x = L.Bidirectional(L.GRU(3, return_sequences=True))(x)
    x = L.LSTM(5, return_sequences=True, name="lstm")(x)
    x = L.MultiHeadAttention(2, 3)(x, x)
    return L.LayerNormalization()(x)


def test_fifty_steps_behind_a_frozen_front_are_those_of_keras(tmp_path):
    model, medyate, (x, y) = front(text, (5,), "int32")
    bundle = md.export(model, tmp_path / "out", medyate)
    trainer = md.simulate.TFLMTrainer(bundle)
    assert trainer.arena_bytes <= bundle.arena.total_bytes <= 1.03 * trainer.arena_bytes
    medyate.begin_epoch()
    for step in range(50):
        sample, label = x[step % 8], y[step % 8]
        loss = model.train_on_batch(sample[None], np.array([label]), return_dict=True)["loss"]
        model.reset_metrics()
        assert abs(trainer.step(sample, int(label)) - loss) <= 1e-4 * max(1.0, loss)
    trainer.end_epoch()
    medyate.end_epoch()
    again = md.prepare(md.strip(model))
    trainer.copy_to(again)
    for either in (model, again):
        np.testing.assert_allclose(trainer.predict(x[0]), either(x[:1])[0], atol=1e-4)


class Doubled(L.ReLU):
    def call(self, inputs):
        return 2 * super().call(inputs)


class Reflected(L.ZeroPadding1D):
    def call(self, inputs):
        return keras.ops.pad(inputs, [[0, 0], self.padding, [0, 0]], mode="reflect")


# Each with the numbers that TFLM and Keras have to agree on.
LAYERS = {
    "simple rnn": lambda x: L.SimpleRNN(4, go_backwards=True)(x),
    "slice": lambda x: x[:, 1:4, ::2],
    "own": lambda x: L.Lambda(lambda v: keras.ops.log(keras.ops.abs(v) + 1.0), (5, 6))(x),
    "two outputs": lambda x: L.Subtract()(keras.ops.split(x, 2, axis=-1)),
    "norm": lambda x: L.GroupNormalization(2)(x),
    "transposed": lambda x: L.Conv1DTranspose(3, 2)(x),
    "masked mean": lambda x: L.GlobalAveragePooling1D()(x, mask=x[:, :, 0] > 0),
    "masked softmax": lambda x: L.Softmax()(x, mask=x > 0),
    # Not fused with the convolution, as the classes that they are made of.
    "a relu of one's own": lambda x: Doubled()(L.Conv1D(6, 1)(x)),
    "a padding of one's own": lambda x: L.Conv1D(3, 3)(Reflected(1)(x)),
}


def test_layers_without_an_op_of_ours_give_what_keras_gives(tmp_path):
    def build(x):
        return L.Concatenate()([L.Flatten()(make(x)) for make in LAYERS.values()])

    model, medyate, (x, _) = front(build)
    bundle = md.export(model, tmp_path / "out", medyate)
    trainer = md.simulate.TFLMTrainer(bundle)
    assert trainer.arena_bytes <= bundle.arena.total_bytes <= 1.03 * trainer.arena_bytes
    np.testing.assert_allclose(trainer.predict(x[0]), model(x[:1])[0], atol=1e-4)


def test_a_board_without_tflm_is_refused_by_name_and_the_library_names_the_ops(tmp_path):
    model, medyate, _ = front(lambda x: L.Lambda(keras.ops.cos, (5, 6))(x))
    with pytest.raises(UnsupportedLayerError, match=r"COS.*--tflm"):
        md.check_export(model, medyate, firmware=md.FirmwareOptions())
    with pytest.raises(UnsupportedLayerError, match="COS"):
        md.check_export(model, medyate, firmware=md.FirmwareOptions(arduino=True, tflm=True))
    bundle = md.export(model, tmp_path / "out", medyate, firmware=md.FirmwareOptions(tflm=True))
    assert "MeDyateTFLM" in str(bundle)
    source = tmp_path / "out/tflm/MeDyateTFLM/src"
    assert "resolver->AddCos()" in (source / "medyate_tflm.h").read_text()
    include = (f"-I{source}", f"-I{STAND_INS}", "-std=c++14", "-fsyntax-only")
    run([HOST.compiler, *include, str(STAND_INS / "tflm_test.cc")], tmp_path)
    assert not (tmp_path / "out/cpp").exists()
    assert builtin_of((tmp_path / "out/train.tflite").read_bytes()) == ("Cos",)


REFUSED = {
    "lambda.*POW": lambda x: L.Lambda(lambda v: v**3.1, (5, 6), name="lambda")(x),
    "lambda.*subgraphs": lambda x: L.Lambda(_looped, (6,), name="lambda")(x),
    r"gru.*inputs of one shape.*\(3, 6\)\] and \[\(5, 6\)": lambda x: _twice(
        L.GRU(2, name="gru"), x
    ),
    "half.*expected float32.*float16": lambda x: L.Identity(dtype="float16", name="half")(x),
    "whole.*expected float32.*int32": lambda x: L.Reshape((30,), dtype="int32", name="whole")(x),
}


def _twice(layer, x):
    return L.Concatenate()([layer(x), layer(x[:, :3])])


def _looped(x):
    return keras.ops.while_loop(lambda v: keras.ops.sum(v) < 9, lambda v: [v * 2 + 1], [x])[0][:, 0]


@pytest.mark.parametrize("what", REFUSED)
def test_what_tflm_cannot_run_is_refused_before_training_by_name(what):
    model, medyate, _ = front(REFUSED[what])
    with pytest.raises(UnsupportedLayerError, match=what):
        md.check_export(model, medyate)


def test_samples_may_be_floats_of_any_width():
    model, medyate, _ = front(lambda x: x, dtype="float64")
    md.check_export(model, medyate)


def test_trained_recurrence_and_layers_in_the_middle_are_refused_by_name():
    inputs = keras.Input((5, 6))
    x = L.LSTM(4, return_sequences=True, name="lstm")(L.Dense(5, name="deep")(inputs))
    x = L.LayerNormalization(name="norm")(x)
    model = md.prepare(keras.Model(inputs, L.Dense(3, name="head")(L.Flatten()(x))))
    model.compile("sgd", LOSS)
    for layers, refused in ((["lstm.recurrent"], "lstm.recurrent"), (["deep"], "lstm.recurrent")):
        medyate = md.MeDyate("4KiB", layers=layers, verbose=0)
        with pytest.raises(UnsupportedLayerError, match=f"'{refused}'.*layers="):
            md.check_export(model, medyate)
