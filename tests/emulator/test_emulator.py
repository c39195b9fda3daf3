"""The firmware on the emulated board, over its real serial stream."""

import argparse
import concurrent.futures
import shutil
import socket
import threading

import numpy as np
import pytest
from cpp_build import CORTEX_M4F, ROOT
from cpp_training import assert_same_weights
from emulated import make_firmware, region, running

from tf_medyate.commands import emulate
from tf_medyate.device import (
    DeviceClient,
    DeviceStatus,
    apply_to_model,
    pull_learned,
    read_export,
)
from tf_medyate.emulator import EmulatedBoard, EmulatorError, build_image, missing_programs
from tf_medyate.emulator.image import FLASH_BYTES, RAM_BYTES
from tf_medyate.simulate import TFLMTrainer
from tf_medyate.spec import FLASH_PAGE_BYTES

pytestmark = pytest.mark.usefixtures("quick_export")

GOLDEN = ROOT / "tests/tflm_ops/trainer/static_model"
SAMPLES = 24


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    return make_firmware(tmp_path_factory.mktemp("firmware"), "residual", samples=SAMPLES)


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    CORTEX_M4F.require()
    return build_image(GOLDEN, tmp_path_factory.mktemp("golden"))


def train(learner, case, epochs):
    """Losses of `epochs` epochs, of a client or of a trainer in TFLM."""
    losses = []
    for _ in range(epochs):
        losses += [learner.step(x, y) for x, y in zip(case.x, case.y, strict=True)]
        learner.end_epoch()
    return np.array(losses, np.float32)


def test_the_board_learns_the_bits_of_tflm_across_a_power_cut_and_back_into_keras(
    firmware, tmp_path
):
    case = firmware.exported.case
    tflm = TFLMTrainer(firmware.bundle)
    wanted = train(tflm, case, 3)
    with running(firmware, tmp_path) as board:
        with DeviceClient.open(board.port) as client:
            losses = train(client, case, 2)
        board.kill()
        board.start()
        with DeviceClient.open(board.port) as client:
            assert client.status().epochs == 2, "it goes on where it was"
            losses = np.append(losses, train(client, case, 1))
            np.testing.assert_array_equal(losses, wanted)
            assert losses[-SAMPLES:].mean() < losses[:SAMPLES].mean(), "it learns"
            assert_same_weights(region(client), firmware.exported, tflm)
            exported = read_export(firmware.bundle)
            learned = pull_learned(client, exported)
            scores = [client.predict(x) for x in case.x]
    model = case.model
    before = model.predict(case.x, verbose=0)
    apply_to_model(learned.delta, model, exported.layout)
    after = model.predict(case.x, verbose=0)
    assert np.abs(after - before).max() > 0.01
    np.testing.assert_allclose(after, scores, rtol=0, atol=1e-5)  # one forward pass of rounding


def test_instructions_are_counted_the_same_in_every_run(firmware, tmp_path):
    case, image, counts = firmware.exported.case, firmware.image, []
    for run in range(2):
        (tmp_path / str(run)).mkdir()
        with (
            running(firmware, tmp_path / str(run), count_instructions=True) as board,
            DeviceClient.open(board.port) as client,
        ):
            for x, y in zip(case.x[:3], case.y[:3], strict=True):
                client.step(x, y)
            client.predict(case.x[0])
            counts.append(board.measure(client))
    first, second = counts
    # A tick is 40 instructions, and a step begins anywhere between two of them.
    assert first.step == pytest.approx(second.step, abs=80)
    assert (first.stack, first.static) == (second.stack, image.sizes.static)
    macs = sum(layer.macs for layer in TFLMTrainer(firmware.bundle).manifest.layers)
    assert 2 * macs < first.predict < first.step < 60 * macs, "a few instructions each"
    assert first.steps == 3
    assert first.mean_step == pytest.approx(first.step, rel=0.1)
    assert image.sizes.arena < image.sizes.static < RAM_BYTES
    assert 500 < first.stack < 8192


def test_without_counting_there_are_no_instructions(golden, tmp_path):
    with EmulatedBoard(tmp_path / "flash.bin") as board:
        board.flash(golden)
        board.start()
        with DeviceClient.open(board.port) as client:
            client.step(np.ones((4, 4, 2)), 1)
            measured = board.measure(client)
    assert (measured.steps, measured.step) == (1, 0)


def test_a_guard_holds_samples_back(tmp_path):
    CORTEX_M4F.require()
    image = build_image(GOLDEN, tmp_path, guard_bytes=1024, hold_every=2)
    with EmulatedBoard(tmp_path / "flash.bin") as board:
        board.flash(image)
        board.start()
        with DeviceClient.open(board.port) as client:
            for label in range(4):
                client.step(np.ones((4, 4, 2)), label % 3)
            status = client.status()
    assert (status.samples, status.held_samples) == (2, 2)


def test_bytes_that_come_while_it_commits_fill_the_ring_and_are_not_lost(firmware, tmp_path):
    case = firmware.exported.case
    with running(firmware, tmp_path) as board, DeviceClient.open(board.port) as client:
        client.step(case.x[0], case.y[0])
        flash = board.flash_file.read_bytes()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(client.end_epoch)
            while board.flash_file.read_bytes() == flash:
                assert not answer.done()
            client._transport.write(bytes([0x55] * 6000) + b"\0")  # longer than ring and frame
            assert answer.result()
        assert client.step(case.x[1], case.y[1]) > 0
        status = client.status()
    assert (status.epochs, status.bad_frames) == (1, 1)
    assert status.last_bad_frame == DeviceStatus.OVERSIZED


# --- flash


def test_flashing_leaves_the_journal_alone_and_the_firmware_drops_what_was_learned(
    golden, tmp_path
):
    with EmulatedBoard(tmp_path / "flash.bin") as board:
        assert not board.holds(golden)
        board.flash(golden)
        assert board.holds(golden)
        board.start()
        with DeviceClient.open(board.port) as client:
            factory = region(client)
            client.step(np.ones((4, 4, 2)), 1)
            client.end_epoch()
            learned = region(client)
        board.kill()
        assert not np.array_equal(factory, learned)
        assert board.holds(golden), "its weights may learn"
        flash = board.flash_file.read_bytes()
        begin, size = golden.weights
        assert flash[begin : begin + size] == learned.tobytes()
        journal = FLASH_BYTES - golden.sizes.journal
        assert set(flash[journal:]) != {0xFF}
        board.flash(golden)
        assert board.flash_file.read_bytes()[journal:] == flash[journal:]
        board.start()
        assert "flashed again" in board.log()
        with DeviceClient.open(board.port) as client:
            np.testing.assert_array_equal(region(client), factory)
            assert client.status().samples == 0


def test_the_weights_lie_alone_in_their_pages(golden, firmware):
    for image in (golden, firmware.image):
        begin, size = image.weights
        assert begin % FLASH_PAGE_BYTES == size % FLASH_PAGE_BYTES == 0
        assert size == image.sizes.weights > 0
        assert begin >= 0x10000, "after the bootloader"
        assert image.binary.stat().st_size < FLASH_BYTES - image.sizes.journal


# --- what goes wrong


def test_a_model_that_does_not_fit_is_refused_with_the_reason(tmp_path):
    CORTEX_M4F.require()
    for path in GOLDEN.iterdir():
        shutil.copy(path, tmp_path)
    weights = tmp_path / "medyate_weights.cc"
    # The journal grows with the weights: together they do not fit, each of them would.
    weights.write_text(weights.read_text().replace("kWeights[1024]", "kWeights[122880]"))
    header = tmp_path / "medyate_model.h"
    said = header.read_text()
    header.write_text(said.replace("kWeightsFloats = 1024", "kWeightsFloats = 122880"))
    with pytest.raises(EmulatorError, match="application and journal do not fit into 960 KiB"):
        build_image(tmp_path, tmp_path / "out")
    shutil.copy(GOLDEN / "medyate_weights.cc", tmp_path)
    header.write_text(said.replace("kArenaBytes = ", "kArenaBytes = 245000 + "))
    with pytest.raises(EmulatorError, match="less than 8 KiB are left for the stack"):
        build_image(tmp_path, tmp_path / "out")


def test_what_cannot_be_is_refused(golden, tmp_path, monkeypatch):
    with pytest.raises(EmulatorError, match="Export with medyate export --cpp"):
        build_image(tmp_path, tmp_path / "out")
    with EmulatedBoard(tmp_path / "flash.bin") as board:
        with pytest.raises(EmulatorError, match="Flash the board first"):
            board.start()
        board.flash(golden)
        board.start()
        with pytest.raises(EmulatorError, match=r"Call kill\(\) first"):
            board.flash(golden)
        port = int(board.port.rpartition(":")[2])
        with pytest.raises(EmulatorError, match="port: expected a free TCP port"):
            EmulatedBoard(tmp_path / "flash.bin", port)
    (tmp_path / "short.bin").write_bytes(b"123")
    with (
        EmulatedBoard(tmp_path / "short.bin") as board,
        pytest.raises(EmulatorError, match="a file of 1,048,576 bytes"),
    ):
        board.start()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert missing_programs() == ["arm-none-eabi-g++", "qemu-system-arm"]
    with pytest.raises(EmulatorError, match="apt-get install gcc-arm-none-eabi"):
        build_image(GOLDEN, tmp_path)
    with pytest.raises(EmulatorError, match="apt-get install qemu-system-arm"):
        EmulatedBoard(tmp_path / "flash.bin")


def test_firmware_that_gives_up_says_why(golden, tmp_path):
    flash = tmp_path / "flash.bin"
    with EmulatedBoard(flash) as board:
        board.flash(golden)
        data = bytearray(flash.read_bytes())
        data[4:8] = bytes(4)  # The reset vector.
        flash.write_bytes(data)
        with pytest.raises(EmulatorError, match="firmware: expected to start"):
            board.start()


# --- medyate emulate


def test_the_command_flashes_once_and_keeps_what_was_learned(tmp_path, monkeypatch, capsys):
    CORTEX_M4F.require()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    seen = []

    def session(board):
        with DeviceClient.open(f"tcp:127.0.0.1:{port}") as client:
            seen.append(client.status().samples)
            client.step(np.ones((4, 4, 2)), 1)
            client.end_epoch()
        raise KeyboardInterrupt

    monkeypatch.setattr(EmulatedBoard, "wait", session)
    args = argparse.Namespace(
        export=str(GOLDEN), flash=str(tmp_path / "flash.bin"), port=port, reflash=False
    )
    args.count_instructions, args.image = False, str(tmp_path / "image")
    for _ in range(2):
        emulate.run(args)
    args.reflash = True
    emulate.run(args)
    assert seen == [0, 1, 0]
    said = capsys.readouterr().out
    assert f"medyate device --port tcp:127.0.0.1:{port} status" in said
    assert "maths, ops and runtime" in said


class TestCutWhile:
    """When a request has changed the flash, and when it has not."""

    class Board(EmulatedBoard):
        """One whose request changes the flash and answers just after the second look at it."""

        def _read(self, where):
            data = super()._read(where)
            self.looks += 1
            if self.looks == 2:
                self.go_on.set()
                self.answered.wait()
            return data

    def cut(self, folder, data):
        with self.Board(folder / "flash.bin") as board:
            board.looks, board.go_on, board.answered = 0, threading.Event(), threading.Event()
            board.flash_file.write_bytes(b"old")

            def request():
                board.go_on.wait()
                board.flash_file.write_bytes(data)
                threading.Timer(0.2, board.answered.set).start()  # The future is done by then.

            return board.cut_while(request, delay_s=0)

    def test_an_answer_between_two_looks_is_a_late_cut(self, tmp_path):
        assert self.cut(tmp_path, b"new") is True

    def test_no_change_is_refused(self, tmp_path):
        with pytest.raises(EmulatorError, match="expected a change of the flash; received none"):
            self.cut(tmp_path, b"old")
