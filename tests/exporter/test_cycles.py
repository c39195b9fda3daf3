"""The estimate of a step's cycles: what it counts, and that it grows with what is trained."""

import keras
import numpy as np
import pytest
from exported import attached, ready
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_model

from tf_medyate.exporter.board import cycles
from tf_medyate.exporter.board.cycles import CYCLES, equal_shares, step_cycles
from tf_medyate.exporter.board.walks import Axis, Walk, walk
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


def walked(size: int, kernel: int, forward: bool = True, border: bool = True) -> Walk:
    """Down and across a square map, padded to keep its size."""
    side = Axis(size, size, kernel, 1, 1, kernel // 2)
    return walk((side, side), forward, border)


def test_a_frozen_layer_costs_its_tiles_and_its_activation():
    each = CYCLES
    # Eight tiles of four positions by four channels, and eight of the two channels left over.
    tiles = 4 * (each["forward.strip"] * 8 * 16 + each["forward.pointwise_tile"])
    rest = 4 * 2 * (each["forward.strip_rest"] * 8 * 4 + each["forward.pointwise_tile"])
    calls = each["op"] + each["layer_op"] + 4 * each["visit"]
    assert step_cycles(conv(8, 6, 1, 0)) == pytest.approx(tiles + rest + calls, abs=1)
    assert step_cycles(conv(8, 6, 3, 0)) > 4 * step_cycles(conv(8, 6, 1, 0))
    relu = step_cycles(conv(8, 6, 1, 1)) - step_cycles(conv(8, 6, 1, 0))
    assert relu == pytest.approx(16 * 6 * each["relu"], abs=1)


def test_a_walk_fills_strips_and_leaves_what_does_not_fit():
    # Every row is one strip, the outer two of fewer taps; its taps are those of all four.
    assert walked(4, 3) == Walk(4, 10 * 3, 10)
    # Without strips at a border four positions agree only down or across the middle.
    assert walked(4, 3, border=False) == Walk(singles=16, single_taps=100, single_rows=40)
    assert walked(6, 3, border=False).strips == 4 + 4
    assert walked(3, 3).strips == 0


AXES = st.builds(
    Axis,
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 3),
)


@given(AXES, AXES, st.booleans(), st.booleans())
def test_a_walk_meets_every_pair_of_a_position_and_a_tap(down, across, forward, border):
    found = walk((down, across), forward, border)
    positions = down.out * across.out if forward else down.size * across.size
    assert 4 * found.strips + found.singles == positions
    met, wanted = 4 * found.strip_taps + found.single_taps, down.pairs() * across.pairs()
    # Padding is met, too, where a border has strips.
    assert wanted <= met if border else met == wanted


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
    known |= {*cycles._ADAM, *cycles._INT8_INPUT, *cycles._POOLS}
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


def test_what_is_drawn_counts():
    model, medyate, _, _ = attached(random_model(1), 1, "medyate", 0.3)
    graph = lower_training(model, recipe_of(model, medyate)).graph
    equal = equal_shares(graph)
    assert step_cycles(graph, equal) == step_cycles(graph)
    assert step_cycles(graph, dict.fromkeys(equal, 0)) < step_cycles(graph)


def test_equal_shares_fill_the_budget_with_what_an_optimizer_keeps():
    model, medyate, _ = ready(optimizer=keras.optimizers.SGD(0.05, momentum=0.9))
    training = lower_training(model, recipe_of(model, medyate))
    counts, drawn = equal_shares(training.graph), training.layout.drawn
    share = [counts[layer.selection_offset] / layer.spec.channels for layer in drawn]
    assert min(share) == pytest.approx(max(share))
    assert max(share) < 1
    spent = sum(counts[layer.selection_offset] * layer.channel_cost for layer in drawn)
    assert spent == pytest.approx(training.recipe.capacity, rel=0.01)


def test_every_kind_of_work_has_its_cycles(monkeypatch):
    seen = set()
    own = cycles._own_work
    monkeypatch.setattr(cycles, "_own_work", lambda *given: seen.update(w := own(*given)) or w)
    for seed in range(2):
        model, medyate, _, _ = attached(random_model(seed), seed, "medyate", 0.4)
        step_cycles(lower_training(model, recipe_of(model, medyate)).graph)
    assert len(seen) > 20
    assert seen <= set(CYCLES)
