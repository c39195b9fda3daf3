"""`medyate device`: a board learns from samples that come over its serial line."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from tf_medyate.commands import common, device_train
from tf_medyate.errors import OptionError

_LEARNED = "learned.delta"
_NAMES_ENDING = ".names"


def add(commands):
    """Adds the command."""
    text = "let a board learn over its serial line, and fetch what it learned"
    parser = common.command(commands, "device", run, text)
    parser.add_argument(
        "--port", required=True, default=argparse.SUPPRESS, help="/dev/ttyACM0, tcp:localhost:5555"
    )
    parser.add_argument("--export", default="", help="folder that the firmware was exported to")
    parser.add_argument("--baud_rate", type=int, default=115200, help="of a serial port")
    parser.add_argument(
        "--timeout", type=float, default=3.0, help="seconds before a request is sent again"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_train(actions)
    _add_status(actions)
    _add_pull(actions)
    _add_push(actions)
    enrol = _action(actions, "enrol", "give the next spare class a name", _enrol)
    enrol.add_argument("name", help="of the class, at most 60 bytes")
    text = (
        "forget all that the board ever learned; with --export, boards without a factory copy, too"
    )
    _action(actions, "reset", text, _reset)


def _action(actions, name: str, text: str, do):
    description = text[0].upper() + text[1:] + "."
    parser = actions.add_parser(
        name, help=text, description=description, formatter_class=common.Help
    )
    parser.set_defaults(do=do)
    return parser


def _add_train(actions):
    parser = _action(actions, "train", "stream labelled samples to the board", _train)
    parser.add_argument("data", help=".npz with x, y and perhaps x_val, y_val")
    parser.add_argument("--epochs", type=int, default=5, help="passes over the data")
    parser.add_argument("--seed", type=int, default=0, help="seed of the shuffling")
    parser.add_argument("--names", default="", help='of new classes in order: "walk,jump"')
    _learned_flags(parser, "")


def _add_status(actions):
    parser = _action(actions, "status", "what runs on the board, and how it is", _status)
    parser.add_argument(
        "--commits_per_day", type=float, default=24.0, help="for the life that is left"
    )


def _add_pull(actions):
    text = "fetch what was committed on the board, as a sparse delta; needs --export"
    parser = _action(actions, "pull", text, _pull)
    parser.add_argument(
        "--differences",
        action="store_true",
        help="keep differences from the factory weights, which another model can be given",
    )
    _learned_flags(parser, _LEARNED)


def _add_push(actions):
    text = "give the board what another one learned; what it learned itself is gone; needs --export"
    parser = _action(actions, "push", text, _push)
    parser.add_argument("--delta", default=_LEARNED, help="file that was pulled")
    parser.add_argument(
        "--any_model", action="store_true", help="take differences of another model, too"
    )


def _learned_flags(parser, delta: str):
    parser.add_argument("--delta", default=delta, help="file to write, a sparse delta")
    parser.add_argument("--model", default="", help="the Keras model that was exported")
    parser.add_argument("--out", default="", help="Keras file for the model with what was learned")


def run(args):
    """Does one of the actions."""
    from tf_medyate import device

    _check(args)
    exported = device.read_export(args.export) if args.export else None
    # A board with another model is found out before it has trained for hours.
    expected = device.Expected(exported.layout.model_hash if exported else 0)
    with device.DeviceClient.open(
        args.port, expected, args.baud_rate, timeout_s=args.timeout
    ) as board:
        args.do(board, exported, args)


def _check(args):
    """Checks what can be checked before the port is opened."""
    model, out = getattr(args, "model", ""), getattr(args, "out", "")
    if bool(model) != bool(out):
        remedy = "Name the exported Keras model and the file to write, or neither."
        raise OptionError("--model, --out", "both or neither", f"{model!r}, {out!r}", remedy)
    writes = args.action == "train" and (args.delta or out)
    if (args.action in ("pull", "push") or writes) and not args.export:
        remedy = "Name the folder that `medyate export` wrote: its factory weights are the base."
        raise OptionError("--export", f"a folder, for {args.action}", "none", remedy)
    if args.action == "push" and not Path(args.delta).exists():
        raise OptionError("--delta", "an existing file", args.delta, "Check the path.")


# --- actions


def _train(board, exported, args):
    device_train.train(board, args)
    if args.delta or args.out:
        _pull(board, exported, args)


def _status(board, exported, args):
    from tf_medyate.commands import device_status

    device_status.show(board, args.commits_per_day)


def _pull(board, exported, args):
    from tf_medyate import device

    kinds = device.DeltaKind
    kind = kinds.DIFFERENCES if getattr(args, "differences", False) else kinds.VALUES
    with _transfer("pulling") as progress:
        learned = device.pull_learned(board, exported, kind, progress)
    common.out.print(f"{learned.delta}")
    if args.delta:
        path = Path(args.delta)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(learned.delta.to_bytes())
        _names_file(path).write_text(device.names_text(learned.names), encoding="utf-8")
        common.out.print(
            f"Wrote {path} ({path.stat().st_size:,} bytes) and {_names_file(path)} "
            f"({len(learned.names)} names)."
        )
    if args.out:
        _apply(learned.delta, exported.layout, args)


def _names_file(delta: Path) -> Path:
    return delta.with_suffix(_NAMES_ENDING)


def _apply(delta, layout, args):
    import tf_medyate as md
    from tf_medyate import device

    model = md.prepare(common.load_model(args.model))
    device.apply_to_model(delta, model, layout)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    md.strip(model).save(args.out)
    common.out.print(f"Wrote {args.out}: the model with what the board learned.")


def _push(board, exported, args):
    from tf_medyate import device

    path = Path(args.delta)
    names_file = _names_file(path)
    text = names_file.read_text(encoding="utf-8") if names_file.exists() else ""
    learned = device.Learned(device.read_delta(path.read_bytes()), device.read_names(text))
    with _transfer("pushing") as progress:
        device.push_learned(board, exported, learned, any_model=args.any_model, progress=progress)
    common.out.print(f"Pushed and committed: {learned.delta}")


def _enrol(board, exported, args):
    label = board.enrol(args.name)
    common.out.print(f"Class {label} is {args.name!r} from now on.")


def _reset(board, exported, args):
    from tf_medyate import device

    pushed = device.reset(board, exported)
    how = " It got its factory weights from the export." if pushed else ""
    common.out.print(f"The board has forgotten what it learned.{how}")


@contextlib.contextmanager
def _transfer(text: str):
    """Shows how far a transfer has come; gives what is to be called with bytes done and in all."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("{task.description:<12}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=common.out) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
