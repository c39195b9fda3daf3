"""The sampler: exact to the bit, fair in its odds, and never a byte over the budget."""

import dataclasses
import importlib.util
import itertools
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from tf_medyate.cost import CostModel
from tf_medyate.errors import BudgetError, BudgetTooSmallError, OptionError, UnknownLayerError
from tf_medyate.prepared.state import TrainingState
from tf_medyate.select import sampling
from tf_medyate.select.sampling import sample_channels
from tf_medyate.spec import LayerSpec, MemoryBudget

GOLDEN_DIR = pathlib.Path(__file__).parents[1] / "golden"
GOLDEN = json.loads((GOLDEN_DIR / "sampler.json").read_text(encoding="utf-8"))

# exponential_fixed against -log2: the interpolation errs by 2^-27.4 of the value; E58 of the
# word 2^32 - 1, the smallest, has 26 bits and is truncated, which brings the sum to 2^-26.15.
FIXED_BOUND = 2.0**-26
FLOAT_BOUND = FIXED_BOUND + 2.0**-24  # and half a unit in the last place of a float32


def load_generator():
    spec = importlib.util.spec_from_file_location("make_sampler", GOLDEN_DIR / "make_sampler.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ORACLE = load_generator()  # one channel at a time, in Python integers; shares no code


def layer(name, index, channels, weights=1, activations=0, **options):
    options = {"bias_elements": 0, "outputs": 1, "macs": 0, "kind": "conv2d"} | options
    return LayerSpec(
        name=name,
        index=index,
        channels=channels,
        weights_per_channel=weights,
        activation_elements=activations,
        **options,
    )


def bits(values):
    return np.asarray(values, np.float32).view(np.uint32).tolist()


def floats(patterns):
    return np.array(patterns, np.uint32).view(np.float32)


def flat(plan, specs):
    """Flat numbers of the drawn channels, rising."""
    starts = np.cumsum([0] + [spec.channels for spec in specs])
    named = dict(zip([spec.name for spec in specs], starts, strict=False))
    return sorted(int(named[d.layer]) + c for d in plan.layers for c in d.channels)


@dataclasses.dataclass(frozen=True)
class Network:
    specs: list
    importance: dict
    cost: CostModel
    budget: MemoryBudget
    options: dict

    def sample(self, **changes):
        return sample_channels(
            self.specs, self.importance, self.budget, cost=self.cost, **self.options | changes
        )

    def left_out(self, plan):
        """Cost of each candidate channel that is not in the plan."""
        return [
            self.cost.channel(spec)
            for spec in self.specs
            if not spec.is_head and spec.trainable
            for _ in range(spec.channels - len(plan.channels_of(spec.name)))
        ]


@st.composite
def networks(draw, options=True):
    whole = st.integers
    specs = [
        layer(
            f"layer_{9 - i}",  # by name they come in another order than by index
            i,
            draw(whole(1, 12)),
            draw(whole(1, 40)),
            draw(whole(0, 30)),
            bias_elements=draw(whole(0, 5)),
            trainable=draw(st.sampled_from([True, True, True, False])),
        )
        for i in range(draw(whole(1, 5)))
    ]
    specs.append(layer("head", len(specs), 4, 3, 1, bias_elements=3, is_head=True))
    strength = st.one_of(st.floats(0, 1e4, width=32), st.just(sampling.UNSEEN))
    importance = {
        s.name: np.array(draw(st.lists(strength, min_size=s.channels, max_size=s.channels)))
        for s in specs
        if not s.is_head
    }
    unit = draw(st.sampled_from(["bytes", "elements"]))
    cost = CostModel(unit, draw(whole(0, 2)), draw(st.booleans()), draw(whole(1, 3)))
    kept = [s.name for s in specs if s.trainable and not s.is_head]
    most = cost.full([s for s in specs if s.trainable])
    amount = draw(whole(max(1, cost.fixed(specs, kept)), most + 50))
    chosen = {"seed": draw(whole(0, 2**64 - 1)), "draw": draw(whole(0, 2**63 - 1))}
    if options:
        chosen["weighting"] = draw(st.sampled_from(sampling.WEIGHTINGS))
        chosen["sharpness"] = draw(st.sampled_from(sampling.SHARPNESSES))
        chosen["order"] = draw(st.sampled_from(sampling.ORDERS))
        chosen["core"] = draw(st.floats(0, 1))
    chosen["allow_empty"] = True
    return Network(specs, importance, cost, MemoryBudget(amount, unit), chosen)


class TestRandomWords:
    def test_published_vector(self):
        # The output of pcg32-demo, srandom(42, 54), first round.
        words = [0xA15C02B7, 0x7B47F409, 0xBA1D3330, 0x83D2F293, 0xBFA4784B, 0xCBED606E]
        assert sampling.pcg32(42, 54, 6).tolist() == words

    @given(st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1), st.integers(0, 300))
    def test_vectorised_equals_scalar(self, seed, stream, count):
        words = sampling.pcg32(seed, stream, count)
        assert words.dtype == np.uint32
        assert words.tolist() == ORACLE.pcg32(seed, stream, count)


@pytest.fixture(scope="module")
def words():
    """Both ends, all octaves, all nodes of the first two octaves, 200,000 at random."""
    some = np.random.default_rng(1).integers(0, 2**32, 200_000)
    octaves = [2**k + d for k in range(32) for d in (-1, 0, 1)]
    first = [2**31 + (i << 24) + d for i in range(128) for d in (-1, 0, 1)]
    second = [2**30 + (i << 23) + d for i in range(128) for d in (-1, 0, 1)]
    ends = [*range(50), *range(2**32 - 50, 2**32)]
    return np.unique(np.concatenate([some, octaves, first, second, ends])).astype(np.uint32)


class TestExponentialVariate:
    @staticmethod
    def reference(words):
        u = words.astype(np.float64)  # log1p near 1, so that float64 loses nothing there
        upper = -np.log1p(-(2.0**32 - u - 0.5) / 2.0**32) / np.log(2)
        return np.where(u < 2.0**31, 32 - np.log2(u + 0.5), upper)

    def test_is_minus_log2(self, words):
        expected = self.reference(words)
        fixed = sampling.exponential_fixed(words).astype(np.float64) * 2.0**-58
        np.testing.assert_allclose(fixed, expected, rtol=FIXED_BOUND, atol=0)
        variate = sampling.exponential_variate(words)
        assert variate.dtype == np.float32
        np.testing.assert_allclose(variate, expected, rtol=FLOAT_BOUND, atol=0)

    def test_interpolation_alone_is_good_to_27_bits(self, words):
        words = words[words < 2**32 - 2**12]  # where truncation to 2^-58 no longer shows
        fixed = sampling.exponential_fixed(words).astype(np.float64) * 2.0**-58
        np.testing.assert_allclose(fixed, self.reference(words), rtol=2.0**-27, atol=0)

    def test_falls_strictly(self, words):
        fixed = sampling.exponential_fixed(words)
        assert np.all(fixed[:-1] > fixed[1:])
        assert np.all(np.diff(sampling.exponential_variate(words)) <= 0)

    @given(st.integers(0, 2**32 - 1000))
    def test_falls_strictly_between_neighbours(self, first):
        fixed = sampling.exponential_fixed(np.arange(first, first + 1000, dtype=np.int64))
        assert np.all(fixed[:-1] > fixed[1:])

    @given(st.integers(0, 2**32 - 1))
    def test_equals_integer_oracle_and_rounds_to_even(self, word):
        assert int(sampling.exponential_fixed([word])[0]) == ORACLE.e58(word)
        assert bits(sampling.exponential_variate([word])) == [ORACLE.bits(ORACLE.variate(word))]

    def test_range(self):
        largest, smallest = sampling.exponential_variate([0, 2**32 - 1])
        assert largest == 33
        assert 2.0**-33 < smallest < 2.0**-32

    def test_no_mass_of_ties_among_the_smallest(self):
        # 100,000 words: about one pair of equal words is expected (n^2 / 2^33), and the smallest
        # thousand variates must not collide otherwise.
        variates = np.sort(sampling.exponential_variate(sampling.pcg32(3, 0, 100_000)))[:1000]
        assert np.unique(variates).size >= 998

    def test_table_fits_1_kib_as_uint32(self):
        assert sampling._TABLE.tolist() == ORACLE.table() == GOLDEN["table"]
        assert sampling._TABLE.max() < 2**32
        assert 4 * sampling._TABLE.size <= 1024


def sequential_odds(weights):
    """Probability of each order when one is drawn after the other from what is left."""
    odds = {}
    for order in itertools.permutations(range(len(weights))):
        left, chance = sum(weights), 1.0
        for item in order:
            chance *= weights[item] / left
            left -= weights[item]
        odds[order] = chance
    return odds


def order_p_value(weights, orders):
    odds = sequential_odds(weights)
    counts = dict.fromkeys(odds, 0)
    for order in orders:
        counts[tuple(order)] += 1
    expected = [len(orders) * chance for chance in odds.values()]
    return stats.chisquare(list(counts.values()), expected).pvalue


WEIGHTS = (1.0, 2.0, 3.5, 6.0)


@pytest.fixture(scope="module")
def orders():
    seeds = np.random.default_rng(7).integers(0, 2**63, 12_000)
    return [sampling.draw_order(WEIGHTS, int(s), draw) for draw, s in enumerate(seeds)]


class TestOdds:
    def test_orders_have_the_odds_of_a_sequential_draw(self, orders):
        # A fixed sample: it passes or it does not. 1e-3 and 1 - 1e-3: neither biased nor too even.
        assert 1e-3 < order_p_value(WEIGHTS, orders) < 1 - 1e-3

    def test_other_weights_are_told_apart(self, orders):
        assert order_p_value((1.0, 2.0, 3.5, 6.6), orders) < 1e-3

    def test_orders_over_the_draws_of_one_seed(self):
        orders = [sampling.draw_order((1.0, 2.0, 4.0), 11, draw) for draw in range(12_000)]
        assert order_p_value((1.0, 2.0, 4.0), orders) > 1e-3

    def test_sharpness_is_a_power(self):
        strength = np.array([0.3, 2.0, 7.0, 11.0], np.float32)
        exact = (strength.astype(np.float64) / 11) ** np.array(sampling.SHARPNESSES)[:, None]
        got = [sampling.sharpen(strength, p) for p in sampling.SHARPNESSES]
        # One division of relative error 2^-24, squared, and one product: 3 half-units.
        np.testing.assert_allclose(got, exact, rtol=4 * 2.0**-24)

    def test_weight_zero_comes_last_in_flat_order(self):
        order = sampling.draw_order([0.0, 1e-36, -0.0, 5.0, 0.0], 3, 4)
        assert sorted(order[:2].tolist()) == [1, 3]
        assert order[2:].tolist() == [0, 2, 4]

    @pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, 1e39])
    def test_bad_weight(self, bad):
        with pytest.raises(OptionError, match=r"weights: expected finite float32 .* at 1'\. Look"):
            sampling.draw_order([1.0, bad], 0, 0)


class TestFittingSharpness:
    @given(
        st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=30),
        st.integers(1, 400),
        st.randoms(use_true_random=False),
    )
    def test_is_the_one_nearest_to_where_the_strongest_is_certain(self, strength, capacity, rng):
        costs = np.array([rng.randint(1, 20) for _ in strength])
        found = sampling.fitting_sharpness(strength, costs, capacity)
        y = (
            np.array(strength) / max(max(strength), 1e-300)
            if any(strength)
            else np.ones(len(costs))
        )

        def excess(power):  # expected cost of the others in a draw that holds the strongest
            return capacity - float(np.sum(y**power * costs))

        low, high = 1e-6, 64.0
        if excess(high) < 0:
            assert found == 2
        elif excess(low) >= 0:
            assert found == 0.5
        else:
            exact = optimize.brentq(excess, low, high)
            distance = {power: abs(np.log(exact / power)) for power in (0.5, 1, 2)}
            assert distance[found] <= min(distance.values()) + 1e-9

    def test_the_larger_the_budget_the_blunter(self):
        strength = np.random.default_rng(0).lognormal(size=200)
        costs = np.full(200, 7)
        found = [sampling.fitting_sharpness(strength, costs, c) for c in range(7, 1500, 7)]
        assert found == sorted(found, reverse=True)
        assert set(found) == {0.5, 1, 2}

    def test_nothing_to_draw_from(self):
        assert sampling.fitting_sharpness([], [], 0) in sampling.SHARPNESSES


class TestFill:
    @given(st.lists(st.integers(0, 12), max_size=40), st.integers(0, 150), st.randoms())
    def test_equals_naive_loop(self, costs, capacity, rng):
        order = list(range(len(costs)))
        rng.shuffle(order)
        order = order[: rng.randint(0, len(order))]
        got = np.flatnonzero(sampling.fill(order, costs, capacity)).tolist()
        assert got == sorted(ORACLE.fill(order, costs, capacity))

    def test_skips_what_is_too_dear(self):
        assert sampling.fill([0, 1, 2, 3], [6, 5, 3, 1], 10).tolist() == [True, False, True, True]


class TestPlan:
    @settings(max_examples=300, deadline=None)
    @given(networks())
    def test_budget_is_kept_and_used_up(self, network):
        plan = network.sample()
        kept = [s.name for s in network.specs if s.trainable and not s.is_head]
        fixed = network.cost.fixed(network.specs, kept)
        drawn = sum(network.cost.channel(s) * len(plan.channels_of(s.name)) for s in network.specs)
        assert (plan.fixed, plan.drawn) == (fixed, drawn)
        assert plan.used <= network.budget.amount
        free = network.budget.amount - plan.used
        assert all(cost > free for cost in network.left_out(plan))

    @settings(deadline=None)
    @given(networks())
    def test_is_well_formed(self, network):
        plan = network.sample()
        by_name = {spec.name: spec for spec in network.specs}
        places = [by_name[entry.layer].index for entry in plan.layers]
        assert places == sorted(set(places))
        for entry in plan.layers:
            spec = by_name[entry.layer]
            assert spec.trainable
            assert not spec.is_head
            assert entry.channels == tuple(sorted(set(entry.channels))) != ()
            assert entry.channels[0] >= 0
            assert entry.channels[-1] < spec.channels
            assert all(type(channel) is int for channel in entry.channels)
        assert (plan.seed, plan.draw) == (network.options["seed"], network.options["draw"])
        assert plan.budget == network.budget

    @settings(deadline=None)
    @given(networks(), st.randoms())
    def test_same_seed_same_plan_whatever_the_order_of_specs(self, network, rng):
        shuffled = list(network.specs)
        rng.shuffle(shuffled)
        again = dataclasses.replace(network, specs=shuffled)
        assert again.sample() == network.sample()

    @settings(deadline=None)
    @given(networks(), st.integers(-20, 20))
    def test_unit_of_importance_does_not_matter(self, network, exponent):
        # Powers of two change no rounding, away from underflow.
        importance = {k: np.where(v > 1e-20, v, 0) for k, v in network.importance.items()}
        scaled = {k: v * 2.0**exponent for k, v in importance.items()}
        network = dataclasses.replace(network, importance=importance)
        assert dataclasses.replace(network, importance=scaled).sample() == network.sample()

    @settings(deadline=None)
    @given(networks())
    def test_everything_is_drawn_when_it_fits(self, network):
        everything = MemoryBudget(network.cost.full(network.specs), network.budget.unit)
        plan = dataclasses.replace(network, budget=everything).sample()
        assert network.left_out(plan) == []

    def test_draws_and_seeds_differ(self):
        specs, importance = [layer("a", 0, 200)], {"a": np.ones(200)}
        plans = {
            sample_channels(specs, importance, "100 elements", seed=s, draw=d).layers
            for s in range(5)
            for d in range(5)
        }
        assert len(plans) == 25

    def test_kept_layers_only_and_their_biases_are_fixed(self):
        specs = [layer("a", 0, 3, bias_elements=7), layer("b", 1, 3, bias_elements=2)]
        specs.append(layer("out", 2, 2, 5, 1, bias_elements=4, is_head=True))
        assert sample_channels(specs, {"b": [1, 1, 1]}, "2 elements", kept=("b",)).fixed == 0
        plan = sample_channels(specs, {"b": [1, 1, 1]}, 4 * 20, kept=("b",))
        assert plan.fixed == 4 * (2 * (5 + 1) + 4 + 2)
        assert plan.layers[0].layer == "b"
        assert plan.drawn == 4 * plan.channel_count == 8

    def test_bytes_by_default_and_text(self):
        plan = sample_channels([layer("a", 0, 9, 2, 1)], {"a": np.ones(9)}, 36)
        assert plan.drawn == 36
        assert plan.channel_count == 3
        assert str(plan) == (
            "draw 0: 3 channels in 1 layers, 36 bytes of 36 bytes (head and biases 0 bytes)"
        )

    def test_rgn_divides_by_cost(self):
        specs = [layer("dear", 0, 1, 100), layer("cheap", 1, 1, 10)]
        importance = {"dear": [5.0], "cheap": [1.0]}
        options = {"kept": None, "order": "greedy"}
        norm = sample_channels(specs, importance, "100 elements", **options)
        rgn = sample_channels(specs, importance, "100 elements", weighting="rgn", **options)
        assert [d.layer for d in norm.layers] == ["dear"]
        assert [d.layer for d in rgn.layers] == ["cheap"]

    def test_nothing_to_draw_from(self):
        specs = [layer("out", 0, 2, is_head=True)]
        assert sample_channels(specs, {}, "5 elements").layers == ()
        assert sample_channels([], {}, 1).layers == ()


HUNDRED = (layer("a", 0, 100),)
RANKS = np.random.default_rng(0).permutation(100) + 1.0


class TestCoreAndGreedy:
    def drawn(self, **options):
        plan = sample_channels(HUNDRED, {"a": RANKS}, "40 elements", **options)
        return set(plan.channels_of("a"))

    def strongest(self, count):
        return set(np.argsort(-RANKS)[:count].tolist())

    @pytest.mark.parametrize(("core", "count"), [(0.1, 4), (0.5, 20), (0.7, 28), (1.0, 40)])
    def test_core_holds_the_strongest_and_the_rest_is_random(self, core, count):
        plans = [self.drawn(core=core, draw=draw) for draw in range(20)]
        always = set.intersection(*plans)
        assert self.strongest(count) <= always
        assert all(len(plan) == 40 for plan in plans)
        assert (len(set.union(*plans)) > 60) == (core < 1)

    def test_greedy_is_the_strongest_whatever_the_seed(self):
        for seed, sharpness in ((0, 1), (5, 2), (9, 0.5)):
            options = {"order": "greedy", "seed": seed, "sharpness": sharpness, "core": 0.3}
            assert self.drawn(**options) == self.strongest(40)

    def test_greedy_uniform_goes_by_flat_number(self):
        assert self.drawn(order="greedy", weighting="uniform") == set(range(40))

    def test_uniform_reads_no_importance(self):
        plan = sample_channels(HUNDRED, {}, "40 elements", weighting="uniform")
        assert plan.channel_count == 40

    def test_sharper_draws_are_stronger(self):
        means = [
            np.mean([RANKS[list(self.drawn(sharpness=p, draw=d))].mean() for d in range(30)])
            for p in sampling.SHARPNESSES
        ]
        assert means == sorted(means)
        assert means[-1] > means[0] + 5


FOUR = (
    layer("conv_1", 0, 3, 10, 5, bias_elements=2),
    layer("conv_2", 1, 2, 4, 3, bias_elements=1),
    layer("frozen", 2, 2, trainable=False),
    layer("logits", 3, 2, 6, 0, bias_elements=3, is_head=True),
)


class TestErrors:
    def sample(self, budget="100 elements", importance=None, **options):
        ones = {"conv_1": np.ones(3), "conv_2": np.ones(2)}
        return sample_channels(FOUR, importance or ones, budget, **options)

    def test_no_channel_fits(self):
        with pytest.raises(BudgetTooSmallError) as caught:
            self.sample(99)
        assert str(caught.value) == (
            "budget: expected at least 100 bytes (72 for heads and biases, 28 for the cheapest "
            "channel ('conv_2')); received 99 bytes. Raise the budget, keep fewer layers, or "
            "lower the optimizer slots or device batch, or pass allow_empty=True to train heads "
            "and biases alone."
        )
        assert self.sample(100).channel_count == 1
        assert self.sample(99, allow_empty=True).layers == ()

    def test_no_channel_fits_a_budget_that_leaves_out_the_head(self):
        with pytest.raises(BudgetTooSmallError) as caught:
            self.sample("6 elements")
        expected = "at least 7 elements (7 for the cheapest channel ('conv_2')); received 6"
        assert expected in str(caught.value)
        assert self.sample("7 elements").channel_count == 1

    @pytest.mark.parametrize("allow_empty", [True, False])
    def test_fixed_part_does_not_fit(self, allow_empty):
        with pytest.raises(BudgetTooSmallError) as caught:
            self.sample(71, allow_empty=allow_empty)
        assert "72 for heads and biases" in str(caught.value)
        assert str(caught.value).endswith("device batch.")  # allow_empty would not help
        assert self.sample(72, allow_empty=True).used == 72

    def test_unknown_layer(self):
        with pytest.raises(UnknownLayerError) as caught:
            self.sample(kept=["conv1"])
        assert str(caught.value) == (
            "kept: expected names of weighted layers; received 'conv1'. "
            "Close to it: ['conv_1', 'conv_2']."
        )

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"seed": -1}, "seed: expected a whole number from 0 to 2^64 - 1; received -1."),
            ({"seed": 2**64}, "seed: expected a whole number from 0 to 2^64 - 1"),
            ({"draw": 2**63}, "draw: expected a whole number from 0 to 2^63 - 1"),
            ({"draw": 1.0}, "draw: expected a whole number from 0 to 2^63 - 1; received 1.0."),
            ({"weighting": "fisher"}, "weighting: expected one of ('norm', 'rgn', 'uniform')"),
            ({"sharpness": 5}, "sharpness: expected one of (0.5, 1, 2); received 5."),
            ({"order": "best"}, "order: expected one of ('random', 'greedy'); received 'best'."),
            ({"core": 1.5}, "core: expected a share of the room, from 0 to 1; received 1.5."),
            ({"core": float("nan")}, "received nan."),
            ({"kept": ["frozen"]}, "received 'frozen'. Make the layer trainable"),
            ({"cost": CostModel()}, "Pass cost=CostModel(unit='elements'), or a budget in bytes."),
        ],
    )
    def test_options(self, options, text):
        with pytest.raises(OptionError) as caught:
            self.sample(**options)
        assert text in str(caught.value)

    @pytest.mark.parametrize(
        ("values", "text"),
        [
            (None, "importance['conv_2']: expected an array of shape (2,); received None."),
            ([1.0], "importance['conv_2']: expected an array of shape (2,); received (1,)."),
            ([1.0, np.nan], "expected finite float32 values of at least 0; received 'nan at 1'."),
            ([-2.0, np.nan], "received '-2.0 at 0'."),
            ([-1.0, -0.5], "received '-0.5 at 1'."),  # -1 alone says: never trained
            ([1.0, 1e300], "received 'inf at 1'."),
        ],
    )
    def test_importance(self, values, text):
        importance = {"conv_1": np.ones(3)} | ({} if values is None else {"conv_2": values})
        with pytest.raises(OptionError) as caught:
            self.sample(importance=importance)
        assert text in str(caught.value)

    def test_unreadable_budget(self):
        with pytest.raises(BudgetError):
            self.sample("64 parsecs")


class TestMixedSeed:
    def test_published_vector(self):
        # The first outputs of splitmix64.c for seed 1234567, as published with it.
        expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
        assert [sampling.mixed_seed(1234567, draw) for draw in range(3)] == expected

    def test_draws_of_one_seed_are_independent(self):
        # Without mixing, about 3 % of the channels have |z| > 3.3; by chance 0.1 % do.
        draws, channels, first = 2000, 500, 50
        taken = np.zeros((draws, channels))
        for draw in range(draws):
            taken[draw, sampling.draw_order(np.ones(channels), 1, draw)[:first]] = 1
        centred = taken - first / channels
        variance = first / channels * (1 - first / channels)
        z = (centred[:-1] * centred[1:]).mean(0) / variance * np.sqrt(draws - 1)
        assert (np.abs(z) > 3.3).mean() < 0.01


class TestGolden:
    def test_file_is_what_its_generator_writes(self):
        text = (GOLDEN_DIR / "sampler.json").read_text(encoding="utf-8")
        assert ORACLE.text(ORACLE.make()) == text

    def test_words(self):
        for case in GOLDEN["pcg32"]:
            seed, stream = int(case["seed"], 16), int(case["stream"], 16)
            assert sampling.pcg32(seed, stream, len(case["words"])).tolist() == case["words"]

    def test_exponential(self):
        case = GOLDEN["exponential"]
        fixed = sampling.exponential_fixed(case["words"])
        assert [hex(value) for value in fixed.tolist()] == case["e58"]
        assert bits(sampling.exponential_variate(case["words"])) == case["variate_bits"]

    @pytest.mark.parametrize(
        "case", GOLDEN["draws"] + GOLDEN["first_draws"], ids=lambda case: case["name"]
    )
    def test_draw(self, case):
        sizes, seed, number = case["channels"], int(case["seed"], 16), int(case["draw"], 16)
        costs = np.repeat(case["channel_costs"], sizes)
        importance = floats(case["importance_bits"])
        known = sampling.fill_unseen(importance)
        if "filled_bits" in case:
            assert bits(known) == case["filled_bits"]
        weighting = "uniform" if (known == sampling.UNSEEN).any() else case["weighting"]
        strength = sampling.strengths(known, costs, weighting)
        assert bits(strength) == case["strength_bits"]
        weights = sampling.sharpen(strength, case["sharpness"])
        assert bits(weights) == case["weight_bits"]
        with np.errstate(divide="ignore", over="ignore"):
            words = sampling.pcg32(sampling.mixed_seed(seed, number), number, weights.size)
            keys = sampling.exponential_variate(words) / weights
        assert bits(keys) == case["key_bits"]
        assert sampling.draw_order(weights, seed, number).tolist() == case["order"]
        pairs = enumerate(zip(sizes, case["channel_costs"], strict=True))
        specs = [layer(f"layer_{9 - i}", i, size, cost) for i, (size, cost) in pairs]

        def chosen(values):
            parts = np.split(values, np.cumsum(sizes)[:-1])
            plan = sample_channels(
                specs,
                {spec.name: part for spec, part in zip(specs, parts, strict=True)},
                MemoryBudget(case["capacity"], "elements"),
                seed=seed,
                draw=number,
                weighting=case["weighting"],
                sharpness=case["sharpness"],
                core=case["core_q16"] / 2**16,
            )
            return flat(plan, specs)

        assert chosen(importance) == chosen(known) == case["chosen"]

    @pytest.mark.parametrize("case", GOLDEN["refresh"], ids=lambda case: case["kind"])
    def test_importance_in_the_graph_of_a_training_step(self, case):
        """A channel of one weight, whose gradient is its norm: sqrt(n * n) is n exactly."""
        state = TrainingState()
        state.allocate(2, [(1, 1, 2, 1)])
        state.refresh = case["kind"]
        state.lay_out([[1]], draw=0)
        state.importance.assign([floats([case["before_bits"]])[0] * (case["kind"] == "running"), 0])

        @tf.function
        def step(norm):
            with state.opened():
                return tf.gradients(tf.reduce_sum(state.run(0).weights * norm), [state.pool.value])

        found = []
        for norm in floats(case["norm_bits"]):
            step(tf.constant(norm))
            found.append(state.importance.numpy()[0])
        wanted = floats(case["importance_bits"])
        if case["kind"] == "last":  # here m + (n - m), which is n but for a rounding
            np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)
        else:
            assert bits(np.array(found)) == case["importance_bits"]
        assert int(state.steps) == len(found)

    @settings(deadline=None)
    @given(networks())
    def test_any_draw_equals_the_oracle(self, network):
        specs = [s for s in network.specs if s.trainable and not s.is_head]
        plan, options = network.sample(), network.options
        if not specs:
            return
        core = 1.0 if options["order"] == "greedy" else options["core"]
        importance = np.concatenate([network.importance[s.name] for s in specs])
        case = {
            "channels": [s.channels for s in specs],
            "channel_costs": [network.cost.channel(s) for s in specs],
            "importance_bits": bits(importance),
            "seed": hex(options["seed"]),
            "draw": hex(options["draw"]),
            "weighting": options["weighting"],
            "sharpness": options["sharpness"],
            "core_q16": round(core * 2**16),
            "capacity": network.budget.amount - plan.fixed,
        }
        with np.errstate(all="ignore"):
            assert flat(plan, specs) == ORACLE.draw(case)["chosen"]


def test_100_000_channels_fill_the_budget_to_the_last_channel():
    rng = np.random.default_rng(0)
    sizes = np.diff(np.linspace(0, 100_000, 61).astype(int))
    specs = [
        layer(f"l{i}", i, int(n), int(rng.integers(9, 500)), int(rng.integers(1, 900)))
        for i, n in enumerate(sizes)
    ]
    importance = {s.name: rng.lognormal(size=s.channels) for s in specs}
    plan = sample_channels(specs, importance, "10MB", core=0.2)
    assert plan.budget.amount - plan.used < min(CostModel().channel(s) for s in specs)
