"""The choice of layers that fit a device, on made-up layers and sizes."""

import itertools
import random

import pytest

import tf_medyate as md
from tf_medyate.cost import CostModel
from tf_medyate.select.fitting import Search, Trial
from tf_medyate.select.gradients import LayerGradient
from tf_medyate.spec import LayerSpec

ALPHA_MEMORY, BUDGET = 5 * 60, "60 elements"


def _specs(rng, count=8):
    body = [
        LayerSpec(
            f"l{i}", "conv2d", i, rng.randint(2, 6), 4, rng.randint(1, 9), 9 - i, 4, macs=1
        )  # maps shrink, as in nets
        for i in range(count)
    ]
    return (*body, LayerSpec("head", "dense", count, 4, 2, 2, 1, 2, macs=1, is_head=True))


class _Device:
    """An arena that grows with depth, a flash that grows with trained weights."""

    def __init__(self, specs, arena, flash):
        self.by_name, self.arena, self.flash = {s.name: s for s in specs}, arena, flash
        self.tried = []

    def __call__(self, kept):
        self.tried.append(kept)
        specs = [self.by_name[name] for name in kept]
        arena = 100 - 10 * min(spec.index for spec in specs)
        flash = 3 * sum(spec.weight_elements for spec in specs)
        misses = [f"arena {arena}"] if arena > self.arena else []
        misses += [f"flash {flash}"] if flash > self.flash else []
        only_flash = misses and arena <= self.arena
        return Trial(arena, flash, tuple(misses), flash - self.flash if only_flash else None)


def _search(specs, gradients, device, top_k="alpha"):
    def rank(some):
        return md.rank_layers(some, gradients, "lara", top_k, budget=BUDGET)

    return Search(specs, rank, CostModel("elements"), ALPHA_MEMORY, device, 3)


def _cases(count=40):
    for seed in range(count):
        rng = random.Random(seed)
        specs = _specs(rng)
        norms = {s.name: LayerGradient(rng.random(), 1.0, 1.0) for s in specs}
        arena, flash = rng.choice((60, 80, 100)), rng.choice((60, 120, 10_000))
        yield specs, norms, _Device(specs, arena, flash)


def test_never_worse_than_the_best_depth_limit_that_fits():
    thinned = limited = 0
    for specs, norms, device in _cases():
        search = _search(specs, norms, device)
        points = search.points()
        assert len({point.kept for point in points}) == len(points)
        fitting = [point for point in points if point.fits]
        whole = search.rank(specs)
        scores = dict(zip(whole.order, whole.scores, strict=True))
        best = max((point.score for point in fitting), default=0.0)
        for first in range(len(specs) - 1):
            kept = search.rank([s for s in specs if s.is_head or s.index >= first]).kept
            if not device(kept).misses:
                worth = search._worth(kept, scores) / search._worth(whole.kept, scores)
                assert best >= worth - 1e-12
        for point in fitting:
            trial = device(point.kept)
            assert not trial.misses
            assert (trial.arena_bytes, trial.flash_bytes) == (point.arena_bytes, point.flash_bytes)
            assert point.first_layer == min(device.by_name[name].index for name in point.kept)
            assert not set(point.left_out) & set(point.kept)
        thinned += any(point.left_out for point in fitting)
        limited += points[0].misses != () and bool(fitting)
    assert thinned > 5
    assert limited > 5


def test_what_is_left_out_for_the_flash_costs_little():
    """Against the best of all sets that fit, by trying each of them."""
    ratios = []
    for specs, norms, device in _cases():
        search = _search(specs, norms, device, top_k=1.0)
        points = search.points()
        whole = search.rank(specs)
        scores = dict(zip(whole.order, whole.scores, strict=True))
        best = max((point.score for point in points if point.fits), default=0.0)
        names = [spec.name for spec in specs if not spec.is_head]
        sets = (s for n in range(1, 9) for s in itertools.combinations(names, n))
        most = max((search._worth(s, scores) for s in sets if not device(s).misses), default=0.0)
        if most:
            ratios.append(best / (most / search._worth(whole.kept, scores)))
    assert len(ratios) > 20
    assert max(ratios) <= 1 + 1e-9
    assert sum(ratios) / len(ratios) > 0.97


def test_without_limits_the_published_choice_stays():
    specs, norms, device = next(_cases(1))
    device.arena = device.flash = 10_000
    search = _search(specs, norms, device)
    first = search.points()[0]
    assert first.kept == search.rank(specs).kept
    assert first.score == pytest.approx(1.0)
    assert all(point.fits and not point.left_out for point in search.points())
    assert len(set(device.tried)) * 2 == len(device.tried), "each set is planned once a search"
