"""What a run starts from: the data in the net's shape, and the net before fine-tuning.

Example:
    >>> task = task_of(run)
    >>> model = first_net(run, task)
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tf_medyate.bench.plan.grid import Run
from tf_medyate.bench.plan.recipe import FineTuneRecipe
from tf_medyate.bench.run.augment import distort
from tf_medyate.data.registry import Task, fit_input, get_dataset
from tf_medyate.errors import DataError
from tf_medyate.zoo.pretrain import pretrain
from tf_medyate.zoo.registry import get_network
from tf_medyate.zoo.scores import scores_file

LOSS = "sparse_categorical_crossentropy"
_SOURCE_PER_SAMPLE = 4  # kept of the source data, for each sample that a run draws from them
_MOST_AT_ONCE_BYTES = 512 * 2**20


def task_of(run: Run) -> Task:
    """The fold of a run in the net's input shape, thinned as the recipe says."""
    recipe = run.recipe
    # Calibration needs a few of the source samples; to fit all to a large input takes gigabytes.
    source = _SOURCE_PER_SAMPLE * max(recipe.calibration, recipe.renormalize)
    most = (recipe.most_train, recipe.most_test, 0 if recipe.pretrain_epochs else source)
    return _fold(run.dataset, run.fold, run.seed, _input_shape(run), *most)


def _input_shape(run: Run) -> tuple[int, ...]:
    own, side = get_network(run.network).input_shape, run.recipe.pixels
    return (side, side, own[-1]) if side else own


@functools.lru_cache(maxsize=8)
def _fold(
    dataset: str, fold: int, seed: int, shape: tuple[int, ...], train: int, test: int, source: int
) -> Task:
    """Rows first, then the shape: a whole data set in a large input shape may not fit in memory."""
    task = get_dataset(dataset).load(fold, seed)
    train_x, train_y = _thin(task.train_x, task.train_y, train, fold)
    test_x, test_y = _thin(task.test_x, task.test_y, test, fold)
    source_x, source_y = task.source_x, task.source_y
    if source_x is not None and source_y is not None:
        source_x, source_y = _thin(source_x, source_y, source, fold)
        source_x = fit_input(source_x, shape)
    return Task(
        task.name,
        fold,
        fit_input(train_x, shape),
        train_y,
        fit_input(test_x, shape),
        test_y,
        task.classes,
        source_x,
        source_y,
    )


def _thin(x: np.ndarray, y: np.ndarray, most: int, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """At most so many samples, the same for every seed, in their order."""
    if not most or len(x) <= most:
        return x, y
    rows = np.sort(np.random.default_rng(fold).permutation(len(x))[:most])
    return x[rows], y[rows]


def _source(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Data from before the device met its user; the training samples where there are none."""
    if task.source_x is None or task.source_y is None:
        return task.train_x, task.train_y
    return task.source_x, task.source_y


def sample(task: Task, seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Some of the source data, drawn at random: at most `count` samples and their labels."""
    x, y = _source(task)
    rows = np.random.default_rng(seed).permutation(len(x))[:count]
    return x[rows], y[rows]


def batches(task: Task, recipe: FineTuneRecipe, seed: int) -> tuple[Any, Any]:
    """What `fit` takes for x and y: the arrays, or a stream of what is distorted or very large."""
    if task.train_x.nbytes <= _MOST_AT_ONCE_BYTES and not recipe.augment:
        return task.train_x, task.train_y
    return Stream(task.train_x, task.train_y, recipe.batch, seed, recipe.augment), None


class Stream(keras.utils.PyDataset):
    """Batches of arrays that may be mapped from disk, in another order every epoch.

    Args:
        x: [n, ...].
        y: [n].
        batch: Samples in a batch; the last may be smaller.
        seed: Of the order, and of crops and flips.
        augment: As in the recipe.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, batch: int, seed: int, augment: str = ""):
        super().__init__()
        self._x, self._y, self._batch, self._augment = x, y, batch, augment
        self._seed, self._epoch = seed, 0
        self._random = np.random.default_rng(seed)
        self._order = self._random.permutation(len(x))

    def __len__(self) -> int:
        return math.ceil(len(self._x) / self._batch)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.sort(self._order[index * self._batch : (index + 1) * self._batch])
        x = self._x[rows]
        if self._augment:  # by epoch and place: the same however often, and whenever, it is asked
            random = np.random.default_rng([self._seed, self._epoch, index])
            x = distort(x, self._augment, random)
        return x, self._y[rows]

    def on_epoch_end(self):
        """Keras's hook: shuffles again."""
        self._epoch += 1
        self._order = self._random.permutation(len(self._x))


def check_weights(runs: Sequence[Run]):
    """Looks for the nets' trained weights and layer scores before anything is run.

    Raises:
        DataError: Some weights are missing; it says of each what to fetch, and from where.
        OptionError: The zoo has no scores of a net on the data set to rank on.
    """
    for name, on in dict.fromkeys((run.network, run.recipe.ranked_on) for run in runs):
        if on:
            scores_file(name, on)
    errors: dict[str, DataError] = {}
    for name in dict.fromkeys(run.network for run in runs if run.recipe.published):
        locate = get_network(name).locate
        try:
            _ = locate and locate()
        except DataError as error:
            errors[name] = error
    if errors:
        expected = f"the trained weights of {', '.join(errors)}"
        received = "; ".join(dict.fromkeys(error.received for error in errors.values()))
        remedy = " ".join(dict.fromkeys(error.remedy for error in errors.values()))
        raise DataError("--weights_dir", expected, received, remedy)


def first_net(run: Run, task: Task) -> keras.Model:
    """The published net under a fresh head, or one trained on the task's source data.

    Raises:
        DataError: The weights, or source data to pre-train on, are missing.
    """
    network, shape = get_network(run.network), _input_shape(run)
    keras.utils.set_random_seed(run.seed)
    published = network.pretrained if run.recipe.published else None
    model = None if published is None else published(task.classes)
    if model is None or model.input_shape[1:] != shape:
        resized = network.build(shape, task.classes)
        if model is not None:  # convolutions do not mind the size of what they go over
            resized.set_weights(model.get_weights())
        model = resized
    if run.recipe.head_scale != 1:
        head = next(layer for layer in reversed(model.layers) if layer.weights)
        head.set_weights([run.recipe.head_scale * weights for weights in head.get_weights()])
    if run.recipe.pretrain_epochs:
        _pretrain(model, run, task)
    if run.recipe.renormalize:
        renormalize(model, sample(task, run.seed, run.recipe.renormalize)[0])
    return model


def renormalize(model: keras.Model, x: np.ndarray):
    """Sets the statistics of every batch normalization to those of these samples, [n, ...]."""
    norms = [v for v in model.layers if isinstance(v, keras.layers.BatchNormalization)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # the moving averages become those of the next batch
    model(x, training=True)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum


def _pretrain(model: Any, run: Run, task: Task):
    if task.source_x is None:
        where = f"{run.dataset}, fold {run.fold}"
        remedy = "Set pretrain_epochs to 0 for it."
        raise DataError(where, "source data to pre-train on", "none", remedy)
    pretrain(model, *_source(task), run.recipe.pretrain_epochs)
