"""The Keras callback: calibrate and rank once, then draw channels before each epoch.

Example:
    >>> medyate = MeDyate(budget="8KiB")
    >>> model.fit(x, y, callbacks=[medyate])                  # model = prepare(base), compiled
    >>> print(medyate.report())

In a training loop of one's own:
    >>> optimizer, loss = model.optimizer, keras.losses.SparseCategoricalCrossentropy()
    >>> medyate = MeDyate(budget="8KiB", calibration=(x, y), loss=loss, optimizer=optimizer)
    >>> medyate.set_model(model)
    >>> for epoch in range(3):
    ...     medyate.begin_epoch()
    ...     for start in range(0, len(x), 8):
    ...         with tf.GradientTape() as tape:
    ...             value = loss(y[start : start + 8], model(x[start : start + 8], training=True))
    ...         gradients = tape.gradient(value, model.trainable_variables)
    ...         optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    ...     medyate.end_epoch()
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from tf_medyate.cost import CostModel, check_count
from tf_medyate.errors import NonFiniteLossError, NotPreparedError, OptionError, PlanError
from tf_medyate.prepared import host_memory
from tf_medyate.prepared.folding import require_prepared
from tf_medyate.prepared.model import PreparedModel
from tf_medyate.prepared.slots import check_decay
from tf_medyate.prepared.update import ChannelUpdater, Snapshot
from tf_medyate.report import EpochRecord, TrainingReport
from tf_medyate.select.fitting import DeviceLimits
from tf_medyate.select.frontier import Frontier
from tf_medyate.select.planner import Batches, Planner, calibration_batches
from tf_medyate.select.sampling import check_seed
from tf_medyate.select.strategies import (
    DEFAULT,
    OBSERVED,
    RANKINGS,
    WHOLE_NET,
    Strategy,
    with_old_arguments,
)
from tf_medyate.spec import LayerRanking, LayerSpec, MemoryBudget, UpdatePlan


class MeDyate(keras.callbacks.Callback):
    """Fine-tunes a prepared model inside a memory budget (MeDyate, arXiv 2510.20979).

    What was drawn last stays in force when training ends: a `fit` without the callback trains just
    that, and the head. `strip` gives an ordinary model.

    Args:
        budget: What the update may occupy, for example "64KiB", "27946 elements" or a number of
            bytes. None only for the strategies "head" and "full".
        strategy: What to train: a preset by name, see `tf_medyate.PRESETS`, or a Strategy.
        seed: Seed of the sampler, 0 to 2^64 - 1; same seed, same channels.
        calibration: (x, y) arrays, a tf.data.Dataset or another re-iterable of (x, y) batches to
            measure gradients on; None takes some of the data that `fit` is given.
        calibration_batches: Largest number of batches to measure.
        layers: Names of the layers to draw from, instead of those that the ranking keeps. Or a
            `tf_medyate.LayersThatFit`: the best layers whose training fits a board, or limits.
        ranking: A ranking file (`medyate rank --save`): nothing is measured to rank the layers.
        device_batch: Samples whose activations the device stores at once.
        loss: Loss of (targets, outputs) to calibrate with, for a model that is not compiled.
        optimizer: Optimizer of a loop of one's own; None takes the compiled one.
        log_dir: Folder for TensorBoard summaries, written when training ends.
        verbose: 0 to say nothing.
        **parts: Deprecated: parts of the strategy, which `strategy` takes as a Strategy.

    Attributes:
        plan: The UpdatePlan in force, None before the first epoch.
        asked_budget: The bound as it was given; None for none.
        device_batch: As it was given.

    Raises:
        BudgetError, OptionError: At once, for a value that cannot be read.
    """

    def __init__(
        self,
        budget: int | str | MemoryBudget | None = None,
        strategy: str | Strategy = DEFAULT,
        *,
        seed: int = 0,
        calibration: Any = None,
        calibration_batches: int = 16,
        layers: Sequence[str] | DeviceLimits | None = None,
        ranking: str | os.PathLike[str] | None = None,
        device_batch: int = 1,
        loss: Callable | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        log_dir: str | None = None,
        verbose: int = 1,
        **parts: Any,
    ):
        super().__init__()
        if ranking in (*RANKINGS, WHOLE_NET):  # as it was given before there were files
            parts, ranking = parts | {"ranking": ranking}, None
        chosen = with_old_arguments(strategy, parts)
        if budget is None and chosen.needs_budget:
            raise OptionError(
                "budget", 'a memory budget such as "8KiB"', "None", "Say how much memory there is."
            )
        asked = None if budget is None else MemoryBudget.parse(budget)
        check_seed(seed)
        check_count("device_batch", device_batch)
        check_count("calibration_batches", calibration_batches)
        if isinstance(layers, str):
            remedy = f"Write [{layers!r}]."
            raise OptionError("layers", "a list of names", repr(layers), remedy)
        _check_own_loop(loss, optimizer)
        self._planner = Planner(chosen, asked, seed, layers, device_batch, ranking)
        self.asked_budget, self.device_batch = asked, device_batch
        self._calibration = calibration
        self._calibration_batches = calibration_batches
        self._loss = loss
        self._given_optimizer = optimizer
        self._log_dir = log_dir
        self._verbose = verbose
        self._updater: ChannelUpdater | None = None
        self._epoch = self._done = -1
        self._shift: int | None = None
        self._traced = False
        self._records: list[EpochRecord] = []
        self._snapshot: Snapshot | None = None
        self.plan: UpdatePlan | None = None

    # --- attaching

    def set_model(self, model: keras.Model):
        """Ranks the layers and readies the model; Keras calls this at the start of `fit`.

        Calling it again with the same model goes on where it stopped. It starts over if another
        callback has trained the model since, or if the model was compiled again or a layer frozen,
        made trainable or renamed: costs, ranking and optimizer slots rest on all of these.

        Raises:
            NotPreparedError: The model did not come from `prepare`, or has no loss.
            BudgetTooSmallError: Not a single channel fits beside what is always trained.
            UnknownLayerError: `layers` names a layer that does not exist.
            DataError: The calibration data cannot be used.
            BoardError: No layers fit the limits of `layers`.
        """
        super().set_model(model)
        prepared = require_prepared(model)
        optimizer = self._given_optimizer or getattr(model, "optimizer", None)
        updater = self._updater
        if updater is None or updater.model is not prepared or not updater.in_force(optimizer):
            self._attach(prepared, optimizer)

    def _attach(self, model: PreparedModel, optimizer: keras.optimizers.Optimizer | None):
        host_memory.collect()  # what building the model left behind
        planner = self._planner
        batches: Batches = ()
        if planner.needs_data:
            batches = calibration_batches(model, self._calibration, self._calibration_batches)
        if self._verbose and planner.needs_gradients:
            print(f"MeDyate: measuring the layers' gradients on {len(batches)} batches ...")
        importance = planner.survey(model, batches, optimizer, self._loss)
        host_memory.collect()  # the graph that measured
        # What is hopeless is refused before anything is changed.
        planner.plan(importance, 0)
        check_decay(optimizer, [model.get_layer(name).kernel for name in planner.kept])
        updater = ChannelUpdater(
            model,
            planner.units,
            planner.kept,
            self.strategy.train_bias,
            self.strategy.trains_all,
            self.strategy.refresh,
            self.strategy.draws_neurons,
        )
        updater.attach(planner.pool_elements(), optimizer)
        updater.set_importance(importance)
        self._updater, self.plan, self._records, self._epoch = updater, None, [], -1
        self._traced, self._done, self._snapshot = False, -1, None

    @property
    def attached_model(self) -> PreparedModel | None:
        """The model whose layers were ranked, None before `set_model`."""
        return None if self._updater is None else self._updater.model

    @property
    def strategy(self) -> Strategy:
        """How channels are chosen; a sharpness of "auto" is a number after `set_model`."""
        return self._planner.strategy

    @property
    def seed(self) -> int:
        """Seed of the sampler."""
        return self._planner.seed

    @property
    def asked_layers(self) -> tuple[str, ...] | None:
        """The layers to draw from as they were named; None where something else chooses them."""
        return self._planner.asked_layers

    @property
    def specs(self) -> tuple[LayerSpec, ...]:
        """The model's weighted layers."""
        return self._planner.specs

    @property
    def ranking(self) -> LayerRanking:
        """The ranking of its layers."""
        return self._planner.ranking

    @property
    def frontier(self) -> Frontier | None:
        """What fits the limits of `layers`, and what would not; None without limits."""
        return self._planner.frontier

    @property
    def cost(self) -> CostModel:
        """What a channel costs."""
        return self._planner.cost

    @property
    def budget(self) -> MemoryBudget:
        """The bound on every update."""
        return self._planner.budget

    # --- epochs

    def begin_epoch(self, epoch: int | None = None):
        """Draws channels if it is time to, and remembers the weights in case the epoch fails.

        Args:
            epoch: Number of the epoch, from 0; None counts on.

        Raises:
            NotPreparedError: `set_model` was not called.
            PlanError: The model was compiled, frozen or given to another callback since.
        """
        updater = self._require_updater()
        if not updater.in_force(updater.optimizer):
            raise PlanError(
                "model",
                "as set_model left it",
                "compiled, frozen, made trainable, renamed, or drawn from by another callback",
                "Do so between two fits, or call set_model again; one MeDyate callback a fit.",
            )
        updater.apply_short_batch()  # of a checkpoint that was written before the epoch ended
        self._epoch = self._epoch + 1 if epoch is None else epoch
        draw = self.strategy.draw_number(self._epoch)
        state = updater.model.training_state
        if state.pool is None:
            self.plan = self.plan or self._planner.plan({}, draw)
        elif state.draw != draw:
            self.plan = self._redraw(updater, draw)
        elif self.plan is None or self.plan.draw != draw:  # restored from a checkpoint
            self.plan = updater.loaded_plan(self._planner.empty_plan(draw), self.cost)
        self._snapshot = updater.snapshot()
        host_memory.return_pages()
        self._started = time.perf_counter()

    def _redraw(self, updater: ChannelUpdater, draw: int) -> UpdatePlan:
        seen = updater.importance()
        importance = self._planner.current_importance(seen)
        if self.strategy.importance == OBSERVED:
            updater.set_importance(importance)
        plan = self._planner.plan(importance, draw)
        updater.load(plan)
        return plan

    def end_epoch(self, logs: Mapping[str, float] | None = None):
        """Commits what the epoch learned.

        Gradients that are accumulated, but fewer than a step takes, are applied by their mean.

        Args:
            logs: What to note of the epoch in the report, such as {"loss": 0.3}.

        Raises:
            NonFiniteLossError: A trained weight is NaN or infinite; the epoch was undone.
        """
        updater = self._require_updater()
        updater.apply_short_batch()
        broken = updater.first_non_finite()
        if broken is not None:
            self._undo(f"NaN or infinity in {broken} after epoch {self._epoch + 1}")
        updater.model.commit()
        self._done = self._epoch
        assert self.plan is not None
        self._snapshot = None
        seconds = time.perf_counter() - self._started
        self._records.append(EpochRecord(self._epoch, self.plan, dict(logs or {}), seconds))

    def discard(self):
        """Drops what was learned since `begin_epoch`; after `end_epoch` nothing is left to drop.

        Raises:
            NotPreparedError: The callback has not seen a model yet.
        """
        updater = self._require_updater()
        if self._snapshot is not None:
            updater.restore(self._snapshot)
            updater.model.commit()

    def _undo(self, found: str):
        self.discard()
        self._require_updater().model.stop_training = True
        raise NonFiniteLossError(
            "loss",
            "a finite loss and finite weights",
            found,
            f"The weights from before epoch {self._epoch + 1} were put back. Lower the learning "
            "rate, clip the gradient (clipnorm=1.0), or look for outliers in the data.",
        )

    def _require_updater(self) -> ChannelUpdater:
        if self._updater is None:
            raise NotPreparedError(
                "medyate",
                "a model",
                "none yet",
                "Pass it to model.fit(callbacks=[...]), or call medyate.set_model(model) first.",
            )
        return self._updater

    # --- what Keras calls

    def on_train_begin(self, logs=None):
        """Keras's hook: epochs are counted from here."""
        self._shift = None
        updater = self._require_updater()
        if updater.optimizer is not updater.model.optimizer:
            raise OptionError(
                "optimizer",
                "the one that the model is compiled with, or none",
                f"another {type(updater.optimizer).__name__}",
                "Leave `optimizer` out: it is for training loops of one's own.",
            )

    def on_epoch_begin(self, epoch: int, logs=None):
        """Keras's hook for `begin_epoch`; a second `fit` counts on, if Keras begins at 0 again."""
        if self._shift is None:
            self._shift = max(0, self._done + 1 - epoch)
        self.begin_epoch(epoch + self._shift)

    def on_train_batch_end(self, batch: int, logs=None):
        """Stops on a loss that is no number; the weights of the last good epoch come back."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            self._undo(f"loss {loss} in batch {batch + 1} of epoch {self._epoch + 1}")
        if not self._traced:
            self._traced = True
            host_memory.collect()  # what tracing and optimizing the step left behind

    def on_epoch_end(self, epoch: int, logs=None):
        """Keras's hook for `end_epoch`."""
        self.end_epoch(logs)

    def on_train_end(self, logs=None):
        """Commits once more: some optimizers change the weights at the very end."""
        self._require_updater().model.commit()
        if self._log_dir is not None:
            self.report().write_tensorboard(self._log_dir)

    def report(self) -> TrainingReport:
        """What was kept, drawn and learned so far; prints as text, saves as PNG or HTML.

        Raises:
            NotPreparedError: The callback has not seen a model yet.
        """
        self._require_updater()
        return TrainingReport(
            strategy=self.strategy.name,
            specs=self._planner.units,
            ranking=self.ranking,
            cost=self.cost,
            budget=self.budget,
            epochs=tuple(self._records),
            candidates=self._planner.kept,
            drawn_by=self.strategy.drawn_by,
            frozen=() if self.attached_model is None else self.attached_model.frozen_layers,
            frontier=self.frontier,
        )


def _check_own_loop(loss, optimizer):
    if loss is not None and not callable(loss):
        remedy = "Pass for example keras.losses.MeanSquaredError()."
        raise OptionError("loss", "a function of (targets, outputs)", repr(loss), remedy)
    if optimizer is not None and not isinstance(optimizer, keras.optimizers.Optimizer):
        remedy = "Pass for example keras.optimizers.SGD(0.01)."
        raise OptionError("optimizer", "a Keras optimizer", repr(optimizer), remedy)
