"""What a pass over a weighted layer does: how often its kernel does each thing that costs cycles.

The things are the keys of `CYCLES` (prices.py). Counts follow the loops of tflm_ops/math: tiles of
four positions by four channels, and what is left over of either.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tf_medyate.exporter.board.walks import Axis, walk
from tf_medyate.exporter.ops import schema as op_schema

BLOCK_CHANNELS = 64
"""Channels that a pass takes at a time: kBlockChannels of tflm_ops/math/weights.h."""

Work = Mapping[str, float]
"""A key of `CYCLES` -> how often."""

_POINT = Axis(1, 1, 1, 1, 1, 0)


@dataclasses.dataclass(frozen=True)
class Layer:
    """A weighted layer: what its options say, whatever its kind.

    Attributes:
        kind: "conv", "depthwise" or "transpose".
        map: How positions down and across read their input.
        inputs: Channels read.
        outputs: Channels written.
    """

    kind: str
    map: tuple[Axis, Axis]
    inputs: int
    outputs: int

    @property
    def is_pointwise(self) -> bool:
        """Whether every position reads its own input position: the map is a row then."""
        return all(axis.is_unit for axis in self.map)

    @property
    def positions(self) -> int:
        """Output positions."""
        down, across = self.map
        return down.size * across.size if self.kind == "transpose" else down.out * across.out

    @property
    def taps(self) -> int:
        """Of the kernel."""
        return self.map[0].kernel * self.map[1].kernel

    @property
    def pairs(self) -> int:
        """Pairs of an output position and a tap that read the map and not its padding."""
        return self.map[0].pairs() * self.map[1].pairs()

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a pass."""
        return self.pairs * self.outputs * (1 if self.kind == "depthwise" else self.inputs)


def layer_of(kind: str, options: Mapping[str, Any]) -> Layer:
    """Reads an op's options; a dense layer is a convolution of one position."""
    if "units" in options:
        return Layer("conv", (_POINT, _POINT), options["inputs"], options["units"])
    sizes = ["input_size", "output_size"]
    if kind == "transpose":
        sizes.reverse()
    fields = (*sizes, "kernel_size", "stride", "dilation", "padding")
    down, across = (Axis(*(int(options[field][i]) for field in fields)) for i in (0, 1))
    return Layer(kind, (down, across), options["input_channels"], options["output_channels"])


def _as_row(layer: Layer) -> tuple[Axis, Axis]:
    if not layer.is_pointwise:
        return layer.map
    pixels = layer.map[0].size * layer.map[1].size
    return _POINT, Axis(pixels, pixels, 1, 1, 1, 0)


def pass_work(layer: Layer, forward: bool, drawn: float = 0, single_rows: bool = False) -> Work:
    """Forward, or the input's gradient.

    Args:
        layer: What it is.
        forward: Which.
        drawn: Its channels that are drawn.
        single_rows: The op makes one row at a time.
    """
    if layer.kind == "depthwise":
        return _depthwise_pass(layer, forward, single_rows)
    way = "forward" if forward else "gradient"
    reads_inputs = forward
    read, written = layer.inputs, layer.outputs
    if layer.kind == "transpose":
        forward = not forward
    if not reads_inputs:
        read, written = written, read
    mixed = reads_inputs and 0 < drawn < layer.inputs
    # Where the kernels take strips that meet padding.
    border = layer.kind == "conv" and (read > 1 if forward else read <= BLOCK_CHANNELS)
    found = walk(_as_row(layer), forward, border, single_rows)
    whole, rest = divmod(written, 4)
    tiles = whole + rest
    joined = not reads_inputs or (layer.is_pointwise and not mixed)
    blocks = 1 if joined else -(-read // BLOCK_CHANNELS)
    # With one input channel a row of taps is as a tap of many channels.
    in_one = forward and read == 1
    turns = found.strip_rows if in_one else found.strip_taps
    single_turns = found.single_rows if in_one else found.single_taps
    strip, single = found.strip_taps * read, found.single_taps * read
    work = {"forward.mixed": (strip + single) * tiles} if mixed else {}
    return work | {
        f"{way}.strip": strip * whole * 16,
        f"{way}.strip_rest": strip * rest * 4,
        f"{way}.single": single * whole * 4,
        f"{way}.single_rest": single * rest,
        f"{way}.tap": 0 if layer.is_pointwise else turns * tiles,
        f"{way}.tile": 0 if layer.is_pointwise else found.strips * tiles * blocks,
        f"{way}.pointwise_tile": found.strips * tiles * blocks if layer.is_pointwise else 0,
        f"{way}.single_tap": single_turns * tiles,
        f"{way}.single_tile": found.singles * tiles * blocks,
        "visit": (found.strips + found.singles) * blocks,
    }


def _depthwise_pass(layer: Layer, forward: bool, single_rows: bool) -> Work:
    if layer.outputs != layer.inputs:
        return {"depthwise.multiplied": layer.macs}
    found = walk(layer.map, forward, False, single_rows)
    whole, rest = divmod(layer.inputs, 4)
    blocks = -(-layer.inputs // BLOCK_CHANNELS)
    tiles = whole + rest
    return {
        "depthwise.strip": found.strip_taps * whole * 16,
        "depthwise.strip_rest": found.strip_taps * rest * 4,
        "depthwise.single": found.single_taps * whole * 4,
        "depthwise.single_rest": found.single_taps * rest,
        "depthwise.tile": found.strips * tiles,
        "depthwise.single_tile": found.singles * tiles,
        "visit": (found.strips + found.singles) * blocks,
    }


def weight_gradient_work(layer: Layer, drawn: float) -> Work:
    """The weights' gradient of the drawn channels, before a step is made of it."""
    down, across = _as_row(layer)
    if layer.kind == "depthwise":
        pairs = layer.pairs * drawn * (layer.outputs // layer.inputs)
        by_row = _reads_three_taps(across) and across.kernel == 3
        turns = down.pairs() * (1 if by_row else across.kernel)
        runs = down.kernel * (1 if by_row else across.kernel)
        way = "depthwise_update"
        return {f"{way}.mac": pairs, f"{way}.row": turns * drawn, f"{way}.run": runs * drawn}
    if layer.is_pointwise and layer.positions == 1:
        return {"dense_update.weight": layer.outputs * drawn, "dense_update.run": drawn}
    fours = drawn // 4
    ones = drawn - 4 * fours
    whole, rest = divmod(layer.outputs, 4)
    tiles = (fours + ones) * (whole + rest)
    pairs = layer.pairs
    return {
        "update.four": pairs * fours * 16 * whole,
        "update.four_rest": pairs * fours * 4 * rest,
        "update.one": pairs * ones * 4 * whole,
        "update.one_rest": pairs * ones * rest,
        "update.row": down.pairs() * across.kernel * tiles,
        "update.tile": layer.taps * tiles,
    }


def _reads_three_taps(across: Axis) -> bool:
    """As ReadsThreeTaps of tflm_ops/math/depthwise_conv2d.cc."""
    if across.kernel != 3 or across.dilation != 1 or across.out < 2:
        return False
    first, last = across.taps(0, True), across.taps(across.out - 1, True)
    return first in ((0, 1, 2), (1, 2)) and last in ((0, 1, 2), (0, 1))


def step_work(layer: Layer, options: Mapping[str, Any], drawn: float, optimizer: str) -> Work:
    """The step that an update op makes of a gradient."""
    weights = drawn * layer.taps * layer.outputs
    if layer.kind == "depthwise":
        weights //= layer.inputs
    work = {optimizer: weights, "drawn": drawn}
    if options["importance_offset"] != op_schema.NO_IMPORTANCE:
        work |= {"importance": weights, "norm": drawn}
    if options["bias_offset"] != op_schema.NO_BIAS_RUN:
        work[optimizer] += layer.outputs
        work["bias"] = layer.outputs * layer.positions
    return work
