"""The sketches at work: on a host, with a scripted board (tests/tflm_ops/arduino/board.cc)."""

import dataclasses
import re
import subprocess

import arduino_build
import numpy as np
import pytest
from arduino_build import SENSOR, STAND_INS, WINDOW, export, run, sketch_source
from cpp_build import HOST

from tf_medyate.device import DeviceClient, Region
from tf_medyate.exporter.write.arduino import write_arduino

pytestmark = pytest.mark.usefixtures("quick_export")

FLASH = ("-DMEDYATE_BOARD_FLASH_H=<board_flash.h>",)


class Board:
    """A sketch in a folder of its own, where its flash lies."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def run(self, *script: str) -> list[str]:
        """What it says from power on to power off, line by line."""
        text = "".join(f"{line}\n" for line in script)
        return run([str(self.program)], self.folder, text).splitlines()

    def answers(self, *script: str) -> list[str]:
        """The same without the greeting."""
        said = self.run(*script)
        assert said[0] == "ready; type help", said
        return said[1:]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Two models of the same shapes, and one that takes its samples in 8 bits."""
    HOST.require()
    kinds = ((1, "float32"), (2, "float32"), (1, "int8"))
    return [export(tmp_path_factory.mktemp("bundle"), *kind) for kind in kinds]


@pytest.fixture(scope="module")
def programs(bundles, tmp_path_factory):
    """Each sketch with the first model, and PersonalizeIMU with the second."""
    libraries = [
        write_arduino(bundle.firmware.cpp, tmp_path_factory.mktemp("library"), SENSOR)
        for bundle in bundles
    ]
    built = arduino_build.build(HOST, libraries[0].folder, tmp_path_factory.mktemp("objects"))
    ours = [path for path in built.objects if not path.name.startswith("medyate_")]

    def program(name, library):
        folder = tmp_path_factory.mktemp(name)
        ino = library.folder / f"examples/{name}/{name}.ino"
        sources = [sketch_source(ino, folder / "sketch.cpp")]
        for source in (STAND_INS / "board.cc", *(library.folder / "src").glob("*.cpp")):
            sources.append(folder / source.name)
            sources[-1].write_text(source.read_text())
        own = dataclasses.replace(built, src=library.folder / "src")
        objects = [own.compile(source, *FLASH) for source in sources]
        run([HOST.compiler, *map(str, [*objects, *ours]), "-o", str(folder / name)])
        return folder / name

    return {
        "imu": program("PersonalizeIMU", libraries[0]),
        "other model": program("PersonalizeIMU", libraries[1]),
        "8 bits": program("PersonalizeIMU", libraries[2]),
        "stream": program("StreamTrainer", libraries[0]),
    }


@pytest.fixture
def board(programs, tmp_path):
    return Board(programs["imu"], tmp_path)


def teach(rounds: int, *labels) -> list[str]:
    return [
        line for _ in range(rounds) for label in labels for line in (f"@motion {label}",
                                                                    f"learn {label}")
    ]  # fmt: skip


PREDICT = ["@motion 0", "predict", "@motion 1", "predict"]


def classes(said: list[str]) -> list[int]:
    """The classes of predictions, and how sure it is of each: more than half."""
    rows = [line.split() for line in said]
    assert all(float(row[-1]) > 0.5 for row in rows), said
    return [int(row[0]) for row in rows]


# --- PersonalizeIMU


def test_it_learns_from_windows_in_8_bits(programs, tmp_path, bundles):
    header = bundles[2].folder / "cpp/medyate_model.h"
    assert "typedef int8_t SampleNumber;" in header.read_text()
    said = Board(programs["8 bits"], tmp_path).answers(*teach(6, 0, 1), *PREDICT)
    assert classes(said[-2:]) == [0, 1]
    assert said.count("kept as an exam") == 2


def test_it_learns_two_motions_and_still_knows_them_after_a_power_cut(board):
    before = [line.split()[0] for line in board.answers(*PREDICT)]
    assert before != ["0", "1"], "an untrained net does not know them"
    said = board.answers(*teach(6, 0, 1), *PREDICT)
    assert classes(said[-2:]) == [0, 1]
    assert said.count("committed") == 2, "12 windows, five to a commit"
    assert said.count("kept as an exam") == 2
    losses = [float(line.split()[-1]) for line in said if line.startswith("learned")]
    assert len(losses) == 10
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    assert classes(board.answers(*PREDICT)) == [0, 1]


def test_without_a_commit_a_power_cut_takes_it_back(board):
    first = board.answers("@motion 1", "predict")
    assert "committed" not in board.answers(*teach(2, 0, 1))
    assert board.answers("@motion 1", "predict") == first
    board.answers(*teach(2, 0, 1), "commit")
    assert board.answers("@motion 1", "predict") != first


def test_a_new_class_by_name_is_there_after_a_power_cut(board):
    said = board.answers("new jumping", "new jumping", "new more", "status")
    assert said[:3] == ["2 jumping", "new: kNameTaken", "new: kNoSpareClass"]
    assert said[3:6] == ["0 rest", "1 shake", "2 jumping"]
    board.answers(*teach(6, 0, 1), *teach(8, 2, 0, 1), "commit")
    assert classes(board.answers(*PREDICT, "@motion 2", "predict")) == [0, 1, 2]
    said = board.answers("@motion 2", "learn jumping")
    assert said[-1].startswith("learned 2 jumping")


def test_unplugged_it_says_on_its_led_what_it_sees_and_learns_by_its_button(board):
    board.answers(*teach(6, 0, 1), "commit")
    # The LED: once for each recording, and the class's number from 1.
    said = board.answers("@unplug", "@motion 1", "@loop 1", "@led", "@motion 0", "@loop 1", "@led")
    assert [line for line in said if line.startswith("LED")] == ["LED 3", "LED 2"]
    said = board.answers("@motion 1", "@press 2")
    assert said[-1].startswith("learned 1 shake"), "class 2 of 2"
    assert board.answers("@press 3") == [], "there are two"


def test_reset_makes_it_new(board):
    new = board.answers(*PREDICT)
    board.answers(*teach(6, 0, 1), "new jumping", "commit")
    assert board.answers(*PREDICT) != new
    assert board.answers("reset")[-1] == "as on the first day"
    assert board.answers(*PREDICT, "status")[:4] == [*new, "0 rest", "1 shake"]


def upload(bundle, folder):
    """What uploading a sketch does to the flash: new weights; the journal stays as it was."""
    flash = folder / "flash.bin"
    content = bundle.firmware.cpp.region.tobytes()
    flash.write_bytes(content + flash.read_bytes()[len(content) :])


def damage_journal(bundle, folder):
    """Flips bits in the middle of each page of the journal, in heads and images."""
    flash = folder / "flash.bin"
    content = bytearray(flash.read_bytes())
    for page in range(bundle.firmware.cpp.region.nbytes, len(content), 4096):
        for offset in range(page + 16, page + 200):
            content[offset] ^= 0x55
    flash.write_bytes(content)


@pytest.mark.parametrize("way_out", ["upload", "reset"])
def test_weights_that_nobody_knows_are_not_used(way_out, board, bundles):
    new = board.answers(*PREDICT)
    board.answers(*teach(6, 0, 1), "new jumping", "commit")
    damage_journal(bundles[0], board.folder)
    if way_out == "upload":
        upload(bundles[0], board.folder)
    said = board.run("predict", "reset")
    if way_out == "upload":
        assert said[0] == "a new sketch: what was learned before it is dropped"
    else:
        assert said[0] == "begin: kStoreFailed, kWeightsChanged"
        assert said[1] == "what was learned is damaged: type reset to forget it"
        assert said[-2:] == ["as on the first day", "ready; type help"]
    assert board.answers(*PREDICT, "status")[:4] == [*new, "0 rest", "1 shake"]


@pytest.mark.parametrize("model", [0, 1])
def test_after_an_upload_it_starts_anew(model, board, programs, bundles):
    new = Board(programs[("imu", "other model")[model]], board.folder)
    board.answers(*teach(6, 0, 1), "new jumping", "commit")
    learned = board.answers(*PREDICT)
    upload(bundles[model], board.folder)
    said = new.run(*PREDICT, "status")
    assert said[0].startswith("a new sketch: what was learned before")
    assert said[2:4] != learned
    assert said[4:6] == ["0 rest", "1 shake"]
    assert new.answers(*PREDICT) == said[2:4], "the next start is quiet"


def test_what_it_does_not_understand_changes_nothing(board):
    said = board.answers("status", "learn 2", "learn", "learn walking", "what?", "", "status")
    assert said[2].startswith("windows of 20 x 6, learned from 0")
    assert sum(line.startswith("no such class") for line in said) == 3
    assert sum(line.startswith("learn 2 ") for line in said) == 1, "help"
    assert said[-4:] == said[:4]
    assert "commits left at least 9999" in said[3]
    assert board.answers("@broken", "predict", "learn 0")[::2] == [
        "predict: kSampleNotFinite",
        "learn: kSampleNotFinite",
    ]


def test_without_a_flash_that_it_can_use_it_learns_and_forgets(board):
    (board.folder / "flash.bin").write_bytes(b"short")
    said = board.run(*teach(6, 0, 1), *PREDICT, "commit", "status")
    assert said[:3] == [
        "begin: kStoreFailed, kBadConfig",
        "the flash is too small",
        "ready; type help",
    ]
    assert "commit: kCommitFailed, kBadConfig" in said
    predictions = [line for line in said if re.fullmatch(r"\d \w+  [\d.]+", line)]
    assert classes(predictions) == [0, 1]
    assert said[-1].endswith("flash: the flash is too small")
    again = board.run("status")
    assert "windows of 20 x 6, learned from 0, exams held 0" in again
    assert (board.folder / "flash.bin").read_bytes() == b"short"


# --- StreamTrainer


def test_a_computer_trains_it_over_the_line(programs, bundles, tmp_path):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(60, *WINDOW)).astype(np.float32)
    y = np.arange(60) % 2
    x += y[:, None, None]
    process = subprocess.Popen(
        [str(programs["stream"]), "tcp"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        with DeviceClient.open(f"tcp:127.0.0.1:{int(process.stdout.readline())}") as device:
            assert device.info.model_hash == bundles[0].firmware.cpp.model_hash
            losses = [device.step(sample, int(label)) for sample, label in zip(x, y, strict=True)]
            assert np.mean(losses[-20:]) < np.mean(losses[:20])
            device.end_epoch()
            right = [np.argmax(device.predict(s)) == label for s, label in zip(x, y, strict=True)]
            assert np.mean(right) > 0.9
            region = np.frombuffer(device.pull(Region.WEIGHTS), np.float32)
            assert not np.array_equal(region, bundles[0].firmware.cpp.region)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()
    flash = np.fromfile(tmp_path / "flash.bin", np.float32, len(region))
    np.testing.assert_array_equal(flash, region)
