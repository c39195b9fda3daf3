"""A board in Python, to be had in a broken or a hostile state: what it answers can be replaced."""

import zlib

import numpy as np

from tf_medyate.device import protocol
from tf_medyate.device.framing import Frame, FrameReader, encode
from tf_medyate.device.protocol import ANSWER_BIT, DeviceStatus, Region, RequestKind

MODEL_HASH = 0x0123456789ABCDEF
ROOM = 496


def _not_supported(_):
    return int(DeviceStatus.NOT_SUPPORTED), protocol.ERROR_ANSWER.pack(detail=0)


class FakeBoard:
    """A transport with a board behind it: classes by number, weights, names.

    Attributes:
        hello: Words of the hello; change them at will.
        answers: RequestKind -> function of the payload that gives (status, payload).
        asked: Kinds of the requests that came.
    """

    def __init__(self, weights=(0.0,) * 8, names="", model_hash=MODEL_HASH, classes=3, sides=(2,)):
        self.weights = np.array(weights, "<f4")
        self.regions = {Region.WEIGHTS: self.weights.tobytes(), Region.NAMES: names.encode()}
        self.hello = {
            "version": protocol.VERSION,
            "model_hash": (model_hash & 0xFFFFFFFF, model_hash >> 32),
            "sample_rank": len(sides),
            "sample_dims": (*sides, *(0,) * (protocol.MAX_RANK - len(sides))),
            "classes": classes,
            "factory_classes": classes,
            "outputs": classes or 3,
            "request_bytes": ROOM,
            "answer_bytes": ROOM,
            "weights_floats": len(self.weights),
            "batch_size": 1,
            "sample_is_int8": 0,
            "sample_factor": 1.0,
            "sample_offset": 0.0,
            "sample_scale": 1.0,
            "sample_zero": 0,
        }
        self.name = b"fake"
        self.answers = {
            RequestKind.HELLO: lambda _: (0, protocol.HELLO_ANSWER.pack(**self.hello) + self.name),
            RequestKind.STATUS: lambda _: (0, self.status()),
            RequestKind.PULL: self.pull,
            RequestKind.PUSH: lambda _: (0, b""),
            RequestKind.END_EPOCH: lambda _: (0, b""),
            RequestKind.PREDICT: lambda _: (0, np.arange(3, dtype="<f4").tobytes()),
            RequestKind.STEP: lambda _: (0, protocol.STEP_ANSWER.pack(loss=0.5)),
        }
        self.asked = []
        self._reader, self._out = FrameReader(), b""

    def status(self, **words):
        default = {word.name: 0 for word in protocol.STATUS_ANSWER.fields}
        default |= {"is_sound": 1, "named_classes": self.hello["classes"]}
        return protocol.STATUS_ANSWER.pack(**{**default, **words})

    def pull(self, payload):
        request = protocol.PULL_REQUEST.unpack(payload)
        data, offset = self.regions[Region(request["region"])], request["offset"]
        words = protocol.PULL_ANSWER.pack(total=len(data), crc=zlib.crc32(data), offset=offset)
        return 0, words + data[offset : offset + ROOM - len(words)]

    # --- the transport

    def write(self, data):
        for frame in self._reader.feed(data):
            kind = RequestKind(frame.kind)
            self.asked.append(kind)
            status, payload = self.answers.get(kind, _not_supported)(frame.payload)
            self._out += encode(
                Frame(frame.kind | ANSWER_BIT, status, frame.session, frame.sequence, payload)
            )

    def read(self, timeout_s):
        data, self._out = self._out, b""
        return data

    def close(self):
        pass
