"""Accuracy against memory: what it costs to leave the first layers out.

    python benchmarks/frontier.py --data_dir DATA --weights_dir WEIGHTS [--out runs/frontier]

The chain of gradients ends at the shallowest layer that may be trained; the later that is, the less
has to be kept in memory. MeDyate is run on the first case of each net of suite imagenet, at its
smallest budget, with all layers, then with those from a number on (counted from 0; the head is
trained always). The arena is the one planned for a 32-bit board, of an export of the first run.
Results are kept in --out, so the same line again goes on where it stopped. Writes
docs/results/frontier.csv and docs/img/frontier.png.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tf_medyate.bench.plan.grid import FIRST_LAYER, Run, grid
from tf_medyate.bench.plan.suites import Case, Suite, get_suite
from tf_medyate.bench.run.runner import run_here, use_one_thread
from tf_medyate.bench.run.store import Store

STARTS = (0, 5, 10, 15, 20, 25, 30, 35, 40)
NANO_KIB = (262_144 - 57_344 - 8_192) / 1024  # RAM, less Mbed OS, less the stack
FIELDS = ("network", "first_layer", "layers", "shallowest", "arena_kib", "pool_kib", "accuracy",
          "deviation", "runs")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Plan:
    """What an export says of a run.

    Attributes:
        layers: How many layers are kept.
        shallowest: Number of the first of them.
        arena_kib: What a 32-bit board sets aside for training.
        pool_kib: Of it, for the update.
    """

    layers: int
    shallowest: int
    arena_kib: float
    pool_kib: float


def runs_of(case: Case, starts: Sequence[int], seeds: Sequence[int]) -> dict[int, tuple[Run, ...]]:
    """The runs of each first layer, at the case's first budget and on its first fold."""
    case = dataclasses.replace(case, budgets=case.budgets[:1], folds=case.folds[:1])
    suite = Suite("frontier", "", (case,), ())
    return {start: grid(suite, [f"medyate:{FIRST_LAYER}={start}"], seeds) for start in starts}


def plan(run: Run) -> Plan:
    """Exports what a run starts with, without training it."""
    import keras

    import tf_medyate as md
    from tf_medyate.bench.run.execute import callback, prepare
    from tf_medyate.bench.run.material import LOSS, first_net, task_of

    task = task_of(run)
    model = prepare(first_net(run, task), run)
    model.compile(keras.optimizers.SGD(run.recipe.learning_rate), LOSS)
    medyate = callback(model, run, task)
    medyate.set_model(model)
    names = [spec.name for spec in medyate.specs]
    kept = medyate.ranking.kept
    with tempfile.TemporaryDirectory() as folder:
        memory = md.export(model, folder, medyate).manifest.memory
    shallowest = min(map(names.index, kept))
    return Plan(len(kept), shallowest, memory.board_arena_bytes / 1024, memory.pool_bytes / 1024)


def measure(case: Case, starts: Sequence[int], seeds: Sequence[int], store: Store) -> list[dict]:
    """A row of FIELDS for each first layer."""
    rows = []
    for start, runs in runs_of(case, starts, seeds).items():
        outcome = run_here(runs, store)
        for complaint in outcome.complaints():
            print(complaint)
        accuracies = [100 * result.accuracy_after for result in outcome.results]
        planned = dataclasses.asdict(plan(runs[0]))
        rows.append({"network": case.network, "first_layer": start} | planned | {
            "accuracy": np.mean(accuracies),
            "deviation": np.std(accuracies, ddof=1) if len(accuracies) > 1 else 0.0,
            "runs": len(accuracies),
        })  # fmt: skip
    return rows


def table(rows: Sequence[dict]) -> str:
    """The rows in Markdown."""
    lines = ["| net | layers from | kept | shallowest | arena, KiB | accuracy % (deviation) |",
             "|---|--:|--:|--:|--:|--:|"]  # fmt: skip
    lines += [
        f"| {r['network']} | {r['first_layer']} | {r['layers']} | {r['shallowest']} "
        f"| {r['arena_kib']:.0f} | {r['accuracy']:.1f} ({r['deviation']:.1f}) |"
        for r in rows
    ]
    return "\n".join(lines)


def draw(rows: Sequence[dict], path: pathlib.Path):
    """Accuracy against arena, a line for each net."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for network in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == network]
        own.sort(key=lambda row: row["arena_kib"])
        arena, accuracy, spread = (
            [row[name] for row in own] for name in ("arena_kib", "accuracy", "deviation")
        )
        axes.errorbar(arena, accuracy, spread, marker="o", capsize=3, label=network)
        for row, x, y in zip(own, arena, accuracy, strict=True):
            text = str(row["first_layer"])
            axes.annotate(text, (x, y), (4, 4), textcoords="offset points", fontsize=8)
    axes.axvline(NANO_KIB, color="grey", linestyle=":", label="a Nano 33 BLE has")
    axes.set_xlabel(
        "planned arena on a 32-bit board, KiB (numbers: first layer that may be trained)"
    )
    axes.set_ylabel("accuracy, %")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def write(rows: Sequence[dict], csv_file: pathlib.Path, picture: pathlib.Path):
    """The CSV and the picture."""
    for path in (csv_file, picture):
        path.parent.mkdir(parents=True, exist_ok=True)
    with csv_file.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.2f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows
        )
    draw(rows, picture)


def main():
    """Runs what is asked for, prints the table and writes the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="", help="else MEDYATE_DATA")
    parser.add_argument("--weights_dir", default="", help="else MEDYATE_WEIGHTS")
    parser.add_argument("--networks", default="mobilenet_v2_035_folded,mcunet_in1_folded")
    parser.add_argument("--starts", default=",".join(map(str, STARTS)), help="first layers")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", default="runs/frontier", help="folder of the runs' results")
    parser.add_argument("--csv", type=pathlib.Path, default="docs/results/frontier.csv")
    parser.add_argument("--picture", type=pathlib.Path, default="docs/img/frontier.png")
    args = parser.parse_args()
    for variable, folder in (("DATA", args.data_dir), ("WEIGHTS", args.weights_dir)):
        if folder:
            os.environ[f"MEDYATE_{variable}"] = str(pathlib.Path(folder).resolve())
    use_one_thread()
    starts, seeds = ([int(part) for part in text.split(",")] for text in (args.starts, args.seeds))
    rows: list[dict] = []
    for network in args.networks.split(","):
        case = next(case for case in get_suite("imagenet").cases if case.network == network)
        rows += measure(case, starts, seeds, Store(args.out))
        write(rows, args.csv, args.picture)  # as they come
    print(table(rows))


if __name__ == "__main__":
    main()
