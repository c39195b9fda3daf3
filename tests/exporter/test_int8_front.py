"""frozen="int8": the front in 8 bits, and a step behind it that equals one of the rest alone."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter as LiteRT
from ai_edge_litert.interpreter import OpResolverType
from cases import Case
from cpp_training import assert_same_bits_everywhere
from exported import lower

import tf_medyate as md
from tf_medyate.errors import OptionError
from tf_medyate.exporter.ir.graph import Graph
from tf_medyate.exporter.ir.nodes import OpNode, Tensor
from tf_medyate.exporter.ir.values import Quantization
from tf_medyate.exporter.lower import weighted
from tf_medyate.exporter.lower.calibration import measure_ranges
from tf_medyate.exporter.lower.int8_weights import INT8_TWINS
from tf_medyate.exporter.lower.quantization import quantized_weights
from tf_medyate.exporter.lower.recipe import recipe_of
from tf_medyate.exporter.lower.step import lower_training
from tf_medyate.exporter.memory.planner import plan_memory
from tf_medyate.exporter.ops import int8_schema
from tf_medyate.exporter.write.tflite import to_tflite
from tf_medyate.sample_type import SampleType
from tf_medyate.simulate import Interpreter, TFLMTrainer

pytestmark = pytest.mark.usefixtures("quick_export")
L = keras.layers


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
    assert kinds.count("MEDYATE_INT8_CONV_2D") == 1
    assert kinds.count("MEDYATE_INT8_BOTTLENECK") == 1
    assert kinds.count("MEDYATE_QUANTIZE") == 0
    assert kinds.count("MEDYATE_DEQUANTIZE") == 1
    assert graph.tensor("sample").dtype == "int8", "nothing else reads it"
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


@pytest.mark.parametrize("alone", [True, False])
def test_a_rescaling_in_front_is_part_of_the_sample_unless_floats_are_read_elsewhere(alone):
    inputs = keras.Input((6, 6, 2))
    x = L.Rescaling(1 / 127.5, offset=-1.0, name="scaled")(inputs)
    y = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu")(x))
    y = y if alone else L.Concatenate()([y, L.Softmax()(L.Flatten()(inputs))])
    model, medyate = ready(inputs, L.Dense(3, activation="softmax")(y))
    pictures = np.random.default_rng(0).integers(0, 256, (8, 6, 6, 2)).astype(np.uint8)
    ranges = measure_ranges(model, pictures.astype(np.float32))
    training = lower_training(model, recipe_of(model, medyate), ranges=ranges)
    kinds, dtype = [op.kind for op in training.graph.ops], training.graph.tensor("sample").dtype
    assert dtype == training.sample.dtype == ("int8" if alone else "float32")
    assert ("MEDYATE_QUANTIZE" in kinds) is not alone
    if alone:
        scaled = np.asarray(model.get_layer("scaled")(pictures.astype(np.float32)))
        q = ranges["scaled"]
        wanted = SampleType("int8", scale=q.scale[0], zero=q.zero_point[0]).stored(scaled)
        np.testing.assert_array_equal(training.sample.stored(pictures), wanted)
        assert len(np.unique(wanted)) > 100, "no byte that matters is lost"


def test_it_needs_data_and_a_known_dtype(nets, tmp_path):
    (model, medyate), x, _ = nets
    with pytest.raises(OptionError, match="representative_data"):
        md.export(model, tmp_path / "a", medyate, frozen="int8")
    with pytest.raises(OptionError, match="frozen"):
        md.check_export(model, medyate, frozen="int4", representative_data=x)


@pytest.fixture
def border():
    """Two trained layers and a sum read what the front made."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((24, 24, 3))
    x = front(inputs)
    y = L.Conv2D(8, 3, padding="same", activation="relu", name="conv")(x)
    z = L.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    model = md.prepare(keras.Model(inputs, rest(L.Add()([x, y, z]))))
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    medyate = md.MeDyate("3KiB", "d-full-random", layers=["conv", "depthwise"], verbose=0)
    medyate.set_model(model)
    x = np.random.default_rng(0).normal(size=(8, 24, 24, 3)).astype(np.float32)
    return Case(model, medyate, x, np.arange(8) % 3)


def test_the_first_trained_layers_read_int8_as_they_would_its_floats(border, tmp_path, monkeypatch):
    def train(folder):
        data = {"frozen": "int8", "representative_data": border.x}
        trainer = TFLMTrainer(md.export(border.model, tmp_path / folder, border.medyate, **data))
        losses = [trainer.step(x, y) for x, y in zip(border.x, border.y, strict=True)]
        assert len(set(losses)) > 1
        trainer.end_epoch()
        return losses, trainer.weights()

    losses, weights = train("direct")
    monkeypatch.setattr(weighted, "reads_int8", lambda low, node: False)
    wanted_losses, wanted = train("floats")
    assert losses == wanted_losses
    for name, (kernel, _) in wanted.items():
        np.testing.assert_array_equal(weights[name][0], kernel)
        moved = kernel != border.model.get_layer(name).kernel.numpy()
        assert moved.any(), "it was trained"


def test_tflm_the_static_runner_and_a_cortex_m4f_give_the_same_bits(border, tmp_path):
    exported = assert_same_bits_everywhere(border, tmp_path, "int8")
    kinds = [op.kind.removeprefix("MEDYATE_INT8_") for op in exported.training.graph.ops]
    assert {"INPUT_DEPTHWISE_CONV_2D", "INPUT_STASH", "BOTTLENECK"} <= {*kinds}
    assert kinds.index("INPUT_CONV_2D") < kinds.index("MEDYATE_DEQUANTIZE"), "for the sum alone"


# --- TensorFlow Lite's reference kernels, and a Keras model behind them


OPTIONS = {op.name: op.options for op in int8_schema.INT8_OPS}
BUILT_IN = {
    "MEDYATE_QUANTIZE": "QUANTIZE",
    "MEDYATE_DEQUANTIZE": "DEQUANTIZE",
    "MEDYATE_INT8_CONV_2D": "CONV_2D",
    "MEDYATE_INT8_DEPTHWISE_CONV_2D": "DEPTHWISE_CONV_2D",
    "MEDYATE_INT8_ADD": "ADD",
    "MEDYATE_INT8_MAX_POOL_2D": "MAX_POOL_2D",
    "MEDYATE_INT8_AVERAGE_POOL_2D": "AVERAGE_POOL_2D",
}


def front_of(training, built_in=None):
    """The int8 ops of a training graph as one of their own, from the sample to floats again."""
    graph = training.graph
    kinds = {*OPTIONS} - {op.name for op in INT8_TWINS.values()}
    ops = [op for op in graph.ops if op.kind in kinds]
    [last] = [op.outputs[0] for op in ops if op.kind == "MEDYATE_DEQUANTIZE"]
    extra = []
    if built_in:
        ops = [built_in(graph, op, extra) for op in ops]
    names = {name for op in ops for name in (*op.inputs, *op.outputs, *op.scratch)}
    tensors = [*(t for t in graph.tensors if t.name in names), *extra]
    kept = {t.name: t for t in tensors}
    kept[last] = dataclasses.replace(kept[last], kind="output")
    whole = Graph("front", tuple(kept.values()), tuple(ops), ("sample",), (last,))
    return to_tflite(whole, plan_memory(whole))


def as_built_in(model):
    """Makes an op of TensorFlow Lite of one of ours, with weights as the layers of a model say."""

    def convert(graph, op, extra):
        fields = OPTIONS[op.kind].unpack(op.attributes["custom_options"])
        kind, inputs, attributes = BUILT_IN[op.kind], op.inputs, {}
        if "stride" in fields:
            attributes = {"padding": "SAME"}
            attributes |= dict(zip(("stride_h", "stride_w"), fields["stride"], strict=True))
        if "window" in fields:
            sides = zip(("filter_height", "filter_width"), fields["window"], strict=True)
            attributes |= {"padding": "VALID", **dict(sides)}
        if kind.endswith("CONV_2D"):
            x, weights, table = (graph.tensor(name) for name in inputs)
            axis = 3 if kind.startswith("DEPTHWISE") else 0
            layer = model.get_layer(weights.name.removesuffix("/weights"))
            kernel = layer.kernel.numpy()
            kernel = kernel.reshape(weights.shape) if axis else np.moveaxis(kernel, -1, 0)
            stored, scales = quantized_weights(kernel, axis, np.zeros(len(table.data[0])))
            np.testing.assert_array_equal(stored, weights.data)
            zeros, x_scale = (0,) * len(scales), np.float32(x.quantization.scale[0])
            q = Quantization(tuple(map(float, scales)), zeros, axis)
            bias_q = Quantization(tuple(float(x_scale * s) for s in scales), zeros)
            names = tuple(f"{op.outputs[0]}/{what}" for what in ("w", "b"))
            extra.append(Tensor(names[0], weights.shape, "int8", "constant", q, stored))
            bias = table.data[0].copy()
            extra.append(Tensor(names[1], bias.shape, "int32", "constant", bias_q, bias))
            inputs = (x.name, *names)
            attributes |= {"depth_multiplier": 1} if axis else {}
        return OpNode(kind, inputs, op.outputs, attributes=attributes)

    return convert


def test_the_whole_front_is_the_reference_kernels_and_what_is_behind_it_learns_as_keras(
    nets, tmp_path
):
    (model, medyate), x, y = nets
    ranges = measure_ranges(model, x)
    training, _ = lower(model, medyate, ranges=ranges)
    ours = Interpreter(front_of(training), 1 << 20)
    apart, _ = lower(model, medyate, ranges=ranges, stream=False)
    content = front_of(apart, as_built_in(model))
    ref = OpResolverType.BUILTIN_REF
    theirs = LiteRT(model_content=content, experimental_op_resolver_type=ref)
    theirs.allocate_tensors()
    features = []
    for sample in x:
        stored = training.sample.stored(sample)[None]
        theirs.set_tensor(theirs.get_input_details()[0]["index"], stored)
        theirs.invoke()
        features.append(theirs.get_tensor(theirs.get_output_details()[0]["index"]).reshape(1, -1))
        np.testing.assert_array_equal(ours.run(stored)[0], features[-1])

    data = {"frozen": "int8", "representative_data": x}
    trainer = TFLMTrainer(md.export(model, tmp_path, medyate, **data), learning_rate=0.1)
    behind = keras.Sequential([keras.Input(features[0].shape[1:]), L.Dense(3, "softmax")])
    head = md.layer_specs(model)[-1].name
    trained = model.get_layer(head)
    behind.layers[-1].set_weights([trained.kernel.numpy(), trained.bias.numpy()])
    weights = [variable.value for variable in behind.layers[-1].trainable_variables]
    for sample, feature, label in zip(x, features, y, strict=True):
        with tf.GradientTape() as tape:
            loss = keras.losses.sparse_categorical_crossentropy(np.array([label]), behind(feature))
        assert trainer.step(sample, label) == pytest.approx(float(loss[0]), rel=1e-4, abs=1e-5)
        for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            weight.assign_sub(0.1 * gradient)
    trainer.commit()
    for got, wanted in zip(trainer.weights()[head], weights, strict=True):
        np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-4, atol=1e-6)
