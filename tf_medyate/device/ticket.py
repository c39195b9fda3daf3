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
from tf_medyate.device.link import DeviceError
from tf_medyate.device.protocol import DeviceStatus, RequestKind

_HALF = 0xFFFFFFFF
_COUNTER_AT = protocol.TICKET.offsets()["counter"]


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


def challenge(nonce: bytes) -> bytes:
    """Asks a board for a proof of its counter.

    Args:
        nonce: 32 random bytes, never used before.
    """
    return protocol.TICKET.pack(
        request=RequestKind.STATUS,
        region=0,
        model_hash=(0, 0),
        counter=0,
        bytes=0,
        digest=_words(nonce),
        tag=_words(bytes(32)),
    )


def proven_counter(key: bytes, model_hash: int, nonce: bytes, proof: bytes) -> int:
    """The counter of a board that knows the key; one that only says so is refused.

    Args:
        key: The board's.
        model_hash: Of the model that it said it runs.
        nonce: That of the challenge.
        proof: What was pulled.

    Raises:
        DeviceError: BAD_TAG: another key, another board's answer or an old one.
    """
    signed = protocol.TICKET.pack(
        magic=protocol.PROOF_MAGIC,
        request=RequestKind.STATUS,
        region=0,
        model_hash=(model_hash & _HALF, model_hash >> 32),
        counter=int.from_bytes(proof[_COUNTER_AT : _COUNTER_AT + 4], "little"),
        bytes=0,
        digest=_words(nonce),
        tag=_words(bytes(32)),
    )[:-32]
    if not hmac.compare_digest(signed + hmac.digest(key, signed, "sha256"), proof):
        raise DeviceError("device_key", DeviceStatus.BAD_TAG)
    return int(protocol.TICKET.unpack(proof)["counter"])


def _words(digest: bytes) -> tuple[int, ...]:
    return struct.unpack("<8I", digest)
