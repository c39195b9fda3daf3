"""What tests/tflm_ops/trainer/trainer_main.cc reads and writes, and the same training in TFLM."""

import dataclasses
import pathlib

import numpy as np
from cases import Case
from cpp_build import CORTEX_M4F, HOST

import tf_medyate as md
from tf_medyate.exporter.check import frozen_ranges
from tf_medyate.exporter.lower.recipe import recipe_of
from tf_medyate.exporter.lower.step import TrainingGraph, lower_training
from tf_medyate.exporter.memory.planner import plan_memory
from tf_medyate.exporter.write.cpp import CppModel, write_cpp
from tf_medyate.simulate import TFLMTrainer
from tf_medyate.spec import LayerDraw

PREDICTED = 8


@dataclasses.dataclass(frozen=True)
class Exported:
    case: Case
    bundle: pathlib.Path
    cpp: CppModel
    training: TrainingGraph

    def input(self, epochs: int) -> bytes:
        x, y = self.case.x, self.case.y
        labels = y.astype(np.float32 if y.ndim > 1 else np.int32)
        header = np.array([epochs, len(x), PREDICTED], np.int32)
        return header.tobytes() + labels.tobytes() + x.tobytes()


def export_both(case: Case, folder: pathlib.Path, frozen: str = "float32") -> Exported:
    """Exports a case as a bundle and as C++."""
    data = case.x if frozen == "int8" else None
    md.export(case.model, folder / "bundle", case.medyate, None, data, frozen=frozen)
    ranges = frozen_ranges(case.model, frozen, data)
    training = lower_training(case.model, recipe_of(case.model, case.medyate), ranges=ranges)
    plan = plan_memory(training.graph, training.in_place)
    cpp = write_cpp(training, plan, folder / "cpp")
    return Exported(case, folder / "bundle", cpp, training)


# --- what the program wrote


@dataclasses.dataclass(frozen=True)
class Epoch:
    selection: np.ndarray
    losses: np.ndarray
    rates: np.ndarray
    """One more than steps: the last is for a batch that came up short."""


@dataclasses.dataclass(frozen=True)
class Output:
    epochs: list[Epoch]
    selection: np.ndarray
    importance: np.ndarray
    region: np.ndarray
    scores: np.ndarray

    batch: int

    def rate(self, step: int) -> float:
        """Of a step of the schedule: a batch that comes up short counts as a full one."""
        samples = len(self.epochs[0].losses)
        epoch, step = divmod(step, -(-samples // self.batch) * self.batch)
        # After the last epoch it is asked for, too, for commands that do not use it.
        return float(self.epochs[min(epoch, len(self.epochs) - 1)].rates[min(step, samples)])


def read_output(data: bytes, exported: Exported, epochs: int) -> Output:
    layout, position = exported.training.layout, 0
    has_importance = "importance" in exported.training.graph.by_name
    samples, outputs = len(exported.case.x), exported.training.graph.tensor("logits").elements

    def take(count, dtype):
        nonlocal position
        values = np.frombuffer(data, dtype, count, position)
        position += values.nbytes
        return values

    read = []
    for _ in range(epochs):
        selection = take(layout.selection_words, "<i4")
        steps = take(2 * samples, "<f4").reshape(samples, 2)
        read.append(Epoch(selection, steps[:, 0], np.append(steps[:, 1], take(1, "<f4"))))
    output = Output(
        read,
        take(layout.selection_words, "<i4"),
        take(layout.candidates if has_importance else 0, "<f4"),
        take(exported.cpp.weights_floats, "<f4"),
        take(PREDICTED * outputs, "<f4").reshape(PREDICTED, outputs),
        exported.training.recipe.optimizer.batch_size,
    )
    assert position == len(data)
    return output


def drawn(selection: np.ndarray, trainer: TFLMTrainer) -> tuple[LayerDraw, ...]:
    draws = []
    for layer in trainer.manifest.layers:
        if layer.drawn:
            slot = selection[layer.selection_offset :]
            channels = slot[2 : 3 + slot[0] // 2].astype("<i4").view("<u2")[: slot[0]]
            draws.append(LayerDraw(layer.name, tuple(int(c) for c in channels)))
    return tuple(draw for draw in draws if draw.channels)


def assert_same_weights(region: np.ndarray, exported: Exported, trainer: TFLMTrainer):
    learned, starts = trainer.weights(), exported.cpp.weights
    for layer in trainer.manifest.trained:
        kernel, bias = learned[layer.name]
        start = starts[layer.weights]
        ours = region[start : start + kernel.size].reshape(layer.channels, -1, kernel.shape[-1])
        ours = ours.transpose(1, 0, 2).reshape(kernel.shape)
        np.testing.assert_array_equal(ours, kernel, strict=True)
        if layer.biases:
            start = starts[layer.bias]
            np.testing.assert_array_equal(region[start : start + layer.biases], bias, strict=True)


def assert_as_in_tflm(output: Output, exported: Exported) -> TFLMTrainer:
    """Trains the same samples in TFLM: not one bit may differ."""
    case = exported.case
    trainer = TFLMTrainer(exported.bundle, learning_rate=output.rate)
    for epoch in output.epochs:
        assert drawn(epoch.selection, trainer) == trainer.plan.layers
        losses = [trainer.step(x, y) for x, y in zip(case.x, case.y, strict=True)]
        np.testing.assert_array_equal(epoch.losses, np.array(losses, np.float32))
        trainer.end_epoch()
    assert drawn(output.selection, trainer) == trainer.plan.layers
    assert_same_weights(output.region, exported, trainer)
    wanted = [*trainer.importance.values()]
    np.testing.assert_array_equal(output.importance, np.concatenate(wanted) if wanted else [])
    predictions = [trainer.predict(x) for x in case.x[:PREDICTED]]
    # TFLM gives logits; what comes after them is NumPy's there and our own here.
    limit = 1e-6 if trainer.manifest.ends_in else 0.0
    np.testing.assert_allclose(output.scores, predictions, rtol=0, atol=limit)
    return trainer


def assert_same_bits_everywhere(case: Case, folder: pathlib.Path, frozen: str) -> Exported:
    """Two epochs in TFLM, in the static runner on the host and on a Cortex-M4F."""
    exported = export_both(case, folder, frozen)
    written = []
    for toolchain in (HOST, CORTEX_M4F):
        program = toolchain.program(exported.cpp.folder, toolchain.library())
        written.append(toolchain.output(program, exported.input(2)))
    assert written[0] == written[1]
    assert_as_in_tflm(read_output(written[0], exported, 2), exported)
    return exported
