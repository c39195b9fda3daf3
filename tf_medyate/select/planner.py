"""From a strategy, a model and calibration data to plans: what the callback asks before an epoch.

    Planner.survey   once: specs, costs, ranking, kept layers, first importances
    Planner.plan     before each draw: an UpdatePlan that fits the budget

Example:
    >>> planner = Planner(md.PRESETS["medyate"], md.MemoryBudget(8192))
    >>> importance = planner.survey(model, [(x, y)], optimizer=None, loss=None)
    >>> print(planner.plan(importance, draw=0))
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tf_medyate.cost import CostModel
from tf_medyate.errors import BudgetTooSmallError, OptionError
from tf_medyate.kernel_order import channel_first
from tf_medyate.prepared.data import Batch, check_batch, take_batches, weighted
from tf_medyate.prepared.folding import layer_specs
from tf_medyate.prepared.layers import ChannelMasked, masked_layers
from tf_medyate.prepared.model import PreparedModel
from tf_medyate.prepared.slots import optimizer_costs, probe_size
from tf_medyate.prepared.tensors import read
from tf_medyate.prepared.update import full_plan, pool_elements
from tf_medyate.select.fitting import DeviceLimits, Search, Terms, Trial
from tf_medyate.select.frontier import Frontier
from tf_medyate.select.gradients import ChannelGradients, GradientProbe, LayerGradient
from tf_medyate.select.published import PUBLISHED, Scheme, published_net, scheme_plan
from tf_medyate.select.ranking import rank_layers
from tf_medyate.select.ranking_file import load_ranking
from tf_medyate.select.sampling import (
    UNSEEN,
    fill_unseen,
    fitting_sharpness,
    sample_channels,
    strengths,
)
from tf_medyate.select.strategies import (
    ALPHA,
    AUTO,
    FIXED,
    OBSERVED,
    ORACLE,
    VELOCITY,
    WHOLE_NET,
    Strategy,
)
from tf_medyate.select.velocity import SAMPLES, VelocityProbe
from tf_medyate.spec import BYTES, ELEMENTS, LayerRanking, LayerSpec, MemoryBudget, UpdatePlan

Importance = Mapping[str, np.ndarray]
Batches = Sequence[Batch]


class Planner:
    """Decides which channels are trained; changes no model.

    Args:
        strategy: What to choose by.
        budget: The bound; None only for the strategies "head" and "full".
        seed: Seed of the sampler.
        layers: Names of the layers to draw from, instead of the ranking's; or what these must fit.
        device_batch: Samples whose activations the device stores at once.
        ranking: A ranking file, see `ranking_file`; None measures what the strategy needs.

    Attributes:
        strategy: What was asked for; after `survey` with the sharpness found for "auto".
        seed: Seed of the sampler.
        specs, cost, ranking, kept, budget: What plans are made from; set by `survey`.
        units: `specs` by what is drawn: input channels, or output neurons in their place.
        frontier: What would fit the device; None if `layers` are no limits.
    """

    def __init__(
        self,
        strategy: Strategy,
        budget: MemoryBudget | None,
        seed: int = 0,
        layers: Sequence[str] | DeviceLimits | None = None,
        device_batch: int = 1,
        ranking: str | os.PathLike[str] | None = None,
    ):
        self._asked_strategy, self.strategy = strategy, strategy
        self._asked = budget
        self.seed = seed
        self._layers: tuple[str, ...] | None = None
        self._limits: DeviceLimits | None = None
        if isinstance(layers, DeviceLimits):
            self._limits = layers
        elif layers is not None:
            self._layers = tuple(layers)
        self.frontier: Frontier | None = None
        self._device_batch = device_batch
        self._ranking_file = ranking
        self._probe: Callable[[], Importance] | None = None

    @property
    def asked_layers(self) -> tuple[str, ...] | None:
        """The layers that were named; None where a ranking or limits choose."""
        return self._layers

    @property
    def needs_data(self) -> bool:
        """`survey` must be given batches."""
        return self.needs_gradients or self.strategy.needs_samples

    @property
    def needs_gradients(self) -> bool:
        """`survey` measures full gradients: a ranking or layers that were given spare them."""
        if self._layers is None and self._ranking_file is None:
            return self.strategy.needs_gradients
        return self.strategy.draws_by_gradients

    def survey(
        self,
        model: PreparedModel,
        batches: Batches,
        optimizer: keras.optimizers.Optimizer | None,
        loss: Callable | None,
        progress: Callable[[int], None] | None = None,
    ) -> Importance:
        """Measures the model and fixes everything that stays the same from draw to draw.

        Args:
            model: A prepared model.
            batches: Calibration batches (x, y); may be empty where `needs_data` is False.
            optimizer: Its slots are counted.
            loss: Loss to calibrate with; None takes the compiled one.
            progress: Called with the number of batches done.

        Returns:
            The importance that the first draw goes by, float [channels] by layer name.
        """
        _check_drawable(model, self._layers or ())
        self.specs: tuple[LayerSpec, ...] = layer_specs(model)
        neurons = self.strategy.draws_neurons
        self.units = tuple(s.by_neurons() if neurons and not s.is_head else s for s in self.specs)
        slots, accumulate = optimizer_costs(optimizer, probe_size(self.specs))
        unit = self._asked.unit if self._asked else BYTES
        self.cost = CostModel(
            unit, slots, accumulate, self._device_batch, train_bias=self.strategy.train_bias
        )
        planned = None if self._limits is None else self._begin_fitting(model, self._limits)
        gradients = self._measure(model, batches, loss, progress)
        self._scheme = self._published_scheme() if self.strategy.takes_scheme else None
        known = self._known(gradients)
        self.ranking = self._rank(known, self.specs)
        if self._limits and planned:
            self.frontier = self._fit(self._limits, known, *planned)
        self.kept = self._keep()
        self._check_trainable()
        everything = self.cost.full(spec for spec in self.specs if spec.trainable)
        least = self.cost.fixed(self.specs, self.kept)
        self.budget = self._asked or MemoryBudget(
            everything if self.strategy.trains_all else least, unit
        )
        found = self._first_importance(model, gradients)
        self.strategy = self._resolved(found)
        return found

    def _published_scheme(self) -> Scheme:
        """Sparse Update's largest scheme that the budget holds, by its published count."""
        net, budget = published_net(self.specs), self._asked
        if net is None or budget is None or self._layers is not None:
            raise OptionError(
                "strategy",
                f"one of the papers' nets for {self.strategy.name!r}, and no layers=",
                "another net" if net is None else "layers=",
                f"It trains what was published for {', '.join(PUBLISHED)}; try 'su-like'.",
            )
        fitting = [s for s in net.schemes if self._scheme_cost(s) <= budget.amount]
        if not fitting:
            least = self._scheme_cost(net.schemes[0])
            expected = f"at least {least:,} {budget.unit}: the smallest scheme for {net.name}"
            raise BudgetTooSmallError("budget", expected, str(budget), "Raise the budget.")
        return fitting[-1]

    def _scheme_cost(self, scheme: Scheme) -> int:
        if self.cost.unit != BYTES:
            return scheme.elements if self.cost.unit == ELEMENTS else scheme.weights
        counts = scheme.channels(self.specs)
        drawn = sum(counts[s.name] * self.cost.channel(s) for s in self.specs if s.name in counts)
        return drawn + self.cost.fixed(self.specs, tuple(counts))

    def _first_importance(
        self, model: PreparedModel, gradients: ChannelGradients | None
    ) -> Importance:
        if self._scheme is not None:
            return {layer.name: _weight_norms(layer) for layer in masked_layers(model)}
        if gradients is None or self.strategy.importance == OBSERVED:
            start = UNSEEN if self.strategy.importance in (OBSERVED, VELOCITY) else 1.0
            room = [spec for spec in self.units if spec.name in self.kept]
            return {spec.name: np.full(spec.channels, start, np.float32) for spec in room}
        return gradients.norm

    def _measure(self, model, batches, loss, progress) -> ChannelGradients | None:
        if self.strategy.needs_samples:
            inputs = [x for x, *_ in batches]
            joined = keras.tree.map_structure(
                lambda *parts: np.concatenate(parts)[:SAMPLES], *inputs
            )
            self._probe = VelocityProbe(model, joined)
        if not self.needs_gradients:
            return None
        if self.strategy.ranking == "fisher":  # a mean over samples of a square
            batches = [single for batch in batches for single in _singles(batch)]
        probe = GradientProbe(model, loss)
        if self.strategy.importance == ORACLE:
            self._probe = lambda: probe(batches).norm
        return probe(batches, progress)

    def _known(self, gradients: ChannelGradients | None) -> Mapping[str, LayerGradient] | None:
        if self._ranking_file is not None and self.strategy.ranks_by_gradients:
            return load_ranking(self._ranking_file, self.specs)
        return None if gradients is None else gradients.layers()

    def _begin_fitting(
        self, model: PreparedModel, limits: DeviceLimits
    ) -> tuple[Callable[[tuple[str, ...]], Trial], int]:
        """Refuses what could not be planned, before anything is measured."""
        s = self.strategy
        if not s.needs_budget or s.draws_neurons or s.takes_scheme:
            expected = "a strategy that draws input channels, whose layers can be chosen"
            remedy = "Leave the limits out, and see what md.check_export says."
            raise OptionError("strategy", expected, repr(s.name), remedy)
        return limits.attempts(model, Terms(self.specs, self.cost, self._asked, s, self.seed))

    def _fit(
        self,
        limits: DeviceLimits,
        known: Mapping[str, LayerGradient] | None,
        attempt: Callable[[tuple[str, ...]], Trial],
        weight_bytes: int,
    ) -> Frontier:
        """Keeps the best layers that fit the limits."""
        s, whole = self.strategy, self.ranking
        top_k = len(whole.kept) if s.top_k == FIXED else s.top_k
        head = self.cost.fixed(self.specs, ())
        memory = sum(v.channels * self.cost.channel(v) for v in self.specs if v.name in whole.kept)
        if s.top_k == ALPHA and s.ranking != WHOLE_NET and self._asked:
            memory = (self._asked.amount - head) / s.alpha
        rank = functools.partial(self._rank, known, top_k=top_k)
        points = Search(self.specs, rank, self.cost, memory, attempt, weight_bytes).points()
        fitting = [(p.score, n) for n, p in enumerate(points) if p.fits]
        frontier = Frontier(limits.words(), points, max(fitting)[1] if fitting else -1)
        if frontier.best is None:
            raise limits.refusal(frontier, attempt(()))
        kept = tuple(name for name in whole.order if name in frontier.best.kept)
        reason = whole.reason if kept == whole.kept else frontier.title
        self.ranking = dataclasses.replace(whole, kept=kept, reason=reason)
        return frontier

    def _rank(
        self,
        gradients: Mapping[str, LayerGradient] | None,
        specs: Sequence[LayerSpec],
        top_k: float | int | str | None = None,
    ) -> LayerRanking:
        s = self.strategy
        unranked = gradients is None and s.ranking != "last_k"
        if s.ranking == WHOLE_NET or unranked or not s.needs_budget:
            whole = rank_layers(specs, None, "last_k", 1.0)
            reason = "named in layers=" if self._layers is not None else "the whole net"
            if self._scheme is None:
                return dataclasses.replace(whole, method=WHOLE_NET, reason=reason)
            counts = self._scheme.channels(specs)
            kept = tuple(name for name in whole.order if name in counts)
            reason = f"Sparse Update's scheme of {self._scheme.elements:,} elements"
            return dataclasses.replace(whole, method=WHOLE_NET, kept=kept, reason=reason)
        options = {"budget": self._asked, "alpha": s.alpha}
        return rank_layers(specs, gradients, s.ranking, top_k or s.top_k, self.cost, **options)

    def _keep(self) -> tuple[str, ...]:
        if not self.strategy.needs_budget:
            return ()
        if self._layers is not None:
            heads = {spec.name for spec in self.specs if spec.is_head}
            return tuple(name for name in self._layers if name not in heads)
        return tuple(spec.name for spec in self.specs if spec.name in self.ranking.kept)

    def _check_trainable(self):
        s = self.strategy
        tried = [v for v in self.specs if s.trains_all or v.is_head or v.name in self.kept]
        if not any(spec.trainable for spec in tried):
            frozen = ", ".join(f"'{spec.name}'" for spec in tried) or "no layer with weights"
            raise OptionError(
                "model",
                "at least one layer that may be trained",
                f"{frozen}, all frozen" if tried else frozen,
                "Set `trainable = True` on the head or on layers to draw from.",
            )

    def _resolved(self, importance: Importance) -> Strategy:
        asked = self._asked_strategy
        if asked.sharpness != AUTO:
            return asked
        room = [spec for spec in self.specs if spec.name in self.kept and not spec.is_head]
        costs = np.concatenate([np.full(s.channels, self.cost.channel(s)) for s in room] or [[]])
        norms = np.concatenate([importance[spec.name] for spec in room] or [[]])
        drawn = 1 - asked.core  # the core's share of the room is not drawn
        capacity = int(drawn * (self.budget.amount - self.cost.fixed(self.specs, self.kept)))
        strength = strengths(norms, costs, asked.weighting)
        return dataclasses.replace(asked, sharpness=fitting_sharpness(strength, costs, capacity))

    def pool_elements(self) -> int:
        """Weights that the pool must have room for, 0 if nothing is drawn."""
        room = [spec for spec in self.units if spec.name in self.kept]
        fixed = self.cost.fixed(self.specs, self.kept)
        return pool_elements(room, self.cost, self.budget.amount - fixed) if room else 0

    def current_importance(self, running: Importance) -> Importance:
        """What the next draw goes by: the norms seen so far, or what the strategy measures now.

        Algorithm 1's largest norm is in the place of what was not seen: for good, so it is to be
        remembered.
        """
        if self._probe is not None:
            return self._probe()
        if self.strategy.importance != OBSERVED or not running:
            return running
        flat = fill_unseen(np.concatenate(list(running.values())))
        ends = np.cumsum([len(values) for values in running.values()])[:-1]
        return dict(zip(running, np.split(flat, ends), strict=True))

    def plan(self, importance: Importance, draw: int) -> UpdatePlan:
        """Draws; the plan never exceeds the budget.

        Raises:
            BudgetTooSmallError: Not a single channel fits beside what is always trained.
            UnknownLayerError: A layer to draw from does not exist.
        """
        s = self.strategy
        if self._scheme is not None:
            options = {"budget": self.budget, "cost": self.cost, "seed": self.seed}
            return scheme_plan(self.specs, self._scheme, importance, **options)
        try:
            plan = sample_channels(
                self.units,
                importance,
                self.budget,
                kept=self.kept,
                cost=self.cost,
                seed=self.seed,
                draw=draw,
                weighting=s.weighting if s.by_importance else "uniform",
                sharpness=float(s.sharpness),
                core=s.core,
                order="greedy" if s.takes_strongest else "random",
                allow_empty=not s.needs_budget,
            )
        except BudgetTooSmallError as error:
            values = error.argument, error.expected, error.received
            raise BudgetTooSmallError(*values, self._remedy()) from None
        return full_plan(self.specs, self.cost, plan) if s.trains_all else plan

    def _remedy(self) -> str:
        """What helps against a budget that is too small."""
        leaner = "take an optimizer of fewer slots or a smaller device_batch"
        head = self.cost.fixed(self.specs, ())
        if head > self.budget.amount:
            return (
                f"The head alone needs {self.budget.format(head)}: raise the budget, or {leaner}."
            )
        return (
            f"Raise the budget, name fewer `layers`, {leaner}, or train the head alone: "
            'strategy="head".'
        )

    def empty_plan(self, draw: int) -> UpdatePlan:
        """A plan without channels, to be filled with those that a checkpoint holds."""
        fixed = self.cost.fixed(self.specs, self.kept)
        return UpdatePlan(draw, self.seed, self.budget, fixed, 0, ())


def _check_drawable(model: PreparedModel, layers: Sequence[str]):
    named = [name for name in model.frozen_layers if name in layers]
    for name, (reason, remedy) in (model.why_frozen() if named else {}).items():
        if name in named:
            received = f"'{name}', frozen: {reason}"
            raise OptionError("layers", "layers that channels are drawn from", received, remedy)


def calibration_batches(model: PreparedModel, given: Any, count: int) -> Batches:
    """Up to `count` checked batches: of the calibration data given, or of what `fit` runs on.

    Raises:
        OptionError: There are none: `fit` is not running, or on data that are read only once.
        DataError: They cannot be used.
    """
    if given is not None:
        batches: Any = take_batches(given, count)
        batches = itertools.islice(given, count) if batches is None else batches
        fitting = model.fitting
        found = list(weighted(batches, fitting.class_weight if fitting else None))
    else:
        offered = model.fitting.take(count) if model.fitting else None
        if offered is None:
            raise OptionError(
                "calibration",
                "data to measure gradients on",
                "None, and no data from fit that could be read twice",
                "Pass calibration=(x, y), for example a few hundred samples.",
            )
        found = list(offered)
    for batch in found:
        check_batch(model, batch)
    return found


def _weight_norms(layer: ChannelMasked) -> np.ndarray:
    """||W_c|| of each input channel, float64 [channels]."""
    weights = channel_first(read(layer.kernel)).astype(np.float64)
    return np.sqrt(np.square(weights).sum(axis=(1, 2)))


def _singles(batch: Batch) -> Batches:
    def row(index: int) -> Any:
        return keras.tree.map_structure(lambda a: np.asarray(a)[index : index + 1], batch)

    return [row(index) for index in range(len(keras.tree.flatten(batch)[0]))]
