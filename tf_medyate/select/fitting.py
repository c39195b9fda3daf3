"""The best layers that fit a device: every depth limit is tried, and thinned for the flash's sake.

The arena of training depends above all on how far back gradients go, on the first layer that is
trained. So for each layer N the ranking chooses among the layers from N on, by its own rule
(alpha, a share, a number), and what that takes is planned as the export plans it. Where the arena
fits and the flash does not, layers that are worth least for their flash are left out, and the
ranking chooses again. The best of all that fit is taken: never worse than the best depth limit.

Sets are compared by the score that their memory has: the sum over layers of score times memory, of
the best layers up to the memory that the rule asks for (B / alpha, in Eq. 10), relative to what is
kept without limits. For LaRa that is the norm of the layers' gradients, and the choice without
limits has the most of it.

Example:
    >>> points = Search(specs, rank, cost, 140_000, attempt, 12).points()  # doctest: +SKIP
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Protocol, runtime_checkable

from tf_medyate.cost import CostModel
from tf_medyate.errors import MedyateError
from tf_medyate.prepared.model import PreparedModel
from tf_medyate.select.frontier import Frontier, FrontierPoint
from tf_medyate.select.strategies import Strategy
from tf_medyate.spec import LayerRanking, LayerSpec, MemoryBudget


@dataclasses.dataclass(frozen=True)
class Trial:
    """What training a set of layers takes.

    Attributes:
        arena_bytes, flash_bytes, misses: As `FrontierPoint`.
        flash_excess: Bytes of flash that are missing, 0 or less if it suffices; None if something
            else than flash is missing.
    """

    arena_bytes: int
    flash_bytes: int
    misses: tuple[str, ...]
    flash_excess: int | None


@dataclasses.dataclass(frozen=True)
class Terms:
    """What channels are drawn by, whatever the layers; attributes as those of `Planner`."""

    specs: tuple[LayerSpec, ...]
    cost: CostModel
    budget: MemoryBudget | None
    strategy: Strategy
    seed: int


@runtime_checkable
class DeviceLimits(Protocol):
    """What decides whether layers fit: `LayersThatFit` of the exporter."""

    def attempts(
        self, model: PreparedModel, terms: Terms
    ) -> tuple[Callable[[tuple[str, ...]], Trial], int]:
        """A function that plans the training of some layers, and flash bytes of a trained weight.

        The latter beyond those of a frozen one.
        """
        ...

    def words(self) -> str:
        """The limits."""
        ...

    def refusal(self, frontier: Frontier, least: Trial) -> MedyateError:
        """What to say when nothing fits; `least` is of the head alone."""
        ...


@dataclasses.dataclass(frozen=True)
class Search:
    """Goes through the depth limits.

    Attributes:
        specs: The model's layers.
        rank: Orders the layers given, and keeps the best by the strategy's rule.
        cost: Of a channel.
        memory: What the kept layers' channels should cost together.
        attempt: Plans a set of layers.
        weight_bytes: Flash that a weight takes more if it is trained.
    """

    specs: Sequence[LayerSpec]
    rank: Callable[[Sequence[LayerSpec]], LayerRanking]
    cost: CostModel
    memory: float
    attempt: Callable[[tuple[str, ...]], Trial]
    weight_bytes: int

    def points(self) -> tuple[FrontierPoint, ...]:
        """One for each depth limit that makes a difference."""
        whole = self.rank(self.specs)
        scores = dict(zip(whole.order, whole.scores, strict=True))
        best = self._worth(whole.kept, scores) or 1.0
        found, last = [], None
        for first in range(len(self.specs)):
            allowed = [spec for spec in self.specs if spec.is_head or spec.index >= first]
            kept = self.rank(allowed).kept
            if kept and kept != last:
                last = kept
                kept, trial, without = self._fitting(allowed, kept, scores)
                if any(point.kept == kept for point in found):
                    continue  # what was left out is the difference to an earlier limit
                numbers = [spec.index for spec in self.specs if spec.name in kept]
                taken = trial.arena_bytes, trial.flash_bytes, trial.misses
                worth = self._worth(kept, scores) / best
                found.append(FrontierPoint(min(numbers), kept, worth, *taken, without))
        return tuple(found)

    def _worth(self, kept: Collection[str], scores: dict[str, float]) -> float:
        room, worth = self.memory, 0.0
        for spec in sorted(self._named(kept), key=lambda spec: -scores[spec.name]):
            taken = min(room, self._memory(spec))
            worth += scores[spec.name] * taken
            room -= taken
        return worth

    def _named(self, names: Collection[str]) -> list[LayerSpec]:
        return [spec for spec in self.specs if spec.name in names]

    def _memory(self, spec: LayerSpec) -> int:
        return spec.channels * self.cost.channel(spec)

    def _fitting(
        self, allowed: Sequence[LayerSpec], kept: tuple[str, ...], scores: dict[str, float]
    ) -> tuple[tuple[str, ...], Trial, tuple[str, ...]]:
        """The layers kept, what they take, and which were left out for the flash."""
        first = trial = self.attempt(kept)
        chosen, without = kept, set[str]()
        while trial.flash_excess is not None and trial.flash_excess > 0:
            chosen, without = self._thinned(allowed, without, chosen, trial.flash_excess, scores)
            if not chosen:
                break
            trial = self.attempt(chosen)
        if trial.misses:
            return kept, first, ()
        return chosen, trial, tuple(spec.name for spec in allowed if spec.name in without)

    def _thinned(
        self,
        allowed: Sequence[LayerSpec],
        without: set[str],
        before: tuple[str, ...],
        excess: int,
        scores: dict[str, float],
    ) -> tuple[tuple[str, ...], set[str]]:
        """Leaves out more layers until what `before` had too much should be saved."""

        def kept_without(names: set[str]) -> tuple[tuple[str, ...], bool]:
            kept = self.rank([spec for spec in allowed if spec.name not in names]).kept
            more = self._weights(kept) - self._weights(before)
            return kept, excess + more * self.weight_bytes <= 0

        gone = set(without)
        kept, suffices = kept_without(gone)
        while kept and not suffices:
            gone.add(min(self._named(kept), key=lambda spec: _per_flash(spec, self, scores)).name)
            kept, suffices = kept_without(gone)
        for name in sorted(gone - without, key=lambda name: -scores[name]):
            again, suffices = kept_without(gone - {name})  # what went first may have room now
            if suffices and self._worth(again, scores) > self._worth(kept, scores):
                gone, kept = gone - {name}, again
        return kept, gone

    def _weights(self, kept: Collection[str]) -> int:
        return sum(spec.weight_elements for spec in self._named(kept))


def _per_flash(spec: LayerSpec, search: Search, scores: dict[str, float]) -> float:
    return scores[spec.name] * spec.channels * search.cost.channel(spec) / spec.weight_elements
