"""Boards and files that are broken or mean harm: clear errors, bounded memory and time."""

import json
import signal
import zlib

import numpy as np
import pytest
from fake_board import MODEL_HASH, ROOM, FakeBoard

from tf_medyate import cli
from tf_medyate.device import (
    DeltaError,
    DeviceClient,
    DeviceError,
    Exported,
    LinkError,
    Region,
    RegionLayout,
    load_delta,
    protocol,
    pull_learned,
    read_export,
    read_layout,
    read_names,
)
from tf_medyate.device.protocol import RequestKind
from tf_medyate.errors import NonFiniteDataError, OptionError
from tf_medyate.exporter.write.region import write_layout


@pytest.fixture
def board():
    return FakeBoard()


def connect(board):
    return DeviceClient(board, timeout_s=0.05, slow_timeout_s=0.05, attempts=2)


def test_a_sound_board_is_taken(board):
    board.regions[Region.NAMES] = b"0\tsit\n2\twalk\n"
    client = connect(board)
    assert client.pull() == bytes(32)
    assert client.names() == {0: "sit", 2: "walk"}
    client.push(bytes(2000))
    assert board.asked.count(RequestKind.PUSH) == -(-2000 // (ROOM - 16))


@pytest.mark.parametrize(
    ("word", "value", "expected"),
    [
        ("request_bytes", 10, "room for 240 to 65,535 bytes"),
        ("answer_bytes", 11, "room for 240"),
        ("request_bytes", 1 << 20, "room for 240"),
        ("weights_floats", 1 << 30, "at most 16,777,216 floats"),
        ("outputs", 1 << 31, "at most 16,777,216 floats"),
        ("outputs", 2, "one score for each class"),
        ("outputs", 0, "one score"),
        ("factory_classes", 4, "no more classes at the factory"),
        ("sample_dims", (1 << 31, 0, 0, 0, 0, 0), "at most 16,777,216 floats"),
        ("sample_dims", (0, 0, 0, 0, 0, 0), "sides of 1 or more"),
        ("batch_size", 0, "a batch of 1"),
        ("version", 99, "protocol"),
    ],
)
def test_a_hello_that_makes_no_sense(board, word, value, expected):
    board.hello[word] = value
    with pytest.raises(LinkError, match=expected):
        connect(board)


def test_statuses_that_nobody_knows(board):
    sound = board.answers[RequestKind.HELLO](b"")[1]
    board.answers[RequestKind.HELLO] = lambda _: (201, sound)
    with pytest.raises(DeviceError, match="status 201"):
        connect(board)
    board.answers[RequestKind.HELLO] = lambda _: (0, sound)
    client = connect(board)
    board.answers[RequestKind.STATUS] = lambda _: (202, b"")
    with pytest.raises(DeviceError, match="status 202"):
        client.status()
    board.answers[RequestKind.HELLO] = lambda _: (0, b"short")
    with pytest.raises(OptionError, match="HelloAnswer"):
        connect(board)


def pulls(total, crc, part, **words):
    """A board that announces `total` bytes and sends `part` bytes each time."""

    def answer(payload):
        offset = protocol.PULL_REQUEST.unpack(payload)["offset"]
        packed = protocol.PULL_ANSWER.pack(
            **{"total": total, "crc": crc, "offset": offset, **words}
        )
        return 0, packed + bytes(part)

    return answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (pulls(0xFFFFFFFF, 0, 400), "32 to 32 bytes of WEIGHTS; received 4,294,967,295"),
        (pulls(28, 0, 28), "32 to 32 bytes of WEIGHTS; received 28"),
        (pulls(32, 0, 1), "a part of 1"),
        (pulls(32, 0, 0), "a part of 0"),
        (pulls(32, 0, 33), "a part from byte 0 on"),
        (pulls(32, 0, 32, offset=4), "a part from byte 0 on"),
        (pulls(32, 1, 32), "CRC that was announced"),
    ],
)
def test_pulls_have_an_end(board, answer, expected):
    client = connect(board)
    board.answers[RequestKind.PULL] = answer
    with pytest.raises(LinkError, match=expected):
        client.pull()
    assert board.asked.count(RequestKind.PULL) <= 3


def test_a_region_that_changes_while_it_is_pulled_is_pulled_again(board):
    """Also without an end: each answer announces another one."""
    board.hello["weights_floats"] = 250
    client = connect(board)
    crcs = iter(range(100))
    board.answers[RequestKind.PULL] = lambda payload: pulls(1000, next(crcs), 484)(payload)
    with pytest.raises(LinkError, match="CRC that was announced"):
        client.pull()
    assert board.asked.count(RequestKind.PULL) == 6


def test_weights_and_scores_that_are_no_numbers(board):
    layout = RegionLayout(MODEL_HASH, 8, ())
    board.regions[Region.WEIGHTS] = np.array([0, np.nan] * 4, "<f4").tobytes()
    with pytest.raises(DeltaError, match="finite weights"):
        pull_learned(connect(board), Exported(layout, np.zeros(8, np.float32)))
    client = connect(board)
    board.answers[RequestKind.PREDICT] = lambda _: (0, np.full(3, np.inf, "<f4").tobytes())
    with pytest.raises(NonFiniteDataError, match="reset it"):
        client.predict(np.zeros(2))
    board.answers[RequestKind.STEP] = lambda _: (0, protocol.STEP_ANSWER.pack(loss=np.nan))
    with pytest.raises(LinkError, match="a finite loss"):
        client.step(np.zeros(2), 1)


BAD_NAMES = [
    "9" * 5000 + "\tlong label\n",
    "3\tno such class\n",
    "-1\tminus\n",
    "٣\tthree\n",
    "1\ta\n1\tb\n",
    "1\ta\n2\ta\n",
    "1\tesc\x1b[2J\n",
    "1\tc1\x9b2J\n",
    "1\tcarriage\rreturn\n",
    "1\ta\u2028b\n",
    "1\tright\u202eto left\n",
    "1\t" + "x" * 61 + "\n",
    "1\tsecond\ttab\n",
    "1 no tab\n",
]


@pytest.mark.parametrize("text", BAD_NAMES)
def test_names_that_are_none(board, text):
    with pytest.raises(DeltaError, match="every class and name once") as told:
        read_names(text, 3)
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 400


def test_the_host_gives_no_such_name(board):
    client = connect(board)
    for name in ("", "a\nnot a number\tx", "a\n4\tevil", "\x1b[31m", "x" * 61, "a\x00"):
        with pytest.raises(OptionError, match="without control characters"):
            client.enrol(name)
    board.answers[RequestKind.ENROL] = lambda _: (0, protocol.ENROL_ANSWER.pack(label=3))
    with pytest.raises(LinkError, match="a label below 3"):
        client.enrol("[/red] :smile: é")


# --- the command


@pytest.fixture
def medyate_device(board, monkeypatch, tmp_path, capsys):
    """The command with the fake board on its port; gives the exit status and what was printed."""
    export = tmp_path / "export"
    export.mkdir()
    write_layout(RegionLayout(MODEL_HASH, 8, ()), np.zeros(8, np.float32), export / "weights.json")
    monkeypatch.setattr("tf_medyate.device.client.open_transport", lambda *_: board)

    def command(*words):
        start = ["device", "--port", "fake", "--export", export, "--timeout", "0.05"]
        status = cli.main(cli.parse([str(word) for word in (*start, *words)]))
        printed = capsys.readouterr()
        return status, " ".join((printed.out + printed.err).split())

    return command


def test_nothing_from_a_board_is_markup_or_moves_the_cursor(board, medyate_device):
    board.name = b"[/red]evil\x1b[2J\x07"
    board.regions[Region.NAMES] = b"0\t[/bold]\n1\t:smile:\n"
    status, printed = medyate_device("status")
    assert status == 0
    assert "[/red]evil\\x1b[2J\\x07" in printed
    assert "0 [/bold], 1 :smile:" in printed
    assert "\x1b" not in printed


def test_status_and_pull_go_on_without_names_that_cannot_be_read(board, medyate_device, tmp_path):
    board.regions[Region.NAMES] = b"0\ta\nnot a number\tx\n"
    board.regions[Region.WEIGHTS] = np.arange(8, dtype="<f4").tobytes()
    status, printed = medyate_device("status")
    assert status == 0
    assert "cannot be read" in printed
    assert "without names" in printed
    status, printed = medyate_device("pull", tmp_path / "a.delta")
    assert status == 0
    assert "warning: without names of classes" in printed
    assert load_delta(tmp_path / "a.delta").floats == 7
    assert not (tmp_path / "a.names").exists()


def test_wrong_words_are_told_before_the_port_is_opened(board, medyate_device, tmp_path):
    for words, expected in [
        (("enrol", "a\n4\tevil"), "without control characters"),
        (("pull", tmp_path / "a.txt"), "ending in .delta"),
        (("pull", "/proc/a.delta"), "can be written"),
        (("push", tmp_path / "none.delta"), "an existing file"),
        (("pull", tmp_path / "a.delta", "--out", tmp_path / "t.keras"), "model.keras in"),
        (("train",), "train data.npz"),
    ]:
        status, printed = medyate_device(*words)
        assert (status, expected in printed) == (2, True), printed
    assert RequestKind.PULL not in board.asked


def test_string_labels_go_by_the_names_of_the_board(board, medyate_device, tmp_path):
    board.hello["factory_classes"] = 2
    board.regions[Region.NAMES] = b"0\twalk\n1\tsit\n"
    board.answers[RequestKind.STATUS] = lambda _: (0, board.status(named_classes=2))
    enrolled, labels = [], []
    board.answers[RequestKind.ENROL] = lambda payload: (
        enrolled.append(payload.decode()) or (0, protocol.ENROL_ANSWER.pack(label=2))
    )
    board.answers[RequestKind.STEP] = lambda payload: (
        labels.append(protocol.STEP_REQUEST.unpack(payload)["label"])
        or (0, protocol.STEP_ANSWER.pack(loss=0.5))
    )
    names = ["walk", "sit", "jump"] * 5
    np.savez(tmp_path / "d.npz", x=np.zeros((15, 2)), y=names)
    status, printed = medyate_device("train", tmp_path / "d.npz", "--epochs", 1)
    assert status == 0, printed
    assert enrolled == ["jump"]
    assert sorted(labels) == [0] * 4 + [1] * 4 + [2] * 4
    assert "33.3% before, 33.3% after" in printed


def test_ctrl_c_drops_the_epoch_that_it_interrupts(board, medyate_device, tmp_path):
    done = []
    for kind in (RequestKind.END_EPOCH, RequestKind.DISCARD):
        board.answers[kind] = lambda _, kind=kind: done.append(kind) or (0, b"")

    def step(_):
        if done:  # in the second epoch, in the middle of a request
            signal.raise_signal(signal.SIGINT)
        return 0, protocol.STEP_ANSWER.pack(loss=0.5)

    board.answers[RequestKind.STEP] = step
    np.savez(tmp_path / "d.npz", x=np.zeros((15, 2)), y=np.arange(15) % 2)
    status, printed = medyate_device("train", tmp_path / "d.npz", "--epochs", 3)
    assert status == 130
    assert "in epoch 2 of 3, which was dropped; what earlier epochs taught stays." in printed
    assert "Traceback" not in printed
    assert done == [RequestKind.END_EPOCH, RequestKind.DISCARD]


# --- files


def test_files_that_claim_too_much(tmp_path):
    layout = RegionLayout(MODEL_HASH, 8, ())
    write_layout(layout, np.zeros(8, np.float32), tmp_path / "weights.json")
    entries = json.loads((tmp_path / "weights.json").read_text())
    for change in (
        {"weights": 1 << 40},
        {"weights": -1},
        {"model_hash": "f" * 5000},
        {"places": [{"layer": "a", "kernel_offset": "0"}]},
    ):
        (tmp_path / "changed.json").write_text(json.dumps(entries | change))
        with pytest.raises(DeltaError, match="a weights layout"):
            read_layout(tmp_path / "changed.json")
    (tmp_path / "changed.json").write_text("[" * 100_000)
    with pytest.raises(DeltaError, match="a weights layout"):
        read_layout(tmp_path / "changed.json")
    # A path that leads out of the folder is not followed: /dev/zero has no end.
    entries["factory"] |= {"file": "/dev/zero", "crc32": zlib.crc32(bytes(32))}
    (tmp_path / "weights.json").write_text(json.dumps(entries))
    with pytest.raises(DeltaError, match="factory weights beside"):
        read_export(tmp_path)
    with (tmp_path / "huge.delta").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DeltaError, match="at most"):
        load_delta(tmp_path / "huge.delta")
