"""The rows of docs/layers.md: what there is, each in a tiny net.

Rows that get on with each other share a net, one after the other, which spares time:

    sample -> start (trained) -> the rows -> mean -> head (trained)

so that every row needs a gradient for its input. `tools/layers.py` writes the page from what
`prepare` and `check_export` say of these nets; tests/simulate/test_layer_rows.py trains them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

L = keras.layers
CLASSES = 3


@dataclasses.dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        name: As the table has it: Markdown.
        apply: Its layers on a tensor.
        section: The table that it stands in; empty for its net's.
    """

    name: str
    apply: Callable[[Any], Any]
    section: str = ""


@dataclasses.dataclass(frozen=True)
class Net:
    """Rows that share a net.

    Attributes:
        section: The table that they stand in, if they do not say another.
        shape: Of the sample.
        rows: In the order of the net, and of the table.
    """

    section: str
    shape: tuple[int, ...]
    rows: tuple[Row, ...]

    def build(self, rows: tuple[Row, ...] | None = None) -> tuple[keras.Model, list[list[str]]]:
        """The net with these rows (None: with all), and the names of each row's layers."""
        keras.utils.set_random_seed(len(self.rows))
        x = inputs = keras.Input(self.shape)
        x = _start(len(self.shape))(x)
        names = []
        for row in self.rows if rows is None else rows:
            before, x = x, row.apply(x)
            parts = keras.Model(before, x).operations
            names.append([part.name for part in parts if not isinstance(part, L.InputLayer)])
        if len(x.shape) > 2:
            x = L.Flatten()(x)
        return keras.Model(inputs, L.Dense(CLASSES, activation="softmax", name="head")(x)), names


def _start(rank: int) -> keras.layers.Layer:
    if rank == 3:
        return L.Conv2D(4, 3, padding="same", name="start")
    return L.Conv1D(4, 3, name="start") if rank == 2 else L.Dense(6, name="start")


def _layer(name: str, *arguments: Any, **options: Any) -> Row:
    """A layer with the name that its class has."""
    return Row(f"`{name}`", lambda x: getattr(L, name)(*arguments, **options)(x))


def _square(values):
    return values * values


def _as(name: str, layer: Callable[[], Any]) -> Row:
    return Row(name, lambda x: layer()(x))


def _activation(name: str) -> Row:
    return Row(name, lambda x: L.Activation(name)(x))


def _squeeze_and_excite(x):
    channels = x.shape[-1]
    s = L.GlobalAveragePooling2D(keepdims=True)(x)
    s = L.Conv2D(2, 1, activation="silu")(s)
    return L.Multiply()([x, L.Conv2D(channels, 1, activation="sigmoid")(s)])


def _merged(name: str) -> Row:
    def apply(x):
        mean = L.GlobalAveragePooling2D(keepdims=True)(x)
        return getattr(L, name)()([x, mean])

    return Row(f"`{name}`", apply)


def _two(name: str, operator: Callable[[Any, Any], Any]) -> Row:
    return Row(name, lambda x: operator(x, L.GlobalMaxPooling2D(keepdims=True)(x)))


_MAP, _SERIES, _VECTOR = (6, 6, 3), (12, 3), (8,)
WEIGHTS, SHAPES, OFF = "Layers with weights", "Layers without weights", "Off on the device"
ACTIVATIONS, SEVERAL = "Activations", "Several tensors"

NETS: dict[str, Net] = {
    "maps": Net(
        WEIGHTS,
        _MAP,
        (
            _layer("Conv2D", 4, 3, padding="same", activation="relu"),
            _layer("DepthwiseConv2D", 3, strides=2, padding="same"),
            _layer("BatchNormalization"),
            _layer("Conv2DTranspose", 4, 3, activation="relu"),
            _layer("SeparableConv2D", 5, 3, padding="same"),
            _as("`Conv2D` in groups", lambda: L.Conv2D(5, 1, groups=5, activation="relu")),
            _as("`BatchNormalization` along another axis", lambda: L.BatchNormalization(axis=1)),
            _as("`PReLU`", lambda: L.PReLU(alpha_initializer="uniform", shared_axes=[1, 2])),
            Row("`Dense`", lambda x: L.Dense(6, activation="relu")(L.Flatten()(x))),
        ),
    ),
    "series": Net(
        WEIGHTS,
        _SERIES,
        (
            _layer("Conv1D", 4, 3, padding="causal", activation="relu"),
            _layer("DepthwiseConv1D", 3, padding="same"),
            _layer("SeparableConv1D", 5, 3),
            _layer("Conv1DTranspose", 4, 3),
            _as("`Dense` over a series or map", lambda: L.Dense(4, activation="relu")),
            Row("`GlobalAveragePooling1D`", lambda x: L.GlobalAveragePooling1D()(x), SHAPES),
        ),
    ),
    "volumes": Net(
        SHAPES,
        _VECTOR,
        (
            Row("`UpSampling3D`", lambda x: L.UpSampling3D((2, 1, 2))(L.Reshape((2, 1, 3, 1))(x))),
            _layer("Cropping3D", ((1, 0), (0, 0), (2, 1))),
            _layer("Flatten"),
        ),
    ),
    "frozen": Net(
        WEIGHTS,
        _MAP,
        (
            _layer("LayerNormalization"),
            _layer("GroupNormalization", 2),
            _layer("RMSNormalization"),
            _layer("UnitNormalization"),
        ),
    ),
    "kept": Net(
        WEIGHTS,
        _SERIES,
        (
            _layer("LSTM", 4, return_sequences=True),
            _layer("GRU", 4, return_sequences=True),
            Row("`MultiHeadAttention`", lambda x: L.MultiHeadAttention(1, 2)(x, x)),
        ),
    ),
    "moving": Net(
        SHAPES,
        _MAP,
        (
            _layer("ZeroPadding2D", 1),
            _layer("MaxPooling2D", 2),
            _layer("AveragePooling2D", 2, strides=1),
            _layer("UpSampling2D", 2),
            _layer("Cropping2D", ((1, 0), (0, 1))),
            _layer("Permute", (2, 1, 3)),
            _as("`Rescaling`, and `+ - * /` with a number", lambda: L.Rescaling(0.5, 0.1)),
            _as("`Normalization`", lambda: L.Normalization(mean=0.1, variance=0.7)),
            _layer("GlobalMaxPooling2D"),
            _layer("RepeatVector", 3),
            _layer("Identity"),
            _layer("Reshape", (4, 3)),
            _layer("ZeroPadding1D", 1),
            _layer("MaxPooling1D", 2),
            _layer("AveragePooling1D", 2, strides=1),
            _layer("UpSampling1D", 3),
            _layer("Cropping1D", 1),
            _layer("GlobalMaxPooling1D"),
        ),
    ),
    "off": Net(
        OFF,
        _MAP,
        (
            _layer("Dropout", 0.2),
            _layer("SpatialDropout2D", 0.2),
            _layer("GaussianNoise", 0.1),
            _layer("GaussianDropout", 0.1),
            _layer("ActivityRegularization", 0.01),
            _layer("RandomFlip"),
            _layer("RandomRotation", 0.1),
            _layer("RandomTranslation", 0.1, 0.1),
            _layer("RandomZoom", 0.1),
            _layer("RandomContrast", 0.1),
            _layer("RandomBrightness", 0.1),
        ),
    ),
    "gates": Net(
        ACTIVATIONS,
        _MAP,
        (
            _activation("leaky_relu"),
            _as("`LeakyReLU`", lambda: L.LeakyReLU(negative_slope=0.3)),
            _activation("relu6"),
            _as("`ReLU`", L.ReLU),
            _as("`ReLU` with any maximum, threshold, slope", lambda: L.ReLU(0.9, 0.1, 0.05)),
            _activation("hard_silu"),
            _activation("hard_sigmoid"),
        ),
    ),
    "smooth": Net(
        ACTIVATIONS,
        _MAP,
        (
            _activation("sigmoid"),
            _activation("tanh"),
            _activation("silu"),
            _activation("gelu"),
            Row("gelu, approximate", lambda x: keras.ops.gelu(x)),
            _activation("softmax"),
            _as("`Softmax` over any axis", lambda: L.Softmax(axis=1)),
        ),
    ),
    "exponential": Net(
        ACTIVATIONS,
        _MAP,
        (
            _activation("elu"),
            _as("`ELU`", lambda: L.ELU(0.5)),
            _activation("selu"),
            _activation("softplus"),
            _activation("softsign"),
            _activation("exponential"),
        ),
    ),
    "other activations": Net(
        ACTIVATIONS,
        _MAP,
        (
            _activation("mish"),
            _activation("squareplus"),
            Row("a function of your own", lambda x: L.Activation(_square)(x)),
        ),
    ),
    "merges": Net(
        SEVERAL,
        _MAP,
        (
            _merged("Add"),
            _merged("Subtract"),
            _merged("Average"),
            _merged("Maximum"),
            _merged("Minimum"),
            _merged("Multiply"),
            Row("`Concatenate`", lambda x: L.Concatenate()([x, L.ReLU()(x)])),
            Row("squeeze-and-excite", _squeeze_and_excite),
            _two("`a + b`", lambda a, b: a + b),
            _two("`a - b`", lambda a, b: a - b),
            _two("`a * b`", lambda a, b: a * b),
            Row("`GlobalAveragePooling2D`", lambda x: L.GlobalAveragePooling2D()(x), SHAPES),
        ),
    ),
}
