"""Fine-tuning a model under a budget, with a progress bar."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from tf_medyate.commands import losses
from tf_medyate.commands.dataset import Dataset
from tf_medyate.commands.interrupts import Stop
from tf_medyate.commands.screen import epoch_progress
from tf_medyate.errors import NonFiniteLossError
from tf_medyate.falling_rate import cosine

if TYPE_CHECKING:
    import keras
    from rich.progress import Progress


def train(
    base: keras.Model,
    data: Dataset,
    loss: Any,
    args,
    name: str,
    text: str,
    calibration: Any = None,
    stop: Stop | None = None,
    layers: Any = None,
):
    """Fine-tunes a copy of a model.

    Args:
        base: The model.
        data: What to train on, and to measure every epoch by.
        loss: A Keras loss.
        args: Of the command: budget, epochs, batch_size, learning_rate, seed.
        name: The strategy.
        text: Stands before the progress bar.
        calibration: As for `MeDyate`.
        stop: Ends training once it is asked for.
        layers: As for `MeDyate`.

    Returns:
        The prepared model, the callback, and the score on the validation data: those of the last
        whole epoch if training was stopped, of the last good one if the loss became infinite,
        with a warning.

    Raises:
        NonFiniteLossError: The loss became infinite in the first epoch.
        KeyboardInterrupt: Stopped in the first epoch, or at once.
    """
    import keras

    import tf_medyate as md

    keras.utils.set_random_seed(args.seed)
    model = md.prepare(base)
    metrics = losses.metrics(base, data.kind)
    model.compile(keras.optimizers.SGD(args.learning_rate), loss, metrics=metrics)
    budget = args.budget if md.strategy(name).needs_budget else None
    options = {
        "seed": args.seed,
        "calibration": calibration,
        "ranking": getattr(args, "ranking", None),
        "layers": layers,
    }
    medyate = md.MeDyate(budget, name, verbose=0, **options)
    rates = keras.callbacks.LearningRateScheduler(
        lambda epoch: cosine(args.learning_rate, epoch / args.epochs)
    )
    fit: Any = model.fit  # Keras's own hints are narrower than what it takes
    try:
        with epoch_progress(args.epochs) as bar:
            fit(
                data.x,
                data.y,
                batch_size=args.batch_size,
                epochs=args.epochs,
                validation_data=(data.x_val, data.y_val),
                callbacks=[medyate, rates, _on(bar, text, args.epochs, stop or Stop())],
                verbose=0,
            )
    except NonFiniteLossError as error:
        if not medyate.report().epochs:
            raise
        warnings.warn(f"{name} stopped early: {error}", stacklevel=2)
    except KeyboardInterrupt:
        if stop is None or stop.at_once:
            raise
        if not medyate.report().epochs:
            raise KeyboardInterrupt("in the first epoch; nothing was written") from None
        medyate.discard()
    return model, medyate, losses.score(model, data.x_val, data.y_val, data.kind)


def _on(bar: Progress, text: str, epochs: int, stop: Stop):
    """A callback that moves a bar on over all batches of a fit, with the loss."""
    import keras

    class OnBar(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            steps = (self.params or {}).get("steps") or 1
            self.task = bar.add_task(text, total=steps * epochs, epoch=1, loss=float("nan"))

        def on_epoch_begin(self, epoch, logs=None):
            bar.update(self.task, epoch=epoch + 1)

        def on_train_batch_end(self, batch, logs=None):
            bar.update(self.task, advance=1, loss=(logs or {}).get("loss", float("nan")))
            if stop.asked:
                raise KeyboardInterrupt

    return OnBar()


def memory_cells(medyate) -> tuple[str, str]:
    """Bytes that the update used at most, and its share of full fine-tuning's."""
    used = max(record.plan.used for record in medyate.report().epochs)
    full = medyate.cost.full(medyate.specs)
    return medyate.budget.format(used), f"{used / full:.1%}"
