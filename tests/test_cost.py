"""Costs against tables computed by hand from the architectures."""

import dataclasses

import keras
import pytest

import tf_medyate as md
from tf_medyate import errors
from tf_medyate.cost import CostModel

ELEMENTS = CostModel(unit="elements")


@pytest.fixture(scope="module")
def mobilenet():
    base = keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, weights=None, classes=10)
    return {spec.name: spec for spec in md.layer_specs(base)}


@pytest.mark.parametrize(
    ("name", "channels", "weights", "activations"),
    [
        # Written down from the paper's table (t, c, n, s) at width 0.35 and 96 x 96 pixels:
        # input 96x96; stem stride 2 -> 48x48x16; then 24, 12, 6, 6, 3, 3.
        ("Conv1", 3, 3 * 3 * 16, 96 * 96),
        ("expanded_conv_depthwise", 16, 3 * 3, 48 * 48),
        ("expanded_conv_project", 16, 8, 48 * 48),
        ("block_1_expand", 8, 48, 48 * 48),
        ("block_1_depthwise", 48, 9, 49 * 49),  # Keras pads stride-2 layers explicitly: 48+1
        ("block_1_project", 48, 8, 24 * 24),
        ("block_6_depthwise", 96, 9, 13 * 13),
        ("block_6_project", 96, 24, 6 * 6),
        ("block_13_expand", 32, 192, 6 * 6),
        ("block_16_project", 336, 112, 3 * 3),
        ("Conv_1", 112, 1280, 3 * 3),
        ("predictions", 1280, 10, 1),
    ],
)
def test_mobilenet_v2_035(mobilenet, name, channels, weights, activations):
    spec = mobilenet[name]
    assert (spec.channels, spec.weights_per_channel) == (channels, weights)
    assert spec.activation_elements == activations
    assert ELEMENTS.channel(spec) == weights + activations
    assert CostModel().channel(spec) == 4 * (weights + activations)


def test_mobilenet_v2_035_in_all(mobilenet):
    base = keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, weights=None, classes=10)
    norms = sum(
        layer.count_params()
        for layer in base.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    )
    weights = sum(spec.weight_elements for spec in mobilenet.values())
    biases = sum(spec.bias_elements for spec in mobilenet.values())
    # Folding trades four values per normalised channel for one bias.
    assert weights + biases == base.count_params() - norms + norms // 4
    activations = sum(s.channels * s.activation_elements for s in mobilenet.values())
    assert ELEMENTS.full(mobilenet.values()) == weights + biases + activations
    assert mobilenet["Conv1"].macs == 48 * 48 * 9 * 3 * 16
    assert mobilenet["expanded_conv_depthwise"].macs == 48 * 48 * 9 * 16


def residual_net():
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    stem = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    body = layers.Conv2D(4, 3, padding="same", use_bias=False, name="body")(stem)
    joined = layers.Add()([stem, body])
    pooled = layers.GlobalAveragePooling2D()(joined)
    return keras.Model(inputs, layers.Dense(5, name="head")(pooled))


def test_a_residual_net_by_hand():
    stem, body, head = md.layer_specs(residual_net())
    assert (stem.inputs, body.inputs, head.inputs) == ((), ("stem",), ("stem", "body"))
    assert [spec.is_head for spec in (stem, body, head)] == [False, False, True]
    assert [ELEMENTS.channel(s) for s in (stem, body, head)] == [36 + 64, 36 + 64, 5 + 1]
    assert [ELEMENTS.bias(s) for s in (stem, body, head)] == [4, 0, 5]
    assert ELEMENTS.full((stem, body, head)) == 3 * 100 + 4 + 4 * 100 + 4 * 6 + 5
    # Adam (2 slots), an accumulator, two samples at once: 36 * (1 + 1 + 2) + 64 * 2 values.
    adam = CostModel(optimizer_slots=2, accumulate=True, device_batch=2)
    assert adam.channel(stem) == 4 * (36 * 4 + 64 * 2)
    assert adam.bias(stem) == 4 * 4 * 4
    assert adam.fixed((stem, body, head), {"stem"}) == 4 * (4 * 4 + (20 * 4 + 4 * 2) + 5 * 4)
    assert CostModel(train_bias=False).fixed((stem, body, head), {"stem"}) == 4 * (4 * 6 + 5)


def test_dense_over_a_sequence_stores_every_position():
    inputs = keras.Input((7, 3))
    (spec,) = md.layer_specs(keras.Model(inputs, keras.layers.Dense(5)(inputs)))
    assert ELEMENTS.channel(spec) == 5 + 7
    assert spec.macs == 7 * 3 * 5


def test_bad_cost_options_are_refused():
    for wrong in ({"unit": "bits"}, {"optimizer_slots": -1}, {"device_batch": 0}):
        with pytest.raises(errors.OptionError, match=next(iter(wrong))):
            CostModel(**wrong)


def test_weights_alone_are_counted_as_velocity_does():
    spec = md.LayerSpec("conv", "conv2d", 0, 3, 8, 72, 64, 8, 1000, (3, 3))
    weights = CostModel("weights", optimizer_slots=2, accumulate=True)
    assert weights.channel(spec) == 72
    assert weights.layer(spec) == 3 * 72 + 8
    plan = md.sample_channels([spec, dataclasses.replace(spec, name="head", index=1, is_head=True)],
                              {"conv": [1.0, 2.0, 3.0]}, "400 weights")  # fmt: skip
    assert plan.used == 224 + 8 + 2 * 72
