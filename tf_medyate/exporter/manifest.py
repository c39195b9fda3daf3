"""plan.json: what was exported, how it trains, and where everything lies.

Example:
    >>> manifest = read_manifest("out/plan.json")
    >>> [layer.name for layer in manifest.layers if layer.drawn]
    ['stem', 'body', ...]
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import pathlib
from typing import Any, NoReturn

import numpy as np

from tf_medyate.ends import End
from tf_medyate.errors import MedyateError
from tf_medyate.exporter.ir.values import SIGMOID_CROSS_ENTROPY, SOFTMAX_CROSS_ENTROPY
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.json_values import JsonError, build, read_object, require
from tf_medyate.lesson import check_label, join_labels, join_sample
from tf_medyate.sample_type import FLOATS, SampleType

FORMAT = "tf_medyate plan"
FORMAT_VERSION = 3
PLAN_FILE = "plan.json"
TRAIN_FILE = "train.tflite"
MODEL_FILE = "model.tflite"
INT8_FILE = "model_int8.tflite"
KERAS_FILE = "model.keras"


class BundleError(MedyateError, ValueError):
    """An exported folder that cannot be used: incomplete, damaged, or of another version."""


@dataclasses.dataclass(frozen=True)
class FileEntry:
    """A file of the bundle: its SHA-256 and its size."""

    sha256: str
    size_bytes: int


@dataclasses.dataclass(frozen=True)
class LayerEntry:
    """A weighted layer.

    Attributes:
        name, kind, channels, outputs, macs: As `LayerSpec`.
        drawn: Channels are drawn from it.
        whole: Every draw trains all of it.
        weights_per_channel: Weights of one input channel.
        stash: Input positions of one channel that are stored; 0 if it is not trained.
        channel_cost: Cost of one channel in the budget's unit; 0 if it is not trained.
        biases: Elements of the bias that is trained, 0 for none.
        selection_offset, run_offset, bias_offset: As `TrainedLayer`; -1 if it is not trained.
        capacity: Most channels that one draw can hold.
        prior: Importance [channels] that the first draw goes by; empty if it does not.
        weights, bias: Names of its constants in train.tflite; "" for no bias.
        kernel_shape: Shape of the Keras kernel.
    """

    name: str
    kind: str
    channels: int
    outputs: int
    macs: int
    drawn: bool
    whole: bool
    weights_per_channel: int
    stash: int
    channel_cost: int
    biases: int
    selection_offset: int
    run_offset: int
    bias_offset: int
    capacity: int
    prior: list[float]
    weights: str
    bias: str
    kernel_shape: list[int]


@dataclasses.dataclass(frozen=True)
class LossEntry:
    """The loss; as `lower.loss.Loss`."""

    kind: str
    weight: float
    smoothing: float
    delta: float
    class_weights: list[float]

    @property
    def takes_class(self) -> bool:
        """A label is the number of a class."""
        return self.kind == SOFTMAX_CROSS_ENTROPY

    @property
    def takes_shares(self) -> bool:
        """A label says a share from 0 to 1 for each number of the output."""
        return self.kind == SIGMOID_CROSS_ENTROPY


@dataclasses.dataclass(frozen=True)
class OptimizerEntry:
    """As `lower.optimizer.Optimizer`: a learning rate is a number, or a Keras schedule's."""

    kind: str
    learning_rate: float | dict[str, Any]
    momentum: float
    nesterov: bool
    beta_1: float
    beta_2: float
    epsilon: float
    weight_decay: float
    clip_value: float
    clip_norm: float
    batch_size: int


@dataclasses.dataclass(frozen=True)
class SamplerEntry:
    """How channels are drawn; as `Strategy` and `UpdatePlan`."""

    strategy: str
    trains: str
    importance: str
    sampling: str
    weighting: str
    sharpness: float
    core: float
    epochs_per_draw: int
    seed: int
    first_draw: int
    budget_amount: int
    budget_unit: str
    fixed_cost: int


@dataclasses.dataclass(frozen=True)
class PlacedTensor:
    """A tensor in the arena: ops `first` to `last` need it."""

    name: str
    size_bytes: int
    offset: int
    first: int
    last: int


@dataclasses.dataclass(frozen=True)
class MemoryEntry:
    """The arena, in bytes; as `ArenaPrediction` and `MemoryPlan`."""

    arena_bytes: int
    planned_bytes: int
    variable_bytes: int
    runtime_bytes: int
    board_arena_bytes: int
    pool_bytes: int
    peak_op: str
    tensors: list[PlacedTensor]


@dataclasses.dataclass(frozen=True)
class OutputEntry(End):
    """One of several outputs.

    Attributes:
        loss: Its loss.
    """

    loss: LossEntry


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Everything that plan.json says.

    Attributes:
        model: The model's name.
        versions: Package -> version that wrote the bundle.
        op_schema_version: Version of the ops' options.
        files: File name -> entry.
        input_shape: Shape of a sample, without the batch; of several inputs [n], one after the
            other.
        output_shape: Shape of the model's output, without the batch; of several outputs [n], one
            after the other.
        ends_in: What the model's output is of train.tflite's logits: their "softmax", their
            "sigmoid" or, if this is "", they themselves.
        loss, optimizer, sampler, layers, memory: See there.
        sample: How train.tflite takes a sample.
        inputs: The model's inputs; none in plans of earlier versions, which knew of a single one.
        outputs: The model's outputs if there are several.
        outputs_by_name: They come as a dict.
    """

    model: str
    versions: dict[str, str]
    op_schema_version: int
    files: dict[str, FileEntry]
    input_shape: list[int]
    output_shape: list[int]
    loss: LossEntry
    ends_in: str
    optimizer: OptimizerEntry
    sampler: SamplerEntry
    layers: list[LayerEntry]
    memory: MemoryEntry
    sample: SampleType = FLOATS
    inputs: tuple[End, ...] = ()
    outputs: tuple[OutputEntry, ...] = ()
    outputs_by_name: bool = False

    @property
    def takes_class(self) -> bool:
        """A label is the number of a class; else it is a target vector."""
        return self.loss.takes_class

    @property
    def takes_shares(self) -> bool:
        """Each number of a target lies between 0, for no, and 1, for yes."""
        return self.loss.takes_shares

    @property
    def inputs_by_name(self) -> tuple[End, ...]:
        """The model's inputs, in older plans, too."""
        return self.inputs or (End("sample", tuple(self.input_shape)),)

    def joined(self, sample: Any) -> np.ndarray:
        """A sample for all inputs as train.tflite, or a board, takes it; see `join_sample`."""
        return join_sample(sample, self.inputs_by_name)

    def joined_label(self, label: Any) -> int | np.ndarray:
        """A label as train.tflite, or a board, takes it: a class's number, or float32 [n].

        Args:
            label: As of `TFLMTrainer.step`; of several outputs a list or a dict of such labels,
                which then come one after the other, classes as one-hot rows.

        Raises:
            LabelError, DataError: As `check_label`; or an output is missing.
        """
        if self.outputs:
            kinds = [(e, e.loss.takes_class, e.loss.takes_shares) for e in self.outputs]
            return join_labels(label, kinds)
        classes = self.output_shape[-1] if self.takes_class else 0
        return check_label(label, classes, math.prod(self.output_shape), self.takes_shares)

    def divided(self, scores: np.ndarray) -> Any:
        """What several outputs gave, from [n]: a list or a dict, as the model gives it."""
        ends = np.cumsum([math.prod(end.shape) for end in self.outputs])[:-1]
        pairs = zip(np.split(scores.reshape(-1), ends), self.outputs, strict=True)
        parts = [part.reshape(end.shape) for part, end in pairs]
        names = [end.name for end in self.outputs]
        return dict(zip(names, parts, strict=True)) if self.outputs_by_name else parts

    def layer(self, name: str) -> LayerEntry | None:
        """The layer of that name."""
        return next((layer for layer in self.layers if layer.name == name), None)

    @property
    def trained(self) -> list[LayerEntry]:
        """The layers that are trained."""
        return [layer for layer in self.layers if layer.drawn or layer.whole]


def write_manifest(manifest: Manifest, path: str | pathlib.Path) -> None:
    """Writes plan.json, with a digest of its own content."""
    content = _marked(dataclasses.asdict(manifest))
    content["digest"] = _digest(content)
    pathlib.Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_manifest(path: str | pathlib.Path) -> Manifest:
    """Reads and checks plan.json.

    Raises:
        BundleError: It is missing, damaged, or of a version that this package does not read.
    """
    path = pathlib.Path(path)
    remedy = "Name a folder that medyate export wrote."
    try:
        content = read_object(path)
        remedy = "Export the model again with this version of tf_medyate."
        require(content, format=FORMAT, format_version=FORMAT_VERSION)
        remedy = "It was damaged or edited: export the model again."
        digest = content.pop("digest", None)
        if digest != _digest(_marked(content)):
            raise JsonError("content that its digest fits", "another")
        manifest = build(Manifest, content)
    except JsonError as error:
        raise BundleError(str(path), error.expected, error.received, remedy) from error
    if manifest.op_schema_version != op_schema.VERSION:
        _refuse(
            path,
            f"op options of version {op_schema.VERSION}",
            f"version {manifest.op_schema_version}",
            "Export the model again with this version of tf_medyate.",
        )
    return manifest


def read_file(folder: str | pathlib.Path, name: str, manifest: Manifest) -> bytes:
    """Reads a file of the bundle and checks that it is the one that plan.json describes.

    Raises:
        BundleError: It is missing, or another.
    """
    path = pathlib.Path(folder) / name
    entry = manifest.files.get(name)
    remedy = "Export the model again, and keep the files of one export together."
    if entry is None:
        _refuse(path, f"one of {sorted(manifest.files)}", name, remedy)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(str(path), "a readable file", str(error), remedy) from error
    if len(data) != entry.size_bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
        _refuse(path, f"{entry.size_bytes:,} bytes with the digest in plan.json", "others", remedy)
    return data


def file_entry(data: bytes) -> FileEntry:
    """The entry of a file with this content."""
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data))


def _marked(content: dict[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, "format_version": FORMAT_VERSION, **content}


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse(path: pathlib.Path, expected: str, received: str, remedy: str) -> NoReturn:
    raise BundleError(str(path), expected, received, remedy)
