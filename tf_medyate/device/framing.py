"""Frames on a serial line: the twin of `tflm_ops/device/framing.h`. docs/protocol.md has the bytes.

Example:
    >>> reader = FrameReader()
    >>> reader.feed(encode(Frame(kind=2, session=7, sequence=1)))
    [Frame(kind=2, status=0, session=7, sequence=1, payload=b'')]
"""

from __future__ import annotations

import dataclasses
import struct
import zlib

from tf_medyate.device.protocol import CHECKSUM_BYTES, HEADER_BYTES, DeviceStatus

_HEADER = struct.Struct("<BBHII")
_LONGEST_RUN = 254
MAX_FRAME_BYTES = 0xFFFF + HEADER_BYTES + CHECKSUM_BYTES
"""The payload's length has 16 bits."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame, in either direction.

    Attributes:
        kind: A RequestKind, with ANSWER_BIT from the device.
        status: A DeviceStatus; 0 in a request.
        session: What the host drew by lot when it said hello.
        sequence: Number of the request, in the answer, too.
        payload: What it carries.
    """

    kind: int
    status: int = 0
    session: int = 0
    sequence: int = 0
    payload: bytes = b""


@dataclasses.dataclass(frozen=True)
class BadFrame:
    """Something that ended like a frame and could not be read."""

    status: DeviceStatus


def stuff(data: bytes) -> bytes:
    """Consistent overhead byte stuffing (COBS): no zero bytes left, one byte more in 254."""
    out = bytearray()
    blocks = data.split(b"\0")
    for number, block in enumerate(blocks):
        while len(block) >= _LONGEST_RUN:
            out.append(_LONGEST_RUN + 1)
            out += block[:_LONGEST_RUN]
            block = block[_LONGEST_RUN:]
            if not block and number == len(blocks) - 1:
                return bytes(out)  # a full run at the very end has no zero after it
        out.append(len(block) + 1)
        out += block
    return bytes(out)


def unstuff(data: bytes) -> bytes | None:
    """What was stuffed into `data`, which holds no zero byte; None if it was cut short."""
    out = bytearray()
    at = 0
    while at < len(data):
        code = data[at]
        run = data[at + 1 : at + code]
        if len(run) != code - 1:
            return None
        out += run
        at += code
        if code <= _LONGEST_RUN and at < len(data):
            out.append(0)
    return bytes(out)


def encode(frame: Frame) -> bytes:
    """The bytes of a frame, between two zero bytes: the first ends garbage on the line."""
    header = _HEADER.pack(
        frame.kind, frame.status, len(frame.payload), frame.session, frame.sequence
    )
    body = header + frame.payload
    return b"\0" + stuff(body + struct.pack("<I", zlib.crc32(body))) + b"\0"


def decode(stuffed: bytes) -> Frame | BadFrame:
    """Reads what lay between two zero bytes."""
    body = unstuff(stuffed)
    if body is None or len(body) < HEADER_BYTES + CHECKSUM_BYTES:
        return BadFrame(DeviceStatus.TRUNCATED)
    kind, status, length, session, sequence = _HEADER.unpack_from(body)
    payload, crc = body[HEADER_BYTES:-CHECKSUM_BYTES], body[-CHECKSUM_BYTES:]
    if zlib.crc32(body[:-CHECKSUM_BYTES]) != struct.unpack("<I", crc)[0]:
        cut = length > len(payload)
        return BadFrame(DeviceStatus.TRUNCATED if cut else DeviceStatus.BAD_CHECKSUM)
    if length != len(payload):
        return BadFrame(DeviceStatus.BAD_LENGTH)
    return Frame(kind, status, session, sequence, payload)


class FrameReader:
    """Finds frames in bytes as they come in."""

    def __init__(self):
        self._pending = bytearray()
        self._is_oversized = False

    def feed(self, data: bytes) -> list[Frame | BadFrame]:
        """Takes bytes.

        Returns:
            What ended in them, frames and what could not be read, in order.
        """
        *ended, rest = data.split(b"\0")
        found = []
        for part in ended:
            self._append(part)
            if self._is_oversized:
                found.append(BadFrame(DeviceStatus.OVERSIZED))
            elif self._pending:
                found.append(decode(bytes(self._pending)))
            self._pending.clear()
            self._is_oversized = False
        self._append(rest)
        return found

    def _append(self, part: bytes):
        # Stuffing adds less than one byte in 200.
        if len(self._pending) + len(part) > MAX_FRAME_BYTES + MAX_FRAME_BYTES // 200:
            self._is_oversized = True
            self._pending.clear()
        if not self._is_oversized:
            self._pending += part
