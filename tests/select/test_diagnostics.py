"""The diagnostics find what was put in, and their pictures can be drawn."""

import io

import keras
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tf_medyate as md
from tf_medyate.errors import (
    DataError,
    EmptyDataError,
    NonFiniteDataError,
    NonFiniteLossError,
    OptionError,
)
from tf_medyate.report import diagnostics as pictures
from tf_medyate.report.theme import DARK, LIGHT
from tf_medyate.select.diagnostics import (
    ALL,
    Agreement,
    agreement,
    diagnose,
    spearman,
    stability,
    tail_index,
)
from tf_medyate.spec import LayerRanking


def ranking(scores):
    order = sorted(scores, key=lambda name: -scores[name])
    return LayerRanking("lara", tuple(order), tuple(scores[n] for n in order), tuple(order[:1]))


class TestAgreement:
    def test_by_hand(self):
        same = ranking({"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.5})
        scaled = ranking({"d": 5.0, "c": 10.0, "b": 20.0, "a": 300.0})
        turned = ranking({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0})
        # Two neighbours swapped of four: 1 - 6 * 2 / (4 * 15) = 0.8.
        swapped = ranking({"a": 2.0, "b": 3.0, "c": 1.0, "d": 0.5})
        found = agreement({"one": same, "two": scaled, "three": turned, "four": swapped})
        assert found.names == ("one", "two", "three", "four")
        # Sums of a few ranks in float64.
        np.testing.assert_allclose(found.rho[0], [1, 1, -1, 0.8], atol=1e-12)
        np.testing.assert_allclose(found.rho, found.rho.T, atol=1e-12)
        assert len(found.pairs) == 6
        assert "4 rankings" in str(found)
        assert "least -1.000" in str(found)

    def test_one_ranking(self):
        assert "no two" in str(agreement({"one": ranking({"a": 1.0, "b": 2.0})}))

    def test_rankings_that_tell_nothing_apart(self):
        flat = ranking({"a": 1.0, "b": 1.0})
        found = agreement({"one": flat, "two": flat})
        assert np.isnan(found.rho).all()
        assert "no two" in str(found)
        assert pictures.agreement(found).title == "Layer order of tasks that tell nothing apart"

    def test_other_layers(self):
        with pytest.raises(OptionError, match=r"ranking 'two'.*\['b', 'c'\]"):
            agreement({"one": ranking({"a": 1.0, "b": 1.0}), "two": ranking({"a": 1.0, "c": 1.0})})

    def test_none(self):
        with pytest.raises(OptionError, match="at least one"):
            agreement({})

    @given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=20))
    def test_spearman_is_that_of_the_ranks(self, pairs):
        one, other = np.array(pairs, float).T
        found = spearman(one, other)
        if np.ptp(one) == 0 or np.ptp(other) == 0:
            assert np.isnan(found)
        else:
            ranks = scipy.stats.rankdata(one), scipy.stats.rankdata(other)
            # A correlation of at most 20 pairs in float64.
            np.testing.assert_allclose(found, np.corrcoef(*ranks)[0, 1], atol=1e-9)

    def test_too_few(self):
        assert np.isnan(spearman([1.0], [2.0]))


class TestTailIndex:
    # Of 40,000 values the estimator's standard deviation was at most 0.023 over 60 seeds of each
    # distribution, its bias at most 0.002; 0.1 is four of the former.
    @pytest.mark.parametrize("alpha", [0.8, 1.0, 1.5, 1.9, 2.0])
    def test_finds_the_index_of_stable_distributions(self, alpha):
        for seed in range(3):
            draw = np.random.default_rng(seed)
            values = scipy.stats.levy_stable.rvs(alpha, 0, size=40_000, random_state=draw)
            assert abs(tail_index(values) - alpha) < 0.1

    def test_scale_and_place_do_not_matter(self):
        values = np.random.default_rng(0).standard_cauchy(10_000)
        # The median is subtracted in float64; what is left of it changes logarithms by 1e-9.
        np.testing.assert_allclose(tail_index(values), tail_index(values * 1e-6), rtol=1e-6)
        np.testing.assert_allclose(tail_index(values), tail_index(values + 3), rtol=1e-6)

    def test_shape_and_zeros_do_not_matter(self):
        values = np.random.default_rng(0).normal(size=(50, 40))
        flat = tail_index(values.ravel())
        assert tail_index(values) == flat
        assert tail_index(np.concatenate([values.ravel(), np.zeros(5000)])) == flat

    @pytest.mark.parametrize(
        "values", [np.zeros(1000), np.ones(1000), np.arange(10.0), np.zeros((0, 3))]
    )
    def test_nothing_to_estimate_from(self, values):
        assert np.isnan(tail_index(values))

    @given(st.integers(64, 400), st.integers(0, 99))
    def test_is_positive_whatever_comes(self, count, seed):
        draw = np.random.default_rng(seed)
        values = draw.choice([-1.0, 1.0, 2.0], count) * draw.choice([1.0, 1e6], count)
        found = tail_index(values)
        assert np.isnan(found) or found > 0


class TestStability:
    def test_by_hand(self):
        times = [[4, 3, 2, 1, 0], [4, 3, 2, 1, 0], [0, 1, 2, 3, 4]]
        found = stability(np.array(times, float), share=0.4)
        np.testing.assert_allclose(found.to_first, [1, 1, -1], atol=1e-12)
        np.testing.assert_allclose(found.to_previous[1:], [1, -1], atol=1e-12)
        np.testing.assert_array_equal(found.overlap_first, [1, 1, 0])
        np.testing.assert_array_equal(found.overlap_previous[1:], [1, 0])
        assert np.isnan(found.to_previous[0])
        assert np.isnan(found.overlap_previous[0])

    def test_at_least_one_channel_is_the_top(self):
        found = stability(np.array([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0]]), share=0.01)
        np.testing.assert_array_equal(found.overlap_first, [1, 0])

    @pytest.mark.parametrize("importance", [np.zeros(3), np.zeros((0, 3)), np.zeros((3, 0))])
    def test_wrong_axes(self, importance):
        with pytest.raises(DataError, match="times, channels"):
            stability(importance)

    @pytest.mark.parametrize("share", [0, -0.1, 1.1])
    def test_share_out_of_range(self, share):
        with pytest.raises(OptionError, match="share"):
            stability(np.ones((2, 3)), share)


def small_net(units=12):
    x = inputs = keras.Input((8, 8, 2))
    x = keras.layers.Conv2D(6, 3, activation="relu", name="conv1")(x)
    x = keras.layers.Conv2D(8, 3, activation="relu", name="conv2")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(units, activation="relu", name="dense")(x)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="head")(x))


def samples(count=48):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(count, 8, 8, 2)).astype(np.float32)
    y = (np.abs(x[:, :4]).mean((1, 2, 3)) > 0.8).astype(np.int32)
    return x, y


@pytest.fixture(scope="module")
def found():
    keras.utils.set_random_seed(0)
    return diagnose(small_net(), *samples(), epochs=3, batches=3, learning_rate=0.02)


class TestDiagnose:
    def test_what_is_measured(self, found):
        assert found.layers == ("conv1", "conv2", "dense")
        assert len(found.rankings) == 4
        assert len(found.losses) == 3
        assert {n: v.shape for n, v in found.importance.items()} == {
            "conv1": (4, 2),
            "conv2": (4, 6),
            "dense": (4, 128),
        }
        assert found.alpha.shape == (4, 3)
        assert np.isfinite(found.alpha).all()
        assert found.agreement.names == ("0", "1", "2", "3")
        assert len(found.stability().to_first) == 4
        assert found.stability("conv2").to_first[0] == pytest.approx(1)
        text = str(found)
        assert "3 layers, 3 epochs" in text
        assert "alpha median" in text
        assert "of the top 10% are still on top" in text

    def test_first_measurement_is_that_of_rank(self, found):
        """With as many batches as there are data, the order of the samples does not matter."""
        x, y = samples()
        keras.utils.set_random_seed(0)
        net = small_net()
        model = md.prepare(net)
        model.compile("sgd", "sparse_categorical_crossentropy")
        here = diagnose(net, x, y, epochs=1, batch_size=48, batches=1, learning_rate=0.02)
        gradients = md.measure_gradients(model, (x, y, 48), 1)
        expected = md.rank_layers(md.layer_specs(model), gradients, "lara")
        assert here.rankings[0].order == expected.order
        # A mean over 48 samples in another order, float32.
        np.testing.assert_allclose(here.rankings[0].scores, expected.scores, rtol=1e-3)
        all_layers = np.concatenate([gradients.norm[n] for n in here.layers])
        np.testing.assert_allclose(
            np.concatenate([here.importance[n][0] for n in here.layers]), all_layers, rtol=1e-2,
            atol=1e-6,
        )  # fmt: skip

    def test_training_happened_and_the_model_did_not_change(self):
        keras.utils.set_random_seed(0)
        net = small_net()
        before = net.get_weights()
        counted = []
        here = diagnose(
            net, *samples(), epochs=4, batches=2, learning_rate=0.1, progress=counted.append
        )
        assert here.losses[-1] < here.losses[0]
        assert not np.array_equal(here.importance["conv1"][0], here.importance["conv1"][-1])
        assert counted == [1, 2, 3, 4, 5]
        for old, new in zip(before, net.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    @pytest.mark.parametrize("method", ["rgn", "fisher"])
    def test_prepared_models_and_other_rankings(self, method):
        model = md.prepare(small_net())
        here = diagnose(model, *samples(16), epochs=1, batches=1, ranking=method)
        assert here.rankings[0].method == method

    def test_too_few_weights_for_tails(self):
        inputs = keras.Input((4,))
        x = keras.layers.Dense(3, name="few")(inputs)
        net = keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="head")(x))
        x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
        here = diagnose(net, x, np.zeros(8, np.int32), epochs=1, batches=1)
        assert np.isnan(here.alpha).all()
        assert "too few values" in str(here)
        assert "Too few" in pictures.tail_index(here).title

    @pytest.mark.parametrize("name", ["epochs", "batch_size", "batches"])
    def test_numbers_out_of_range(self, name):
        with pytest.raises(OptionError, match=name):
            diagnose(small_net(), *samples(), **{name: 0})

    def test_ranking_that_measures_nothing(self):
        with pytest.raises(
            OptionError, match=r"lara \| rgn \| lara-squared \| fisher; received 'last_k'"
        ):
            diagnose(small_net(), *samples(), ranking="last_k")

    def test_no_samples(self):
        with pytest.raises(EmptyDataError):
            diagnose(small_net(), np.zeros((0, 8, 8, 2)), np.zeros(0))

    @pytest.mark.parametrize("rate", [1e12, 1e30])
    def test_divergence_says_what_to_do(self, rate):
        """Whether the loss shows it or the next gradient."""
        keras.utils.set_random_seed(0)
        with pytest.raises(NonFiniteLossError, match="learning_rate=2e"):
            diagnose(small_net(), *samples(), epochs=3, batches=1, learning_rate=rate)

    def test_broken_samples_are_told_from_divergence(self):
        x, y = samples()
        x[:] = np.nan
        with pytest.raises(NonFiniteDataError):
            diagnose(small_net(), x, y, epochs=1, batches=1)

    def test_nothing_to_rank(self):
        net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="head")])
        with pytest.raises(OptionError, match="layers to rank"):
            diagnose(net, np.zeros((4, 4), np.float32), np.zeros(4, np.int32))


class TestPictures:
    @pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
    def test_all_are_drawn_and_saved(self, found, theme, tmp_path):
        drawn = pictures.draw(found, theme)
        paths = pictures.save(drawn, tmp_path / "new")
        assert [path.name for path in paths] == [
            "layer_order_by_epoch.png",
            "tail_index.png",
            "channel_stability.png",
        ]
        for picture, path in zip(drawn, paths, strict=True):
            image = Image.open(path)
            assert image.size == picture.size
            assert len(image.convert("RGB").getcolors(1 << 24)) > 8

    def test_titles_say_what_was_found(self, found):
        least = found.agreement.pairs.min()
        order, tails, channels = (picture.title for picture in pictures.draw(found))
        assert order == f"Layer order between epochs: Spearman {least:.2f} or more"
        heavy = int((np.median(found.alpha, 0) < 2).sum())
        assert tails == f"Gradients of {heavy} of 3 layers are heavy-tailed"
        rho = found.stability().to_first[-1]
        assert channels == f"Channel importances: Spearman {rho:.2f} after 3 epochs"

    @pytest.mark.parametrize("count", [1, 3, 12, 40])
    def test_any_number_of_tasks(self, count):
        rho = 1 - np.abs(np.subtract.outer(np.arange(count), np.arange(count))) / 30
        names = tuple(f"task number {n} of many" for n in range(count))
        picture = pictures.agreement(Agreement(names, rho))
        assert picture.name == "layer_order_by_task"
        image = Image.open(io.BytesIO(picture.png()))
        assert image.size == picture.size

    def test_cells_are_dark_where_rankings_agree(self):
        rho = np.array([[1.0, 0.0], [0.0, 1.0]])
        axes = pictures.agreement(Agreement(("a", "b"), rho)).figure.axes[0]
        (image,) = axes.images
        colors = image.cmap(image.norm(rho))[..., :3].sum(-1)
        assert colors[0, 0] < colors[0, 1]
        assert sorted(text.get_text() for text in axes.texts) == [".00", ".00", "1", "1"]

    def test_equal_importances(self):
        assert pictures.stability(stability(np.ones((3, 4)))).title.endswith("all equal")

    def test_every_layer_can_be_asked_for(self, found):
        assert found.stability(ALL).share == found.stability("conv1").share == 0.1
