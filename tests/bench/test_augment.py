"""Random crops and flips: what is cut, that it is redrawn, and that it can be drawn again."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_medyate.bench.plan.grid import Run
from tf_medyate.bench.plan.recipe import FineTuneRecipe
from tf_medyate.bench.plan.suites import get_suite
from tf_medyate.bench.run.augment import crops, distort, recolour
from tf_medyate.bench.run.execute import Executor
from tf_medyate.bench.run.material import Stream, batches
from tf_medyate.data.registry import Task
from tf_medyate.errors import OptionError
from tf_medyate.json_values import build

RECIPE = FineTuneRecipe(2, 16, 0.02, calibration=32, published=False, most_train=48, most_test=60)


def ramps(count, height, width):
    """Images whose two channels are their pixels' row and column."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.repeat(np.stack([rows, columns], -1)[None], count, 0)


@given(height=st.integers(16, 64), width=st.integers(16, 64), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_boxes_are_whole_pixels_of_the_published_areas_and_proportions(height, width, seed):
    boxes = crops(50, height, width, np.random.default_rng(seed))
    pixels = boxes * (np.array([height, width, height, width]) - 1)
    np.testing.assert_allclose(pixels, np.rint(pixels), atol=1e-9)  # float64, one division
    assert (boxes >= 0).all()
    assert (boxes <= 1 + 1e-12).all()
    high, wide = (pixels[:, 2:] - pixels[:, :2] + 1).T
    whole = (high == height) & (wide == width)
    # Each side was rounded to whole pixels: by half a pixel at most.
    assert (whole | ((high + 0.5) * (wide + 0.5) >= 0.08 * height * width)).all()
    assert (whole | ((wide + 0.5) / (high - 0.5) >= 3 / 4)).all()
    assert (whole | ((wide - 0.5) / (high + 0.5) <= 4 / 3)).all()


def test_boxes_lie_everywhere_and_are_of_every_size():
    top, left, bottom, right = crops(4000, 32, 32, np.random.default_rng(0)).T
    area = (bottom - top + 1 / 31) * (right - left + 1 / 31) * (31 / 32) ** 2
    # Areas are uniform from 0.08 to 1 but for the large ones, of which fewer fit.
    assert 0.07 < area.min() < 0.1
    assert area.max() > 0.95
    assert 0.3 < area.mean() < 0.54
    small = (bottom - top < 0.5) & (right - left < 0.5)  # or they touch the edges anyway
    for edge in (top, left, 1 - bottom, 1 - right):
        assert edge[small].min() == pytest.approx(0, abs=1e-12)
        assert edge.max() > 0.65
    # The position is uniform, so a box is as far from the top as from the bottom: 4,000 differences
    # of deviation below 0.5 have a mean of deviation below 0.008.
    assert abs((top - (1 - bottom)).mean()) < 0.04
    assert abs((left - (1 - right)).mean()) < 0.04


def test_no_box_fits_a_very_long_image_so_it_stays_whole():
    boxes = crops(100, 1, 500, np.random.default_rng(0))
    assert (boxes[:, 2] == 0).all()
    np.testing.assert_array_equal(boxes[-1], [0, 0, 0, 1])


def test_a_crop_is_a_part_of_the_image_on_all_of_its_pixels():
    x = ramps(200, 24, 24)
    y = distort(x, "crop", np.random.default_rng(0))
    assert y.shape == x.shape
    assert y.dtype == np.float32
    rows, columns = y[:, :, 0, 0], y[:, 0, :, 1]
    # A linear image stays linear, up to a float32 rounding of numbers up to 23.
    np.testing.assert_allclose(y[..., 0], np.repeat(rows[:, :, None], 24, 2), atol=1e-5)
    np.testing.assert_allclose(y[..., 1], np.repeat(columns[:, None, :], 24, 1), atol=1e-5)
    for part in (rows, columns):
        assert part.min() >= 0
        assert part.max() <= 23 + 1e-5
        steps = np.diff(part, axis=1)
        np.testing.assert_allclose(steps, np.repeat(steps[:, :1], 23, 1), atol=1e-5)
    assert (np.diff(rows, axis=1) >= 0).all()  # never upside down
    mirrored = columns[:, -1] < columns[:, 0]
    assert 0.35 < mirrored.mean() < 0.65  # 200 throws of a coin: a deviation is 0.035
    assert len({tuple(row) for row in y[:, [0, -1], [0, -1]].reshape(200, -1)}) > 190


def test_a_flip_is_the_image_or_its_mirror_image():
    x = np.random.default_rng(1).normal(size=(100, 5, 7, 3)).astype(np.float32)
    before = x.copy()
    y = distort(x, "flip", np.random.default_rng(0))
    np.testing.assert_array_equal(x, before)
    # Pixels are hit to a float32 rounding of their place: a millionth of the step to the next.
    same = [np.allclose(a, b, atol=1e-5) for a, b in zip(x, y, strict=True)]
    mirrored = [np.allclose(a[:, ::-1], b, atol=1e-5) for a, b in zip(x, y, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 30 < sum(same) < 70


def test_colours_change_by_the_factors_that_were_drawn():
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 6, 6, 3)).astype(np.float32)
    ones = np.ones((3, 4, 1, 1, 1))

    def factors(place, value):
        changed = ones.copy()
        changed[place] = value
        return changed

    np.testing.assert_allclose(recolour(x, ones), x, atol=1e-6)
    bright = recolour(x, factors(0, 0.6))
    np.testing.assert_allclose(bright + 1, (x + 1) * 0.6, atol=1e-6)
    grey = np.array([0.299, 0.587, 0.114])
    flat = recolour(x, factors(1, 0.6))
    np.testing.assert_allclose((flat @ grey).mean((1, 2)), (x @ grey).mean((1, 2)), atol=1e-6)
    np.testing.assert_allclose(np.ptp(flat, axis=(1, 2)), 0.6 * np.ptp(x, axis=(1, 2)), atol=1e-6)
    pale = recolour(x, factors(2, 0.6))
    np.testing.assert_allclose(pale @ grey, x @ grey, atol=1e-6)
    np.testing.assert_allclose(np.ptp(pale, axis=3), 0.6 * np.ptp(x, axis=3), atol=1e-6)
    assert np.abs(recolour(np.ones_like(x), 1.4 * ones)).max() <= 1


def test_crops_with_colours_are_the_crops_with_colours():
    x = np.random.default_rng(0).uniform(-1, 1, (50, 8, 8, 3)).astype(np.float32)
    plain, coloured = (
        distort(x, kind, np.random.default_rng(1)) for kind in ("crop", "crop and colour")
    )
    assert coloured.shape == x.shape
    assert coloured.dtype == np.float32
    assert np.abs(coloured).max() <= 1
    moved = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(plain, coloured, strict=True)]
    assert min(moved) > 0.7  # the same boxes, in other colours
    assert not np.isclose(plain, coloured).all((1, 2, 3)).any()
    with pytest.raises(OptionError, match=r"three colours.*\"crop\""):
        distort(x[..., :1], "crop and colour", np.random.default_rng(0))


def test_a_stream_distorts_anew_every_epoch_and_the_same_whenever_it_is_asked():
    x, y = np.random.default_rng(0).random((20, 8, 8, 1), np.float32), np.arange(20)
    x[:, 0, 0] = y[:, None]  # not used by the stream; only to tell the images apart
    x *= (y + 1)[:, None, None, None]
    stream = Stream(x, y, 8, 3, "crop")
    first = [stream[index] for index in (2, 0, 1)]
    again = [stream[index] for index in (2, 0, 1)]
    for (a, labels), (b, same) in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(labels, same)
        for image, label in zip(a, labels, strict=True):  # what was cut from it lies in its range
            assert x[label].min() - 1e-4 <= image.min()
            assert image.max() <= x[label].max() + 1e-4
    stream.on_epoch_end()
    of_label = dict(
        zip(*[np.concatenate(part) for part in zip(*first, strict=True)][::-1], strict=True)
    )
    changed = [
        not np.allclose(of_label[label], image) for image, label in zip(*stream[0], strict=True)
    ]
    assert all(changed)
    one = Stream(x[:1], y[:1], 1, 0, "crop")  # no other order, so it can only be another crop
    before = one[0][0]
    one.on_epoch_end()
    assert not np.allclose(one[0][0], before)
    assert not np.allclose(Stream(x, y, 8, 4, "crop")[0][0], Stream(x, y, 8, 3, "crop")[0][0])


def test_without_augmentation_fit_gets_the_arrays_themselves():
    x, y = np.zeros((4, 8, 8, 1), np.float32), np.zeros(4, np.int32)
    task = Task("t", 0, x, y, x, y, 2)
    assert batches(task, RECIPE, 0)[0] is task.train_x
    assert isinstance(batches(task, dataclasses.replace(RECIPE, augment="flip"), 0)[0], Stream)


def test_a_run_with_crops_is_another_run_and_can_be_repeated():
    plain = Run("ds_cnn", "digits", 0, 0, "head", None, RECIPE)
    run = dataclasses.replace(plain, recipe=dataclasses.replace(RECIPE, augment="crop"))
    assert run.key != plain.key
    assert build(Run, dataclasses.asdict(run)) == run
    first, second, without = (Executor()(r) for r in (run, run, plain))
    assert first.curve == second.curve
    assert first.accuracy_after == second.accuracy_after
    assert first.curve != without.curve
    assert first.accuracy_before == without.accuracy_before  # tested on the images as they are


def test_what_cannot_be_distorted_is_refused():
    with pytest.raises(OptionError, match=r"augment.*images"):
        distort(np.zeros((4, 100, 6), np.float32), "crop", np.random.default_rng(0))
    with pytest.raises(OptionError, match=r"augment.*flip.*zoom"):
        FineTuneRecipe(1, 1, 0.1, augment="zoom")


def test_only_suite_paper_distorts_and_flips_where_a_crop_may_lose_the_person():
    kinds = {case.dataset: case.recipe.augment for case in get_suite("paper").cases}
    assert kinds.pop("vww") == "flip"
    assert set(kinds.values()) == {"crop and colour"}
    for name in ("tiny", "smoke"):
        assert not any(case.recipe.augment for case in get_suite(name).cases)
