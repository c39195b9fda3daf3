"""Scores the layers of the zoo's nets, as published, and says how stable their order is.

    python benchmarks/zoo_scores.py --data_dir FOLDER --weights_dir FOLDER
    python benchmarks/zoo_scores.py --compare
    python benchmarks/zoo_scores.py --calibration --networks mcunet_in1_folded ...

A mock fine-tuning of the whole net, of 4 epochs on fold 0 of each data set, by the recipe of suite
imagenet and at a rate that full fine-tuning bears, for every net that the suites rank so. A file
holds norms, for every score and budget (`tf_medyate.zoo.scores`). At the end, or with --compare
alone, Spearman's correlation of the layers' order between two data sets, for LaRa (MeDyate, Eq. 9)
and TraDy's score (Eq. 8). --calibration compares each file with what is used without one: a
calibration at frozen weights, under a fresh head, on the other data set's training part.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from rich.console import Console

import tf_medyate as md
from tf_medyate.bench.analyse.statistics import spearman
from tf_medyate.bench.plan.grid import Run, grid
from tf_medyate.bench.plan.suites import SUITES, Case, Suite
from tf_medyate.bench.run.material import LOSS, first_net, sample, task_of
from tf_medyate.commands.bench import folder_flags, set_folders
from tf_medyate.data.registry import Task
from tf_medyate.select.ranking_file import load_ranking
from tf_medyate.spec import LayerSpec
from tf_medyate.zoo.registry import get_network
from tf_medyate.zoo.scores import FOLDER, scores_file

EPOCHS = 4
SEED = 100  # reported nowhere
out = Console(highlight=False, soft_wrap=True)


def cases() -> dict[tuple[str, str], Case]:
    """(net, data set to rank on) -> how that net is fine-tuned there, without what is not ours."""
    found = {}
    for case in itertools.chain.from_iterable(suite.cases for suite in SUITES.values()):
        if on := case.recipe.ranked_on:
            recipe = dataclasses.replace(case.recipe, ranked_on="")
            if recipe.pixels:  # suite imagenet's pictures, also for the nets of suite paper
                recipe = dataclasses.replace(recipe, pixels=96, most_train=1100, augment="")
            found[case.network, on] = dataclasses.replace(
                case, dataset=on, folds=(0,), recipe=recipe
            )
    return found


def start(case: Case) -> tuple[keras.Model, Task, Run]:
    """The net before fine-tuning, prepared and compiled, and its data."""
    suite = Suite("scores", "", (case,), ("full",))
    run = grid(suite, ["full"], [SEED])[0]
    task = task_of(run)
    model = md.prepare(first_net(run, task))
    model.compile("sgd", LOSS)
    return model, task, run


def measure(case: Case, path: pathlib.Path):
    """Mock fine-tuning; writes the file."""
    model, task, run = start(case)
    steps = EPOCHS * math.ceil(len(task.train_x) / run.recipe.batch)
    data = (task.train_x, task.train_y, run.recipe.batch)
    rate = case.full_rate or case.recipe.learning_rate / 3  # there is no warm-up
    gradients = md.measure_gradients(model, data, steps=steps, learning_rate=rate, seed=SEED)
    told = f"{case.dataset}, {EPOCHS} epochs of SGD {rate:g}"
    md.save_ranking(path, md.layer_specs(model), gradients, told)
    out.print(f"{path.name}: {steps} steps")


def say(network: str, specs: Sequence[LayerSpec], tasks: str, *measured: Any):
    """Prints how alike two measurements order the layers, by both scores."""
    for method in ("lara", "rgn"):
        ranked = [md.rank_layers(specs, found, method) for found in measured]
        scores = [dict(zip(r.order, r.scores, strict=True)) for r in ranked]
        out.print(f"{network}, {method}: Spearman {spearman(*scores):.2f} between {tasks}")


def compare(network: str, shape: tuple[int, ...]):
    """Prints how alike each two data sets order the layers."""
    specs = md.layer_specs(md.prepare(get_network(network).build(shape, 10)))
    for pair in itertools.combinations(sorted(FOLDER.glob(f"{network}-*.json")), 2):
        tasks = " and ".join(path.stem.split("-")[1] for path in pair)
        say(network, specs, tasks, *(load_ranking(path, specs) for path in pair))


def calibrate(network: str, cases: Mapping[str, Case]):
    """Prints how alike a calibration on one data set and the file of another order the layers."""
    for on, case in cases.items():
        model, task, run = start(case)
        specs = md.layer_specs(model)
        x, y = sample(task, SEED, run.recipe.calibration)
        batches = math.ceil(len(x) / run.recipe.batch)
        found = md.measure_gradients(model, (x, y, run.recipe.batch), batches)
        for other in cases:
            tasks = f"a calibration on {on} and the file of {other}"
            say(network, specs, tasks, found, load_ranking(scores_file(network, other), specs))


def main():
    """Measures what is missing, then compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder_flags(parser)
    parser.add_argument("--compare", action="store_true", help="measure nothing")
    parser.add_argument("--calibration", action="store_true", help="compare with calibrations")
    parser.add_argument("--networks", default="", help="only these, comma-separated")
    args = parser.parse_args()
    set_folders(args)
    found = cases()
    known = list(dict.fromkeys(network for network, _ in found))
    wanted = args.networks.split(",") if args.networks else known
    if unknown := [name for name in wanted if name not in known]:
        parser.error(f"--networks: expected some of {', '.join(known)}; received {unknown[0]!r}")
    FOLDER.mkdir(exist_ok=True)
    for network in wanted:
        mine = {on: case for (net, on), case in found.items() if net == network}
        if args.calibration:
            calibrate(network, mine)
            continue
        for on, case in mine.items():
            path = FOLDER / f"{network}-{on}.json"
            if not args.compare and not path.exists():
                measure(case, path)
        side = next(iter(mine.values())).recipe.pixels
        shape = get_network(network).input_shape
        compare(network, (side, side, shape[-1]) if side else shape)


if __name__ == "__main__":
    main()
