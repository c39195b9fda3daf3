"""Vision nets with ImageNet weights learn within a Nano 33 BLE's RAM and flash.

    python benchmarks/nano_vision.py --data_dir DATA --weights_dir WEIGHTS [--out runs/nano_vision]

MobileNetV2 0.35 and MCUNet-in1 learn sign digits of students that they never saw (first case and
fold of suite imagenet, 1,100 pictures of 96 x 96). The layers are the best ones whose training
fits the board, RAM and flash; what is never trained is computed in 8 bits. Each seed

- draws channels and trains sample by sample in the TFLM interpreter, on the graph that the
  board has;
- does the same with all weights in float32, for what 8 bits cost;
- is compared with the head alone and with everything trained, both in Keras.

The first seed's first steps are done once more on the emulated board, where every loss has to be
the same bit for bit. Results are kept in --out as they come; the same line again goes on. Writes
docs/results/nano_vision.csv.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tf_medyate as md
from tf_medyate.bench.plan.grid import Run, grid
from tf_medyate.bench.plan.suites import Case, Suite, get_suite
from tf_medyate.bench.run.execute import Executor, callback, prepare
from tf_medyate.bench.run.material import LOSS, first_net, task_of
from tf_medyate.bench.run.runner import use_one_thread
from tf_medyate.commands.bench import folder_flags, set_folders
from tf_medyate.data.registry import Task
from tf_medyate.device import DeviceClient
from tf_medyate.emulator import EmulatedBoard, build_image
from tf_medyate.exporter.bundle import Bundle
from tf_medyate.simulate import TFLMTrainer
from tf_medyate.spec import KIB

BOARD = "nano33ble"
NETWORKS = ("mobilenet_v2_035_folded", "mcunet_in1_folded")
RATE = 0.001  # of a sample; chosen on seed 100
LAST_RATE = 0.05  # share of RATE that the cosine ends at
SAMPLES = 32  # for the ranges of int8
FIRMWARE = {"board": BOARD, "factory_copy": False, "journal": "fitting", "commits_per_day": 1.0}
FIELDS = ("network", "seed", "layers", "shallowest", "before", "head", "medyate", "medyate_float",
          "full", "arena_kib", "ram_kib", "flash_kib", "step_ms", "step_mj")  # fmt: skip


def case_of(network: str) -> Case:
    """The net's first case of suite imagenet: first budget, first fold."""
    case = next(case for case in get_suite("imagenet").cases if case.network == network)
    return dataclasses.replace(case, budgets=case.budgets[:1], folds=case.folds[:1])


def run_of(network: str, strategy: str, seed: int) -> Run:
    """A run of that case."""
    [run] = grid(Suite("nano", "", (case_of(network),), ()), [strategy], [seed])
    return run


@dataclasses.dataclass(frozen=True)
class Lesson:
    """What is exported, and what is shown to it in which order."""

    run: Run
    bundle: Bundle
    medyate: md.MeDyate
    task: Task

    def samples(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of an epoch, in its order."""
        count = len(self.task.train_x)
        for index in np.random.default_rng((self.run.seed, epoch)).permutation(count):
            yield self.task.train_x[index], self.task.train_y[index]


def export(run: Run, folder: pathlib.Path, frozen: str, layers: Any, rate: Any) -> Lesson:
    """Chooses layers (None: those that fit the board) and exports their training."""
    task = task_of(run)
    model = prepare(first_net(run, task), run)
    model.compile(keras.optimizers.SGD(rate), LOSS)
    data = task.train_x[:SAMPLES] if frozen == "int8" else None
    if layers is None:
        layers = md.LayersThatFit(BOARD, frozen=frozen, representative_data=data,
                                  factory_copy=FIRMWARE["factory_copy"],
                                  journal=FIRMWARE["journal"])  # fmt: skip
    medyate = callback(model, run, task, layers)
    medyate.set_model(model)
    firmware = None
    if frozen == "int8":
        firmware = md.FirmwareOptions(**FIRMWARE, samples_per_epoch=len(task.train_x))
    bundle = md.export(model, folder, medyate, None, data, firmware, frozen=frozen)
    return Lesson(run, bundle, medyate, task)


def learn(lesson: Lesson) -> float:
    """The whole fine-tuning in the TFLM interpreter; its accuracy on the test pictures."""
    trainer = TFLMTrainer(lesson.bundle)
    for epoch in range(lesson.run.recipe.total_epochs):
        for x, y in lesson.samples(epoch):
            trainer.step(x, y)
        trainer.end_epoch()
    task = lesson.task
    hits = (trainer.predict(x).argmax() == y for x, y in zip(task.test_x, task.test_y, strict=True))
    return sum(map(int, hits)) / len(task.test_x)


def measure(network: str, seed: int, folder: pathlib.Path, rate: float) -> dict[str, Any]:
    """A row of FIELDS, but for what is trained in Keras."""
    run = run_of(network, "medyate", seed)
    steps = run.recipe.total_epochs * len(task_of(run).train_x)
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=LAST_RATE)
    lesson = export(run, folder / "int8", "int8", None, schedule)
    print(lesson.bundle.frontier, lesson.bundle.firmware, sep="\n")
    kept = lesson.medyate.ranking.kept
    in_float = export(run, folder / "float32", "float32", kept, schedule)
    firmware: Any = lesson.bundle.firmware  # with all parts: it is for a board
    frontier: Any = lesson.bundle.frontier
    return {
        "network": network,
        "seed": seed,
        "layers": len(kept),
        "shallowest": frontier.best.first_layer,
        "medyate": learn(lesson),
        "medyate_float": learn(in_float),
        "arena_kib": firmware.cpp.board_arena_bytes / KIB,
        "ram_kib": firmware.fit.ram_bytes / KIB,
        "flash_kib": firmware.fit.flash_bytes / KIB,
        "step_ms": 1e3 * firmware.time.step_s,
        "step_mj": 1e3 * firmware.time.step_j,
    }


def in_keras(network: str, seed: int) -> dict[str, float]:
    """The head alone and everything trained, as suite imagenet trains them."""
    execute, found = Executor(), {}
    for strategy in ("head", "full"):
        result = execute(run_of(network, strategy, seed))
        found |= {"before": result.accuracy_before, strategy: result.accuracy_after}
    return found


def on_board(lesson: Lesson, folder: pathlib.Path, steps: int) -> str:
    """Some steps, a commit, a draw and the rest on the emulated board, and the same in TFLM.

    The rate is constant: a board's cosine and that of Keras differ in the last bit.

    Returns:
        What was measured.

    Raises:
        SystemExit: A loss differs.
    """
    image = build_image(lesson.bundle.folder, folder / "image")
    with EmulatedBoard(folder / "flash.bin", count_instructions=True) as board:
        board.flash(image)
        board.start()
        with DeviceClient.open(board.port) as client:
            found = _losses(client, lesson, steps)
            measured = board.measure(client)
    if found != _losses(TFLMTrainer(lesson.bundle), lesson, steps):
        raise SystemExit(f"{lesson.run.network}: the emulated board's losses are not TFLM's.")
    return (
        f"{steps} steps on the emulated board, a commit and a draw between them: every loss is "
        f"TFLM's, bit for bit. {measured.mean_step / 1e6:.1f} million instructions a step, "
        f"variables {measured.static / KIB:.1f} KiB, stack {measured.stack / KIB:.1f} KiB\n"
        f"{image.sizes}"
    )


def _losses(learner: Any, lesson: Lesson, steps: int) -> list[float]:
    """Of a board or of TFLM, with a commit after two thirds of the steps."""
    losses = []
    for number, (x, y) in enumerate(itertools.islice(lesson.samples(0), steps)):
        losses.append(learner.step(x, y))
        if number == 2 * steps // 3:
            learner.end_epoch()
    return losses


def table(rows: Sequence[dict]) -> str:
    """Each net's means over seeds, in Markdown."""
    lines = [
        "| net | layers (from) | head | **on the board's graph** | the same in float "
        "| full, in Keras | arena, KiB | flash, KiB | step, ms (estimate) | mJ |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for network in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == network]

        def mean(name: str, own=own) -> float:
            return float(np.mean([row[name] for row in own]))

        accuracies = " | ".join(
            f"{100 * mean(name):.1f}" for name in ("head", "medyate", "medyate_float", "full")
        )
        lines.append(
            f"| {network} | {own[0]['layers']} ({own[0]['shallowest']}) | {accuracies} "
            f"| {mean('arena_kib'):.0f} | {mean('flash_kib'):.0f} "
            f"| {mean('step_ms'):,.0f} | {mean('step_mj'):.0f} |"
        )
    return "\n".join(lines)


def main():
    """Measures what is asked for, prints the table and writes the CSV."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder_flags(parser)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rate", type=float, default=RATE, help="learning rate of a sample")
    parser.add_argument(
        "--board_steps", type=int, default=60, help="on the emulated board; 0: none"
    )
    parser.add_argument("--out", type=pathlib.Path, default="runs/nano_vision")
    parser.add_argument("--csv", type=pathlib.Path, default="docs/results/nano_vision.csv")
    args = parser.parse_args()
    set_folders(args)
    use_one_thread()
    rows = []
    for network in args.networks.split(","):
        for seed in map(int, args.seeds.split(",")):
            folder = args.out / f"{network}-{seed}-{args.rate:g}"
            done = folder / "row.json"
            if not done.exists():
                row = measure(network, seed, folder, args.rate) | in_keras(network, seed)
                done.write_text(json.dumps(row))
            rows.append(json.loads(done.read_text()))
            print(rows[-1], flush=True)
    write(rows, args.csv)
    print(table(rows))
    if args.board_steps:
        for network in args.networks.split(","):
            run = run_of(network, "medyate", int(args.seeds.split(",")[0]))
            folder = args.out / f"{network}-board"
            lesson = export(run, folder / "int8", "int8", None, args.rate)
            print(f"{network}: {on_board(lesson, folder, args.board_steps)}")


def write(rows: Sequence[dict], path: pathlib.Path):
    """The CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            texts = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
            writer.writerow(texts)


if __name__ == "__main__":
    main()
