"""What one channel, one layer and one update cost, in bytes, in elements or in weights.

The elements of an input channel are those of MeDyate (arXiv 2510.20979, Eq. 4): C_W + C_A, its
weights and the activation that its weight gradient needs, one sample's map without padding.
As in the papers, the classifier and all biases are left out: they are trained beside the budget.
Velocity (2312.05282) counts weights alone, likewise without the classifier.

The bytes are what the training graph's pool holds. They leave nothing out, head and biases are
counted like everything else:

    itemsize * (weights * (1 + accumulate + optimizer_slots) + activations * device_batch)

The 1 is the weight itself, of which the pool has the live value.

Example:
    >>> cost = CostModel(optimizer_slots=1)          # SGD with momentum, in bytes
    >>> cost.channel(specs[0])                       # bytes that one drawn channel occupies
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any

from tf_medyate.errors import OptionError
from tf_medyate.spec import BYTES, ELEMENTS, FLOAT_BYTES, WEIGHTS, LayerSpec


def check_count(argument: str, value: Any, least: int = 1):
    """Raises OptionError unless it is a whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        expected = f"a whole number of at least {least}"
        raise OptionError(argument, expected, repr(value), "Correct the count.")


@dataclasses.dataclass(frozen=True)
class CostModel:
    """Turns layer specs into costs.

    Attributes:
        unit: "bytes", or for the papers' counts "elements" or "weights".
        optimizer_slots: Values that the optimizer keeps for each weight: 0 for plain SGD,
            1 with momentum, 2 for Adam.
        accumulate: A gradient accumulator is kept for each weight.
        device_batch: Samples whose activations are stored at once on the device.
        train_bias: The biases of kept layers are trained, and so counted.

    Raises:
        OptionError: A count is negative, or the unit is unknown.
    """

    unit: str = BYTES
    optimizer_slots: int = 0
    accumulate: bool = False
    device_batch: int = 1
    train_bias: bool = True

    def __post_init__(self):
        units = (BYTES, ELEMENTS, WEIGHTS)
        if self.unit not in units:
            raise OptionError("unit", f"one of {units}", repr(self.unit), "Choose one of these.")
        for name, least in (("optimizer_slots", 0), ("device_batch", 1)):
            check_count(name, getattr(self, name), least)

    def _cost(self, weights: int, activations: int) -> int:
        if self.unit == WEIGHTS:
            return weights
        if self.unit == ELEMENTS:
            return weights + activations
        copies = 1 + int(self.accumulate) + self.optimizer_slots
        return FLOAT_BYTES * (weights * copies + activations * self.device_batch)

    def channel(self, spec: LayerSpec) -> int:
        """Cost of training one input channel of a layer: C_W + C_A in elements."""
        return self._cost(spec.weights_per_channel, spec.activation_elements)

    def bias(self, spec: LayerSpec) -> int:
        """Cost of training a layer's bias, which needs no stored activation; 0 but in bytes."""
        return self._cost(spec.bias_elements, 0) if self.unit == BYTES else 0

    def layer(self, spec: LayerSpec) -> int:
        """Cost of training all channels and the bias of a layer."""
        return spec.channels * self.channel(spec) + self.bias(spec)

    def fixed(self, specs: Iterable[LayerSpec], kept: Collection[str]) -> int:
        """Cost of what every draw trains: the heads, and the kept layers' biases if trained.

        0 but in bytes: the papers count neither.
        """
        if self.unit != BYTES:
            return 0
        total = 0
        for spec in specs:
            if spec.is_head:
                total += self.layer(spec)
            elif spec.name in kept and self.train_bias:
                total += self.bias(spec)
        return total

    def full(self, specs: Iterable[LayerSpec]) -> int:
        """Cost of fine-tuning every channel and bias; in elements and weights without the heads."""
        return sum(self.layer(s) for s in specs if self.unit == BYTES or not s.is_head)
