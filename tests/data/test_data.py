"""The watch data: nothing of the left-out wearer leaks, and nothing is in two parts."""

import dataclasses
import importlib.util
import sys
import types

import numpy as np
import pytest

from tf_medyate.data import WearerSplit, leave_one_out, load_watch
from tf_medyate.data import watch as module
from tf_medyate.errors import DataError, OptionError

needs_recordings = pytest.mark.skipif(
    importlib.util.find_spec("seglearn") is None, reason="seglearn is not installed"
)
WEARERS = range(module.WEARERS)


@pytest.fixture
def fresh_cache():
    """Runs a test with nothing loaded yet, and leaves nothing of it behind."""
    load_watch.cache_clear()
    yield
    load_watch.cache_clear()


def _samples(data, rows):
    """(recording, sample) of every sample that the windows in `rows` hold."""
    starts = data.order[rows] * module.HOP
    return {
        (recording, start + offset)
        for recording, start in zip(data.recording[rows], starts, strict=True)
        for offset in range(module.WINDOW)
    }


@needs_recordings
class TestLoad:
    def test_counts(self):
        data = load_watch()
        assert data.x.shape == (4677, 100, 6)
        assert data.x.dtype == np.float32
        assert len(np.unique(data.recording)) == 140
        assert sorted(set(data.y)) == list(range(7))
        assert sorted(set(data.subject)) == list(range(10))
        assert data.class_names == ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")

    def test_every_label_array_has_one_int32_per_window(self):
        data = load_watch()
        for array in (data.y, data.subject, data.recording, data.order):
            assert array.shape == (4677,)
            assert array.dtype == np.int32

    def test_windows_are_the_recording(self):
        data = load_watch()
        raw = module._read(module._locate())
        for row in (0, 1234, 4676):
            start = data.order[row] * 50
            recorded = raw["X"][data.recording[row]][start : start + 100]
            np.testing.assert_array_equal(data.x[row], recorded.astype(np.float32))
            assert data.y[row] == raw["y"][data.recording[row]]
            assert data.subject[row] + 1 == raw["subject"][data.recording[row]]

    def test_neighbours_share_half_a_window(self):
        data = load_watch()
        follows = np.flatnonzero(np.diff(data.recording) == 0)
        assert (np.diff(data.order)[follows] == 1).all()
        np.testing.assert_array_equal(data.x[follows, 50:], data.x[follows + 1, :50])

    def test_axis_names(self):
        raw = module._read(module._locate())
        assert tuple(raw["X_labels"]) == module.AXES

    def test_is_immutable_and_shared(self):
        data = load_watch()
        assert load_watch() is data
        with pytest.raises(ValueError, match="read-only"):
            data.x[0] = 0
        with pytest.raises(dataclasses.FrozenInstanceError):
            data.x = None

    def test_prints_itself(self):
        text = str(load_watch())
        assert text.startswith("watch: 4,677 windows of 100 x 6 from 140 recordings, 10 wearers")

    def test_seglearn_is_not_imported(self, fresh_cache):
        load_watch()
        assert "seglearn" not in sys.modules


@needs_recordings
@pytest.mark.parametrize("wearer", WEARERS)
class TestSplit:
    def test_no_wearer_leaks(self, wearer):
        data, split = load_watch(), leave_one_out(wearer)
        source = data.subject != wearer
        np.testing.assert_array_equal(split.source_y, data.y[source])
        np.testing.assert_array_equal(split.source_x, (data.x[source] - split.mean) / split.std)
        for rows in (split.adapt_index, split.test_index):
            assert set(data.subject[rows]) == {wearer}

    def test_no_sample_is_in_both_parts(self, wearer):
        data, split = load_watch(), leave_one_out(wearer)
        assert not _samples(data, split.adapt_index) & _samples(data, split.test_index)

    def test_adapt_comes_first_in_every_recording(self, wearer):
        data, split = load_watch(), leave_one_out(wearer)
        for recording in np.unique(data.recording[data.subject == wearer]):
            count = int((data.recording == recording).sum())
            orders = [
                data.order[rows[data.recording[rows] == recording]].tolist()
                for rows in (split.adapt_index, split.test_index)
            ]
            adapted = int(0.4 * count)
            assert orders == [list(range(adapted)), list(range(adapted + 1, count))]

    def test_every_class_is_in_every_part(self, wearer):
        split = leave_one_out(wearer)
        for labels in (split.source_y, split.adapt_y, split.test_y):
            assert set(labels) == set(range(7))

    def test_rows_are_what_the_indices_say(self, wearer):
        data, split = load_watch(), leave_one_out(wearer)
        for rows, x, y in (
            (split.adapt_index, split.adapt_x, split.adapt_y),
            (split.test_index, split.test_x, split.test_y),
        ):
            assert x.dtype == np.float32
            assert x.shape == (len(rows), 100, 6)
            np.testing.assert_array_equal(x, (data.x[rows] - split.mean) / split.std)
            np.testing.assert_array_equal(y, data.y[rows])


@needs_recordings
class TestNormalization:
    def test_source_is_standardised(self):
        split = leave_one_out(4)
        # float32 sums over 400,000 samples a axis: rounding stays far below 1e-4.
        np.testing.assert_allclose(split.source_x.mean((0, 1), np.float64), 0, atol=1e-4)
        np.testing.assert_allclose(split.source_x.std((0, 1), np.float64), 1, atol=1e-4)

    def test_the_wearers_own_values_do_not_count(self):
        data = load_watch()
        mine = data.subject == 4
        loud = np.where(mine[:, None, None], data.x * 1000, data.x)
        split, changed = (leave_one_out(4, d) for d in (data, dataclasses.replace(data, x=loud)))
        np.testing.assert_array_equal(split.mean, changed.mean)
        np.testing.assert_array_equal(split.std, changed.std)
        np.testing.assert_array_equal(split.source_x, changed.source_x)
        assert not np.array_equal(split.test_x, changed.test_x)

    def test_statistics_depend_on_the_sources(self):
        assert not np.array_equal(leave_one_out(0).mean, leave_one_out(1).mean)

    def test_split_is_immutable_and_prints_itself(self):
        split = leave_one_out(np.int64(3))
        assert isinstance(split, WearerSplit)
        assert str(split) == ("wearer 3: 4,382 source, 112 adapt and 169 test windows of 100 x 6")
        with pytest.raises(ValueError, match="read-only"):
            split.test_x[0] = 0


class TestErrors:
    @pytest.mark.parametrize("wearer", [-1, 10, 2.0, "3", None, True])
    def test_no_such_wearer(self, wearer):
        with pytest.raises(OptionError) as caught:
            leave_one_out(wearer)
        assert caught.value.argument == "wearer"
        assert str(caught.value) == (
            f"wearer: expected a whole number from 0 to 9; received {wearer!r}. "
            "Choose one of the ten wearers."
        )

    def test_seglearn_missing(self, fresh_cache, monkeypatch):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(DataError) as caught:
            leave_one_out(0)
        assert "seglearn: expected the installed package" in str(caught.value)
        assert "pip install seglearn==1.2.5 --no-deps" in caught.value.remedy
        assert 'pip install "tf_medyate[demo]"' in caught.value.remedy

    def _install(self, monkeypatch, folder):
        (folder / "data").mkdir()
        spec = types.SimpleNamespace(origin=str(folder / "__init__.py"))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
        return folder / "data" / "watch_dataset.npy"

    def test_recordings_missing(self, fresh_cache, monkeypatch, tmp_path):
        path = self._install(monkeypatch, tmp_path)
        with pytest.raises(DataError, match="a package that holds") as caught:
            load_watch()
        assert str(path) in caught.value.received

    def test_unreadable_recordings(self, fresh_cache, monkeypatch, tmp_path):
        self._install(monkeypatch, tmp_path).write_bytes(b"not a NumPy file")
        with pytest.raises(DataError, match="a pickled dictionary"):
            load_watch()

    def test_entries_missing(self, fresh_cache, monkeypatch, tmp_path):
        np.save(self._install(monkeypatch, tmp_path), {"X": [], "y": []}, allow_pickle=True)
        with pytest.raises(DataError, match=r"no \['subject', 'y_labels'\]"):
            load_watch()

    def test_wrong_number_of_wearers(self, fresh_cache, monkeypatch, tmp_path):
        recordings = {
            "X": [np.zeros((100, 6))],
            "y": np.array([0]),
            "subject": np.array([1]),
            "y_labels": ["PEN"],
        }
        np.save(self._install(monkeypatch, tmp_path), recordings, allow_pickle=True)
        with pytest.raises(DataError, match="recordings of 10 wearers; received 1"):
            load_watch()
