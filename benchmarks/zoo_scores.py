"""Scores the layers of the zoo's nets, as published, and says how stable their order is.

    python benchmarks/zoo_scores.py --data_dir FOLDER --weights_dir FOLDER
    python benchmarks/zoo_scores.py --compare

A mock fine-tuning of the whole net, of 4 epochs on fold 0 of each data set, by the recipe of suite
imagenet and at a rate that full fine-tuning bears, for every net that the suites rank so. A file
holds norms, for every score and budget (`tf_medyate.zoo.scores`). At the end, or with --compare
alone, Spearman's correlation of the layers' order between two data sets, for LaRa (MeDyate, Eq. 9)
and TraDy's score (Eq. 8).
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from rich.console import Console

import tf_medyate as md
from tf_medyate.bench.analyse.statistics import spearman
from tf_medyate.bench.plan.grid import grid
from tf_medyate.bench.plan.suites import SUITES, Case, Suite
from tf_medyate.bench.run.material import LOSS, first_net, task_of
from tf_medyate.select.ranking_file import load_ranking
from tf_medyate.zoo.registry import get_network
from tf_medyate.zoo.scores import FOLDER

EPOCHS = 4
SEED = 100  # reported nowhere
out = Console(highlight=False)


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


def measure(case: Case, path: pathlib.Path):
    """Mock fine-tuning; writes the file."""
    suite = Suite("scores", "", (case,), ("full",))
    run = grid(suite, ["full"], [SEED])[0]
    task = task_of(run)
    model = md.prepare(first_net(run, task))
    model.compile("sgd", LOSS)
    steps = EPOCHS * math.ceil(len(task.train_x) / run.recipe.batch)
    data = (task.train_x, task.train_y, run.recipe.batch)
    rate = case.full_rate or case.recipe.learning_rate / 3  # there is no warm-up
    gradients = md.measure_gradients(model, data, steps=steps, learning_rate=rate, seed=SEED)
    told = f"{case.dataset}, {EPOCHS} epochs of SGD {rate:g}"
    md.save_ranking(path, md.layer_specs(model), gradients, told)
    out.print(f"{path.name}: {steps} steps")


def compare(network: str, shape: tuple[int, ...], paths: list[pathlib.Path]):
    """Prints how alike two data sets order the layers."""
    specs = md.layer_specs(md.prepare(get_network(network).build(shape, 10)))
    for first, second in itertools.combinations(paths, 2):
        measured = [load_ranking(path, specs) for path in (first, second)]
        for method in ("lara", "rgn"):
            ranked = [md.rank_layers(specs, found, method) for found in measured]
            scores = [dict(zip(r.order, r.scores, strict=True)) for r in ranked]
            rho = spearman(*scores)
            tasks = " and ".join(path.stem.split("-")[1] for path in (first, second))
            out.print(f"{network}, {method}: Spearman {rho:.2f} between {tasks}")


def main():
    """Measures what is missing, then compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", help="folder of data sets; else MEDYATE_DATA")
    parser.add_argument("--weights_dir", help="folder of trained weights; else MEDYATE_WEIGHTS")
    parser.add_argument("--compare", action="store_true", help="measure nothing")
    parser.add_argument("--networks", default="", help="only these, comma-separated")
    args = parser.parse_args()
    for name, value in (("DATA", args.data_dir), ("WEIGHTS", args.weights_dir)):
        if value:
            os.environ[f"MEDYATE_{name}"] = value
    found = cases()
    wanted = args.networks.split(",") if args.networks else [network for network, _ in found]
    FOLDER.mkdir(exist_ok=True)
    for network in dict.fromkeys(wanted):
        mine = {on: case for (net, on), case in found.items() if net == network}
        for on, case in mine.items():
            path = FOLDER / f"{network}-{on}.json"
            if not args.compare and not path.exists():
                measure(case, path)
        side = next(iter(mine.values())).recipe.pixels
        shape = get_network(network).input_shape
        shape = (side, side, shape[-1]) if side else shape
        compare(network, shape, sorted(FOLDER.glob(f"{network}-*.json")))


if __name__ == "__main__":
    main()
