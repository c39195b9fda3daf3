"""Accuracy against memory: what it costs to leave the first layers out.

    python benchmarks/frontier.py --data_dir DATA --weights_dir WEIGHTS [--out runs/frontier]

The chain of gradients ends at the shallowest layer that may be trained; the later that is, the less
has to be kept in memory. MeDyate is run on the first case of each net of suite imagenet, at its
smallest budget, with all layers, then with those from a number on (counted from 0; the head is
trained always). Arena and flash are planned for the Nano 33 BLE without TFLM, with frozen layers in
float32 and in int8, for the layers that the first seed keeps.

Results are kept in --out as they come, seed after seed, so the same line again goes on where it
stopped, and --seeds "" shows what is there so far, or the plans alone. Writes
docs/results/frontier.csv and docs/img/frontier.png.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import pathlib
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tf_medyate.bench.plan.grid import FIRST_LAYER, Run, grid
from tf_medyate.bench.plan.suites import Case, Suite, get_suite
from tf_medyate.bench.run.runner import run_here, use_one_thread
from tf_medyate.bench.run.store import Store
from tf_medyate.commands.bench import folder_flags, set_folders
from tf_medyate.select.frontier import FrontierPoint

STARTS = (0, 6, 12, 18, 24, 30, 36, 42)
NANO_KIB = (262_144 - 57_344 - 8_192) / 1024  # RAM, less Mbed OS and its stack, less the trainer
FROZEN = ("float32", "int8")
FIELDS = ("network", "first_layer", "layers", "shallowest", "score",
          *(f"{memory}_kib_{frozen}" for memory in ("arena", "flash") for frozen in FROZEN),
          "accuracy", "deviation", "runs")  # fmt: skip
_SAMPLES = 32  # for the ranges of int8
_NO_LIMIT = 1 << 40


def runs_of(case: Case, starts: Sequence[int], seeds: Sequence[int]) -> dict[int, tuple[Run, ...]]:
    """The runs of each first layer, at the case's first budget and on its first fold."""
    case = dataclasses.replace(case, budgets=case.budgets[:1], folds=case.folds[:1])
    suite = Suite("frontier", "", (case,), ())
    return {start: grid(suite, [f"medyate:{FIRST_LAYER}={start}"], seeds) for start in starts}


def plan(case: Case) -> dict[str, tuple[FrontierPoint, ...]]:
    """Every depth limit as it would be exported, without training it; for each kind of FROZEN."""
    import keras

    import tf_medyate as md
    from tf_medyate.bench.run.execute import callback, prepare
    from tf_medyate.bench.run.material import LOSS, first_net, task_of

    [run] = runs_of(case, (0,), (0,))[0]
    task = task_of(run)
    model = prepare(first_net(run, task), run)
    model.compile(keras.optimizers.SGD(run.recipe.learning_rate), LOSS)
    found = {}
    for frozen in FROZEN:
        samples = task.train_x[:_SAMPLES] if frozen == "int8" else None
        limits = md.LayersThatFit(
            flash_limit=_NO_LIMIT,
            frozen=frozen,
            representative_data=samples,
            factory_copy=False,
        )
        medyate = callback(model, run, task, limits)
        medyate.set_model(model)
        assert medyate.frontier is not None
        found[frozen] = medyate.frontier.points
    return found


def row(network: str, start: int, plans: dict[str, tuple[FrontierPoint, ...]]) -> dict:
    """What is planned of a depth limit, as the first of FIELDS."""
    points = {f: next(p for p in plans[f] if p.first_layer >= start) for f in FROZEN}
    first = points[FROZEN[0]]
    return {
        "network": network,
        "first_layer": start,
        "layers": len(first.kept),
        "shallowest": first.first_layer,
        "score": first.score,
        **{f"arena_kib_{f}": point.arena_bytes / 1024 for f, point in points.items()},
        **{f"flash_kib_{f}": point.flash_bytes / 1024 for f, point in points.items()},
    }


def measure(case: Case, starts: Sequence[int], seeds: Sequence[int], store: Store) -> list[dict]:
    """A row of FIELDS for each first layer that makes a difference; runs what is not in the store.

    Without seeds nothing is run, and whatever the store has of seeds 0 to 9 is shown.
    """
    plans = plan(case)
    rows: dict[int, dict] = {}
    last = plans[FROZEN[0]][-1].first_layer
    for start in (start for start in starts if start <= last):
        planned = row(case.network, start, plans)
        rows.setdefault(planned["shallowest"], planned)
    starts = [planned["first_layer"] for planned in rows.values()]
    for seed in seeds:
        runs = [run for each in runs_of(case, starts, (seed,)).values() for run in each]
        for complaint in run_here(runs, store).complaints():
            print(complaint)
    done = runs_of(case, starts, seeds or range(10))
    return [
        planned
        | _measured([r.accuracy_after for r in store.read_all(done[planned["first_layer"]])])
        for planned in rows.values()
    ]


def _measured(accuracies: Sequence[float]) -> dict:
    percent = 100 * np.array(accuracies)
    return {
        "accuracy": percent.mean() if len(percent) else float("nan"),
        "deviation": percent.std(ddof=1) if len(percent) > 1 else 0.0,
        "runs": len(percent),
    }


def table(rows: Sequence[dict]) -> str:
    """The rows in Markdown."""
    lines = [
        "| net | layers from | kept | shallowest | score | arena, KiB (int8) | flash, KiB (int8) "
        "| accuracy % (deviation, runs) |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {r['network']} | {r['first_layer']} | {r['layers']} | {r['shallowest']} "
        f"| {r['score']:.0%} | {r['arena_kib_float32']:.0f} ({r['arena_kib_int8']:.0f}) "
        f"| {r['flash_kib_float32']:,.0f} ({r['flash_kib_int8']:,.0f}) | {_cell(r)} |"
        for r in rows
    ]
    return "\n".join(lines)


def _cell(row: dict) -> str:
    if not row["runs"]:
        return "-"
    return f"{row['accuracy']:.1f} ({row['deviation']:.1f}, {row['runs']})"


def draw(rows: Sequence[dict], path: pathlib.Path):
    """Accuracy against arena, a line for each net and kind of frozen layers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for number, network in enumerate(dict.fromkeys(row["network"] for row in rows)):
        own = [row for row in rows if row["network"] == network and row["runs"]]
        for frozen, style in zip(FROZEN, ("o--", "o-"), strict=True):
            arena, accuracy, spread = (
                [row[name] for row in own]
                for name in (f"arena_kib_{frozen}", "accuracy", "deviation")
            )
            label = f"{network}, frozen layers in {frozen}"
            axes.errorbar(
                arena, accuracy, spread, fmt=style, color=f"C{number}", capsize=3, label=label
            )
            for row, x, y in zip(own, arena, accuracy, strict=True):
                text = str(row["shallowest"])
                axes.annotate(text, (x, y), (4, 4), textcoords="offset points", fontsize=8)
    axes.axvline(NANO_KIB, color="grey", linestyle=":", label="a Nano 33 BLE has")
    axes.set_xlabel("planned arena on the board, KiB (numbers: shallowest layer that is trained)")
    axes.set_ylabel("accuracy, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
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
    folder_flags(parser)
    parser.add_argument("--networks", default="mobilenet_v2_035_folded,mcunet_in1_folded")
    parser.add_argument("--starts", default=",".join(map(str, STARTS)), help="first layers")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", default="runs/frontier", help="folder of the runs' results")
    parser.add_argument("--csv", type=pathlib.Path, default="docs/results/frontier.csv")
    parser.add_argument("--picture", type=pathlib.Path, default="docs/img/frontier.png")
    args = parser.parse_args()
    set_folders(args)
    use_one_thread()
    starts, seeds = (
        [int(part) for part in text.split(",") if part] for text in (args.starts, args.seeds)
    )
    rows: list[dict] = []
    for network in args.networks.split(","):
        case = next(case for case in get_suite("imagenet").cases if case.network == network)
        rows += measure(case, starts, seeds, Store(args.out))
        write(rows, args.csv, args.picture)  # as they come
    print(table(rows))


if __name__ == "__main__":
    main()
