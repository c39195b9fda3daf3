"""Whole training steps of exported nets on the emulated Cortex-M4F."""

from __future__ import annotations

import dataclasses
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tf_medyate as md
from tf_medyate.exporter.board.cycles import step_cycles
from tf_medyate.exporter.lower.recipe import recipe_of
from tf_medyate.exporter.lower.step import lower_training
from tf_medyate.exporter.memory.planner import plan_memory
from tf_medyate.exporter.write.cpp import write_cpp

from .build import ROOT, build, sources
from .memory import Footprint, footprint
from .trace import trace


@dataclasses.dataclass(frozen=True)
class Net:
    """A net of the zoo and a budget."""

    name: str
    build: str
    shape: tuple[int, ...]
    classes: int
    budget: str


NETS = (
    Net("DS-CNN, 49x10, pool 64 KiB", "ds_cnn", (49, 10, 1), 12, "64KiB"),
    Net("watch CNN, 100x6, pool 16 KiB", "watch_cnn", (100, 6), 7, "16KiB"),
)


@dataclasses.dataclass(frozen=True)
class Step:
    """What a training step took.

    Attributes:
        name: Of the net.
        instructions: Executed in a step.
        cycles: Estimated from them.
        predicted_cycles: By `step_cycles`, from the graph alone.
        arena_bytes: Given to the trainer.
        stack_bytes: The stack's high-water mark, Init included.
        footprint: Of the program.
    """

    name: str
    instructions: int
    cycles: int
    predicted_cycles: int
    arena_bytes: int
    stack_bytes: int
    footprint: Footprint


def export_net(net: Net, folder: pathlib.Path) -> int:
    """Writes a net with random weights as C++; gives its predicted cycles."""
    keras.utils.set_random_seed(0)
    model = md.prepare(getattr(md.zoo, net.build)(net.shape, net.classes))
    model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy())
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, *net.shape)).astype(np.float32)
    y = rng.integers(0, net.classes, 8)
    medyate = md.MeDyate(net.budget, calibration=(x, y), verbose=0)
    medyate.set_model(model)
    training = lower_training(model, recipe_of(model, medyate))
    write_cpp(training, plan_memory(training.graph, training.in_place), folder)
    return step_cycles(training.graph)


def measure_step(net: Net, folder: pathlib.Path) -> Step:
    """Exports a net, compiles it and traces training steps; the last one counts."""
    model = folder / net.build
    predicted = export_net(net, model)
    step = ROOT / "benchmarks/cortex_m/step.cc"
    generated = (model / "medyate_model.cc", model / "medyate_weights.cc")
    ours = sources("math", "draw", "store", "kernels", "trainer")
    program = build(folder / f"{net.build}.elf", (step, *generated, *ours), (model,))
    run = trace(program)
    printed = dict(line.split() for line in run.output.splitlines())
    last = run.regions[-1]
    return Step(
        net.name,
        last.instructions,
        last.cycles,
        predicted,
        int(printed["arena"]),
        int(printed["stack"]),
        footprint(program.with_suffix(".map")),
    )
