"""Reports without training, for tests of whatever shows them."""

import random

import numpy as np

from tf_medyate.cost import CostModel
from tf_medyate.report import EpochRecord, TrainingReport
from tf_medyate.spec import LayerDraw, LayerRanking, LayerSpec, MemoryBudget, UpdatePlan


def layer(name, index, kind, channels, outputs, weights, activations, head=False):
    return LayerSpec(
        name=name,
        kind=kind,
        index=index,
        channels=channels,
        outputs=outputs,
        weights_per_channel=weights,
        activation_elements=activations,
        bias_elements=outputs,
        macs=channels * weights * activations,
        kernel_size=(3, 3) if kind != "dense" else (),
        is_head=head,
    )


def make_specs(names=("stem", "deep", "mix", "head")):
    return (
        layer(names[0], 0, "conv2d", 4, 16, 144, 144),
        layer(names[1], 1, "depthwise_conv2d", 16, 16, 9, 64),
        layer(names[2], 2, "conv2d", 16, 32, 32, 64),
        layer(names[3], 3, "dense", 32, 5, 5, 1, head=True),
    )


def make_ranking(specs):
    names = (specs[0].name, specs[2].name, specs[1].name)
    return LayerRanking("lara", names, (7.5e-3, 2.3e-3, 0.2e-3), names[:2])


def make_plan(draw, budget, cost, specs, channels):
    """A plan over the kept layers of `make_specs`, costed as the sampler does."""
    by_name = {spec.name: spec for spec in specs}
    drawn = sum(cost.channel(by_name[name]) * len(chosen) for name, chosen in channels.items())
    fixed = cost.fixed(specs, (specs[0].name, specs[2].name))
    layers = tuple(LayerDraw(name, tuple(chosen)) for name, chosen in channels.items() if chosen)
    return UpdatePlan(draw, 7, budget, fixed, drawn, layers)


def random_report(epochs, names=("stem", "deep", "mix", "head"), unit="bytes", strategy="medyate"):
    """A longer run with random draws, NumPy numbers in its logs, and random curves."""
    generator = random.Random(epochs)
    specs, cost, budget = make_specs(names), CostModel(unit), MemoryBudget(7000, unit)
    records = []
    for number in range(epochs):
        draw = {
            specs[0].name: sorted(generator.sample(range(4), 2)),
            specs[2].name: sorted(generator.sample(range(16), 7)),
        }
        logs = {
            "loss": np.float32(1 / (number + 1)),
            "accuracy": np.float32(1 - 1 / (number + 2)),
            "val_loss": np.float64(1.1 / (number + 1)),
            "val_accuracy": np.float64(1 - 1.1 / (number + 2)),
        }
        plan = make_plan(number, budget, cost, specs, draw)
        records.append(EpochRecord(number, plan, logs, generator.random()))
    return TrainingReport(strategy, specs, make_ranking(specs), cost, budget, tuple(records))
