"""The arena that TFLM needs to train, predicted and measured, beside training the same net in full.

    python benchmarks/arena.py [--markdown docs/results/arena.md]

Every net is exported for each budget and allocated by the official TFLM interpreter, which reports
the measured column. `full` is the same graph with every channel of every layer trained: all
activations that backpropagation needs, gates, a value for each weight gradient, and the largest
transient, planned by the same planner and measured by the same interpreter. Weights and data are
random, so that the table depends on nothing that has to be downloaded. The column "layers" says how
many LaRa keeps, and by what: 0.97 is the default share of the score, a whole number the best ones.
Where a deep net keeps a few layers behind its wide first blocks, these are computed row by row.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import pathlib
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.progress import track

SHARES = (0.05, 0.10, 0.20)
PAPER_ELEMENTS = 27946  # TraDy's smallest budget for MobileNetV2 0.35


@dataclasses.dataclass(frozen=True)
class Net:
    """A net, its budgets, and how it is made."""

    name: str
    build: str
    shape: tuple[int, ...]
    classes: int
    paper: bool = False
    top_ks: tuple[float | int, ...] = (0.97,)


NETS = (
    Net("watch CNN", "watch_cnn", (100, 6), 7),
    Net("DS-CNN (keywords)", "ds_cnn", (49, 10, 1), 12),
    Net("ResNet8 (images)", "resnet8", (32, 32, 3), 10),
    Net("MobileNetV1 0.25 (wake words)", "mobilenet_v1", (96, 96, 3), 2, False, (0.97, 6)),
    Net("autoencoder (anomaly)", "autoencoder", (640,), 640),
    Net("MobileNetV2 0.35, 96 px", "mobilenet_v2_035", (96, 96, 3), 10, True, (0.97, 10)),
    Net("MobileNetV2 0.35, 128 px", "mobilenet_v2_035", (128, 128, 3), 10, True, (0.97, 10)),
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One export."""

    net: str
    layers: str
    budget: str
    pool: int
    predicted: int
    measured: int
    board: int
    full: int


def build(net: Net) -> keras.Model:
    """The net with random weights."""
    from tf_medyate.zoo.registry import get_network

    keras.utils.set_random_seed(0)
    if net.build == "autoencoder":
        from tf_medyate.zoo import autoencoder

        return autoencoder()
    if net.build == "watch_cnn":
        from tf_medyate.zoo import watch_cnn

        return watch_cnn()
    return get_network(net.build).build(net.shape, net.classes)


def export(model, net: Net, budget, folder: pathlib.Path, top_k: float | int = 0.97):
    """Exports for one budget (None: everything); returns the bundle."""
    import tf_medyate as md

    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, *net.shape)).astype(np.float32)
    y = x if net.classes == 640 else rng.integers(0, net.classes, 16)
    strategy = "full" if budget is None else "medyate"
    chosen = md.strategy(strategy, top_k=top_k)
    medyate = md.MeDyate(budget, chosen, calibration=(x, y, 4), verbose=0)
    medyate.set_model(model)
    return md.export(model, folder, medyate)


def measure(net: Net, folder: pathlib.Path) -> list[Row]:
    """All budgets of one net."""
    import tf_medyate as md

    model = md.prepare(build(net))
    softmax = getattr(model.layers[-1], "activation", None) is keras.activations.softmax
    loss = "mse" if net.classes == 640 else None
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=not softmax)
    model.compile(keras.optimizers.SGD(0.01), loss)
    specs = md.layer_specs(model)
    full_bytes = md.CostModel().full(specs)
    least = md.CostModel().fixed(specs, [spec.name for spec in specs])
    full = md.simulate.TFLMTrainer(export(model, net, None, folder)).arena_bytes
    budgets = [f"{PAPER_ELEMENTS} elements"] if net.paper else []
    budgets += [max(int(full_bytes * share), least + 4096) // 4 * 4 for share in SHARES]
    rows = []
    for top_k, budget in itertools.product(net.top_ks, dict.fromkeys(budgets)):
        bundle = export(model, net, budget, folder, top_k)
        memory = bundle.manifest.memory
        measured = md.simulate.TFLMTrainer(bundle).arena_bytes
        said = str(md.MemoryBudget.parse(budget)).split(" (")[0]
        if not isinstance(budget, str):
            said += f", {budget / full_bytes:.0%}"
        # A budget in elements counts neither the head nor biases.
        asked = PAPER_ELEMENTS * 4 + least if isinstance(budget, str) else budget
        assert memory.pool_bytes <= asked, "the pool is at most what was asked for"
        rows.append(
            Row(
                net.name,
                f"{sum(entry.drawn for entry in bundle.manifest.layers)} ({top_k:g})",
                said,
                memory.pool_bytes,
                memory.arena_bytes,
                measured,
                memory.board_arena_bytes,
                full,
            )
        )
    return rows


def table(rows: list[Row]) -> str:
    """The rows in Markdown, sizes in KiB."""
    lines = [
        "| net | layers | budget | pool | arena predicted | arena measured | error "
        "| full, measured | times less | on a 32-bit board |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        error = row.predicted / row.measured - 1
        kib = [
            f"{b / 1024:,.1f}" for b in (row.pool, row.predicted, row.measured, row.full, row.board)
        ]
        lines.append(
            f"| {row.net} | {row.layers} | {row.budget} | {kib[0]} | {kib[1]} | {kib[2]} "
            f"| {error:+.1%} | {kib[3]} | {row.full / row.measured:.1f} | {kib[4]} |"
        )
    return "\n".join(lines)


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", default="", help="file to write the table to")
    parser.add_argument("--nets", default="", help="only nets whose names contain this")
    args = parser.parse_args()
    rows: list[Row] = []
    nets = [net for net in NETS if args.nets.lower() in net.name.lower()]
    with tempfile.TemporaryDirectory() as folder:
        for net in track(nets, description="exporting"):
            rows += measure(net, pathlib.Path(folder))
    text = table(rows)
    print(text)
    print("\nSizes in KiB; the measured ones on a 64-bit host, the last column is computed.")
    if args.markdown:
        pathlib.Path(args.markdown).write_text(text + "\n")


if __name__ == "__main__":
    main()
