"""The one description of the serial protocol: requests, statuses, the words of their payloads.

Python packs with it, and the C++ header `tflm_ops/device/protocol.h` is generated from it, so the
two ends cannot disagree. docs/protocol.md says how requests and answers follow each other.

    python -m tf_medyate.device.protocol_header

Example:
    >>> from tf_medyate.device import protocol
    >>> protocol.PULL_REQUEST.unpack(protocol.PULL_REQUEST.pack(region=0, offset=64))["offset"]
    64
"""

import enum

from tf_medyate.c_structs import Field, Struct

VERSION = 3
"""Of the protocol: a host says which versions it speaks, the device answers with its choice."""

MAGIC = 0x5059444D
"""First word of a hello, "MDYP"."""

HEADER_BYTES = 12
CHECKSUM_BYTES = 4
ANSWER_BIT = 0x80
"""Set in the kind of whatever the device sends."""

TICKET_MAGIC = 0x4B59444D
"""First word of a ticket, "MDYK"."""

PROOF_MAGIC = 0x5059444E
"""First word of a board's answer to a challenge: no tag of one serves as the other's."""

MAX_RANK = 6
"""Most sides of a sample."""

ANY = 0xFFFFFFFF
"""`classes` of a host that takes a model of any number of classes."""

LEAST_BUFFER_WORDS = 64
"""Of a device's request and answer buffers."""

FRAME_TIMEOUT_MS = 250
"""A pause so long inside a frame ends it: its sender has vanished."""

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
    COMMIT     keep what was learned: write it to flash
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
    WEIGHTS  the weights region as it was last committed, float32; pushed, NAMES may follow
             it, and both count together
    NAMES    the classes that have a name, UTF-8, a line "label<tab>name" for each
    TICKET   pushed alone: a host's leave for the one push, reset or enrolment that comes next, for
             boards that were built with a key. Or a challenge; pulled then: the proof that the
             board has the key, and its counter
    """

    DELTA = 0
    WEIGHTS = 1
    NAMES = 2
    TICKET = 3


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
    NEEDS_PRESENCE = 44
    TOO_SOON = 45
    NEEDS_KEY = 46
    BAD_TAG = 47
    OLD_COUNTER = 48
    # From training, as TrainerStatus.
    NOT_INITIALIZED = 64
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
    TARGET_OUT_OF_RANGE = 84
    SAMPLE_OF_OTHER_KIND = 85
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
    STORE_OTHER_LAYOUT = 142


def _payload(name: str, meaning: str, words: tuple[Field, ...]) -> Struct:
    """The fixed part of a payload."""
    return Struct(name, words, meaning)


def _word(
    name: str,
    meaning: str,
    ctype: str = "uint32_t",
    count: int = 0,
    default: float | tuple[int, ...] | None = None,
) -> Field:
    return Field(name, ctype, meaning, count, default)


_HASH = _word("model_hash", "low half first; a hello of 0, 0 takes any model", count=2)
_DIMS = _word("sample_dims", "its sides, then zeros", count=MAX_RANK, default=(0,) * MAX_RANK)
_TOTAL = _word("total", "bytes of all parts together")
_CRC = _word("crc", "CRC-32 of all parts together")
_OFFSET = _word("offset", "where this part begins, in bytes")
_REGION = _word("region", "a Region")

HELLO_REQUEST = _payload(
    "HelloRequest",
    "what a session begins with",
    (
        _word("magic", "kProtocolMagic", default=MAGIC),
        _word("oldest_version", "oldest protocol version that the host speaks", default=VERSION),
        _word("newest_version", "newest one", default=VERSION),
        _HASH,
        _word("sample_rank", "sides of a sample; 0 takes any shape", default=0),
        _DIMS,
        _word("classes", "of the data; 0 for targets, kAny for any", default=ANY),
    ),
)
HELLO_ANSWER = _payload(
    "HelloAnswer",
    "what runs on the device; the model's name in UTF-8 follows. Also sent if the host is refused",
    (
        _word("version", "of the protocol, from now on"),
        _HASH,
        _word("sample_rank", "sides of a sample"),
        _DIMS,
        _word("classes", "labels are 0 to classes - 1; 0: the label is a target"),
        _word("factory_classes", "classes without the spare ones, which are the last"),
        _word("outputs", "scores of a prediction, floats of a target"),
        _word("request_bytes", "longest payload that the device can receive"),
        _word("answer_bytes", "longest payload that it can send"),
        _word("weights_floats", "floats of the weights region"),
        _word("batch_size", "samples whose gradients are averaged before an update"),
        _word("sample_is_int8", "1: a sample is sent in 8 bits, as below; 0: as float32"),
        _word("sample_factor", "int8 is (factor * number + offset) / scale + zero", "float"),
        _word("sample_offset", "see there", "float"),
        _word("sample_scale", "see there", "float"),
        _word("sample_zero", "see there", "int32_t"),
    ),
)
STATUS_ANSWER = _payload(
    "StatusAnswer",
    "counters",
    (
        _word("samples", "learned from since the start"),
        _word("updates", "done since the start"),
        _word("epochs", "ended since the start"),
        _word("draw", "number of the draw in force; -1 before the first", "int32_t"),
        _word("is_sound", "1: every loss since the last commit or discard was finite"),
        _word("named_classes", "classes in use: those of the factory and those enrolled since"),
        _word("commits", "the weight store's sequence number; 0 without a store"),
        _word("commits_left", "until the flash is worn out, at the present rate; kAny: unknown"),
        _word("store_status", "a DeviceStatus: the weight store's last"),
        _word("arena_bytes", "in use"),
        _word("held_samples", "held back to judge epochs by"),
        _word("dropped_epochs", "that the guard did not commit, since the start"),
        _word("frames", "requests carried out in this session"),
        _word("repeats", "requests that were answered again and not carried out again"),
        _word("bad_frames", "frames since the start that could not be read"),
        _word("last_bad_frame", "a DeviceStatus: what was wrong with the last of them"),
    ),
)
PART_REQUEST = _payload(
    "PartRequest", "SAMPLE and PREDICT: a part of the sample follows", (_OFFSET,)
)
STEP_REQUEST = _payload(
    "StepRequest",
    "the rest of the sample follows. Without classes, the target stands in place of the label",
    (_OFFSET, _word("label", "the class")),
)
STEP_ANSWER = _payload(
    "StepAnswer", "of STEP", (_word("loss", "of the sample, before the update", "float"),)
)
PULL_REQUEST = _payload("PullRequest", "asks for a part", (_REGION, _OFFSET))
PULL_ANSWER = _payload("PullAnswer", "the part follows", (_TOTAL, _CRC, _OFFSET))
PUSH_REQUEST = _payload("PushRequest", "the part follows", (_REGION, _TOTAL, _CRC, _OFFSET))
ENROL_ANSWER = _payload("EnrolAnswer", "of ENROL", (_word("label", "of the class from now on"),))
TICKET = _payload(
    "Ticket",
    "region TICKET",
    (
        _word("magic", "kTicketMagic; of a proof kProofMagic", default=TICKET_MAGIC),
        _word("request", "a RequestKind: PUSH, ENROL or RESET; STATUS of a challenge and proof"),
        _word("region", "of a PUSH; else 0"),
        _HASH,
        _word("counter", "the device's `commits`, which each of these requests raises"),
        _word("bytes", "of the region or name"),
        _word("digest", "SHA-256 of the region or name; the host's random number", count=8),
        _word("tag", "HMAC-SHA-256 of all words before, with the device's key", count=8),
    ),
)
ERROR_ANSWER = _payload(
    "ErrorAnswer",
    "of any request but HELLO whose status is not kOk",
    (_word("detail", "what was expected in place of what came, if that is a number; else 0"),),
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
    TICKET,
    ERROR_ANSWER,
)
"""Everything that goes over the line in words."""
