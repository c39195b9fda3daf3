"""The immutable values that one stage hands to the next.

    MemoryBudget -> how much may be used
    LayerSpec    -> one weighted layer of the folded model, as the device sees it
    LayerRanking -> the layers in order of importance, and which are kept
    UpdatePlan   -> the channels to train until the next draw

Every one of them prints itself.

Example:
    >>> print(MemoryBudget.parse("8KiB"))
    8 KiB (8,192 bytes)
"""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np

from tf_medyate import notebook
from tf_medyate.errors import BudgetError

BYTES = "bytes"
ELEMENTS = "elements"
WEIGHTS = "weights"
KIB = 1024
FLOAT_BYTES = 4

MEAN, LAST, RUNNING = "mean", "last", "running"
REFRESHES = (MEAN, LAST, RUNNING)
"""How the norms of a channel's gradients, one for each step, become its importance.

"mean" over the steps since the draw; that of the "last" step; or a "running" mean that goes on
from what the channel had before the draw.
"""
RUNNING_RATE = 0.1
"""Weight of the newest step in a running mean: about the last ten steps count, less than one epoch
of the data sets that fit a device."""
FLASH_PAGE_BYTES = 4096
"""What one erase of a board's flash erases; exported weights begin and end at such pages."""

_UNITS = {
    "b": (1, BYTES),
    "byte": (1, BYTES),
    "bytes": (1, BYTES),
    "kb": (1000, BYTES),
    "mb": (1000**2, BYTES),
    "kib": (KIB, BYTES),
    "mib": (KIB**2, BYTES),
    "element": (1, ELEMENTS),
    "elements": (1, ELEMENTS),
    "weight": (1, WEIGHTS),
    "weights": (1, WEIGHTS),
}


def format_bytes(count: float) -> str:
    """Renders a byte count with thousands separators, in KiB once it is large enough."""
    if count < KIB:
        return f"{count:,.0f} bytes"
    return f"{count / KIB:,.1f} KiB".replace(".0 KiB", " KiB")


@dataclasses.dataclass(frozen=True)
class MemoryBudget:
    """An upper bound on the memory of one update, in bytes, in elements or in weights.

    Elements (weights plus stored activations) are the unit of TraDy and MeDyate, weights alone
    that of Velocity, both without head and biases and for comparison only; bytes count
    everything, the optimizer's slots, gradient accumulators and the batch, too.

    Attributes:
        amount: Positive whole number of `unit`.
        unit: "bytes", "elements" or "weights".

    Raises:
        BudgetError: `amount` is not a positive whole number, or `unit` is unknown.
    """

    amount: int
    unit: str = BYTES

    def __post_init__(self):
        whole = isinstance(self.amount, (int, np.integer)) and not isinstance(self.amount, bool)
        if not whole or self.amount <= 0:
            raise BudgetError(
                "budget",
                "a positive whole number of bytes or elements",
                repr(self.amount),
                'Write, for example, "64KiB", "27946 elements" or 65536.',
            )
        if self.unit not in (BYTES, ELEMENTS, WEIGHTS):
            raise BudgetError(
                "budget",
                '"bytes", "elements" or "weights" as unit',
                repr(self.unit),
                'Write, for example, MemoryBudget(27946, "elements").',
            )
        object.__setattr__(self, "amount", int(self.amount))

    @classmethod
    def parse(cls, value: int | str | MemoryBudget) -> MemoryBudget:
        """Reads "64KiB", "100kB", "27946 elements", a whole number of bytes, or a budget.

        Args:
            value: The budget. Units are case-insensitive; KiB is 1024 bytes, kB is 1000.

        Returns:
            The budget; fractions such as "1.5KiB" are rounded down to whole bytes.

        Raises:
            BudgetError: The text has no number, an unknown unit, or is not positive.
        """
        if isinstance(value, MemoryBudget):
            return value
        if not isinstance(value, str):
            return cls(value)
        match = re.fullmatch(r"\s*([-+]?[\d_,]*\.?\d+)\s*([A-Za-z]*)\s*", value)
        unit = _UNITS.get(match.group(2).lower() or "bytes") if match else None
        if match is None or unit is None:
            raise BudgetError(
                "budget",
                "a number followed by B, kB, KiB, MB, MiB, elements or weights",
                repr(value),
                'Write, for example, "64KiB" or "27946 elements".',
            )
        number = float(match.group(1).replace(",", "").replace("_", ""))
        return cls(math.floor(number * unit[0]), unit[1])

    def format(self, amount: float) -> str:
        """Renders an amount in this budget's unit."""
        return format_bytes(amount) if self.unit == BYTES else f"{amount:,.0f} {self.unit}"

    def __str__(self) -> str:
        if self.unit != BYTES or self.amount < KIB:
            return f"{self.amount:,} {self.unit}"
        return f"{format_bytes(self.amount)} ({self.amount:,} bytes)"


@dataclasses.dataclass(frozen=True)
class LayerSpec:
    """One weighted layer of a folded model, described by what its channels cost.

    Attributes:
        name: Name of the layer in the prepared model.
        kind: "conv2d", "conv1d", "depthwise_conv2d", "conv2d_transpose", "conv1d_transpose",
            "dense" or "recurrent".
        index: Position among the weighted layers in execution order, from 0 at the input.
        channels: Input channels: the units that are drawn; of a recurrent kernel, hidden units.
        outputs: Output channels (depthwise: channels * multiplier), units or recurrent columns.
        weights_per_channel: Weights that read one input channel.
        activation_elements: Elements of one input channel's activation, for one sample.
        bias_elements: Elements of the bias, 0 without one.
        macs: Multiply-accumulates of the layer's forward pass, for one sample.
        kernel_size: Spatial extent of the kernel, () for dense layers.
        inputs: Names of the weighted layers that feed this one directly.
        is_head: No weighted layer comes after it: it is always trained.
        trainable: The user left the layer trainable, so it may be kept.
    """

    name: str
    kind: str
    index: int
    channels: int
    outputs: int
    weights_per_channel: int
    activation_elements: int
    bias_elements: int
    macs: int
    kernel_size: tuple[int, ...] = ()
    inputs: tuple[str, ...] = ()
    is_head: bool = False
    trainable: bool = True

    def by_neurons(self) -> LayerSpec:
        """Output neurons in the place of input channels: no activation is theirs alone."""
        each = self.weight_elements // self.outputs
        return dataclasses.replace(
            self,
            channels=self.outputs,
            outputs=self.channels,
            weights_per_channel=each,
            activation_elements=0,
        )

    @property
    def weight_elements(self) -> int:
        """Weights of the whole kernel."""
        return self.channels * self.weights_per_channel

    def __str__(self) -> str:
        kernel = "x".join(str(side) for side in self.kernel_size)
        return (
            f"{self.index:3d} {self.name:<28} {self.kind:<17} {kernel:>4} "
            f"{self.channels:5d} ch x ({self.weights_per_channel:6d} weights "
            f"+ {self.activation_elements:6d} activations){' head' if self.is_head else ''}"
        )


@dataclasses.dataclass(frozen=True, repr=False)
class LayerRanking:
    """Layers in falling order of importance, and those of them that are kept.

    Attributes:
        method: Name of the ranking that made it.
        order: Layer names, most important first; heads are not ranked.
        scores: One finite score per name in `order`, falling.
        kept: The names that may be drawn from, in `order`'s order.
        reason: Why so many are kept.
    """

    method: str
    order: tuple[str, ...]
    scores: tuple[float, ...]
    kept: tuple[str, ...]
    reason: str = ""

    @property
    def covered(self) -> float:
        """Share of the total score that the kept layers hold, 0 to 1."""
        total = sum(self.scores)
        kept = sum(s for n, s in zip(self.order, self.scores, strict=True) if n in self.kept)
        return kept / total if total > 0 else 1.0

    @property
    def _title(self) -> str:
        return (
            f"{self.method} ranking: {len(self.kept)} of {len(self.order)} layers kept, "
            f"{self.covered:.1%} of the score{f' ({self.reason})' if self.reason else ''}"
        )

    def __repr__(self) -> str:
        return f"<LayerRanking {self._title}>"

    def _repr_html_(self) -> str:
        total = sum(self.scores)
        rows = [
            (name, f"{score:.3g}", f"{score / total:.1%}" if total > 0 else "-",
             "kept" if name in self.kept else "")
            for name, score in zip(self.order, self.scores, strict=True)
        ]  # fmt: skip
        return notebook.table(self._title, ("layer", "score", "share", ""), rows)

    def __str__(self) -> str:
        lines = [self._title]
        for place, (name, score) in enumerate(zip(self.order, self.scores, strict=True), start=1):
            mark = "*" if name in self.kept else " "
            lines.append(f"{mark}{place:3d} {score:12.4e}  {name}")
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class LayerDraw:
    """The channels of one layer that are trained until the next draw, in rising order."""

    layer: str
    channels: tuple[int, ...]


@dataclasses.dataclass(frozen=True, repr=False)
class UpdatePlan:
    """What is trained until the next draw, and what it costs.

    Attributes:
        draw: Number of the draw; with `seed` it names the random stream.
        seed: Seed of the sampler.
        budget: The bound that was respected.
        fixed: Cost of what is always trained (head, biases); 0 in elements and in weights.
        drawn: Cost of the drawn channels, in the budget's unit.
        layers: The drawn channels in execution order; layers without any are left out.
    """

    draw: int
    seed: int
    budget: MemoryBudget
    fixed: int
    drawn: int
    layers: tuple[LayerDraw, ...]

    @property
    def used(self) -> int:
        """Everything that the update occupies, in the budget's unit."""
        return self.fixed + self.drawn

    @property
    def channel_count(self) -> int:
        """Channels drawn in all layers together."""
        return sum(len(layer.channels) for layer in self.layers)

    def channels_of(self, layer: str) -> tuple[int, ...]:
        """The drawn channels of a layer, () if it has none."""
        return next((entry.channels for entry in self.layers if entry.layer == layer), ())

    def __repr__(self) -> str:
        return f"<UpdatePlan {self}>"

    def _repr_html_(self) -> str:
        rows = [
            (entry.layer, f"{len(entry.channels):,}", notebook.ranges(entry.channels))
            for entry in self.layers
        ]
        return notebook.table(str(self), ("layer", "drawn", "channels"), rows)

    def __str__(self) -> str:
        written = self.budget.format
        fixed = written(self.fixed) if self.budget.unit == BYTES else "not counted"
        return (
            f"draw {self.draw}: {self.channel_count} channels in {len(self.layers)} layers, "
            f"{written(self.used)} of {written(self.budget.amount)} (head and biases {fixed})"
        )
