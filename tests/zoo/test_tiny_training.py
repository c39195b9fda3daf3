"""The papers' nets in tiny-training's files: read exactly, and nothing but nets is read."""

import os
import pathlib
import pickle

import keras
import numpy as np
import pytest
from mcu_files import make_net, outputs, read_trusted, write_net, write_pickle

import tf_medyate as md
from tf_medyate.data.packaged import locate
from tf_medyate.data.vision import centre_crop
from tf_medyate.errors import DataError, OptionError
from tf_medyate.zoo import mcu_file
from tf_medyate.zoo.inverted import InvertedBlock, inverted_bottlenecks
from tf_medyate.zoo.mcu_file import read_mcu
from tf_medyate.zoo.registry import get_network
from tf_medyate.zoo.size import macs
from tf_medyate.zoo.tiny_training import NETWORK, load_folded
from tf_medyate.zoo.weights import VARIABLE

# Every kind: without expansion, with a shortcut, strided; three sizes of kernel.
BLOCKS = (
    InvertedBlock(3, 1, 8, 1),
    InvertedBlock(5, 3, 12, 2),
    InvertedBlock(7, 4, 12, 1),
    InvertedBlock(3, 6, 16, 1),
)
REAL = pathlib.Path(os.environ.get("MEDYATE_DATA", "nowhere"), "mcu_models")
needs_files = pytest.mark.skipif(not REAL.is_dir(), reason="MEDYATE_DATA has no mcu_models")


def build(input_shape, classes):
    return inverted_bottlenecks(BLOCKS, 0, input_shape, classes, None, "small")


def load(path, classes=10, blocks=BLOCKS, **options):
    options = {"input_shape": (32, 32, 3), **options}
    return load_folded(
        classes, name="small", build=build, blocks=blocks, file="small.pkl", path=path, **options
    )


@pytest.fixture
def saved():
    return make_net(np.random.default_rng(0), BLOCKS)


def after_blocks(model):
    """The model's output after each block, and before the softmax."""
    names = [layer.name for layer in model.layers]
    count = sum(name.endswith("_project_conv") for name in names)
    ends = [f"block{i}_add" if f"block{i}_add" in names else f"block{i}_project_conv"
            for i in range(1, count + 1)]  # fmt: skip
    return keras.Model(model.input, [model.get_layer(name).output for name in ends])


def assert_computes(model, saved, x):
    """Block by block, and the classes, what the file's integers say."""
    expected, logits = outputs(saved, x)
    for place, (ours, theirs) in enumerate(zip(after_blocks(model)(x), expected, strict=True)):
        # Float32 against float64 over up to 60 layers; a map of another stride, padding or block
        # would differ by its own size.
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, atol=2e-4 * scale, err_msg=f"block {place}")
    found = np.log(np.asarray(model(x)) + 1e-30)
    found -= found.max(1, keepdims=True)
    np.testing.assert_allclose(
        found, logits - logits.max(1, keepdims=True), atol=1e-3 * np.abs(logits).max()
    )


class TestReadMcu:
    def test_computes_what_the_file_says(self, saved, tmp_path):
        path = write_net(tmp_path / "small.pkl", saved)
        x = np.random.default_rng(1).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
        assert_computes(load(path, head=True), saved, x)

    def test_table_and_sizes(self, saved, tmp_path):
        net = read_mcu(write_net(tmp_path / "small.pkl", saved))
        assert net.blocks == BLOCKS
        assert (net.mix, net.pixels) == (0, 32)
        assert [layer.name for layer in net.layers][:3] == [
            "first_conv",
            "blocks.0.depthwise",
            "blocks.0.pointwise2",
        ]

    def test_the_head_is_fresh_unless_asked_for(self, saved, tmp_path):
        write_net(tmp_path / "small.pkl", saved)
        kernel = load(tmp_path).get_layer("head").kernel
        assert np.abs(kernel).max() < 1  # drawn, where the file's reach 1.27
        assert load(tmp_path, classes=3).output_shape == (None, 3)
        with pytest.raises(OptionError, match="10, as in the file"):
            load(tmp_path, classes=3, head=True)

    def test_can_be_prepared(self, saved, tmp_path):
        model = load(write_net(tmp_path / "small.pkl", saved))
        x = np.random.default_rng(1).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
        np.testing.assert_allclose(md.prepare(model)(x), model(x), atol=1e-5)

    def test_a_net_with_another_stride_is_refused(self, saved, tmp_path):
        write_net(tmp_path / "small.pkl", saved)
        other = (*BLOCKS[:2], BLOCKS[2]._replace(stride=2), BLOCKS[3])
        with pytest.raises(DataError, match=r"as block 3 of small.*stride=1"):
            load(tmp_path, blocks=other)
        with pytest.raises(DataError, match="no more blocks as block 4"):
            load(tmp_path, blocks=BLOCKS[:3])

    def test_a_net_with_a_last_convolution_is_refused(self, tmp_path):
        write_net(tmp_path / "small.pkl", make_net(np.random.default_rng(0), BLOCKS, mix=24))
        with pytest.raises(DataError, match="received one of 24"):
            load(tmp_path)


def change(saved, path, value):
    """Sets an entry, "blocks.1.depthwise.stride"."""
    *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    for part in way:
        saved = saved[part]
    saved[last] = value


class TestRefusals:
    @pytest.mark.parametrize(
        ("entry", "value", "message"),
        [
            ("blocks.1.se", {"reduce": 4}, "blocks.1, which is no inverted bottleneck"),
            ("blocks.1.residual", {"params": {}}, "blocks.1, which is no inverted"),
            ("blocks.2.residual", None, "blocks.2, which is no inverted"),
            ("blocks.1.pointwise2.out_channel", 13, r"blocks.1.pointwise2 with weights \(12"),
            ("blocks.1.depthwise.kernel_size", (5, 3), "blocks.1.depthwise with weights"),
            ("first_conv.stride", 1, "first_conv with weights .* stride 1"),
            ("blocks.0.depthwise.groups", 2, "2 groups"),
            ("classifier.params.x_scale", 0.0, "scales that are not positive"),
            ("classifier.params.x_scale", float("nan"), "scales that are not positive"),
            ("classifier.params.bias", [1, 2], "classifier with list for an array"),
            ("classifier.params.bias", np.zeros(10, ">i4"), "byte order '>'"),
            ("classifier.params.bias", np.zeros(10, np.complex64), "array of 'c8'"),
            ("classifier.params.bias", np.zeros(10, object), "array of 'O8'"),
            ("feature_mix", 7, "expected a net as tiny-training publishes it"),
        ],
    )
    def test_nets_that_are_none(self, entry, value, message, saved, tmp_path):
        change(saved, entry, value)
        with pytest.raises(DataError, match=message):
            read_mcu(write_net(tmp_path / "x.pkl", saved))

    def test_nothing_that_a_file_names_is_called(self, saved, tmp_path):
        class Trap:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "sprung"),)

        saved["first_conv"]["act"] = Trap()
        with pytest.raises(DataError, match=r"the name (posix|nt)\.mkdir"):
            read_mcu(write_net(tmp_path / "x.pkl", saved))
        assert not (tmp_path / "sprung").exists()

    def test_exactly_four_names_are_known(self):
        assert {f"{module}.{name}" for module, name in mcu_file._Reader._KNOWN} == {
            "numpy.core.multiarray._reconstruct",
            "numpy.ndarray",
            "numpy.dtype",
            "_codecs.encode",
        }

    # What NumPy's own functions would do: set memory aside for a shape that nothing fills.
    MADE = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
    KIND = b"cnumpy\ndtype\nX\x02\x00\x00\x00i1\x85R"
    TEXT = b"c_codecs\nencode\nX\x10\x00\x00\x00" + b"a" * 16 + b"X\x06\x00\x00\x00latin1\x86R"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (MADE + b"J\x00\x00\x00\x7f\x85U\x01b\x87R.", r"\(2130706432,\)"),
            (MADE + b"K\x00\x85U\x01b\x87R(K\x01K\x11\x85" + KIND + b"\x89" + TEXT + b"tb.",
             r"array \(17,\) of 16 bytes"),
            (MADE + b"K\x00\x85U\x01b\x87R(K\x01J\xff\xff\xff\xffJ\xf0\xff\xff\xff\x86" + KIND
             + b"\x89" + TEXT + b"tb.", r"array \(-1, -16\) of 16 bytes"),
            (MADE + b"K\x00\x85U\x01b\x87R.", "expected a net"),
            (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x06\x00\x00\x00base64\x86R.",
             "bytes in base64"),
            (b"\x80\x02}r\xff\xff\xff\x7f.", "object 2147483647"),
            (b"\x80\x02]q\x00", "expected a net"),
            (b"", "expected a net"),
        ],
    )  # fmt: skip
    def test_made_up_pickles(self, content, message, tmp_path):
        with pytest.raises(DataError, match=message):
            read_mcu(write_pickle(tmp_path / "x.pkl", content))

    @pytest.mark.parametrize("name", [b"_codecs\nencode", b"numpy.core.multiarray\n_reconstruct"])
    def test_nothing_that_a_file_names_is_changed(self, name, tmp_path):
        content = b"\x80\x02c" + name + b"\n}X\x01\x00\x00\x00aK\x01sb."
        with pytest.raises(DataError, match="a change of what it may call"):
            read_mcu(write_pickle(tmp_path / "x.pkl", content))
        assert not vars(mcu_file._Reader._encode)
        assert not vars(mcu_file._Reader._reconstruct)

    def test_one_text_as_many_arrays(self, tmp_path, monkeypatch):
        monkeypatch.setattr(mcu_file, "_MOST_BYTES", 1000)
        text = b"X\xfa\x00\x00\x00" + b"a" * 250 + b"q\x00X\x06\x00\x00\x00latin1q\x01"
        calls = b"c_codecs\nencode\nq\x02h\x00h\x01\x86R" + b"h\x02h\x00h\x01\x86R" * 4
        with pytest.raises(DataError, match="more than 1,000"):
            read_mcu(write_pickle(tmp_path / "x.pkl", b"\x80\x02" + text + calls + b"."))

    def test_size_of_the_file(self, saved, tmp_path, monkeypatch):
        path = write_net(tmp_path / "x.pkl", saved)
        monkeypatch.setattr(mcu_file, "_MOST_BYTES", path.stat().st_size - 1)
        with pytest.raises(DataError, match="a file of more than"):
            read_mcu(path)

    def test_other_files(self, tmp_path):
        for content in (b"", b"half a file", pickle.dumps(7)):
            (tmp_path / "x.pkl").write_bytes(content)
            with pytest.raises(DataError, match=r"x\.pkl: expected a net as tiny-training"):
                read_mcu(tmp_path / "x.pkl")


class TestNetworks:
    @pytest.mark.parametrize("network", NETWORK, ids=lambda network: network.name)
    def test_sizes(self, network):
        model = network.build(network.input_shape, network.classes)
        assert model.count_params() == network.parameters
        assert macs(model) == network.macs

    def test_missing_files_say_where_they_are_published(self, monkeypatch, tmp_path):
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        with pytest.raises(DataError, match=r"none of mcunet-5fps\.pkl.*mit-han-lab/tiny-training"):
            get_network("mcunet_in1_folded").pretrained(10)

    @needs_files
    @pytest.mark.parametrize("network", NETWORK, ids=lambda network: network.name)
    def test_the_published_files(self, network):
        """Block by block, and what they see in a photograph that a package ships."""
        model = network.pretrained(1000, path=REAL, head=True)
        file = network.pretrained.keywords["file"]
        china = locate("sklearn", "datasets/images/china.jpg", "scikit-learn")
        x = centre_crop(np.asarray(keras.utils.load_img(china)), 128)[None] / np.float32(127.5) - 1
        assert_computes(model, read_trusted(REAL / file), x)
        best = np.asarray(model(x))[0].argsort()[::-1]
        palace, monastery, stupa = 698, 663, 832
        assert palace in best[:3]
        assert monastery in best[:10]
        assert stupa in best[:10]
