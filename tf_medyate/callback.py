"""The Keras callback: calibrate and rank once, then draw channels before each epoch.

Example:
    >>> medyate = MeDyate(budget="8KiB")
    >>> model.fit(x, y, callbacks=[medyate])                  # model = prepare(base), compiled
    >>> print(medyate.report())

In a training loop of one's own:
    >>> medyate = MeDyate(budget="8KiB", calibration=(x, y), loss=loss, optimizer=optimizer)
    >>> medyate.set_model(model)
    >>> for epoch in range(20):
    ...     medyate.begin_epoch()
    ...     ...                        # GradientTape over model.trainable_variables
    ...     medyate.end_epoch()
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tf_medyate.cost import CostModel
from tf_medyate.errors import NonFiniteLossError, NotPreparedError, OptionError
from tf_medyate.folding import layer_specs, require_prepared
from tf_medyate.model import PreparedModel, check_data, take_batches
from tf_medyate.ranking import ChannelGradients, GradientProbe, VelocityProbe, rank_layers
from tf_medyate.report import EpochRecord, TrainingReport
from tf_medyate.sampling import sample_channels
from tf_medyate.spec import LayerRanking, LayerSpec, MemoryBudget, UpdatePlan
from tf_medyate.strategies import MAX_STEP_SCALE, WHOLE_NET, strategy
from tf_medyate.update import ChannelUpdater, full_plan, optimizer_costs, pool_elements


class MeDyate(keras.callbacks.Callback):
    """Fine-tunes a prepared model inside a memory budget (MeDyate, arXiv 2510.20979).

    Args:
        budget: What the update may occupy, for example "64KiB", "27946 elements" or a number of
            bytes. None only for the strategies "head" and "full".
        strategy: A preset by name, see `tf_medyate.PRESETS`; the options below change its parts.
        ranking: "lara", "rgn", "fisher", "last_k", or "none" to draw from the whole net.
        sampling: "medyate", "uniform", "static", "greedy", "oracle", "velocity", "head" or "full".
        resample_every: "epoch", a number of epochs, or "never".
        top_k: Share of the ranking's score to cover (float) or number of layers (int).
        seed: Seed of the sampler; same seed, same channels.
        calibration: (x, y) arrays, a tf.data.Dataset or another re-iterable of (x, y) batches to
            measure gradients on; None takes some of the data that `fit` is given.
        calibration_batches: Largest number of batches to measure.
        layers: Names of the layers to draw from, instead of those that the ranking keeps.
        weighting: "norm", "rgn" or "uniform".
        sharpness: Power of the weights: 0.5, 1, 2, 3, 4 or 8.
        core: Share of the memory for the strongest channels, without a draw.
        step: "plain", or "matched" for longer steps the fewer channels are drawn.
        train_bias: Train the biases of kept layers (counted in the budget).
        device_batch: Samples whose activations the device stores at once.
        loss: Loss of (targets, outputs) to calibrate with, for a model that is not compiled.
        optimizer: Optimizer of a loop of one's own; None takes the compiled one.
        log_dir: Folder for TensorBoard summaries, written when training ends.
        verbose: 0 to say nothing.

    Attributes:
        plan: The UpdatePlan in force, None before the first epoch.
        specs, ranking, cost, budget: What the plan was made from; set by `set_model`.

    Raises:
        BudgetError, OptionError: At once, for a value that cannot be read.
    """

    def __init__(
        self,
        budget: int | str | MemoryBudget | None = None,
        strategy: str = "medyate",
        *,
        ranking: str | None = None,
        sampling: str | None = None,
        resample_every: str | int | None = None,
        top_k: float | int | None = None,
        seed: int = 0,
        calibration: Any = None,
        calibration_batches: int = 16,
        layers: Sequence[str] | None = None,
        weighting: str | None = None,
        sharpness: float | None = None,
        core: float | None = None,
        step: str | None = None,
        train_bias: bool | None = None,
        device_batch: int = 1,
        loss: Callable | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        log_dir: str | None = None,
        verbose: int = 1,
    ):
        super().__init__()
        self.strategy = _strategy(
            strategy,
            ranking=ranking,
            sampling=sampling,
            resample_every=resample_every,
            top_k=top_k,
            weighting=weighting,
            sharpness=sharpness,
            core=core,
            step=step,
            train_bias=train_bias,
        )
        if budget is None and self.strategy.sampling not in ("head", "full"):
            raise OptionError(
                "budget", 'a memory budget such as "8KiB"', "None", "Say how much memory there is."
            )
        self._asked = None if budget is None else MemoryBudget.parse(budget)
        self.seed = seed
        self._calibration = calibration
        self._calibration_batches = calibration_batches
        self._layers = None if layers is None else tuple(layers)
        self._device_batch = device_batch
        self._loss = loss
        self._given_optimizer = optimizer
        self._log_dir = log_dir
        self._verbose = verbose
        self._updater: ChannelUpdater | None = None
        self._batches: list[tuple[Any, Any]] = []
        self._probe: Callable | None = None
        self._epoch = -1
        self._records: list[EpochRecord] = []
        self.plan: UpdatePlan | None = None

    # --- attaching

    def set_model(self, model: keras.Model):
        """Ranks the layers and readies the model; Keras calls this at the start of `fit`.

        Calling it again with the same model goes on where it stopped.

        Raises:
            NotPreparedError: The model did not come from `prepare`, or has no loss.
            BudgetTooSmallError: Not a single channel fits beside what is always trained.
            UnknownLayerError: `layers` names a layer that does not exist.
            DataError: The calibration data cannot be used.
        """
        super().set_model(model)
        if self._updater is not None and self._updater.model is model:
            return
        self._attach(require_prepared(model))

    def _attach(self, model: PreparedModel):
        self.specs: tuple[LayerSpec, ...] = layer_specs(model)
        optimizer = self._given_optimizer or getattr(model, "optimizer", None)
        slots, accumulate = optimizer_costs(optimizer)
        unit = self._asked.unit if self._asked else "bytes"
        self.cost = CostModel(
            unit, slots, accumulate, self._device_batch, train_bias=self.strategy.train_bias
        )
        gradients = self._calibrate(model)
        self.ranking = self._rank(gradients)
        kept = self._kept()
        trains_all = self.strategy.sampling == "full"
        fixed = self.cost.fixed(self.specs, kept)
        full = sum(self.cost.layer(spec) for spec in self.specs if spec.trainable)
        self.budget = self._asked or MemoryBudget(full if trains_all else fixed, unit)
        importance = self._first_importance(gradients, kept)
        trial = self._sample(importance, kept, 0)  # refuses a hopeless budget before any change
        updater = ChannelUpdater(model, self.specs, kept, self.strategy.train_bias, trains_all)
        room = [spec for spec in self.specs if spec.name in kept]
        size = pool_elements(room, self.cost, self.budget.amount - trial.fixed) if room else 0
        updater.attach(size, optimizer)
        updater.set_importance(importance)
        self._updater, self.plan, self._records, self._epoch = updater, None, [], -1

    def _kept(self) -> tuple[str, ...]:
        if self.strategy.sampling in ("head", "full"):
            return ()
        if self._layers is None:
            return tuple(s.name for s in self.specs if s.name in self.ranking.kept)
        return self._layers

    def _rank(self, gradients: ChannelGradients | None) -> LayerRanking:
        method = self.strategy.ranking
        if method == WHOLE_NET or gradients is None:
            whole = rank_layers(self.specs, None, "last_k", 1.0)
            if method == "last_k":
                return rank_layers(self.specs, None, method, self.strategy.top_k)
            return LayerRanking(WHOLE_NET, whole.order, whole.scores, whole.kept)
        return rank_layers(self.specs, gradients, method, self.strategy.top_k, self.cost)

    def _calibrate(self, model: PreparedModel) -> ChannelGradients | None:
        s = self.strategy
        if not (s.needs_gradients or s.sampling == "velocity"):
            return None
        self._batches = self._calibration_data(model, single=s.ranking == "fisher")
        if s.sampling == "velocity":
            self._probe = VelocityProbe(model, _joined_inputs(self._batches))
        if not s.needs_gradients:
            return None
        probe = GradientProbe(model, self._loss)
        gradients = probe(self._batches, self._say_progress)
        if s.sampling == "oracle":
            self._probe = lambda: probe(self._batches).norm
        elif s.sampling != "velocity":
            self._batches = []
        return gradients

    def _calibration_data(self, model: PreparedModel, single: bool) -> list[tuple[Any, Any]]:
        if self._calibration is not None:
            batches = take_batches(self._calibration, self._calibration_batches)
            found = list(batches if batches is not None else self._calibration)
        else:
            offered = model.offered_batches(self._calibration_batches)
            if offered is None:
                raise OptionError(
                    "calibration",
                    "data to measure gradients on",
                    "None, and no data from fit that could be read twice",
                    "Pass calibration=(x, y), for example a few hundred samples.",
                )
            found = list(offered)
        for x, y in found:
            check_data(model, x, y, "calibration")
        if single:  # the Fisher potential is a mean over samples of a square
            found = [
                (_slice(x, i), _slice(y, i))
                for x, y in found
                for i in range(len(keras.tree.flatten(x)[0]))
            ]
        return found

    def _say_progress(self, done: int):
        if self._verbose and done == 1:
            layers = sum(1 for spec in self.specs if not spec.is_head)
            print(f"MeDyate: measuring {layers} layers on {len(self._batches)} batches ...")

    def _first_importance(self, gradients, kept) -> Mapping[str, np.ndarray]:
        if gradients is not None:
            return gradients.norm
        return {s.name: np.ones(s.channels, np.float32) for s in self.specs if s.name in kept}

    def _sample(self, importance, kept, draw: int) -> UpdatePlan:
        s = self.strategy
        plan = sample_channels(
            self.specs,
            importance,
            self.budget,
            kept=kept,
            cost=self.cost,
            seed=self.seed,
            draw=draw,
            weighting="norm" if s.sampling == "velocity" else _weighting(s),
            sharpness=s.sharpness,
            core=s.core,
            order="greedy" if s.sampling in ("greedy", "oracle", "velocity") else "random",
            allow_empty=s.sampling in ("head", "full"),
        )
        return full_plan(self.specs, self.cost, plan) if s.sampling == "full" else plan

    # --- epochs

    def begin_epoch(self, epoch: int | None = None):
        """Draws channels if it is time to, and remembers the weights in case the epoch fails.

        Args:
            epoch: Number of the epoch, from 0; None counts on.

        Raises:
            NotPreparedError: `set_model` was not called.
        """
        updater = self._require_updater()
        self._epoch = self._epoch + 1 if epoch is None else epoch
        draw = self.strategy.draw_number(self._epoch)
        state = updater.model.training_state
        if state.pool is None:
            self.plan = self.plan or self._sample({}, (), draw)
        elif int(state.draw.numpy()) != draw:
            self.plan = self._redraw(updater, draw)
        elif self.plan is None or self.plan.draw != draw:  # restored from a checkpoint
            kept = self._kept()
            fixed = self.cost.fixed(self.specs, kept)
            empty = UpdatePlan(draw, self.seed, self.budget, fixed, 0, ())
            self.plan = updater.loaded_plan(empty, self.cost)
        self._snapshot = updater.snapshot()
        self._started = time.perf_counter()

    def _redraw(self, updater: ChannelUpdater, draw: int) -> UpdatePlan:
        updater.model.commit()
        importance = updater.importance() if self._probe is None else self._probe()
        plan = self._sample(importance, self._kept(), draw)
        updater.load(plan, self._step_scale(importance, plan))
        return plan

    def _step_scale(self, importance, plan: UpdatePlan) -> float:
        """Makes an update of the drawn channels as long as one of all kept channels would be."""
        if self.strategy.step == "plain" or self.strategy.sampling in ("velocity", "uniform"):
            return 1.0
        every = sum(float(np.square(values).sum()) for values in importance.values())
        drawn = sum(
            float(np.square(importance[d.layer][list(d.channels)]).sum()) for d in plan.layers
        )
        return min(MAX_STEP_SCALE, math.sqrt(every / drawn)) if drawn > 0 else 1.0

    def end_epoch(self, logs: Mapping[str, float] | None = None):
        """Commits what the epoch learned.

        Args:
            logs: What to note of the epoch in the report, such as {"loss": 0.3}.

        Raises:
            NonFiniteLossError: A trained weight is NaN or infinite; the epoch was undone.
        """
        updater = self._require_updater()
        broken = updater.first_non_finite()
        if broken is not None:
            self._undo(f"NaN or infinity in {broken} after epoch {self._epoch + 1}")
        updater.model.commit()
        assert self.plan is not None
        seconds = time.perf_counter() - self._started
        self._records.append(EpochRecord(self._epoch, self.plan, dict(logs or {}), seconds))

    def _undo(self, found: str):
        updater = self._require_updater()
        updater.restore(self._snapshot)
        updater.model.commit()
        updater.model.stop_training = True
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

    def on_epoch_begin(self, epoch: int, logs=None):
        """Keras's hook for `begin_epoch`."""
        self.begin_epoch(epoch)

    def on_train_batch_end(self, batch: int, logs=None):
        """Stops on a loss that is no number; the weights of the last good epoch come back."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            self._undo(f"loss {loss} in batch {batch + 1} of epoch {self._epoch + 1}")

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
            specs=self.specs,
            ranking=self.ranking,
            cost=self.cost,
            budget=self.budget,
            epochs=tuple(self._records),
            candidates=self._kept(),
        )


_strategy = strategy  # the argument of the same name hides it in MeDyate


def _weighting(s) -> str:
    return "uniform" if s.sampling == "uniform" else s.weighting


def _slice(values, index: int):
    return keras.tree.map_structure(lambda a: np.asarray(a)[index : index + 1], values)


def _joined_inputs(batches: list[tuple[Any, Any]]):
    inputs = [x for x, _ in batches]
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *inputs)
