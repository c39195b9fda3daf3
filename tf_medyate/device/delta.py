"""What a device has learned, in the format of `tflm_ops/store/sparse_delta.h`.

Example:
    >>> delta = read_delta(pathlib.Path("learned.delta").read_bytes())
    >>> print(delta)
    sparse delta of model 00c0ffee00c0ffee: 1,204 of 19,456 weights in 37 runs
"""

from __future__ import annotations

import dataclasses
import enum
import os
import pathlib
import struct
import zlib

import numpy as np

from tf_medyate.errors import MedyateError

MAGIC = 0x544C444D
VERSION = 1
_HEADER = struct.Struct("<12I")
_MOST_BYTES = 1 << 28
_LONGEST_GAP = 2
"""Equal weights that are carried along between different ones: a run's own words are as many."""


class DeltaKind(enum.IntEnum):
    """VALUES holds the learned weights; DIFFERENCES what has to be added to the factory's."""

    VALUES = 0
    DIFFERENCES = 1


class DeltaError(MedyateError, ValueError):
    """A sparse delta that is damaged, or belongs to another model or other weights."""


@dataclasses.dataclass(frozen=True)
class SparseDelta:
    """Runs of changed weights.

    Attributes:
        kind: What the runs hold.
        model_hash: Of the model, 64 bits.
        weights: Floats of the weights region.
        factory_crc: CRC-32 of the weights that it starts from.
        runs: Offset in floats and contents, float32 [n], rising and apart.
    """

    kind: DeltaKind
    model_hash: int
    weights: int
    factory_crc: int
    runs: tuple[tuple[int, np.ndarray], ...]

    @property
    def floats(self) -> int:
        """Weights in all runs."""
        return sum(len(values) for _, values in self.runs)

    def __str__(self) -> str:
        return (
            f"sparse delta of model {self.model_hash:016x}: {self.floats:,} of {self.weights:,} "
            f"weights in {len(self.runs)} runs"
        )

    def to_bytes(self) -> bytes:
        """The words as `EncodeDelta` writes them."""
        payload = b"".join(
            struct.pack("<II", offset, len(values)) + values.astype("<f4").tobytes()
            for offset, values in self.runs
        )
        words = struct.pack(
            "<11I",
            *(MAGIC, VERSION, self.kind, self.model_hash & 0xFFFFFFFF, self.model_hash >> 32),
            *(self.weights, self.factory_crc, len(self.runs), self.floats, zlib.crc32(payload), 0),
        )
        return words + struct.pack("<I", zlib.crc32(words)) + payload

    def apply(self, factory: np.ndarray, model_hash: int, any_model: bool = False) -> np.ndarray:
        """The learned weights region, float32 [weights].

        Args:
            factory: The region as it was exported, float32 [weights].
            model_hash: Of the model that `factory` belongs to.
            any_model: Take differences of another model with as many weights, too.

        Raises:
            DeltaError: It belongs to another model or other weights, or overflows.
        """
        base = np.ascontiguousarray(factory, dtype="<f4")
        self._check_base(base, model_hash, any_model)
        learned = base.astype(np.float32)
        for offset, values in self.runs:
            part = slice(offset, offset + len(values))
            if self.kind == DeltaKind.DIFFERENCES:
                with np.errstate(over="ignore"):
                    learned[part] += values
            else:
                learned[part] = values
        if not np.isfinite(learned).all():
            _refuse("finite weights", "a sum that overflows", "Do not use this delta.")
        return learned

    def _check_base(self, base: np.ndarray, model_hash: int, any_model: bool):
        is_foreign = self.model_hash != model_hash
        if is_foreign and any_model and self.kind != DeltaKind.DIFFERENCES:
            remedy = "Pull with --differences: weights of another model cannot be merged."
            _refuse("differences where models change", "a delta of values", remedy)
        if is_foreign and not any_model:
            remedy = "Use the Keras model and the export that the board was flashed with."
            received = f"one of model {self.model_hash:016x}"
            _refuse(f"one of model {model_hash:016x}", received, remedy)
        if base.shape != (self.weights,):
            remedy = "Use the export that the board was flashed with."
            _refuse(f"one for {self.weights:,} weights", f"weights of shape {base.shape}", remedy)
        if not is_foreign and zlib.crc32(base.tobytes()) != self.factory_crc:
            remedy = "Load the Keras model as it was when it was exported."
            _refuse("the weights that the delta starts from", "others of the same size", remedy)


def load_delta(path: str | os.PathLike) -> SparseDelta:
    """Reads a file that holds a delta; see `read_delta`.

    Raises:
        DeltaError: As `read_delta`, or the file is too large.
    """
    size = os.path.getsize(path)
    if size > _MOST_BYTES:
        _refuse(f"{_MOST_BYTES:,} bytes at most", f"{path} of {size:,}", "Check the path.")
    return read_delta(pathlib.Path(path).read_bytes())


def read_delta(data: bytes) -> SparseDelta:
    """Reads and checks a delta.

    Raises:
        DeltaError: It is none, is damaged, of another version, or holds NaN or infinity.
    """
    damaged = "Pull it again from where it came."
    if len(data) < _HEADER.size or len(data) % 4:
        _refuse(f"{_HEADER.size} bytes or more, whole words", f"{len(data)} bytes", damaged)
    magic, version, kind, low, high, weights, factory, runs, floats, payload_crc, _, header_crc = (
        _HEADER.unpack_from(data)
    )
    if magic != MAGIC:
        _refuse("a sparse delta", f"a file that begins with {data[:4]!r}", "Check the path.")
    if version != VERSION:
        remedy = "Bring firmware and tf_medyate to the same version."
        _refuse(f"version {VERSION}", f"version {version}", remedy)
    sound = header_crc == zlib.crc32(data[: _HEADER.size - 4]) and kind <= DeltaKind.DIFFERENCES
    if not sound or payload_crc != zlib.crc32(data[_HEADER.size :]):
        _refuse("right checksums", "wrong ones", damaged)
    read = _read_runs(data[_HEADER.size :], runs, weights)
    delta = SparseDelta(DeltaKind(kind), low | high << 32, weights, factory, read)
    if delta.floats != floats:
        _refuse(f"{floats} floats", f"{delta.floats}", damaged)
    return delta


def _read_runs(payload: bytes, runs: int, weights: int) -> tuple[tuple[int, np.ndarray], ...]:
    words = np.frombuffer(payload, "<u4")
    found, at, free_from = [], 0, 0
    for _ in range(runs):
        left = len(words) - at - 2
        offset, length = (int(words[at]), int(words[at + 1])) if left >= 0 else (0, 1)
        if length > left or offset < free_from or offset + length > weights:
            _refuse("runs that rise and fit", f"offset {offset}, length {length}", "Pull it again.")
        values = words[at + 2 : at + 2 + length].view("<f4").astype(np.float32)
        if not np.isfinite(values).all():
            _refuse("finite weights", "NaN or infinity", "Do not use this delta.")
        found.append((offset, values))
        at, free_from = at + 2 + length, offset + length
    if at != len(words):
        _refuse(f"{runs} runs", "words after them", "Pull it again.")
    return tuple(found)


def encode_delta(
    factory: np.ndarray,
    current: np.ndarray,
    model_hash: int,
    kind: DeltaKind = DeltaKind.VALUES,
) -> SparseDelta:
    """The weights that differ, bit for bit, between two states; the twin of `EncodeDelta`.

    Args:
        factory: The state that it starts from, float32 [weights].
        current: The learned state, float32 [weights].
        model_hash: Of the model, 64 bits.
        kind: What the runs hold.
    """
    base, now = (np.ascontiguousarray(a, dtype="<f4") for a in (factory, current))
    differ = base.view("<u4") != now.view("<u4")
    if kind == DeltaKind.VALUES:
        stored = now
    else:
        # Minus zero leaves every weight as it is when it is added.
        stored = np.where(differ, now - base, np.float32(-0.0)).astype(np.float32)
    changed = np.flatnonzero(differ)
    breaks = np.flatnonzero(np.diff(changed) > _LONGEST_GAP + 1) + 1
    groups = np.split(changed, breaks) if len(changed) else []
    runs = tuple((int(g[0]), stored[g[0] : g[-1] + 1].astype(np.float32)) for g in groups)
    return SparseDelta(kind, model_hash, len(base), zlib.crc32(base.tobytes()), runs)


def _refuse(expected: str, received: str, remedy: str):
    raise DeltaError("delta", expected, received, remedy)
