"""The Python client against the real C++ session, over lines that damage what they carry."""

import os
import pickle
import random
import subprocess
import tty

import numpy as np
import pytest
from device_line import MODEL_HASH, ROOT, WEIGHTS, BadLine, Device, build, harm

from tf_medyate import cli
from tf_medyate.device import (
    DeltaError,
    DeltaKind,
    DeviceClient,
    DeviceError,
    DeviceStatus,
    Expected,
    LinkError,
    Region,
    RegionLayout,
    SessionLostError,
    encode_delta,
    protocol,
    protocol_header,
    read_delta,
)
from tf_medyate.device.remedies import REMEDIES
from tf_medyate.device.transport import open_transport
from tf_medyate.errors import DataError, LabelError, NonFiniteDataError, OptionError
from tf_medyate.exporter.write.region import write_layout

# Of the session in device_host.cc: 128 words without header and checksum.
ROOM = 4 * 128 - 16


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build(tmp_path_factory.mktemp("device"))


@pytest.fixture
def start(program, tmp_path):
    """Starts devices, and stops them in the end."""
    started = []

    def starter(**options):
        started.append(Device(program, tmp_path, **options))
        return started[-1]

    yield starter
    for running in started:
        running.stop()


def test_header_is_generated_from_the_schema():
    assert (ROOT / "tflm_ops/device/protocol.h").read_text() == protocol_header.header()


def test_every_status_has_a_remedy():
    assert set(REMEDIES) == set(DeviceStatus) - {DeviceStatus.OK}


def test_payloads_are_checked():
    assert protocol.PULL_REQUEST.unpack(protocol.PULL_REQUEST.pack(region=1, offset=2)) == {
        "region": 1,
        "offset": 2,
    }
    with pytest.raises(OptionError, match=r"PullRequest\.offset"):
        protocol.PULL_REQUEST.pack(region=1)
    with pytest.raises(OptionError, match="Correct the field's name"):
        protocol.PULL_REQUEST.pack(region=1, offset=2, size=3)
    with pytest.raises(OptionError, match="8 bytes or more"):
        protocol.PULL_REQUEST.unpack(b"1234567")


def learned_weights():
    """The scripted device's weights, and other ones."""
    factory = np.arange(WEIGHTS, dtype=np.float32) / 8
    current = factory.copy()
    current[20:300:7] += 1
    return factory, current


def test_every_request_on_a_good_line(start):
    running = start()
    expected = Expected(MODEL_HASH, (2, 3), 4)
    with DeviceClient.open(running.name, expected) as board:
        info = board.info
        assert (info.name, info.model_hash, info.sample_shape) == ("scripted", MODEL_HASH, (2, 3))
        assert (info.classes, info.outputs, info.weights_floats) == (4, 4, WEIGHTS)
        assert (info.request_bytes, info.answer_bytes) == (ROOM, ROOM)
        assert "'scripted', model 0123456789abcdef: samples (2, 3), 4 classes" in str(info)
        sample = np.arange(6).reshape(2, 3) / 4
        assert board.step(sample, 2) == 15 / 4 + 2
        np.testing.assert_array_equal(board.predict(sample[None]), np.arange(4) * 15 / 4)
        assert board.end_epoch()
        board.commit()
        board.discard()
        assert [board.enrol("left"), board.enrol("rechts: →")] == [0, 1]
        board.reset()
        status = board.status()
        assert (status.samples, status.epochs, status.named_classes, status.draw) == (1, 1, 2, -1)
        assert (status.is_sound, status.commits_left, status.repeats) == (True, None, 0)
        assert status.frames == 10
    assert running.log() == [
        *("step 2", "predict", "end_epoch", "commit", "discard"),
        *("enrol left", "enrol rechts: →", "reset"),
    ]


def test_long_samples_and_targets(start):
    sample = np.arange(400, dtype=np.float32).reshape(20, 20)
    with DeviceClient.open(start(sides=(20, 20)).name) as board:
        assert board.step(sample, 1) == sample.sum() + 1
        assert board.predict(sample)[3] == 3 * sample.sum()
        assert board.status().frames == 1 + 4 + 4 + 1  # 1,600 bytes in four frames, twice
    with DeviceClient.open(start(classes=0, sides=(6,)).name) as board:
        assert board.step(np.ones(6), [1, 2, 0.5]) == 9.5
        with pytest.raises(DataError, match="a target of 3 numbers"):
            board.step(np.ones(6), [1, 2])
        with pytest.raises(NonFiniteDataError):
            board.step(np.ones(6), [1, 2, np.inf])


def test_pull_and_push_and_the_format_of_sparse_deltas(start):
    """What Python encodes C++ accepts and applies, and encodes to the same bytes again."""
    factory, current = learned_weights()
    seen = []
    with DeviceClient.open(start().name) as board:
        assert len(read_delta(board.pull(Region.DELTA)).runs) == 0
        pushed = encode_delta(factory, current, MODEL_HASH).to_bytes()
        board.push(pushed, Region.DELTA, progress=lambda done, total: seen.append((done, total)))
        assert len(seen) > 1
        assert seen[-1] == (len(pushed), len(pushed))
        weights = np.frombuffer(board.pull(Region.WEIGHTS), "<f4")
        np.testing.assert_array_equal(weights, current)
        assert board.pull(Region.DELTA) == pushed
        assert (read_delta(pushed).apply(factory, MODEL_HASH) == weights).all()
        board.reset()
        # Differences: the same rounding in both languages.
        noisy = factory + np.random.default_rng(0).normal(size=WEIGHTS).astype(np.float32)
        differences = encode_delta(factory, noisy, MODEL_HASH, DeltaKind.DIFFERENCES)
        board.push(differences.to_bytes(), Region.DELTA)
        learned = np.frombuffer(board.pull(Region.WEIGHTS), "<f4")
        assert (differences.apply(factory, MODEL_HASH) == learned).all()
        with pytest.raises(DeviceError, match=r"DELTA_WRONG_BASE.*Reset the board first"):
            board.push(pushed, Region.DELTA)
        with pytest.raises(DeviceError, match="DELTA_OTHER_MODEL"):
            board.push(encode_delta(factory, current, 5).to_bytes(), Region.DELTA)
        with pytest.raises(DeviceError, match="DELTA_DAMAGED"):
            board.push(b"", Region.DELTA)
        with pytest.raises(DeviceError, match="PUSH_TOO_LONG"):
            board.push(bytes(10_000), Region.DELTA)
        with pytest.raises(DeviceError, match="NO_SUCH_REGION"):
            board.pull(Region.NAMES)
        assert board.names() == {}


def test_errors_teach(start):
    running = start()
    with DeviceClient.open(running.name) as board:
        with pytest.raises(DataError, match=r"shape \(2, 3\)"):
            board.step(np.zeros(6), 0)
        with pytest.raises(NonFiniteDataError):
            board.predict(np.full((2, 3), np.nan))
        for label in (4, -1, 0.5, [0.5, 0.5, 0, 0]):
            with pytest.raises(LabelError, match="from 0 to 3"):
                board.step(np.zeros((2, 3)), label)
        board.enrol("a")
        with pytest.raises(DeviceError, match="enrol: expected OK; received NAME_TAKEN, number 41"):
            board.enrol("a")
        with pytest.raises(DeviceError, match=r"BAD_NAME.*expected 60") as caught:
            board._slow(protocol.RequestKind.ENROL, b"")
        assert caught.value.status is DeviceStatus.BAD_NAME
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (copy.status, str(copy)) == (caught.value.status, str(caught.value))
    for expected, message in [
        (Expected(model_hash=1 << 40), "OTHER_MODEL.*device has 0123456789abcdef"),
        (Expected(sample_shape=(3, 2)), r"OTHER_SHAPE.*device has \(2, 3\)"),
        (Expected(classes=2), "OTHER_CLASSES: 2 classes was expected, the device has 4"),
    ]:
        with pytest.raises(DeviceError, match=message):
            DeviceClient.open(running.name, expected)
    with pytest.raises(OptionError, match="at most 6 sides"):
        DeviceClient.open(running.name, Expected(sample_shape=(1,) * 7))
    with pytest.raises(OptionError, match="positive numbers"):
        DeviceClient.open(running.name, attempts=0)


def test_ports_that_cannot_be_opened():
    with pytest.raises(OptionError, match="tcp:localhost:5555"):
        open_transport("tcp:localhost")
    with pytest.raises(LinkError, match="Start the emulator first"):
        open_transport("tcp:127.0.0.1:9")  # discard: nobody listens there
    with pytest.raises(LinkError, match="Plug the board in"):
        open_transport("/dev/no-such-port")


def test_a_line_that_swallows_everything_ends_with_a_clear_error(start):
    running = start()
    swallows = [False]
    with BadLine(running.port, lambda chunk, _: [] if swallows[0] else [chunk]) as line:
        options = {"timeout_s": 0.05, "slow_timeout_s": 0.05, "attempts": 3}
        board = DeviceClient.open(line.name, **options)
        swallows[0] = True
        with pytest.raises(LinkError, match="an answer to one of 3 requests; received none"):
            board.commit()
        swallows[0] = False
        # The device never heard of it: the next number is one too high, and the session is lost.
        with pytest.raises(SessionLostError, match=r"OUT_OF_ORDER.*Connect again"):
            board.commit()
        board.connect()
        board.commit()
        assert running.log() == ["commit"]
        running.stop()
        with pytest.raises(LinkError, match="Start the device again"):
            board.commit()


def test_a_restarted_device_is_noticed(start):
    running = start()
    with DeviceClient.open(running.name) as board:
        board.link.begin()  # a session that the device has never heard of
        with pytest.raises(SessionLostError, match="NO_SESSION"):
            board.commit()
        board.connect()
        board.commit()
    assert running.log() == ["commit"]


@pytest.mark.parametrize("seed", range(3))
def test_every_request_is_done_once_on_a_line_that_damages_what_it_carries(start, seed):
    running = start(sides=(9, 20))  # 720 bytes: in two parts
    rng = random.Random(seed)
    factory, current = learned_weights()
    delta = encode_delta(factory, current, MODEL_HASH).to_bytes()
    expected = []
    # The line may fail many times in a row, but hardly 40 times.
    options = {"timeout_s": 0.06, "slow_timeout_s": 0.06, "attempts": 40}
    with (
        BadLine(running.port, harm, seed) as line,
        DeviceClient.open(line.name, **options) as board,
    ):
        for _ in range(50):
            kind = rng.randrange(8)
            sample = np.full((9, 20), rng.randrange(-8, 8))
            label = rng.randrange(4)
            if kind < 4:
                assert board.step(sample, label) == sample.sum() + label
                expected.append(f"step {label}")
            elif kind == 4:
                assert board.predict(sample)[2] == 2 * sample.sum()
                expected.append("predict")
            elif kind == 5:
                assert board.end_epoch()
                expected.append("end_epoch")
            elif kind == 6:
                assert board.pull(Region.WEIGHTS) == factory.tobytes()
            else:
                board.push(delta, Region.DELTA)
                assert board.pull(Region.DELTA) == delta
                board.reset()
                expected += [f"push {len(delta)}", "reset"]
        status = board.status()
        counters = board.link.counters
    assert running.log() == expected
    # The damage was real: some requests were lost, some answers.
    assert counters.resent > 10
    assert status.repeats > 3
    assert status.bad_frames > 3


def test_a_real_tty(program):
    serial = pytest.importorskip("serial", reason="pip install 'tf_medyate[device]'")
    assert serial.__version__
    master, slave = os.openpty()
    tty.setraw(slave)
    with subprocess.Popen(
        [program, "4", "2", "3"], stdin=master, stdout=master, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        with DeviceClient.open(os.ttyname(slave)) as board:
            assert board.step(np.ones((2, 3)), 3) == 9
            assert board.pull(Region.WEIGHTS) == learned_weights()[0].tobytes()
        assert process.stderr.readline() == "step 3\n"
        process.kill()
    os.close(slave)
    os.close(master)


# --- the command


def medyate_device(port, *words):
    args = cli.parse(["device", "--port", port, *map(str, words)])
    args.run(args)


def test_the_command_trains(start, tmp_path, capsys):
    running = start(sides=(2,))
    # Scores are multiples of the sum, so the predicted class is 3 where it is positive, else 0.
    x = np.array([[1, 1], [-1, -1]] * 10, np.float32)
    y = np.array([3, 0] * 10)
    y[-2:] = 0  # of each class the last two are held back: one of four is wrong
    np.savez(tmp_path / "data.npz", x=x, y=y)
    medyate_device(running.name, "train", tmp_path / "data.npz", "--epochs", 2)
    printed = " ".join(capsys.readouterr().out.split())
    assert "accuracy on 4 validation samples: 75.0% before, 75.0% after." in printed
    log = running.log()
    assert (log.count("end_epoch"), log.count("predict")) == (2, 12)
    assert sorted(log[4:20]) == ["step 0"] * 9 + ["step 3"] * 7
    medyate_device(running.name, "status")
    printed = " ".join(capsys.readouterr().out.split())
    assert "32 samples" in printed
    assert "2, of them 0 dropped" in printed
    assert "well" in printed


def test_the_command_trains_on_targets(start, tmp_path, capsys):
    running = start(classes=0, sides=(2,))
    # Scores are 0, 1 and 2 times the sum: the validation targets are off by 1 each.
    x = np.full((5, 2), 0.5, np.float32)
    np.savez(tmp_path / "data.npz", x=x, y=np.tile([1.0, 2.0, 3.0], (5, 1)))
    medyate_device(running.name, "train", tmp_path / "data.npz", "--epochs", 1)
    printed = " ".join(capsys.readouterr().out.split())
    assert "mean squared error on 1 validation samples: 1 before, 1 after." in printed
    assert running.log().count("target 1") == 4
    with pytest.raises(SystemExit):
        medyate_device(running.name, "train", tmp_path / "data.npz", "--epochs", 0)


def test_the_command_resets_and_refuses(start, tmp_path):
    running = start(sides=(2,))
    medyate_device(running.name, "reset")
    medyate_device(running.name, "enrol", "left")
    assert running.log() == ["reset", "enrol left"]
    with pytest.raises(OptionError, match="a Keras file, for --model"):
        medyate_device(running.name, "train", "data.npz", "--model", "m.keras")
    for words in (["pull"], ["push"], ["train", "data.npz", "--delta", "x.delta"]):
        with pytest.raises(OptionError, match="--export"):
            medyate_device(running.name, *words)
    export = tmp_path / "out"
    export.mkdir()
    write_layout(RegionLayout(5, WEIGHTS, ()), learned_weights()[0], export / "weights.json")
    named = ("--export", export)
    with pytest.raises(OptionError, match="an existing file"):
        medyate_device(running.name, *named, "push", "--delta", tmp_path / "none")
    with pytest.raises(DeviceError, match="OTHER_MODEL: model 0000000000000005 was expected"):
        medyate_device(running.name, *named, "pull", "--delta", tmp_path / "learned.delta")
    with pytest.raises(SystemExit):
        medyate_device(running.name, "status", "--commits_per_day", 0)
    np.savez(tmp_path / "data.npz", x=np.zeros((5, 2)), y=np.arange(5))
    with pytest.raises(LabelError, match="class labels from 0 to 3"):
        medyate_device(running.name, "train", tmp_path / "data.npz")


def test_the_command_pulls_weights_as_a_delta(start, tmp_path):
    """From a board that knows nothing of deltas but its weights."""
    running = start(sides=(2,))
    factory, current = learned_weights()
    layout = RegionLayout(MODEL_HASH, WEIGHTS, ())
    write_layout(layout, factory, tmp_path / "weights.json")
    with DeviceClient.open(running.name) as board:
        board.push(encode_delta(factory, current, MODEL_HASH).to_bytes(), Region.DELTA)
    path = tmp_path / "sub" / "learned.delta"
    medyate_device(running.name, "--export", tmp_path, "pull", "--delta", path)
    assert path.read_bytes() == encode_delta(factory, current, MODEL_HASH).to_bytes()
    medyate_device(running.name, "--export", tmp_path, "pull", "--delta", path, "--differences")
    assert read_delta(path.read_bytes()).kind == DeltaKind.DIFFERENCES
    # Other factory weights than the layout says.
    (tmp_path / "weights.bin").write_bytes(current.tobytes())
    with pytest.raises(DeltaError, match=r"2,800 bytes of factory weights with CRC-32"):
        medyate_device(running.name, "--export", tmp_path, "pull", "--delta", path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(DeltaError, match="factory weights beside"):
        medyate_device(running.name, "--export", tmp_path, "pull", "--delta", path)
