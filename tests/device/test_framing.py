"""Frames in Python: every content comes back, every damage is found. The C++ twin's bytes."""

import struct
import zlib

import hypothesis
import hypothesis.strategies as st

from tf_medyate.device.framing import (
    MAX_FRAME_BYTES,
    BadFrame,
    Frame,
    FrameReader,
    encode,
    stuff,
    unstuff,
)
from tf_medyate.device.protocol import DeviceStatus

# Zeros or none, and runs around the longest that one code byte counts.
contents = st.one_of(
    st.binary(max_size=700),
    st.builds(lambda n, byte: bytes([byte]) * n, st.integers(0, 1100), st.sampled_from([0, 1])),
    st.lists(st.sampled_from([b"\0", b"a" * 253, b"b" * 254, b"c" * 255, b"d"]), max_size=6).map(
        b"".join
    ),
)
words = st.integers(0, 2**32 - 1)
frames = st.builds(Frame, st.integers(0, 255), st.integers(0, 255), words, words, contents)


def test_bytes_are_those_of_the_documentation():
    """The same frame as in protocol_test.cc."""
    expected = "00 02 02 01 01 0d 04 03 02 01 08 07 06 05 4f a9 2f b4 00"
    assert encode(Frame(2, 0, 0x01020304, 0x05060708)).hex(" ") == expected


@hypothesis.given(contents)
def test_stuffing_leaves_no_zero_and_costs_one_byte_in_254(data):
    stuffed = stuff(data)
    assert 0 not in stuffed
    assert len(stuffed) <= len(data) + 1 + len(data) // 254
    assert unstuff(stuffed) == data


@hypothesis.given(st.lists(frames, max_size=4), st.integers(1, 300), st.binary(max_size=40))
def test_frames_come_back_from_any_chunks_behind_any_garbage(sent, size, garbage):
    data = garbage + b"".join(map(encode, sent))
    reader, found = FrameReader(), []
    for at in range(0, len(data), size):
        found += reader.feed(data[at : at + size])
    sound = [frame for frame in found if isinstance(frame, Frame)]
    assert sound == sent


@hypothesis.given(frames, st.data())
def test_flipped_bits_are_found(frame, data):
    """Up to 3 bits of a frame: CRC-32 finds them for certain at these lengths.

    Bits of the stuffing can move others; that one of the damages here goes unnoticed has a chance
    of 2^-32, and the examples are always the same.
    """
    sound = bytearray(encode(frame))
    bits = data.draw(st.sets(st.integers(8, 8 * len(sound) - 9), min_size=1, max_size=3))
    for bit in bits:
        sound[bit // 8] ^= 1 << bit % 8
    assert frame not in FrameReader().feed(bytes(sound))


def test_says_what_is_wrong():
    sound = encode(Frame(4, 0, 1, 2, b"\7" * 100))
    assert FrameReader().feed(sound[:50] + b"\0") == [BadFrame(DeviceStatus.TRUNCATED)]
    flipped = sound[:40] + bytes([sound[40] ^ 4]) + sound[41:]
    assert FrameReader().feed(flipped) == [BadFrame(DeviceStatus.BAD_CHECKSUM)]
    body = struct.pack("<BBHII", 4, 0, 3, 1, 2) + b"four"
    body += struct.pack("<I", zlib.crc32(body))
    assert FrameReader().feed(stuff(body) + b"\0") == [BadFrame(DeviceStatus.BAD_LENGTH)]
    reader = FrameReader()
    for _ in range(3):
        assert reader.feed(b"x" * MAX_FRAME_BYTES) == []
    assert reader.feed(sound) == [BadFrame(DeviceStatus.OVERSIZED), Frame(4, 0, 1, 2, b"\7" * 100)]


def test_the_longest_payload_fits():
    frame = Frame(10, payload=bytes(range(256)) * 255 + bytes(255))
    assert len(frame.payload) == 0xFFFF
    assert FrameReader().feed(encode(frame)) == [frame]
