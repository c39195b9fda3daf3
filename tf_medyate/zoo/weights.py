"""Puts trained weights from a file into a net of ours, all but the head.

Layers are paired by kind and place: the third convolution of the file goes into the third of the
net. Names differ between frameworks, versions and even builds of one net; kinds and order do not.
Every pair must agree in shape, and none may be left over, so a file for another net is refused
with the first layer that differs.

Example:
    >>> model = resnet8(classes=7)
    >>> transfer(read_weights("cifar10.h5"), model, "cifar10.h5")
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import h5py
import keras
import numpy as np

from tf_medyate.errors import DataError, OptionError
from tf_medyate.prepared.legacy import load_model
from tf_medyate.zoo.torch_file import read_torch

VARIABLE = "MEDYATE_WEIGHTS"
_K = keras.layers
_KINDS = {
    _K.Conv2D: "convolution",
    _K.DepthwiseConv2D: "depthwise convolution",
    _K.Dense: "dense layer",
    _K.BatchNormalization: "batch normalization",
}
_DENSE = _KINDS[_K.Dense]


@dataclasses.dataclass(frozen=True, eq=False)
class LayerWeights:
    """The weights of one layer of a file, laid out as Keras has them.

    Attributes:
        name: The layer's name in the file.
        kind: What it is, one of "convolution", "depthwise convolution", "dense layer" and
            "batch normalization".
        arrays: Kernel and, if there is one, bias; or gamma, beta, mean and variance.
    """

    name: str
    kind: str
    arrays: tuple[np.ndarray, ...]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each array."""
        return tuple(array.shape for array in self.arrays)


def load_pretrained(
    classes: int,
    *,
    name: str,
    build: Callable[[tuple[int, ...], int], keras.Model],
    input_shape: tuple[int, ...],
    files: Sequence[str],
    where: str,
    path: str | os.PathLike | None = None,
) -> keras.Model:
    """Builds a net and loads its trained weights from a file of the user's.

    Args:
        classes: Number of classes of the fresh head.
        name: The net's name, for errors.
        build: (input shape, number of classes) -> the net.
        input_shape: Height, width and channels of the input.
        files: Names under which the file may lie in a folder.
        where: Where the file can be had, for errors.
        path: The file, or the folder it lies in; the environment variable MEDYATE_WEIGHTS if
            None. `.h5`, `.keras` or `.pth`.

    Returns:
        An uncompiled model with the file's weights, and a freshly drawn head.

    Raises:
        DataError: There is no such file, it cannot be read, or it belongs to another net.
    """
    file = find_file(name, files, where, path)
    source = read_weights(file)
    model = build(input_shape, classes)
    transfer(source, model, str(file))
    return model


def find_file(
    name: str, files: Sequence[str], where: str, path: str | os.PathLike | None = None
) -> pathlib.Path:
    """Finds the file with a net's weights; see `load_pretrained`."""
    given = str(path) if path is not None else os.environ.get(VARIABLE, "")
    remedy = f"Download {where}, and set {VARIABLE} to the file or to its folder."
    expected = f"a file with the trained weights of {name}"
    if not given:
        raise DataError(VARIABLE, expected, "nothing", remedy)
    place = pathlib.Path(given).expanduser()
    tries = [place / file for file in files] if place.is_dir() else [place]
    found = next((file for file in tries if file.is_file()), None)
    if found is None:
        names = ", ".join(files)
        received = f"the folder {place} with none of {names}" if place.is_dir() else f"no {place}"
        raise DataError(str(path) if path else VARIABLE, expected, received, remedy)
    return found


def read_weights(path: str | os.PathLike) -> list[LayerWeights]:
    """Reads every layer with weights, in the order of the file.

    Args:
        path: A Keras model (`.keras`, or `.h5` in the layout of Keras 2, which may hold the weights
            alone), or a PyTorch state dict (`.pth`, `.pt`), which is turned channels-last.

    Returns:
        The layers.

    Raises:
        DataError: The file cannot be read, or has another ending.
    """
    path = pathlib.Path(path)
    readers = {".h5": _read_h5, ".hdf5": _read_h5, ".keras": _read_keras}
    readers |= {".pth": _read_pth, ".pt": _read_pth}
    if path.suffix not in readers:
        remedy = "Convert the file, or correct its ending."
        raise DataError(str(path), f"one of {', '.join(readers)}", repr(path.suffix), remedy)
    try:
        return readers[path.suffix](path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        remedy = "Download or save the file once more."
        raise DataError(str(path), "a readable file of weights", repr(error), remedy) from error


def _read_h5(path: pathlib.Path) -> list[LayerWeights]:
    """A file in the layout of Keras 2: a whole model, or its weights alone."""
    with h5py.File(path) as file:
        root: Any = file.get("model_weights", file)
        if "layer_names" not in root.attrs:
            remedy = "Save the whole model: `model.save('model.keras')`."
            expected = "the weights of a Keras 2 model (attribute layer_names)"
            raise DataError(str(path), expected, f"entries {sorted(root)}", remedy)
        grouped: dict[str, list[tuple[str, np.ndarray]]] = {}
        for layer in _texts(root.attrs["layer_names"]):
            group = root[layer]
            for weight in _texts(group.attrs["weight_names"]):
                # A nested model is one layer here; its own layers stand before the last "/".
                owner, _, leaf = weight.rpartition("/")
                name = owner if owner.startswith(layer) else f"{layer}/{owner}".rstrip("/")
                value = np.asarray(group[weight])
                grouped.setdefault(name, []).append((leaf.split(":")[0], value))
        config = file.attrs.get("model_config", "{}")
        config = config.decode() if isinstance(config, bytes) else config
    depthwise = set(_depthwise(json.loads(config)))
    return [
        _from_keras(name, dict(weights), name.rpartition("/")[2] in depthwise)
        for name, weights in grouped.items()
    ]


def _depthwise(config: Any) -> Iterator[str]:
    """Names of the depthwise convolutions: Keras 3 calls their kernels like any other's."""
    if isinstance(config, dict):
        if config.get("class_name") == "DepthwiseConv2D":
            yield config["config"]["name"]
        config = config.values()
    if not isinstance(config, str) and isinstance(config, Iterable):
        for value in config:
            yield from _depthwise(value)


def _texts(values) -> list[str]:
    return [value if isinstance(value, str) else value.decode() for value in values]


def _from_keras(name: str, weights: dict[str, np.ndarray], depthwise: bool) -> LayerWeights:
    arrays = tuple(weights.values())
    if "moving_mean" in weights:
        return LayerWeights(name, _KINDS[_K.BatchNormalization], arrays)
    if depthwise or "depthwise_kernel" in weights:
        return LayerWeights(name, _KINDS[_K.DepthwiseConv2D], arrays)
    kernel = weights.get("kernel")
    kinds = {4: _KINDS[_K.Conv2D], 2: _DENSE}
    if kernel is None or kernel.ndim not in kinds:
        remedy = "Only convolutions, dense layers and batch normalization can be loaded."
        raise DataError(f"layer '{name}'", "a kernel", f"{sorted(weights)}", remedy)
    return LayerWeights(name, kinds[kernel.ndim], arrays)


def _read_keras(path: pathlib.Path) -> list[LayerWeights]:
    """A file of Keras 3 or 2; Keras refuses to load code from it (safe mode)."""
    try:
        model = load_model(path)
    except OptionError as error:
        raise DataError(str(path), error.expected, error.received, error.remedy) from None
    return [
        LayerWeights(layer.name, _KINDS[type(layer)], tuple(layer.get_weights()))
        for layer in _weighted(model)
    ]


def _weighted(model: keras.Model) -> Iterator[keras.Layer]:
    """Layers that hold weights, nested models inlined."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _weighted(layer)
        elif layer.weights:
            if type(layer) not in _KINDS:
                remedy = "Only convolutions, dense layers and batch normalization can be loaded."
                expected = " or ".join(_KINDS.values())
                raise DataError(f"layer '{layer.name}'", expected, type(layer).__name__, remedy)
            yield layer


def _read_pth(path: pathlib.Path) -> list[LayerWeights]:
    """A PyTorch state dict, turned to Keras's layout."""
    modules: dict[str, dict[str, np.ndarray]] = {}
    for key, value in read_torch(path).items():
        module, _, leaf = key.rpartition(".")
        modules.setdefault(module, {})[leaf] = value
    return [_from_torch(name, parts) for name, parts in modules.items() if "weight" in parts]


def _from_torch(name: str, parts: dict[str, np.ndarray]) -> LayerWeights:
    weight, bias = parts["weight"], [parts["bias"]] if "bias" in parts else []
    if "running_mean" in parts:
        arrays = (weight, *bias, parts["running_mean"], parts["running_var"])
        return LayerWeights(name, _KINDS[_K.BatchNormalization], arrays)
    if weight.ndim == 2:
        return LayerWeights(name, _DENSE, (weight.T, *bias))
    if weight.ndim != 4:
        remedy = "Only convolutions, linear layers and batch normalization can be loaded."
        raise DataError(f"module '{name}'", "a weight of 2 or 4 axes", str(weight.shape), remedy)
    if weight.shape[1] == 1:  # [O, 1, h, w]: one input channel a group
        return LayerWeights(name, _KINDS[_K.DepthwiseConv2D], (weight.transpose(2, 3, 0, 1), *bias))
    return LayerWeights(name, _KINDS[_K.Conv2D], (weight.transpose(2, 3, 1, 0), *bias))


def transfer(
    source: Sequence[LayerWeights],
    model: keras.Model,
    file: str,
    *,
    whole: bool = True,
    head: bool = False,
) -> None:
    """Puts weights into a model, all but its last dense layer; nothing is changed on an error.

    Args:
        source: Layers of the file.
        model: The net; its last layer with weights is the head.
        file: The file's name, for errors.
        whole: The file holds this net and no more than a head beside; else it may go on after
            the net's last layer, as an autoencoder's does after its encoder.
        head: The last dense layer, too.

    Raises:
        DataError: The file belongs to another net: a layer is missing, is too many, or has
            another shape. The error names the first.
    """
    layers = list(_weighted(model))
    if not head:
        layers = layers[:-1]  # stays as it was drawn
    pairs: list[tuple[keras.Layer, LayerWeights]] = []
    waiting = {kind: [layer for layer in source if layer.kind == kind] for kind in _KINDS.values()}
    for layer in layers:
        kind = _KINDS[type(layer)]
        pair = waiting[kind].pop(0) if waiting[kind] else None
        wanted = tuple(tuple(weight.shape) for weight in layer.weights)
        if pair is None or pair.shapes != wanted:
            raise _mismatch(file, model, layer, kind, wanted, pair)
        pairs.append((layer, pair))
    if whole:
        _check_rest(waiting, file, model, 0 if head else 1)
    for layer, pair in pairs:
        layer.set_weights([np.asarray(array, np.float32) for array in pair.arrays])


def _check_rest(
    waiting: dict[str, list[LayerWeights]], file: str, model: keras.Model, heads: int
) -> None:
    """Nothing may be left over but the file's own head, where that is not wanted."""
    waiting = waiting | {_DENSE: waiting[_DENSE][heads:]}
    rest = [layer for layers in waiting.values() for layer in layers]
    if rest:
        first = rest[0]
        remedy = "Give the file of this net, at this width."
        received = f"{len(rest)} layers more, '{first.name}' with {_text(first.shapes)} the first"
        raise DataError(file, f"the layers of {model.name} and no more", received, remedy)


def _mismatch(
    file: str,
    model: keras.Model,
    layer: keras.Layer,
    kind: str,
    wanted: tuple[tuple[int, ...], ...],
    pair: LayerWeights | None,
) -> DataError:
    received = f"no further {kind}"
    if pair is not None:
        received = f"'{pair.name}' with {_text(pair.shapes)}"
    return DataError(
        file,
        f"a {kind} with {_text(wanted)} for layer '{layer.name}' of {model.name}, "
        "the first that differs",
        received,
        "Give the file of this net, at this width.",
    )


def _text(shapes: tuple[tuple[int, ...], ...]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes)
