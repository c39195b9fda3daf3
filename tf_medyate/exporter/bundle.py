"""`md.export`: a prepared model becomes a folder that a microcontroller can learn from.

Example:
    >>> bundle = md.export(model, "out/", medyate, arena_limit="128KiB")
    >>> print(bundle)
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_medyate import files, notebook
from tf_medyate._version import __version__
from tf_medyate.callback import MeDyate
from tf_medyate.ends import inputs_of, outputs_of
from tf_medyate.exporter.board.firmware import Firmware, FirmwareOptions, is_firmware
from tf_medyate.exporter.check import FLOAT32, frozen_ranges, plan_export
from tf_medyate.exporter.lower.loss import Loss
from tf_medyate.exporter.lower.outputs import output_shape
from tf_medyate.exporter.lower.recipe import recipe_of
from tf_medyate.exporter.lower.step import TrainingGraph
from tf_medyate.exporter.manifest import (
    INT8_FILE,
    KERAS_FILE,
    MODEL_FILE,
    PLAN_FILE,
    TRAIN_FILE,
    FileEntry,
    LayerEntry,
    LossEntry,
    Manifest,
    MemoryEntry,
    OptimizerEntry,
    OutputEntry,
    PlacedTensor,
    SamplerEntry,
    file_entry,
    write_manifest,
)
from tf_medyate.exporter.memory.arena import ArenaPrediction
from tf_medyate.exporter.memory.planner import MemoryPlan
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.write.inference import write_plain
from tf_medyate.exporter.write.tflite import to_tflite
from tf_medyate.names import check_name
from tf_medyate.prepared.folding import require_prepared, strip
from tf_medyate.prepared.model import PreparedModel
from tf_medyate.select.frontier import Frontier
from tf_medyate.spec import BYTES, FLOAT_BYTES, LayerSpec, MemoryBudget, UpdatePlan, format_bytes

_MOST_NAME_BYTES = 250
# What `medyate export` puts beside the rest.
_OF_THE_COMMAND = ("memory.png", "model.names")


@dataclasses.dataclass(frozen=True, repr=False)
class Bundle:
    """What an export wrote.

    Attributes:
        folder: Where it lies.
        manifest: What plan.json says.
        arena: What train.tflite needs of memory, predicted.
        firmware: What a board needs without TFLM; None unless it was asked for.
        frontier: What fits the device that the layers were chosen for; None if for none.
    """

    folder: pathlib.Path
    manifest: Manifest
    arena: ArenaPrediction
    firmware: Firmware | None = None
    frontier: Frontier | None = None

    def __repr__(self) -> str:
        arena = format_bytes(self.arena.total_bytes)
        return f"<Bundle '{self.manifest.model}' in {self.folder}, arena {arena}>"

    def _repr_html_(self) -> str:
        files = self.manifest.files.items()
        rows = [(name, format_bytes(file.size_bytes)) for name, file in files]
        title, *others = str(self).splitlines()
        note = "\n".join(line.strip() for line in others[len(rows) :])
        return notebook.table(title, ("file", "size"), rows, note=note)

    def __str__(self) -> str:
        sizes = {name: format_bytes(f.size_bytes) for name, f in self.manifest.files.items()}
        sampler, memory = self.manifest.sampler, self.manifest.memory
        sample = self.manifest.sample
        drawn = sum(layer.drawn for layer in self.manifest.layers)
        budget = MemoryBudget(sampler.budget_amount, sampler.budget_unit)
        return "\n".join(
            [
                f"exported '{self.manifest.model}' to {self.folder}",
                *(f"  {name:<18} {size}" for name, size in sizes.items()),
                f"  {PLAN_FILE:<18} {drawn} layers to draw from, budget {budget}",
                *([f"  samples are {sample}"] if sample.is_int8 else []),
                f"  {self.arena}",
                f"  of it the pool {format_bytes(memory.pool_bytes)}{_left(memory, budget)}",
                f"  peak at {memory.peak_op}",
                *([str(self.firmware)] if self.firmware else []),
                *([str(self.frontier)] if self.frontier else []),
            ]
        )


def _left(memory: MemoryEntry, budget: MemoryBudget) -> str:
    """What is to be said of a pool that no draw can fill."""
    if budget.unit != BYTES or memory.pool_bytes > budget.amount - FLOAT_BYTES:
        return ""
    return f": room for every channel of these layers, the budget of {budget} is larger"


def export(
    model: PreparedModel,
    out: str | pathlib.Path,
    medyate: MeDyate | UpdatePlan | None = None,
    arena_limit: int | str | MemoryBudget | None = None,
    representative_data: Any = None,
    firmware: FirmwareOptions | None = None,
    *,
    frozen: str = FLOAT32,
    class_weight: Mapping[int, float] | None = None,
    plan: MeDyate | None = None,
) -> Bundle:
    """Exports inference and training of a prepared model for TensorFlow Lite Micro.

    Args:
        model: A prepared, compiled model; what is live in its pool is committed.
        out: Folder to write to, made if need be: model.tflite (inference, built-in ops, float32),
            model_int8.tflite (the same in int8, if there is representative data), train.tflite
            (one training step), model.keras (the model, for what comes back from a board) and
            plan.json. An earlier export there is replaced by the new one as a whole; other files
            stay.
        medyate: The MeDyate callback that fine-tuned the model, or was given it by `set_model`;
            or an UpdatePlan: the device trains its channels and the heads, and never draws.
        arena_limit: Largest arena that TFLM may be given for train.tflite, in bytes ("128KiB").
        representative_data: Samples [n, ...] to calibrate int8 with; also a tf.data.Dataset or a
            function, as `write_inference` takes them.
        firmware: What to write for a board: C++, an Arduino library. None: nothing.
        frozen: "int8": layers in front of everything that is trained are computed on int8 values,
            their ranges measured on `representative_data`; all layers that are never trained have
            int8 weights, also those after the first trained one, which are computed on floats.
            Samples come in 8 bits then, unless an op on floats reads them, too: the trainers on
            host and board make them of numbers. "float32": neither.
        class_weight: What the device multiplies the loss of a sample by, for each class; a class
            that it leaves out has 1. None: what the model's last `fit` was given; {}: nothing.
        plan: Deprecated: `medyate` as it was called before.

    Returns:
        What was written. A warning names the layers that are on in Keras's training and off on
        the device: dropout, noise, augmentation, activity regularization.

    Raises:
        NotPreparedError, PlanError: Model and callback, or plan, do not belong together.
        OptionError: Loss, optimizer or strategy cannot run on a device.
        UnsupportedLayerError: A layer cannot be exported.
        ArenaLimitError: The arena would be larger; the error says by how many bytes.
        BoardError: The model does not fit the board that `firmware` names.
        OutputError: The folder cannot be written; it is as it was.
    """
    require_prepared(model)
    if plan is not None:
        warnings.warn("export(plan=): deprecated; pass medyate=", DeprecationWarning, stacklevel=2)
        medyate = plan
    check_name("model.name", model.name, _MOST_NAME_BYTES)
    folder = files.check_folder("out", out)
    ranges = frozen_ranges(model, frozen, representative_data)
    recipe = recipe_of(model, medyate, class_weight)
    planned = plan_export(model, recipe, arena_limit, firmware, folder, ranges=ranges)
    training, memory, arena = planned.training, planned.memory, planned.arena
    if training.left_out:
        names = ", ".join(training.left_out)
        warnings.warn(f"Off on the device, which trains without: {names}", stacklevel=2)
    with files.replacing_folder(folder, _is_ours, last=PLAN_FILE) as draft:
        (draft / TRAIN_FILE).write_bytes(to_tflite(training.graph, memory))
        plain = strip(model)
        plain.save(draft / KERAS_FILE)
        write_plain(plain, draft / MODEL_FILE)
        if representative_data is not None:
            write_plain(plain, draft / INT8_FILE, representative_data, int8=True)
        entries = {path.name: file_entry(path.read_bytes()) for path in sorted(draft.iterdir())}
        manifest = _manifest(model, training, memory, arena, entries)
        write_manifest(manifest, draft / PLAN_FILE)
        written = planned.firmware.write(manifest, draft) if planned.firmware else None
    frontier = medyate.frontier if isinstance(medyate, MeDyate) else None
    return Bundle(folder, manifest, arena, written, frontier)


def _is_ours(place: pathlib.PurePath) -> bool:
    """Whether an export wrote this, so that the next one takes it away."""
    names = (TRAIN_FILE, MODEL_FILE, INT8_FILE, KERAS_FILE, PLAN_FILE)
    return str(place) in (*names, *_OF_THE_COMMAND) or is_firmware(place)


def _manifest(
    model: PreparedModel,
    training: TrainingGraph,
    memory: MemoryPlan,
    arena: ArenaPrediction,
    files: dict[str, FileEntry],
) -> Manifest:
    recipe = training.recipe
    strategy = recipe.strategy
    names = ("tensorflow", "keras", "numpy")
    versions = {name: importlib.metadata.version(name) for name in names}
    return Manifest(
        model=model.name,
        versions={"tf_medyate": __version__, **versions},
        op_schema_version=op_schema.VERSION,
        files=files,
        input_shape=list(training.sample_shape),
        inputs=inputs_of(model),
        output_shape=list(output_shape(model)),
        outputs=_outputs(model, recipe.loss),
        outputs_by_name=isinstance(model.output, dict),
        loss=_loss_entry(recipe.loss),
        ends_in=training.ends_in,
        optimizer=OptimizerEntry(**dataclasses.asdict(recipe.optimizer)),
        sampler=SamplerEntry(
            strategy=strategy.name,
            trains=strategy.trains,
            importance=strategy.importance,
            sampling=strategy.sampling,
            weighting=strategy.weighting,
            sharpness=float(strategy.sharpness),
            core=strategy.core,
            epochs_per_draw=strategy.epochs_per_draw,
            seed=recipe.seed,
            first_draw=recipe.first_draw,
            budget_amount=recipe.budget.amount,
            budget_unit=recipe.budget.unit,
            fixed_cost=recipe.cost.fixed(recipe.specs, recipe.kept),
        ),
        layers=[_layer_entry(spec, training, model) for spec in recipe.specs],
        memory=MemoryEntry(
            arena_bytes=arena.total_bytes,
            planned_bytes=arena.planned_bytes,
            variable_bytes=arena.variable_bytes,
            runtime_bytes=arena.runtime_bytes,
            board_arena_bytes=arena.board_bytes,
            pool_bytes=training.layout.pool_elements * FLOAT_BYTES,
            peak_op=memory.peak_op,
            tensors=[
                PlacedTensor(p.name, p.size_bytes, p.offset, p.first, p.last)
                for p in memory.placements
            ],
        ),
        sample=training.sample,
    )


def _outputs(model: PreparedModel, loss: Loss) -> tuple[OutputEntry, ...]:
    """None of a single one, whose shape and loss are the model's."""
    pairs = zip(outputs_of(model), loss.parts, strict=True) if loss.parts else ()
    return tuple(OutputEntry(end.name, end.shape, _loss_entry(part)) for end, part in pairs)


def _loss_entry(loss: Loss) -> LossEntry:
    return LossEntry(
        kind=loss.kind,
        weight=loss.weight,
        smoothing=loss.smoothing,
        delta=loss.delta,
        class_weights=list(loss.class_weights),
    )


def _layer_entry(spec: LayerSpec, training: TrainingGraph, model: PreparedModel) -> LayerEntry:
    places = training.layout.of(spec.name)
    by_importance = places is not None and places.importance_offset != op_schema.NO_IMPORTANCE
    prior = training.recipe.prior[spec.name] if by_importance else np.zeros(0, np.float32)
    return LayerEntry(
        name=spec.name,
        kind=spec.kind,
        channels=spec.channels,
        outputs=spec.outputs,
        macs=spec.macs,
        drawn=places is not None and places.is_drawn,
        whole=places is not None and not places.is_drawn,
        weights_per_channel=spec.weights_per_channel,
        stash=places.stash if places else 0,
        channel_cost=places.channel_cost if places else 0,
        biases=places.biases if places else 0,
        selection_offset=places.selection_offset if places else -1,
        run_offset=places.run_offset if places else -1,
        bias_offset=places.bias_offset if places else -1,
        capacity=places.capacity if places else 0,
        prior=[float(value) for value in prior],
        weights=training.weights.get(spec.name, ""),
        bias=training.biases.get(spec.name, ""),
        kernel_shape=[int(side) for side in model.get_layer(spec.name).kernel.shape],
    )
