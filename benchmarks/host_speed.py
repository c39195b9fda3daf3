"""Epoch time and peak memory of fine-tuning under a budget, against plain `model.fit` on the host.

    python benchmarks/host_speed.py [--rounds 12] [--models watch,resnet8,mobilenet] [--share 0.1]
    python benchmarks/host_speed.py --rounds 0 --processes 5        # memory alone

Both sides train the same folded model on the same random data, 16 to 64 batches of 8 an epoch.
Runs alternate in one process, so that what else the machine does hits both; the figure is the
ratio of the median epoch times, MeDyate's work between epochs included.
Peak memory is the resident set's high-water mark, each side in processes of its own, which
alternate, too; the figure is the median. One process differs from the next by half a MiB. The plain
side has built the prepared model as well, before stripping it. Sources are compiled beforehand, by
a process that is not counted, as they are in an installed package.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tf_medyate as md
from tf_medyate import zoo

MODELS = {
    "watch": (lambda: zoo.watch_cnn(), (100, 6), 7, 512, 8),
    "resnet8": (lambda: zoo.resnet8(), (32, 32, 3), 10, 256, 8),
    "mobilenet": (lambda: zoo.mobilenet_v2(0.35, (96, 96, 3), classes=10), (96, 96, 3), 10, 128, 8),
}


class EpochTimer(keras.callbacks.Callback):
    """Wall time of every epoch, whatever other callbacks do between its hooks."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Stops the clock."""
        self.seconds.append(time.perf_counter() - self._start)


def make_side(name: str, budgeted: bool, share: float):
    """Returns a function that trains for some epochs and returns their times in seconds."""
    build, shape, classes, samples, batch = MODELS[name]
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, *shape)).astype(np.float32)
    y = rng.integers(0, classes, samples)
    model = md.prepare(build())
    full = md.CostModel().full(md.layer_specs(model))
    callbacks = [md.MeDyate(int(full * share), seed=1, verbose=0)] if budgeted else []
    model = model if budgeted else md.strip(model)
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")

    def train(epochs: int) -> list[float]:
        timer = EpochTimer()
        # The timer stands first: MeDyate's own work between epochs falls inside its epochs.
        model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0, callbacks=[timer, *callbacks])
        return timer.seconds

    return train


def measure_time(name: str, rounds: int, share: float) -> tuple[float, float]:
    """Median epoch seconds (plain, budgeted) over alternating rounds of three epochs."""
    sides = [make_side(name, budgeted, share) for budgeted in (False, True)]
    for train in sides:
        train(2)  # tracing
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for train, found in zip(sides, seconds, strict=True):
            found += train(3)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def measure_peaks(name: str, processes: int, share: float) -> tuple[float, float]:
    """Median peak resident bytes (plain, budgeted) over alternating processes."""
    peaks: tuple[list[int], list[int]] = ([], [])
    with tempfile.TemporaryDirectory() as bytecode:
        measure_peak(name, True, share, bytecode)  # compiles what both sides import
        for _ in range(processes):
            for found, budgeted in zip(peaks, (False, True), strict=True):
                found.append(measure_peak(name, budgeted, share, bytecode))
    return statistics.median(peaks[0]), statistics.median(peaks[1])


def measure_peak(name: str, budgeted: bool, share: float, bytecode: str) -> int:
    """Peak resident bytes of a fresh process that trains three epochs."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = bytecode
    command = [sys.executable, __file__, "--peak", name, "--share", str(share)]
    command += ["--budgeted"] if budgeted else []
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(json.loads(found.stdout.splitlines()[-1])["peak_bytes"])


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=12, help="alternating rounds of 3 epochs; 0 leaves out time"
    )
    parser.add_argument(
        "--processes", type=int, default=3, help="for peak memory, of each side; 0 leaves it out"
    )
    parser.add_argument("--models", default=",".join(MODELS), help="comma-separated")
    parser.add_argument("--share", type=float, default=0.1, help="budget, as a share of full")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--budgeted", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak:
        make_side(args.peak, args.budgeted, args.share)(3)
        # Not getrusage: its high-water mark is inherited from the process that started this one.
        status = Path("/proc/self/status").read_text()
        peak = 1024 * int(status.split("VmHWM:")[1].split()[0])
        print(json.dumps({"peak_bytes": peak}))
        return
    print(f"MeDyate at {args.share:.0%} of full memory against plain fit of the same folded model")
    print("| model | plain ms/epoch | MeDyate ms/epoch | ratio | plain MiB | MeDyate MiB | ratio |")
    print("|---|---|---|---|---|---|---|")
    for name in args.models.split(","):
        row = f"| {name} |"
        if args.rounds:
            plain, ours = measure_time(name, args.rounds, args.share)
            row += f" {plain * 1e3:.1f} | {ours * 1e3:.1f} | {ours / plain:.3f} |"
        else:
            row += " - | - | - |"
        if args.processes:
            base, peak = measure_peaks(name, args.processes, args.share)
            row += f" {base / 2**20:.1f} | {peak / 2**20:.1f} | {peak / base:.4f} |"
        else:
            row += " - | - | - |"
        print(row, flush=True)


if __name__ == "__main__":
    main()
