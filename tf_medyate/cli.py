"""The `medyate` command.

    medyate demo                                                   # a watch learns its wearer
    medyate finetune --model m.keras --data d.npz --budget 64KiB --out tuned.keras
    medyate rank     --model m.keras --data d.npz
    medyate compare  --model m.keras --data d.npz --budget 64KiB
    medyate export   --model m.keras --data d.npz --budget 64KiB --out out/
    medyate simulate --bundle out/ --data d.npz
    medyate device   --port /dev/ttyACM0 train d.npz
    medyate emulate  out/ --port 5555                              # a board for people without one
    medyate device_demo                                            # the watch, on such a board
    medyate bench    --suite smoke --out runs/                     # the papers' evaluation

A data file holds arrays `x` and `y`, and `x_val` and `y_val` where there are validation data
(else a fifth is held back: the last of each class). Flags and commands may be written with hyphens,
too.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

from tf_medyate._version import __version__
from tf_medyate.commands import (
    bench,
    compare,
    demo,
    device,
    device_demo,
    emulate,
    export,
    finetune,
    rank,
    simulate,
)
from tf_medyate.errors import MedyateError
from tf_medyate.names import visible
from tf_medyate.quiet import captured_stderr

_COMMANDS = (
    *(demo, finetune, rank, compare, export, simulate),
    *(device, emulate, device_demo, bench),
)


def run():
    """Entry point of the `medyate` command."""
    sys.exit(main(parse(sys.argv[1:])))


def main(args: argparse.Namespace) -> int:
    """Runs one command; a mistake of the user's ends with its explanation, not a traceback."""
    try:
        _import_tensorflow_quietly()
        # TensorFlow's hints about retracing say nothing here.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        with _plain_warnings():
            args.run(args)
    except BrokenPipeError:  # the reader of the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (MedyateError, OSError) as error:
        print(f"medyate {args.command}: {visible(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        how = f" {visible(str(stop))}" if str(stop) else ""
        print(f"medyate {args.command}: stopped{how}.", file=sys.stderr)
        return 130
    return 0


def _import_tensorflow_quietly():
    """Keeps what TensorFlow's C++ side says of missing GPUs off the screen; errors still raise."""
    with captured_stderr():
        importlib.import_module("tensorflow")


@contextlib.contextmanager
def _plain_warnings():
    """Shows warnings as sentences, without the line of code that gave them."""

    def show(message, category, filename, lineno, file=None, line=None):
        print(f"medyate: warning: {visible(str(message))}", file=file or sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        warnings.filterwarnings("ignore", "pkg_resources is deprecated")  # in TFLM's wheel
        yield


# --- flags


class _Parser(argparse.ArgumentParser):
    """Says what a mistyped word may have meant."""

    def error(self, message: str):
        wrong = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        if wrong:
            message += _meant(wrong[1], re.findall(r"\w+", wrong[2]))
        super().error(message)


def _meant(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Reads the words of a command line; ends the process with a message if they are wrong."""
    parser = _Parser(
        prog="medyate",
        description="Fine-tune Keras models inside a memory budget, and export the training step "
        "to microcontrollers.",
        epilog="Every command explains its flags: medyate finetune --help",
    )
    parser.add_argument("--version", action="version", version=f"tf_medyate {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    if not words:
        parser.print_help()
        parser.exit()
    args, rest = parser.parse_known_args(_underscored(words))
    bare = getattr(args, "bare", None)  # the flag that a word alone stands for
    if bare and len(rest) == 1 and not rest[0].startswith("-"):
        setattr(args, bare, rest[0])
    elif rest:
        known = re.findall(r"--\w+", args.parser.format_help())
        args.parser.error(f"unrecognized arguments: {' '.join(rest)}{_meant(rest[0], known)}")
    return args


def _underscored(words: Sequence[str]) -> list[str]:
    """--batch-size as --batch_size, and device-demo as device_demo."""
    first, *others = words
    names = [(word.partition("=")[0], word) for word in others]
    return [
        first.replace("-", "_") if first[:1] != "-" else first,
        *("--" + n[2:].replace("-", "_") + w[len(n) :] if n[:2] == "--" else w for n, w in names),
    ]


if __name__ == "__main__":
    run()
