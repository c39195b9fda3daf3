"""`medyate finetune`: a .keras file and an .npz file in, a .keras file and a report out."""

from __future__ import annotations

from pathlib import Path

from tf_medyate.commands import common
from tf_medyate.errors import OptionError


def add(commands):
    """Adds the command."""
    parser = common.command(
        commands,
        "finetune",
        run,
        "fine-tune a .keras file on an .npz file",
        common.preset_list(),
    )
    common.data_flags(parser)
    common.training_flags(parser)
    parser.add_argument("--strategy", default="medyate", help="how to choose channels, see below")
    parser.add_argument("--out", default="tuned.keras", help="the fine-tuned model")
    parser.add_argument("--report", default="report.html", help="report: .html, .json or .txt")


def run(args):
    """Fine-tunes."""
    from tf_medyate.prepared.folding import strip

    base, data, loss = common.load(args)
    model, medyate, score = common.train(base, data, args, args.strategy, loss, args.strategy)
    report = medyate.report()
    _save_report(report, Path(args.report))
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    strip(model).save(args.out)
    print(report)
    before = common.score(base, data[2], data[3], loss)
    metric = common.metric(loss)
    common.out.print(f"{metric} on the validation data: {before:.4g} before, {score:.4g} after.")
    common.out.print(f"Model: [bold]{args.out}[/]   Report: [bold]{args.report}[/]")


def _save_report(report, path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".html":
        report.save_html(path)
    elif path.suffix == ".json":
        path.write_text(report.to_json())
    elif path.suffix == ".txt":
        path.write_text(f"{report}\n")
    else:
        remedy = "Name it, for example, report.html."
        raise OptionError("--report", "a file ending in .html, .json or .txt", str(path), remedy)
