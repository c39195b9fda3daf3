"""`medyate finetune`: a .keras file and an .npz file in, a .keras file and a report out."""

from __future__ import annotations

from pathlib import Path

from tf_medyate import files
from tf_medyate.commands import common
from tf_medyate.commands.class_names import save_names
from tf_medyate.commands.interrupts import held_back
from tf_medyate.commands.losses import score
from tf_medyate.commands.screen import metric, out, score_text
from tf_medyate.commands.training import train

_REPORT_BYTES = 4 << 20

_EXAMPLES = (
    "finetune --model base.keras --data data.npz",
    "finetune --model base.keras --data data.npz --budget 8KiB --epochs 40 --out mine.keras",
)


def add(commands):
    """Adds the command."""
    text = "fine-tune a .keras file on an .npz file"
    parser = common.command(commands, "finetune", run, text, _EXAMPLES, common.preset_list())
    common.data_flags(parser)
    common.training_flags(parser)
    parser.add_argument("--strategy", default="medyate", help="how to choose channels, see below")
    common.fitting_flags(parser)
    parser.add_argument("--out", default="tuned.keras", help="the fine-tuned model")
    parser.add_argument("--report", default="report.html", help="report: .html, .json or .txt")


def run(args):
    """Fine-tunes."""
    from tf_medyate.prepared.folding import strip

    _check_outputs(args)
    base, data, loss = common.load(args)
    before = score(base, data.x_val, data.y_val, data.kind)
    layers = common.layers_that_fit(args, args.board)
    with held_back("nothing was written") as stop:
        name = args.strategy
        options = {"stop": stop, "layers": layers}
        model, medyate, after = train(base, data, loss, args, name, name, **options)
    report = medyate.report()
    files.save_keras(strip(model), args.out)
    names = save_names(args.out, data.names)
    _save_report(report, Path(args.report))
    out.say(report)
    texts = (score_text(value, data.kind) for value in (before, after))
    out.say("{} on the validation data: {} before, {} after.".format(metric(data.kind), *texts))
    beside = f"   Names of the classes: {names}" if names else ""
    out.say(f"Model: {args.out}   Report: {args.report}{beside}", style="bold")
    if stop.asked and len(report.epochs) < args.epochs:
        done = f"after epoch {len(report.epochs)} of {args.epochs}"
        raise KeyboardInterrupt(f"{done}; {args.out} holds the model of that epoch")


def _check_outputs(args):
    """Tells what cannot be written, before the first epoch."""
    common.existing_file("--model", args.model)
    common.check_model_file("--out", args.out, args.model)
    files.check_file("--report", args.report, (".html", ".json", ".txt"), _REPORT_BYTES)


def _save_report(report, path: Path):
    if path.suffix == ".html":
        report.save_html(path)
    else:
        files.write_text(path, report.to_json() if path.suffix == ".json" else f"{report}\n")
