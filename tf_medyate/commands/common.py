"""What several commands share: flags, and the files that they name."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_medyate import files
from tf_medyate.commands.arrays import existing_file
from tf_medyate.commands.class_names import names_beside
from tf_medyate.commands.dataset import Dataset, Sides, read_data
from tf_medyate.commands.losses import keras_loss, kind_of
from tf_medyate.commands.screen import out
from tf_medyate.errors import OptionError

if TYPE_CHECKING:
    import keras

_KERAS_BYTES = 1 << 20
"""Of a model file besides the weights, at most."""


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults that mean something, and keeps the line breaks of lists."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        given = action.default not in (None, "") and action.default is not False
        return super()._get_help_string(action) if given else action.help


def command(commands, name: str, run, text: str, examples: Sequence[str] = (), more: str = ""):
    """Adds a command that `run(args)` does.

    Args:
        commands: Where to.
        name: The command's.
        run: What it does.
        text: Its line in the list of commands.
        examples: Lines to type, without "medyate", for its help.
        more: Stands below them.
    """
    lines = "".join(f"  medyate {example}\n" for example in examples)
    epilog = (f"examples:\n{lines}\n" if lines else "") + more
    description = text[0].upper() + text[1:] + "."
    parser = commands.add_parser(
        name, help=text, description=description, epilog=epilog, formatter_class=Help
    )
    parser.set_defaults(run=run, parser=parser)
    return parser


def preset_list() -> str:
    """The strategies, for a command's help."""
    from tf_medyate.select.strategies import PRESETS

    return "strategies:\n" + "\n".join(f"  {s.name:<15} {s.summary}" for s in PRESETS.values())


# --- flags


def count(text: str) -> int:
    """A whole number of 1 or more, as a flag's type."""
    if not text.isascii() or not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more; received {text!r}")
    return int(text)


def within(least: float, most: float = math.inf, kind: type[int] | type[float] = int):
    """A number from `least` to `most`, both among them, as a flag's type."""

    def read(text: str) -> float:
        number = _number(text, kind)
        if not least <= number <= most or number == math.inf:
            limits = f"{least} or more" if most == math.inf else f"{least} to {most}"
            expected = f"expected a {'whole ' if kind is int else ''}number of {limits}"
            raise argparse.ArgumentTypeError(f"{expected}; received {text!r}")
        return number

    return read


seed = within(0, 2**32 - 1)
"""What Keras takes as a seed, as a flag's type."""


def _number(text: str, kind: type[int] | type[float]) -> float:
    try:
        return kind(text)
    except ValueError:
        return math.nan


def positive(text: str) -> float:
    """A number above 0, as a flag's type."""
    number = _number(text, float)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0; received {text!r}")
    return number


def data_flags(parser):
    """--model, --data and --loss."""
    parser.add_argument(
        "--model", required=True, help="a Keras model file (.keras or .h5, of Keras 2, too)"
    )
    data_flag(parser)
    parser.add_argument(
        "--loss",
        default="auto",
        help="a Keras loss by name; auto: a cross-entropy for classes (numbers, names, one-hot "
        "rows), else mean_squared_error",
    )


def data_flag(parser, required: bool = True):
    """--data."""
    parser.add_argument(
        "--data",
        required=required,
        default="",
        help=".npz with x, y and perhaps x_val, y_val (else a fifth is held back); y: class "
        "numbers, names or targets. Names stand for the outputs in sorted order, or in that of "
        "an array named classes",
    )


def ranking_flag(parser):
    """--ranking."""
    parser.add_argument(
        "--ranking",
        default=None,
        metavar="FILE",
        help="which layers matter, from medyate rank --save; else it is measured on the data",
    )


def fitting_flags(parser, board: bool = True):
    """--arena_limit, --flash_limit and, unless the command has its own, --board."""
    group = parser.add_argument_group("layers that fit")
    if board:
        from tf_medyate.boards.registry import BOARDS

        text = "keep the best layers whose training fits this board"
        group.add_argument("--board", default="", choices=["", *sorted(BOARDS)], help=text)
    group.add_argument("--arena_limit", default="", help='largest arena of TFLM, as "128KiB"')
    text = 'most flash of code, weights and journal, as "512KiB"'
    group.add_argument("--flash_limit", default="", help=text)


def layers_that_fit(args, board: str, **options):
    """What the flags of `fitting_flags` ask for, for `MeDyate`'s layers; None for nothing.

    Args:
        args: Of the command, with a strategy.
        board: A name, or empty.
        **options: How it will be exported, as `LayersThatFit` takes it.
    """
    import tf_medyate as md

    limits = {"board": board, "arena_limit": args.arena_limit, "flash_limit": args.flash_limit}
    given: dict[str, Any] = {name: limit for name, limit in limits.items() if limit}
    return md.LayersThatFit(**given, **options) if given else None


def training_flags(parser):
    """--budget, --ranking, --epochs, --batch_size, --learning_rate and --seed."""
    parser.add_argument("--budget", default="64KiB", help='"64KiB", "100kB", "27946 elements"')
    ranking_flag(parser)
    parser.add_argument("--epochs", type=count, default=20, help="passes over the data")
    parser.add_argument("--batch_size", type=count, default=8, help="samples in a batch")
    parser.add_argument("--learning_rate", type=positive, default=0.05, help="of SGD, cosine decay")
    parser.add_argument("--seed", type=seed, default=0, help="seed of draws and shuffling")


# --- files


def load(args) -> tuple[keras.Model, Dataset, Any]:
    """Model, data and Keras loss of the flags --model, --data and --loss.

    Raises:
        OptionError, DataError: They cannot be used.
    """
    base = load_model(args.model)
    inputs, outputs = _shapes(base)
    names = names_beside(args.model)
    spare = (outputs[-1] or 0) - len(names) if names else 0
    data = read_data(args.data, inputs, outputs, kind_of(args.loss), names, spare)
    say_what_was_read(data, args.data)
    loss, kind = keras_loss(args.loss, base, data)
    return base, dataclasses.replace(data, kind=kind), loss


def say_what_was_read(data: Dataset, path: str) -> None:
    """Says which name has which number, and what is not used."""
    if data.names:
        out.say("Classes: " + ", ".join(f"{i} {name}" for i, name in enumerate(data.names)))
    if data.unused:
        out.say(f"Not used of {path}: {', '.join(data.unused)}.")


def _shapes(model: keras.Model) -> tuple[Sides, Sides]:
    """Shapes of a sample and of the output, without the batch."""
    inputs, outputs = getattr(model, "inputs", None) or (), getattr(model, "outputs", None) or ()
    if len(inputs) != 1 or len(outputs) != 1 or len(outputs[0].shape) < 2:
        received = f"{len(inputs)} inputs, {len(outputs)} outputs"
        remedy = "Use the Python API for others: md.prepare, and MeDyate as a callback of fit."
        raise OptionError("--model", "a model with one input and one output", received, remedy)
    return tuple(inputs[0].shape[1:]), tuple(outputs[0].shape[1:])


def load_model(path: str) -> keras.Model:
    """The Keras model of --model.

    Raises:
        OptionError: There is no such file, or it holds no model.
    """
    from tf_medyate.prepared import legacy

    if not Path(path).is_dir():
        existing_file("--model", path)
    return legacy.load_model(path, "--model")


def check_model_file(flag: str, path: str, like: str | Path) -> None:
    """Makes sure that a Keras model can be written, as large as the file `like`."""
    files.check_file(flag, path, (".keras", ".h5"), Path(like).stat().st_size + _KERAS_BYTES)
