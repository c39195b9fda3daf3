"""What a host and a device tell each other about themselves."""

from __future__ import annotations

import dataclasses

from tf_medyate.device import protocol
from tf_medyate.device.link import DeviceError
from tf_medyate.device.protocol import DeviceStatus
from tf_medyate.errors import OptionError

_HALF = 0xFFFFFFFF


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

    @classmethod
    def from_bytes(cls, payload: bytes) -> DeviceInfo:
        """Reads the answer to a hello."""
        words = protocol.HELLO_ANSWER.unpack(payload)
        low, high = words.pop("model_hash")
        rank, dims = words.pop("sample_rank"), words.pop("sample_dims")
        name = payload[protocol.HELLO_ANSWER.size_bytes :].decode(errors="replace")
        return cls(name=name, model_hash=low | high << 32, sample_shape=dims[:rank], **words)

    def __str__(self) -> str:
        spare = self.classes - self.factory_classes
        spare_text = f" ({spare} of them spare at the factory)" if spare else ""
        learns = (
            f"{self.classes} classes{spare_text}" if self.classes else f"{self.outputs} outputs"
        )
        return (
            f"'{self.name}', model {self.model_hash:016x}: samples {self.sample_shape}, {learns}, "
            f"{self.weights_floats:,} weights, protocol {self.version}"
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


def refusal(status: int, expected: Expected, info: DeviceInfo) -> DeviceError:
    """Why a device does not take a host: what each of them has."""
    names = {
        DeviceStatus.OTHER_MODEL: (f"model {expected.model_hash:016x}", f"{info.model_hash:016x}"),
        DeviceStatus.OTHER_SHAPE: (f"samples {expected.sample_shape}", f"{info.sample_shape}"),
        DeviceStatus.OTHER_CLASSES: (f"{expected.classes} classes", f"{info.classes}"),
        DeviceStatus.BAD_VERSION: (f"protocol {protocol.VERSION}", f"{info.version}"),
    }
    wanted, there = names.get(DeviceStatus(status), ("a hello", "another one"))
    received = f"{DeviceStatus(status).name}: {wanted} was expected, the device has {there}"
    return DeviceError("device", status, 0, received)
