"""The runs of a suite: every case with every strategy, budget, fold and seed.

A run's key is a hash of everything that its result depends on, the recipe included: a changed
recipe is another run, and a finished run is found again wherever it was made.

Example:
    >>> from tf_medyate.bench.plan.suites import get_suite
    >>> runs = grid(get_suite("smoke"), ["medyate", "head"], seeds=range(3))
    >>> print(runs[0], runs[0].key)
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from tf_medyate.bench.plan.budgets import Budget
from tf_medyate.bench.plan.recipe import FineTuneRecipe
from tf_medyate.bench.plan.suites import Case, Suite
from tf_medyate.errors import OptionError
from tf_medyate.select.strategies import Strategy, strategy
from tf_medyate.spec import LayerSpec

FORMAT = 5  # raised whenever `execute`, or a preset, changes what a run means
ZERO_SHOT = "zero-shot"
FIRST_LAYER = "first_layer"
_TRUTH = {"True": True, "False": False}


@dataclasses.dataclass(frozen=True)
class Run:
    """One fine-tuning.

    Attributes:
        network: Name in `tf_medyate.zoo.registry`.
        dataset: Name in `tf_medyate.data.registry`.
        fold: Which fold of the data set.
        seed: Of the head's first weights, of the order of the samples and of the draws.
        strategy: A preset, or "preset:option=value,...".
        budget: None for the strategies that have none ("head", "full").
        recipe: How it is trained.
    """

    network: str
    dataset: str
    fold: int
    seed: int
    strategy: str
    budget: Budget | None
    recipe: FineTuneRecipe

    @functools.cached_property
    def key(self) -> str:
        """16 hexadecimal digits that name this run and no other."""
        return _digest(self.to_dict())

    @property
    def group(self) -> str:
        """Runs of one group can share one traced model: only fold and seed differ."""
        return _digest(self.to_dict() | {"fold": 0, "seed": 0})

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return dataclasses.asdict(self) | {"format": FORMAT}

    def __str__(self) -> str:
        budget = f" at {self.budget}" if self.budget else ""
        return (
            f"{self.strategy}{budget}: {self.network} on {self.dataset} "
            f"(fold {self.fold}, seed {self.seed})"
        )


def _digest(values: dict[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def split_strategies(text: str) -> list[str]:
    """Splits "medyate:sharpness=2,core=0.5,trady" into its two strategies, and checks them.

    Raises:
        OptionError: One of them does not exist, or nothing was named.
    """
    names: list[str] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        if "=" in part and ":" not in part and names:
            names[-1] += f",{part}"
        else:
            names.append(part)
    if not names:
        remedy = "Write, for example, medyate,trady,su."
        raise OptionError("strategies", "names, separated by commas", repr(text), remedy)
    for name in names:
        preset_of(name)
    return list(dict.fromkeys(names))


def parse_strategy(text: str) -> tuple[str, dict[str, Any]]:
    """Splits "medyate:sharpness=2,core=0.5,lr=0.1" into a preset's name and changed options."""
    name, _, rest = text.partition(":")
    options: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        options[key] = _value(value)
    return name, options


def _value(text: str) -> Any:
    if text in _TRUTH:
        return _TRUTH[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def layers_of(text: str, specs: Sequence[LayerSpec]) -> list[str] | None:
    """The layers that a strategy may draw from, of "medyate:first_layer=20" those from the 20th on.

    Args:
        text: A preset, or "preset:option=value,...".
        specs: The net's weighted layers in execution order, counted from 0.

    Returns:
        Their names; None for all.

    Raises:
        OptionError: The net has no such layer before its head.
    """
    first = parse_strategy(text)[1].get(FIRST_LAYER)
    if first is None:
        return None
    names = [spec.name for spec in specs if not spec.is_head]
    if not isinstance(first, int) or not 0 <= first < len(names):
        expected, remedy = f"a number from 0 to {len(names) - 1}", "The head comes after the last."
        raise OptionError(FIRST_LAYER, expected, repr(first), remedy)
    return names[first:]


def preset_of(text: str) -> Strategy:
    """The strategy that "preset:option=value,..." describes, but for its first layer.

    Raises:
        OptionError: There is no such preset or option, or its value is impossible.
    """
    name, options = parse_strategy(text)
    options.pop(FIRST_LAYER, None)
    known = {field.name for field in dataclasses.fields(Strategy)} - {"name", "summary"}
    for option in options:
        if option not in known:
            allowed = ", ".join(sorted({*known, FIRST_LAYER}))
            remedy = "Write, for example, medyate:sharpness=2."
            raise OptionError(f"option of strategy {name!r}", allowed, repr(option), remedy)
    return strategy(name, **options)


def has_budget(text: str) -> bool:
    """False for the strategies that train a fixed part of the net, whatever there is of memory."""
    return preset_of(text).needs_budget


def grid(suite: Suite, strategies: Sequence[str], seeds: Sequence[int]) -> tuple[Run, ...]:
    """Every run of a suite, strategy by strategy: what comes first is complete first.

    Within a strategy runs that can use the same traced model follow each other. A strategy by
    published schemes is run on the nets that have them.

    Args:
        suite: What to run on.
        strategies: How to choose channels, as for `parse_strategy`.
        seeds: Seeds of each run.

    Raises:
        OptionError: An unknown strategy; one by published schemes, and no net has them.
    """
    runs: dict[str, Run] = {}
    for name in strategies:
        cases = suite.cases
        if preset_of(name).takes_scheme:
            cases = tuple(case for case in cases if case.is_published)
            if not cases:
                expected, remedy = "a net that it was published for", "Take su-like for others."
                raise OptionError(f"strategy {name!r}", expected, "none in this suite", remedy)
        for case in cases:
            for run in _of_case(case, name, seeds):
                runs.setdefault(run.key, run)
    return tuple(runs.values())


def _of_case(case: Case, name: str, seeds: Sequence[int]) -> Iterable[Run]:
    recipe = case.recipe
    if case.full_rate and preset_of(name).trains_all:
        recipe = dataclasses.replace(recipe, learning_rate=case.full_rate)
    for budget in case.budgets if has_budget(name) else (None,):
        for fold in case.folds:
            for seed in seeds:
                yield Run(case.network, case.dataset, fold, seed, name, budget, recipe)


def share_of(runs: Sequence[Run], text: str) -> tuple[Run, ...]:
    """One of several equal shares of a grid, for machines that do not see each other.

    Args:
        runs: The whole grid.
        text: "2/3" for the second of three shares; empty for everything.

    Raises:
        OptionError: It is neither.
    """
    if not text:
        return tuple(runs)
    first, _, last = text.partition("/")
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        remedy = "Write 1/2 on one machine and 2/2 on the other."
        raise OptionError("--share", "K/N, K from 1 to N", repr(text), remedy)
    groups = {group: place for place, group in enumerate(dict.fromkeys(r.group for r in runs))}
    return tuple(run for run in runs if groups[run.group] % int(last) == int(first) - 1)
