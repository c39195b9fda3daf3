"""Budgets of the bench: shares of full fine-tuning, and those that the papers set.

The papers take their budgets from Sparse Update (arXiv 2206.15472), whose authors published
update schemes: which convolutions are trained, and which share of each one's input channels.
Velocity (2312.05282) counts the weights of a scheme, TraDy and MeDyate (2510.19675, 2510.20979)
its weights and the activations these need, at 128 x 128 pixels, both without the head. The papers'
three budgets of a net are its first, third and fifth scheme.

- `weights` of every scheme are printed in Velocity's repository (NEq_configs.yaml): its
  weight-only budgets. `scheme_elements` counts the same for all 15.
- `elements` are counted by `scheme_elements`, but for MobileNetV2's smallest: TraDy gives 27,946
  where we count 28,282. The difference of 336 is just the activations of the three layers of which
  only 7 channels are trained; why they are left out we do not know. The published number is used.

Example:
    >>> Budget.share(0.1).resolve(specs)
    MemoryBudget(amount=..., unit='bytes')
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from tf_medyate.cost import CostModel
from tf_medyate.errors import OptionError
from tf_medyate.spec import BYTES, ELEMENTS, WEIGHTS, LayerSpec, MemoryBudget

SHARE = "share"
SCHEME_PIXELS = 128


@dataclasses.dataclass(frozen=True)
class Budget:
    """A budget as a suite states it, before the net is known.

    Attributes:
        level: What it is called in tables; results of one level are compared with each other.
        amount: Bytes, elements, weights, or a share of full fine-tuning's bytes (0 to 1).
        unit: "bytes", "elements", "weights" or "share".
    """

    level: str
    amount: float
    unit: str

    def __post_init__(self):
        if self.unit not in (BYTES, ELEMENTS, WEIGHTS, SHARE) or not 0 < self.amount < math.inf:
            raise OptionError(
                "budget",
                'a positive amount of "bytes", "elements" or "weights", or a "share" of full',
                f"{self.amount} {self.unit}",
                "Write, for example, Budget.share(0.1).",
            )

    @classmethod
    def share(cls, share: float) -> Budget:
        """A share of what full fine-tuning takes in bytes, head and biases included."""
        return cls(f"{100 * share:g}%", share, SHARE)

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Reads "5%", a share of full fine-tuning, or whatever `MemoryBudget.parse` reads.

        Raises:
            BudgetError, OptionError: It is neither, or not positive.
        """
        if not text.endswith("%"):
            budget = MemoryBudget.parse(text)
            return cls(text, budget.amount, budget.unit)
        try:
            percent = float(text[:-1])
        except ValueError:
            remedy = 'Write, for example, "5%" or "64KiB".'
            raise OptionError("budget", "a number before the %", repr(text), remedy) from None
        return cls.share(percent / 100)

    def resolve(self, specs: Sequence[LayerSpec]) -> MemoryBudget:
        """The budget in bytes, elements or weights for a net.

        Args:
            specs: The net's weighted layers.
        """
        unit = BYTES if self.unit == SHARE else self.unit
        cost = CostModel(unit)
        amount = self.amount * cost.full(specs) if self.unit == SHARE else self.amount
        return MemoryBudget(int(amount), unit)

    def __str__(self) -> str:
        if self.unit == SHARE:
            return f"{100 * self.amount:g}% of full"
        return f"{self.amount:,.0f} {self.unit}"


@dataclasses.dataclass(frozen=True)
class Scheme:
    """One of Sparse Update's published update schemes.

    Attributes:
        layers: Numbers of its convolutions, counted from 0 in execution order.
        shares: Share of each one's input channels that is trained.
        weights: Their weights as Velocity's repository prints them: its weight-only budget.
        elements: Weights and activations: the budget of TraDy and MeDyate.
    """

    layers: tuple[int, ...]
    shares: tuple[float, ...]
    weights: int
    elements: int


def scheme_elements(specs: Sequence[LayerSpec], scheme: Scheme) -> tuple[int, int]:
    """Counts a scheme: (weights, activations) of the channels that it trains, in elements.

    Args:
        specs: The net's weighted layers at `SCHEME_PIXELS` pixels, in execution order.
        scheme: Which of them, and how much of each.
    """
    weights = activations = 0
    for number, share in zip(scheme.layers, scheme.shares, strict=True):
        channels = int(specs[number].channels * share)
        weights += channels * specs[number].weights_per_channel
        activations += channels * specs[number].activation_elements
    return weights, activations


SCHEMES: dict[str, tuple[Scheme, ...]] = {
    "mobilenet_v2_035": (
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
    ),
    "mcunet_in1": (
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
    ),
    "proxyless_w03": (
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
    ),
}
