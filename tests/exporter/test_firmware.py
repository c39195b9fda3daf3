"""Spare classes, and what an export writes for a board."""

import dataclasses
import json
from typing import Any

import keras
import numpy as np
import pytest
from exported import ready
from random_models import random_data, small_net

import tf_medyate as md
from tf_medyate.boards.nano33ble import BOARD as NANO_33_BLE
from tf_medyate.device.applying import read_layout, region_of
from tf_medyate.errors import NotPreparedError, OptionError
from tf_medyate.exporter.board.fit import BoardError
from tf_medyate.exporter.write.cpp_text import cpp_string
from tf_medyate.prepared.spare_classes import SPARE_BIAS

pytestmark = pytest.mark.usefixtures("quick_export")

L = keras.layers


def dense_net(*after):
    return keras.Sequential([keras.Input((6,)), L.Dense(5, "relu"), L.Dense(3), *after])


NETS = {
    "functional": small_net,
    "softmax layer": lambda: dense_net(L.Softmax()),
    "logits": dense_net,
}


@pytest.mark.parametrize("name", NETS)
def test_spare_classes_change_nothing_until_they_are_enrolled(name):
    base: Any = NETS[name]()
    wider: Any = md.add_spare_classes(base, 2)
    x, _ = random_data(base, 20)
    old, new = base.predict(x, verbose=0), wider.predict(x, verbose=0)
    np.testing.assert_allclose(new[:, :-2], old, rtol=0, atol=1e-6)
    spare = 0.0 if old.min() >= 0 and np.allclose(old.sum(-1), 1) else SPARE_BIAS
    np.testing.assert_array_equal(new[:, -2:], spare)
    assert base.output_shape[-1] + 2 == wider.output_shape[-1]


def test_spare_classes_do_not_learn():
    base = md.add_spare_classes(small_net(), 1)
    model = md.prepare(base)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    x, y = random_data(model, 64)
    y = y % (model.output_shape[-1] - 1)
    model.fit(x, y, epochs=2, callbacks=[md.MeDyate("8KiB", verbose=0)], verbose=0)
    kernel, bias = md.strip(model).layers[-1].get_weights()
    np.testing.assert_array_equal(kernel[:, -1], 0)
    assert bias[-1] == SPARE_BIAS


def test_a_model_without_a_dense_head_gets_no_spare_classes():
    inputs = keras.Input((4, 4, 1))
    outputs = L.GlobalAveragePooling2D()(L.Conv2D(3, 1, name="last")(inputs))
    with pytest.raises(OptionError, match="'last', a Conv2D"):
        md.add_spare_classes(keras.Model(inputs, outputs), 1)
    without_bias = keras.Sequential([keras.Input((3,)), L.Dense(2, use_bias=False)])
    with pytest.raises(OptionError, match="with a bias"):
        md.add_spare_classes(without_bias, 1)
    with pytest.raises(OptionError, match="1 or more"):
        md.add_spare_classes(small_net(), 0)
    with pytest.raises(OptionError, match="not built"):
        md.add_spare_classes(keras.Sequential([L.Dense(3)]), 1)
    with pytest.raises(NotPreparedError, match=r"ordinary.*then call md\.prepare"):
        md.add_spare_classes(md.prepare(small_net()), 1)


def two_heads(join=None):
    inputs = keras.Input((6,))
    x = L.Dense(5, activation="relu")(inputs)
    heads = [L.ReLU()(L.Dense(2, name="first")(x)), L.Dense(2, name="second")(x)]
    heads = heads[:: -1 if join == "reversed" else 1]
    outputs = L.Add()(heads) if join == "added" else L.Concatenate()(heads)
    return keras.Model(inputs, L.Softmax()(outputs))


def test_spare_classes_of_several_heads_are_refused(tmp_path):
    for join in ("added", "reversed"):
        with pytest.raises(OptionError, match="outputs are those of its head 'second'"):
            md.add_spare_classes(two_heads(join), 1)
    # The last one may be widened, but a board cannot tell its biases from all classes'.
    model, medyate, _ = ready(md.add_spare_classes(two_heads(), 1))
    with pytest.raises(OptionError, match="a bias for each of the 5 classes; received 3 in"):
        md.export(model, tmp_path, medyate, firmware=md.FirmwareOptions(spare_classes=1))


def exported(folder, spare=0, base=None, **options):
    base = base or small_net()
    model, medyate, _ = ready(md.add_spare_classes(base, spare) if spare else base)
    firmware = md.FirmwareOptions(spare_classes=spare, **options)
    return model, md.export(model, folder, medyate, firmware=firmware)


def test_the_layout_and_the_factory_weights_are_those_of_the_keras_model(tmp_path):
    model, bundle = exported(tmp_path, spare=1)
    assert bundle.firmware is not None
    layout = read_layout(tmp_path / "weights.json")
    assert layout == bundle.firmware.layout
    assert json.loads((tmp_path / "weights.json").read_text())["factory"]["file"] == "weights.bin"
    factory = np.fromfile(tmp_path / "weights.bin", "<f4")
    np.testing.assert_array_equal(factory, bundle.firmware.cpp.region)
    np.testing.assert_array_equal(factory, region_of(model, layout))
    # Bit for bit: what comes back from a board goes into it.
    kept: Any = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(factory, region_of(md.prepare(kept), layout))
    assert str(bundle.firmware).strip() in str(bundle)


def test_the_source_names_the_classes_and_can_do_without_a_factory_copy(tmp_path):
    classes = small_net().output_shape[-1]
    names = [*(f"class {i}" for i in range(classes - 1)), 'sé"?']
    exported(tmp_path, spare=2, class_names=names, factory_copy=False)
    source = (tmp_path / "cpp/medyate_model.cc").read_text()
    assert all(f"    {cpp_string(name)},\n" in source for name in names)
    assert f"    {classes},  // named classes" in source
    assert "kFactory" not in source
    assert "kFactory" not in (tmp_path / "cpp/medyate_weights.cc").read_text()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"class_names": ["one"]}, "different names"),
        ({"class_names": ["same"] * 4}, "different names"),
        ({"class_names": ["", "b", "c", "d"]}, "1 to 60 bytes"),
        ({"class_names": ["x" * 61, "b", "c", "d"]}, "1 to 60 bytes"),
        ({"class_names": ["a\n4\tevil", "b", "c"]}, "without control characters"),
        ({"spare_classes": 1}, "last 1 biases are -10,000"),
        ({"spare_classes": 99}, "spare_classes"),
    ],
)
def test_classes_that_do_not_fit_are_refused(options, expected, tmp_path):
    model, medyate, _ = ready()
    with pytest.raises(OptionError, match=expected):
        md.export(model, tmp_path, medyate, firmware=md.FirmwareOptions(**options))
    assert not any(tmp_path.iterdir()), "nothing was written"


def test_a_model_that_does_not_fit_the_board_is_refused_with_the_numbers(tmp_path):
    model, medyate, _ = ready()
    small = dataclasses.replace(NANO_33_BLE, ram_bytes=64 * 1024)
    with pytest.raises(BoardError, match=r"65,536 of RAM.*\n? *received"):
        md.export(model, tmp_path, medyate, firmware=md.FirmwareOptions(board=small))
    assert not any(tmp_path.iterdir()), "nothing was written"
    bundle = md.export(model, tmp_path, medyate, firmware=md.FirmwareOptions(board=None))
    assert bundle.firmware is not None
    assert bundle.firmware.fit is None


def test_an_export_tells_what_it_takes_of_the_board(tmp_path):
    _, bundle = exported(tmp_path, commits_per_day=2, samples_per_epoch=50)
    printed = str(bundle)
    assert "of 983,040" in printed
    assert "estimated, not measured" in printed
    assert "an epoch of 50 samples" in printed
    assert "years at 2 a day" in printed


def test_a_model_of_targets_has_no_classes(tmp_path):
    model = md.prepare(dense_net())
    model.compile(keras.optimizers.SGD(0.05), "mean_squared_error")
    x = np.zeros((8, 6), np.float32)
    medyate = md.MeDyate(budget="1KiB", calibration=(x, np.ones((8, 3))), verbose=0)
    medyate.set_model(model)
    with pytest.raises(OptionError, match="learns classes"):
        md.export(model, tmp_path, medyate, firmware=md.FirmwareOptions(class_names=["a"]))


def test_a_string_in_cpp_means_its_utf8():
    assert cpp_string('a"\\?é\n1') == '"a\\042\\134\\077\\303\\251\\0121"'
