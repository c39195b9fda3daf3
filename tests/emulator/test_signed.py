"""Firmware that was built with a key, on the emulated board."""

import shutil

import numpy as np
import pytest
from cpp_build import CORTEX_M4F, ROOT
from emulated import region

from tf_medyate.device import DeviceClient, DeviceError, DeviceStatus, Region
from tf_medyate.device.protocol import RequestKind
from tf_medyate.device.ticket import ticket
from tf_medyate.device_key import write_key_header
from tf_medyate.emulator import EmulatedBoard, build_image

GOLDEN = ROOT / "tests/tflm_ops/trainer/static_model"
KEY = np.random.default_rng(5).bytes(32)


@pytest.fixture
def board(tmp_path):
    CORTEX_M4F.require()
    shutil.copytree(GOLDEN, tmp_path / "model")
    plain = build_image(tmp_path / "model", tmp_path / "plain")
    write_key_header(KEY, tmp_path / "model")
    image = build_image(tmp_path / "model", tmp_path / "image")
    cost = sum(image.sizes.code.values()) - sum(plain.sizes.code.values())
    assert 1500 < cost < 2048, "what docs/security.md says"
    assert image.sizes.static - plain.sizes.static < 256
    symbols = plain.elf.read_bytes()
    assert b"Sha256" not in symbols, "linked only where there is a key"
    with EmulatedBoard(tmp_path / "flash.bin") as board:
        board.flash(image)
        board.start()
        yield board


def signed(client, data):
    """A ticket for a push of all weights, as the board is now."""
    words = (client.info.model_hash, client.status().commits, data, Region.WEIGHTS)
    return ticket(KEY, RequestKind.PUSH, *words)


def assert_refused(status, push, *args):
    with pytest.raises(DeviceError) as error:
        push(*args)
    assert error.value.status == status


def test_signed_pushes_replays_tampering_and_a_power_cut(board):
    with DeviceClient.open(board.port, key=KEY) as client:
        factory = region(client)
        first, second = (np.full_like(factory, value).tobytes() for value in (0.25, 0.5))
        old = signed(client, first)
        client.push(first)
        assert client.pull() == first
        # Replayed, right away and after another push.
        assert_refused(DeviceStatus.OLD_COUNTER, client._push, old, Region.TICKET)
        client.push(second)
        assert_refused(DeviceStatus.OLD_COUNTER, client._push, old, Region.TICKET)
        assert_refused(DeviceStatus.NEEDS_KEY, client._push, first, Region.WEIGHTS)
        # One byte is another one: of the weights, of the ticket.
        tampered = bytearray(first)
        tampered[1000] ^= 1
        client._push(signed(client, first), Region.TICKET)
        assert_refused(DeviceStatus.BAD_TAG, client._push, bytes(tampered), Region.WEIGHTS)
        changed = bytearray(signed(client, first))
        changed[20] ^= 1  # the counter
        assert_refused(DeviceStatus.BAD_TAG, client._push, bytes(changed), Region.TICKET)
        assert client.pull() == second
    # The power goes in the middle of a signed push; what was signed is tried again after it.
    with DeviceClient.open(board.port) as client:
        commits, third = client.status().commits, signed(client, first)
        client._push(third, Region.TICKET)
        answered = board.cut_while(lambda: client._push(first, Region.WEIGHTS), 0.002)
    board.start()
    with DeviceClient.open(board.port) as client:
        found = client.pull()
        assert found == first or (found == second and not answered)
        assert client.status().commits == commits + (found == first)
        if found == second:
            client._push(third, Region.TICKET)
            client._push(first, Region.WEIGHTS)
        assert_refused(DeviceStatus.OLD_COUNTER, client._push, third, Region.TICKET)
        assert client.pull() == first
    with DeviceClient.open(board.port, key=KEY) as client:
        client.reset()
        np.testing.assert_array_equal(region(client), factory)
