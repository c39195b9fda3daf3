"""The host's end of the serial protocol: a device that trains, as an object.

Example:
    >>> with DeviceClient.open("tcp:localhost:5555") as device:
    ...     for sample, label in zip(x, y):
    ...         loss = device.step(sample, label)
    ...     device.end_epoch()
    ...     weights = device.pull(Region.WEIGHTS)
"""

from __future__ import annotations

import math
import secrets
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tf_medyate.device import protocol
from tf_medyate.device.framing import Frame
from tf_medyate.device.info import DeviceCounters, DeviceInfo, Expected, refusal
from tf_medyate.device.link import DeviceError, Link
from tf_medyate.device.names import read_names
from tf_medyate.device.protocol import DeviceStatus, Region, RequestKind
from tf_medyate.device.ticket import challenge, proven_counter, ticket
from tf_medyate.device.transport import BAUD_RATE, LinkError, Transport, open_transport
from tf_medyate.errors import NonFiniteDataError, OptionError
from tf_medyate.lesson import check_label, check_sample
from tf_medyate.names import check_name

TIMEOUT_S = 3.0
"""Before a request is sent again. A step of a large network takes a second or two."""
SLOW_TIMEOUT_S = 30.0
"""The same for what writes flash: a whole model takes five seconds."""
ATTEMPTS = 8
_PULLS = 3
_LEAST_PART = 4 * protocol.LEAST_BUFFER_WORDS - 28
"""Bytes of a part that is not the last: a frame's least room, without the words of the answer."""


class DeviceClient:
    """A device that trains, over any byte stream.

    Args:
        transport: The line; the client closes it.
        expected: What the device must be.
        timeout_s: Before a request is sent again; slow ones wait longer.
        slow_timeout_s: The same for what writes flash.
        attempts: How often a request is sent before LinkError.
        key: Of a board that was built with one, 32 bytes; pushes, resets and enrolments are signed.

    Attributes:
        info: What runs on the device.
        link: The requests; `link.counters` says how often they had to be sent again.

    Raises:
        LinkError: Nobody answers.
        DeviceError: The device is another one than expected, or speaks another version.
    """

    def __init__(
        self,
        transport: Transport,
        expected: Expected | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        slow_timeout_s: float = SLOW_TIMEOUT_S,
        attempts: int = ATTEMPTS,
        key: bytes | None = None,
    ):
        if timeout_s <= 0 or slow_timeout_s <= 0 or attempts < 1:
            raise OptionError(
                "timeout_s, slow_timeout_s, attempts",
                "positive numbers",
                f"{timeout_s}, {slow_timeout_s}, {attempts}",
                "Leave them out for the usual ones.",
            )
        self._transport = transport
        self._expected = expected or Expected()
        self._slow_timeout_s = slow_timeout_s
        self._key = key
        self.link = Link(transport, timeout_s, attempts)
        self.info: DeviceInfo = self.connect()

    @classmethod
    def open(
        cls, port: str, expected: Expected | None = None, baud_rate: int = BAUD_RATE, **options: Any
    ) -> DeviceClient:
        """Opens a port ("/dev/ttyACM0", "tcp:localhost:5555") and connects.

        Raises:
            LinkError, DeviceError: As the class; also if the port cannot be opened.
        """
        transport = open_transport(port, baud_rate)
        try:
            return cls(transport, expected, **options)
        except BaseException:
            transport.close()
            raise

    def __enter__(self) -> DeviceClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the line. What was learned stays on the device."""
        self._transport.close()

    def connect(self) -> DeviceInfo:
        """Begins a session; to be called again after a SessionLostError.

        Raises:
            LinkError, DeviceError: As the class.
        """
        expected = self._expected
        self.link.begin()
        answer = self.link.request(RequestKind.HELLO, expected.to_bytes())
        has_info = len(answer.payload) >= protocol.HELLO_ANSWER.size_bytes
        if answer.status != DeviceStatus.OK and not has_info:
            raise _error(RequestKind.HELLO, answer)
        info = DeviceInfo.from_bytes(answer.payload)
        if answer.status != DeviceStatus.OK:
            raise refusal(answer.status, expected, info)
        info.check()
        self.info = info
        return info

    # --- training

    def step(self, sample: Any, label: Any) -> float:
        """Learns from one sample.

        Args:
            sample: [...], the shape of `info.sample_shape`; any number dtype.
            label: The class, as a number or a one-hot row; or the target [outputs] of a model
                without classes.

        Returns:
            The sample's loss before the update.

        Raises:
            DataError: Wrong shape or dtype; NonFiniteDataError, LabelError likewise.
            DeviceError: LOSS_NOT_FINITE and others.
            LinkError, SessionLostError: It may have been carried out or not.
        """
        data, tail = self._sample(sample), self._label(label)
        answer = self._send_sample(RequestKind.STEP, data, tail)
        loss = float(protocol.STEP_ANSWER.unpack(answer)["loss"])
        if not math.isfinite(loss):
            raise _malformed(RequestKind.STEP, "a finite loss", f"{loss}")
        return loss

    def predict(self, sample: Any) -> np.ndarray:
        """The model's output for one sample, float32 [outputs].

        Raises:
            DataError, DeviceError, LinkError: As `step`.
            NonFiniteDataError: The board answers NaN or infinity.
        """
        answer = self._send_sample(RequestKind.PREDICT, self._sample(sample), b"")
        scores = np.frombuffer(answer, "<f4").astype(np.float32)
        if len(scores) != self.info.outputs:
            raise _malformed(RequestKind.PREDICT, f"{self.info.outputs} scores", f"{len(scores)}")
        if not np.isfinite(scores).all():
            remedy = "The board's weights are ruined: reset it, or push what was pulled before."
            raise NonFiniteDataError("predict", "finite scores", "NaN or infinity", remedy)
        return scores

    def end_epoch(self) -> bool:
        """Commits what was learned, and draws new channels if it is time to.

        Returns:
            False if the device's guard dropped the epoch: the weights are as before it.
        """
        answer = self.link.request(RequestKind.END_EPOCH, timeout_s=self._slow_timeout_s)
        if answer.status == DeviceStatus.EPOCH_DISCARDED:
            return False
        _checked(RequestKind.END_EPOCH, answer)
        return True

    def commit(self) -> None:
        """Writes what was learned since the last commit into the board's flash."""
        self._slow(RequestKind.COMMIT)

    def discard(self) -> None:
        """Drops what was learned since the last commit."""
        self._slow(RequestKind.DISCARD)

    def reset(self) -> None:
        """Forgets all that was ever learned: back to the factory weights."""
        self._sign(RequestKind.RESET)
        self._slow(RequestKind.RESET)

    def enrol(self, name: str) -> int:
        """Gives a name to a new class; returns its label.

        Raises:
            OptionError: It is too long, or has control characters.
            DeviceError, LinkError: As `step`.
        """
        data = check_name("name", name).encode()
        self._sign(RequestKind.ENROL, data)
        answer = self._slow(RequestKind.ENROL, data)
        label = int(protocol.ENROL_ANSWER.unpack(answer)["label"])
        if label >= self.info.classes:
            expected = f"a label below {self.info.classes}"
            raise _malformed(RequestKind.ENROL, expected, f"{label}")
        return label

    def names(self) -> dict[int, str]:
        """Label -> name, of the classes that have one; empty if the board knows no names.

        Raises:
            DeltaError: What the board says is no list of names.
        """
        try:
            text = self.pull(Region.NAMES).decode(errors="replace")
            return read_names(text, self.info.classes)
        except DeviceError as error:
            if error.status != DeviceStatus.NO_SUCH_REGION:
                raise
            return {}

    def status(self) -> DeviceCounters:
        """What the device says of itself."""
        answer = _checked(RequestKind.STATUS, self.link.request(RequestKind.STATUS))
        return DeviceCounters.from_bytes(answer)

    # --- regions

    def pull(
        self,
        region: Region = Region.WEIGHTS,
        progress: Callable[[int, int], object] | None = None,
    ) -> bytes:
        """Reads a region whole; `learned.pull_learned` makes a delta of it.

        Args:
            region: Which.
            progress: Called with the bytes that are there, and those there will be.

        Raises:
            DeviceError: The device has no such region.
            LinkError: It did not come through whole, three times over.
        """
        for _ in range(_PULLS):
            data, crc = self._pull(region, progress)
            if zlib.crc32(data) == crc:
                return data
        raise LinkError(
            "pull", f"{region.name} with the CRC that was announced", "others", "Pull it again."
        )

    def _pull(self, region: Region, progress: Callable[[int, int], object] | None):
        data, total, crc = bytearray(), -1, 0
        while len(data) != total:
            request = protocol.PULL_REQUEST.pack(region=region, offset=len(data))
            answer = self._slow(RequestKind.PULL, request)
            words = protocol.PULL_ANSWER.unpack(answer)
            part = answer[protocol.PULL_ANSWER.size_bytes :]
            if total < 0:
                total, crc = int(words["total"]), int(words["crc"])
                least, most = self.info.region_bytes(region)
                if not least <= total <= most:
                    expected = f"{least:,} to {most:,} bytes of {region.name}"
                    raise _malformed(RequestKind.PULL, expected, f"{total:,}")
            if (words["total"], words["crc"]) != (total, crc):
                return bytes(data), -1  # it has changed meanwhile
            if words["offset"] != len(data) or len(part) > total - len(data):
                raise _malformed(RequestKind.PULL, f"a part from byte {len(data)} on", f"{words}")
            if len(part) < min(_LEAST_PART, total - len(data)):
                raise _malformed(RequestKind.PULL, "more bytes", f"a part of {len(part)}")
            data += part
            if progress:
                progress(len(data), total)
        return bytes(data), crc

    def push(
        self,
        data: bytes,
        region: Region = Region.WEIGHTS,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Writes a region whole; it counts once its last byte is there and its CRC is right.

        Args:
            data: What was pulled from another device, for example. Names may follow the weights.
            region: Which.
            progress: Called with the bytes that are there, and those there will be.

        Raises:
            DeviceError: The device refuses it: PUSH_OF_OTHER_SIZE and others.
        """
        self._sign(RequestKind.PUSH, data, region)
        self._push(data, region, progress)

    def _push(self, data: bytes, region: int, progress: Callable[[int, int], object] | None = None):
        room = self.info.request_bytes - protocol.PUSH_REQUEST.size_bytes
        crc = zlib.crc32(data)
        for offset in range(0, max(len(data), 1), room):
            part = data[offset : offset + room]
            words = protocol.PUSH_REQUEST.pack(
                region=region, total=len(data), crc=crc, offset=offset
            )
            self._slow(RequestKind.PUSH, words + part)
            if progress:
                progress(offset + len(part), len(data))

    # --- checks and plumbing

    def _sign(self, kind: RequestKind, data: bytes = b"", region: int = 0):
        """Hands the board a ticket for what comes next, if there is a key."""
        if self._key is None:
            return
        # What the line says of the counter is not believed: a ticket for a later one could be kept.
        nonce, model_hash = secrets.token_bytes(32), self.info.model_hash
        try:
            self._push(challenge(nonce), Region.TICKET)
        except DeviceError as error:
            if error.status != DeviceStatus.NO_SUCH_REGION:
                raise
            raise OptionError(
                "device_key",
                "a board whose firmware asks for a key",
                "one that takes pushes from anybody",
                "Leave the key out, or export with it and flash that firmware.",
            ) from None
        counter = proven_counter(self._key, model_hash, nonce, self.pull(Region.TICKET))
        self._push(ticket(self._key, kind, model_hash, counter, data, region), Region.TICKET)

    def _slow(self, kind: RequestKind, payload: bytes = b"") -> bytes:
        return _checked(kind, self.link.request(kind, payload, self._slow_timeout_s))

    def _send_sample(self, kind: RequestKind, data: bytes, label: bytes) -> bytes:
        """In one frame if it fits; else parts go ahead, and the request has the last of them."""
        words = protocol.PART_REQUEST.size_bytes
        room, last_room = (
            self.info.request_bytes - words,
            self.info.request_bytes - words - len(label),
        )
        if last_room < 0:
            remedy = "Give the firmware's session a larger request buffer."
            raise OptionError("label", f"{room} bytes or less", f"{len(label)} bytes", remedy)
        offset = 0
        while len(data) - offset > last_room:
            part = data[offset : offset + room]
            request = protocol.PART_REQUEST.pack(offset=offset) + part
            _checked(RequestKind.SAMPLE, self.link.request(RequestKind.SAMPLE, request))
            offset += len(part)
        request = protocol.PART_REQUEST.pack(offset=offset) + label + data[offset:]
        return _checked(kind, self.link.request(kind, request))

    def _sample(self, sample: Any) -> bytes:
        x = self.info.sample.stored(check_sample(sample, self.info.sample_shape))
        return x.astype(x.dtype.newbyteorder("<")).tobytes()

    def _label(self, label: Any) -> bytes:
        y = check_label(label, self.info.classes, self.info.outputs)
        return y.to_bytes(4, "little") if isinstance(y, int) else y.astype("<f4").tobytes()


def _checked(kind: RequestKind, answer: Frame) -> bytes:
    if answer.status != DeviceStatus.OK:
        raise _error(kind, answer)
    return answer.payload


def _error(kind: RequestKind, answer: Frame) -> DeviceError:
    words = protocol.ERROR_ANSWER
    has_detail = len(answer.payload) == words.size_bytes
    detail = int(words.unpack(answer.payload)["detail"]) if has_detail else 0
    return DeviceError(kind.name.lower(), answer.status, detail)


def _malformed(kind: RequestKind, expected: str, received: str) -> LinkError:
    remedy = "Bring firmware and tf_medyate to the same version."
    return LinkError(kind.name.lower(), expected, received, remedy)
