"""`medyate rank`: what training each layer of a model is worth, and whether that is stable."""

from __future__ import annotations

import math
import pathlib
import tempfile

from tf_medyate import files
from tf_medyate.commands import common
from tf_medyate.commands.screen import column, out, progress
from tf_medyate.errors import OptionError
from tf_medyate.select.strategies import ALPHA, FIXED

_PICTURES_BYTES = 1 << 20
_EXAMPLES = (
    "rank --model base.keras --data data.npz",
    "rank --model base.keras --data data.npz --ranking rgn --top_k 8 --diagnose pictures",
    "rank --model base.keras --data data.npz --budget 64KiB --board nano33ble",
    "rank --model base.keras --data other.npz --epochs 5 --save ranking.json",
)


def add(commands):
    """Adds the command."""
    text = "rank a model's layers by what training them is worth"
    parser = common.command(commands, "rank", run, text, _EXAMPLES)
    common.data_flags(parser)
    parser.add_argument(
        "--ranking", default="lara", help="score: lara, rgn, lara-squared, fisher or last_k"
    )
    parser.add_argument(
        "--top_k",
        default="auto",
        help="layers to keep: alpha (by --budget), fixed (TraDy's), a share of the score, or a "
        "number; auto: alpha with a --budget, else 0.97",
    )
    parser.add_argument("--budget", default="", help='for alpha: "64KiB", "27946 elements"')
    common.fitting_flags(parser)
    parser.add_argument("--batch_size", type=common.count, default=8, help="samples in a batch")
    parser.add_argument("--batches", type=common.count, default=16, help="batches to measure")
    parser.add_argument(
        "--diagnose",
        nargs="?",
        const="out/diagnostics",
        default="",
        metavar="FOLDER",
        help="fine-tune a copy in full, and write pictures of how stable layers and channels are",
    )
    parser.add_argument(
        "--epochs",
        type=common.within(0),
        default=0,
        help="measure in every step of a mock fine-tuning of so many epochs: as published, once "
        "for a net and on another task; 0: at frozen weights. With --diagnose: of it, 10 for 0",
    )
    parser.add_argument("--learning_rate", type=common.positive, default=0.01, help="of --epochs")
    parser.add_argument(
        "--save", default="", metavar="FILE", help="write what was measured, for --ranking of the "
        "other commands: .json")  # fmt: skip


def run(args):
    """Ranks."""
    import tf_medyate as md

    top_k = _top_k(args)
    if args.save:
        files.check_file("--save", args.save, (".json",))
    if args.diagnose:
        files.check_folder("--diagnose", args.diagnose, _PICTURES_BYTES)
    base, data, loss = common.load(args)
    model = md.prepare(base)
    model.compile("sgd", loss)
    specs, gradients = md.layer_specs(model), _measure(args, model, data)
    if args.save:
        task = f"{pathlib.Path(args.data).name}, {args.epochs} epochs"
        md.save_ranking(args.save, specs, gradients, task)
    layers = common.layers_that_fit(args, args.board)
    if layers:
        medyate = _fitting(
            args, model, gradients, layers, md.strategy(ranking=args.ranking, top_k=top_k)
        )
        out.say(medyate.frontier)
        out.say(medyate.ranking)
    else:
        budget = args.budget or None
        out.say(md.rank_layers(specs, gradients, args.ranking, top_k, budget=budget))
    out.say("* = kept: channels are drawn from these layers.")
    if args.diagnose:
        _diagnose(args, base, data, loss)


def _top_k(args) -> float | int | str:
    """As `rank_layers` takes it."""
    if args.top_k == "auto":
        return ALPHA if args.budget else 0.97
    if args.top_k in (ALPHA, FIXED):
        return args.top_k
    try:
        return float(args.top_k) if "." in args.top_k else int(args.top_k)
    except ValueError:
        remedy = "Write 0.97 for a share of the score, or 8 for eight layers."
        raise OptionError("--top_k", "alpha, fixed or a number", repr(args.top_k), remedy) from None


def _measure(args, model, data):
    import tf_medyate as md

    size = 1 if args.ranking == "fisher" else args.batch_size
    steps = args.epochs * math.ceil(len(data.x) / size)
    how = f"{steps} steps of a mock fine-tuning" if steps else f"up to {args.batches} batches"
    out.say(f"Measuring {len(md.layer_specs(model))} layers on {how} ...")
    arrays, rate = (data.x, data.y, size), args.learning_rate
    return md.measure_gradients(model, arrays, args.batches, steps=steps, learning_rate=rate)


def _fitting(args, model, gradients, layers, strategy):
    """A callback that has chosen among the layers that fit."""
    import tf_medyate as md

    with tempfile.TemporaryDirectory() as folder:
        measured = pathlib.Path(folder) / "ranking.json"
        md.save_ranking(measured, md.layer_specs(model), gradients)
        options = {"layers": layers, "ranking": measured, "verbose": 0}
        medyate = md.MeDyate(args.budget or None, strategy, **options)
        medyate.set_model(model)
    return medyate


def _diagnose(args, base, data, loss):
    """Do the method's assumptions hold here?"""
    from tf_medyate.report import diagnostics as pictures
    from tf_medyate.select.diagnostics import diagnose

    epochs = args.epochs or 10
    with progress(column("epoch {task.completed}/{task.total}")) as bar:
        task = bar.add_task("Fine-tuning a copy in full", total=epochs)
        found = diagnose(
            base,
            data.x,
            data.y,
            loss=loss,
            epochs=epochs,
            batch_size=args.batch_size,
            batches=args.batches,
            learning_rate=args.learning_rate,
            ranking=args.ranking,
            progress=lambda epoch: bar.update(task, completed=epoch - 1),
        )
    out.say(found)
    for path in pictures.save(pictures.draw(found), args.diagnose):
        out.say(f"Picture: {path}", style="bold")
