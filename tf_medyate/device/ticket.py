"""What a host that knows a board's key hands it before a push, a reset or an enrolment.

Example:
    >>> data = ticket(bytes(range(32)), RequestKind.RESET, model_hash=7, counter=3)
    >>> protocol.TICKET.unpack(data)["counter"]
    3
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from tf_medyate.device import protocol
from tf_medyate.device.protocol import RequestKind

_HALF = 0xFFFFFFFF


def ticket(
    key: bytes,
    kind: RequestKind,
    model_hash: int,
    counter: int,
    data: bytes = b"",
    region: int = 0,
) -> bytes:
    """A ticket; docs/security.md says what it promises.

    Args:
        key: The board's, 32 bytes.
        kind: PUSH, RESET or ENROL.
        model_hash: Of the model that the board runs, 64 bits.
        counter: The board's `commits`: after one more of them the ticket is worth nothing.
        data: What will be pushed, or the name in UTF-8.
        region: Of a push.
    """
    signed = protocol.TICKET.pack(
        request=kind,
        region=region,
        model_hash=(model_hash & _HALF, model_hash >> 32),
        counter=counter,
        bytes=len(data),
        digest=_words(hashlib.sha256(data).digest()),
        tag=_words(bytes(32)),
    )[:-32]
    return signed + hmac.digest(key, signed, "sha256")


def _words(digest: bytes) -> tuple[int, ...]:
    return struct.unpack("<8I", digest)
