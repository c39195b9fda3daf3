"""`medyate device ... train`: labelled samples are streamed to a board, epoch after epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_medyate.commands import common
from tf_medyate.errors import LabelError, OptionError

if TYPE_CHECKING:
    import numpy as np

    from tf_medyate.device import DeviceClient, DeviceInfo

# How much the newest loss counts in the one that is shown: single samples jump.
_NEWEST = 0.05


def train(board: DeviceClient, args: Any) -> None:
    """Streams the samples; each epoch ends with a commit.

    Args:
        board: Which.
        args: Of the command: data, epochs, seed, names.

    Raises:
        OptionError, DataError: Of the arguments and the data.
        DeviceError, LinkError: As `DeviceClient`.
    """
    x, y, x_val, y_val = common.read_npz(args.data)
    y, y_val = _labels(y, board.info), _labels(y_val, board.info)
    if args.epochs < 1:
        raise OptionError("--epochs", "1 or more", f"{args.epochs}", "Write for example 5.")
    common.out.print(f"{board.info}")
    _enrol_new(board, y, y_val, args.names)
    score = _Score(board, x_val, y_val)
    before = score.measure()
    dropped = _learn(board, x, y, args, score, before)
    name = score.name
    common.out.print(
        f"{name} on {len(x_val)} validation samples: {before:.4g} before, {score.last:.4g} after."
    )
    if dropped:
        common.out.print(f"The board's guard dropped {dropped} of {args.epochs} epochs.")
    counters = board.link.counters
    common.out.print(f"{counters.requests} requests, {counters.resent} of them sent again.")


def _learn(
    board: DeviceClient, x: np.ndarray, y: np.ndarray, args: Any, score: _Score, before: float
) -> int:
    """Epoch after epoch in shuffled order; returns how many the guard dropped."""
    import numpy as np

    rng = np.random.default_rng(args.seed)
    dropped, shown = 0, float("nan")
    with _progress(args.epochs, score.name) as bar:
        total = len(x) * args.epochs
        task = bar.add_task("on the board", total=total, epoch=1, loss=shown, score=before)
        for epoch in range(args.epochs):
            bar.update(task, epoch=epoch + 1)
            for index in rng.permutation(len(x)):
                loss = board.step(x[index], y[index])
                shown = loss if shown != shown else shown + _NEWEST * (loss - shown)
                bar.update(task, advance=1, loss=shown)
            dropped += not board.end_epoch()
            bar.update(task, score=score.measure())
    return dropped


def _progress(epochs: int, score: str):
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TextColumn(score + " {task.fields[score]:.4g}"),
        TimeRemainingColumn(),
        console=common.out,
    )


class _Score:
    """Accuracy, or mean squared error, of the board on the validation data."""

    def __init__(self, board: DeviceClient, x: np.ndarray, y: np.ndarray):
        self._board, self._x, self._y = board, x, y
        self.name = "accuracy" if board.info.classes else "mean squared error"
        self.last = float("nan")

    def measure(self) -> float:
        import numpy as np

        scores = np.array([self._board.predict(sample) for sample in self._x])
        if self._board.info.classes:
            self.last = float(np.mean(scores.argmax(-1) == self._y))
        else:
            self.last = float(np.mean((scores - self._y.reshape(scores.shape)) ** 2))
        return self.last


def _labels(y: np.ndarray, info: DeviceInfo) -> np.ndarray:
    """Class numbers [n] for a classifier, one-hot rows included; else targets as they are."""
    if not info.classes:
        return y
    if common.loss_name("auto", y) == "categorical_crossentropy":
        y = y.argmax(-1)
    whole = y.dtype.kind in "iu" and y.size == len(y)
    if not whole or y.min() < 0 or y.max() >= info.classes:
        received = f"{y.dtype} of shape {y.shape}, from {y.min()} to {y.max()}"
        remedy = (
            "Number the classes as for the model's training; for new ones, export with spare "
            "classes."
        )
        raise LabelError("y", f"classes 0 to {info.classes - 1}", received, remedy)
    return y.reshape(-1)


def _enrol_new(board: DeviceClient, y: np.ndarray, y_val: np.ndarray, names: str) -> None:
    """Enrols the spare classes that occur in the data, and those before them.

    Args:
        board: Which.
        y: Class numbers, or targets.
        y_val: The same for validation.
        names: Of the new classes, in order, separated by commas; "" for "class N".

    Raises:
        OptionError: There are more names than new classes, or fewer.
    """
    if not board.info.classes:
        return
    first, end = board.status().named_classes, int(max(y.max(), y_val.max())) + 1
    new = list(range(first, end)) if first >= board.info.factory_classes else []
    given = [name.strip() for name in names.split(",")] if names else []
    if given and len(given) != len(new):
        expected = f"{len(new)} names, of the classes {new}" if new else "none: no class is new"
        remedy = "Name the new classes in the order of their labels, separated by commas."
        raise OptionError("--names", expected, f"{given}", remedy)
    for label, name in zip(new, given or [f"class {label}" for label in new], strict=True):
        common.out.print(f"Class {label} is new to the board: {name!r}.")
        board.enrol(name)
