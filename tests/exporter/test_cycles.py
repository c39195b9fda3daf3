"""The estimate of a step's cycles: what it counts, and that it grows with what is trained."""

import numpy as np
import pytest
from exported import attached
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_model

from tf_medyate.exporter.board import cycles
from tf_medyate.exporter.board.cycles import CYCLES_PER_ELEMENT, CYCLES_PER_MAC, step_cycles
from tf_medyate.exporter.ir.graph import Graph
from tf_medyate.exporter.ir.nodes import OpNode, Tensor
from tf_medyate.exporter.lower.recipe import recipe_of
from tf_medyate.exporter.lower.step import lower_training
from tf_medyate.exporter.ops import int8_schema
from tf_medyate.exporter.ops import schema as op_schema

F32 = np.float32


def conv(channels: int, outputs: int, kernel: int, activation: int) -> Graph:
    """One frozen convolution over a 4x4 map, padded to keep its size."""
    options = op_schema.CONV_2D_OPTIONS.pack(
        input_channels=channels,
        output_channels=outputs,
        input_size=(4, 4),
        output_size=(4, 4),
        kernel_size=(kernel, kernel),
        stride=(1, 1),
        dilation=(1, 1),
        padding=(kernel // 2, kernel // 2),
        activation=activation,
    )
    weights = np.zeros((channels, kernel, kernel, outputs), F32)
    return Graph(
        "conv",
        (
            Tensor("x", (1, 4, 4, channels), kind="input"),
            Tensor("w", weights.shape, kind="constant", data=weights),
            Tensor("y", (1, 4, 4, outputs), kind="output"),
        ),
        (
            OpNode(
                op_schema.CONV_2D.name,
                ("x", "w", ""),
                ("y",),
                attributes={"custom_options": options},
            ),
        ),
    )


def test_a_frozen_layer_costs_its_multiply_accumulates_and_its_activation():
    each = CYCLES_PER_MAC
    assert step_cycles(conv(8, 6, 1, 0)) == round(16 * 8 * 6 * each["pointwise"].forward)
    # 3 taps but for the first and the last of four positions: 10 each way.
    assert step_cycles(conv(8, 6, 3, 0)) == round(10 * 10 * 8 * 6 * each["conv"].forward)
    assert step_cycles(conv(1, 6, 3, 0)) == round(10 * 10 * 6 * each["one_channel"].forward)
    relu = step_cycles(conv(8, 6, 1, 1)) - step_cycles(conv(8, 6, 1, 0))
    assert relu == pytest.approx(16 * 6 * CYCLES_PER_ELEMENT["activation"], abs=1)


@given(
    st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.integers(0, 3)
)
def test_taps_are_the_pairs_that_read_the_map(size, kernel, stride, dilation, padding):
    out = (size + 2 * padding - (kernel - 1) * dilation - 1) // stride + 1
    if out < 1:
        return
    wanted = sum(
        0 <= o * stride - padding + k * dilation < size for o in range(out) for k in range(kernel)
    )
    assert cycles._taps(size, out, kernel, stride, dilation, padding) == wanted


@pytest.mark.parametrize("seed", range(2))
def test_a_step_costs_more_the_more_is_trained(seed):
    spent = []
    for strategy, share in (("head", 0.1), ("medyate", 0.1), ("medyate", 0.5), ("full", 1.0)):
        model, medyate, _, _ = attached(random_model(seed), seed, strategy, share)
        spent.append(step_cycles(lower_training(model, recipe_of(model, medyate)).graph))
    assert spent == sorted(spent)
    assert 0 < spent[0] < spent[-1]
    # Forward, dX and dW are one multiply-accumulate each at most.
    assert spent[-1] < 8 * spent[0] + 1_000_000


def test_the_op_kinds_all_cost_something():
    known = {*cycles._WEIGHTED, *cycles._ELEMENTWISE, *cycles._INT8, *cycles._INT8_WEIGHTS}
    known |= {*cycles._ADAM, *cycles._INT8_INPUT}
    free = {op.name for op in op_schema.OPS} - known
    assert free == {
        op_schema.CONTROL.name,
        op_schema.ADAM_RATE.name,
        op_schema.STASH.name,
        int8_schema.INT8_INPUT_STASH.name,
        op_schema.CONV_DEPTHWISE.name,
        int8_schema.INT8_CONV_DEPTHWISE.name,
        int8_schema.INT8_BOTTLENECK.name,
        op_schema.SOFTMAX_CROSS_ENTROPY.name,
        op_schema.SIGMOID_CROSS_ENTROPY.name,
        op_schema.MEAN_SQUARED_ERROR.name,
        op_schema.MEAN_ABSOLUTE_ERROR.name,
        op_schema.HUBER.name,
        op_schema.SUM_OF_LOSSES.name,
    }
