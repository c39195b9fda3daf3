"""What was published of the papers' own three networks, which are known by their convolutions.

The budgets and schemes are Sparse Update's (arXiv 2206.15472), by whom the other papers go: which
convolutions are trained, and which share of each one's input channels. Velocity (2312.05282)
counts the weights of a scheme, TraDy and MeDyate (2510.19675, 2510.20979) its weights and the
activations these need, at 128 x 128 pixels, all without the head. The papers' three budgets of a
net are its first, third and fifth scheme.

- `weights` of every scheme are printed in Velocity's repository (NEq_configs.yaml): its
  weight-only budgets. `scheme_elements` counts the same for all 15.
- `elements` are counted by `scheme_elements`, but for MobileNetV2's smallest: TraDy gives 27,946
  where we count 28,282. The difference of 336 is just the activations of the three layers of which
  only 7 channels are trained; why they are left out we do not know. The published number is used.

Example:
    >>> from tf_medyate.zoo.inverted import mcunet_in1
    >>> published_net(md.layer_specs(mcunet_in1())).trady_layers
    27
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from tf_medyate.cost import CostModel
from tf_medyate.spec import LayerDraw, LayerSpec, MemoryBudget, UpdatePlan


@dataclasses.dataclass(frozen=True)
class Scheme:
    """One of Sparse Update's published update schemes.

    Attributes:
        layers: Numbers of its convolutions, counted from 0 in execution order.
        shares: Share of each one's input channels that is trained; of 0 the bias alone.
        weights: Their weights as Velocity's repository prints them: its weight-only budget.
        elements: Weights and activations: the budget of TraDy and MeDyate.
    """

    layers: tuple[int, ...]
    shares: tuple[float, ...]
    weights: int
    elements: int

    def channels(self, specs: Sequence[LayerSpec]) -> dict[str, int]:
        """How many input channels of each layer are trained, int(channels * share), by name."""
        chosen = zip(self.layers, self.shares, strict=True)
        counts = {specs[n].name: int(specs[n].channels * share) for n, share in chosen}
        return {name: count for name, count in counts.items() if count}


@dataclasses.dataclass(frozen=True)
class PublishedNet:
    """One of the papers' nets.

    Attributes:
        name: Its name in `tf_medyate.zoo.registry`.
        convolutions: How many there are before the 1x1 one that some variants have for a last.
        structure: Of these, what `structure_of` gives.
        trady_layers: Layers that TraDy keeps, whatever the budget: those that make 97 % of its
            score on CIFAR-10.
        schemes: Sparse Update's, from the smallest.
    """

    name: str
    convolutions: int
    structure: str
    trady_layers: int
    schemes: tuple[Scheme, ...]


def structure_of(specs: Sequence[LayerSpec]) -> str:
    """16 hexadecimal digits that say which layers these are, whatever their names and maps."""
    layers = [(s.kind, *s.kernel_size, s.channels, s.outputs) for s in specs]
    return hashlib.sha256(repr(layers).encode()).hexdigest()[:16]


def published_net(specs: Sequence[LayerSpec]) -> PublishedNet | None:
    """The paper's net that a model is, with or without a 1x1 convolution before its head."""
    for net in PUBLISHED.values():
        beside = len(specs) - net.convolutions
        if beside in (1, 2) and structure_of(specs[: net.convolutions]) == net.structure:
            return net
    return None


def scheme_elements(specs: Sequence[LayerSpec], scheme: Scheme) -> tuple[int, int]:
    """Counts a scheme: (weights, activations) of the channels that it trains, in elements.

    Args:
        specs: The net's weighted layers at 128 x 128 pixels, in execution order.
        scheme: Which of them, and how much of each.
    """
    counts = scheme.channels(specs)
    trained = [spec for spec in specs if spec.name in counts]
    weights = sum(counts[spec.name] * spec.weights_per_channel for spec in trained)
    return weights, sum(counts[spec.name] * spec.activation_elements for spec in trained)


def scheme_plan(
    specs: Sequence[LayerSpec],
    scheme: Scheme,
    norms: Mapping[str, np.ndarray],
    budget: MemoryBudget,
    cost: CostModel,
    seed: int = 0,
) -> UpdatePlan:
    """What a scheme trains for good: of each of its layers the channels of largest weight norm.

    Where the budget is too small by our count (of MobileNetV2's first scheme by 336 elements) the
    last layers' least channels are left out.

    Args:
        specs: The net's layers.
        scheme: The scheme.
        norms: ||W_c|| of each input channel, float [channels], by layer name.
        budget: What must not be exceeded.
        cost: Cost model in the budget's unit.
        seed: Noted in the plan.
    """
    counts = scheme.channels(specs)
    fixed = cost.fixed(specs, tuple(counts))
    draws, used = [], 0
    for spec in (spec for spec in specs if spec.name in counts):
        fitting = (budget.amount - fixed - used) // cost.channel(spec)
        strongest = np.argsort(-np.asarray(norms[spec.name]), kind="stable")
        chosen = np.sort(strongest[: min(counts[spec.name], fitting)])
        if chosen.size:
            draws.append(LayerDraw(spec.name, tuple(int(c) for c in chosen)))
            used += chosen.size * cost.channel(spec)
    return UpdatePlan(0, seed, budget, fixed, used, tuple(draws))


_MOBILENET_V2 = (
    Scheme(
        (36, 39, 40, 41, 42, 45, 48, 49),
        (1, 1, 0, 0.25, 0.125, 0.125, 0.125, 0.125),
        weights=22_410,
        elements=27_946,
    ),
    Scheme(
        (32, 33, 36, 39, 41, 42, 45, 48),
        (0.125, 0.5, 0.5, 1, 0.25, 0.125, 0.125, 1),
        weights=39_072,
        elements=46_208,
    ),
    Scheme(
        (27, 30, 33, 36, 39, 42, 45, 48),
        (1, 1, 1, 1, 1, 0.125, 0.5, 1),
        weights=55_920,
        elements=66_592,
    ),
    Scheme(
        (27, 30, 33, 36, 39, 42, 45, 48),
        (1, 1, 1, 1, 1, 0.5, 1, 1),
        weights=72_384,
        elements=83_840,
    ),
    Scheme(
        (27, 30, 33, 36, 39, 42, 45, 48),
        (1, 1, 1, 1, 1, 1, 1, 1),
        weights=81_792,
        elements=93_696,
    ),
)
_MCUNET = (
    Scheme(
        (23, 24, 27, 30, 33, 39),
        (0, 0.25, 0.5, 0.5, 0, 0),
        weights=12_096,
        elements=15_936,
    ),
    Scheme(
        (21, 23, 24, 26, 27, 30),
        (1, 0, 1, 0, 0.5, 1),
        weights=29_440,
        elements=39_680,
    ),
    Scheme(
        (21, 24, 27, 30, 36, 39),
        (1, 1, 1, 1, 0.125, 0.25),
        weights=52_480,
        elements=64_832,
    ),
    Scheme(
        (21, 24, 27, 30, 33, 39),
        (0.25, 1, 1, 1, 0.5, 0.5),
        weights=75_328,
        elements=86_720,
    ),
    Scheme(
        (21, 24, 27, 30, 36, 39),
        (1, 1, 1, 1, 1, 0.5),
        weights=98_560,
        elements=112_640,
    ),
)
_PROXYLESS = (
    Scheme(
        (39, 42, 44, 45, 50, 51, 54, 57),
        (0.25, 1, 0, 1, 0, 0.125, 0.25, 0.25),
        weights=20_736,
        elements=25_984,
    ),
    Scheme(
        (33, 36, 39, 42, 45, 51, 54, 57),
        (0.5, 0.25, 1, 1, 1, 0.5, 0.25, 0.5),
        weights=36_288,
        elements=44_992,
    ),
    Scheme(
        (36, 39, 42, 45, 48, 51, 54, 57),
        (1, 0.5, 1, 1, 0.25, 0.5, 1, 1),
        weights=62_976,
        elements=72_960,
    ),
    Scheme(
        (36, 39, 42, 45, 48, 51, 54, 57),
        (1, 1, 1, 1, 0.5, 1, 1, 1),
        weights=76_800,
        elements=88_576,
    ),
    Scheme(
        (36, 39, 42, 45, 48, 51, 54, 57),
        (1, 1, 1, 1, 1, 1, 1, 1),
        weights=89_088,
        elements=101_376,
    ),
)
_NETS = (
    PublishedNet("mobilenet_v2_035", 51, "43408f5f34eb5821", 35, _MOBILENET_V2),
    PublishedNet("mcunet_in1", 42, "ce40d5b240af2180", 27, _MCUNET),
    PublishedNet("proxyless_w03", 60, "074ef813e84717b1", 43, _PROXYLESS),
)
PUBLISHED: Mapping[str, PublishedNet] = {net.name: net for net in _NETS}
