"""Writes docs/layers.md: what becomes of each layer, loss and optimizer, asked of the code.

    python tools/layers.py

The rows are those of tests/helpers/layer_rows.py and compiled_rows.py.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/helpers"))

import keras  # noqa: E402
from compiled_rows import LOSSES, OPTIMIZERS, LossRow, OptimizerRow, dense_net  # noqa: E402
from layer_rows import NETS, Net, Row  # noqa: E402

import tf_medyate as md  # noqa: E402
from tf_medyate.errors import OptionError, UnsupportedLayerError  # noqa: E402
from tf_medyate.exporter.board.firmware import FirmwareOptions  # noqa: E402
from tf_medyate.exporter.lower import weightless  # noqa: E402
from tf_medyate.exporter.ops.options import is_custom  # noqa: E402
from tf_medyate.prepared.graph import trace  # noqa: E402
from tf_medyate.prepared.layers import ChannelMasked  # noqa: E402
from tf_medyate.prepared.slots import optimizer_costs  # noqa: E402

PAGE = ROOT / "docs/layers.md"
TRAINED, FROZEN, FOLDED, PASSES = "trained", "frozen", "folded", "yes"
RATE = 0.0625  # a power of two: a step divided by it is the gradient
IN_FRONT, OFF, NO = "in front", "off", "no"
_TOP = """\
# Layers, losses, optimizers

Written by `python tools/layers.py` from what `md.prepare` and `md.check_export` say. Every layer is
trained in a tiny net against `tf.GradientTape`, and every row that is exported 50 steps in TFLM
against Keras (`tests/simulate/test_layer_rows.py`, `tests/exporter/test_compiled.py`). Models may
have several inputs and outputs, on TFLM and boards, too: [export.md](export.md#several-inputs).

| | |
|---|---|
| trained | channels are drawn from it, and trained |
| frozen | its weights stay, bit for bit; a gradient goes through it |
| folded | into the layer before it, whose channels are drawn |
| yes | it has no weights; a gradient goes through it |
| in front | only before everything that is trained |
| off | left out: the device trains without it |
| no | `md.check_export` refuses it by name |
"""
_SLOPES = (
    "The slopes of a `PReLU` are frozen by one rule, in every strategy, in Keras as on the device: "
    "a draw is of input channels, and a slope belongs to none. The papers' search space has none "
    "either. Learn them before `md.prepare`."
)


@dataclasses.dataclass(frozen=True)
class Fate:
    """What becomes of a row: in Keras, in TFLM, on a board without TFLM."""

    keras: str
    tflm: str
    board: str


def page() -> str:
    """The text of the page."""
    sections: dict[str, list[str]] = {}
    for net in NETS.values():
        for row, fate in zip(net.rows, fates(net), strict=True):
            lines = sections.setdefault(row.section or net.section, [])
            lines.append(f"| {row.name} | {fate.keras} | {fate.tflm} | {fate.board} |")
    head = ["| | Keras | TFLM | board |", "|---|---|---|---|"]
    parts = ["\n".join([f"\n## {title}\n", *head, *rows]) for title, rows in sections.items()]
    named = {type(layer) for net in NETS.values() for layer in net.build()[0].layers}
    others = ", ".join(f"`{kind.__name__}`" for kind in weightless.OFF if kind not in named)
    last = textwrap.fill(f"Off on the device as well, and without a row: {others}.", 120)
    return (
        "\n".join(
            [_TOP.rstrip(), *parts, "", last, "", textwrap.fill(_SLOPES, 120), *_compiled_tables()]
        )
        + "\n"
    )


def _compiled_tables() -> list[str]:
    lines = []
    for title, rows in (("Losses", LOSSES), ("Optimizers", OPTIMIZERS)):
        lines += [f"\n## {title}\n", "| | Keras | TFLM | board |", "|---|---|---|---|"]
        for row in rows:
            fate = compiled_fate(row)
            lines.append(f"| {row.name} | {fate.keras} | {fate.tflm} | {fate.board} |")
    return lines


def compiled_fate(row: LossRow | OptimizerRow) -> Fate:
    """What becomes of a loss or an optimizer."""
    optimizer: Any = keras.optimizers.SGD(RATE)
    loss, last, units, options = "sparse_categorical_crossentropy", "softmax", 3, {}
    if isinstance(row, OptimizerRow):
        optimizer = row.make()
    else:
        loss, last, units, options = row.make(), row.last, row.units, row.options
    model, medyate = _prepared_dense_net(last, units), md.MeDyate("16KiB", "d-full-random")
    model.compile(optimizer, loss, **options)
    checks = (
        lambda: optimizer_costs(optimizer),
        lambda: md.check_export(model, medyate),
        lambda: md.check_export(model, medyate, firmware=FirmwareOptions(board=None)),
    )
    told: list[str] = []
    for check in checks:  # each asks for more than the one before
        try:
            check()
        except OptionError:
            break
        told.append(PASSES)
    return Fate(*told, *[NO] * (len(checks) - len(told)))


@functools.cache
def _prepared_dense_net(last: str | None, units: int) -> keras.Model:
    return md.prepare(dense_net(last, units=units))


@functools.cache
def fates(net: Net) -> tuple[Fate, ...]:
    """What becomes of a net's rows; one after the other if their net cannot be exported."""
    model, names = prepared(net, net.rows)
    found = exported(model, names)
    if found is None:
        found = [_alone(net, row) for row in net.rows]
    hosts = [_in_keras(model, row) for row in names]
    return tuple(
        Fate(host, *(host if kind == PASSES else kind for kind in kinds))
        for host, kinds in zip(hosts, found, strict=True)
    )


def prepared(
    net: Net, rows: Sequence[Row], trainable: bool = True
) -> tuple[keras.Model, list[list[str]]]:
    """A net as `prepare` makes it, and the names of each row's layers."""
    base, names = net.build(tuple(rows))
    for layer in base.layers[:-1]:
        layer.trainable = trainable
    model = md.prepare(base)
    model.compile(keras.optimizers.SGD(RATE), "sparse_categorical_crossentropy")
    return model, names


def _alone(net: Net, row: Row) -> tuple[str, str]:
    for trainable in (True, False):
        model, names = prepared(net, [row], trainable)
        found = exported(model, names)
        if found is not None:
            tflm, board = found[0]
            return (tflm, board) if trainable else (IN_FRONT, board if board == NO else IN_FRONT)
    return NO, NO


def exported(model: keras.Model, names: list[list[str]]) -> list[tuple[str, str]] | None:
    """(in TFLM, on a board) for each row, None if the export refuses them."""
    try:
        plan = md.check_export(model, md.MeDyate("1MiB", verbose=0))
    except UnsupportedLayerError:
        return None
    on_board = all(is_custom(op) for op in plan.training.graph.ops)
    left_out = plan.training.left_out
    kinds = [OFF if set(row) & set(left_out) else PASSES for row in names]
    return [(kind, kind if on_board else NO) for kind in kinds]


def _in_keras(model: keras.Model, names: list[str]) -> str:
    layers = [
        node.layer
        for node in trace(model).nodes
        if any(node.name == name or node.name.startswith(f"{name}.") for name in names)
    ]
    if not layers:
        return FOLDED
    if any(isinstance(layer, ChannelMasked) for layer in layers):
        return TRAINED
    return FROZEN if any(getattr(layer, "weights", ()) for layer in layers) else PASSES


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
