"""`medyate device_demo`: a watch learns its wearer on an emulated board."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

from tf_medyate import files
from tf_medyate.commands import common
from tf_medyate.commands.dataset import CLASSES
from tf_medyate.commands.losses import score
from tf_medyate.commands.screen import epoch_progress, out

_LOSS = "sparse_categorical_crossentropy"
_RATE = 0.05 / 8
# Of the peak: some is left for after the last epoch, so that the one that is cut learns something.
_LAST_RATE = 0.1
_CUT_SAMPLES = 20
# Of a commit's time the first cut waits for; later ones half as long, each.
_CUT_AT = 0.7
_MOST_CUTS = 6
_BOARD_HZ = 64e6
_CYCLES_PER_INSTRUCTION = 1.17
"""Of the watch net's training step, estimated from its mix of instructions: docs/cortex_m.md."""


def add(commands):
    """Adds the command."""
    text = "watch an emulated board learn a person it never saw, and survive a power cut"
    parser = common.command(commands, "device_demo", run, text)
    parser.add_argument(
        "--wearer", type=common.within(0, 9), default=0, help="who is left out, 0 to 9"
    )
    parser.add_argument("--budget", default="8KiB", help="memory for the update")
    parser.add_argument("--epochs", type=common.count, default=5, help="epochs on the board")
    parser.add_argument("--seed", type=common.seed, default=0, help="seed of draws and shuffling")
    parser.add_argument(
        "--test_windows",
        type=common.count,
        default=160,
        help="later recordings to measure accuracy on",
    )
    parser.add_argument("--out", default="out/device_demo", help="folder for all that is made")


def run(args):
    """Shows it."""
    from tf_medyate.data import leave_one_out
    from tf_medyate.emulator import EmulatedBoard, build_image
    from tf_medyate.zoo.pretrain import pretrained_watch_cnn

    folder = files.check_folder("--out", args.out)
    split = _thin_test(leave_one_out(args.wearer), args.test_windows)
    out.say(f"A watch learns its wearer, on a board - {split}", style="bold")
    with out.status("Training the watch net on the nine other wearers, once ..."):
        base = pretrained_watch_cnn(args.wearer)
    bundle = _export(args, base, split, folder / "export")
    out.say("Building the firmware ...")
    image = build_image(folder / "export", folder / "firmware")
    out.say(image.sizes)
    flash = folder / "flash.bin"
    flash.unlink(missing_ok=True)
    with EmulatedBoard(flash, count_instructions=True) as board:
        board.flash(image)
        board.start()
        lesson = _Lesson(args, board, split)
        lesson.learn()
        lesson.cut()
        in_keras = _into_keras(board, base, split, folder)
    _tell(args, lesson, (image, bundle.firmware), in_keras, folder)


def _thin_test(split, windows: int):
    """One test window in this many is used: each takes the line a tenth of a second."""
    import numpy as np

    count = max(1, min(windows, len(split.test_x)))
    rows = np.linspace(0, len(split.test_x) - 1, count).astype(np.int64)
    return dataclasses.replace(split, test_x=split.test_x[rows], test_y=split.test_y[rows])


def _export(args, base, split, folder: Path):
    import keras

    import tf_medyate as md

    steps = args.epochs * len(split.adapt_x)
    schedule: Any = keras.optimizers.schedules.CosineDecay(_RATE, steps, alpha=_LAST_RATE)
    model = md.prepare(base)
    model.compile(keras.optimizers.SGD(schedule), _LOSS)
    source = (split.source_x[::8], split.source_y[::8], 32)
    medyate = md.MeDyate(args.budget, seed=args.seed, calibration=source, verbose=0)
    medyate.set_model(model)
    options = md.FirmwareOptions(samples_per_epoch=len(split.adapt_x), commits_per_day=24)
    bundle = md.export(model, folder, medyate, firmware=options)
    out.say(bundle)
    return bundle


class _Lesson:
    """What happens over the serial line.

    Attributes:
        before, after, survived: Accuracy as shipped, after the last epoch, after the power cut.
        losses: Of all samples.
        measured, counters: What the board said of itself after the last epoch.
        found: What was found after the power cut, in words.
    """

    def __init__(self, args, board, split):
        self._args, self._board, self._split = args, board, split
        self._commit_s = 1.0
        self.losses: list[float] = []

    def _connect(self):
        from tf_medyate.device import DeviceClient

        return DeviceClient.open(self._board.port)

    def learn(self):
        """Accuracy, all epochs, accuracy."""
        import numpy as np

        x, y, epochs = self._split.adapt_x, self._split.adapt_y, self._args.epochs
        rng = np.random.default_rng(self._args.seed)
        with self._connect() as client:
            out.say(f"On the line: {client.info}")
            self.before = self._accuracy(client)
            with epoch_progress(epochs) as bar:
                task = bar.add_task("on the board", total=len(x) * epochs, epoch=1, loss=np.nan)
                for epoch in range(epochs):
                    bar.update(task, epoch=epoch + 1)
                    for index in rng.permutation(len(x)):
                        self.losses.append(client.step(x[index], y[index]))
                        bar.update(task, advance=1, loss=float(np.mean(self.losses[-40:])))
                    start = time.monotonic()
                    client.end_epoch()
                    self._commit_s = time.monotonic() - start
            self.after = self._accuracy(client)
            self.measured, self.counters = self._board.measure(client), client.status()

    def cut(self):
        """Cuts the power in the middle of one more commit, and looks what is there."""
        for attempt in range(_MOST_CUTS):
            # How long a commit takes depends on what was drawn, and on what else the host does.
            delay_s = _CUT_AT * self._commit_s / 2**attempt
            if self._cut_once(delay_s):
                break
            out.say("The commit was over by then: once more, and sooner.")
        out.say(f"Started again: {self.found}.")
        with self._connect() as client:
            self.survived = self._accuracy(client)

    def _cut_once(self, delay_s: float) -> bool:
        """Learns a little, cuts its commit, starts again; False if the cut came too late."""
        x, y = self._split.adapt_x, self._split.adapt_y
        with self._connect() as client:
            kept, epochs = client.pull(), client.status().epochs
            for index in range(min(_CUT_SAMPLES, len(x))):
                client.step(x[index], y[index])
            answered = self._board.cut_while(client.end_epoch, delay_s)
        out.say(f"Power cut {delay_s:.2f} s into a commit.")
        self._board.start()
        with self._connect() as client:
            is_old = client.status().epochs == epochs
            same = "bit for bit" if client.pull() == kept else "BUT WITH OTHER WEIGHTS"
        if answered:
            self.found = "the new model; every cut came too late"
        elif is_old:
            self.found = f"the model from before the commit, {same}"
        else:
            self.found = "the commit was completed at the start"
        return not answered

    def _accuracy(self, client) -> float:
        from rich.progress import track

        hits = 0
        pairs = list(zip(self._split.test_x, self._split.test_y, strict=True))
        for sample, label in track(pairs, "accuracy    ", console=out, transient=True):
            hits += int(client.predict(sample).argmax() == label)
        return hits / len(pairs)


def _into_keras(board, base, split, folder: Path) -> float:
    """Pulls what was learned into a Keras model; returns its accuracy there."""
    import tf_medyate as md
    from tf_medyate import device

    exported = device.read_export(folder / "export")
    with device.DeviceClient.open(board.port) as client:
        learned = device.pull_learned(client, exported)
    out.say(f"Pulled: {learned.delta}")
    model = md.prepare(base)
    device.apply_to_model(learned.delta, model, exported.layout)
    files.save_keras(md.strip(model), folder / "tuned.keras")
    return score(model, split.test_x, split.test_y, CLASSES)


# --- what is told


def _tell(args, lesson: _Lesson, built, in_keras: float, folder: Path):
    from rich.table import Table

    from tf_medyate.report.board import BoardStory, save_story

    facts = [*_accuracies(lesson, in_keras), *_memory(lesson, built[0]), *_time(lesson, built[1])]
    table = Table(title="On the board", title_justify="left", show_header=False)
    for name, value in facts:
        table.add_row(name, value)
    out.print(table)
    title = f"On its board, a watch went from {lesson.before:.1%} to {lesson.after:.1%}"
    samples = len(lesson.losses) // args.epochs
    page = save_story(BoardStory(title, lesson.losses, samples, facts), folder)
    out.say(f"The same with a picture: {page}", style="bold")


def _accuracies(lesson: _Lesson, in_keras: float) -> list[tuple[str, str]]:
    return [
        ("accuracy as shipped", f"{lesson.before:.1%}"),
        (f"after {lesson.counters.epochs} epochs on the board", f"{lesson.after:.1%}"),
        ("after a power cut in a commit", f"{lesson.survived:.1%} ({lesson.found})"),
        ("pulled into Keras", f"{in_keras:.1%}"),
    ]


def _memory(lesson: _Lesson, image) -> list[tuple[str, str]]:
    from tf_medyate.boards.nano33ble import BOARD as NANO_33_BLE
    from tf_medyate.emulator.image import RAM_BYTES
    from tf_medyate.spec import format_bytes as text

    measured, sizes = lesson.measured, image.sizes
    ram = measured.static + measured.stack
    return [
        (
            "RAM",
            f"{text(ram)} of {text(RAM_BYTES)}: arena {text(sizes.arena)}, other variables "
            f"{text(measured.static - sizes.arena)}, stack {text(measured.stack)}",
        ),
        (
            "flash",
            f"{text(sizes.flash)} of {text(NANO_33_BLE.flash_bytes)}: code "
            f"{text(sum(sizes.code.values()))}, weights {text(sizes.weights)}, constants "
            f"{text(sizes.constants)}, journal {text(sizes.journal)}",
        ),
    ]


def _time(lesson: _Lesson, firmware) -> list[tuple[str, str]]:
    measured, counters = lesson.measured, lesson.counters
    samples, commit_s = firmware.time.samples, firmware.life.commit_s
    epoch_s = samples * _seconds(measured.mean_step) + commit_s
    left = counters.commits_left or 0
    return [
        ("a training step", _work(measured.mean_step)),
        ("a prediction", _work(measured.predict)),
        (
            f"an epoch of {samples} samples",
            f"{epoch_s:.0f} s at 64 MHz, estimated, {commit_s:.1f} s of it the commit",
        ),
        ("commits", f"{counters.commits}, the first of them when the board was flashed"),
        ("flash wear", f"{left:,} more commits, {left / 24 / 365:.1f} years at one an hour"),
    ]


def _seconds(instructions: int) -> float:
    return instructions * _CYCLES_PER_INSTRUCTION / _BOARD_HZ


def _work(instructions: int) -> str:
    return (
        f"{instructions / 1e6:.2f} million instructions, counted; "
        f"{1e3 * _seconds(instructions):.0f} ms at 64 MHz, estimated by {_CYCLES_PER_INSTRUCTION} "
        "cycles an instruction"
    )
