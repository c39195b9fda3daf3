"""Puts an UpdatePlan into a prepared model, and takes what was learned out again.

    attach    which layers may be drawn from; the pool and the optimizer's slots are made
    load      commit the last draw, fill the pool with the new one
    commit    live weights -> kernels (changes no output)

Example:
    >>> updater = ChannelUpdater(model, specs, kept=("conv_3",), train_bias=True)
    >>> updater.attach(pool_elements=2048, optimizer=model.optimizer)
    >>> updater.load(plan)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tf_medyate.cost import CostModel
from tf_medyate.errors import PlanError
from tf_medyate.prepared.layers import FROZEN, FULL, NEURONS, SPARSE, ChannelMasked, masked_layers
from tf_medyate.prepared.model import PreparedModel
from tf_medyate.prepared.slots import Slots, renew
from tf_medyate.prepared.tensors import assign, read
from tf_medyate.spec import MEAN, RUNNING, LayerDraw, LayerSpec, UpdatePlan

Snapshot = list[tuple[keras.Variable, np.ndarray]]


def pool_elements(specs: Sequence[LayerSpec], cost: CostModel, capacity: int) -> int:
    """The most weights that any draw within `capacity` can hold, in elements.

    An upper bound: capacity goes to the channels with most weights per cost first, the
    last of them in part.

    Args:
        specs: The layers that may be drawn from.
        cost: Cost model, in the unit of `capacity`.
        capacity: What is left for drawn channels.
    """
    elements, left = 0.0, capacity
    for spec in sorted(specs, key=lambda s: -s.weights_per_channel / cost.channel(s)):
        channels = min(float(spec.channels), left / cost.channel(spec))
        elements += channels * spec.weights_per_channel
        left -= channels * cost.channel(spec)
    return max(1, int(elements))


class ChannelUpdater:
    """Carries plans into a prepared model.

    Args:
        model: A prepared model.
        specs: Its layers.
        kept: Names of the layers that may be drawn from.
        train_bias: The biases of kept layers are trained.
        train_all: Every kernel and bias is trained: ordinary fine-tuning.
        refresh: How gradients become importances, one of `spec.REFRESHES`.
        neurons: Output neurons are drawn: `specs` are those of `spec.LayerSpec.by_neurons`.
    """

    def __init__(
        self,
        model: PreparedModel,
        specs: Sequence[LayerSpec],
        kept: Sequence[str],
        train_bias: bool,
        train_all: bool = False,
        refresh: str = MEAN,
        neurons: bool = False,
    ):
        self.model = model
        self.optimizer: Any = None
        self._by_name = {layer.name: layer for layer in masked_layers(model)}
        self._specs = tuple(specs)
        self._kept = frozenset(kept)
        self._train_bias = train_bias
        self._train_all = train_all
        self._refresh = refresh
        self._drawn_mode = NEURONS if neurons else SPARSE

    @property
    def kept_layers(self) -> list[ChannelMasked]:
        """The layers that may be drawn from, in execution order."""
        return [self._by_name[s.name] for s in self._specs if s.name in self._kept]

    def attach(self, pool_elements: int, optimizer: keras.optimizers.Optimizer | None):
        """Commits what was live, sets every layer's mode and makes the pool.

        Args:
            pool_elements: Size of the pool; 0 where no layer is kept.
            optimizer: The optimizer that will train; its slots are made here, again if it was
                built before.
        """
        # Under a distribution strategy every variable is to have a copy in each replica.
        with self.model.distribute_strategy.scope():
            self._attach(pool_elements, optimizer)

    def _attach(self, pool_elements: int, optimizer):
        self.model.commit()
        state = self.model.training_state
        for spec in self._specs:
            self._set_mode(spec)
        if pool_elements:
            kernels = [layer.unit_shape for layer in self.kept_layers]
            positions = [spec.index for spec in self._specs if spec.name in self._kept]
            state.allocate(pool_elements, kernels, positions)
        for slot, layer in enumerate(self.kept_layers):
            layer.slot = slot
        if not pool_elements:
            state.release()
        known = self.model.attachment
        known.owner = self
        state.refresh = self._refresh
        layer_modes = ((n, v.mode, v.bias_trainable) for n, v in self._by_name.items())
        modes = (self._refresh, *layer_modes)
        self.optimizer = optimizer
        if known.matches(modes, state.pool, optimizer):  # nothing that was traced has changed
            if optimizer is not None:
                known.slots.restart_all()
        else:
            known.remember(modes, state.pool, optimizer, self._build(optimizer))
            self._retrace()
        if self.model.compiled:
            self.model.make_train_function()  # unless it is there
        self._left = self._border()

    def _build(self, optimizer) -> Slots | None:
        if optimizer is None:
            return None
        if optimizer.built:
            renew(optimizer)
        return Slots(optimizer, self.model.trainable_variables)

    def in_force(self, optimizer: keras.optimizers.Optimizer | None) -> bool:
        """Everything is still as `attach` left it.

        Args:
            optimizer: The one that is to train now.

        Returns:
            False if another updater has taken the model since, if it was compiled again, or if a
            layer was frozen, made trainable or renamed.
        """
        ours = self.model.attachment.owner is self and self.optimizer is optimizer
        return ours and self._left == self._border()

    def _border(self) -> tuple:
        """What the user can change from outside, and training rests on."""
        model = self.model
        flags = [(id(v), v.trainable) for v in model.variables]
        names = [(id(layer), layer.name, layer.trainable) for layer in model.layers]
        return getattr(model, "train_function", None), flags, names

    def _set_mode(self, spec: LayerSpec):
        layer = self._by_name[spec.name]
        whole = spec.is_head or self._train_all
        if whole and spec.trainable:
            layer.set_mode(FULL, train_bias=True)
        elif spec.name in self._kept:
            state = self.model.training_state
            layer.set_mode(self._drawn_mode, self._train_bias, lambda: state)
        else:
            layer.set_mode(FROZEN, train_bias=False)
        assign(layer.channel_mask, np.full(layer.channel_mask.shape, layer.mode == FULL))

    def _retrace(self):
        if self.model.compiled:
            self.model.make_train_function(force=True)
            self.model.make_test_function(force=True)
        self.model.make_predict_function(force=True)

    def load(self, plan: UpdatePlan):
        """Commits the last draw and makes the plan's channels live.

        Args:
            plan: The draw.

        Raises:
            PlanError: The plan names a layer that is not kept, or does not fit the pool.
        """
        self._check(plan)
        self.model.commit()
        state = self.model.training_state
        if state.pool is None:
            return
        draws = [np.asarray(plan.channels_of(v.name), np.int64) for v in self.kept_layers]
        state.lay_out(draws, plan.draw)
        self.model.reload_pool()
        for layer, channels in zip(self.kept_layers, draws, strict=True):
            mask = np.zeros(layer.channel_mask.shape, bool)
            mask[channels if layer.mode == SPARSE else slice(0)] = True
            assign(layer.channel_mask, mask)
        self._load_importance()
        if self.optimizer is not None:
            # The pool's places belong to other weights now: their optimizer state starts over.
            self.model.attachment.slots.restart(state.pool, read(state.pool))

    def apply_short_batch(self):
        """Takes the step of a batch that came up short, if gradients are accumulated."""
        if self.optimizer is not None:
            with self.model.distribute_strategy.scope():
                self.model.attachment.slots.apply_short_batch()

    def _load_importance(self):
        """What a running mean goes on from; all others begin with the first step."""
        state = self.model.training_state
        means = np.zeros(state.importance.shape, np.float32)
        for layer, placement in zip(self.kept_layers, state.placements(), strict=True):
            if placement.channels.size and self._refresh == RUNNING and layer.mode == SPARSE:
                means[placement.importance] = read(layer.importance)[placement.channels]
        assign(state.importance, means)
        assign(state.steps, np.zeros((), np.float32))

    def _check(self, plan: UpdatePlan):
        whole = {s.name for s in self._specs if s.is_head or self._train_all}
        unknown = {entry.layer for entry in plan.layers} - self._kept - whole
        if unknown:
            raise PlanError(
                "plan",
                "channels of kept layers only",
                f"channels of {sorted(unknown)}",
                "Draw with the same kept layers that the model was attached with.",
            )
        state = self.model.training_state
        sizes = {s.name: s.weights_per_channel for s in self._specs}
        need = sum(len(d.channels) * sizes[d.layer] for d in plan.layers if d.layer in self._kept)
        if state.pool is not None and need > state.pool.shape[0]:
            raise PlanError(
                "plan",
                f"at most {state.pool.shape[0]} weights, the size of the pool",
                f"{need} weights",
                "Attach with the budget that the plan was drawn for.",
            )

    def loaded_plan(self, template: UpdatePlan, cost: CostModel) -> UpdatePlan:
        """The plan that the pool holds, as after restoring a checkpoint.

        Args:
            template: Gives seed, budget and fixed cost.
            cost: Cost model in the budget's unit.
        """
        draws, used = [], 0
        kept = [spec for spec in self._specs if spec.name in self._kept]
        for spec, place in zip(kept, self.model.training_state.placements(), strict=True):
            used += place.channels.size * cost.channel(spec)
            if place.channels.size:
                draws.append(LayerDraw(spec.name, tuple(int(c) for c in place.channels)))
        draw = self.model.training_state.draw
        return UpdatePlan(draw, template.seed, template.budget, template.fixed, used, tuple(draws))

    def importance(self) -> dict[str, np.ndarray]:
        """Importance of each channel, by kept layer; commits first."""
        self.model.commit()
        if self._drawn_mode == NEURONS:  # the layers' variables are for input channels
            return {}
        return {layer.name: read(layer.importance) for layer in self.kept_layers}

    def set_importance(self, values: Mapping[str, np.ndarray]):
        """Overwrites the importances, as after calibration, between two draws."""
        for layer in self.kept_layers if self._drawn_mode == SPARSE else ():
            assign(layer.importance, np.asarray(values[layer.name], np.float32))
        if self.model.training_state.pool is not None:
            self._load_importance()

    def snapshot(self) -> Snapshot:
        """Everything that training changes, to go back to with `restore`."""
        variables = [*self.model.trainable_variables, *(v.importance for v in self.kept_layers)]
        if self.model.training_state.pool is not None:
            state = self.model.training_state
            variables += [state.importance, state.steps]
        if self.optimizer is not None:
            variables += self.optimizer.variables
        return [(variable, read(variable)) for variable in variables]

    @staticmethod
    def restore(snapshot: Snapshot):
        """Puts a snapshot back."""
        for variable, value in snapshot:
            assign(variable, value)

    def first_non_finite(self) -> str | None:
        """Path of a trained variable that holds NaN or infinity, None if all are finite."""
        for variable in self.model.trainable_variables:
            if not np.isfinite(read(variable)).all():
                return variable.path
        return None


def full_plan(specs: Sequence[LayerSpec], cost: CostModel, template: UpdatePlan) -> UpdatePlan:
    """The plan of ordinary fine-tuning: every channel of every layer."""
    draws = tuple(LayerDraw(s.name, tuple(range(s.channels))) for s in specs if s.trainable)
    total = cost.full(s for s in specs if s.trainable)
    return UpdatePlan(0, template.seed, template.budget, 0, total, draws)
