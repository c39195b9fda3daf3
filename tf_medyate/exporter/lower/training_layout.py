"""Where everything that is trained lies in pool, selection and importance.

Example:
    >>> layout = training.layout              # from lower_training
    >>> layout.of("stem").run_offset, layout.pool_elements
    (-1, 1536)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from tf_medyate.errors import OptionError
from tf_medyate.exporter.lower.recipe import TrainingRecipe
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.ops.schema import DRAWN_ANEW, NO_BIAS_RUN, NO_IMPORTANCE, LayoutWord
from tf_medyate.spec import BYTES, FLOAT_BYTES, LayerSpec

MAX_CANDIDATES = 65535
"""The device numbers the channels that it draws from in 16 bits."""


@dataclasses.dataclass(frozen=True)
class TrainedLayer:
    """One trained layer's places; offsets in elements or words.

    Attributes:
        spec: The layer.
        stash: Input positions of a channel that are stored.
        capacity: Most channels that one draw can hold.
        selection_offset: First word of its slot.
        run_offset: Where a head's run lies in the pool; DRAWN_ANEW for a layer that is drawn.
        bias_offset: Where its bias's run lies in the pool; NO_BIAS_RUN for none.
        importance_offset: Its first channel's importance; NO_IMPORTANCE for none.
        channel_cost: Cost of a channel in the budget's unit.
    """

    spec: LayerSpec
    stash: int
    capacity: int
    selection_offset: int
    run_offset: int
    bias_offset: int
    importance_offset: int
    channel_cost: int

    @property
    def is_drawn(self) -> bool:
        """Channels are drawn; else all of them are trained, always."""
        return self.run_offset == DRAWN_ANEW

    @property
    def biases(self) -> int:
        """Elements of the bias if it is trained, 0 otherwise."""
        return 0 if self.bias_offset == NO_BIAS_RUN else self.spec.bias_elements

    def row(self) -> list[int]:
        """Its row of the control op's layout."""
        words = {
            LayoutWord.CHANNELS: self.spec.channels,
            LayoutWord.CHANNEL_COST: self.channel_cost,
            LayoutWord.WEIGHTS: self.spec.weights_per_channel,
            LayoutWord.STASH: self.stash,
            LayoutWord.SELECTION_OFFSET: self.selection_offset,
            LayoutWord.SELECTION_CAPACITY: self.capacity,
            LayoutWord.RUN_OFFSET: self.run_offset,
            LayoutWord.BIAS_OFFSET: self.bias_offset,
            LayoutWord.BIASES: self.biases,
        }
        return [words[word] for word in LayoutWord]


@dataclasses.dataclass(frozen=True)
class TrainingLayout:
    """The places of all trained layers.

    Attributes:
        layers: Kept layers in execution order, then heads.
        accumulates: The pool holds gradient accumulators.
        optimizer_slots: Values that the pool holds for each trained weight beside these.
        fixed_elements: Elements of the pool that every draw trains; drawn runs lie after them.
        pool_elements: Elements of the pool: the budget, if a draw can fill it.
        selection_words: Words of the selection variable; the last are the optimizer's.
    """

    layers: tuple[TrainedLayer, ...]
    accumulates: bool
    optimizer_slots: int
    fixed_elements: int
    pool_elements: int
    selection_words: int

    @property
    def copies(self) -> int:
        """Values in the pool for each trained weight."""
        return 1 + int(self.accumulates) + self.optimizer_slots

    def of(self, name: str) -> TrainedLayer | None:
        """A layer's places, None if it is not trained."""
        return next((layer for layer in self.layers if layer.spec.name == name), None)

    @property
    def drawn(self) -> tuple[TrainedLayer, ...]:
        """The layers that channels are drawn from."""
        return tuple(layer for layer in self.layers if layer.is_drawn)

    @property
    def candidates(self) -> int:
        """Channels that can be drawn."""
        return sum(layer.spec.channels for layer in self.drawn)

    def table(self) -> np.ndarray:
        """The control op's layout, int32 [layers, words]."""
        return np.array([layer.row() for layer in self.layers], np.int32)


def lay_out(recipe: TrainingRecipe, stash: Mapping[str, int]) -> TrainingLayout:
    """Places everything that is trained.

    Args:
        recipe: What is trained.
        stash: Input positions of each trained layer that are stored for a channel.

    Returns:
        The layout. Its pool holds exactly the budget, or all that can be trained if that is less.

    Raises:
        OptionError: Nothing is trained, or there are more channels to draw from than a device can
            number.
    """
    copies = recipe.weight_copies
    pool_end, words, candidates = 0, op_schema.STATE_WORDS, 0
    layers = []
    for spec in recipe.trained:
        is_head = spec.name in recipe.whole
        cost = recipe.cost.channel(spec)
        capacity = spec.channels if is_head else min(spec.channels, recipe.capacity // cost)
        run_offset, bias_offset = DRAWN_ANEW, NO_BIAS_RUN
        if is_head:
            run_offset = pool_end
            pool_end += spec.channels * (spec.weights_per_channel * copies + stash[spec.name])
        if spec.bias_elements and (is_head or recipe.cost.train_bias):
            bias_offset = pool_end
            pool_end += spec.bias_elements * copies
        by_importance = not is_head and recipe.strategy.by_importance
        layers.append(
            TrainedLayer(
                spec,
                stash[spec.name],
                capacity,
                words,
                run_offset,
                bias_offset,
                candidates if by_importance else NO_IMPORTANCE,
                cost,
            )
        )
        words += op_schema.selection_words(capacity)
        candidates += 0 if is_head else spec.channels
    if candidates > MAX_CANDIDATES:
        raise OptionError(
            "plan",
            f"at most {MAX_CANDIDATES:,} channels in the kept layers",
            f"{candidates:,}",
            "Keep fewer layers: lower top_k.",
        )
    if not layers:
        raise OptionError(
            "model",
            "a layer that is trained",
            "none: every layer is frozen",
            "Set `trainable = True` of some layer before md.prepare.",
        )
    largest = pool_end + sum(
        layer.spec.channels * (layer.spec.weights_per_channel * copies + layer.stash)
        for layer in layers
        if layer.is_drawn
    )
    return TrainingLayout(
        tuple(layers),
        recipe.optimizer.accumulates,
        recipe.optimizer.slots,
        pool_end,
        max(_pool_elements(recipe, pool_end, largest), pool_end),
        words + recipe.optimizer.state_words,
    )


def _pool_elements(recipe: TrainingRecipe, fixed: int, largest: int) -> int:
    """Elements of the pool: the budget, or the largest draw where that is less.

    A budget in elements counts a weight once, however many values the pool holds for it, and
    leaves out the `fixed` part: heads and biases.
    """
    amount = recipe.budget.amount
    if recipe.budget.unit == BYTES:
        return min(amount // FLOAT_BYTES, largest)
    return min(fixed + amount * recipe.weight_copies, largest)
