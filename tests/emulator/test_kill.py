"""Really killing the emulator while it commits: the model is the old one or the new one, whole.

A commit begins with the flash file's first change. From there, or from the first change of the
weights, a random time passes, then SIGKILL: whatever was being written stays in the file as it is.
One cut in three is followed by another one in the middle of the recovery. What a start finds must
be, to the last bit, what an undisturbed twin of the board has before or after the same commit.
"""

import dataclasses
import pathlib
import random
import shutil
import time

import numpy as np
from emulated import Firmware, make_firmware, region

from tf_medyate.device import DeviceClient
from tf_medyate.emulator import EmulatedBoard

INSIDE = 50  # Cuts inside a commit that are wanted,
MOST = 3 * INSIDE  # of so many at most.
STEPS = 3


@dataclasses.dataclass(frozen=True)
class State:
    """What a host sees of a board right after a start."""

    weights: bytes
    scores: bytes
    epochs: int


@dataclasses.dataclass
class Tally:
    """What became of the cuts."""

    early: int = 0  # Before the first change of the flash.
    late: int = 0  # After the answer.
    old: int = 0  # Inside, and the old model was found,
    new: int = 0  # or the new one;
    completed: int = 0  # of these, the weights were not those of the new one when the power went.
    recoveries: int = 0  # Cut again while the flash was being recovered.

    @property
    def inside(self) -> int:
        return self.old + self.new

    @property
    def cuts(self) -> int:
        return self.early + self.late + self.inside


class CutBoard:
    """A board that is cut, and its twin that is not."""

    def __init__(self, firmware: Firmware, folder: pathlib.Path, seed: int):
        self.case, self.image = firmware.exported.case, firmware.image
        self.rng = random.Random(seed)
        self.tally = Tally()
        self.board = EmulatedBoard(folder / "flash.bin")
        self.twin = EmulatedBoard(folder / "twin.bin")
        self.board.flash(self.image)
        self.round = 0
        self.next_commit(self.state_behind_a_start(self.board))

    def next_commit(self, before: State):
        """Has the twin make the coming commit from the board's own flash."""
        self.before = before
        self.round += 1
        shutil.copy(self.board.flash_file, self.twin.flash_file)
        self.twin.start()
        with DeviceClient.open(self.twin.port) as client:
            self.train(client)
            start = time.monotonic()
            assert client.end_epoch()
            self.commit_s = time.monotonic() - start
        self.twin.kill()
        self.after = self.state_behind_a_start(self.twin)
        self.twin.kill()
        assert self.after.epochs == self.before.epochs + 1
        assert self.after.weights != self.before.weights

    def state_behind_a_start(self, board: EmulatedBoard) -> State:
        board.start()
        with DeviceClient.open(board.port) as client:
            scores = client.predict(self.case.x[0]).tobytes()
            return State(region(client).tobytes(), scores, client.status().epochs)

    def train(self, client: DeviceClient):
        for step in range(STEPS):
            index = (self.round * STEPS + step) % len(self.case.x)
            client.step(self.case.x[index], self.case.y[index])

    def cut(self):
        """One cut of the running board, perhaps a second one, and what is found after it."""
        with DeviceClient.open(self.board.port) as client:
            self.train(client)
            flash = self.flash()
            is_late = self.cut_commit(client)
        cut = self.flash()
        is_inside = cut != flash and not is_late
        if is_inside and self.rng.random() < 1 / 3:
            self.tally.recoveries += self.cut_recovery()
        found = self.state_behind_a_start(self.board)
        assert found in (self.before, self.after), f"cut {self.tally.cuts}: a mixture"
        is_new = found == self.after
        assert is_new or not is_late, "what was answered is there"
        self.tally.late += is_late
        self.tally.early += not is_late and not is_inside
        self.tally.old += is_inside and not is_new
        self.tally.new += is_inside and is_new
        self.tally.completed += is_inside and is_new and self.weights(cut) != self.after.weights
        if is_new:
            self.next_commit(found)

    def cut_commit(self, client: DeviceClient) -> bool:
        """Half of the cuts go by the weights, which change only after the commit mark."""
        if self.rng.random() < 0.5:
            return self.board.cut_while(client.end_epoch, self.rng.uniform(0, self.commit_s))
        delay_s = self.rng.uniform(0, self.commit_s / 3)
        return self.board.cut_while(client.end_epoch, delay_s, self.image.weights)

    def cut_recovery(self) -> bool:
        """Whether it was cut while it wrote."""
        flash = self.flash()
        self.board.start(wait=False)
        while self.flash() == flash and "ready" not in self.board.log():
            time.sleep(5e-4)
        time.sleep(self.rng.uniform(0, self.commit_s / 3))
        is_ready = "ready" in self.board.log()
        self.board.kill()
        return self.flash() != flash and not is_ready

    def flash(self) -> bytes:
        return self.board.flash_file.read_bytes()

    def weights(self, flash: bytes) -> bytes:
        begin, size = self.image.weights
        return flash[begin : begin + size]

    def close(self):
        self.board.close()
        self.twin.close()


def test_killed_while_it_commits_it_has_the_old_model_or_the_new_one(tmp_path, capsys):
    firmware = make_firmware(tmp_path, "residual", samples=24)
    cut_board = CutBoard(firmware, tmp_path, seed=0)
    tally = cut_board.tally
    try:
        while tally.inside < INSIDE and tally.cuts < MOST:
            cut_board.cut()
    finally:
        cut_board.close()
    with capsys.disabled():
        print(f"\n{tally.cuts} kills, {tally.inside} inside a commit: {tally}")
    assert tally.inside >= INSIDE, tally
    # Chance deals these out: a quarter of what is to be expected.
    assert tally.old >= 5, "cuts before the commit mark"
    assert tally.completed >= 5, "cuts that left weights to be put in place"
    assert tally.recoveries >= 1, "cuts inside the recovery"
    assert cut_board.after.epochs == tally.new + tally.late + 1, "it went on learning"
    np.testing.assert_array_less(0, np.frombuffer(cut_board.after.scores, "<f4"))
