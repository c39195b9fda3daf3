"""Random small models of every supported kind, for property tests."""

from __future__ import annotations

import keras
import numpy as np

L = keras.layers
CLASSES = 3


def randomise_norms(model: keras.Model, rng: np.random.Generator):
    """Gives batch normalizations statistics as after training: folding must be exercised."""
    for layer in model._flatten_layers():
        if isinstance(layer, L.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(rng.normal(0, 0.3, shape))
            layer.moving_variance.assign(rng.uniform(0.3, 2.0, shape))
            if layer.scale:
                layer.gamma.assign(rng.uniform(0.5, 1.5, shape))
            if layer.center:
                layer.beta.assign(rng.normal(0, 0.3, shape))


def _activation(x, rng):
    choice = rng.integers(5)
    if choice == 0:
        return L.ReLU()(x)
    if choice == 1:
        return L.ReLU(6.0)(x)
    if choice == 2:
        return L.LeakyReLU(negative_slope=0.1)(x)
    if choice == 3:
        return L.Activation("hard_swish")(x)
    return x


def _weighted(x, rng):
    """One weighted layer of random kind and options, perhaps normalized."""
    kind = rng.integers(4)
    padding = rng.choice(["same", "valid"]) if min(x.shape[1:3]) > 4 else "same"
    stride, dilation = (2, 1) if rng.random() < 0.3 else (1, int(rng.integers(1, 3)))
    if padding == "valid":
        dilation = 1
    bias = bool(rng.random() < 0.7)
    size = int(rng.choice([1, 3]))
    common = dict(strides=stride, padding=str(padding), dilation_rate=dilation, use_bias=bias)
    filters = int(rng.integers(2, 6))
    if kind == 0:
        x = L.Conv2D(filters, size, **common)(x)
    elif kind == 1:
        x = L.DepthwiseConv2D(size, depth_multiplier=int(rng.integers(1, 3)), **common)(x)
    elif kind == 2:
        x = L.SeparableConv2D(filters, size, depth_multiplier=int(rng.integers(1, 3)), **common)(x)
    else:
        x = L.Dense(filters, use_bias=bias)(x)
    return L.BatchNormalization()(x) if rng.random() < 0.6 else x


def _block(x, rng):
    kind = rng.integers(6)
    if kind == 0:  # residual
        y = L.Conv2D(x.shape[-1], 3, padding="same")(_activation(x, rng))
        y = L.BatchNormalization()(y)
        return L.Add()([x, y])
    if kind == 1:  # two branches
        a = L.Conv2D(3, 1)(x)
        b = L.DepthwiseConv2D(3, padding="same")(x)
        return L.Concatenate()([a, b])
    if kind == 2:  # a model in a model
        inner_in = keras.Input(x.shape[1:])
        return keras.Model(inner_in, _activation(_weighted(inner_in, rng), rng))(x)
    if kind == 3 and min(x.shape[1:3]) >= 4:
        pool = L.MaxPooling2D if rng.random() < 0.5 else L.AveragePooling2D
        return pool(2)(L.ZeroPadding2D(1)(x))
    return _activation(_weighted(x, rng), rng)


def random_model(seed: int, blocks: int = 4) -> keras.Model:
    """A random classifier of small images with softmax outputs; the same for the same seed."""
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    side = int(rng.integers(6, 10))
    inputs = keras.Input((side, side + int(rng.integers(0, 3)), int(rng.integers(1, 4))))
    x = L.Rescaling(0.5)(inputs) if rng.random() < 0.3 else inputs
    x = _weighted(x, rng)
    for _ in range(blocks):
        x = _block(x, rng)
    x = L.Dropout(0.2)(x) if rng.random() < 0.3 else x
    x = L.Flatten()(x) if rng.random() < 0.4 else L.GlobalAveragePooling2D()(x)
    if rng.random() < 0.5:
        x = L.Dense(5, activation="relu")(x)
    model = keras.Model(inputs, L.Dense(CLASSES, activation="softmax")(x))
    randomise_norms(model, rng)
    return model


def random_data(model: keras.Model, samples: int, seed: int = 0):
    """Inputs and class labels that fit a model."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, *model.inputs[0].shape[1:])).astype(np.float32)
    return x, rng.integers(0, model.outputs[0].shape[-1], samples)


def small_net(classes: int = CLASSES) -> keras.Model:
    """A fixed residual, separable classifier of 8 x 8 images: 51 hidden channels in 5 layers."""
    keras.utils.set_random_seed(7)
    inputs = keras.Input((8, 8, 3), name="image")
    x = L.Conv2D(12, 3, padding="same", activation="relu", name="stem")(inputs)
    y = L.Conv2D(12, 3, padding="same", use_bias=False, name="body")(x)
    y = L.BatchNormalization(name="body_norm")(y)
    x = L.ReLU(name="relu")(L.Add(name="join")([x, y]))
    x = L.SeparableConv2D(12, 3, strides=2, activation="relu", name="separable")(x)
    x = L.Conv2D(12, 1, activation="relu", name="point")(x)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    outputs = L.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs, name="small")
