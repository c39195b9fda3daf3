"""`medyate device`: a board learns from samples that come over its serial line."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tf_medyate import files
from tf_medyate.commands import common, device_train
from tf_medyate.commands.class_names import names_file, save_names
from tf_medyate.commands.screen import out, progress
from tf_medyate.device_key import read_key
from tf_medyate.errors import OptionError

_LEARNED = "learned.delta"
_DELTA_BYTES = 1 << 20

_EXAMPLES = (
    "device --port /dev/ttyACM0 status",
    "device --port /dev/ttyACM0 train data.npz --epochs 10",
    "device --port /dev/ttyACM0 --export out pull learned.delta --out tuned.keras",
    "device --port /dev/ttyACM1 --export out push learned.delta",
    "device --port /dev/ttyACM1 --device_key board.key reset   # a board that was built with a key",
)


def add(commands):
    """Adds the command."""
    text = "let a board learn over its serial line, and fetch what it learned"
    parser = common.command(commands, "device", run, text, _EXAMPLES)
    parser.add_argument("--port", required=True, help="/dev/ttyACM0, tcp:localhost:5555")
    parser.add_argument("--export", default="", help="folder that the firmware was exported to")
    parser.add_argument("--baud_rate", type=common.count, default=115200, help="of a serial port")
    parser.add_argument(
        "--timeout", type=common.positive, default=3.0, help="seconds before a request is repeated"
    )
    parser.add_argument(
        "--device_key", default="", metavar="FILE", help="of a board that was built with one"
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
    parser = common.command(actions, name, run, text)
    parser.set_defaults(do=do)
    return parser


def _add_train(actions):
    parser = _action(actions, "train", "stream labelled samples to the board", _train)
    common.data_flag(parser, required=False)
    parser.set_defaults(bare="data")
    parser.add_argument("--epochs", type=common.count, default=5, help="passes over the data")
    parser.add_argument("--seed", type=common.seed, default=0, help="seed of the shuffling")
    parser.add_argument("--names", default="", help='of new classes in order: "walk,jump"')
    _delta_flag(parser, "file to write in the end, a sparse delta")
    _model_flags(parser)


def _add_status(actions):
    parser = _action(actions, "status", "what runs on the board, and how it is", _status)
    parser.add_argument(
        "--commits_per_day", type=common.positive, default=24.0, help="for the life that is left"
    )


def _add_pull(actions):
    text = "fetch what was committed on the board, as a sparse delta; needs --export"
    parser = _action(actions, "pull", text, _pull)
    _delta_flag(parser, "file to write; a word without a flag is taken for it", _LEARNED)
    parser.set_defaults(bare="delta")
    parser.add_argument(
        "--differences",
        action="store_true",
        help="keep differences from the factory weights, which another model can be given",
    )
    _model_flags(parser)


def _add_push(actions):
    text = "give the board what another one learned; what it learned itself is gone; needs --export"
    parser = _action(actions, "push", text, _push)
    _delta_flag(parser, "file that was pulled; a word without a flag is taken for it", _LEARNED)
    parser.set_defaults(bare="delta")
    parser.add_argument(
        "--any_model", action="store_true", help="take differences of another model, too"
    )


def _delta_flag(parser, text: str, default: str = ""):
    parser.add_argument("--delta", default=default, metavar="FILE", help=text)


def _model_flags(parser):
    parser.add_argument("--out", default="", help="Keras file for the model with what was learned")
    parser.add_argument(
        "--model", default="", help="the Keras model that was exported, if not that in --export"
    )


def run(args):
    """Does one of the actions."""
    from tf_medyate import device

    _check(args)
    key = read_key(args.device_key) if args.device_key else None
    exported = device.read_export(args.export) if args.export else None
    # A board with another model is found out before it has trained for hours.
    expected = device.Expected(exported.layout.model_hash if exported else 0)
    with device.DeviceClient.open(
        args.port, expected, args.baud_rate, timeout_s=args.timeout, key=key
    ) as board:
        args.do(board, exported, args)


def _check(args):
    """Checks what can be checked before the port is opened."""
    model, tuned = getattr(args, "model", ""), getattr(args, "out", "")
    if model and not tuned:
        remedy = "Name the file to write, too."
        raise OptionError("--out", "a Keras file, for --model", "none", remedy)
    if args.action == "train" and not args.data:
        raise OptionError("--data", "a file", "none", "Name it: train data.npz")
    writes = args.action == "train" and (args.delta or tuned)
    if (args.action in ("pull", "push") or writes) and not args.export:
        remedy = "Name the folder that `medyate export` wrote: its factory weights are the base."
        raise OptionError("--export", f"a folder, for {args.action}", "none", remedy)
    if args.action == "push":
        common.existing_file("--delta", args.delta)
    elif getattr(args, "delta", ""):
        files.check_file("--delta", args.delta, (".delta",), _DELTA_BYTES)
    if tuned:
        args.model = model or _exported_model(args.export)
        common.check_model_file("--out", tuned, common.existing_file("--model", args.model))


def _exported_model(folder: str) -> str:
    """The Keras model in an export."""
    from tf_medyate.exporter.manifest import KERAS_FILE

    path = Path(folder if Path(folder).is_dir() else Path(folder).parent) / KERAS_FILE
    if not path.is_file():
        remedy = "Export again, or name the Keras model that was exported."
        raise OptionError("--model", f"{KERAS_FILE} in {folder}", "none", remedy)
    return str(path)


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
    with _transfer("pulling") as advance:
        learned = device.pull_learned(board, exported, kind, advance)
    out.say(learned.delta)
    if args.delta:
        path, data = Path(args.delta), learned.delta.to_bytes()
        names = save_names(path, learned.names)
        files.write_bytes(path, data)
        beside = f" and {names} ({len(learned.names)} names)" if names else ""
        out.say(f"Wrote {path} ({len(data):,} bytes){beside}.")
    if args.out:
        _apply(learned.delta, exported.layout, args)
        save_names(args.out, learned.names)


def _apply(delta, layout, args):
    import tf_medyate as md
    from tf_medyate import device

    model = md.prepare(common.load_model(args.model))
    device.apply_to_model(delta, model, layout)
    files.save_keras(md.strip(model), args.out)
    out.say(f"Wrote {args.out}: the model with what the board learned.")


def _push(board, exported, args):
    from tf_medyate import device

    path = Path(args.delta)
    learned = device.Learned(device.load_delta(path), device.load_names(names_file(path)))
    with _transfer("pushing") as advance:
        device.push_learned(board, exported, learned, any_model=args.any_model, progress=advance)
    out.say(f"Pushed and committed: {learned.delta}")


def _enrol(board, exported, args):
    label = board.enrol(args.name)
    out.say(f"Class {label} is {args.name!r} from now on.")


def _reset(board, exported, args):
    from tf_medyate import device

    pushed = device.reset(board, exported)
    how = " It got its factory weights from the export." if pushed else ""
    out.say(f"The board has forgotten what it learned.{how}")


@contextlib.contextmanager
def _transfer(text: str):
    """Shows how far a transfer has come; gives what is to be called with bytes done and in all."""
    from rich.progress import DownloadColumn

    with progress(DownloadColumn()) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
