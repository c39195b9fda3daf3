"""Layers with int8 weights against the float layers with the weights that those stand for: no bit
may differ, however few channels a block holds.
"""

import itertools

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from op_calls import call
from simulate_graph import Graph

from tf_medyate.exporter.lower.int8_weights import INT8_TWINS, block_elements
from tf_medyate.exporter.ops import int8_schema, schema
from tf_medyate.simulate import Interpreter, InterpreterError

seeds = st.integers(0, 2**32 - 1)
LAYERS = {
    "conv": (schema.CONV_2D, schema.CONV_2D_INPUT_GRADIENT),
    "depthwise": (schema.DEPTHWISE_CONV_2D, schema.DEPTHWISE_CONV_2D_INPUT_GRADIENT),
    "dense": (schema.DENSE, schema.DENSE_INPUT_GRADIENT),
}


class Layer:
    """A random layer: options, shapes, weights in 8 bits and what they stand for."""

    def __init__(self, seed, kind):
        self.rng = rng = np.random.default_rng(seed)
        self.channels = int(rng.integers(1, 11))
        outputs = int(rng.integers(1, 11))
        if kind == "depthwise":
            outputs = self.channels * int(rng.integers(1, 4))
        last = outputs // self.channels if kind == "depthwise" else outputs
        self.options = {"selection_offset": schema.STATE_WORDS}
        if kind == "dense":
            self.x, self.y, shape = (1, self.channels), (1, outputs), (self.channels, outputs)
            self.options |= {"inputs": self.channels, "units": outputs}
        else:
            size, kernel = rng.integers(1, 9, 2), rng.integers(1, 4, 2)
            stride = rng.integers(1, 4, 2)
            padding = [int(rng.integers(0, k)) for k in kernel]
            out = [int((n - 1 + p) // s + 1) for n, p, s in zip(size, padding, stride, strict=True)]
            self.x, self.y = (1, *map(int, size), self.channels), (1, *out, outputs)
            shape = (self.channels, *map(int, kernel), last)
            self.options |= {
                "input_channels": self.channels,
                "output_channels": outputs,
                "input_size": self.x[1:3],
                "output_size": self.y[1:3],
                "kernel_size": shape[1:3],
                "stride": tuple(map(int, stride)),
                "dilation": (1, 1),
                "padding": tuple(padding),
            }
        self.stored = rng.integers(-127, 128, shape).astype(np.int8)
        self.scales = rng.uniform(0.001, 0.1, outputs).astype(np.float32)
        each = (
            self.scales.reshape(self.channels, 1, 1, last) if kind == "depthwise" else self.scales
        )
        self.weights = each * self.stored.astype(np.float32)
        self.bias = rng.normal(size=outputs).astype(np.float32)

    def floats(self, shape):
        return self.rng.normal(size=shape).astype(np.float32)


def run(op, options, inputs, constants, outputs):
    """The first output of a graph of one op."""
    g = Graph()
    places = iter([g.input(x.shape, x.dtype) for x in inputs])
    tensors = [next(places) if c is None else g.constant(c) for c in constants]
    made = [g.tensor(shape, dtype) for shape, dtype in outputs]
    g.op(op, op.options.pack(**options), tensors, made)
    return Interpreter(g.bytes(made[:1])).run(*inputs)[0]


@pytest.mark.parametrize("kind", LAYERS)
@hypothesis.settings(max_examples=25)
@hypothesis.given(seeds, st.booleans())
def test_forward_and_gradient_are_those_of_the_float_layer_bit_for_bit(kind, seed, small):
    layer = Layer(seed, kind)
    forward, gradient = LAYERS[kind]
    x, dy, step = layer.floats(layer.x), layer.floats(layer.y), np.array([1], np.int32)
    options = layer.options | {"activation": schema.Activation.RELU6}
    constants = {
        forward: [None, layer.weights, layer.bias],
        gradient: [None, layer.weights, None],
    }
    for op, inputs, shape in ((forward, [x], layer.y), (gradient, [dy, step], layer.x)):
        twin = INT8_TWINS[op]
        block = block_elements(twin, layer.stored.shape)
        if small:  # one channel, or five
            by_output = op is forward and kind != "depthwise"
            each = layer.stored.size // layer.stored.shape[-1 if by_output else 0]
            block = each * int(layer.rng.choice([1, 5]))
        wanted = run(op, options, inputs, constants[op], [(shape, np.float32)])
        ours = [layer.stored if c is layer.weights else c for c in constants[op]]
        outputs = [(shape, np.float32), ((block,), np.float32)]
        got = run(twin, options, inputs, [*ours, layer.scales], outputs)
        np.testing.assert_array_equal(got, wanted)


def test_in_place_a_depthwise_layer_wants_room_for_a_channel_and_the_others_refuse():
    def run_in_place(kind, room):
        layers = (Layer(seed, kind) for seed in itertools.count())
        layer = next(layer for layer in layers if layer.x == layer.y)
        op = INT8_TWINS[LAYERS[kind][0]]
        options, inputs = op.options.pack(**layer.options), [layer.floats(layer.x)]
        given = [layer.stored, layer.bias, layer.scales]
        outputs = [layer.x, (room(layer),)]
        return call(op, options, [*inputs, *given], outputs, in_place=[(0, 0)])

    with pytest.raises(InterpreterError, match="block in place"):
        run_in_place("depthwise", lambda layer: layer.stored[0].size)
    with pytest.raises(InterpreterError, match="an output apart from the input"):
        run_in_place("conv", lambda layer: layer.stored.size)


def test_a_block_holds_four_channels_or_all_and_no_less_than_one():
    op = int8_schema.INT8_WEIGHTS_CONV_2D
    assert block_elements(op, (8, 3, 3, 12)) == 12 * 72, "all"
    assert block_elements(op, (16, 3, 3, 32)) == 4 * 144, "some"
    assert block_elements(op, (480, 1, 1, 64)) == 4 * 480, "four, at least"
    layer = Layer(1, "conv")
    each = layer.stored.size // layer.stored.shape[-1]
    with pytest.raises(InterpreterError, match=f"block: expected {each} to"):
        run(
            op,
            layer.options,
            [layer.floats(layer.x)],
            [None, layer.stored, layer.bias, layer.scales],
            [(layer.y, np.float32), ((each - 1,), np.float32)],
        )
