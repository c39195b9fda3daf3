"""The one description of the serial protocol: requests, statuses, the words of their payloads.

Python packs with it, and the C++ header `tflm_ops/device/protocol.h` is generated from it, so the
two ends cannot disagree. docs/protocol.md says how requests and answers follow each other.

    python -m tf_medyate.device.protocol_header > tflm_ops/device/protocol.h

Example:
    >>> from tf_medyate.device import protocol
    >>> protocol.PULL_REQUEST.unpack(protocol.PULL_REQUEST.pack(region=0, offset=64))["offset"]
    64
"""

import dataclasses
import enum
import struct
from collections.abc import Sequence
from typing import Any

from tf_medyate.errors import OptionError

VERSION = 2
"""Of the protocol: a host says which versions it speaks, the device answers with its choice."""

MAGIC = 0x5059444D
"""First word of a hello, "MDYP"."""

HEADER_BYTES = 12
CHECKSUM_BYTES = 4
ANSWER_BIT = 0x80
"""Set in the kind of whatever the device sends."""

MAX_RANK = 6
"""Most sides of a sample."""

ANY = 0xFFFFFFFF
"""`classes` of a host that takes a model of any number of classes."""

LEAST_BUFFER_WORDS = 64
"""Of a device's request and answer buffers."""

FRAME_TIMEOUT_MS = 250
"""A pause so long inside a frame ends it: whoever sent it has vanished."""

TRANSFER_TIMEOUT_MS = 30000
"""A push or pull, or a sample in parts, that nobody goes on with for so long is abandoned."""


class RequestKind(enum.IntEnum):
    """What a frame asks for. The answer has the same number with ANSWER_BIT.

    NOTICE     only from the device: a frame was received that cannot be answered; says why
    HELLO      begins a session: who the host is and what model it expects
    STATUS     counters
    SAMPLE     a part of a sample that does not fit one frame
    STEP       the (rest of the) sample, and its label: learn from it
    PREDICT    the (rest of the) sample: the model's output
    END_EPOCH  commit what was learned, draw new channels
    COMMIT     add the deltas to the base weights
    DISCARD    drop what was learned since the last commit
    PULL       a part of what lies on the device, see Region
    PUSH       a part of what shall lie on the device; the last part makes it valid
    ENROL      a name for a new class
    RESET      forget all that was ever learned
    """

    NOTICE = 0
    HELLO = 1
    STATUS = 2
    SAMPLE = 3
    STEP = 4
    PREDICT = 5
    END_EPOCH = 6
    COMMIT = 7
    DISCARD = 8
    PULL = 9
    PUSH = 10
    ENROL = 11
    RESET = 12


class Region(enum.IntEnum):
    """What is pulled or pushed. A device need not have all of them.

    DELTA    what was learned, as a sparse delta (tflm_ops/store/sparse_delta.h)
    WEIGHTS  the weights region as it was last committed, float32; pushed, NAMES may follow behind
             it, and both count together
    NAMES    the classes that have a name, UTF-8, a line "label<tab>name" for each
    """

    DELTA = 0
    WEIGHTS = 1
    NAMES = 2


class DeviceStatus(enum.IntEnum):
    """What became of a request; `remedies.REMEDIES` says what to do about each."""

    OK = 0
    # The frame could not be read. Nothing was done; it may be sent again.
    TRUNCATED = 1
    OVERSIZED = 2
    BAD_CHECKSUM = 3
    BAD_LENGTH = 4
    FRAME_TIMED_OUT = 5
    # The request does not belong here. Nothing was done.
    NO_SESSION = 16
    STALE_SESSION = 17
    OUT_OF_ORDER = 18
    BAD_VERSION = 19
    OTHER_MODEL = 20
    OTHER_SHAPE = 21
    OTHER_CLASSES = 22
    # The request was read, and cannot be carried out. Nothing was done.
    UNKNOWN_REQUEST = 32
    BAD_PAYLOAD = 33
    BAD_OFFSET = 34
    ANSWER_TOO_LONG = 35
    NOT_SUPPORTED = 36
    NO_SUCH_REGION = 37
    PUSH_DAMAGED = 38
    PUSH_TOO_LONG = 39
    BAD_NAME = 40
    NAME_TAKEN = 41
    NO_SPARE_CLASS = 42
    PUSH_OF_OTHER_SIZE = 43
    # From training, as TrainerStatus.
    NOT_INITIALISED = 64
    SAMPLE_NOT_FINITE = 65
    LABEL_OUT_OF_RANGE = 66
    TARGET_NOT_FINITE = 67
    LABEL_OF_OTHER_KIND = 68
    NOTHING_TO_COMMIT_TO = 69
    LOSS_NOT_FINITE = 70
    GRADIENTS_NOT_FINITE = 71
    COMMIT_FAILED = 72
    OP_FAILED = 73
    EPOCH_DISCARDED = 74
    NO_ARENA = 75
    ARENA_NOT_ALIGNED = 76
    ARENA_TOO_SMALL = 77
    BAD_MODEL = 78
    NULL_ARGUMENT = 79
    BAD_PROGRESS = 80
    STORE_FAILED = 81
    NO_FACTORY_COPY = 82
    NO_HELD_SAMPLES = 83
    # From a pushed delta, as in sparse_delta.h.
    DELTA_DAMAGED = 96
    DELTA_BAD_VERSION = 97
    DELTA_OTHER_MODEL = 98
    DELTA_NOT_MERGEABLE = 99
    DELTA_WRONG_BASE = 100
    DELTA_NOT_FINITE = 101
    # From the weight store, as StoreStatus.
    STORE_NOT_OPEN = 128
    STORE_BAD_CONFIG = 129
    STORE_BAD_RUNS = 130
    STORE_BAD_RECORD = 131
    STORE_NOT_FINITE = 132
    STORE_JOURNAL_TOO_SMALL = 133
    STORE_HEAD_FULL = 134
    STORE_WORN_OUT = 135
    STORE_OTHER_MODEL = 136
    STORE_WEIGHTS_CHANGED = 137
    STORE_JOURNAL_DAMAGED = 138
    STORE_JOURNAL_FAILED = 139
    STORE_WEIGHTS_FAILED = 140
    STORE_NOT_CLOSED = 141


_FORMATS = {"uint32_t": "I", "int32_t": "i", "float": "f"}


@dataclasses.dataclass(frozen=True)
class Word:
    """One word of a payload, or an array of `count`; `default` is used where none is given."""

    name: str
    meaning: str
    ctype: str = "uint32_t"
    count: int = 0
    default: float | tuple[int, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Words:
    """The fixed part of a payload: little-endian words without gaps."""

    name: str
    meaning: str
    words: tuple[Word, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of the packed words."""
        return 4 * sum(max(word.count, 1) for word in self.words)

    def pack(self, **values: float | Sequence[int]) -> bytes:
        """Packs the words.

        Raises:
            OptionError: A word is unknown, missing, out of range or of the wrong length.
        """
        unknown = set(values) - {word.name for word in self.words}
        if unknown:
            expected = f"words {[word.name for word in self.words]}"
            raise OptionError(self.name, expected, f"{sorted(unknown)}", "Correct the name.")
        return b"".join(
            self._pack(word, values.get(word.name, word.default)) for word in self.words
        )

    def _pack(self, word: Word, value: float | Sequence[int] | None) -> bytes:
        items = list(value) if isinstance(value, Sequence) else [value]
        try:
            return struct.pack(f"<{max(word.count, 1)}{_FORMATS[word.ctype]}", *items)
        except (struct.error, OverflowError) as error:
            argument = f"{self.name}.{word.name}"
            expected = f"{max(word.count, 1)} of {word.ctype}"
            raise OptionError(argument, expected, repr(value), f"{error}.") from error

    def unpack(self, data: bytes) -> dict[str, Any]:
        """The words by name, an array as a tuple; bytes behind them are left alone.

        Raises:
            OptionError: Too few bytes.
        """
        if len(data) < self.size_bytes:
            remedy = "Bring firmware and tf_medyate to the same version."
            raise OptionError(
                self.name, f"{self.size_bytes} bytes or more", f"{len(data)} bytes", remedy
            )
        result: dict[str, Any] = {}
        offset = 0
        for word in self.words:
            n = max(word.count, 1)
            items = struct.unpack_from(f"<{n}{_FORMATS[word.ctype]}", data, offset)
            result[word.name] = items if word.count else items[0]
            offset += 4 * n
        return result


_HASH = Word("model_hash", "low half first; a hello of 0, 0 takes any model", count=2)
_DIMS = Word("sample_dims", "its sides, zeros behind", count=MAX_RANK, default=(0,) * MAX_RANK)
_TOTAL = Word("total", "bytes of all parts together")
_CRC = Word("crc", "CRC-32 of all parts together")
_OFFSET = Word("offset", "where this part begins, in bytes")
_REGION = Word("region", "a Region")

HELLO_REQUEST = Words(
    "HelloRequest",
    "what a session begins with",
    (
        Word("magic", "kProtocolMagic", default=MAGIC),
        Word("oldest_version", "oldest protocol version that the host speaks", default=VERSION),
        Word("newest_version", "newest one", default=VERSION),
        _HASH,
        Word("sample_rank", "sides of a sample; 0 takes any shape", default=0),
        _DIMS,
        Word("classes", "of the data; 0 for targets, kAny for any", default=ANY),
    ),
)
HELLO_ANSWER = Words(
    "HelloAnswer",
    "what runs on the device; the model's name in UTF-8 follows. Also sent if the host is refused",
    (
        Word("version", "of the protocol, from now on"),
        _HASH,
        Word("sample_rank", "sides of a sample"),
        _DIMS,
        Word("classes", "labels are 0 to classes - 1; 0: the label is a target"),
        Word("factory_classes", "classes without the spare ones, which are the last"),
        Word("outputs", "scores of a prediction, floats of a target"),
        Word("request_bytes", "longest payload that the device can receive"),
        Word("answer_bytes", "longest payload that it can send"),
        Word("weights_floats", "floats of the weights region"),
        Word("batch_size", "samples whose gradients are averaged before an update"),
    ),
)
STATUS_ANSWER = Words(
    "StatusAnswer",
    "counters",
    (
        Word("samples", "learned from since the start"),
        Word("updates", "done since the start"),
        Word("epochs", "ended since the start"),
        Word("draw", "number of the draw in force; -1 before the first", "int32_t"),
        Word("is_sound", "1: every loss since the last commit or discard was finite"),
        Word("named_classes", "classes in use: those of the factory and those enrolled since"),
        Word("commits", "the weight store's sequence number; 0 without a store"),
        Word("commits_left", "until the flash is worn out, at the present rate; kAny: unknown"),
        Word("store_status", "a DeviceStatus: the weight store's last"),
        Word("arena_bytes", "in use"),
        Word("held_samples", "held back to judge epochs by"),
        Word("dropped_epochs", "that the guard did not commit, since the start"),
        Word("frames", "requests carried out in this session"),
        Word("repeats", "requests that were answered again and not carried out again"),
        Word("bad_frames", "frames since the start that could not be read"),
        Word("last_bad_frame", "a DeviceStatus: what was wrong with the last of them"),
    ),
)
PART_REQUEST = Words(
    "PartRequest", "SAMPLE and PREDICT: a part of the sample, float32, follows", (_OFFSET,)
)
STEP_REQUEST = Words(
    "StepRequest",
    "the rest of the sample follows. Without classes, the target stands in place of the label",
    (_OFFSET, Word("label", "the class")),
)
STEP_ANSWER = Words(
    "StepAnswer", "of STEP", (Word("loss", "of the sample, before the update", "float"),)
)
PULL_REQUEST = Words("PullRequest", "asks for a part", (_REGION, _OFFSET))
PULL_ANSWER = Words("PullAnswer", "the part follows", (_TOTAL, _CRC, _OFFSET))
PUSH_REQUEST = Words("PushRequest", "the part follows", (_REGION, _TOTAL, _CRC, _OFFSET))
ENROL_ANSWER = Words("EnrolAnswer", "of ENROL", (Word("label", "of the class from now on"),))
ERROR_ANSWER = Words(
    "ErrorAnswer",
    "of any request but HELLO whose status is not kOk",
    (Word("detail", "what was expected in place of what came, if that is a number; else 0"),),
)

PAYLOADS = (
    HELLO_REQUEST,
    HELLO_ANSWER,
    STATUS_ANSWER,
    PART_REQUEST,
    STEP_REQUEST,
    STEP_ANSWER,
    PULL_REQUEST,
    PULL_ANSWER,
    PUSH_REQUEST,
    ENROL_ANSWER,
    ERROR_ANSWER,
)
"""Everything that goes over the line in words."""
