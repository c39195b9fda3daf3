"""A small vision transformer inside a budget: turned digits, attention trained by channels.

    python benchmarks/transformer.py [--seeds 3] [--epochs 10]

Two blocks of 32 dimensions over 16 patches of scikit-learn's digits, pre-trained on the upright
training part, then fine-tuned on the same digits turned by 90 degrees (batch 16, Adam 0.003 with
cosine decay) and tested on the turned test part. Budgets are shares of the bytes of full
fine-tuning. The table is printed as Markdown; accuracies in percent.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tf_medyate as md
from tf_medyate.data.registry import get_dataset
from tf_medyate.data.task import Task

L = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RUNS = (("head", 0.0), ("medyate", 0.1), ("medyate", 0.2), ("trady", 0.2), ("full", 1.0))


def vision_transformer(blocks: int = 2, size: int = 32, classes: int = 10) -> keras.Model:
    """Patches of 2 x 2 pixels, fixed positions, attention of four heads and layer norms."""
    image = keras.Input((8, 8, 1))
    x = L.Reshape((16, size))(L.Conv2D(size, 2, strides=2, name="patches")(image))
    x = x + positions(16, size)
    for block in range(blocks):
        y = L.LayerNormalization(name=f"before_{block}")(x)
        x = x + L.MultiHeadAttention(4, size // 4, name=f"attention_{block}")(y, y)
        y = L.LayerNormalization(name=f"after_{block}")(x)
        y = L.Dense(2 * size, activation="gelu", name=f"wide_{block}")(y)
        x = x + L.Dense(size, name=f"narrow_{block}")(y)
    x = L.GlobalAveragePooling1D()(L.LayerNormalization(name="last")(x))
    return keras.Model(image, L.Dense(classes, name="head")(x), name="vision_transformer")


def positions(steps: int, size: int) -> np.ndarray:
    """Sines and cosines of rising wave lengths, [1, steps, size]."""
    waves = np.arange(steps)[:, None] / 100.0 ** (np.arange(0, size, 2) / size)
    return np.concatenate([np.sin(waves), np.cos(waves)], -1)[None].astype(np.float32)


def pretrained(task: Task, epochs: int, seed: int) -> keras.Model:
    """A transformer that knows the digits as they are."""
    keras.utils.set_random_seed(seed)
    model = vision_transformer(classes=task.classes)
    model.compile(keras.optimizers.Adam(0.003), LOSS)
    model.fit(task.train_x, task.train_y, batch_size=32, epochs=epochs, verbose=0)
    return model


def adapt(base: keras.Model, task: Task, strategy: str, share: float, epochs: int, seed: int):
    """Fine-tunes on turned digits; (accuracy before, after, bytes of the update)."""
    model = md.prepare(base)
    turned = np.rot90(task.train_x, axes=(1, 2)).copy(), task.train_y
    steps = epochs * -(-len(task.train_y) // 16)
    rate = keras.optimizers.schedules.CosineDecay(0.003, steps)
    model.compile(keras.optimizers.Adam(rate), LOSS, metrics=["accuracy"])
    full = md.CostModel(optimizer_slots=2).full(md.layer_specs(model))
    budget = None if strategy in ("head", "full") else int(share * full)
    medyate = md.MeDyate(budget, strategy, seed=seed, verbose=0)
    test = np.rot90(task.test_x, axes=(1, 2)).copy(), task.test_y
    before = model.evaluate(*test, verbose=0)[1]
    model.fit(*turned, batch_size=16, epochs=epochs, verbose=0, callbacks=[medyate])
    assert medyate.plan is not None
    used = max(epoch.plan.used for epoch in medyate.report().epochs)
    return before, model.evaluate(*test, verbose=0)[1], used


def measure(seeds: int, epochs: int) -> list[tuple[str, float, list, list, int]]:
    """(strategy, share, accuracies before, after, bytes) of each of RUNS."""
    task = get_dataset("digits").load(0, 0)
    found: dict[tuple[str, float], list] = {run: [] for run in RUNS}
    for seed in range(seeds):
        base = pretrained(task, epochs, seed)
        for run in RUNS:
            found[run].append(adapt(base, task, *run, epochs, seed))
    return [(*run, *map(list, zip(*rows, strict=True))) for run, rows in found.items()]  # type: ignore[misc]


def table(rows) -> str:
    """The rows as Markdown."""
    lines = [
        "| strategy | share of full | KiB | accuracy before | after |",
        "|---|--:|--:|--:|--:|",
    ]
    for strategy, share, before, after, used in rows:
        said = f"{share:.0%}" if 0 < share < 1 else "-"
        means = (f"{100 * np.mean(v):.1f} ({100 * np.std(v):.1f})" for v in (before, after))
        lines.append(f"| {strategy} | {said} | {max(used) / 1024:.1f} | {' | '.join(means)} |")
    return "\n".join(lines)


def main():
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    print(table(measure(arguments.seeds, arguments.epochs)))


if __name__ == "__main__":
    main()
