"""Layers of many kinds, frozen or trained: the exported step in TFLM against Keras's own.

Keras's step takes its gradients from tf.GradientTape. Each layer stands between two that are
trained, so that its gradient is needed, too.
"""

import keras
import numpy as np
import pytest
from cases import CLASSES, make_case
from random_models import randomise_norms

import tf_medyate as md
from tf_medyate.errors import UnsupportedLayerError
from tf_medyate.simulate import TFLMTrainer

L = keras.layers
STEPS = 50


def series():
    """Layers over a series."""
    inputs = keras.Input((10, 3))
    x = L.Conv1D(4, 3)(inputs)
    x = L.DepthwiseConv1D(3, depth_multiplier=2, padding="same", name="depthwise")(x)
    x = L.ReLU()(L.BatchNormalization(name="folded")(x))
    x = L.SeparableConv1D(5, 3, strides=2, activation="relu", name="separable")(x)
    x = L.UpSampling1D(3, name="larger")(x)
    x = L.Cropping1D((2, 1), name="inner")(x)
    x = L.DepthwiseConv1D(2, dilation_rate=2, use_bias=False, name="dilated")(x)
    x = L.Permute((2, 1), name="turned")(x)
    x = L.Conv1D(4, 5, name="whole")(x)
    x = L.RepeatVector(2, name="twice")(L.Flatten()(x))
    return keras.Model(inputs, L.Dense(CLASSES)(L.Flatten()(x)))


def maps():
    """Layers over a map."""
    inputs = keras.Input((6, 5, 3))
    standard = L.Normalization(mean=[0.1, 0.2, 0.3], variance=[1, 0.5, 2], name="standard")
    x = L.Conv2D(4, 3, padding="same", activation="relu")(standard(inputs))
    x = L.Conv2D(6, (3, 1), groups=2, activation="relu", name="grouped")(x)
    x = L.Conv2D(6, 1, groups=6, use_bias=False, name="lone")(x)
    x = L.UpSampling2D((1, 2), name="wider")(x)
    x = L.Cropping2D(((1, 0), (2, 3)), name="inner")(x)
    x = L.BatchNormalization(axis=1, name="rows")(x)
    x = L.Permute((3, 1, 2), name="turned")(x)
    scale = np.random.default_rng(3).normal(size=(6, 3, 5))
    x = L.Rescaling(scale.tolist(), 0.1, name="scaled")(x)
    relu = L.ReLU(name="shared")
    x = L.Add()([relu(x), relu(L.Conv2D(5, 1, name="point")(x))])
    return keras.Model(inputs, L.Dense(CLASSES)(L.Flatten()(x)))


def transposed():
    """Transposed convolutions, and statistics of groups of channels."""
    inputs = keras.Input((5, 4, 3))
    x = L.Conv2D(6, 3, padding="same")(inputs)
    x = L.GroupNormalization(2, name="group")(x)
    x = L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu", name="larger")(x)
    x = L.Conv2D(4, 3, strides=2, activation="relu", name="smaller")(x)
    x = L.Reshape((-1, 4))(x)
    x = L.Conv1DTranspose(3, 2, strides=3, use_bias=False, name="longer")(x)
    x = L.GroupNormalization(-1, name="each")(L.Conv1D(4, 3, name="trained")(x))
    return keras.Model(inputs, L.Dense(CLASSES)(L.Flatten()(x)))


def norms():
    """Statistics of all channels."""
    inputs = keras.Input((5, 4, 3))
    x = L.LayerNormalization(name="layer")(L.Conv2D(6, 3, padding="same")(inputs))
    x = L.Conv2D(4, 3, strides=2, activation="relu", name="smaller")(x)
    x = L.LayerNormalization(axis=[1, 2, 3], center=False, epsilon=0.1, name="whole")(x)
    x = L.RMSNormalization(name="rms")(L.Conv2D(8, 1, name="trained")(x))
    x = L.UnitNormalization(name="unit")(L.Conv2D(6, 1, name="last")(x))
    return keras.Model(inputs, L.Dense(CLASSES)(L.Flatten()(x)))


def separable(x, filters, kernel, stride=1):
    """NASNet's: twice, and the first one may be strided; then it pads for itself."""
    x = L.ReLU()(x)
    if stride > 1:
        x = L.ZeroPadding2D((kernel - 1) // 2)(x)
    padding = "valid" if stride > 1 else "same"
    x = L.SeparableConv2D(filters, kernel, stride, padding=padding, use_bias=False)(x)
    x = L.ReLU()(L.BatchNormalization()(x))
    x = L.SeparableConv2D(filters, kernel, padding="same", use_bias=False)(x)
    return L.BatchNormalization()(x)


def squeezed(x, filters):
    return L.BatchNormalization()(L.Conv2D(filters, 1, use_bias=False)(L.ReLU()(x)))


def halved(x, filters):
    """Every second position, and those between them."""
    x = L.ReLU()(x)
    others = L.Cropping2D(((1, 0), (1, 0)))(L.ZeroPadding2D(((0, 1), (0, 1)))(x))
    halves = [L.AveragePooling2D(1, strides=2, padding="valid")(y) for y in (x, others)]
    halves = [L.Conv2D(filters // 2, 1, use_bias=False)(y) for y in halves]
    return L.BatchNormalization()(L.Concatenate()(halves))


def nasnet():
    """What the cells of keras.applications' NASNetMobile are made of, once each."""
    inputs = keras.Input((8, 7, 3))
    p = L.BatchNormalization()(L.Conv2D(4, 3, padding="same", use_bias=False)(inputs))
    h, average = squeezed(p, 4), {"strides": 1, "padding": "same"}
    padded = L.ZeroPadding2D(1)(h)
    x1 = L.Add()([separable(h, 4, 5, 2), separable(p, 4, 7, 2)])
    x2 = L.Add()([L.MaxPooling2D(3, strides=2)(padded), x1])
    x3 = L.Add()([L.AveragePooling2D(3, strides=2)(padded), x1])
    x4 = L.Add()([x2, L.AveragePooling2D(3, **average)(x1)])
    p, h = halved(p, 4), squeezed(L.Concatenate()([x2, x3, x4]), 4)
    x1 = L.Add()([separable(h, 4, 3), h])
    x2 = L.Add()([L.AveragePooling2D(3, **average)(p), L.AveragePooling2D(3, **average)(p)])
    x = L.GlobalAveragePooling2D()(L.ReLU()(L.Concatenate()([p, x1, x2])))
    return keras.Model(inputs, L.Dense(CLASSES)(x))


FROZEN = {
    nasnet: (),
    series: (),
    maps: ("grouped", "lone", "rows"),
    transposed: ("group", "each"),
    norms: ("layer", "whole", "rms"),
}


def with_statistics(build):
    def built():
        model, rng = build(), np.random.default_rng(3)
        randomise_norms(model, rng)
        for layer in model.layers:
            for weight in layer.weights:
                if weight.name in ("gamma", "beta", "scale", "bias"):  # not the same everywhere
                    weight.assign(weight + rng.normal(0, 0.2, weight.shape))
        return model

    return built


@pytest.mark.usefixtures("quick_export")
@pytest.mark.parametrize("build", FROZEN, ids=lambda build: build.__name__)
def test_50_steps_as_in_keras(build, tmp_path):
    # At 0.05 Keras itself strays from Keras, if its input moves by a rounding: instance
    # normalization makes much of little.
    optimizer = keras.optimizers.SGD(0.02)
    case = make_case(
        with_statistics(build), STEPS // 2, budget=None, strategy="full", optimizer=optimizer
    )
    assert set(FROZEN[build]) <= set(case.model.frozen_layers)
    trainer = TFLMTrainer(md.export(case.model, tmp_path, case.medyate))
    step = case.step()
    for epoch in range(2):
        case.medyate.begin_epoch(epoch)
        for sample, label in zip(case.x, case.y, strict=True):
            wanted, got = step(sample, label), trainer.step(sample, label)
            assert abs(got - wanted) <= 1e-4 * max(1, wanted)  # the project's own limit
        case.medyate.end_epoch()
        trainer.end_epoch()
    for layer in md.layers.masked_layers(case.model):
        kernel, bias = trainer.weights()[layer.name]
        np.testing.assert_allclose(kernel, layer.kernel.numpy(), atol=1e-4)
        if layer.bias is not None:
            np.testing.assert_allclose(bias, layer.bias.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (L.UpSampling2D(2, interpolation="bilinear"), 'interpolation="nearest".*bilinear'),
        (L.LayerNormalization(axis=1), r"layer .*the last axes, -1 or all of them; received \[1\]"),
        (L.LayerNormalization(rms_scaling=True), "rms_scaling=False"),
        (L.GroupNormalization(2, axis=1), "axis=-1"),
        (L.UpSampling2D(2, data_format="channels_first"), 'data_format="channels_last"'),
        (L.MaxPooling2D(2, data_format="channels_first"), 'data_format="channels_last"'),
        (L.GlobalAveragePooling2D(data_format="channels_first"), 'data_format="channels_last"'),
        (L.Flatten(data_format="channels_first"), 'data_format="channels_last"'),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_has_no_rule_is_refused_before_training(layer, message):
    before = L.Dense(4)  # in front of everything trained TFLM would have them
    base = keras.Sequential([keras.Input((4, 4, 4)), before, layer, L.Flatten(), L.Dense(2)])
    model = md.prepare(base)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(UnsupportedLayerError, match=message):
        md.check_export(model, md.MeDyate("4KiB", verbose=0))


@pytest.mark.parametrize("frozen", ["float32", "int8"])
def test_channels_first_is_refused_where_no_op_is_left_of_the_layer(frozen):
    first = {"data_format": "channels_first"}
    fused = [L.ZeroPadding2D(((1, 0), (0, 0)), **first), L.Conv2D(2, 2)]
    quantized = [L.Conv2D(4, 1), L.MaxPooling2D(2, **first)]
    layers = fused if frozen == "float32" else quantized
    model = md.prepare(keras.Sequential([keras.Input((4, 4, 4)), *layers, L.Flatten(), L.Dense(2)]))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    medyate = md.MeDyate(None, "head", verbose=0)
    medyate.set_model(model)
    data = np.random.default_rng(0).normal(size=(8, 4, 4, 4)).astype("f")
    with pytest.raises(UnsupportedLayerError, match='data_format="channels_last"'):
        md.check_export(model, medyate, frozen=frozen, representative_data=data)
