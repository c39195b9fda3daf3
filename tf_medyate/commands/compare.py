"""`medyate compare`: several strategies on the same data."""

from __future__ import annotations

from tf_medyate.commands import common
from tf_medyate.commands.losses import score
from tf_medyate.commands.screen import metric, out, results_table, score_text
from tf_medyate.commands.training import memory_cells, train
from tf_medyate.select.strategies import strategy
from tf_medyate.spec import MemoryBudget

_EXAMPLES = (
    "compare --model base.keras --data data.npz --budget 8KiB",
    "compare --model base.keras --data data.npz --strategies head,medyate,full --epochs 5",
)


def add(commands):
    """Adds the command."""
    text = "try several strategies on the same data"
    parser = common.command(commands, "compare", run, text, _EXAMPLES, common.preset_list())
    common.data_flags(parser)
    common.training_flags(parser)
    parser.add_argument(
        "--strategies", default="head,medyate,trady,greedy,full", help="comma-separated, see below"
    )


def run(args):
    """Compares."""
    names = [name.strip() for name in args.strategies.split(",")]
    for name in names:
        strategy(name)  # a wrong one is told before hours of the others
    MemoryBudget.parse(args.budget)
    base, data, loss = common.load(args)
    table = results_table("On the validation data", metric(data.kind))
    before = score(base, data.x_val, data.y_val, data.kind)
    table.add_row("before", score_text(before, data.kind), "-", "-")
    try:
        for name in names:
            _, medyate, after = train(base, data, loss, args, name, name)
            table.add_row(name, score_text(after, data.kind), *memory_cells(medyate))
    finally:  # one that is refused, or stopped, does not take the others with it
        out.print(table)
