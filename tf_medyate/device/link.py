"""Requests and answers, one after the other, over a line that loses and changes bytes.

Each request has a number. It is sent again, under the same number, until its answer has come; the
device carries it out once, however often it hears it.
"""

from __future__ import annotations

import dataclasses
import secrets
import time

from tf_medyate.device.framing import BadFrame, Frame, FrameReader, encode
from tf_medyate.device.protocol import ANSWER_BIT, DeviceStatus, RequestKind
from tf_medyate.device.remedies import REMEDIES
from tf_medyate.device.transport import LinkError, Transport
from tf_medyate.errors import MedyateError

_SEQUENCES = 1 << 32
_QUIET_S = 0.03
"""A longer pause than there is between the bytes of a frame."""


class DeviceError(MedyateError, RuntimeError):
    """The device answered, and what it says is not OK.

    Attributes:
        status: The DeviceStatus, or its number if it is unknown here.
        detail: The number that the device gives with it: what it expected, or 0.
    """

    def __init__(self, argument: str, status: int, detail: int = 0, received: str = ""):
        self.status: int = status
        self.detail = detail
        name, remedy = f"status {status}", "Bring firmware and tf_medyate to the same version."
        if status in REMEDIES:
            self.status = DeviceStatus(status)
            name, remedy = self.status.name, REMEDIES[self.status]
        more = f" (expected {detail})" if detail else ""
        super().__init__(argument, "OK", received or f"{name}, number {status}{more}", remedy)

    def __reduce__(self):
        return type(self), (self.argument, int(self.status), self.detail, self.received)


class SessionLostError(DeviceError):
    """The device does not know this session: it was restarted, or another host came.

    Whether the last request was carried out is not known; the device's counters say.
    """


@dataclasses.dataclass
class LinkCounters:
    """What the line did to us so far."""

    requests: int = 0
    resent: int = 0
    bad_answers: int = 0
    notices: int = 0


class Link:
    """Sends requests and waits for their answers.

    Args:
        transport: The line.
        timeout_s: How long to wait for an answer before the request is sent again.
        attempts: How often a request is sent.

    Attributes:
        counters: Resent requests and bad frames so far.
    """

    def __init__(self, transport: Transport, timeout_s: float, attempts: int):
        self._transport = transport
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._reader = FrameReader()
        self._found: list[Frame | BadFrame] = []
        self._session = 0
        self._sequence = 0
        self.counters = LinkCounters()

    def begin(self) -> None:
        """Begins a new session: what is still on the line belongs to none."""
        self._session = secrets.randbelow(_SEQUENCES - 1) + 1
        self._sequence = secrets.randbelow(_SEQUENCES)

    def request(self, kind: RequestKind, payload: bytes = b"", timeout_s: float = 0.0) -> Frame:
        """Has a request carried out, once.

        Args:
            kind: What to do.
            payload: What goes with it.
            timeout_s: At least so long is waited for an answer: some requests take their time.

        Returns:
            The answer, whatever its status.

        Raises:
            LinkError: No answer; whether it was carried out is not known.
            SessionLostError: The device does not know this session.
        """
        self._sequence = (self._sequence + 1) % _SEQUENCES
        request = Frame(kind, 0, self._session, self._sequence, payload)
        data, complaint = encode(request), ""
        self.counters.requests += 1
        for attempt in range(self._attempts):
            self.counters.resent += attempt > 0
            self._transport.write(data)
            answer = self._await(request, max(timeout_s, self._timeout_s))
            if isinstance(answer, Frame):
                return _belonging(answer, kind)
            complaint = answer or complaint
        told = f", but {complaint}" if complaint else ""
        raise LinkError(
            kind.name.lower(),
            f"an answer to one of {self._attempts} requests",
            f"none{told}",
            "See that the firmware runs, and check port and baud rate; then connect again: the "
            "status says what was carried out.",
        )

    def _await(self, request: Frame, timeout_s: float) -> Frame | str:
        """The answer, or why there is none: after that the request may be sent again.

        Once something is known to be damaged, that is as soon as the line is quiet: a burst of
        damage is one reason to send it again, not many.
        """
        deadline, complaint = time.monotonic() + timeout_s, ""
        while True:
            for frame in self._found:
                if isinstance(frame, Frame) and _answers(frame, request):
                    self._found = []  # what else is there was asked for before
                    return frame
                complaint = self._complaint(frame) or complaint
            self._found = []
            left = deadline - time.monotonic()
            if left <= 0:
                return complaint
            data = self._transport.read(min(left, _QUIET_S) if complaint else left)
            if complaint and not data:
                return complaint
            self._found = self._reader.feed(data)

    def _complaint(self, frame: Frame | BadFrame) -> str:
        """What a frame that is not the answer says about it."""
        if isinstance(frame, BadFrame):
            self.counters.bad_answers += 1
            return f"a frame that is {frame.status.name}"
        if frame.kind == RequestKind.NOTICE | ANSWER_BIT:
            self.counters.notices += 1
            return f"the device received a frame that is {_name(frame.status)}"
        return ""  # an answer that came twice


def _answers(frame: Frame, request: Frame) -> bool:
    wanted = (request.kind | ANSWER_BIT, request.session, request.sequence)
    return (frame.kind, frame.session, frame.sequence) == wanted


def _belonging(answer: Frame, kind: RequestKind) -> Frame:
    lost = (DeviceStatus.NO_SESSION, DeviceStatus.STALE_SESSION, DeviceStatus.OUT_OF_ORDER)
    if answer.status in lost:
        raise SessionLostError(kind.name.lower(), answer.status)
    return answer


def _name(status: int) -> str:
    return DeviceStatus(status).name if status in REMEDIES else f"status {status}"
