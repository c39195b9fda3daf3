"""Results without training, for tests of whatever comes after it."""

import hashlib

import numpy as np

from tf_medyate.bench.plan.budgets import Budget
from tf_medyate.bench.plan.grid import Run
from tf_medyate.bench.plan.recipe import FineTuneRecipe
from tf_medyate.bench.run.result import Result

RECIPE = FineTuneRecipe(epochs=10, batch=16, learning_rate=0.02)


def fake_run(strategy="medyate", share=0.1, fold=0, seed=0, network="net", dataset="data"):
    budget = None if strategy in ("head", "full") else Budget.share(share)
    return Run(network, dataset, fold, seed, strategy, budget, RECIPE)


def fake_result(run, accuracy=None, scores=None, seconds=0.5):
    noise = int(hashlib.sha256(run.key.encode()).hexdigest()[:8], 16) / 2**32
    budget = 100_000 if run.budget is None else int(100_000 * run.budget.amount)
    return Result(
        run=run,
        accuracy_before=0.25,
        accuracy_after=0.5 + 0.25 * noise if accuracy is None else accuracy,
        diverged=False,
        curve={"loss": (2.0, 1.0), "accuracy": (0.25, 0.5)},
        budget_bytes=budget,
        budget_elements=budget // 4,
        used_bytes=budget - 8,
        used_elements=budget // 4 - 2,
        full_bytes=100_000,
        full_elements=25_000,
        trained_weights=1000,
        weight_sparsity=0.9,
        activation_sparsity=0.95,
        gradient_flops_saved=0.8,
        train_samples=100,
        test_samples=50,
        layer_scores={} if scores is None else scores,
        seconds=seconds,
        seconds_training=0.25,
        seconds_processor=0.5,
        versions={"python": "3"},
    )


def results_of(effects, folds=8, datasets=("digits",), scores=None, seeds=2):
    """Results in which each strategy is better than 60 % by its effect, with a little noise."""
    made = []
    for strategy, effect in effects.items():
        for share in (0.05, 0.2):
            for data in datasets:
                for fold in range(folds):
                    for seed in range(seeds):
                        run = fake_run(strategy, share, fold, seed, "ds_cnn", data)
                        kind = [fold, seed, len(strategy), len(data)]
                        noise = np.random.default_rng(kind).normal() / 500
                        layer = scores(data) if scores else None
                        made.append(fake_result(run, 0.6 + effect + noise + share / 10, layer))
    return list({result.run.key: result for result in made}.values())
