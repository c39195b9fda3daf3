"""Which layers are worth their memory: measurements and costs in, a LayerRanking out.

    ranking        score of layer i, C_W + C_A being the cost of one input channel
    lara           ||dW_i|| / sum over channels of (C_W + C_A)      MeDyate (2510.20979), Eq. 9
    rgn            sum over channels of ||dW_c|| / (C_W + C_A)      TraDy (2510.19675); Eq. 8 there
    lara-squared   ||dW_i||^2 / sum over channels of (C_W + C_A)    ours: decrease of the loss
    fisher         sum over channels of fisher_c / sum of (C_W + C_A)    TinyTrain (2307.09988)
    last_k         from the output backwards

Norms are means over the batches or steps that were measured. TraDy divides by the cost of *one*
channel. TinyTrain's two resource terms are replaced by our cost.

How many of the layers are kept is `top_k`: see `rank_layers`.

Example:
    >>> gradients = measure_gradients(model, (x[:256], y[:256]))
    >>> print(rank_layers(md.layer_specs(model), gradients, "lara", "alpha", budget="8KiB"))
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tf_medyate.cost import CostModel
from tf_medyate.errors import OptionError
from tf_medyate.prepared.folding import layer_specs
from tf_medyate.select.gradients import ChannelGradients, LayerGradient, measure_gradients
from tf_medyate.select.published import published_net
from tf_medyate.select.strategies import ALPHA, FIXED, RANKINGS, check_alpha, check_top_k
from tf_medyate.spec import ELEMENTS, LayerRanking, LayerSpec, MemoryBudget

FIXED_SHARE = 0.97
"""What TraDy's layers cover of the score; its numbers for the papers' nets come from it."""


def rank_layers(
    specs: Sequence[LayerSpec] | keras.Model,
    gradients: ChannelGradients | Mapping[str, LayerGradient] | Any,
    method: str = "lara",
    top_k: float | int | str = 0.97,
    cost: CostModel | None = None,
    *,
    budget: int | str | MemoryBudget | None = None,
    alpha: float = 0.2,
    steps: int | None = None,
) -> LayerRanking:
    """Orders the layers by importance per memory and keeps the best.

    Args:
        specs: The model's layers; heads and layers frozen by the user are not ranked. Or, with
            `steps`, the prepared and compiled model itself.
        gradients: From `measure_gradients` or a ranking file; None is enough for `last_k`. Or, with
            `steps`, data to measure them on.
        method: One of RANKINGS; see this module.
        top_k: How many layers are kept, from the top. "alpha": the fewest, K, for which a draw of
            the budget can hold no more than the share `alpha` of their channels, alpha_K = B / M_K
            <= alpha (MeDyate, Eq. 10); all of them if the budget is too large for that. M_K is
            the cost of all channels of the K layers, B the room for channels: the budget
            without what is always trained, as far as it is counted (in bytes the head, and the
            K layers' biases if they are trained; slots and the batch are in both). A float up
            to 1: until they cover this share of the total score. A number: so many. "fixed":
            TraDy's number for the papers' nets, whatever the budget; 0.97 for others.
        cost: Cost model; elements by default, or the budget's unit.
        budget: What "alpha" goes by, in the unit of `cost`.
        alpha: The share of "alpha".
        steps: Steps of a mock fine-tuning to measure gradients in, see `measure_gradients`.

    Raises:
        OptionError: Unknown method, `top_k` out of range, no budget or gradients where needed.
    """
    if method not in RANKINGS:
        raise OptionError("ranking", " | ".join(RANKINGS), repr(method), "Choose one of these.")
    if steps is not None:
        model: Any = specs
        specs, gradients = layer_specs(model), measure_gradients(model, gradients, steps=steps)
    if isinstance(gradients, ChannelGradients):
        gradients = gradients.layers()
    check_top_k(top_k)
    check_alpha(alpha)
    room = None if budget is None else MemoryBudget.parse(budget)
    cost = cost or CostModel(unit=room.unit if room else ELEMENTS)
    candidates = [spec for spec in specs if spec.trainable and not spec.is_head]
    scores = {spec.name: _score(spec, gradients, method, cost) for spec in candidates}
    order = sorted(candidates, key=lambda spec: (-scores[spec.name], -spec.index))
    if top_k == ALPHA:
        kept, reason = _within_alpha(specs, order, cost, room, alpha)
    else:
        kept, reason = _kept(specs, [scores[spec.name] for spec in order], top_k)
    names = tuple(spec.name for spec in order)
    return LayerRanking(
        method, names, tuple(scores[name] for name in names), names[:kept], reason
    )  # fmt: skip


def _score(
    spec: LayerSpec, gradients: Mapping[str, LayerGradient] | None, method: str, cost: CostModel
) -> float:
    if method == "last_k":
        return 1.0
    if gradients is None:
        raise OptionError(
            "gradients",
            f"measurements for ranking '{method}'",
            "None",
            'Call measure_gradients(model, data), or rank by "last_k".',
        )
    found, channel = gradients[spec.name], cost.channel(spec)
    if method == "rgn":
        return found.channel_norms / channel
    measured = {"lara": found.norm, "lara-squared": found.squared_norm, "fisher": found.fisher}
    if math.isnan(measured[method]):
        remedy = "Measure it with measure_gradients, in batches of one sample."
        raise OptionError("gradients", f"measurements for '{method}'", "none", remedy)
    return measured[method] / (spec.channels * channel)


def _within_alpha(
    specs: Sequence[LayerSpec],
    order: Sequence[LayerSpec],
    cost: CostModel,
    budget: MemoryBudget | None,
    alpha: float,
) -> tuple[int, str]:
    """(K, why) of Eq. 10; all layers if none satisfies it."""
    if budget is None or budget.unit != cost.unit:
        raise OptionError(
            "budget",
            f'a budget in {cost.unit} for top_k="{ALPHA}"',
            "None" if budget is None else str(budget),
            "Pass budget=, in the unit of cost=; or choose a number of layers.",
        )
    memory, share = 0, math.inf
    for count, spec in enumerate(order, start=1):
        memory += spec.channels * cost.channel(spec)
        kept = [one.name for one in order[:count]]
        share, before = (budget.amount - cost.fixed(specs, kept)) / memory, share
        if share <= alpha:
            above = f" < alpha_{count - 1} = {before:.3g}" if count > 1 else ""
            return count, f"alpha_{count} = {share:.3g} <= {alpha:g}{above}"
    return len(order), f"all: alpha_{len(order)} = {share:.3g} > {alpha:g}"


def _kept(
    specs: Sequence[LayerSpec], scores: Sequence[float], top_k: float | int | str
) -> tuple[int, str]:
    if top_k == FIXED:
        known = published_net(specs)
        if known is not None:
            return min(known.trady_layers, len(scores)), f"TraDy's number for {known.name}"
        top_k = FIXED_SHARE
    if isinstance(top_k, int):
        return min(top_k, len(scores)), "the number asked for"
    share, total = float(top_k), sum(scores)
    if total <= 0 or share == 1.0:
        return len(scores), "all of them"
    covered = np.cumsum(scores) / total
    return int(np.searchsorted(covered, share - 1e-12)) + 1, f"{share:.4g} of the score"
