"""Dynamic sampling: a budget, importances, a seed and a draw number become an UpdatePlan.

Channels are drawn without replacement, each with a probability in proportion to its weight
among those left, until the budget is full (MeDyate, arXiv 2510.20979, Algorithm 1). The draw is the
exponential-key method of Efraimidis & Spirakis (2006), its randomness is PCG32 (O'Neill 2014).
The paper leaves open whether the fill ends at the first channel that no longer fits: ours goes on
to smaller ones.

Everything below is exact, so that a C++ twin on a Cortex-M4F draws the same channels: integers
wrap at the width named; float means IEEE binary32, round to nearest even, gradual underflow
(FPSCR.FZ = 0), no contraction, no libm. Candidates are numbered flat: kept layers in execution
order, channels rising; heads are no candidates.

1. Random word. SplitMix64 spreads seed and draw over the state, for else the draws of one seed
   are correlated; then PCG-XSH-RR 64/32, a = 6364136223846793005, uint64 state:
       z = seed + (draw + 1) * 0x9E3779B97F4A7C15
       z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;  z = (z ^ (z >> 27)) * 0x94D049BB133111EB
       s = z ^ (z >> 31);  inc = 2 * draw + 1;  state = (inc + s) * a + inc
                                                     (= pcg32_srandom(s, draw))
       x = uint32(((state >> 18) ^ state) >> 27);  u = rotate_right(x, state >> 59)
       state = state * a + inc
   Candidate j takes the j-th word, whatever its weight: one word each, always.
2. Exponential variate E = -log2((u + 1/2) / 2^32), in uint64, G[0..130] being uint32:
       k = clz32(u), 32 for u = 0;  T = 2^33 - ((2u + 1) << k)    1 <= T <= 2^32
       i = (T - 1) >> 25;  r = T - (i << 25)                      0 <= i <= 127, 1 <= r <= 2^25
       p, q, s, v = G[i], G[i+1], G[i+2], G[i+3];  bend = (r * (2^25 - r)) >> 25
       g = (q << 25) + r * (s - q) - ((bend * (v - s - q + p)) >> 2)
       E58 = (k << 58) + ((T * (g >> 25)) >> 5);  E = float(E58) * 2^-58
   With t = T / 2^33, what is added to k is t * g(t) = -log2(1 - t): E keeps its relative
   precision where it is small, and small keys win. g(t) = -log2(1 - t) / t is interpolated
   after Bessel between the nodes t = (i - 1) / 256, where
       G[i] = nearest integer to 2^31 * S(i - 1) / S(128),  S(m) = sum over j of (m/256)^j / (j+1)
   in 2^30ths (524 bytes; `_node_table` makes it from integers alone). E58 is within 2^-26 of
   the logarithm, relatively, and rises strictly as u falls; 2^-33 < E <= 33.
3. Strength, one float a candidate. "norm": importance; "rgn": importance / float(cost), one
   division; "uniform": 1. Minus zero counts as zero.
   An importance of exactly -1 (UNSEEN) says that the candidate was never trained. While no
   candidate was, all strengths are 1 and core is 0: the first draw is uniform, whatever the
   weighting. Else the largest importance of all candidates takes the place of each -1, for this
   draw and for good (`fill_unseen`): every channel not yet seen gets the largest norm observed,
   once, at the second draw. Other negative values, NaN and infinity are errors.
4. Weight w. y = strength / (largest strength), one division; y = 1 if the largest is 0. Then
   sharpness 0.5: sqrt(y), correctly rounded; 1: y; 2: y*y. What underflows becomes 0.
5. Key = E / w, one division. Weight 0, or overflow: +infinity, drawn last.
6. Orders. Random: smallest key first. Strongest: largest strength first. Ties by flat number.
7. Fill. Walk an order, put in what fits into the room left, skip what does not, go on to the end.
8. core_capacity = (capacity * round_half_even(core * 2^16) + 2^15) >> 16, in uint64; "greedy"
   means core = 1. Fill core_capacity in the strongest order, then what is left of capacity in
   the random order, from the candidates not yet in.
9. Importance of what was drawn, while it is trained (`spec.REFRESHES`). Let n_t be the
   norm of the gradient of the channel's weights in step t since the draw, t = 1, 2, ...: the root
   of the sum of the squares, of one batch, in a device of one sample, before it is accumulated,
   clipped or applied.
       mean      m_1 = n_1;  m_t = m_(t-1) + (n_t - m_(t-1)) * (1 / float(t))
       last      m_t = n_t
       running   m_t = m_(t-1) + (n_t - m_(t-1)) * 0.1f, m_0 being the importance before the draw;
                 m_1 = n_1 for what was never trained
   each operation rounded by itself. Algorithm 1 replaces the norms of what was drawn last by one
   norm for the epoch; which, it leaves open. Ours is the mean: in a step of a single sample many
   channels are idle, and one whose last norm is 0 would never be drawn again.
   Without a step since the draw, importances stay what they were.

Example:
    >>> plan = sample_channels(specs, importance, "64KiB", seed=1, draw=0)
    >>> plan.channels_of("stem")
    (...)
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_medyate.cost import CostModel
from tf_medyate.errors import BudgetTooSmallError, OptionError, UnknownLayerError
from tf_medyate.spec import LayerDraw, LayerSpec, MemoryBudget, UpdatePlan

UNSEEN = -1.0
"""Importance of a channel that was never trained."""
WEIGHTINGS = ("norm", "rgn", "uniform")
SHARPNESSES = (0.5, 1, 2)
ORDERS = ("random", "greedy")

Floats = npt.NDArray[np.float32]
_PCG_MULTIPLIER = 6364136223846793005


def mixed_seed(seed: int, draw: int) -> int:
    """The s of step 1: SplitMix64 (Steele et al. 2014) at position `draw` of the stream `seed`."""
    z = (int(seed) + (int(draw) + 1) * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def pcg32(seed: int, stream: int, count: int) -> npt.NDArray[np.uint32]:
    """The first `count` outputs of PCG32 after pcg32_srandom(seed, stream): uint32 [count]."""
    increment = (2 * int(stream) + 1) % 2**64
    start = ((increment + int(seed)) * _PCG_MULTIPLIER + increment) % 2**64
    # state_j = a^j * start + increment * (1 + a + ... + a^(j-1)), all modulo 2^64.
    powers = np.full(count, _PCG_MULTIPLIER, np.uint64)
    powers[:1] = 1
    powers = np.cumprod(powers, dtype=np.uint64)
    sums = np.cumsum(powers, dtype=np.uint64) - powers
    state = powers * np.uint64(start) + sums * np.uint64(increment)
    word = (((state >> np.uint64(18)) ^ state) >> np.uint64(27)).astype(np.uint32)
    turn = (state >> np.uint64(59)).astype(np.uint32)
    return (word >> turn) | (word << (-turn & np.uint32(31)))


def _node_table() -> npt.NDArray[np.int64]:
    """G of step 2: [131], from Python integers (80 fraction bits, 80 terms of the series)."""
    sums = []
    for node in range(-1, 130):
        power, total = 1 << 80, 0
        for j in range(80):
            total += power // (j + 1)
            power = power * node // 256
        sums.append(total)
    return np.array([((total << 32) // sums[129] + 1) >> 1 for total in sums], np.int64)


_TABLE = _node_table()


def exponential_fixed(words: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """-log2((u + 1/2) / 2^32) in 2^58ths for uint32 words u [n]: uint64 [n], step 2."""
    u = np.asarray(words, np.uint32).astype(np.int64)
    zeros = 32 - np.frexp(u.astype(np.float64))[1].astype(np.int64)  # clz32, exact
    t = (1 << 33) - ((2 * u + 1) << zeros)
    i = (t - 1) >> 25
    r = t - (i << 25)
    p, q, s, v = (_TABLE[i + offset] for offset in range(4))
    bend = (r * ((1 << 25) - r)) >> 25
    g = (q << 25) + r * (s - q) - ((bend * (v - s - q + p)) >> 2)
    term = t.astype(np.uint64) * (g >> 25).astype(np.uint64)
    return (zeros.astype(np.uint64) << np.uint64(58)) + (term >> np.uint64(5))


def exponential_variate(words: npt.ArrayLike) -> Floats:
    """Exponential variates in units of ln 2 from uint32 words [n]: float32 [n], in (2^-33, 33]."""
    return exponential_fixed(words).astype(np.float32) * np.float32(2.0**-58)


def strengths(importance: npt.ArrayLike, costs: npt.ArrayLike, weighting: str) -> Floats:
    """Step 3: float32 [n] from importances [n] (not read if "uniform") and costs [n]."""
    if weighting == "uniform":
        return np.ones(np.shape(costs), np.float32)
    values = _checked_weights("importance", importance)
    return values / np.asarray(costs).astype(np.float32) if weighting == "rgn" else values


def fill_unseen(importance: npt.ArrayLike) -> Floats:
    """Step 3: importances [n] with the largest in place of each UNSEEN, if any was seen."""
    values = np.asarray(importance).astype(np.float32)
    unseen = values == UNSEEN
    if not unseen.any() or unseen.all():
        return values
    return np.where(unseen, values[~unseen].max(), values)


def sharpen(strength: Floats, sharpness: float) -> Floats:
    """Step 4: weights of the draw, (strength / largest) ** sharpness: float32 [n] in [0, 1]."""
    largest = strength.max(initial=np.float32(0))
    with np.errstate(under="ignore"):
        y = strength / largest if largest > 0 else np.ones_like(strength)
        return {0.5: np.sqrt(y), 1: y, 2: y * y}[sharpness]


def fitting_sharpness(strength: npt.ArrayLike, costs: npt.ArrayLike, capacity: int) -> float:
    """How sharp a draw can be and still be one: the default's `sharpness="auto"`.

    A draw in proportion to weights w that fills the capacity takes candidate c with probability
    capacity * w_c / (sum over j of w_j * costs_j). A higher power of the strengths raises that of
    the strongest, up to the power where it is certain. Beyond, ever more candidates are always in
    and the others hardly ever: nothing is explored. So the larger the budget, the blunter. A power
    of 2 is the highest tried, where weights follow the squared norm, the decrease of the loss.

    Args:
        strength: float [n], finite and not negative.
        costs: int [n], positive.
        capacity: What the drawn may cost together.

    Returns:
        Of 0.5, 1 and 2 the one nearest, as a ratio, to the power described.
    """
    y, costs = np.asarray(strength, np.float64), np.asarray(costs, np.float64)
    largest = y.max(initial=0.0)
    y = y / largest if largest > 0 else np.ones_like(y)

    def certain(power: float) -> bool:  # the strongest, whose weight is 1
        return capacity >= float(np.sum(y**power * costs))

    return 2 if not certain(2**0.5) else 1 if not certain(2**-0.5) else 0.5


def draw_order(weights: npt.ArrayLike, seed: int, draw: int) -> npt.NDArray[np.int64]:
    """Order of a weighted draw without replacement (Efraimidis & Spirakis 2006), steps 1-6.

    Args:
        weights: float [n], finite and not negative; those of 0 come last, in flat order.
        seed: Seed of the sampler, 0 to 2^64 - 1.
        draw: Number of the draw, 0 to 2^63 - 1.

    Returns:
        int64 [n], a permutation: the flat numbers, first drawn first.

    Raises:
        OptionError: A weight is negative, NaN or infinite.
    """
    w = _checked_weights("weights", weights)
    with np.errstate(divide="ignore", over="ignore"):
        keys = exponential_variate(pcg32(mixed_seed(seed, draw), draw, w.size)) / w
    return _stable_order(keys)


def _stable_order(values: Floats) -> npt.NDArray[np.int64]:
    """Flat numbers by rising value, ties by number: int64 [n] from float32 [n], none negative.

    Not-negative floats sort as their bits do. With the number below them every key is another,
    so that the fastest sort there is will do: several times faster than a stable one.
    """
    bits = (values + np.float32(0)).view(np.uint32).astype(np.uint64)
    keys = (bits << np.uint64(32)) | np.arange(values.size, dtype=np.uint64)
    return (np.sort(keys) & np.uint64(2**32 - 1)).astype(np.int64)


def fill(order: npt.ArrayLike, costs: npt.ArrayLike, capacity: int) -> npt.NDArray[np.bool_]:
    """Step 7: True for what is in, bool [n]; `order` [m <= n] repeats none, `costs` [n] are >= 0.

    Takes whole prefixes at a time. What stops a prefix is dropped with everything as dear, for
    room only shrinks: so there are no more rounds than distinct costs.
    """
    costs = np.asarray(costs, np.int64)
    pending = np.asarray(order, np.int64)
    chosen = np.zeros(costs.size, np.bool_)
    while (pending := pending[costs[pending] <= capacity]).size:
        totals = np.cumsum(costs[pending])
        taken = int(np.searchsorted(totals, capacity, side="right"))
        chosen[pending[:taken]] = True
        capacity -= int(totals[taken - 1])
        pending = pending[taken:]
    return chosen


def sample_channels(
    specs: Sequence[LayerSpec],
    importance: Mapping[str, npt.ArrayLike],
    budget: int | str | MemoryBudget,
    *,
    kept: Collection[str] | None = None,
    cost: CostModel | None = None,
    seed: int = 0,
    draw: int = 0,
    weighting: str = "norm",
    sharpness: float = 1,
    core: float = 0.0,
    order: str = "random",
    allow_empty: bool = False,
) -> UpdatePlan:
    """Draws the channels to train until the next draw (dynamic sampling, arXiv 2510.20979).

    Args:
        specs: The weighted layers of the folded model.
        importance: Layer name -> float [channels], ||dW_c||_2, for every kept layer, or UNSEEN; not
            read if `weighting` is "uniform".
        budget: What the update may occupy: bytes, text such as "64KiB", or a MemoryBudget.
        kept: Layers to draw from, None for every trainable one. Heads are never drawn.
        cost: What a channel costs; None for CostModel(unit=budget.unit).
        seed: Seed of the sampler, 0 to 2^64 - 1.
        draw: Number of the draw, 0 to 2^63 - 1; with `seed` it fixes the plan.
        weighting: "norm" (importance), "rgn" (importance / cost, TraDy) or "uniform".
        sharpness: Power of the weights: 0.5, 1 (the published draw) or 2.
        core: Share of the room, 0 to 1, given to the strongest channels before the draw.
        order: "random", or "greedy" for the strongest channels alone.
        allow_empty: Accept a budget with room for no channel: the head alone is trained.

    Returns:
        The plan. It never exceeds the budget, and no channel left out would still fit.

    Raises:
        BudgetTooSmallError: What is always trained does not fit, or no channel beside it.
        OptionError: An option, or an importance, is missing or outside its range.
        UnknownLayerError: A kept layer does not exist.
    """
    budget = MemoryBudget.parse(budget)
    cost = CostModel(unit=budget.unit) if cost is None else cost
    remedy = f"Pass cost=CostModel(unit={budget.unit!r}), or a budget in {cost.unit}."
    _check("cost", cost.unit == budget.unit, f"a cost model in {budget.unit}", cost.unit, remedy)
    check_seed(seed)
    _check("draw", _is_natural(draw, 63), "a whole number from 0 to 2^63 - 1", draw)
    _check("weighting", weighting in WEIGHTINGS, f"one of {WEIGHTINGS}", weighting)
    _check("sharpness", sharpness in SHARPNESSES, f"one of {SHARPNESSES}", sharpness)
    _check("order", order in ORDERS, f"one of {ORDERS}", order)
    _check("core", 0 <= core <= 1, "a share of the room, from 0 to 1", core)
    layers, fixed = _candidates(specs, kept, cost)
    _check_fit(budget, fixed, [] if allow_empty else layers, cost)
    sizes = [spec.channels for spec in layers]
    costs = np.repeat(np.array([cost.channel(spec) for spec in layers], np.int64), sizes)
    flat = [] if weighting == "uniform" else [_importance_of(s, importance) for s in layers]
    known = fill_unseen(np.concatenate([np.zeros(0, np.float32), *flat]))
    room, share = budget.amount - fixed, 1.0 if order == "greedy" else core
    if (known == UNSEEN).any():
        weighting, share = "uniform", 0.0
    strength = strengths(known, costs, weighting)
    core_capacity = (room * round(share * 2**16) + 2**15) >> 16
    chosen = np.zeros(costs.size, np.bool_)
    if core_capacity:
        strongest = np.argsort(-strength, kind="stable")
        chosen = fill(strongest, costs, core_capacity)
    drawn = draw_order(sharpen(strength, sharpness), seed, draw)
    chosen |= fill(drawn[~chosen[drawn]], costs, room - int(costs[chosen].sum()))
    masks = np.split(chosen, np.cumsum(sizes, dtype=np.int64)[:-1])  # one even without layers
    named = zip(layers, masks, strict=False)
    draws = [LayerDraw(s.name, tuple(np.flatnonzero(m).tolist())) for s, m in named if m.any()]
    return UpdatePlan(int(draw), int(seed), budget, fixed, int(costs[chosen].sum()), tuple(draws))


def check_seed(seed: Any) -> None:
    """Raises OptionError unless it is a seed of the sampler."""
    _check("seed", _is_natural(seed, 64), "a whole number from 0 to 2^64 - 1", seed)


def _is_natural(value: Any, bits: int) -> bool:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and 0 <= int(value) < 2**bits


def _check(name: str, ok: Any, expected: str, received: Any, remedy: str = "Choose one.") -> None:
    if not ok:
        raise OptionError(name, expected, repr(received), remedy)


def _checked_weights(name: str, values: npt.ArrayLike) -> Floats:
    """The values as float32, minus zero as zero; OptionError unless finite and at least 0."""
    with np.errstate(over="ignore"):
        weights = np.asarray(values).astype(np.float32) + np.float32(0)  # -0 + 0 = +0
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    found = f"{weights[wrong[0]]} at {wrong[0]}" if wrong.size else ""
    remedy = "Look for NaNs in the data or a step size that diverges."
    _check(name, not found, "finite float32 values of at least 0", found, remedy)
    return weights


def _importance_of(spec: LayerSpec, importance: Mapping[str, npt.ArrayLike]) -> Floats:
    name, shape = f"importance[{spec.name!r}]", (spec.channels,)
    found = np.shape(importance[spec.name]) if spec.name in importance else None
    remedy = 'Calibrate every kept layer, or draw with weighting="uniform".'
    _check(name, found == shape, f"an array of shape {shape}", found, remedy)
    values = np.asarray(importance[spec.name], np.float64)
    unseen = values == UNSEEN
    checked = _checked_weights(name, np.where(unseen, 0.0, values))
    return np.where(unseen, np.float32(UNSEEN), checked)


def _candidates(
    specs: Sequence[LayerSpec], kept: Collection[str] | None, cost: CostModel
) -> tuple[list[LayerSpec], int]:
    """The layers to draw from, in execution order, and the cost of what is always trained."""
    names = {spec.name: spec.trainable for spec in specs}
    kept = [name for name, trainable in names.items() if trainable] if kept is None else kept
    for name in kept:
        if name not in names:
            remedy = f"Close to it: {difflib.get_close_matches(name, names) or 'nothing'}."
            raise UnknownLayerError("kept", "names of weighted layers", repr(name), remedy)
        remedy = "Make the layer trainable, or leave it out."
        _check("kept", names[name], "trainable layers", name, remedy)
    layers = [spec for spec in specs if spec.name in kept and not spec.is_head]
    return sorted(layers, key=lambda spec: spec.index), cost.fixed(specs, kept)


def _check_fit(budget: MemoryBudget, fixed: int, layers: list[LayerSpec], cost: CostModel) -> None:
    """Raises BudgetTooSmallError unless the fixed part fits, and a channel of `layers` if any."""
    needed, parts = fixed, [f"{fixed:,} for heads and biases"] if fixed else []
    remedy = "Raise the budget, keep fewer layers, or lower the optimizer slots or device batch"
    if layers:
        cheapest = min(layers, key=cost.channel)
        needed += cost.channel(cheapest)
        parts.append(f"{cost.channel(cheapest):,} for the cheapest channel ({cheapest.name!r})")
    if fixed <= budget.amount:
        remedy += ", or pass allow_empty=True to train heads and biases alone"
    if needed > budget.amount:
        expected = f"at least {needed:,} {budget.unit} ({', '.join(parts)})"
        raise BudgetTooSmallError("budget", expected, str(budget), f"{remedy}.")
