"""One run of the bench, from its description to its result.

An `Executor` keeps what the next run can use again: data, first weights, and the model that
TensorFlow has traced, which takes longer than training it. What it keeps changes no result.

Example:
    >>> execute = Executor()
    >>> results = [execute(run) for run in runs]
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import logging
import math
import os
import platform
import time
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tf_medyate as md
from tf_medyate.bench.plan.grid import Run, has_budget, layers_of, preset_of
from tf_medyate.bench.run.footprint import measure
from tf_medyate.bench.run.material import LOSS, batches, first_net, sample, task_of
from tf_medyate.bench.run.result import Result
from tf_medyate.bench.run.schedule import FollowRate
from tf_medyate.cost import CostModel
from tf_medyate.data.registry import Task
from tf_medyate.errors import NonFiniteLossError
from tf_medyate.prepared.layers import masked_layers
from tf_medyate.spec import BYTES, FLOAT_BYTES
from tf_medyate.zoo.scores import scores_file

_TEST_BATCH = 256
_MOST_KEPT = 64  # first weights: one per fold and seed of a case
Weights = list[tuple[np.ndarray, np.ndarray | None]]


@dataclasses.dataclass(frozen=True, eq=False)
class _Base:
    """The net before fine-tuning, and how good it is."""

    model: keras.Model
    weights: Weights
    accuracy: float


@dataclasses.dataclass(frozen=True, eq=False)
class _Training:
    """What fine-tuning leaves behind beside the weights."""

    medyate: md.MeDyate
    curve: Mapping[str, tuple[float, ...]]
    diverged: bool


class Executor:
    """Runs one run after another in this process."""

    def __init__(self):
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # retracing is meant here
        self._bases: dict[tuple, _Base] = {}
        self._group = ""
        self._model: Any = None

    def __call__(self, run: Run) -> Result:
        """Fine-tunes and tests.

        Raises:
            OptionError: Net, data set or strategy does not exist.
            DataError: The data, or a net's weights, are not installed.
            BudgetTooSmallError: Not a single channel fits the budget.
        """
        started, processor = time.perf_counter(), time.process_time()
        task = task_of(run)
        base = self._base(run, task)
        model = self._ready(run, base)
        ready = time.perf_counter()
        training = _fit(model, run, task)
        seconds_training = time.perf_counter() - ready
        after = _accuracy(model, task)
        return Result(
            run=run,
            accuracy_before=base.accuracy,
            accuracy_after=after,
            train_samples=len(task.train_x),
            test_samples=len(task.test_x),
            seconds=time.perf_counter() - started,
            seconds_training=seconds_training,
            seconds_processor=time.process_time() - processor,
            versions=versions(),
            **_of_training(run, training),
        )

    def _base(self, run: Run, task: Task) -> _Base:
        """Net and head of a fold and a seed, the same for every strategy and budget."""
        # The rate has no part in it, and full fine-tuning may have another.
        recipe = dataclasses.replace(run.recipe, learning_rate=1.0)
        key = (run.network, run.dataset, run.fold, run.seed, recipe)
        if len(self._bases) >= _MOST_KEPT:
            self._bases.clear()
        if key not in self._bases:
            plain = first_net(run, task)
            model = md.prepare(plain)
            self._bases[key] = _Base(model, _weights(model), _accuracy(plain, task))
        return self._bases[key]

    def _ready(self, run: Run, base: _Base) -> Any:
        """A compiled model with the base's weights, traced already if the last run was alike."""
        if run.group != self._group:
            self._model = None
            gc.collect()  # traced functions lie in cycles
            self._model = prepare(md.strip(base.model), run)
            self._group = run.group
        optimizer = keras.optimizers.SGD(run.recipe.learning_rate)
        if not self._model.compiled:
            self._model.compile(optimizer, LOSS, metrics=["accuracy"])
        self._model.commit()
        for layer, (kernel, bias) in zip(masked_layers(self._model), base.weights, strict=True):
            layer.kernel.assign(kernel)
            if bias is not None:
                layer.bias.assign(bias)
        self._model.reload_pool()
        return self._model


def _weights(model: keras.Model) -> Weights:
    return [
        (layer.kernel.numpy(), None if layer.bias is None else layer.bias.numpy())
        for layer in masked_layers(model)
    ]


def prepare(plain: keras.Model, run: Run) -> keras.Model:
    """Prepares a net, and freezes the layers that a run's strategy leaves out from the start.

    Raises:
        OptionError: The strategy names a first layer that the net does not have.
    """
    model = md.prepare(plain)
    specs = md.layer_specs(model)
    wanted = layers_of(run.strategy, specs)
    if wanted is not None:
        for spec in specs:
            model.get_layer(spec.name).trainable = spec.is_head or spec.name in wanted
    return model


def callback(model: keras.Model, run: Run, task: Task, layers: Any = None) -> md.MeDyate:
    """What a run is fine-tuned with.

    Args:
        model: Prepared.
        run: The run.
        task: Its data.
        layers: As for `MeDyate`.
    """
    specs = md.layer_specs(model)
    x, y = sample(task, run.seed, run.recipe.calibration)
    return md.MeDyate(
        run.budget.resolve(specs) if run.budget else None,
        preset_of(run.strategy),
        seed=run.seed,
        calibration=(x, y, run.recipe.batch),
        calibration_batches=math.ceil(len(x) / run.recipe.batch),
        ranking=scores_file(run.network, on) if (on := run.recipe.ranked_on) else None,
        layers=layers,
        verbose=0,
    )


def _fit(model: Any, run: Run, task: Task) -> _Training:
    medyate = callback(model, run, task)
    batch, epochs = run.recipe.batch, run.recipe.total_epochs
    rate = FollowRate(run.recipe, math.ceil(len(task.train_x) / batch))
    keras.utils.set_random_seed(run.seed)
    diverged = False
    with contextlib.suppress(NonFiniteLossError):
        diverged = True
        data = batches(task, run.recipe, run.seed)
        model.fit(*data, batch_size=batch, epochs=epochs, verbose=0, callbacks=[medyate, rate])
        diverged = False
    logs = [record.logs for record in medyate.report().epochs]
    curve = {name: tuple(log[name] for log in logs) for name in ("loss", "accuracy")}
    return _Training(medyate, curve, diverged)


def _accuracy(model: keras.Model, task: Task) -> float:
    right = 0
    for start in range(0, len(task.test_x), _TEST_BATCH):
        part = slice(start, start + _TEST_BATCH)
        scores = np.asarray(model(task.test_x[part], training=False))
        right += int((scores.argmax(-1) == task.test_y[part]).sum())
    return right / len(task.test_x)


def _of_training(run: Run, training: _Training) -> dict[str, Any]:
    """The part of a result that the callback knows."""
    medyate, report = training.medyate, training.medyate.report()
    assert medyate.plan is not None  # made before the first epoch
    plans = [record.plan for record in report.epochs] or [medyate.plan]
    budget = medyate.budget
    in_bytes = budget.amount
    if budget.unit != BYTES:  # which leaves head and biases out
        beside = CostModel(train_bias=medyate.strategy.train_bias)
        in_bytes = FLOAT_BYTES * budget.amount + beside.fixed(medyate.specs, report.candidates)
    ranked = has_budget(run.strategy) and medyate.strategy.ranking not in ("none", "last_k")
    scores = zip(report.ranking.order, report.ranking.scores, strict=True) if ranked else ()
    return {
        "diverged": training.diverged,
        "curve": training.curve,
        "budget_bytes": in_bytes,
        "budget_elements": in_bytes // FLOAT_BYTES,
        "layer_scores": {name: float(score) for name, score in scores},
        **dataclasses.asdict(measure(report, plans, medyate.strategy, medyate.specs)),
    }


@functools.cache
def versions() -> dict[str, str]:
    """Versions of whatever has a say in a result."""
    return {
        "tf_medyate": md.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
