"""Whole training steps of exported nets on the emulated Cortex-M4F."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tf_medyate as md
from tf_medyate.exporter.board.cycles import equal_shares, step_cycles
from tf_medyate.exporter.ir.graph import Graph
from tf_medyate.exporter.lower.recipe import recipe_of
from tf_medyate.exporter.lower.step import lower_training
from tf_medyate.exporter.memory.planner import plan_memory
from tf_medyate.exporter.write.cpp import write_cpp
from tf_medyate.zoo.registry import get_network

from .build import ROOT, build, sources
from .memory import Footprint, footprint
from .trace import trace


@dataclasses.dataclass(frozen=True)
class Net:
    """A net with random weights, and what of it is trained: listed here, for counts to compare.

    Attributes:
        title: In the table.
        name: Of its files.
        build: (input shape, classes) -> the net.
        shape: Of a sample.
        classes: Number of classes.
        budget: Bound on the pool.
        layers: The layers that channels are drawn from, by name, whatever a ranking would keep.
    """

    title: str
    name: str
    build: Callable[[tuple[int, ...], int], keras.Model]
    shape: tuple[int, ...]
    classes: int
    budget: str
    layers: tuple[str, ...]


def small_cnn(shape: tuple[int, ...], classes: int) -> keras.Model:
    """Two convolutions, a max-pool and a head."""
    x = inputs = keras.Input(shape)
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="conv1")(x)
    x = keras.layers.MaxPooling2D(2)(x)
    x = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="conv2")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(classes, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs, name="small_cnn")


_DS_CNN = (
    "stem_conv",
    "block1_depthwise",
    *(f"block{block}_{part}" for block in (2, 3, 4) for part in ("depthwise", "pointwise")),
)
_MOBILENET = tuple(
    f"block{block}_{part}_conv"
    for block, parts in (
        (4, ("depthwise",)),
        (7, ("expand", "depthwise", "project")),
        (11, ("expand", "depthwise", "project")),
        (14, ("depthwise", "project")),
        (17, ("depthwise",)),
    )
    for part in parts
)

NETS = (
    Net("DS-CNN, 49x10, pool 64 KiB", "ds_cnn", md.zoo.ds_cnn, (49, 10, 1), 12, "64KiB", _DS_CNN),
    Net(
        "watch CNN, 100x6, pool 16 KiB",
        "watch_cnn",
        md.zoo.watch_cnn,
        (100, 6),
        7,
        "16KiB",
        ("conv1", "conv2", "conv3", "conv4", "conv5"),
    ),
    Net(
        "MobileNetV2 0.35, 96x96, ten layers",
        "mobilenet_v2_035",
        get_network("mobilenet_v2_035").build,
        (96, 96, 3),
        10,
        "27946 elements",
        _MOBILENET,
    ),
    Net(
        "small CNN, 16x16, pool 4 KiB",
        "small_cnn",
        small_cnn,
        (16, 16, 1),
        10,
        "4KiB",
        ("conv1", "conv2"),
    ),
)


@dataclasses.dataclass(frozen=True)
class Step:
    """What a training step took.

    Attributes:
        name: Of the net.
        instructions: Executed in a step.
        cycles: Estimated from them.
        predicted_cycles: By `step_cycles`, for the channels that were drawn.
        exported_cycles: The same for equal shares of all layers: what an export prints.
        arena_bytes: Given to the trainer.
        stack_bytes: The stack's high-water mark, Init included.
        footprint: Of the program.
    """

    name: str
    instructions: int
    cycles: int
    predicted_cycles: int
    exported_cycles: int
    arena_bytes: int
    stack_bytes: int
    footprint: Footprint


def export_net(net: Net, folder: pathlib.Path) -> Graph:
    """Writes a net with random weights as C++; gives its graph."""
    keras.utils.set_random_seed(0)
    model = md.prepare(net.build(net.shape, net.classes))
    model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy())
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, *net.shape)).astype(np.float32)
    y = rng.integers(0, net.classes, 8)
    # Channels with large gradients are drawn more often, as after some epochs.
    strategy = md.strategy("medyate", importance="calibrated", sharpness=1)
    medyate = md.MeDyate(net.budget, strategy, calibration=(x, y), layers=net.layers, verbose=0)
    medyate.set_model(model)
    training = lower_training(model, recipe_of(model, medyate))
    write_cpp(training, plan_memory(training.graph, training.in_place), folder)
    return training.graph


def measure_step(net: Net, folder: pathlib.Path) -> Step:
    """Exports a net, compiles it and traces training steps; the last one counts."""
    model = folder / net.name
    graph = export_net(net, model)
    step = ROOT / "benchmarks/cortex_m/step.cc"
    generated = (model / "medyate_model.cc", model / "medyate_weights.cc")
    ours = sources("math", "draw", "store", "kernels", "trainer")
    program = build(folder / f"{net.name}.elf", (step, *generated, *ours), (model,))
    run = trace(program)
    printed = dict(line.split() for line in run.output.splitlines())
    drawn = {at: int(printed[f"selection{at}"]) for at in equal_shares(graph)}
    last = run.regions[-1]
    return Step(
        net.title,
        last.instructions,
        last.cycles,
        step_cycles(graph, drawn),
        step_cycles(graph),
        int(printed["arena"]),
        int(printed["stack"]),
        footprint(program.with_suffix(".map")),
    )
