"""Models of Keras 2: converted where it can be, else one line that says what to do."""

import json
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import tf_medyate as md
from tf_medyate.errors import OptionError
from tf_medyate.prepared import legacy
from tf_medyate.prepared.legacy import load_model

GOLDEN = Path(__file__).parents[1] / "golden"
X = np.linspace(-1, 1, 2 * 32, dtype=np.float32).reshape(2, 4, 4, 2)


def outputs(model: Any):
    return np.asarray(model(X))


@pytest.fixture
def wanted():
    return json.loads((GOLDEN / "keras2.json").read_text())["outputs"]


@pytest.mark.parametrize("name", ["keras2.h5", "keras2.keras"])
def test_files_of_keras_2_give_what_keras_2_gave(name, wanted):
    with pytest.raises(TypeError):
        keras.models.load_model(GOLDEN / name, compile=False)
    model = load_model(GOLDEN / name)
    np.testing.assert_allclose(outputs(model), wanted, atol=1e-6)
    np.testing.assert_allclose(outputs(md.prepare(model)), wanted, atol=1e-5)


def test_older_files_name_no_modules(wanted):
    """As before TensorFlow 2.13."""

    def older(value):
        if isinstance(value, list):
            return [older(item) for item in value]
        if isinstance(value, dict):
            gone = ("module", "registered_name", "build_config")
            return {key: older(item) for key, item in value.items() if key not in gone}
        return value

    with h5py.File(GOLDEN / "keras2.h5") as file:
        config: Any = json.loads(file.attrs["model_config"])
    model = legacy._load_old(GOLDEN / "keras2.h5", older(config))
    np.testing.assert_allclose(outputs(model), wanted, atol=1e-6)


def test_a_model_of_tf_keras_is_converted(monkeypatch, wanted):
    """A stand-in for tf_keras: its configuration, and its layers' weights."""
    with h5py.File(GOLDEN / "keras2.h5") as file:
        config: Any = file.attrs["model_config"]
    twin = load_model(GOLDEN / "keras2.h5")

    class Model:
        name, layers = "keras2", twin.layers

        def to_json(self):
            return config

    monkeypatch.setitem(sys.modules, "tf_keras", types.SimpleNamespace(Model=Model))
    np.testing.assert_allclose(outputs(md.prepare(Model())), wanted, atol=1e-5)  # type: ignore
    config = config.replace("SeparableConv2D", "TFOpLambda")
    with pytest.raises(OptionError, match="Keras 3 has no TFOpLambda"):
        md.prepare(Model())  # type: ignore


def weights_alone(path):
    load_model(GOLDEN / "keras2.h5").save_weights(path / "w.weights.h5")
    return path / "w.weights.h5"


def cut(path):
    (path / "cut.keras").write_bytes((GOLDEN / "keras2.keras").read_bytes()[:20_000])
    return path / "cut.keras"


def flipped(path):
    data = bytearray((GOLDEN / "keras2.keras").read_bytes())
    data[25_000] ^= 1
    (path / "flipped.keras").write_bytes(data)
    return path / "flipped.keras"


def cut_h5(path):
    (path / "cut.h5").write_bytes((GOLDEN / "keras2.h5").read_bytes()[:20_000])
    return path / "cut.h5"


def with_own_layer(path):
    with zipfile.ZipFile(GOLDEN / "keras2.keras") as old:
        config = old.read("config.json").replace(b'"SeparableConv2D"', b'"MyLayer"')
        with zipfile.ZipFile(path / "own.keras", "w") as new:
            for name in old.namelist():
                new.writestr(name, config if name == "config.json" else old.read(name))
    return path / "own.keras"


def saved_model(path):
    (path / "saved").mkdir()
    (path / "saved" / "keras_metadata.pb").touch()
    return path / "saved"


def folder(path):
    return path


def tflite(path):
    return path / "m.tflite"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (weights_alone, "a whole model.*It holds weights alone: build the model"),
        (cut, "File is not a zip file.*cut short or damaged"),
        (flipped, "cut short or damaged"),
        (cut_h5, "truncated file.*cut short or damaged"),
        (with_own_layer, "Keras 3 has no MyLayer"),
        (saved_model, "a SavedModel of Keras 2.*pip install tf_keras"),
        (folder, "holds no layers"),
        (tflite, "the Keras model that it was converted from"),
    ],
)
def test_what_cannot_be_converted_is_one_line_that_says_what_to_do(
    make, expected, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tf_keras", None)  # not installed
    with pytest.raises(OptionError, match=f"--model: .*{expected}") as told:
        load_model(make(tmp_path), "--model")
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 600
