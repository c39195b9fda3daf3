"""Writes sampler.json: what every implementation of the sampler is held to, bit for bit.

The specification is the docstring of tf_medyate/select/sampling.py. This is its plainest reading,
one channel at a time with Python integers and single float32 operations; it shares no code with
tf_medyate. Both the vectorised sampler (tests/select/test_sampling.py) and the C++ twin that runs
on the device (Cortex-M4F, no libm, no double) must reproduce every number of the file.

Integers of at most 32 bits are JSON numbers, 64-bit ones (seed, draw, stream, e58) are hex
strings; *_bits are the IEEE bit patterns of float32 values. The sections, in building order:

    table        G of step 2
    pcg32        words of step 1
    exponential  word -> e58 and E of step 2
    draws        whole draws: importances and costs in, every step's values and `chosen` (flat
                 numbers, rising) out. capacity is what is left beside heads and biases;
                 core_q16 is round_half_even(core * 2^16), 65536 for order="greedy".
    first_draws  likewise, with importances of -1: channels that were never trained;
                 importance_bits is what went in, filled_bits what stays for the next draw.
    refresh      norms of the steps since a draw in, importance after each out; see step 9.

Run: python tests/golden/make_sampler.py
"""

import json
import math
import pathlib
import random
import struct
from fractions import Fraction

import numpy as np

PATH = pathlib.Path(__file__).with_name("sampler.json")
F = np.float32


def bits(value: np.float32) -> int:
    return struct.unpack("<I", struct.pack("<f", value))[0]


def table() -> list[int]:
    """G, from exact fractions; 300 terms leave less than 2^-290."""

    def series(m: int) -> Fraction:
        t = Fraction(m, 256)
        return sum((t**j / (j + 1) for j in range(300)), Fraction(0))

    half = series(128)
    return [math.floor(2**31 * series(i - 1) / half + Fraction(1, 2)) for i in range(131)]


G = table()


def pcg32(seed: int, stream: int, count: int) -> list[int]:
    """As in the published pcg_basic.c: pcg32_srandom_r, then pcg32_random_r for each word."""
    mask, a, inc, words = 2**64 - 1, 6364136223846793005, ((stream << 1) | 1) & (2**64 - 1), []
    state = (0 * a + inc) & mask
    state = (state + seed) & mask
    state = (state * a + inc) & mask
    for _ in range(count):
        old, state = state, (state * a + inc) & mask
        x, rot = (((old >> 18) ^ old) >> 27) & 0xFFFFFFFF, old >> 59
        words.append(((x >> rot) | (x << ((-rot) & 31))) & 0xFFFFFFFF)
    return words


def splitmix64(seed: int, position: int) -> int:
    """As in the published splitmix64.c: the state is moved on position + 1 times, then mixed."""
    mask = 2**64 - 1
    state = (seed + (position + 1) * 0x9E3779B97F4A7C15) & mask
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
    return state ^ (state >> 31)


def e58(u: int) -> int:
    k = 32 - u.bit_length()
    big_t = 2**33 - ((2 * u + 1) << k)
    i = (big_t - 1) >> 25
    r = big_t - (i << 25)
    p, q, s, v = G[i : i + 4]
    bend = (r * (2**25 - r)) >> 25
    g = (q << 25) + r * (s - q) - ((bend * (v - s - q + p)) >> 2)
    return (k << 58) + ((big_t * (g >> 25)) >> 5)


def nearest_float(n: int) -> np.float32:
    """float32 of a whole number, round to nearest even, from its bits."""
    shift = max(n.bit_length() - 24, 0)
    top, rest, half = n >> shift, n & ((1 << shift) - 1), (1 << shift) >> 1
    if rest > half or (rest == half and shift and top & 1):
        top += 1
    return F(math.ldexp(top, shift))


def variate(u: int) -> np.float32:
    return F(math.ldexp(float(nearest_float(e58(u))), -58))


def power(y: np.float32, sharpness: float) -> np.float32:
    if sharpness == 0.5:
        return F(math.sqrt(float(y)))  # rounding twice is harmless: 53 >= 2 * 24 + 2 bits
    return {1: y, 2: F(y * y)}[int(sharpness)]


def quotient(e: np.float32, w: np.float32) -> np.float32:
    with np.errstate(over="ignore"):
        return F(e / w) if w > 0 else F(math.inf)


def fill(order: list[int], costs: list[int], room: int) -> list[int]:
    taken = []
    for j in order:
        if costs[j] <= room:
            taken.append(j)
            room -= costs[j]
    return taken


def filled(values: list[np.float32]) -> list[np.float32]:
    """Step 3: the largest importance in the place of each -1, unless all are -1."""
    seen = [v for v in values if v != -1]
    return [max(seen) if seen and v == -1 else v for v in values]


def refreshed(norms: list[np.float32], kind: str, before: np.float32) -> list[np.float32]:
    """Step 9: the importance after each step since the draw."""
    found, m = [], before
    for t, n in enumerate(norms, start=1):
        if kind == "last" or (kind == "mean" and t == 1) or m < 0:
            m = n
        else:
            rate = F(0.1) if kind == "running" else F(F(1) / F(t))
            m = F(m + F(F(n - m) * rate))
        found.append(m)
    return found


def draw(case: dict) -> dict:
    """Steps 1 to 8 for one case; returns the values of each step."""
    pairs = zip(case["channels"], case["channel_costs"], strict=True)
    costs = [cost for channels, cost in pairs for _ in range(channels)]
    values = [F(struct.unpack("<f", struct.pack("<I", b))[0]) for b in case["importance_bits"]]
    values = [F(0) if v == 0 else v for v in filled(values)]
    if any(v == -1 for v in values):
        strength = [F(1)] * len(values)
    elif case["weighting"] == "rgn":
        strength = [F(v / nearest_float(c)) for v, c in zip(values, costs, strict=True)]
    else:
        strength = [F(1) if case["weighting"] == "uniform" else v for v in values]
    largest = max(strength)
    weights = [power(F(s / largest) if largest > 0 else F(1), case["sharpness"]) for s in strength]
    number = int(case["draw"], 16)
    words = pcg32(splitmix64(int(case["seed"], 16), number), number, len(costs))
    keys = [quotient(variate(u), w) for u, w in zip(words, weights, strict=True)]
    flat = range(len(costs))
    share = 0 if any(v == -1 for v in values) else case["core_q16"]
    strongest = sorted(flat, key=lambda j: (-strength[j], j))
    random_order = sorted(flat, key=lambda j: (keys[j], j))
    core_capacity = (case["capacity"] * share + 2**15) >> 16
    core = fill(strongest, costs, core_capacity)
    room = case["capacity"] - sum(costs[j] for j in core)
    rest = fill([j for j in random_order if j not in core], costs, room)
    return {
        "strength_bits": [bits(s) for s in strength],
        "weight_bits": [bits(w) for w in weights],
        "key_bits": [bits(k) for k in keys],
        "order": random_order,
        "core_capacity": core_capacity,
        "core": sorted(core),
        "chosen": sorted(core + rest),
    }


THREE = ([8, 16, 12], [37, 210, 118])
UNSEEN = bits(F(-1))


def norms(rng: random.Random, count: int) -> list[int]:
    return [bits(F(rng.lognormvariate(-3, 1.5))) for _ in range(count)]


def described(name, importance, layers=THREE, capacity=1500, **options) -> dict:
    made = {"name": name, "seed": 1, "draw": 0, "weighting": "norm", "sharpness": 1}
    made |= {"core_q16": 0, **options}
    made |= {"seed": hex(made["seed"]), "draw": hex(made["draw"]), "capacity": capacity}
    made |= {"channels": layers[0], "channel_costs": layers[1]}
    return made | {"importance_bits": importance}


def first_cases() -> list[dict]:
    rng = random.Random(2510_20979)
    some, zeros = norms(rng, 36), [UNSEEN] * 36
    some[:20] = some[24:33] = [UNSEEN]
    some = [UNSEEN] * (36 - len(some)) + some
    zeros[5:9] = [0, 0x80000000, 0, 0]
    return [
        described("all unseen: uniform", [UNSEEN] * 36),
        described("all unseen, rgn, core", [UNSEEN] * 36, weighting="rgn", core_q16=13107),
        described("second draw: the largest for the unseen", some, draw=1),
        described("the same by rgn", some, draw=1, weighting="rgn"),
        described("the same, sharpness 2, core 0.25", some, draw=1, sharpness=2, core_q16=16384),
        described("nothing but zeros was seen", zeros, draw=1),
    ]


def refresh_cases() -> list[dict]:
    rng = random.Random(9)
    steps = norms(rng, 12)
    steps[3:5] = [0, 0]
    kinds = [("mean", 0.37), ("last", 0.37), ("running", 0.37), ("running", -1)]
    return [
        {"kind": kind, "before_bits": bits(F(before)), "norm_bits": steps} for kind, before in kinds
    ]


def refresh(case: dict) -> dict:
    before, *values = (
        F(struct.unpack("<f", struct.pack("<I", b))[0])
        for b in (case["before_bits"], *case["norm_bits"])
    )
    return {"importance_bits": [bits(m) for m in refreshed(values, case["kind"], before)]}


def cases() -> list[dict]:
    rng = random.Random(20251020)

    def case(name, layers=THREE, importance=None, capacity=1500, **options):
        importance = norms(rng, sum(layers[0])) if importance is None else importance
        return described(name, importance, layers, capacity, **options)

    zeros = norms(rng, 36)
    zeros[3:30:2] = [0x00000000, 0x80000000] * 7
    wide = [bits(F(math.ldexp(1 + j / 36, -4 * j))) for j in range(36)]
    biggest = {"seed": 2**64 - 1, "draw": 2**63 - 1}
    return [
        case("norm"),
        case("norm, next draw", draw=1),
        case("rgn", weighting="rgn", seed=7, draw=3),
        case("uniform, ties in strength", weighting="uniform", core_q16=13107, seed=5),
        *(
            case(f"sharpness {p}, core 0.25", sharpness=p, core_q16=16384, draw=p_draw)
            for p_draw, p in enumerate((0.5, 1, 2))
        ),
        case("rgn, sharpness 2, core 0.7", weighting="rgn", sharpness=2, core_q16=45875),
        case("greedy", core_q16=65536),
        case("zeros and minus zeros, drawn last", importance=zeros, capacity=3000),
        case("all zero", importance=[0] * 36, core_q16=32768),
        case("weights underflow, keys overflow", importance=wide, sharpness=2, capacity=3800),
        case("largest seed and draw", **biggest),
        case("skips: one dear layer", layers=([3, 30], [1400, 9]), capacity=1501, seed=9),
        case("exactly everything fits", capacity=8 * 37 + 16 * 210 + 12 * 118),
        case("costs beyond 24 bits", ([3, 4], [16777217, 33554435]), None, 10**8, weighting="rgn"),
        case("one channel", layers=([1], [10]), capacity=10),
    ]


def kept(case: dict) -> dict:
    values = [F(struct.unpack("<f", struct.pack("<I", b))[0]) for b in case["importance_bits"]]
    return {"filled_bits": [bits(v) for v in filled(values)]}


def words() -> list[int]:
    """Both ends, each octave, each node of the first octave, some in between."""
    rng = random.Random(33)
    some = {0, 1, 2, 3, 2**32 - 1, 2**32 - 2, 2**32 - 3}
    some |= {2**k + d for k in range(3, 32) for d in (-1, 0, 1)}
    some |= {2**31 + (i << 24) + d for i in range(0, 128, 9) for d in (-1, 0, 1)}
    return sorted(some | {rng.randrange(2**32) for _ in range(60)})


def make() -> dict:
    """The whole content of the file."""
    streams = [(42, 54, 12), (0, 0, 8), (1, 0, 8), (1, 1, 8), (2**64 - 1, 2**63 - 1, 8)]
    chosen_words = words()
    return {
        "about": "Held to by sampling.py and its C++ twin. Made by make_sampler.py, see there.",
        "table": G,
        "pcg32": [
            {"seed": hex(seed), "stream": hex(stream), "words": pcg32(seed, stream, count)}
            for seed, stream, count in streams
        ],
        "exponential": {
            "words": chosen_words,
            "e58": [hex(e58(u)) for u in chosen_words],
            "variate_bits": [bits(variate(u)) for u in chosen_words],
        },
        "draws": [case | draw(case) for case in cases()],
        "first_draws": [case | draw(case) | kept(case) for case in first_cases()],
        "refresh": [case | refresh(case) for case in refresh_cases()],
    }


def text(golden: dict) -> str:
    """JSON with one field a line, so that a diff shows what changed."""

    def entry(value: dict) -> str:
        lines = (f"   {json.dumps(key)}: {json.dumps(item)}" for key, item in value.items())
        return "{\n" + ",\n".join(lines) + "\n  }"

    def section(value) -> str:
        if isinstance(value, dict):
            return entry(value)
        if isinstance(value, list) and isinstance(value[0], dict):
            return "[\n  " + ",\n  ".join(entry(item) for item in value) + "\n ]"
        return json.dumps(value)

    lines = (f" {json.dumps(key)}: {section(value)}" for key, value in golden.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    PATH.write_text(text(make()), encoding="utf-8")
    print(f"{PATH}: {PATH.stat().st_size:,} bytes")
