"""Which cases a bench runs: a part of a suite, or any registered nets on any registered data.

Example:
    >>> suite = choose("tiny", networks=["ds_cnn"])
    >>> suite = choose("own", networks=["resnet8"], datasets=["digits"])
    >>> suite = changed(suite, recipe="epochs=20,learning_rate=0.05", budgets="5%,64KiB")
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from tf_medyate.bench.plan.budgets import Budget
from tf_medyate.bench.plan.grid import parse_strategy, preset_of
from tf_medyate.bench.plan.recipe import FineTuneRecipe
from tf_medyate.bench.plan.suites import OWN, PEERS, Case, Suite, get_suite
from tf_medyate.errors import OptionError

_MOST_FOLDS = 5
_SHARES = (0.05, 0.15)


def choose(suite: str, networks: Sequence[str] = (), datasets: Sequence[str] = ()) -> Suite:
    """A suite, or the part of it that has these nets and data sets.

    Args:
        suite: Its name; "own" for every pair of `networks` and `datasets`.
        networks: Names; none for all of the suite's.
        datasets: Likewise.

    Raises:
        OptionError: There is no such suite, or it has no such net or data set.
    """
    if suite == OWN:
        return _own(networks, datasets)
    whole = get_suite(suite)
    cases = whole.cases
    for kind, wanted in (("network", networks), ("dataset", datasets)):
        known = list(dict.fromkeys(getattr(case, kind) for case in whole.cases))
        for name in wanted:
            if name not in known:
                remedy = f"Choose some of these, or add --suite {OWN} for any registered one."
                expected = f"names out of suite {suite}: {', '.join(known)}"
                raise OptionError(f"--{kind}s", expected, repr(name), remedy)
        if wanted:
            cases = tuple(case for case in cases if getattr(case, kind) in wanted)
    if not cases:
        remedy = f"Leave one of the two flags out, or add --suite {OWN} for any pair."
        expected = "a net and a data set that the suite has together"
        raise OptionError("--networks and --datasets", expected, "none", remedy)
    strategies = whole.strategies
    if not any(case.is_published for case in cases):
        strategies = tuple(name for name in strategies if not preset_of(name).takes_scheme)
    return dataclasses.replace(whole, cases=cases, strategies=strategies)


def _own(networks: Sequence[str], datasets: Sequence[str]) -> Suite:
    """Every one of these nets on every one of these data sets."""
    from tf_medyate.data.registry import DATASETS, get_dataset  # Keras: only if it is needed
    from tf_medyate.zoo.registry import NETWORKS, get_network

    for flag, wanted, known in (("--networks", networks, NETWORKS),
                                ("--datasets", datasets, DATASETS)):  # fmt: skip
        if not wanted:
            remedy = "Name at least one; docs/extending.md says how to add your own."
            expected = f"names out of {', '.join(known)}"
            raise OptionError(flag, expected, "none", remedy)
    nets, data = [get_network(n) for n in networks], [get_dataset(n) for n in datasets]
    budgets = tuple(map(Budget.share, _SHARES))
    cases = tuple(
        Case(
            net.name,
            one.name,
            tuple(range(min(one.folds, _MOST_FOLDS))),
            budgets,
            _recipe(net.pretrained is not None),
        )
        for net in nets
        for one in data
    )
    packages = tuple(dict.fromkeys(one.needs for one in data))
    summary = f"{', '.join(networks)} on {', '.join(datasets)}"
    return Suite(OWN, summary, cases, PEERS, packages=packages)


def _recipe(trained: bool) -> FineTuneRecipe:
    """Suite tiny's, on all samples; a net without weights learns from the source data first."""
    first = 0 if trained else 5
    return FineTuneRecipe(
        9, 16, 0.02, warmup=1, published=trained, pretrain_epochs=first, renormalize=256
    )


def changed(suite: Suite, recipe: str = "", budgets: str = "", folds: int = 0) -> Suite:
    """A suite with other recipes or budgets, or fewer folds.

    Args:
        suite: The suite.
        recipe: Changes of every case's recipe, such as "epochs=20,learning_rate=0.05".
        budgets: Budgets of every case, such as "5%,64KiB"; empty for the suite's own.
        folds: At most so many folds of every case, from the first; 0 for all.

    Raises:
        OptionError: A recipe has no such part, or a value is impossible.
    """
    if folds < 0:
        raise OptionError("--folds", "at least 1, or 0 for all", repr(folds), "Leave it out.")
    parts = parse_strategy(f":{recipe}")[1]
    known = [field.name for field in dataclasses.fields(FineTuneRecipe)]
    for name in parts:
        if name not in known:
            remedy = "Write, for example, epochs=20,learning_rate=0.05."
            raise OptionError("--recipe", f"parts out of {', '.join(known)}", repr(name), remedy)
    levels = tuple(map(Budget.parse, filter(None, (part.strip() for part in budgets.split(",")))))
    cases = tuple(
        dataclasses.replace(
            case,
            folds=case.folds[: folds or None],
            recipe=dataclasses.replace(case.recipe, **parts),
            budgets=levels or case.budgets,
        )
        for case in suite.cases
    )
    return dataclasses.replace(suite, cases=cases)


def seeds_of(text: str, suite: Suite) -> tuple[int, ...]:
    """The seeds that a flag names.

    Args:
        text: "3" for the suite's first three, and on from there; "100,101" for these, "100," for
            this one; empty for the suite's own.
        suite: Whose.

    Raises:
        OptionError: It is neither.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts) or text.strip() == "0":
        remedy = 'Write 3 for three runs of each kind, "0," or "100,101" for these seeds.'
        raise OptionError("--seeds", "a number of at least 1, or several seeds", repr(text), remedy)
    if "," in text or not parts:
        return tuple(dict.fromkeys(map(int, parts))) or suite.seeds
    more = itertools.count(max(suite.seeds) + 1)
    return tuple(itertools.islice(itertools.chain(suite.seeds, more), int(parts[0])))
