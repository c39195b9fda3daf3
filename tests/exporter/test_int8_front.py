"""frozen="int8": the front in 8 bits, and a step behind it that equals one of the rest alone."""

import keras
import numpy as np
import pytest
from cases import Case
from cpp_build import CORTEX_M4F, HOST
from cpp_training import assert_as_in_tflm, export_both, read_output

import tf_medyate as md
from tf_medyate.errors import OptionError
from tf_medyate.exporter import bundle as bundle_module
from tf_medyate.exporter.lower.calibration import measure_ranges
from tf_medyate.exporter.lower.recipe import recipe_of
from tf_medyate.exporter.lower.step import lower_training
from tf_medyate.simulate import TFLMTrainer

L = keras.layers


@pytest.fixture(autouse=True)
def quick_export(monkeypatch):
    """Leaves the inference files out: these tests are about train.tflite."""
    monkeypatch.setattr(bundle_module, "write_inference", lambda _, path, *a, **k: path.touch())


def front(x):
    x = L.ReLU()(L.Conv2D(8, 3, strides=2, padding="same")(x))
    y = L.DepthwiseConv2D(3, padding="same", activation="relu6")(L.Conv2D(24, 1)(x))
    x = L.ReLU()(L.Add()([x, L.Conv2D(8, 1)(y)]))
    return L.MaxPooling2D()(x)


def rest(x):
    return L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(x))


def ready(inputs, outputs):
    model = md.prepare(keras.Model(inputs, outputs))
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    medyate = md.MeDyate(None, "head", verbose=0)
    medyate.set_model(model)
    return model, medyate


@pytest.fixture
def nets():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((16, 16, 3))
    features = front(inputs)
    whole = ready(inputs, rest(features))
    x = np.random.default_rng(0).normal(size=(20, 16, 16, 3)).astype(np.float32)
    return whole, x, np.arange(20) % 3


def test_the_front_is_int8_up_to_the_trained_head(nets):
    (model, medyate), x, _ = nets
    for layer in md.layer_specs(model)[:3]:  # a channel that died: nothing but its bias
        kernel, bias = model.get_layer(layer.name).kernel, model.get_layer(layer.name).bias
        kernel.assign(kernel.numpy() * (np.arange(kernel.shape[-1]) > 0))
        bias.assign(np.ones(bias.shape, np.float32))
    recipe = recipe_of(model, medyate)
    plain = lower_training(model, recipe).graph
    graph = lower_training(model, recipe, ranges=measure_ranges(model, x)).graph
    kinds = [op.kind for op in graph.ops]
    assert kinds.count("MEDYATE_INT8_CONV_2D") == 2
    assert kinds.count("MEDYATE_INT8_CONV_DEPTHWISE") == 1
    assert kinds.count("MEDYATE_QUANTIZE") == kinds.count("MEDYATE_DEQUANTIZE") == 1
    floats = [t for t in graph.tensors if t.kind == "constant" and t.dtype == "float32"]
    assert sum(t.elements for t in floats) < 40, "the head and the optimizer's words"
    assert len(plain.ops) > 0


def test_a_step_learns_as_the_float_one_does(nets, tmp_path):
    (model, medyate), x, y = nets
    data = {"representative_data": x}
    ours = TFLMTrainer(md.export(model, tmp_path / "int8", medyate, frozen="int8", **data))
    plain = TFLMTrainer(md.export(model, tmp_path / "float", medyate, **data))
    losses = [[t.step(a, b) for a, b in zip(x, y, strict=True)] for t in (ours, plain)]
    # Seven tensors on the way, each within half a step of 255.
    np.testing.assert_allclose(*losses, atol=0.05)
    assert not np.array_equal(*losses)


def test_it_needs_data_and_a_known_dtype(nets, tmp_path):
    (model, medyate), x, _ = nets
    with pytest.raises(OptionError, match="representative_data"):
        md.export(model, tmp_path / "a", medyate, frozen="int8")
    with pytest.raises(OptionError, match="frozen"):
        md.check_export(model, medyate, frozen="int4", representative_data=x)


def test_tflm_the_static_runner_and_a_cortex_m4f_give_the_same_bits(nets, tmp_path):
    (model, medyate), x, y = nets
    exported = export_both(Case(model, medyate, x, y), tmp_path, "int8")
    written = []
    for toolchain in (HOST, CORTEX_M4F):
        toolchain.require()
        folder = tmp_path / toolchain.compiler
        folder.mkdir()
        program = toolchain.program(exported.cpp.folder, toolchain.library(folder))
        written.append(toolchain.output(program, exported.input(2)))
    assert written[0] == written[1]
    assert_as_in_tflm(read_output(written[0], exported, 2), exported)
