"""The layout of a draw, held to a pool and gradients that are put together without it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_medyate.prepared.pool_layout import PoolLayout, Sizes, lay_out

side = st.integers(1, 4)
kernel = st.one_of(
    st.tuples(st.integers(1, 40), side),
    st.tuples(side, st.integers(1, 40), side),
    st.tuples(side, side, st.integers(1, 40), side),
)


@st.composite
def drawn_kernels(draw):
    """(kernel shapes, channels drawn of each)."""
    kernels = draw(st.lists(kernel, min_size=1, max_size=4))
    draws = [
        sorted(draw(st.sets(st.integers(0, shape[-2] - 1), max_size=shape[-2])))
        for shape in kernels
    ]
    return kernels, draws


def pool_for(kernels, draws):
    """Room for the draws and for one channel of the largest layer, as budgets leave."""
    per_channel = [int(np.prod(shape)) // shape[-2] for shape in kernels]
    used = sum(len(d) * size for d, size in zip(draws, per_channel, strict=True))
    return used + max(per_channel)


@settings(max_examples=60, deadline=None)
@given(drawn_kernels(), st.integers(-1, 2**31 - 1))
def test_a_layout_says_the_same_after_it_was_stored(given_kernels, draw):
    kernels, draws = given_kernels
    sizes = Sizes.of(pool_for(*given_kernels), kernels)
    layout = lay_out(sizes, kernels, draws, draw)
    vector = layout.joined()
    assert vector.dtype == np.int32
    assert vector.size == sum(sizes.parts)
    again = PoolLayout.cut(vector, sizes.pool, sizes.drawn)
    for field in dataclasses.fields(PoolLayout):
        expected, found = getattr(layout, field.name), getattr(again, field.name)
        np.testing.assert_array_equal(np.ravel(np.array(expected)), np.ravel(np.array(found)))
    assert again.head[0] == draw


@settings(max_examples=60, deadline=None)
@given(drawn_kernels(), st.integers(0, 99))
def test_gradients_of_rounded_kernels_land_where_their_weights_lie(given_kernels, seed):
    kernels, draws = given_kernels
    rng = np.random.default_rng(seed)
    sizes = Sizes.of(pool_for(*given_kernels), kernels)
    layout = lay_out(sizes, kernels, draws, 0)
    starts = np.concatenate([[0], np.cumsum(layout.counts)])
    for layer, (shape, chosen, placement) in enumerate(
        zip(kernels, draws, layout.placements(), strict=True)
    ):
        np.testing.assert_array_equal(placement.channels, chosen)
        full = rng.normal(size=shape)
        named = layout.channels[starts[layer] : starts[layer + 1]]
        assert set(named) == (set(chosen) or {0})
        gradient = full[..., named, :]  # what a step computes: rounded up
        assert np.prod(layout.kernel_shapes[layer]) == gradient.size
        run = gradient.reshape(-1)[layout.places[placement.weights]]
        expected = np.moveaxis(full[..., chosen, :], -2, 0).reshape(-1)
        np.testing.assert_array_equal(run, expected)
        per_channel = int(np.prod(shape)) // shape[-2]
        channels = np.arange(placement.importance.start, placement.importance.stop)
        owners = layout.owners[placement.weights]
        np.testing.assert_array_equal(owners, np.repeat(channels, per_channel))
    beyond = layout.placements()[-1].weights.stop
    assert (layout.owners[beyond:] == -1).all()


@pytest.mark.parametrize("channels", [1, 7, 8, 9, 64, 1000])
def test_few_shapes_serve_every_draw(channels):
    sizes = Sizes.of(10 * channels, [(3, channels, 1)])
    computed = [
        int(lay_out(sizes, [(3, channels, 1)], [range(n)], 0).counts[0])
        for n in range(channels + 1)
    ]
    for drawn, count in enumerate(computed):
        assert drawn <= count <= min(channels, max(8, 2 * drawn))
    assert len(set(computed)) <= 1 + max(0, int(np.ceil(np.log2(channels / 8))))
