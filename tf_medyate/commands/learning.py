"""How a command lets a trainer learn, and measures it: the TFLM interpreter or a board alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tf_medyate.commands.dataset import BINARY, CLASSES, Dataset
from tf_medyate.commands.interrupts import held_back
from tf_medyate.commands.screen import column, epoch_progress, metric, score_text

if TYPE_CHECKING:
    from tf_medyate.trainer import Trainer

# How much the newest loss counts in the one that is shown: single samples jump.
_NEWEST = 0.05


def learn(
    trainer: Trainer,
    x: Any,
    y: Any,
    epochs: int,
    seed: int,
    text: str,
    score: Callable[[], tuple[str, str]] | None = None,
) -> int:
    """Trains epoch after epoch in shuffled order, with a progress bar.

    Args:
        trainer: Which.
        x: Samples [n, ...].
        y: Labels or targets [n, ...].
        epochs: Passes over them.
        seed: Of the order.
        text: In front of the bar.
        score: Measures the trainer after each epoch, for the bar: (name, value).

    Returns:
        How many epochs the trainer dropped.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; what was not yet committed is dropped.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    name, value = score() if score else ("", "")
    columns = (column(f"{name} {{task.fields[score]}}"),) if score else ()
    dropped, shown = 0, float("nan")
    kept = "what earlier epochs taught stays"
    with held_back(kept) as stop, epoch_progress(epochs, *columns) as bar:
        task = bar.add_task(text, total=len(x) * epochs, epoch=1, loss=shown, score=value)
        for epoch in range(epochs):
            bar.update(task, epoch=epoch + 1)
            for index in rng.permutation(len(x)):
                loss = trainer.step(x[index], y[index])
                shown = loss if shown != shown else shown + _NEWEST * (loss - shown)
                bar.update(task, advance=1, loss=shown)
                if stop.asked:
                    trainer.discard()
                    number = f"in epoch {epoch + 1} of {epochs}"
                    raise KeyboardInterrupt(f"{number}, which was dropped; {kept}")
            dropped += not trainer.end_epoch()
            if score:
                bar.update(task, score=score()[1])
    return dropped


def measure(trainer: Trainer, data: Dataset, half: float = 0.5) -> float:
    """Accuracy in 0..1 on the validation data for classes, else the mean squared error.

    Args:
        trainer: Which.
        data: Its data; of zeros and ones the accuracy is the share of outputs that are right.
        half: What an output has to exceed for a yes.
    """
    import numpy as np

    outputs = np.array([trainer.predict(sample) for sample in data.x_val])
    if data.kind == CLASSES:
        return float(np.mean(outputs.argmax(-1) == data.y_val))
    if data.kind == BINARY:
        return float(np.mean((outputs > half) == (data.y_val > 0.5)))
    return float(np.mean((outputs - data.y_val) ** 2))


def score_of(trainer: Trainer, data: Dataset) -> tuple[str, str]:
    """Name and value of `measure`, in words."""
    return metric(data.kind), score_text(measure(trainer, data), data.kind)
