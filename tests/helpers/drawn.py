"""Models with channels drawn, and a watch over what moves."""

import keras
import numpy as np

import tf_medyate as md
from tf_medyate.prepared.layers import masked_layers
from tf_medyate.prepared.update import ChannelUpdater
from tf_medyate.spec import RUNNING


def attach_random(model, rng, share=0.4):
    """Draws a random share of every hidden layer's channels; returns {layer: channels}."""
    specs = md.layer_specs(model)
    kept = tuple(s.name for s in specs if not s.is_head)
    updater = ChannelUpdater(model, specs, kept, train_bias=True, refresh=RUNNING)
    drawn = {
        s.name: tuple(np.flatnonzero(rng.random(s.channels) < share).tolist())
        for s in specs
        if not s.is_head
    }
    plan = md.UpdatePlan(
        0,
        0,
        md.MemoryBudget(1),
        0,
        0,
        tuple(md.spec.LayerDraw(name, channels) for name, channels in drawn.items()),
    )
    size = sum(len(drawn[s.name]) * s.weights_per_channel for s in specs if not s.is_head)
    updater.attach(size + 5, None)  # five more than needed: the tail must stay out of it
    updater.load(plan)
    return updater, drawn


def by_channel(layer, array):
    """Kernel-shaped array -> [channels, positions, outputs]."""
    return np.asarray(array).reshape(-1, *layer.kernel.shape[-2:]).transpose(1, 0, 2)


class WatchExactness(keras.callbacks.Callback):
    """After every epoch: budget held, and not one bit moved outside the draw."""

    def __init__(self, medyate):
        super().__init__()
        self.medyate = medyate
        self.checked = 0
        self.moved = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.before = {layer.name: layer.kernel.numpy() for layer in masked_layers(self.model)}

    def on_epoch_end(self, epoch, logs=None):
        plan = self.medyate.plan
        assert plan.used <= plan.budget.amount
        heads = {s.name for s in self.medyate.specs if s.is_head}
        costs = {s.name: self.medyate.cost.channel(s) for s in self.medyate.specs}
        assert plan.drawn == sum(len(d.channels) * costs[d.layer] for d in plan.layers)
        for layer in masked_layers(self.model):
            if layer.name in heads:
                continue
            drawn = np.zeros(layer.kernel.shape[-2], bool)
            drawn[list(plan.channels_of(layer.name))] = True
            old = by_channel(layer, self.before[layer.name])
            new = by_channel(layer, layer.kernel.numpy())
            same = (old.view(np.int32) == new.view(np.int32)).all(axis=(1, 2))
            assert same[~drawn].all(), f"{layer.name}: a frozen channel moved"
            np.testing.assert_array_equal(layer.channel_mask.numpy(), drawn)
            self.moved += int((~same).sum())
            self.checked += int((~drawn).sum())
