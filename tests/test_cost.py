"""Costs against tables computed by hand from the architectures."""

import dataclasses

import keras
import pytest

import tf_medyate as md
from tf_medyate import errors
from tf_medyate.cost import CostModel
from tf_medyate.exporter.lower.forward import stash_positions
from tf_medyate.exporter.lower.geometry import find_fusions
from tf_medyate.prepared.graph import trace
from tf_medyate.zoo.registry import get_network

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
        ("block_1_depthwise", 48, 9, 48 * 48),  # Keras pads stride-2 layers explicitly: not counted
        ("block_1_project", 48, 8, 24 * 24),
        ("block_6_depthwise", 96, 9, 12 * 12),
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
    # Folding trades four values per normalized channel for one bias.
    assert weights + biases == base.count_params() - norms + norms // 4
    head = mobilenet["predictions"]
    activations = sum(s.channels * s.activation_elements for s in mobilenet.values())
    assert CostModel().full(mobilenet.values()) == 4 * (weights + biases + activations)
    beside_head = weights - 1280 * 10 + activations - 1280
    assert ELEMENTS.full(mobilenet.values()) == beside_head
    assert ELEMENTS.fixed(mobilenet.values(), mobilenet) == ELEMENTS.bias(head) == 0
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
    assert ELEMENTS.full((stem, body, head)) == 3 * 100 + 4 * 100
    assert [CostModel().bias(s) for s in (stem, body, head)] == [4 * 4, 0, 4 * 5]
    assert CostModel().full((stem, body, head)) == 4 * (3 * 100 + 4 + 4 * 100 + 4 * 6 + 5)
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
    assert weights.layer(spec) == 3 * 72
    plan = md.sample_channels([spec, dataclasses.replace(spec, name="head", index=1, is_head=True)],
                              {"conv": [1.0, 2.0, 3.0]}, "160 weights")  # fmt: skip
    assert (plan.fixed, plan.drawn) == (0, 2 * 72)
    assert str(plan).endswith("144 weights of 160 weights (head and biases not counted)")


# MeDyate and TraDy (2510.20979, 2510.19675) print these sums over all convolutions; 128 pixels
# alone give them. Without the 1x1 convolution before the head: tiny-training's variants.
@pytest.mark.parametrize(
    ("network", "convolutions", "elements", "without_mix"),
    [
        ("mobilenet_v2_035", 52, 1_252_320, 1_200_352),
        ("mcunet_in1", 42, 1_309_808, 1_309_808),
        ("proxyless_w03", 61, 1_162_032, 1_123_632),
    ],
)
def test_the_papers_totals(network, convolutions, elements, without_mix):
    specs = md.layer_specs(get_network(network).build((128, 128, 3), 10))
    assert len(specs) == convolutions + 1
    assert ELEMENTS.full(specs) == elements
    assert ELEMENTS.full(s for s in specs if s.name != "mix_conv") == without_mix


@pytest.mark.parametrize(
    ("pad", "shared", "activations"),
    [
        (((1, 1), (1, 1)), False, 8 * 8),
        (((0, 1), (0, 1)), False, 8 * 8),
        (((3, 3), (3, 3)), False, 14 * 14),  # the kernel would begin outside of the map
        (((1, 1), (1, 1)), True, 10 * 10),  # another layer reads the padded map
    ],
)
def test_padding_is_not_paid_for_where_the_device_does_not_save_it(pad, shared, activations):
    inputs = keras.Input((8, 8, 2))
    padded = keras.layers.ZeroPadding2D(pad)(inputs)
    outputs = keras.layers.GlobalAveragePooling2D()(
        keras.layers.Conv2D(3, 3, strides=2, name="conv")(padded)
    )
    if shared:
        outputs = keras.layers.Concatenate()([outputs, keras.layers.GlobalMaxPooling2D()(padded)])
    model = md.prepare(keras.Model(inputs, keras.layers.Dense(2)(outputs)))
    conv = md.layer_specs(model)[0]
    assert conv.activation_elements == activations
    graph = trace(model)
    assert stash_positions(graph, find_fusions(graph))["conv"] == activations
