"""`medyate rank`: what training each layer of a model is worth, and whether that is stable."""

from __future__ import annotations

from tf_medyate import files
from tf_medyate.commands import common
from tf_medyate.commands.screen import column, out, progress
from tf_medyate.errors import OptionError

_PICTURES_BYTES = 1 << 20
_EXAMPLES = (
    "rank --model base.keras --data data.npz",
    "rank --model base.keras --data data.npz --ranking rgn --top_k 8 --diagnose pictures",
)


def add(commands):
    """Adds the command."""
    text = "rank a model's layers by what training them is worth"
    parser = common.command(commands, "rank", run, text, _EXAMPLES)
    common.data_flags(parser)
    parser.add_argument("--ranking", default="lara", help="lara, rgn, fisher or last_k")
    parser.add_argument("--top_k", default="0.97", help="share of the score, or number of layers")
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
    parser.add_argument("--epochs", type=common.count, default=10, help="of --diagnose")
    parser.add_argument("--learning_rate", type=common.positive, default=0.01, help="of --diagnose")


def run(args):
    """Ranks."""
    import tf_medyate as md

    top_k = _top_k(args.top_k)
    if args.diagnose:
        files.check_folder("--diagnose", args.diagnose, _PICTURES_BYTES)
    base, data, loss = common.load(args)
    model = md.prepare(base)
    model.compile("sgd", loss)
    layers = len(md.layer_specs(model))
    out.say(f"Measuring {layers} layers on up to {args.batches} batches ...")
    size = 1 if args.ranking == "fisher" else args.batch_size
    gradients = md.measure_gradients(model, (data.x, data.y, size), args.batches)
    out.say(md.rank_layers(md.layer_specs(model), gradients, args.ranking, top_k))
    out.say("* = kept: channels are drawn from these layers.")
    if args.diagnose:
        _diagnose(args, base, data, loss)


def _top_k(text: str) -> float | int:
    """A share of the score, or a number of layers."""
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        remedy = "Write 0.97 for a share of the score, or 8 for eight layers."
        raise OptionError("--top_k", "a number", repr(text), remedy) from None


def _diagnose(args, base, data, loss):
    """Do the method's assumptions hold here?"""
    from tf_medyate.report import diagnostics as pictures
    from tf_medyate.select.diagnostics import diagnose

    with progress(column("epoch {task.completed}/{task.total}")) as bar:
        task = bar.add_task("Fine-tuning a copy in full", total=args.epochs)
        found = diagnose(
            base,
            data.x,
            data.y,
            loss=loss,
            epochs=args.epochs,
            batch_size=args.batch_size,
            batches=args.batches,
            learning_rate=args.learning_rate,
            ranking=args.ranking,
            progress=lambda _: bar.advance(task),
        )
    out.say(found)
    for path in pictures.save(pictures.draw(found), args.diagnose):
        out.say(f"Picture: {path}", style="bold")
