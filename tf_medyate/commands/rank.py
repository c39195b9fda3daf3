"""`medyate rank`: what training each layer of a model is worth, and whether that is stable."""

from __future__ import annotations

from tf_medyate.commands import common


def add(commands):
    """Adds the command."""
    text = "rank a model's layers by what training them is worth"
    parser = common.command(commands, "rank", run, text)
    common.data_flags(parser)
    parser.add_argument("--ranking", default="lara", help="lara, rgn, fisher or last_k")
    parser.add_argument("--top_k", default="0.97", help="share of the score, or number of layers")
    parser.add_argument("--batch_size", type=int, default=8, help="samples in a batch")
    parser.add_argument("--batches", type=int, default=16, help="batches to measure")
    parser.add_argument(
        "--diagnose",
        nargs="?",
        const="out/diagnostics",
        default="",
        metavar="FOLDER",
        help="fine-tune a copy in full, and write pictures of how stable layers and channels are",
    )
    parser.add_argument("--epochs", type=int, default=10, help="of --diagnose")
    parser.add_argument("--learning_rate", type=float, default=0.01, help="of --diagnose")


def run(args):
    """Ranks."""
    import tf_medyate as md

    base, data, loss = common.load(args)
    model = md.prepare(base)
    model.compile("sgd", loss)
    layers = len(md.layer_specs(model))
    common.out.print(f"Measuring {layers} layers on up to {args.batches} batches ...")
    size = 1 if args.ranking == "fisher" else args.batch_size
    gradients = md.measure_gradients(model, (data[0], data[1], size), args.batches)
    top_k = float(args.top_k) if "." in args.top_k else common.whole("top_k", args.top_k)
    print(md.rank_layers(md.layer_specs(model), gradients, args.ranking, top_k))
    print("* = kept: channels are drawn from these layers.")
    if args.diagnose:
        _diagnose(args, base, data, loss)


def _diagnose(args, base, data, loss):
    """Do the method's assumptions hold here?"""
    from rich.progress import track

    from tf_medyate.report import diagnostics as pictures
    from tf_medyate.select.diagnostics import diagnose

    steps = iter(track(range(args.epochs), "Fine-tuning a copy in full", console=common.out))

    def advance(_: int):
        next(steps, None)

    found = diagnose(
        base,
        data[0],
        data[1],
        loss=loss,
        epochs=args.epochs,
        batch_size=args.batch_size,
        batches=args.batches,
        learning_rate=args.learning_rate,
        ranking=args.ranking,
        progress=advance,
    )
    print(found)
    for path in pictures.save(pictures.draw(found), args.diagnose):
        common.out.print(f"Picture: [bold]{path}[/]")
