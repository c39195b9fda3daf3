"""Models of Keras 2 (`tf_keras`, and `tf.keras` before TensorFlow 2.16) as models of Keras 3.

Keras 3 reads some of Keras 2's `.h5` files and none of its `.keras` files: options that are gone
(`groups` of a depthwise convolution), shapes and axes under other names. Here the configuration is
put into Keras 3's words; the weights are laid out alike.

Example:
    >>> model = load_model("made_in_2021.h5")
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pathlib
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import keras

from tf_medyate.errors import OptionError

_SEPARABLE = ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint")
_GONE = {
    "DepthwiseConv1D": ("groups",),
    "DepthwiseConv2D": ("groups",),
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
    "InputLayer": ("sparse", "ragged", "optional"),
}
"""Options that say nothing (one group) or nothing any more."""
_UNUSED = ("compile_config", "build_config")
_HOMES = ("layers", "initializers", "regularizers", "constraints")
_WEIGHTS = "model.weights.h5"
_SAVE = "In the environment where it was made: model.save('model.h5')."
_OTHERS = {
    ".tflite": "It can only infer: give the Keras model that it was converted from.",
    ".pb": "It holds a graph without layers: give the Keras model that it was made from.",
    ".onnx": "Give a Keras model: convert it, for example with onnx2keras.",
    ".pth": "Give a Keras model; weights of known nets: see the zoo.",
    ".pt": "Give a Keras model; weights of known nets: see the zoo.",
}


def load_model(path: str | os.PathLike, argument: str = "path") -> keras.Model:
    """Loads a Keras model, of Keras 2, too.

    Args:
        path: A `.keras` or `.h5` file, or a SavedModel folder of Keras 2 where `tf_keras` is
            installed.
        argument: Where the path comes from, for errors.

    Returns:
        The model, uncompiled.

    Raises:
        OptionError: It is something else, is damaged, or has layers that Keras 3 has not.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return _load_folder(path, argument)
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        remedy = _OTHERS.get(path.suffix, "Save it with model.save('model.keras').")
        raise OptionError(argument, "a Keras model file (.keras or .h5)", str(path), remedy)
    _check_whole(path, argument)
    try:
        loaded: Any = keras.models.load_model(path, compile=False)
        return loaded
    except Exception as error:  # a damaged file may raise anything
        with _explained(path, argument):
            config = _config(path)
            if not config:
                remedy = (
                    "It holds weights alone: build the model, model.load_weights(path), "
                    "model.save('model.keras')."
                )
                raise OptionError(argument, "a whole model", str(path), remedy) from None
            if not str(config.get("keras_version", "2")).startswith("2"):
                raise error
            return _load_old(path, config)


def from_tf_keras(model: Any) -> Any:
    """A `tf_keras` model as a model of Keras 3; anything else as it is.

    Raises:
        OptionError: It has layers that Keras 3 has not.
    """
    tf_keras = sys.modules.get("tf_keras")
    if tf_keras is None or not isinstance(model, tf_keras.Model):
        return model
    with _explained(model.name, "base"):
        converted = _build(json.loads(model.to_json()))
    _copy_weights(model, converted)
    return converted


# --- files


def _check_whole(path: pathlib.Path, argument: str) -> None:
    """Keras says of a damaged file that it was not found."""
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            if damaged:
                raise zipfile.BadZipFile(f"{damaged} is damaged")
        else:
            h5py.File(path).close()
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        remedy = "It may be cut short or damaged: save or copy it again."
        expected = f"a {path.suffix} file of Keras"
        raise OptionError(argument, expected, f"{path} ({error})", remedy) from None


def _config(path: pathlib.Path) -> dict[str, Any]:
    """The model's configuration, with the version of Keras; empty if there is none."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            return config | json.loads(archive.read("metadata.json"))
    with h5py.File(path) as file:
        attributes: Any = file.attrs
        if "model_config" not in attributes:
            return {}
        return json.loads(attributes["model_config"]) | {
            "keras_version": attributes.get("keras_version", "2")
        }


def _load_old(path: pathlib.Path, config: dict[str, Any]) -> keras.Model:
    model = _build(config)
    if path.suffix != ".keras":
        model.load_weights(path)
        return model
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
        model.load_weights(archive.extract(_WEIGHTS, folder))
    return model


def _load_folder(path: pathlib.Path, argument: str) -> keras.Model:
    """A SavedModel, through `tf_keras` where it is installed."""
    if not (path / "keras_metadata.pb").is_file():
        remedy = f"Name a .keras or .h5 file; a SavedModel without Keras holds no layers. {_SAVE}"
        raise OptionError(argument, "a Keras model", f"the folder {path}", remedy)
    try:
        tf_keras = importlib.import_module("tf_keras")
    except ImportError:
        remedy = f"pip install tf_keras, which reads it. Or: {_SAVE}"
        received = f"{path}, a SavedModel of Keras 2"
        raise OptionError(argument, "a .keras or .h5 file", received, remedy) from None
    with _explained(path, argument):
        return from_tf_keras(tf_keras.models.load_model(path, compile=False))


@contextlib.contextmanager
def _explained(name: object, argument: str) -> Iterator[None]:
    """Errors of Keras in one line."""
    try:
        yield
    except OptionError:
        raise
    except Exception as error:
        # Keras tells the cause last.
        text = str(error).rsplit("Exception encountered: ", 1)[-1].strip().split("\n")[0][:200]
        received = f"{name} ({type(error).__name__}: {text})"
        remedy = "Build the model in Keras 3, model.load_weights(...), model.save('model.keras')."
        raise OptionError(argument, "a model that Keras 3 can load", received, remedy) from None


# --- configurations


def _build(config: dict[str, Any]) -> keras.Model:
    text = json.dumps(_translated(config))
    for name in set(_names(config)):
        if "/" in name:  # Keras 3 takes them for paths
            text = text.replace(json.dumps(name), json.dumps(name.replace("/", "_")))
    return keras.models.model_from_json(text)


def _names(value: Any) -> Iterator[str]:
    """Names of layers, nested ones, too."""
    options = value.get("config") if isinstance(value, dict) else None
    if isinstance(options, dict):
        yield options.get("name") or ""
        for layer in options.get("layers") or ():
            yield from _names(layer)


def _translated(value: Any) -> Any:
    """A configuration, and all in it, in Keras 3's words."""
    if isinstance(value, list):
        return [_translated(item) for item in value]
    if not isinstance(value, dict):
        return value
    if keras.saving.get_registered_object(value.get("registered_name")) is not None:
        return value  # a class of the user's
    value = {key: _translated(item) for key, item in value.items() if key not in _UNUSED}
    name, options = value.get("class_name"), value.get("config")
    if not isinstance(name, str) or not isinstance(options, dict):
        return value
    if name == "Policy":
        return options["name"]
    options = {k: v for k, v in options.items() if k not in _GONE.get(name, ())}
    shape = options.pop("batch_input_shape", None)
    if name == "InputLayer" and shape is not None:
        options["batch_shape"] = shape
    if name == "BatchNormalization" and isinstance(options.get("axis"), list):
        [options["axis"]] = options["axis"]
    return {**value, "config": options, "registered_name": None, **_home(name, options)}


def _home(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Where Keras 3 has a class."""
    if name in ("Functional", "Model"):
        _renumber(options)
        return {"module": "keras", "class_name": "Model"}
    if name == "Sequential":
        return {"module": "keras"}
    home = next((home for home in _HOMES if hasattr(getattr(keras, home), name)), None)
    if home is None:
        raise ValueError(f"Keras 3 has no {name}")
    return {"module": f"keras.{home}"}


def _renumber(options: dict[str, Any]) -> None:
    """Counts calls of nested models as Keras 3 does: for Keras 2 their making is the first."""
    calls = {
        layer["name"]: len(layer["inbound_nodes"])
        for layer in options["layers"]
        if "layers" in layer["config"]
    }
    sequential = [
        layer["name"] for layer in options["layers"] if layer["class_name"] == "Sequential"
    ]
    inner = [ref for layer in options["layers"] for node in layer["inbound_nodes"] for ref in node]
    outer = [ref for ref in options["output_layers"] if ref[0] in sequential]
    for reference in (*inner, *outer):
        if reference[1] >= calls.get(reference[0], reference[1] + 1):
            reference[1] -= 1
    for ends in ("input_layers", "output_layers"):
        if len(options[ends]) == 1 and isinstance(options[ends][0], list):
            options[ends] = options[ends][0]


def _copy_weights(old: Any, new: Any) -> None:
    """Layer by layer: the two list their variables in different orders."""
    pairs = {layer.name: layer for layer in new.layers}
    for layer in old.layers:
        twin: Any = pairs.get(layer.name.replace("/", "_"))
        if hasattr(layer, "layers"):
            _copy_weights(layer, twin)
        elif layer.weights:
            twin.set_weights(layer.get_weights())
