"""What an export would refuse, found out before training; the export itself begins with it.

Example:
    >>> model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    >>> print(md.check_export(model, medyate, arena_limit="128KiB"))
    can be exported: arena ... bytes: planned ..., variables ..., ...
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from tf_medyate.callback import MeDyate
from tf_medyate.errors import OptionError
from tf_medyate.exporter.board.firmware import FirmwareOptions, FirmwarePlan, plan_firmware
from tf_medyate.exporter.ir.values import Quantization
from tf_medyate.exporter.lower.calibration import measure_ranges
from tf_medyate.exporter.lower.recipe import TrainingRecipe, recipe_of, unranked_recipe
from tf_medyate.exporter.lower.step import TrainingGraph, lower_training
from tf_medyate.exporter.memory.arena import ArenaPrediction, predict_arena
from tf_medyate.exporter.memory.planner import ArenaLimitError, MemoryPlan, plan_memory
from tf_medyate.exporter.write.inference import calibration_samples
from tf_medyate.prepared.folding import require_prepared
from tf_medyate.prepared.model import PreparedModel
from tf_medyate.spec import BYTES, MemoryBudget, UpdatePlan

_FAST_SCRATCH_CHANNELS = 4
FLOAT32, INT8 = "float32", "int8"


@dataclasses.dataclass(frozen=True)
class ExportPlan:
    """What is to be exported, checked; nothing is written yet.

    Attributes:
        training: The training graph.
        memory: Where its tensors lie.
        arena: What that needs of memory, predicted.
        firmware: What a board needs without TFLM; None unless it was asked for.
        is_ranked: The layers are those that will be trained; else all of them stand for those.
    """

    training: TrainingGraph
    memory: MemoryPlan
    arena: ArenaPrediction
    firmware: FirmwarePlan | None
    is_ranked: bool

    def __str__(self) -> str:
        if not self.is_ranked:
            return (
                "can be exported, as far as that is known before the layers are ranked: call "
                "set_model(model) on the callback to know the arena, too"
            )
        fit = self.firmware.fit if self.firmware else None
        names = ", ".join(self.training.left_out)
        off = f"off on the device, which trains without: {names}" if names else None
        return "\n".join(str(part) for part in (f"can be exported: {self.arena}", fit, off) if part)


def check_export(
    model: PreparedModel,
    medyate: MeDyate | UpdatePlan,
    arena_limit: int | str | MemoryBudget | None = None,
    firmware: FirmwareOptions | None = None,
    *,
    frozen: str = FLOAT32,
    representative_data: Any = None,
    class_weight: Mapping[int, float] | None = None,
) -> ExportPlan:
    """Raises what `md.export` would raise; changes and writes nothing.

    Args:
        model: A prepared, compiled model.
        medyate: Its callback, or an UpdatePlan. Before a callback has seen the model (in `fit`,
            or by `set_model`) every layer is taken to be trained, and arena and board are not
            checked.
        arena_limit: As `md.export`.
        firmware: As `md.export`.
        frozen: As `md.export`.
        representative_data: As `md.export`.
        class_weight: As `md.export`.

    Returns:
        What would be exported; prints itself in a line or two.

    Raises:
        NotPreparedError, PlanError: Model and callback, or plan, do not belong together.
        OptionError: Loss, optimizer, strategy or firmware option cannot run on a device.
        UnsupportedLayerError: A layer cannot be exported.
        ArenaLimitError: The arena would be larger; the error says by how many bytes.
        BoardError: The model does not fit the board that `firmware` names.
    """
    require_prepared(model)
    ranges = frozen_ranges(model, frozen, representative_data)
    if not isinstance(medyate, MeDyate) or medyate.attached_model is not None:
        recipe = recipe_of(model, medyate, class_weight)
        return plan_export(model, recipe, arena_limit, firmware, ranges=ranges)
    if firmware is not None:
        firmware = dataclasses.replace(firmware, board=None)
    recipe = unranked_recipe(model, medyate, class_weight)
    return plan_export(model, recipe, None, firmware, is_ranked=False)


def frozen_ranges(
    model: PreparedModel, frozen: str, representative_data: Any
) -> Mapping[str, Quantization] | None:
    """The ranges of activations, if frozen layers are to be computed in 8 bits.

    Raises:
        OptionError: Another `frozen` than "float32" or "int8"; "int8" without representative data.
        DataError: `representative_data` do not fit the model.
    """
    if frozen not in (FLOAT32, INT8):
        expected = f"'{FLOAT32}' or '{INT8}'"
        raise OptionError("frozen", expected, repr(frozen), "Choose one of them.")
    if frozen == FLOAT32:
        return None
    samples = calibration_samples(model, representative_data, "frozen='int8'")
    return measure_ranges(model, samples)


def plan_export(
    model: PreparedModel,
    recipe: TrainingRecipe,
    arena_limit: int | str | MemoryBudget | None,
    firmware: FirmwareOptions | None,
    folder: pathlib.Path = pathlib.Path(),
    is_ranked: bool = True,
    ranges: Mapping[str, Quantization] | None = None,
) -> ExportPlan:
    """Finds out what will be exported; arguments and errors as `check_export`.

    Args:
        model: The prepared model.
        recipe: What is trained, and how.
        arena_limit: Largest arena.
        firmware: What to write for a board.
        folder: Where it shall go.
        is_ranked: As `ExportPlan`.
        ranges: As `lower_training`.
    """
    limit = limit_bytes("arena_limit", arena_limit)
    training, memory, arena = lowered(model, recipe, limit, ranges)
    if arena.needed_bytes > limit:
        raise _too_large(memory, arena, int(limit))
    shape = training.sample_shape
    planned = plan_firmware(training, memory, shape, folder, firmware) if firmware else None
    return ExportPlan(training, memory, arena, planned, is_ranked)


def lowered(
    model: PreparedModel,
    recipe: TrainingRecipe,
    limit: float = math.inf,
    ranges: Mapping[str, Quantization] | None = None,
) -> tuple[TrainingGraph, MemoryPlan, ArenaPrediction]:
    """Lowers and plans; with less scratch memory where the arena's limit, in bytes, asks for it."""
    training = lower_training(model, recipe, _FAST_SCRATCH_CHANNELS, ranges=ranges)
    memory = plan_memory(training.graph, training.in_place)
    arena = predict_arena(training.graph, memory)
    if arena.needed_bytes > limit:
        training = lower_training(model, recipe, scratch_channels=1, ranges=ranges)
        memory = plan_memory(training.graph, training.in_place)
        arena = predict_arena(training.graph, memory)
    return training, memory, arena


def limit_bytes(argument: str, given: int | str | MemoryBudget | None) -> float:
    """A limit in bytes, infinite for None.

    Raises:
        OptionError, BudgetError: It is not in bytes, or cannot be read.
    """
    if given is None:
        return math.inf
    limit = MemoryBudget.parse(given)
    if limit.unit != BYTES:
        raise OptionError(argument, "bytes", str(limit), 'Write, for example, "128KiB".')
    return limit.amount


def _too_large(memory: MemoryPlan, arena: ArenaPrediction, limit: int) -> ArenaLimitError:
    largest = ", ".join(f"{p.name} ({p.size_bytes:,} bytes)" for p in memory.at_peak[:5])
    excess = arena.needed_bytes - limit
    return ArenaLimitError(
        "arena_limit",
        f"at least {arena.needed_bytes:,} bytes ({arena})",
        f"{limit:,} bytes, {excess:,} too few",
        f"Largest at the peak, op {memory.peak} {memory.peak_op}: {largest}. "
        "Take a smaller input, model or budget.",
        excess,
    )
