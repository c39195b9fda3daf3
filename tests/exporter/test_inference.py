"""Inference-only files: same outputs as Keras in LiteRT and TFLM, built-in ops only."""

import keras
import numpy as np
import pytest
import random_models
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_micro.python.tflite_micro import runtime

import tf_medyate as md
from tf_medyate import errors
from tf_medyate.exporter import write_inference
from tf_medyate.exporter.write import inference
from tf_medyate.private_apis import tflite_schema

schema = tflite_schema()

# Probabilities of nets whose logits are about 10 at most: float32 rounds those to 6e-7, some ten
# layers deep. Keras, LiteRT and TFLM sum in different orders. Measured: 1e-6.
ROUNDING = 1e-5
# One step of the softmax output is 1/256; activations are off by half a step in every layer.
INT8_ERROR = 0.1
AGREEMENT = 0.8


def builtin_ops_only(data: bytes) -> bool:
    codes = schema.ModelT.InitFromPackedBuf(data).operatorCodes
    return all(code.builtinCode != schema.BuiltinOperator.CUSTOM for code in codes)


def predict(data: bytes, *inputs: np.ndarray) -> np.ndarray:
    """Outputs of every sample in LiteRT; int8 in- and outputs are converted."""
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    [out] = interpreter.get_output_details()
    details = sorted(interpreter.get_input_details(), key=lambda d: d["name"])
    results = []
    for sample in zip(*inputs, strict=True):
        for detail, values in zip(details, sample, strict=True):
            interpreter.set_tensor(detail["index"], quantized(values[None], detail))
        interpreter.invoke()
        results.append(real(interpreter.get_tensor(out["index"]), out)[0])
    return np.array(results)


def quantized(values: np.ndarray, detail: dict) -> np.ndarray:
    if detail["dtype"] != np.int8:
        return values
    scale, zero = detail["quantization"]
    return np.clip(np.round(values / scale + zero), -128, 127).astype(np.int8)


def real(values: np.ndarray, detail: dict) -> np.ndarray:
    scale, zero = detail["quantization"]
    return scale * (values.astype(np.float32) - zero) if values.dtype == np.int8 else values


def predict_tflm(data: bytes, x: np.ndarray) -> np.ndarray:
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 20)
    outputs = []
    for sample in x:
        interpreter.set_input(sample[None], 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0)[0])
    return np.array(outputs)


def keras_predict(model: keras.Model, x) -> np.ndarray:
    return np.asarray(model(x, training=False))


@settings(max_examples=8)
@given(st.integers(0, 1000))
def test_float_outputs_equal_keras(tmp_path_factory, seed):
    path = tmp_path_factory.mktemp("float") / "m.tflite"
    model = random_models.random_model(seed)
    x, _ = random_models.random_data(model, 8)
    assert write_inference(model, path) == path.stat().st_size
    data = path.read_bytes()
    assert builtin_ops_only(data)
    expected = keras_predict(model, x)
    np.testing.assert_allclose(predict(data, x), expected, atol=ROUNDING)
    np.testing.assert_allclose(predict_tflm(data, x), expected, atol=ROUNDING)


@pytest.mark.parametrize("build", [md.zoo.watch_cnn, md.zoo.ds_cnn, md.zoo.resnet8])
@pytest.mark.parametrize("int8", [False, True])
def test_zoo_nets_go_through(tmp_path, build, int8):
    keras.utils.set_random_seed(0)
    model = build()
    random_models.randomise_norms(model, np.random.default_rng(0))
    x, _ = random_models.random_data(model, 24)
    write_inference(model, tmp_path / "m.tflite", x, int8=int8)
    data = (tmp_path / "m.tflite").read_bytes()
    assert builtin_ops_only(data)
    got, expected = predict(data, x), keras_predict(model, x)
    np.testing.assert_allclose(got, expected, atol=INT8_ERROR if int8 else ROUNDING)
    [incoming] = Interpreter(model_content=data).get_input_details()
    [outgoing] = Interpreter(model_content=data).get_output_details()
    tflm = real(predict_tflm(data, quantized(x[:4], incoming)), outgoing)
    np.testing.assert_allclose(tflm, expected[:4], atol=INT8_ERROR if int8 else ROUNDING)


def test_int8_agrees_with_keras_and_runs_in_tflm(tmp_path):
    model = random_models.small_net()
    x, _ = random_models.random_data(model, 200)
    size = write_inference(model, tmp_path / "f.tflite")
    assert write_inference(model, tmp_path / "q.tflite", x, int8=True) < size
    data = (tmp_path / "q.tflite").read_bytes()
    for tensor in schema.ModelT.InitFromPackedBuf(data).subgraphs[0].tensors:
        assert tensor.type in (schema.TensorType.INT8, schema.TensorType.INT32)
    got, expected = predict(data, x), keras_predict(model, x)
    assert np.mean(got.argmax(1) == expected.argmax(1)) >= AGREEMENT
    np.testing.assert_allclose(got, expected, atol=INT8_ERROR)
    interpreter = Interpreter(model_content=data)
    [incoming], [outgoing] = interpreter.get_input_details(), interpreter.get_output_details()
    tflm = real(predict_tflm(data, quantized(x[:20], incoming)), outgoing)
    # Kernels of the two runtimes may round a value to either neighbour: some steps in the end.
    np.testing.assert_allclose(tflm, got[:20], atol=4 * outgoing["quantization"][0])


def test_names_that_no_saved_model_takes_are_written(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="_first")])
    x = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    write_inference(model, tmp_path / "m.tflite", x, int8=True)
    assert (tmp_path / "m.tflite").exists()


def test_representative_data_may_be_a_data_set_or_a_function(tmp_path):
    model = random_models.small_net()
    x, y = random_models.random_data(model, 8)
    pairs = tf.data.Dataset.from_tensor_slices((x, y))
    given = [
        x,
        pairs,
        pairs.batch(3),
        tf.data.Dataset.from_tensor_slices(x),
        lambda: ([sample[None]] for sample in x),
        lambda: iter(x),
    ]
    for data in given:
        [found] = inference.calibration_samples(model, data, "int8=True")
        np.testing.assert_array_equal(found, x)
    with pytest.raises(errors.EmptyDataError, match="at least one sample"):
        inference.calibration_samples(model, lambda: iter(()), "int8=True")
    with pytest.raises(errors.DataError, match="1 a sample; received 2 arrays"):
        inference.calibration_samples(model, lambda: iter([(x[0], y[0])]), "int8=True")
    with pytest.raises(errors.DataError, match="samples that differ; received one number"):
        inference.calibration_samples(model, np.zeros_like(x), "int8=True")
    endless = pairs.repeat()
    assert len(inference.calibration_samples(model, endless, "int8=True")[0]) == 1000


def test_a_prepared_model_is_written_with_what_its_pool_learned(tmp_path):
    model = md.prepare(random_models.small_net())
    x, y = random_models.random_data(model, 64)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    before = keras_predict(model, x)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[md.MeDyate("4KiB", verbose=0)])
    after = keras_predict(model, x)
    assert np.abs(after - before).max() > 100 * ROUNDING
    write_inference(model, tmp_path / "m.tflite")
    np.testing.assert_allclose(
        predict((tmp_path / "m.tflite").read_bytes(), x), after, atol=ROUNDING
    )


def test_two_inputs(tmp_path):
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    hidden = keras.layers.Concatenate()([keras.layers.Dense(3)(a), b])
    model = keras.Model([a, b], keras.layers.Dense(2, activation="softmax")(hidden))
    rng = np.random.default_rng(0)
    data = [rng.normal(size=(20, n)).astype(np.float32) for n in (4, 3)]
    expected = keras_predict(model, data)
    for int8, error in ((False, ROUNDING), (True, INT8_ERROR)):
        write_inference(model, tmp_path / "m.tflite", data, int8=int8)
        got = predict((tmp_path / "m.tflite").read_bytes(), *data)
        np.testing.assert_allclose(got, expected, atol=error)


def test_bad_representative_data_is_refused(tmp_path):
    model = random_models.small_net()
    x, _ = random_models.random_data(model, 4)
    broken = x.copy()
    broken[1, 2, 3, 0] = np.nan
    for data, error, message in (
        (None, errors.OptionError, "int8=True"),
        (x[0], errors.DataError, "model.fit"),
        (x[..., :2], errors.DataError, "shapes"),
        ([x, x], errors.DataError, "each input"),
        (x[:0], errors.EmptyDataError, "at least one sample"),
        (broken, errors.NonFiniteDataError, "NaN"),
        (x.astype(str), errors.DataError, "numbers"),
    ):
        with pytest.raises(error, match=message):
            write_inference(model, tmp_path / "m.tflite", data, int8=True)
    assert not list(tmp_path.iterdir())


def test_logits_that_would_abort_tflm_are_refused(tmp_path):
    model = random_models.small_net()
    model.get_layer("head").kernel.assign(model.get_layer("head").kernel * 1e-9)
    x, _ = random_models.random_data(model, 4)
    write_inference(model, tmp_path / "float.tflite")
    with pytest.raises(errors.DataError, match="Train the model first"):
        write_inference(model, tmp_path / "m.tflite", x, int8=True)


def test_bad_models_and_paths_are_refused(tmp_path):
    model = random_models.small_net()
    with pytest.raises(errors.OptionError, match="existing directory"):
        write_inference(model, tmp_path / "nowhere" / "m.tflite")
    with pytest.raises(errors.OptionError, match="existing directory"):
        write_inference(model, tmp_path)
    with pytest.raises(errors.UnsupportedLayerError, match=r"keras\.Model"):
        write_inference("model", tmp_path / "m.tflite")  # type: ignore[arg-type]
    both_ways = keras.layers.Bidirectional(keras.layers.LSTM(2))
    nothing_to_train = keras.Sequential([keras.Input((4, 3)), both_ways])
    with pytest.raises(errors.UnsupportedLayerError):
        write_inference(nothing_to_train, tmp_path / "m.tflite")


def test_what_the_converter_refuses_becomes_our_error(tmp_path, monkeypatch):
    import tensorflow as tf

    def fail(self):
        raise RuntimeError("noise\nop Foo is not built in")

    monkeypatch.setattr(tf.lite.TFLiteConverter, "convert", fail, raising=False)
    traced = type(tf.lite.TFLiteConverter.from_concrete_functions([_identity()], tf.Module()))
    monkeypatch.setattr(traced, "convert", fail)
    with pytest.raises(errors.UnsupportedLayerError, match="op Foo is not built in"):
        write_inference(random_models.small_net(), tmp_path / "m.tflite")


def _identity():
    import tensorflow as tf

    return tf.function(tf.identity).get_concrete_function(tf.TensorSpec((1,), tf.float32))
