"""The C++ source that describes a training step: tflm_ops/trainer/static_model.h, filled in.

Example:
    >>> text = model_text(training, places, model_hash=0)
"""

from __future__ import annotations

import dataclasses
import textwrap
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from tf_medyate.errors import OptionError
from tf_medyate.exporter.ir.nodes import Tensor
from tf_medyate.exporter.ir.values import ABSENT, SIGMOID, SOFTMAX
from tf_medyate.exporter.lower.backward import IMPORTANCE, LEARNING_RATE
from tf_medyate.exporter.lower.state import COMMAND, POOL, SELECTION
from tf_medyate.exporter.lower.step import LABEL, LOGITS, LOSS, SAMPLE, TrainingGraph
from tf_medyate.exporter.lower.training_layout import TrainedLayer
from tf_medyate.exporter.ops import options as op_options
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.write.cpp_text import (
    CTYPES,
    HEADER_FILE,
    NOTICE,
    WEIGHTS_FILE,
    Places,
    comment,
    cpp_float,
    cpp_string,
)
from tf_medyate.sample_type import SampleType
from tf_medyate.spec import FLOAT_BYTES

_ABSENT_INDEX = -1
_TYPES = {"float32": "kFloat32", "int32": "kInt32", "uint8": "kUInt8", "int8": "kInt8"}
_KEYS = {op.name: op.key for op in op_schema.OPS}
_WIDTH = 100


@dataclasses.dataclass(frozen=True)
class DeviceParts:
    """What a board has beside the training graph.

    Attributes:
        class_names: Of all classes but the spare ones, or none at all.
        spare_classes: How many of the head's outputs are spare, the last ones.
        factory_copy: A second copy of the trained weights, to go back to.
        run_pages: Pages of packed runs of its journal; 0: that holds images of all pages.
    """

    class_names: tuple[str, ...] = ()
    spare_classes: int = 0
    factory_copy: bool = True
    run_pages: int = 0


def model_text(
    training: TrainingGraph, places: Places, model_hash: int, device: DeviceParts
) -> str:
    """The source that describes the model: tensors, nodes, trained layers, classes.

    Raises:
        OptionError: The learning rate's schedule has no twin on the device.
    """
    graph = training.graph
    index = {tensor.name: number for number, tensor in enumerate(graph.tensors)}
    index[ABSENT] = _ABSENT_INDEX
    externs = [
        f"extern const {CTYPES[graph.tensor(name).dtype]} {constant}[];"
        for name, constant in places.constants.items()
    ]
    lines = [
        NOTICE,
        "",
        f'#include "{HEADER_FILE}"',
        "",
        '#include "tflm_ops/kernels/ops.h"',
        '#include "tflm_ops/math/losses.h"',
        '#include "tflm_ops/math/smooth.h"',
        "",
        "namespace medyate_model {",
        "",
        f"// In {WEIGHTS_FILE}.",
        "extern const float kWeights[];",
        *(["extern const float kFactory[];"] if device.factory_copy else []),
        *externs,
        "",
        "namespace {",
        "",
        "using medyate::Place;",
        "using namespace medyate::tflm;  // NOLINT",
        "",
        *_tables(training, places, index),
        *_class_names(device),
        "}  // namespace",
        "",
        *_fields(training, places, index, model_hash, device),
        "",
        "}  // namespace medyate_model",
        "",
    ]
    return "\n".join(lines)


def _tables(training: TrainingGraph, places: Places, index: Mapping[str, int]) -> list[str]:
    """Tensors, nodes and trained layers, after the arrays that they point to."""
    graph, arrays = training.graph, _Arrays()
    tensors = [
        f"{{{arrays.ints(tensor.shape)}, {_where(tensor, places)}}},  "
        f"// {number}: {comment(tensor.name)}"
        for number, tensor in enumerate(graph.tensors)
    ]
    nodes = [
        f"{{medyate::Register{_KEYS[op.kind]}, {arrays.ints([index[n] for n in op.inputs])}, "
        f"{arrays.ints([index[n] for n in (*op.outputs, *op.scratch)])}, "
        f"{arrays.words(op_options.custom_options(op))}}},"
        for op in graph.ops
    ]
    layers = [_layer(layer, training, places) for layer in training.layout.layers]
    return [
        *arrays.lines,
        "",
        *_table("StaticTensor kTensors", tensors),
        *_table("StaticNode kNodes", nodes),
        *_table("TrainedLayer kLayers", layers),
    ]


def _class_names(device: DeviceParts) -> list[str]:
    if not device.class_names:
        return []
    names = (f"{cpp_string(name)}," for name in device.class_names)
    return ["const char* const kClassNames[] = {", *(f"    {name}" for name in names), "};", ""]


def _table(what: str, rows: Iterable[str]) -> list[str]:
    return [f"const medyate::{what}[] = {{", *(f"    {row}" for row in rows), "};", ""]


class _Arrays:
    """Constant arrays of numbers, each content once."""

    def __init__(self):
        self.lines: list[str] = []
        self._names: dict[tuple, str] = {}

    def ints(self, numbers: Iterable[int]) -> str:
        """An int array with its length in front; the array's name."""
        values = list(numbers)
        return self._array("int", "kInts", [str(v) for v in (len(values), *values)])

    def words(self, data: bytes) -> str:
        """Bytes as 32-bit words; the array's name, and how many bytes it has."""
        values = np.frombuffer(data, "<u4")
        return f"{self._array('uint32_t', 'kWords', [f'{v:#x}' for v in values])}, {len(data)}"

    def _array(self, ctype: str, prefix: str, values: list[str]) -> str:
        key = (ctype, *values)
        if key not in self._names:
            self._names[key] = f"{prefix}{len(self._names)}"
            head = f"const {ctype} {self._names[key]}[] = {{"
            self.lines += textwrap.wrap(
                f"{head}{', '.join(values)}}};", _WIDTH, subsequent_indent=" " * 4
            )
        return self._names[key]


def _where(tensor: Tensor, places: Places) -> str:
    constant, offset, place = "nullptr", 0, "kArena"
    if tensor.name in places.weights:
        place, offset = "kWeights", places.weights[tensor.name] * FLOAT_BYTES
    elif tensor.name in places.constants:
        place, constant = "kConstant", places.constants[tensor.name]
    else:
        offset = places.arena[tensor.name]
    return f"{constant}, {offset}, {_TYPES[tensor.dtype]}, Place::{place}"


def _layer(layer: TrainedLayer, training: TrainingGraph, places: Places) -> str:
    name = layer.spec.name
    bias = (0, 0, 0)
    if layer.biases:
        bias = (layer.biases, layer.bias_offset, places.weights[training.biases[name]])
    words = (
        layer.selection_offset,
        layer.spec.weights_per_channel,
        places.weights[training.weights[name]],
        *bias,
    )
    return f"{{{', '.join(str(word) for word in words)}}},  // {comment(name)}"


def _fields(
    training: TrainingGraph,
    places: Places,
    index: Mapping[str, int],
    model_hash: int,
    device: DeviceParts,
) -> list[str]:
    graph, recipe = training.graph, training.recipe
    options = op_schema.CONTROL_OPTIONS.unpack(op_options.custom_options(graph.ops[0]))
    classes = options["classes"]
    assert isinstance(classes, int)
    named = (SAMPLE, LABEL, LEARNING_RATE, COMMAND, LOGITS, LOSS, POOL, SELECTION)
    rows = [
        (f'"{comment(graph.name)}"', "name"),
        (f"{{{model_hash & 0xFFFFFFFF:#x}, {model_hash >> 32:#x}}}", "hash"),
        (f"kTensors, {len(graph.tensors)}", "tensors"),
        (f"kNodes, {len(graph.ops)}", "nodes"),
        (f"{places.planned_bytes}, {places.variable_bytes}", "bytes planned, of variables"),
        (f"kWeights, {len(places.region)}", "weights region, floats"),
        (f"{zlib.crc32(places.region.astype('<f4').tobytes()):#x}", "its CRC-32"),
        (f"kLayers, {len(training.layout.layers)}", "trained layers"),
        *((str(index[name]), name) for name in named),
        (str(index.get(IMPORTANCE, _ABSENT_INDEX)), IMPORTANCE),
        (str(classes), "classes"),
        (_bool(recipe.loss.takes_shares), "targets are shares"),
        (_SCORES[training.ends_in], "scores"),
        (str(recipe.optimizer.batch_size), "samples a batch"),
        (_bool(recipe.optimizer.clip_norm > 0), "clips the gradients' norm"),
        (str(training.recipe.strategy.epochs_per_draw), "epochs a draw"),
        (_schedule(recipe.optimizer.learning_rate), "learning rate"),
        ("kFactory" if device.factory_copy else "nullptr", "factory weights"),
        (str(classes - device.spare_classes), "named classes"),
        ("kClassNames" if device.class_names else "nullptr", "their names"),
        (_sample_type(training.sample), "factor, offset, scale and zero of samples in 8 bits"),
        (str(device.run_pages), "pages of packed runs in the journal"),
    ]
    lines = [f"    {value},  // {meaning}" for value, meaning in rows]
    return ["const medyate::StaticModel kModel = {", *lines, "};"]


def _sample_type(kind: SampleType) -> str:
    """A medyate::SampleType."""
    floats = map(cpp_float, (kind.factor, kind.offset, kind.scale))
    return f"{{{', '.join([*floats, str(kind.zero)])}}}"


_SCORES = {
    "": "nullptr",
    SOFTMAX: "medyate::math::Softmax",
    SIGMOID: "medyate::math::SigmoidForward",
}


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _schedule(rate: float | Mapping[str, Any]) -> str:
    """A medyate::CosineSchedule."""
    if not isinstance(rate, Mapping):
        return f"{{{cpp_float(rate)}, {cpp_float(rate)}, 1.0f, 0, 0}}"
    schedule = keras.optimizers.schedules.deserialize(dict(rate))
    config = schedule.get_config()
    steps = (config.get("warmup_steps", 0), config.get("decay_steps", 0))
    whole = all(step == int(step) and 0 <= step < 2**31 for step in steps)
    if type(schedule) is not keras.optimizers.schedules.CosineDecay or not whole:
        raise OptionError(
            "model.optimizer.learning_rate",
            "a number, or keras.optimizers.schedules.CosineDecay over a whole number of steps",
            f"{type(schedule).__name__}({config})",
            "Compile the model with one of these for a board without TFLM: it has no others.",
        )
    start, target = config["initial_learning_rate"], config["warmup_target"]
    floats = (start, start if target is None else target, config["alpha"])
    warmup, decay = (int(step) for step in steps)
    counts = (0 if target is None else warmup, decay)
    return f"{{{', '.join([*map(cpp_float, floats), *map(str, counts)])}}}"
