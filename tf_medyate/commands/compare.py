"""`medyate compare`: several strategies on the same data."""

from __future__ import annotations

from tf_medyate.commands import common


def add(commands):
    """Adds the command."""
    text = "try several strategies on the same data"
    parser = common.command(commands, "compare", run, text, common.preset_list())
    common.data_flags(parser)
    common.training_flags(parser)
    parser.add_argument(
        "--strategies", default="head,medyate,trady,greedy,full", help="comma-separated, see below"
    )


def run(args):
    """Compares."""
    base, data, loss = common.load(args)
    table = common.results_table("On the validation data")
    before = common.score(base, data[2], data[3], loss)
    table.add_row("before", f"{before:.4g}", "-", "-")
    for name in args.strategies.split(","):
        _, medyate, score = common.train(base, data, args, name.strip(), loss, name)
        table.add_row(name, f"{score:.4g}", *common.memory_cells(medyate))
    table.columns[1].header = common.metric(loss)
    common.out.print(table)
