"""Boards that were built with a key: `medyate device --device_key` against a real trainer."""

import hashlib
import hmac
import pathlib
import re

import numpy as np
import pytest
from trainer_board import (
    Board,
    build_board,
    exported,
    medyate_device,
    samples,
)

import tf_medyate as md
from tf_medyate.device import DeviceClient, DeviceError, DeviceStatus, Region
from tf_medyate.device.protocol import RequestKind
from tf_medyate.device.ticket import ticket
from tf_medyate.device_key import KEY_HEADER, read_key
from tf_medyate.errors import OptionError
from tf_medyate.exporter.board.firmware import is_firmware

pytestmark = pytest.mark.usefixtures("quick_export")


def key_file(folder, name, seed):
    path = folder / name
    path.touch(mode=0o600)
    path.write_bytes(np.random.default_rng(seed).bytes(32))
    return path


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """The board's, and another one."""
    folder = tmp_path_factory.mktemp("keys")
    return [key_file(folder, "board.key", 1), key_file(folder, "other.key", 2)]


@pytest.fixture(scope="module")
def firmware(tmp_path_factory, keys):
    """Folder and program, with the key and without one."""
    folder = tmp_path_factory.mktemp("firmware")
    exports = [exported(folder / "keyed", True, key=keys[0]), exported(folder / "open", True)]
    return [(export, build_board(export)) for export in exports]


@pytest.fixture
def board(firmware, tmp_path):
    with Board(firmware[0][1], tmp_path / "flash") as board:
        yield board


def refused(error, status):
    assert error.value.status == status
    return str(error.value)


def test_every_command_works_with_the_key(firmware, board, keys, tmp_path, capsys):
    signed = ("--export", firmware[0][0], "--device_key", keys[0])
    x, y = samples(32, 2)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    delta = tmp_path / "learned.delta"
    words = ("train", tmp_path / "data.npz", "--epochs", 1, "--names", "jog", "--delta", delta)
    medyate_device(board.name, *signed, *words)
    with DeviceClient.open(board.name) as client:
        learned = client.pull()
    medyate_device(board.name, *signed, "reset")
    medyate_device(board.name, *signed, "push", delta)
    with DeviceClient.open(board.name) as client:
        assert client.pull() == learned
        assert client.names()[3] == "jog"
    medyate_device(board.name, *signed, "enrol", "hop")
    with DeviceClient.open(board.name) as client:
        assert client.names()[4] == "hop"
    assert keys[0].read_bytes().hex() not in capsys.readouterr().out


def test_without_the_key_or_with_another_one_nothing_is_taken(firmware, board, keys):
    with DeviceClient.open(board.name) as client:
        kept, commits = client.pull(), client.status().commits
    for words in (("reset",), ("enrol", "x")):
        with pytest.raises(DeviceError) as error:
            medyate_device(board.name, *words)
        assert "--device_key" in refused(error, DeviceStatus.NEEDS_KEY)
        with pytest.raises(DeviceError) as error:
            medyate_device(board.name, "--device_key", keys[1], *words)
        assert "Use the key" in refused(error, DeviceStatus.BAD_TAG)
    with DeviceClient.open(board.name, key=read_key(keys[1])) as client:
        with pytest.raises(DeviceError) as error:
            client.push(kept)
        refused(error, DeviceStatus.BAD_TAG)
        with pytest.raises(DeviceError) as error:
            client.step(np.zeros(6), 3)
        assert "by name first" in refused(error, DeviceStatus.NEEDS_KEY)
        assert (client.pull(), client.status().commits) == (kept, commits)


def test_what_was_signed_once_counts_once(board, keys):
    key = read_key(keys[0])
    with DeviceClient.open(board.name, key=key) as client:
        old = client.pull()
        words = (client.info.model_hash, client.status().commits, old, Region.WEIGHTS)
        replayed = ticket(key, RequestKind.PUSH, *words)
        client._push(replayed, Region.TICKET)
        client._push(old, Region.WEIGHTS)
        with pytest.raises(DeviceError) as error:
            client._push(replayed, Region.TICKET)
        assert "sign it again" in refused(error, DeviceStatus.OLD_COUNTER)


def test_a_counter_that_the_board_has_not_proven_is_not_signed(board, keys, monkeypatch):
    key = read_key(keys[0])
    with DeviceClient.open(board.name, key=key) as client:
        asked, pushed = [], client._push
        # Somebody in the middle answers with an old proof, another counter, another nonce.
        monkeypatch.setattr(
            client, "_push", lambda data, *args: asked.append(data) or pushed(data, *args)
        )
        client.enrol("first")
        [question, _] = asked
        old = client.pull
        pushed(question, Region.TICKET)
        proof = client.pull(Region.TICKET)
        counter = bytearray(proof)
        counter[20] += 1
        for forged in (proof, bytes(counter), proof[:-1], b""):
            monkeypatch.setattr(client, "pull", lambda region, forged=forged: forged)
            asked.clear()
            with pytest.raises(DeviceError) as error:
                client.enrol("second")
            refused(error, DeviceStatus.BAD_TAG)
            assert len(asked) == 1, "the challenge alone"
        monkeypatch.setattr(client, "pull", old)
        # Nor does a proof serve as a ticket.
        with pytest.raises(DeviceError):
            pushed(proof[:4] + bytes([RequestKind.RESET]) + proof[5:], Region.TICKET)
        with pytest.raises(DeviceError) as error:
            client._slow(RequestKind.RESET)
        refused(error, DeviceStatus.NEEDS_KEY)
        assert client.status().named_classes == 4


def test_a_key_for_a_board_without_one_is_refused(firmware, keys, tmp_path):
    with Board(firmware[1][1], tmp_path / "flash") as board:
        with pytest.raises(OptionError, match=r"device_key: .*takes pushes from anybody"):
            medyate_device(board.name, "--device_key", keys[0], "reset")
        with DeviceClient.open(board.name) as client:
            assert client.status().commits == 1


def test_a_ticket_is_signed_by_the_standard_librarys_hmac():
    key, data = bytes(range(32)), b"abc"
    made = ticket(key, RequestKind.ENROL, 0x0102030405060708, 9, data)
    assert made[:24].hex() == "4d44594b0b00000000000000" + "0807060504030201" + "09000000"
    assert made[24:28] == bytes([3, 0, 0, 0])
    assert made[28:60] == hashlib.sha256(data).digest()
    assert made[60:] == hmac.new(key, made[:60], hashlib.sha256).digest()


# --- the key's file, and where the key lies


def test_key_files_that_are_none_are_refused_before_anything_else(tmp_path, keys):
    for content, received in ((b"x" * 31, "31 bytes"), (b"ab" * 32, "64 bytes")):
        (tmp_path / "bad.key").write_bytes(content)
        with pytest.raises(OptionError, match=f"32 random bytes.*{received}.*/dev/urandom"):
            medyate_device("tcp:localhost:1", "--device_key", tmp_path / "bad.key", "reset")
    (tmp_path / "bad.key").write_bytes(bytes(32))
    with pytest.raises(OptionError, match="32 equal bytes"):
        read_key(tmp_path / "bad.key")
    with pytest.raises(OptionError, match="No such file"):
        exported(tmp_path / "out", True, key=tmp_path / "none.key")
    assert not (tmp_path / "out" / "cpp").exists()
    open_key = tmp_path / "open.key"
    open_key.write_bytes(keys[0].read_bytes())
    open_key.chmod(0o640)
    with pytest.warns(UserWarning, match="chmod 600"):
        read_key(open_key)


def test_an_export_keeps_the_key_in_one_header_that_its_owner_can_read(firmware, keys):
    export, key = firmware[0][0], keys[0].read_bytes()
    header = export / "cpp" / KEY_HEADER
    assert header.stat().st_mode & 0o777 == 0o600
    [listed] = re.findall(r"\{(.*?)\}", header.read_text())
    assert bytes(int(byte, 16) for byte in listed.split(",")) == key
    texts = [path for path in export.rglob("*") if path.is_file() and path != export / "board"]
    for path in texts:
        data = path.read_bytes()
        assert key not in data, path
        assert path == header or listed.encode() not in data, path
    assert not (firmware[1][0] / "cpp" / KEY_HEADER).exists()
    options = md.FirmwareOptions(device_key=keys[0])
    assert key.hex() not in repr(options)
    assert repr(key)[2:-1] not in repr(options)


def test_exporting_again_without_a_key_takes_it_away():
    assert is_firmware(pathlib.PurePath("cpp") / KEY_HEADER)
    assert is_firmware(pathlib.PurePath("arduino/MeDyate/examples/StreamTrainer") / KEY_HEADER)
