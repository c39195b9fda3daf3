"""MeDyate's Algorithm 1 (2510.20979) in the exported step: first draw, norms, the unseen."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from exported import attached
from random_models import small_net

import tf_medyate as md
from tf_medyate.exporter.lower.recipe import recipe_of
from tf_medyate.exporter.lower.step import lower_training
from tf_medyate.exporter.memory.planner import plan_memory
from tf_medyate.exporter.ops.schema import UNSEEN, Command, ImportanceRule
from tf_medyate.exporter.write.tflite import to_tflite
from tf_medyate.simulate import Interpreter

pytestmark = pytest.mark.usefixtures("quick_export")

SELECTION, IMPORTANCE = 2, 4
DRAWS, STEPS = 4, 3


class Device:
    """An exported step that starts without any importance; it learns at a rate of 0."""

    def __init__(self, rule=ImportanceRule.DRAW_MEAN):
        self.model, medyate, self.x, self.y = attached(small_net(), share=0.2)
        recipe = recipe_of(self.model, medyate)
        unseen = {name: np.full(len(p), UNSEEN, np.float32) for name, p in recipe.prior.items()}
        self.recipe = dataclasses.replace(recipe, importance_rule=rule, prior=unseen, first_draw=0)
        self.training = lower_training(self.model, self.recipe)
        plan = plan_memory(self.training.graph, self.training.in_place)
        self.interpreter = Interpreter(to_tflite(self.training.graph, plan))
        self.outputs = self.run(Command.PREDICT, 0)

    def run(self, command, sample):
        self.outputs = self.interpreter.run(
            self.x[sample % len(self.x)][None],
            np.array([self.y[sample % len(self.x)]], np.int32),
            np.zeros(1, np.float32),
            np.array([command], np.int32),
        )
        return self.outputs

    def drawn(self):
        words, found = self.outputs[SELECTION], {}
        for places in self.training.layout.drawn:
            slot = words[places.selection_offset :]
            channels = slot[2 : 2 + (slot[0] + 1) // 2].view(np.uint16)[: slot[0]]
            if len(channels):
                found[places.spec.name] = tuple(int(c) for c in channels)
        return found

    def importance(self):
        values, found = self.outputs[IMPORTANCE], {}
        for places in self.training.layout.drawn:
            begin = places.importance_offset
            found[places.spec.name] = values[begin : begin + places.spec.channels].copy()
        return found

    def plan(self, importance, draw, weighting):
        r = self.recipe
        plan = md.sample_channels(
            r.specs, importance, r.budget, kept=r.kept, cost=r.cost, seed=r.seed, draw=draw,
            weighting=weighting, sharpness=float(r.strategy.sharpness),
        )  # fmt: skip
        return {layer.layer: layer.channels for layer in plan.layers}


def norms(device, sample):
    """||dL/dW_c|| of one sample by TensorFlow, float32 [channels] by layer."""
    x, y = device.x[sample % len(device.x)][None], device.y[sample % len(device.x)][None]
    plain = md.strip(device.model)
    kernels = [plain.get_layer(name).kernel for name in device.recipe.kept]
    with tf.GradientTape() as tape:
        loss = keras.losses.get(device.model.loss)(y, plain(x))
    gradients = map(np.asarray, tape.gradient(loss, [kernel.value for kernel in kernels]))
    return {
        name: np.sqrt(np.square(g).sum(axis=tuple(a for a in range(g.ndim) if a != g.ndim - 2)))
        for name, g in zip(device.recipe.kept, gradients, strict=True)
    }


def test_draws_and_norms_are_the_algorithms():
    device = Device()
    for name, values in device.importance().items():
        assert (values == UNSEEN).all(), name
    known = {name: np.full(len(v), UNSEEN) for name, v in device.importance().items()}
    assert device.drawn() == device.plan(known, 0, "uniform"), "nothing seen: equal odds"
    sample = 0
    for draw in range(DRAWS):
        samples = range(sample, sample + STEPS)
        for sample in samples:
            device.run(Command.STEP, sample)
        sample += 1
        each = [norms(device, s) for s in samples]
        for name, channels in device.drawn().items():
            mean = np.mean([n[name] for n in each], axis=0)
            known[name][list(channels)] = mean[list(channels)]
        for name, values in device.importance().items():
            # Another order of summation; norms are of the size of the largest.
            np.testing.assert_allclose(values, known[name], rtol=1e-4, atol=1e-6)
        device.run(Command.DRAW, 0)
        exact = device.importance()
        if draw == 0:
            seen = np.concatenate(list(known.values()))
            for name, values in known.items():
                values[values == UNSEEN] = seen.max()
                np.testing.assert_allclose(exact[name], values, rtol=1e-4)
        assert min(v.min() for v in exact.values()) >= 0, "nothing is unseen after the second draw"
        assert device.drawn() == device.plan(exact, draw + 1, device.recipe.strategy.weighting)


def test_a_running_mean_begins_with_the_first_norm():
    device = Device(ImportanceRule.RUNNING_MEAN)
    first, second = norms(device, 0), norms(device, 1)
    device.run(Command.STEP, 0)
    device.run(Command.STEP, 1)
    for name, channels in device.drawn().items():
        expected = (first[name] + 0.1 * (second[name] - first[name]))[list(channels)]
        np.testing.assert_allclose(
            device.importance()[name][list(channels)], expected, rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("rule", list(ImportanceRule))
def test_nothing_but_the_layers_is_exported(rule):
    assert "prior" not in {tensor.name for tensor in Device(rule).training.graph.tensors}
