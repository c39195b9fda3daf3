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
(else the last fifth of each is held back).
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

from absl import app
from absl.flags import argparse_flags

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

_COMMANDS = (
    *(demo, finetune, rank, compare, export, simulate),
    *(device, emulate, device_demo, bench),
)


def run():
    """Entry point of the `medyate` command."""
    app.run(main, flags_parser=_parse)


def main(args: argparse.Namespace) -> int:
    """Runs one command; a mistake of the user's ends with its explanation, not a traceback."""
    _import_tensorflow_quietly()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its retracing hints mean nothing here
    try:
        args.run(args)
    except MedyateError as error:
        print(f"medyate {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"medyate {args.command}: stopped.", file=sys.stderr)
        return 130
    return 0


def _import_tensorflow_quietly():
    """Keeps what TensorFlow's C++ side says of missing GPUs off the screen; errors still raise."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        importlib.import_module("tensorflow")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse_flags.ArgumentParser(
        prog="medyate",
        description="Fine-tune Keras models inside a memory budget, and export the training step "
        "to microcontrollers.",
        epilog="Every command explains its flags: medyate finetune --help",
    )
    parser.add_argument("--version", action="version", version=f"tf_medyate {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return parser.parse_args(argv[1:])


if __name__ == "__main__":
    run()
