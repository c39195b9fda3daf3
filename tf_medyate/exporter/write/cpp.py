"""The training step as C++ constants, for the static runner: no flatbuffer, no TFLM.

Three files: `medyate_model.h` and `medyate_model.cc` describe the model (tflm_ops/trainer/
static_model.h), `medyate_weights.cc` holds its constants. Weights that can be trained lie together
in whole flash pages of their own, so that a commit can patch them; they stand in a translation unit
of their own, so that no compiler folds them into code.

Example:
    >>> print(write_cpp(training, memory_plan, "sketch/"))
    C++ model in sketch: arena ... bytes on a 32-bit board, weights region ... flash pages of 4 KiB
"""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np

from tf_medyate.errors import PlanError, UnsupportedLayerError
from tf_medyate.exporter.ir.graph import Graph
from tf_medyate.exporter.ir.values import CONSTANT, VARIABLE
from tf_medyate.exporter.lower.step import TrainingGraph
from tf_medyate.exporter.memory.placing import align
from tf_medyate.exporter.memory.planner import MemoryPlan
from tf_medyate.exporter.ops.options import is_custom
from tf_medyate.exporter.write.class_names import check_classes
from tf_medyate.exporter.write.cpp_model import DeviceParts, model_text
from tf_medyate.exporter.write.cpp_text import (
    HEADER_FILE,
    MODEL_FILE,
    WEIGHTS_FILE,
    Places,
    header_text,
    importance_floats,
    weights_text,
)
from tf_medyate.spec import FLASH_PAGE_BYTES, FLOAT_BYTES

_BOARD_TENSOR_BYTES = 12  # tflm::EvalTensor with 32-bit pointers


@dataclasses.dataclass(frozen=True)
class CppModel:
    """What was written.

    Attributes:
        folder: Where it lies.
        planned_bytes: Arena of the planned tensors.
        variable_bytes: Pool, selection and importance, after them in the arena.
        tensors: Each costs a record of three words in the arena.
        weights: Name of a trained weights or bias tensor -> its first float in the region.
        region: The weights region, float32 in whole pages, as the device leaves the factory.
        factory_copy: The device has a second copy of it.
        run_pages: Pages of packed runs of its journal; 0: that holds images of all pages.
        constant_bytes: Constants that never change.
        importance_floats: Channels that draws go by; each commit keeps their importances.
        kinds: Of its ops.
        model_hash: Of everything that was written; what tells one model from another.
    """

    folder: pathlib.Path
    planned_bytes: int
    variable_bytes: int
    tensors: int
    weights: Mapping[str, int]
    region: np.ndarray
    factory_copy: bool
    run_pages: int
    constant_bytes: int
    importance_floats: int
    kinds: frozenset[str]
    model_hash: int

    @property
    def weights_floats(self) -> int:
        """Floats of the weights region."""
        return len(self.region)

    @property
    def board_arena_bytes(self) -> int:
        """Bytes of the arena on a 32-bit board."""
        return self.planned_bytes + self.variable_bytes + _BOARD_TENSOR_BYTES * self.tensors

    @property
    def weight_pages(self) -> int:
        """Flash pages of the weights region."""
        return self.weights_floats * FLOAT_BYTES // FLASH_PAGE_BYTES

    @property
    def importance_pages(self) -> int:
        """Flash pages of the importances in a commit."""
        return -(-self.importance_floats * FLOAT_BYTES // FLASH_PAGE_BYTES)

    def __str__(self) -> str:
        return (
            f"C++ model in {self.folder}: arena {self.board_arena_bytes:,} bytes on a 32-bit "
            f"board, weights region {self.weight_pages} flash pages of 4 KiB"
            f"{', a journal of runs' if self.run_pages else ''}"
        )


@dataclasses.dataclass(frozen=True)
class CppSources:
    """What is to be written.

    Attributes:
        texts: File name -> content, ASCII.
        model: What it will be.
    """

    texts: Mapping[str, str]
    model: CppModel

    def write(self, folder: pathlib.Path) -> CppModel:
        """Writes it to a folder, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.texts.items():
            (folder / name).write_text(text, encoding="ascii")
        return self.model


def write_cpp(
    training: TrainingGraph,
    memory_plan: MemoryPlan,
    folder: str | pathlib.Path,
    device: DeviceParts = DeviceParts(),  # noqa: B008  (frozen)
) -> CppModel:
    """Writes a training step as C++ sources; see `cpp_sources`."""
    return cpp_sources(training, memory_plan, folder, device).write(pathlib.Path(folder))


def cpp_sources(
    training: TrainingGraph,
    memory_plan: MemoryPlan,
    folder: str | pathlib.Path,
    device: DeviceParts,
) -> CppSources:
    """A training step as C++ sources; the same model gives the same bytes.

    Args:
        training: The lowered model.
        memory_plan: Where its tensors lie, by `plan_memory` of this very graph.
        folder: Where they shall go.
        device: Names of classes, spare ones, factory copy.

    Returns:
        The sources; nothing is written yet.

    Raises:
        OptionError: Class names do not fit the classes; the learning rate's schedule has no twin on
            the device; a weight is not finite.
        PlanError: The plan was made for another graph.
        UnsupportedLayerError: It has built-in ops of TFLM.
    """
    _check_ops(training.graph)
    check_classes(training, device)
    places = _place(training, memory_plan)
    sizes = _model(training, places, pathlib.Path(folder), device)
    weights = weights_text(training, places, device.factory_copy)
    source = model_text(training, places, 0, device)
    digest = hashlib.sha256((weights + source).encode()).digest()
    model_hash = int.from_bytes(digest[:8], "little")
    texts = {
        HEADER_FILE: header_text(training, places, device.run_pages),
        MODEL_FILE: model_text(training, places, model_hash, device),
        WEIGHTS_FILE: weights,
    }
    return CppSources(texts, dataclasses.replace(sizes, model_hash=model_hash))


def builtin_ops(graph: Graph) -> tuple[str, ...]:
    """Kinds of the ops of a graph that only TFLM has, sorted."""
    return tuple(sorted({op.kind for op in graph.ops if not is_custom(op)}))


def _check_ops(graph: Graph):
    """Raises UnsupportedLayerError if the static runner lacks an op."""
    kinds = builtin_ops(graph)
    if kinds:
        raise UnsupportedLayerError(
            f"graph '{graph.name}'",
            "ops of ours, for a board without TFLM",
            f"built-in ops of TFLM in front of what is trained: {', '.join(kinds)}",
            "Write the library for TFLM alone: FirmwareOptions(tflm=True), or --tflm --board any; "
            "of LayersThatFit give arena_limit alone.",
        )


def cpp_sizes(training: TrainingGraph, memory_plan: MemoryPlan, factory_copy: bool) -> CppModel:
    """What `cpp_sources` would come to, without the sources: no hash, a journal of pages."""
    _check_ops(training.graph)
    device = DeviceParts(factory_copy=factory_copy)
    return _model(training, _place(training, memory_plan), pathlib.Path(), device)


def _model(
    training: TrainingGraph, places: Places, folder: pathlib.Path, device: DeviceParts
) -> CppModel:
    return CppModel(
        folder,
        places.planned_bytes,
        places.variable_bytes,
        len(training.graph.tensors),
        places.weights,
        places.region,
        device.factory_copy,
        device.run_pages,
        sum(align(training.graph.tensor(name).size_bytes) for name in places.constants),
        importance_floats(training.graph),
        frozenset(op.kind for op in training.graph.ops),
        model_hash=0,
    )


def _place(training: TrainingGraph, plan: MemoryPlan) -> Places:
    graph = training.graph
    if list(plan.offsets) != [tensor.name for tensor in graph.tensors]:
        raise PlanError(
            "memory_plan",
            f"a memory plan of graph '{graph.name}'",
            f"one of '{plan.graph}' with other tensors",
            "Call plan_memory with this very graph.",
        )
    arena = {name: offset for name, offset in plan.offsets.items() if offset >= 0}
    end = planned = align(plan.arena_bytes)
    for tensor in graph.tensors:
        if tensor.kind == VARIABLE:
            arena[tensor.name] = end
            end += align(tensor.size_bytes)
    weights, region = _region(training)
    names = [t.name for t in graph.tensors if t.kind == CONSTANT and t.name not in weights]
    constants = {name: f"kConstant{index}" for index, name in enumerate(names)}
    return Places(arena, planned, end - planned, weights, region, constants)


def _region(training: TrainingGraph) -> tuple[dict[str, int], np.ndarray]:
    """The trained weights and biases, layer after layer, filled up to whole pages."""
    offsets, parts, end = {}, [], 0
    for name in _trained_tensors(training):
        data = training.graph.tensor(name).data
        assert data is not None
        offsets[name] = end
        padded = np.zeros(align(data.nbytes) // FLOAT_BYTES, np.float32)
        padded[: data.size] = data.reshape(-1)
        parts.append(padded)
        end += padded.size
    page = FLASH_PAGE_BYTES // FLOAT_BYTES
    rest = -end % page if end else page
    return offsets, np.concatenate([*parts, np.zeros(rest, np.float32)])


def _trained_tensors(training: TrainingGraph) -> Iterable[str]:
    for layer in training.layout.layers:
        yield training.weights[layer.spec.name]
        if layer.biases:
            yield training.biases[layer.spec.name]
