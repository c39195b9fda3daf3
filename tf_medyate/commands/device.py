"""`medyate device`: a board learns from samples that come over its serial line."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from tf_medyate.commands import common
from tf_medyate.errors import LabelError, OptionError

# How much the newest loss counts in the one that is shown: single samples jump.
_NEWEST = 0.05


def add(commands):
    """Adds the command."""
    text = "let a board learn over its serial line, and fetch what it learned"
    parser = common.command(commands, "device", run, text)
    parser.add_argument(
        "--port", required=True, default=argparse.SUPPRESS, help="/dev/ttyACM0, tcp:localhost:5555"
    )
    parser.add_argument("--baud_rate", type=int, default=115200, help="of a serial port")
    parser.add_argument(
        "--timeout", type=float, default=3.0, help="seconds before a request is sent again"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_train(actions)
    _action(actions, "status", "what runs on the board, and its counters")
    pull = _action(actions, "pull", "fetch what the board learned")
    pull.add_argument("--delta", default="learned.delta", help="file to write, a sparse delta")
    _model_flags(pull)
    push = _action(actions, "push", "give a board what another one learned")
    push.add_argument("--delta", default="learned.delta", help="file that was pulled")
    _action(actions, "reset", "forget all that the board ever learned")


def _add_train(actions):
    parser = _action(actions, "train", "stream labelled samples to the board")
    parser.add_argument("data", help=".npz with x, y and perhaps x_val, y_val")
    parser.add_argument("--epochs", type=int, default=5, help="passes over the data")
    parser.add_argument("--seed", type=int, default=0, help="seed of the shuffling")
    parser.add_argument("--delta", default="", help="file for what was learned")
    _model_flags(parser)


def _action(actions, name: str, text: str):
    description = text[0].upper() + text[1:] + "."
    return actions.add_parser(name, help=text, description=description, formatter_class=common.Help)


def _model_flags(parser):
    parser.add_argument("--model", default="", help="the Keras model that was exported")
    parser.add_argument("--layout", default="", help="its weights layout, from the export")
    parser.add_argument("--out", default="", help="Keras file for the model with what was learned")


def run(args):
    """Does one of the actions."""
    from tf_medyate import device

    given = [bool(getattr(args, name, "")) for name in ("model", "layout", "out")]
    if any(given) and not all(given):
        remedy = "Name the exported model, its layout and the file to write, or none of them."
        raise OptionError("--model, --layout, --out", "all three or none", f"{given}", remedy)
    actions = {"train": _train, "status": _status, "pull": _pull, "push": _push, "reset": _reset}
    # A board with another model is found out before it has trained for hours.
    model_hash = device.read_layout(args.layout).model_hash if all(given) else 0
    expected = device.Expected(model_hash)
    with device.DeviceClient.open(
        args.port, expected, args.baud_rate, timeout_s=args.timeout
    ) as board:
        actions[args.action](board, args)


# --- training


def _train(board, args):
    x, y, x_val, y_val = common.read_npz(args.data)
    y, y_val = _labels(y, board.info), _labels(y_val, board.info)
    if args.epochs < 1:
        raise OptionError("--epochs", "1 or more", f"{args.epochs}", "Write for example 5.")
    common.out.print(f"{board.info}")
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
    if args.delta or args.out:
        _pull(board, args)


def _learn(board, x, y, args, score: _Score, before: float) -> int:
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

    def __init__(self, board, x, y):
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


def _labels(y, info):
    """Class numbers [n] for a classifier, one-hot rows included; else targets as they are."""
    if not info.classes:
        return y
    if common.loss_name("auto", y) == "categorical_crossentropy":
        y = y.argmax(-1)
    whole = y.dtype.kind in "iu" and y.size == len(y)
    if not whole or y.min() < 0 or y.max() >= info.classes:
        received = f"{y.dtype} of shape {y.shape}, from {y.min()} to {y.max()}"
        remedy = "Number the classes as for the model's training."
        raise LabelError("y", f"classes 0 to {info.classes - 1}", received, remedy)
    return y.reshape(-1)


# --- regions and counters


def _status(board, args):
    from rich.table import Table

    from tf_medyate.device import DeviceStatus

    names = {status.value: status.name for status in DeviceStatus}
    table = Table(title=str(board.info), title_justify="left", show_header=False)
    for name, value in dataclasses.asdict(board.status()).items():
        if name in ("store_status", "last_bad_frame"):
            value = names.get(value, value)
        table.add_row(name.replace("_", " "), "unknown" if value is None else str(value))
    common.out.print(table)


def _pull(board, args):
    from tf_medyate import device

    data = board.pull()
    delta = device.read_delta(data)
    common.out.print(f"{delta}")
    if args.delta:
        Path(args.delta).parent.mkdir(parents=True, exist_ok=True)
        Path(args.delta).write_bytes(data)
        common.out.print(f"Wrote {args.delta} ({len(data):,} bytes).")
    if args.out:
        _apply(delta, args)


def _apply(delta, args):
    import tf_medyate as md
    from tf_medyate import device

    layout = device.read_layout(args.layout)
    model = md.prepare(common.load_model(args.model))
    device.apply_to_model(delta, model, layout)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    md.strip(model).save(args.out)
    common.out.print(f"Wrote {args.out}: the model with what the board learned.")


def _push(board, args):
    from tf_medyate import device

    path = Path(args.delta)
    if not path.exists():
        raise OptionError("--delta", "an existing file", str(path), "Check the path.")
    data = path.read_bytes()
    delta = device.read_delta(data)
    board.push(data)
    common.out.print(f"Pushed: {delta}")


def _reset(board, args):
    board.reset()
    common.out.print("The board has forgotten what it learned.")
