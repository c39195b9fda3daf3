"""`medyate device ... train`: labelled samples are streamed to a board, epoch after epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_medyate.commands.dataset import CLASSES, TARGETS, Dataset, read_data
from tf_medyate.commands.learning import learn, score_of
from tf_medyate.commands.screen import out
from tf_medyate.errors import OptionError
from tf_medyate.names import check_name

if TYPE_CHECKING:
    from tf_medyate.device import DeviceClient


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
    scores: list[tuple[str, str]] = []

    def score() -> tuple[str, str]:
        scores.append(score_of(board, data))
        return scores[-1]

    dropped = learn(board, data.x, data.y, args.epochs, args.seed, "on the board", score)
    (name, before), (_, after) = scores[0], scores[-1]
    out.say(f"{name} on {len(data.x_val)} validation samples: {before} before, {after} after.")
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
