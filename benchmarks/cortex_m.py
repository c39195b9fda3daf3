"""Instructions and estimated cycles on an emulated Cortex-M4F: layers, and whole training steps.

    python benchmarks/cortex_m.py [--layers | --steps] [--markdown docs/cortex_m.md]

Needs Debian's gcc-arm-none-eabi, libstdc++-arm-none-eabi-newlib and qemu-system-arm. Counts are the
same on every run, as long as the compiler is. docs/cortex_m.md explains the tables.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import re
import tempfile
from typing import TYPE_CHECKING

from cortex_m.build import ROOT, build, missing_tools, sources
from cortex_m.trace import Run, trace

if TYPE_CHECKING:
    from cortex_m.nets import Step

CLOCK_HZ = 64_000_000
PASSES = ("forward", "dX", "dW", "forward, drawn", "dX, drawn")


def measure_layers(folder: pathlib.Path) -> Run:
    """Compiles and traces benchmarks/cortex_m/layers.cc."""
    layers = ROOT / "benchmarks/cortex_m/layers.cc"
    return trace(build(folder / "layers.elf", (layers, *sources("math"))))


def layer_table(run: Run) -> str:
    """Instructions and cycles per multiply-accumulate: ours, and of the naive loops."""
    cells: dict[str, dict[str, dict[str, str]]] = collections.defaultdict(dict)
    elements = []
    for line, cost in zip(run.output.splitlines(), run.regions, strict=True):
        side, layer, step, count, _ = line.split("|")
        per = f"{cost.instructions / int(count):.2f} / {cost.cycles / int(count):.2f}"
        if layer == "elements":
            elements.append(f"| {step} | {per} |")
        else:
            cells[layer].setdefault(step, {})[side] = per
    lines = [f"| layer | {' | '.join(PASSES)} |", "|---" * (1 + len(PASSES)) + "|"]
    for layer, steps in cells.items():
        for side, title in (("ours", layer), ("naive", "&nbsp;&nbsp;naive loops")):
            if side in steps["forward"]:
                row = [steps[step].get(side, "") for step in PASSES]
                lines.append(f"| {title} | {' | '.join(row)} |")
    return "\n".join([*lines, "", "| element by element | per element |", "|---|---|", *elements])


def int8_table(folder: pathlib.Path) -> str:
    """Instructions and cycles of the int8 layers: per multiply-accumulate, or as a row says."""
    program = ROOT / "benchmarks/cortex_m/int8_layers.cc"
    run = trace(build(folder / "int8_layers.elf", (program, *sources("math"))))
    lines = ["| int8 layer | forward |", "|---|---|"]
    for line, cost in zip(run.output.splitlines(), run.regions, strict=True):
        layer, count, _ = line.split("|")
        per = f"{cost.instructions / int(count):.2f} / {cost.cycles / int(count):.2f}"
        lines.append(f"| {layer} | {per} |")
    return "\n".join(lines)


def step_table(folder: pathlib.Path) -> str:
    """Instructions, cycles, memory and code of whole training steps."""
    from cortex_m.nets import NETS, measure_step

    return step_rows([measure_step(net, folder) for net in NETS])


def step_rows(columns: list[Step]) -> str:
    """The table, a column for each net."""
    ours = "runtime and ops"
    rows = {
        "instructions": [f"{s.instructions:,}" for s in columns],
        "cycles, estimated": [f"{s.cycles:,}" for s in columns],
        "ms at 64 MHz": [f"{1e3 * s.cycles / CLOCK_HZ:.0f}" for s in columns],
        "cycles, predicted for this draw": [f"{s.predicted_cycles:,}" for s in columns],
        "predicted / estimated": [f"{s.predicted_cycles / s.cycles:.2f}" for s in columns],
        "cycles, predicted for equal shares": [f"{s.exported_cycles:,}" for s in columns],
        "arena, bytes": [f"{s.arena_bytes:,}" for s in columns],
        "other static data of runtime, model, program": [f"{_static(s):,}" for s in columns],
        "stack, bytes": [f"{s.stack_bytes:,}" for s in columns],
        "RAM in all, KiB": [
            f"{(_static(s) + s.arena_bytes + s.stack_bytes) / 1024:.1f}" for s in columns
        ],
        "code of runtime and ops, KiB": [f"{s.footprint.flash[ours] / 1024:.1f}" for s in columns],
        "model in flash, KiB": [f"{s.footprint.flash['model'] / 1024:.1f}" for s in columns],
    }
    lines = [f"| | {' | '.join(s.name for s in columns)} |", "|---" * (1 + len(columns)) + "|"]
    return "\n".join(lines + [f"| {name} | {' | '.join(row)} |" for name, row in rows.items()])


def _static(step) -> int:
    """Variables but for the arena and the C library's."""
    ram = {owner: size for owner, size in step.footprint.ram.items() if owner != "C library"}
    return sum(ram.values()) - step.arena_bytes


def write_tables(path: pathlib.Path, tables: dict[str, str]):
    """Replaces the tables of a page that stand between their markers."""
    text = path.read_text()
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = pattern.subn(lambda match, t=table: f"{match[1]}{t}\n{match[2]}", text)
        if count != 1:
            raise SystemExit(f"{path}: expected one table '{name}', got {count}. Mark its place.")
    path.write_text(text)


def main():
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--layers", action="store_true", help="layers alone")
    part.add_argument("--steps", action="store_true", help="whole training steps alone")
    parser.add_argument("--markdown", type=pathlib.Path, help="page whose tables are replaced")
    options = parser.parse_args()
    if missing := missing_tools():
        raise SystemExit(f"NOT MEASURED: no {' and no '.join(missing)} here.")
    tables = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if not options.steps:
            tables["layers"] = layer_table(measure_layers(folder))
            tables["int8"] = int8_table(folder)
            print("instructions / cycles per multiply-accumulate\n")
            print(f"{tables['layers']}\n\n{tables['int8']}\n")
        if not options.layers:
            tables["steps"] = step_table(folder)
            print(tables["steps"])
    if options.markdown:
        write_tables(options.markdown, tables)


if __name__ == "__main__":
    main()
