"""`medyate device ... train`: labelled samples are streamed to a board, epoch after epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_medyate.commands.dataset import CLASSES, TARGETS, Dataset, read_data
from tf_medyate.commands.screen import column, epoch_progress, metric, out, score_text
from tf_medyate.errors import OptionError
from tf_medyate.names import check_name

if TYPE_CHECKING:
    from tf_medyate.device import DeviceClient

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
    data = _read(board, args.data)
    out.say(board.info)
    _enrol_new(board, data, args.names)
    measured = _Score(board, data)
    before = measured.measure()
    dropped = _learn(board, data, args, measured, before)
    texts = (score_text(value, data.kind) for value in (before, measured.last))
    out.say(
        "{} on {} validation samples: {} before, {} after.".format(
            measured.name, len(data.x_val), *texts
        )
    )
    if dropped:
        out.say(f"The board's guard dropped {dropped} of {args.epochs} epochs.")
    counters = board.link.counters
    out.say(f"{counters.requests} requests, {counters.resent} of them sent again.")


def _read(board: DeviceClient, path: str) -> Dataset:
    """The data, labels as the board numbers them. Names that it does not know are new classes."""
    info = board.info
    known = board.names() if info.classes else {}  # DeltaError: numbers would go by wrong names
    names = [known[label] for label in range(len(known)) if label in known]
    return read_data(
        path,
        info.sample_shape,
        (info.classes or info.outputs,),
        CLASSES if info.classes else TARGETS,
        names if len(names) == len(known) else (),
        info.classes - len(names),
    )


def _learn(board: DeviceClient, data: Dataset, args: Any, score: _Score, before: float) -> int:
    """Epoch after epoch in shuffled order; returns how many the guard dropped."""
    import numpy as np

    rng = np.random.default_rng(args.seed)
    dropped, shown = 0, float("nan")
    column_of_score = column(f"{score.name} {{task.fields[score]}}")
    with epoch_progress(args.epochs, column_of_score) as bar:
        total = len(data.x) * args.epochs
        text = score_text(before, data.kind)
        task = bar.add_task("on the board", total=total, epoch=1, loss=shown, score=text)
        for epoch in range(args.epochs):
            bar.update(task, epoch=epoch + 1)
            for index in rng.permutation(len(data.x)):
                loss = board.step(data.x[index], data.y[index])
                shown = loss if shown != shown else shown + _NEWEST * (loss - shown)
                bar.update(task, advance=1, loss=shown)
            dropped += not board.end_epoch()
            bar.update(task, score=score_text(score.measure(), data.kind))
    return dropped


class _Score:
    """Accuracy, or mean squared error, of the board on the validation data."""

    def __init__(self, board: DeviceClient, data: Dataset):
        self._board, self._data = board, data
        self.name = metric(data.kind)
        self.last = float("nan")

    def measure(self) -> float:
        import numpy as np

        scores = np.array([self._board.predict(sample) for sample in self._data.x_val])
        if self._data.kind == CLASSES:
            self.last = float(np.mean(scores.argmax(-1) == self._data.y_val))
        else:
            self.last = float(np.mean((scores - self._data.y_val) ** 2))
        return self.last


def _enrol_new(board: DeviceClient, data: Dataset, names: str) -> None:
    """Enrols the spare classes that occur in the data, and those before them.

    Args:
        board: Which.
        data: What it will learn from.
        names: Of the new classes, in order, separated by commas; "": as the data name them, else
            "class N".

    Raises:
        OptionError: There are more names than new classes, or fewer; or one is no name.
    """
    if not board.info.classes:
        return
    first, end = board.status().named_classes, int(max(data.y.max(), data.y_val.max())) + 1
    new = list(range(first, end)) if first >= board.info.factory_classes else []
    given = [name.strip() for name in names.split(",")] if names else []
    if given and len(given) != len(new):
        expected = f"{len(new)} names, of the classes {new}" if new else "none: no class is new"
        remedy = "Name the new classes in the order of their labels, separated by commas."
        raise OptionError("--names", expected, f"{given}", remedy)
    for name in given:
        check_name("--names", name)
    named = [data.names[i] if i < len(data.names) else f"class {i}" for i in new]
    for label, name in zip(new, given or named, strict=True):
        out.say(f"Class {label} is new to the board: {name!r}.")
        board.enrol(name)
