"""Sparse deltas in Python, and back into the Keras model. test_device.py holds them to C++."""

import dataclasses
import zlib
from types import SimpleNamespace
from typing import Any

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
from exported import attached, lower
from random_models import small_net

import tf_medyate as md
from tf_medyate.commands.device import _apply
from tf_medyate.device import (
    DeltaError,
    DeltaKind,
    RegionLayout,
    SparseDelta,
    WeightPlace,
    apply_to_model,
    encode_delta,
    names_text,
    read_delta,
    read_layout,
    read_names,
)
from tf_medyate.device.applying import region_of
from tf_medyate.errors import PlanError

pytestmark = pytest.mark.usefixtures("quick_export")

HASH = 0xFEDCBA9876543210
small = st.floats(-1e6, 1e6, width=32)


@st.composite
def states(draw):
    """Two states of up to 60 weights that differ in some of them, in clusters and alone."""
    n = draw(st.integers(1, 60))
    factory = draw(hnp.arrays(np.float32, n, elements=small))
    learned = draw(hnp.arrays(np.float32, n, elements=small))
    changed = draw(hnp.arrays(np.bool_, n))
    return factory, np.where(changed, learned, factory).astype(np.float32)


@hypothesis.given(states(), st.sampled_from(DeltaKind))
def test_what_was_learned_comes_back(pair, kind):
    factory, current = pair
    delta = encode_delta(factory, current, HASH, kind)
    data = delta.to_bytes()
    again = read_delta(data)
    assert str(again) == str(delta)
    assert again.to_bytes() == data
    learned = again.apply(factory, HASH)
    if kind == DeltaKind.VALUES:
        assert learned.tobytes() == current.tobytes()
    else:
        # The difference and the sum are rounded once each, to half a unit in the last place of at
        # most |factory| + |current|.
        bound = 2 * np.finfo(np.float32).eps * (np.abs(factory) + np.abs(current))
        assert (np.abs(learned.astype(float) - current) <= bound).all()


@hypothesis.given(states())
def test_runs_are_apart_and_begin_and_end_with_a_change(pair):
    factory, current = pair
    delta = encode_delta(factory, current, HASH)
    differ = factory.view(np.uint32) != current.view(np.uint32)
    covered, end = np.zeros(len(factory), bool), -3
    for offset, values in delta.runs:
        assert differ[offset]
        assert differ[offset + len(values) - 1]
        assert offset - end > 2  # closer ones are one run
        end = offset + len(values)
        covered[offset:end] = True
    assert (covered | ~differ).all()


@hypothesis.given(states(), st.data())
def test_every_damage_is_found(pair, data):
    encoded = bytearray(encode_delta(*pair, HASH).to_bytes())
    bit = data.draw(st.integers(0, 8 * len(encoded) - 1))
    encoded[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DeltaError):
        read_delta(bytes(encoded))
    with pytest.raises(DeltaError):
        read_delta(bytes(encoded[: bit // 8]))


def test_other_models_and_other_weights_are_refused():
    factory = np.arange(10, dtype=np.float32)
    delta = encode_delta(factory, factory[::-1].copy(), HASH)
    with pytest.raises(DeltaError, match=r"model 0000000000000005; received one of model fedc"):
        delta.apply(factory, 5)
    with pytest.raises(DeltaError, match="as it was when it was exported"):
        delta.apply(factory + 1, HASH)
    with pytest.raises(DeltaError, match="one for 10 weights"):
        delta.apply(factory[:9], HASH)


def test_runs_that_make_no_sense_are_refused():
    one = np.ones(2, np.float32)
    for runs, message in [
        (((9, one),), "runs that rise and fit"),
        (((4, one), (5, one)), "runs that rise and fit"),
        (((4, one * np.nan),), "NaN or infinity"),
    ]:
        delta = SparseDelta(DeltaKind.VALUES, HASH, 10, 0, runs)
        with pytest.raises(DeltaError, match=message):
            read_delta(delta.to_bytes())
    huge = np.full(10, 3e38, np.float32)
    crc = zlib.crc32(huge.tobytes())
    overflowing = SparseDelta(DeltaKind.DIFFERENCES, HASH, 10, crc, ((0, huge),))
    with pytest.raises(DeltaError, match="overflows"):
        overflowing.apply(huge, HASH)
    with pytest.raises(DeltaError, match="begins with b'PNG"):
        read_delta(b"PNG!" * 20)
    sound = SparseDelta(DeltaKind.VALUES, HASH, 10, 0, ()).to_bytes()
    newer = sound[:4] + b"\2" + sound[5:]
    with pytest.raises(DeltaError, match="version 2"):
        read_delta(newer)


def test_differences_of_another_model_if_asked_for():
    factory, current, other = np.ones(9, np.float32), np.full(9, 1.5, np.float32), np.arange(9.0)
    differences = encode_delta(factory, current, HASH, DeltaKind.DIFFERENCES)
    np.testing.assert_array_equal(differences.apply(other, 5, any_model=True), other + 0.5)
    with pytest.raises(DeltaError, match="one of model 0000000000000005"):
        differences.apply(other, 5)
    with pytest.raises(DeltaError, match="Pull with --differences"):
        encode_delta(factory, current, HASH).apply(other, 5, any_model=True)
    with pytest.raises(DeltaError, match="one for 9 weights"):
        differences.apply(other[:8], 5, any_model=True)
    # Of the same model, the weights still have to be those that it starts from.
    with pytest.raises(DeltaError, match="as it was when it was exported"):
        differences.apply(other, HASH, any_model=True)


def test_names_travel_as_text():
    names = {2: "hüpfen", 0: "sit still"}
    assert names_text(names) == "0\tsit still\n2\thüpfen\n"
    assert read_names(names_text(names)) == names
    assert read_names("") == read_names("\n") == {}
    for text in ("sit\n", "x\tsit\n", "1\t\n"):
        with pytest.raises(DeltaError, match="a label, a tab and a name"):
            read_names(text)


# --- the Keras model


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A prepared model, the layout of its C++ export, and the CRC of the weights in there."""
    from tf_medyate.exporter.write.cpp import write_cpp

    base = small_net()
    model, medyate, *_ = attached(base, strategy="full")
    training, plan = lower(model, medyate)
    cpp = write_cpp(training, plan, tmp_path_factory.mktemp("cpp"))
    base.save(cpp.folder / "base.keras")
    layers: list[Any] = [  # as the manifest lists them
        SimpleNamespace(name=name, weights=kernel, bias=training.biases.get(name, ""))
        for name, kernel in training.weights.items()
    ]
    source = "".join(path.read_text() for path in cpp.folder.glob("*.cc"))
    return model, RegionLayout.of(cpp, layers), source, cpp.folder / "base.keras"


def test_the_region_is_that_of_the_export(exported):
    model, layout, source, _ = exported
    assert len(layout.places) > 3
    assert any(place.bias_offset >= 0 for place in layout.places)
    crc = zlib.crc32(region_of(model, layout).tobytes())
    assert f"{crc:#x}" in source


def test_what_a_board_learned_goes_back_into_keras(exported, tmp_path):
    model, layout, *_ = exported
    (tmp_path / "weights.json").write_text(layout.to_json())
    layout = read_layout(tmp_path / "weights.json")
    factory = region_of(model, layout)
    current = factory.copy()
    owned = np.zeros(layout.weights, bool)
    for place in layout.places:
        owned[place.kernel_offset] = True
    current[owned] += 1
    delta = encode_delta(factory, current, layout.model_hash)
    before = {layer.name: layer.get_weights() for layer in md.layers.masked_layers(model)}
    apply_to_model(read_delta(delta.to_bytes()), model, layout)
    np.testing.assert_array_equal(region_of(model, layout), current)
    name = layout.places[0].layer
    kernel = {layer.name: layer for layer in md.layers.masked_layers(model)}[name].kernel.numpy()
    # The first float of the region is that of the first position, channel and output.
    assert kernel.reshape(-1)[0] == np.float32(before[name][0].reshape(-1)[0] + np.float32(1))
    assert (kernel != before[name][0]).sum() == 1
    with pytest.raises(DeltaError, match="as it was when it was exported"):
        apply_to_model(delta, model, layout)
    with pytest.raises(DeltaError, match="one of model"):
        apply_to_model(delta, model, dataclasses.replace(layout, model_hash=1))


def test_the_command_writes_the_model_with_what_was_learned(exported, tmp_path):
    _, layout, _, base = exported
    model = md.prepare(keras.models.load_model(base, compile=False))
    factory = region_of(model, layout)
    last = layout.places[-1]
    current = factory.copy()
    current[last.kernel_offset] += 1
    delta = encode_delta(factory, current, layout.model_hash)
    out = tmp_path / "sub" / "tuned.keras"
    _apply(delta, layout, SimpleNamespace(model=str(base), out=str(out)))
    tuned = md.prepare(keras.models.load_model(out, compile=False))
    np.testing.assert_array_equal(region_of(tuned, layout), current)


def test_layouts_of_other_models_are_refused(exported, tmp_path):
    model, layout, *_ = exported
    other = dataclasses.replace(layout, places=(WeightPlace("no_such_layer", 0),))
    with pytest.raises(PlanError, match="no_such_layer"):
        region_of(model, other)
    beyond = dataclasses.replace(layout, weights=10)
    with pytest.raises(PlanError, match="10 in all"):
        region_of(model, beyond)
    (tmp_path / "layout.json").write_text("{}")
    with pytest.raises(DeltaError, match="a weights layout"):
        read_layout(tmp_path / "layout.json")
