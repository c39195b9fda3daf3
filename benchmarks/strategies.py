"""Every strategy at every budget on the watch data: who adapts best to a new wearer?

    python benchmarks/strategies.py [--out docs/results/strategies.csv] [--jobs 2]
    python benchmarks/strategies.py --wearers 0,1,2,3 --seeds 100,101 --strategies medyate,greedy

For each wearer a net pre-trained on the nine others is fine-tuned on the first 40 % of the
wearer's recordings (batch 8, 15 epochs, SGD 0.05 with cosine decay) and tested on the later
ones, once, at the end. Layers are ranked and the prior importance is measured on source data,
as it would be before shipping a device. Budgets are shares of the bytes of full fine-tuning.
Runs already in --out are not repeated. Tables are printed as Markdown; accuracies in percent.

The settings of `medyate` were chosen on wearers 0-3 with seeds from 100 up; the paired tests
therefore count only wearers 4-9 (--test-wearers).
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import logging
import multiprocessing
import os
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from tf_medyate.bench.analyse.statistics import paired
from tf_medyate.bench.plan.grid import parse_strategy

FIELDS = ("strategy", "share", "wearer", "seed", "accuracy", "budget_bytes", "used_bytes")
MARGIN = 1.0  # points of accuracy: what "non-inferior" may lose
UNBUDGETED = ("full", "head")


@dataclasses.dataclass(frozen=True)
class Job:
    """One fine-tuning: a strategy (a preset, or "preset:option=value,...") on one wearer."""

    strategy: str
    share: float
    wearer: int
    seed: int


class Runner:
    """Runs jobs one after the other in this process; keeps one traced model per trace."""

    def __init__(self, epochs: int = 15, batch: int = 8, rate: float = 0.05):
        os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        import keras

        import tf_medyate as md
        from tf_medyate.data import leave_one_out
        from tf_medyate.zoo.pretrain import pretrained_watch_cnn

        self.keras, self.md = keras, md
        self.epochs, self.batch, self.rate = epochs, batch, rate
        self._models, self._bases, self._splits = {}, {}, {}
        # The nets depend on the number of threads that trained them: these are of one thread.
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._pretrained = functools.partial(
            pretrained_watch_cnn, cache_dir=cache / "tf_medyate" / "one_thread", verbose=0
        )
        self._leave_one_out = leave_one_out

    def _wearer(self, wearer: int):
        if wearer not in self._splits:
            self._splits[wearer] = self._leave_one_out(wearer)
            base = self.md.prepare(self._pretrained(wearer))
            self._bases[wearer] = [
                (layer.kernel.numpy(), layer.bias.numpy())
                for layer in base.layers
                if hasattr(layer, "channel_mask")
            ]
            self._models.setdefault("any", base)
        return self._splits[wearer], self._bases[wearer]

    def _model(self, key, steps: int, rate: float):
        if key not in self._models:
            model = self.md.prepare(self.md.strip(self._models["any"]))
            model.compile(self.keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
            self._models[key] = model
        return self._models[key]

    def run(self, job: Job) -> dict:
        """Fine-tunes and returns a row of FIELDS."""
        split, weights = self._wearer(job.wearer)
        name, options = parse_strategy(job.strategy)
        rate = options.pop("lr", self.rate)
        model = self._model((job.strategy, job.share), 0, rate)
        model.commit()
        layers = [layer for layer in model.layers if hasattr(layer, "channel_mask")]
        for layer, (kernel, bias) in zip(layers, weights, strict=True):
            layer.kernel.assign(kernel)
            layer.bias.assign(bias)
        model.reload_pool()
        full = self.md.CostModel().full(self.md.layer_specs(model))
        budget = None if name in UNBUDGETED else int(full * job.share)
        self.keras.utils.set_random_seed(1000 + job.seed)
        order = np.random.default_rng(job.seed).permutation(len(split.source_x))[: 16 * 32]
        calibration = (split.source_x[order], split.source_y[order], 32)
        chosen = self.md.strategy(name, **options)
        medyate = self.md.MeDyate(budget, chosen, seed=job.seed, calibration=calibration, verbose=0)
        decay = self.keras.callbacks.LearningRateScheduler(
            lambda epoch: rate * 0.5 * (1 + np.cos(np.pi * epoch / self.epochs))
        )
        model.fit(
            split.adapt_x,
            split.adapt_y,
            batch_size=self.batch,
            epochs=self.epochs,
            verbose=0,
            callbacks=[medyate, decay],
        )
        scores = model.predict(split.test_x, batch_size=256, verbose=0)
        used = max(record.plan.used for record in medyate.report().epochs)
        assert used <= medyate.budget.amount
        accuracy = 100 * float(np.mean(scores.argmax(1) == split.test_y))
        return dataclasses.asdict(job) | {
            "accuracy": accuracy,
            "budget_bytes": medyate.budget.amount,
            "used_bytes": used,
        }

    def zero_shot(self, wearer: int) -> float:
        """Accuracy of the pre-trained net on the wearer's later recordings, in percent."""
        split, _ = self._wearer(wearer)
        model = self._pretrained(wearer)
        scores = model.predict(split.test_x, batch_size=256, verbose=0)
        return 100 * float(np.mean(scores.argmax(1) == split.test_y))


_runner: Runner | None = None


def _run_job(job: Job) -> dict:
    global _runner
    _runner = _runner or Runner()
    if job.strategy == "zero-shot":
        accuracy = _runner.zero_shot(job.wearer)
        return dataclasses.asdict(job) | {
            "accuracy": accuracy, "budget_bytes": 0, "used_bytes": 0,
        }  # fmt: skip
    return _runner.run(job)


def read_rows(path: Path) -> list[dict]:
    """Rows of a results file, numbers as numbers; none if there is no file."""
    if not path.exists():
        return []
    with path.open() as file:
        return [
            {k: (v if k == "strategy" else float(v)) for k, v in row.items()}
            for row in csv.DictReader(file)
        ]


def run_all(jobs: list[Job], path: Path, processes: int):
    """Runs the jobs that the file does not hold yet, appending each as it is done."""
    done = {(r["strategy"], r["share"], r["wearer"], r["seed"]) for r in read_rows(path)}
    todo = [j for j in jobs if (j.strategy, j.share, j.wearer, j.seed) not in done]
    if not todo:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists()
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    context = multiprocessing.get_context("spawn")
    with path.open("a", newline="") as file, context.Pool(processes) as pool:
        writer = csv.DictWriter(file, FIELDS)
        if fresh:
            writer.writeheader()
        chunk = max(1, min(20, len(todo) // (4 * processes)))
        with Progress(*columns) as progress:
            task = progress.add_task("fine-tuning", total=len(todo))
            for row in pool.imap_unordered(_run_job, todo, chunksize=chunk):
                writer.writerow(row | {"accuracy": f"{row['accuracy']:.4f}"})
                file.flush()
                progress.advance(task)


def accuracies(rows: list[dict]) -> dict[tuple[str, float], dict[tuple[int, int], float]]:
    """(strategy, share) -> (wearer, seed) -> accuracy; unbudgeted ones under share 0."""
    table: dict = defaultdict(dict)
    for row in rows:
        unbudgeted = row["strategy"] in (*UNBUDGETED, "zero-shot")
        share = 0.0 if unbudgeted else row["share"]
        table[row["strategy"], share][int(row["wearer"]), int(row["seed"])] = row["accuracy"]
    return table


def compare(ours: dict, theirs: dict, wearers) -> tuple[float, float, float]:
    """Paired over wearers (seeds averaged): mean difference, its lower 95 % bound, p-value.

    The bound is one-sided; the p-value is of the two-sided paired t-test. Wearers, not runs, are
    the independent units.
    """
    differences = []
    for wearer in wearers:
        seeds = [key for key in ours if key[0] == wearer and key in theirs]
        if seeds:
            differences.append(np.mean([ours[key] - theirs[key] for key in seeds]))
    found = paired(differences, np.zeros(len(differences)))
    return found.mean, found.low, found.p


def print_tables(rows: list[dict], shares, strategies, test_wearers, reference: str):
    """Prints means and deviations over all wearers, then tests against `reference`."""
    table = accuracies(rows)
    print("\nMean accuracy (standard deviation over wearers and seeds), all wearers:\n")
    print("| strategy | " + " | ".join(f"{share:.0%} of full" for share in shares) + " |")
    print("|---|" + "---|" * len(shares))
    for name in strategies:
        cells = []
        for share in shares:
            unbudgeted = name in (*UNBUDGETED, "zero-shot")
            values = list(table.get((name, 0.0 if unbudgeted else share), {}).values())
            cells.append(f"{np.mean(values):.1f} ({np.std(values):.1f})" if values else "-")
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(
        f"\n{reference} minus the other, wearers {', '.join(map(str, test_wearers))}: mean, ",
        end="",
    )
    print(f"lower 95 % bound, p; * = not shown non-inferior (bound <= -{MARGIN:g}):\n")
    print("| against | " + " | ".join(f"{share:.0%} of full" for share in shares) + " |")
    print("|---|" + "---|" * len(shares))
    for name in strategies:
        if name == reference:
            continue
        cells = []
        for share in shares:
            unbudgeted = name in (*UNBUDGETED, "zero-shot")
            theirs = table.get((name, 0.0 if unbudgeted else share), {})
            mean, low, p = compare(table.get((reference, share), {}), theirs, test_wearers)
            star = "" if low > -MARGIN else " *"
            cells.append(f"{mean:+.2f} ({low:+.2f}, p={p:.3f}){star}")
        print(f"| {name} | " + " | ".join(cells) + " |")


def numbers(text: str, kind=int) -> list:
    """Reads "0,1,2" or "0-9"."""
    if kind is int and "-" in text:
        first, last = text.split("-")
        return list(range(int(first), int(last) + 1))
    return [kind(part) for part in text.split(",")]


def main():
    """Runs what is asked for and prints the tables."""
    from tf_medyate.select.strategies import PRESETS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--strategies",
        default=";".join(("zero-shot", *PRESETS)),
        help='semicolon-separated presets, "preset:option=value,..." too',
    )
    parser.add_argument("--shares", default="0.05,0.1,0.2", help="budgets, as shares of full")
    parser.add_argument("--wearers", default="0-9")
    parser.add_argument("--test-wearers", default="4-9", help="wearers the tests are made on")
    parser.add_argument("--seeds", default="2-4")
    parser.add_argument("--reference", default="medyate")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--out", type=Path, default=Path("docs/results/strategies.csv"))
    args = parser.parse_args()
    shares, wearers = numbers(args.shares, float), numbers(args.wearers)
    strategies = args.strategies.split(";")
    jobs = []
    for name in strategies:
        unbudgeted = name in (*UNBUDGETED, "zero-shot")
        for share in shares[:1] if unbudgeted else shares:
            for seed in numbers(args.seeds)[: 1 if name == "zero-shot" else None]:
                share = 0.0 if unbudgeted else share
                jobs += [Job(name, share, wearer, seed) for wearer in wearers]
    run_all(jobs, args.out, args.jobs)
    wanted = {(j.strategy, j.share, j.wearer, j.seed) for j in jobs}
    rows = [r for r in read_rows(args.out)
            if (r["strategy"], r["share"], r["wearer"], r["seed"]) in wanted]  # fmt: skip
    test_wearers = [w for w in numbers(args.test_wearers) if w in wearers]
    print_tables(rows, shares, strategies, test_wearers or wearers, args.reference)


if __name__ == "__main__":
    main()
