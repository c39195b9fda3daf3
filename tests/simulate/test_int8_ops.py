"""Our int8 ops against TensorFlow Lite's reference kernels (ai-edge-litert, BUILTIN_REF): no bit
may differ. Graphs of built-in ops say the same as ours, with quantization at their tensors.
"""

import dataclasses
import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter as LiteRT
from ai_edge_litert.interpreter import OpResolverType
from simulate_graph import Graph

from tf_medyate.exporter.ir.graph import Graph as IrGraph
from tf_medyate.exporter.ir.nodes import OpNode, Tensor
from tf_medyate.exporter.ir.values import Quantization
from tf_medyate.exporter.lower.quantization import (
    add_options,
    requantization,
    scale_with_room,
)
from tf_medyate.exporter.memory.planner import plan_memory
from tf_medyate.exporter.ops import int8_schema
from tf_medyate.exporter.write.tflite import to_tflite
from tf_medyate.sample_type import INT8, SampleType
from tf_medyate.simulate import Interpreter, InterpreterError

seeds = st.integers(0, 2**32 - 1)
settings = hypothesis.settings(max_examples=30)


def litert(tensors, op, x):
    """Output of a graph of one built-in op in the reference kernels; inputs in their order."""
    graph = IrGraph("one_op", tensors, (op,))
    content = to_tflite(graph, plan_memory(graph))
    interpreter = LiteRT(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    by_name = {detail["name"]: detail["index"] for detail in interpreter.get_input_details()}
    for name, values in x.items():
        interpreter.set_tensor(by_name[name], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def ours(op, options, inputs, shape, dtype=np.int8, constants=(), scratch=0):
    g = Graph()
    names = [g.input(x.shape, x.dtype) for x in inputs]
    names += [g.constant(values) for values in constants]
    outputs = [g.tensor(shape, dtype)]
    if scratch:
        outputs.append(g.tensor([scratch], np.uint8))
    g.op(op, op.options.pack(**options), names, outputs)
    return Interpreter(g.bytes(outputs[:1])).run(*inputs)[0]


def some_int8(rng, shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def same_axis(rng, dilated=True):
    """(size, out, kernel, stride, dilation, padding before) as TensorFlow pads, or without."""
    size, kernel = int(rng.integers(1, 10)), int(rng.integers(1, 5))
    stride = int(rng.integers(1, 4))
    dilation = int(rng.integers(1, 3)) if dilated and stride == 1 else 1
    out = -(-size // stride)
    before = max(0, (out - 1) * stride + (kernel - 1) * dilation + 1 - size) // 2
    return size, out, kernel, stride, dilation, before


@dataclasses.dataclass
class Layer:
    tensors: tuple
    op: OpNode
    options: dict
    x: np.ndarray
    weights: np.ndarray
    table: np.ndarray


def random_layer(seed, depthwise):
    rng = np.random.default_rng(seed)
    (ih, oh, kh, sh, dh, _), (iw, ow, kw, sw, dw, _) = same_axis(rng), same_axis(rng)
    if sh * sw > 1:  # TensorFlow Lite has strides or dilations
        dh = dw = 1
    channels = int(rng.integers(1, 10))
    outputs = channels * int(rng.integers(1, 3)) if depthwise else int(rng.integers(1, 10))
    shape = (1, kh, kw, outputs) if depthwise else (outputs, kh, kw, channels)
    axis = 3 if depthwise else 0
    x, weights = some_int8(rng, (1, ih, iw, channels)), some_int8(rng, shape)
    x_q = Quantization(
        (float(np.float32(rng.uniform(0.001, 0.1))),), (int(rng.integers(-128, 128)),)
    )
    scales = rng.uniform(0.0005, 0.02, outputs).astype(np.float32)
    room = float(rng.uniform(0.002, 0.2) * math.sqrt(kh * kw * channels))
    y_scale = scale_with_room(room, x_q.scale[0], scales)
    y_q = Quantization((y_scale,), (int(rng.integers(-128, 128)),))
    bias = rng.integers(-20000, 20000, outputs).astype(np.int32)
    bias_scales = tuple(float(np.float32(x_q.scale[0]) * s) for s in scales)
    tensors = (
        Tensor("x", x.shape, "int8", "input", x_q),
        Tensor(
            "w", shape, "int8", "constant",
            Quantization(tuple(map(float, scales)), (0,) * outputs, axis), weights,
        ),
        Tensor(
            "b", (outputs,), "int32", "constant",
            Quantization(bias_scales, (0,) * outputs), bias,
        ),
        Tensor("y", (1, oh, ow, outputs), "int8", "output", y_q),
    )  # fmt: skip
    attributes = {
        "padding": "SAME",
        "stride_h": sh,
        "stride_w": sw,
        "dilation_h_factor": dh,
        "dilation_w_factor": dw,
    }
    if depthwise:
        attributes["depth_multiplier"] = outputs // channels
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    options = {
        "input_channels": channels,
        "output_channels": outputs,
        "input_size": (ih, iw),
        "output_size": (oh, ow),
        "kernel_size": (kh, kw),
        "stride": (sh, sw),
        "dilation": (dh, dw),
        "padding": (
            max(0, (oh - 1) * sh + (kh - 1) * dh + 1 - ih) // 2,
            max(0, (ow - 1) * sw + (kw - 1) * dw + 1 - iw) // 2,
        ),
        "input_zero": x_q.zero_point[0],
        "output_zero": y_q.zero_point[0],
    }
    table = requantization(bias, x_q.scale[0], scales, y_scale)
    op = OpNode(kind, ("x", "w", "b"), ("y",), attributes=attributes)
    return Layer(tensors, op, options, x, weights, table)


@settings
@hypothesis.given(seeds)
def test_convolutions_are_the_reference_kernel_bit_for_bit(seed):
    layer = random_layer(seed, depthwise=False)
    shape = layer.tensors[-1].shape
    scratch = int8_schema.int8_patch_bytes(math.prod(layer.weights.shape[1:]))
    constants = (layer.weights, layer.table)
    got = ours(
        int8_schema.INT8_CONV_2D,
        layer.options,
        [layer.x],
        shape,
        constants=constants,
        scratch=scratch,
    )
    np.testing.assert_array_equal(got, litert(layer.tensors, layer.op, {"x": layer.x}))


@settings
@hypothesis.given(seeds)
def test_depthwise_convolutions_are_the_reference_kernel_bit_for_bit(seed):
    layer = random_layer(seed, depthwise=True)
    shape = layer.tensors[-1].shape
    constants = (layer.weights, layer.table)
    got = ours(
        int8_schema.INT8_DEPTHWISE_CONV_2D, layer.options, [layer.x], shape, constants=constants
    )
    np.testing.assert_array_equal(got, litert(layer.tensors, layer.op, {"x": layer.x}))


@settings
@hypothesis.given(seeds)
def test_sums_are_the_reference_kernel_bit_for_bit(seed):
    rng = np.random.default_rng(seed)
    shape = (1, 5, 7, 16)
    quantizations = [
        Quantization((float(np.float32(rng.uniform(0.01, 0.2))),), (int(rng.integers(-128, 128)),))
        for _ in range(3)
    ]
    a, b = some_int8(rng, shape), some_int8(rng, shape)
    names = zip("aby", ("input", "input", "output"), quantizations, strict=True)
    tensors = tuple(Tensor(name, shape, "int8", kind, q) for name, kind, q in names)
    op = OpNode("ADD", ("a", "b"), ("y",))
    wanted = litert(tensors, op, {"a": a, "b": b})
    options = add_options(*quantizations)
    np.testing.assert_array_equal(ours(int8_schema.INT8_ADD, options, [a, b], shape), wanted)


@settings
@hypothesis.given(seeds, st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
def test_poolings_are_the_reference_kernel_bit_for_bit(seed, kind):
    rng = np.random.default_rng(seed)
    (ih, oh, kh, sh, _, ph), (iw, ow, kw, sw, _, pw) = (same_axis(rng, False) for _ in range(2))
    channels = int(rng.integers(1, 6))
    q = Quantization((0.1,), (int(rng.integers(-128, 128)),))
    x, shape = some_int8(rng, (1, ih, iw, channels)), (1, oh, ow, channels)
    tensors = (
        Tensor("x", x.shape, "int8", "input", q),
        Tensor("y", shape, "int8", "output", q),
    )
    attributes = {
        "padding": "SAME",
        "stride_h": sh,
        "stride_w": sw,
        "filter_height": kh,
        "filter_width": kw,
    }
    wanted = litert(tensors, OpNode(kind, ("x",), ("y",), attributes=attributes), {"x": x})
    options = {
        "channels": channels,
        "input_size": (ih, iw),
        "output_size": (oh, ow),
        "window": (kh, kw),
        "stride": (sh, sw),
        "padding": (ph, pw),
        "keeps_choices": 0,
    }
    op = {
        "AVERAGE_POOL_2D": int8_schema.INT8_AVERAGE_POOL_2D,
        "MAX_POOL_2D": int8_schema.INT8_MAX_POOL_2D,
    }[kind]
    np.testing.assert_array_equal(ours(op, options, [x], shape), wanted)


@settings
@hypothesis.given(seeds)
def test_quantizing_and_back_are_the_reference_kernels_bit_for_bit(seed):
    rng = np.random.default_rng(seed)
    q = Quantization(
        (
            float(
                np.float32(rng.choice([0.125, 0.0371, 1.7])),
            ),
        ),
        (int(rng.integers(-128, 128)),),
    )
    # Some of them half a step between two numbers.
    x = (rng.integers(-400, 400, (1, 300)) * np.float32(q.scale[0] / 2)).astype(np.float32)
    x[0, :100] += rng.normal(size=100).astype(np.float32)
    options = {"scale": q.scale[0], "zero": q.zero_point[0]}
    stored = Tensor("y", x.shape, "int8", "output", q)
    wanted = litert(
        (Tensor("x", x.shape, kind="input"), stored), OpNode("QUANTIZE", ("x",), ("y",)), {"x": x}
    )
    got = ours(int8_schema.QUANTIZE, options, [x], x.shape)
    np.testing.assert_array_equal(got, wanted)
    # What a host makes of a sample before it sends it.
    np.testing.assert_array_equal(SampleType(INT8, **options).stored(x), wanted, strict=True)
    back = litert(
        (dataclasses.replace(stored, kind="input"), Tensor("z", x.shape, kind="output")),
        OpNode("DEQUANTIZE", ("y",), ("z",)),
        {"y": got},
    )
    real = ours(int8_schema.DEQUANTIZE, options, [got], x.shape, np.float32)
    np.testing.assert_array_equal(real, back)


def test_what_is_not_a_number_or_beyond_all_is_held_within_8_bits():
    x = np.array([[np.nan, np.inf, -np.inf, 3e38, -3e38]], np.float32)
    got = ours(int8_schema.QUANTIZE, {"scale": 0.5, "zero": 3}, [x], x.shape)
    np.testing.assert_array_equal(got, [[3, 127, -128, 127, -128]])
    host = SampleType(INT8, scale=0.5, zero=3).stored(x[:, 3:])
    np.testing.assert_array_equal(host, got[:, 3:])


@pytest.mark.parametrize(
    ("row", "value", "message"),
    [
        (0, 2**30, "bias: expected"),
        (1, -1, "multiplier: expected 0"),
        (2, 0, "shift: expected 1 to 31, received 0"),
        (2, 32, "shift: expected 1 to 31, received 32"),
    ],
)
def test_a_sum_that_could_leave_its_range_is_refused(row, value, message):
    layer = random_layer(3, depthwise=True)
    layer.table[row, 0] = value
    with pytest.raises(InterpreterError, match=message):
        ours(
            int8_schema.INT8_DEPTHWISE_CONV_2D,
            layer.options,
            [layer.x],
            layer.tensors[-1].shape,
            constants=(layer.weights, layer.table),
        )
