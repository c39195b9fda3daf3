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
import pathlib
import types
import typing
from typing import Any

from tf_medyate.errors import MedyateError
from tf_medyate.exporter.ir.values import SOFTMAX_CROSS_ENTROPY
from tf_medyate.exporter.ops import schema as op_schema

FORMAT = "tf_medyate plan"
FORMAT_VERSION = 2
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
class OptimizerEntry:
    """SGD; as `recipe.Sgd`. A learning rate is a number, or a Keras schedule's configuration."""

    learning_rate: float | dict[str, Any]
    momentum: float
    nesterov: bool
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
class Manifest:
    """Everything that plan.json says.

    Attributes:
        model: The model's name.
        versions: Package -> version that wrote the bundle.
        op_schema_version: Version of the ops' options.
        files: File name -> entry.
        input_shape: Shape of a sample, without the batch.
        output_shape: Shape of the model's output, without the batch.
        loss: Name of the loss.
        ends_in_softmax: The model's output is the softmax of train.tflite's logits.
        optimizer, sampler, layers, memory: See there.
    """

    model: str
    versions: dict[str, str]
    op_schema_version: int
    files: dict[str, FileEntry]
    input_shape: list[int]
    output_shape: list[int]
    loss: str
    ends_in_softmax: bool
    optimizer: OptimizerEntry
    sampler: SamplerEntry
    layers: list[LayerEntry]
    memory: MemoryEntry

    @property
    def takes_class(self) -> bool:
        """A label is the number of a class; else it is a target vector."""
        return self.loss == SOFTMAX_CROSS_ENTROPY

    def layer(self, name: str) -> LayerEntry | None:
        """The layer of that name."""
        return next((layer for layer in self.layers if layer.name == name), None)

    @property
    def trained(self) -> list[LayerEntry]:
        """The layers that are trained."""
        return [layer for layer in self.layers if layer.drawn or layer.whole]


def write_manifest(manifest: Manifest, path: str | pathlib.Path) -> None:
    """Writes plan.json, with a digest of its own content."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **dataclasses.asdict(manifest)}
    content["digest"] = _digest(content)
    pathlib.Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_manifest(path: str | pathlib.Path) -> Manifest:
    """Reads and checks plan.json.

    Raises:
        BundleError: It is missing, damaged, or of a version that this package does not read.
    """
    path = pathlib.Path(path)
    content = _load(path)
    found = (content.pop("format", None), content.get("format_version"))
    if found != (FORMAT, FORMAT_VERSION):
        _refuse(
            path,
            f'"{FORMAT}", version {FORMAT_VERSION}',
            f"{found[0]!r}, version {found[1]!r}",
            "Export the model again with this version of tf_medyate.",
        )
    digest = content.pop("digest", None)
    if digest != _digest({"format": FORMAT, **content}):
        _refuse(
            path,
            "content that its digest fits",
            "another",
            "It was damaged or edited: export the model again.",
        )
    del content["format_version"]
    manifest = _build(Manifest, content, path, PLAN_FILE)
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


def _load(path: pathlib.Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        remedy = "Name a folder that medyate export wrote."
        raise BundleError(str(path), "a readable plan.json", str(error), remedy) from error
    if not isinstance(content, dict):
        _refuse(path, "a JSON object", type(content).__name__, "Export the model again.")
    return content


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _build(kind: Any, value: Any, path: pathlib.Path, where: str) -> Any:
    """A value of a type of this module, checked against it."""
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, path, where)
    if origin in (typing.Union, types.UnionType):
        matching = [k for k in typing.get_args(kind) if _matches(k, value)]
        if matching:
            return _build(matching[0], value, path, where)
    elif _matches(kind, value):
        arguments = typing.get_args(kind)
        if origin is list:
            items = enumerate(value)
            return [_build(arguments[0], item, path, f"{where}[{i}]") for i, item in items]
        if origin is dict:
            return {k: _build(arguments[1], v, path, f"{where}.{k}") for k, v in value.items()}
        return value
    return _refuse(path, f"{where} of type {kind}", type(value).__name__, "Export again.")


def _build_dataclass(kind: Any, value: Any, path: pathlib.Path, where: str) -> Any:
    hints = typing.get_type_hints(kind)
    if not isinstance(value, dict) or set(value) != set(hints):
        received = sorted(value) if isinstance(value, dict) else type(value).__name__
        _refuse(path, f"{where} with {sorted(hints)}", str(received), "Export the model again.")
    return kind(**{n: _build(h, value[n], path, f"{where}.{n}") for n, h in hints.items()})


def _matches(kind: Any, value: Any) -> bool:
    if kind is Any:
        return True
    plain = typing.get_origin(kind) or kind
    if plain is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if plain is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, plain)


def _refuse(path: pathlib.Path, expected: str, received: str, remedy: str) -> typing.NoReturn:
    raise BundleError(str(path), expected, received, remedy)
