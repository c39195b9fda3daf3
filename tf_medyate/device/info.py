"""What a host and a device tell each other about themselves."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from tf_medyate.device import protocol
from tf_medyate.device.link import DeviceError
from tf_medyate.device.protocol import DeviceStatus, Region
from tf_medyate.device.transport import LinkError
from tf_medyate.errors import OptionError
from tf_medyate.names import MOST_NAME_BYTES
from tf_medyate.sample_type import FLOATS, INT8, SampleType

_HALF = 0xFFFFFFFF
_LEAST_ROOM = 4 * protocol.LEAST_BUFFER_WORDS - protocol.HEADER_BYTES - protocol.CHECKSUM_BYTES
_MOST_ROOM = 0xFFFF
_LABEL_BYTES = 12  # digits, a tab and a line end
_DELTA_BYTES = 12  # of a float in a sparse delta, at most: a run of its own
_MOST_FLOATS = 1 << 24
"""Of a sample or of all weights: more than any microcontroller has."""


@dataclasses.dataclass(frozen=True)
class Expected:
    """What the host takes the device for; a device that is something else refuses.

    Attributes:
        model_hash: Of the export, 64 bits; 0 for any.
        sample_shape: Without the batch axis; () for any.
        classes: Of the data; 0 for targets, None for any.
    """

    model_hash: int = 0
    sample_shape: tuple[int, ...] = ()
    classes: int | None = None

    def to_bytes(self) -> bytes:
        """A hello's payload.

        Raises:
            OptionError: The sample has too many sides.
        """
        shape, rank = self.sample_shape, len(self.sample_shape)
        if rank > protocol.MAX_RANK:
            expected = f"at most {protocol.MAX_RANK} sides"
            raise OptionError("sample_shape", expected, f"{shape}", "Reshape the model's input.")
        return protocol.HELLO_REQUEST.pack(
            model_hash=(self.model_hash & _HALF, self.model_hash >> 32),
            sample_rank=rank,
            sample_dims=(*shape, *(0,) * (protocol.MAX_RANK - rank)),
            classes=protocol.ANY if self.classes is None else self.classes,
        )


@dataclasses.dataclass(frozen=True)
class DeviceInfo:
    """What runs on the device; `classes` is 0 if it learns targets of `outputs` numbers.

    Of the classes, those from `factory_classes` on are spare, or were enrolled since.
    """

    version: int
    name: str
    model_hash: int
    sample_shape: tuple[int, ...]
    classes: int
    factory_classes: int
    outputs: int
    request_bytes: int
    answer_bytes: int
    weights_floats: int
    batch_size: int
    sample: SampleType = FLOATS

    @classmethod
    def from_bytes(cls, payload: bytes) -> DeviceInfo:
        """Reads the answer to a hello."""
        words = protocol.HELLO_ANSWER.unpack(payload)
        low, high = words.pop("model_hash")
        rank, dims = words.pop("sample_rank"), words.pop("sample_dims")
        kind = _sample_type(words)
        name = payload[protocol.HELLO_ANSWER.size_bytes :].decode(errors="replace")
        shown = {"name": name, "model_hash": low | high << 32, "sample_shape": dims[:rank]}
        return cls(**shown, **words, sample=kind)

    def region_bytes(self, region: Region) -> tuple[int, int]:
        """How small and how large a region can be."""
        if region == Region.WEIGHTS:
            return 4 * self.weights_floats, 4 * self.weights_floats
        if region == Region.TICKET:
            return protocol.TICKET.size_bytes, protocol.TICKET.size_bytes
        if region == Region.NAMES:
            return 0, (self.classes + 1) * (MOST_NAME_BYTES + _LABEL_BYTES)
        return 0, (self.weights_floats + 4) * _DELTA_BYTES

    def check(self) -> None:
        """Makes sure that it makes sense: what is sent, and taken memory for, goes by it.

        Raises:
            LinkError: It does not.
        """
        rules = {
            f"protocol {protocol.VERSION}": self.version == protocol.VERSION,
            "samples with sides of 1 or more": min(self.sample_shape, default=1) >= 1,
            "samples of float32, or of int8 with a sound scale": self.sample.is_sound,
            f"at most {_MOST_FLOATS:,} floats": max(
                math.prod(self.sample_shape), self.weights_floats, self.outputs
            )
            <= _MOST_FLOATS,
            "one score for each class": self.outputs >= max(self.classes, 1),
            "no more classes at the factory than in all": self.factory_classes <= self.classes,
            f"room for {_LEAST_ROOM} to {_MOST_ROOM:,} bytes in a frame": all(
                _LEAST_ROOM <= room <= _MOST_ROOM
                for room in (self.request_bytes, self.answer_bytes)
            ),
            "a batch of 1 or more": self.batch_size >= 1,
        }
        for expected, holds in rules.items():
            if not holds:
                remedy = "See that this is a board with tf_medyate's firmware, and of this version."
                raise LinkError("hello", expected, f"{dataclasses.astuple(self)}", remedy)

    def __str__(self) -> str:
        spare = self.classes - self.factory_classes
        spare_text = f" ({spare} of them spare at the factory)" if spare else ""
        learns = (
            f"{self.classes} classes{spare_text}" if self.classes else f"{self.outputs} outputs"
        )
        kind = " in 8 bits" if self.sample.is_int8 else ""
        return (
            f"'{self.name}', model {self.model_hash:016x}: samples {self.sample_shape}{kind}, "
            f"{learns}, {self.weights_floats:,} weights, protocol {self.version}"
        )


@dataclasses.dataclass(frozen=True)
class DeviceCounters:
    """What the device says of itself; the meanings are in `protocol.STATUS_ANSWER`."""

    samples: int
    updates: int
    epochs: int
    draw: int
    is_sound: bool
    named_classes: int
    commits: int
    commits_left: int | None
    store_status: int
    arena_bytes: int
    held_samples: int
    dropped_epochs: int
    frames: int
    repeats: int
    bad_frames: int
    last_bad_frame: int

    @classmethod
    def from_bytes(cls, payload: bytes) -> DeviceCounters:
        """Reads the answer to a status request."""
        words = protocol.STATUS_ANSWER.unpack(payload)
        words["is_sound"] = bool(words["is_sound"])
        if words["commits_left"] == protocol.ANY:
            words["commits_left"] = None
        return cls(**words)


def _sample_type(words: dict[str, Any]) -> SampleType:
    """Takes what a hello says of samples out of its words."""
    is_int8 = words.pop("sample_is_int8")
    fields = ("factor", "offset", "scale", "zero")
    values = {name: words.pop(f"sample_{name}") for name in fields}
    if is_int8 == 0:
        return FLOATS
    return SampleType(INT8, **values) if is_int8 == 1 else SampleType(INT8, scale=0.0)


def refusal(status: int, expected: Expected, info: DeviceInfo) -> DeviceError:
    """Why a device does not take a host: what each of them has."""
    names = {
        DeviceStatus.OTHER_MODEL: (f"model {expected.model_hash:016x}", f"{info.model_hash:016x}"),
        DeviceStatus.OTHER_SHAPE: (f"samples {expected.sample_shape}", f"{info.sample_shape}"),
        DeviceStatus.OTHER_CLASSES: (f"{expected.classes} classes", f"{info.classes}"),
        DeviceStatus.BAD_VERSION: (f"protocol {protocol.VERSION}", f"{info.version}"),
    }
    if status not in names:
        return DeviceError("device", status)
    wanted, there = names[DeviceStatus(status)]
    received = f"{DeviceStatus(status).name}: {wanted} was expected, the device has {there}"
    return DeviceError("device", status, 0, received)
