"""The zoo's nets have the sizes of their sources, and the watch net is trained only once."""

import importlib.util
import os

import keras
import numpy as np
import pytest

from tf_medyate import zoo
from tf_medyate.data import leave_one_out
from tf_medyate.errors import OptionError
from tf_medyate.files import OutputError
from tf_medyate.zoo import pretrain

needs_recordings = pytest.mark.skipif(
    importlib.util.find_spec("seglearn") is None, reason="seglearn is not installed"
)
WEIGHTED = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.Dense,
)

NETS = [
    (zoo.watch_cnn, (100, 6), 7, 18_871, 18_519, 6),
    (zoo.ds_cnn, (49, 10, 1), 12, 24_908, 23_756, 10),
    (zoo.resnet8, (32, 32, 3), 10, 78_666, 78_186, 10),
    (zoo.mobilenet_v2, (96, 96, 3), 10, 423_018, 408_938, 53),
]


@pytest.mark.parametrize(
    ("build", "shape", "classes", "parameters", "trainable", "weighted"),
    NETS,
    ids=[entry[0].__name__ for entry in NETS],
)
class TestNets:
    def test_sizes(self, build, shape, classes, parameters, trainable, weighted):
        model = build()
        assert model.input_shape == (None, *shape)
        assert model.output_shape == (None, classes)
        assert model.count_params() == parameters
        assert sum(np.prod(w.shape) for w in model.trainable_weights) == trainable
        assert sum(isinstance(layer, WEIGHTED) for layer in model.layers) == weighted

    def test_outputs_are_probabilities(
        self, build, shape, classes, parameters, trainable, weighted
    ):
        x = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
        y = np.asarray(build()(x, training=False))
        assert y.shape == (2, classes)
        assert (y >= 0).all()
        # A float32 softmax over at most 12 classes sums to 1 within a few units of rounding.
        np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)

    def test_classes_and_shape_can_be_chosen(
        self, build, shape, classes, parameters, trainable, weighted
    ):
        wider = (64, *shape[1:]) if len(shape) == 2 else (64, 64, shape[2])
        model = build(input_shape=list(wider), classes=3)
        assert model.input_shape == (None, *wider)
        assert model.output_shape == (None, 3)

    def test_is_not_compiled(self, build, shape, classes, parameters, trainable, weighted):
        assert not build().compiled


class TestStructure:
    def test_mobilenet_size_on_imagenet(self):
        model = zoo.mobilenet_v2(classes=1000)
        assert model.count_params() == 1_691_208

    def test_mobilenet_width(self):
        assert zoo.mobilenet_v2(alpha=0.5).count_params() > 423_018

    def test_resnet8_has_three_residual_sums_and_two_bare_shortcuts(self):
        model = zoo.resnet8()
        assert sum(isinstance(layer, keras.layers.Add) for layer in model.layers) == 3
        for name in ("block2_shortcut", "block3_shortcut"):
            layer = model.get_layer(name)
            assert layer.kernel_size == (1, 1)
            assert layer.use_bias
        assert model.get_layer("average").input.shape == (None, 8, 8, 64)

    def test_ds_cnn_map(self):
        assert zoo.ds_cnn().get_layer("average").input.shape == (None, 25, 5, 64)

    def test_watch_cnn_convolutions_leave_the_bias_to_normalization(self):
        model = zoo.watch_cnn()
        convs = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv1D)]
        assert [conv.filters for conv in convs] == [16, 32, 32, 48, 48]
        assert not any(conv.use_bias for conv in convs)


# One epoch on 512 windows: enough for the machinery, not for accuracy.
OPTIONS = {"epochs": 1, "max_windows": 512}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder that holds one net, and that net."""
    folder = tmp_path_factory.mktemp("nets")
    return folder, zoo.pretrained_watch_cnn(0, cache_dir=folder, **OPTIONS)


@needs_recordings
class TestPretrain:
    @pytest.fixture
    def no_training(self, monkeypatch):
        def fail(*args, **kwargs):
            raise AssertionError("trained although the net was kept")

        monkeypatch.setattr(pretrain, "_train", fail)

    def test_leaves_one_file(self, kept):
        folder, _ = kept
        names = os.listdir(folder)
        assert len(names) == 1
        assert names[0].startswith("watch_cnn-wearer0-")
        assert names[0].endswith(".keras")

    def test_is_trained_and_not_compiled(self, kept):
        _, model = kept
        assert not model.compiled
        moved = model.get_layer("bn1").moving_mean
        assert np.abs(np.asarray(moved)).max() > 0
        split = leave_one_out(0)
        guess = np.asarray(model(split.source_x[::20], training=False)).argmax(1)
        assert np.unique(guess).size > 1

    def test_kept_net_is_read(self, kept, no_training):
        folder, model = kept
        again = zoo.pretrained_watch_cnn(0, cache_dir=str(folder), **OPTIONS)
        assert again is not model
        assert not again.compiled
        for old, new in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_generators_are_left_the_same_whether_trained_or_read(self, tmp_path):
        draws = []
        for _ in range(2):
            zoo.pretrained_watch_cnn(0, cache_dir=tmp_path, seed=5, **OPTIONS)
            draws.append((np.random.random(), float(keras.random.uniform(()))))
        assert draws[0] == draws[1]

    def test_same_seed_same_net(self, kept, tmp_path):
        _, model = kept
        again = zoo.pretrained_watch_cnn(0, cache_dir=tmp_path, **OPTIONS)
        for old, new in zip(model.get_weights(), again.get_weights(), strict=True):
            # Threads may sum in another order, which 8 small steps cannot amplify much.
            np.testing.assert_allclose(old, new, atol=1e-4)

    def test_key_covers_arguments_recipe_layers_and_data(self, monkeypatch):
        split = leave_one_out(0)
        files = [
            pretrain._cache_file("x", split, 1, 0),
            pretrain._cache_file("x", split, 2, 0),
            pretrain._cache_file("x", split, 1, 1),
            pretrain._cache_file("x", leave_one_out(1), 1, 0),
            pretrain._cache_file("x", pretrain._thin(split, 512), 1, 0),
        ]
        monkeypatch.setitem(pretrain._RECIPE, "version", -1)
        files.append(pretrain._cache_file("x", split, 1, 0))
        monkeypatch.undo()
        monkeypatch.setattr(pretrain, "watch_cnn", lambda: zoo.watch_cnn(classes=8))
        files.append(pretrain._cache_file("x", split, 1, 0))
        monkeypatch.undo()
        assert len(set(files)) == len(files)
        assert pretrain._cache_file("x", split, 1, 0) == files[0]

    def test_default_folder(self, monkeypatch, tmp_path):
        split = leave_one_out(0)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert pretrain._cache_file(None, split, 1, 0).parent == tmp_path / "tf_medyate"
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        expected = tmp_path / ".cache" / "tf_medyate"
        assert pretrain._cache_file(None, split, 1, 0).parent == expected

    def test_broken_file_is_replaced(self, kept, tmp_path, monkeypatch):
        _, model = kept
        monkeypatch.setattr(pretrain, "_train", lambda *args: model)
        path = pretrain._cache_file(tmp_path, pretrain._thin(leave_one_out(0), 512), 1, 0)
        path.write_bytes(b"half a file")
        with pytest.warns(UserWarning, match="cannot be read"):
            zoo.pretrained_watch_cnn(0, cache_dir=tmp_path, **OPTIONS)
        assert path.stat().st_size > 10_000
        assert os.listdir(tmp_path) == [path.name]

    def test_failed_training_leaves_nothing(self, tmp_path, monkeypatch):
        def fail(*args):
            raise RuntimeError("interrupted")

        monkeypatch.setattr(pretrain, "_train", fail)
        with pytest.raises(RuntimeError, match="interrupted"):
            zoo.pretrained_watch_cnn(0, cache_dir=tmp_path, **OPTIONS)
        assert os.listdir(tmp_path) == []

    def test_thinned_windows_hold_every_class(self):
        split = leave_one_out(0)
        thin = pretrain._thin(split, 512)
        assert len(thin.source_x) == len(thin.source_y) == 512
        assert set(thin.source_y) == set(range(7))
        assert len(pretrain._thin(split, 10**6).source_x) == len(split.source_x)

    def test_wrong_options(self, tmp_path):
        with pytest.raises(OptionError, match=r"epochs: expected .* received 0\. Give epochs"):
            zoo.pretrained_watch_cnn(0, epochs=0, cache_dir=tmp_path)
        with pytest.raises(OptionError, match="max_windows: expected"):
            zoo.pretrained_watch_cnn(0, max_windows=2.5, cache_dir=tmp_path)
        with pytest.raises(OptionError, match="wearer: expected"):
            zoo.pretrained_watch_cnn(10, cache_dir=tmp_path)

    def test_cache_that_cannot_be_written(self, tmp_path, no_training):
        blocked = tmp_path / "file"
        blocked.write_text("")
        with pytest.raises(OutputError, match=r"cache_dir \(or XDG_CACHE_HOME\)"):
            zoo.pretrained_watch_cnn(0, cache_dir=blocked / "nets", **OPTIONS)
