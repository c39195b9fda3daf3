"""Cycles of a training step on a Cortex-M4F, estimated from its graph before it is exported.

The constants are measured by `benchmarks/cortex_m.py` on an emulated Cortex-M4F (docs/cortex_m.md
says how cycles are estimated, and how far off `step_cycles` is on whole steps). Code in the cache,
data in RAM: weights that are read from a slow flash cost more.

Example:
    >>> cycles = step_cycles(training.graph)  # doctest: +SKIP
    >>> cycles / 64_000_000  # seconds on an nRF52840  # doctest: +SKIP
    0.39
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_medyate.exporter.ir.graph import Graph
from tf_medyate.exporter.ir.nodes import OpNode
from tf_medyate.exporter.lower.backward import ADAM_TWINS
from tf_medyate.exporter.lower.int8_weights import INT8_TWINS
from tf_medyate.exporter.lower.state import POOL
from tf_medyate.exporter.ops import int8_schema
from tf_medyate.exporter.ops import schema as op_schema


@dataclasses.dataclass(frozen=True)
class PassCycles:
    """Cycles per multiply-accumulate of one kind of layer.

    Attributes:
        forward: y = x * w.
        input_gradient: dx = dy * w transposed.
        weight_gradient: dw of the drawn channels.
    """

    forward: float
    input_gradient: float
    weight_gradient: float


CYCLES_PER_MAC: Mapping[str, PassCycles] = {
    "pointwise": PassCycles(3.0, 3.0, 3.0),
    "conv": PassCycles(3.3, 3.3, 3.4),
    "one_channel": PassCycles(5.2, 5.9, 6.2),
    "depthwise": PassCycles(6.0, 6.9, 6.9),
    "dense": PassCycles(5.4, 6.2, 8.8),
}
"""By kind of layer: a 1x1 convolution, another one, one of a single input channel, and so on."""

CYCLES_PER_ELEMENT: Mapping[str, float] = {
    "activation": 9.8,
    "gate": 5.0,
    "stash": 11.1,
    "bias": 9.1,
    "update": 8.3,
    "adam": 63.0,
    "importance": 4.5,
    "pool": 9.2,
    "add": 11.0,
    "broadcast": 12.4,
    "exponential": 101.0,
    "normalize": 40.0,
    "normalize_gradient": 65.0,
    "int8_add": 50.0,
    "int8_pool": 27.1,
    "quantize": 58.0,
    "dequantize": 14.0,
}
"""Of what is done element by element, a pooling by its input; "update" is a step of SGD, "adam"
one of Adam, "importance" the norm before it."""

INT8_CYCLES_PER_MAC: Mapping[str, float] = {
    "pointwise": 2.3,
    "conv": 2.9,
    "one_channel": 5.4,
    "depthwise": 8.6,
}
"""Of the forward passes on int8 values, by the same kinds."""

CYCLES_PER_INT8_WEIGHT = 7.0
"""Of making a float of a weight that lies in 8 bits, once a pass."""

_CONVS = (op_schema.CONV_2D, op_schema.CONV_2D_INPUT_GRADIENT, op_schema.CONV_2D_UPDATE)
_DEPTHWISE = (
    op_schema.DEPTHWISE_CONV_2D,
    op_schema.DEPTHWISE_CONV_2D_INPUT_GRADIENT,
    op_schema.DEPTHWISE_CONV_2D_UPDATE,
)
_DENSE = (op_schema.DENSE, op_schema.DENSE_INPUT_GRADIENT, op_schema.DENSE_UPDATE)
_TRANSPOSES = (
    op_schema.CONV_2D_TRANSPOSE,
    op_schema.CONV_2D_TRANSPOSE_INPUT_GRADIENT,
    op_schema.CONV_2D_TRANSPOSE_UPDATE,
)
_WEIGHTED = {
    op.name: step
    for ops in (_CONVS, _DEPTHWISE, _TRANSPOSES, _DENSE)
    for step, op in enumerate(ops)
}
_ADAM = {twin.name: op.name for op, twin in ADAM_TWINS.items()}
_INT8 = {
    int8_schema.INT8_CONV_2D.name: op_schema.CONV_2D.name,
    int8_schema.INT8_DEPTHWISE_CONV_2D.name: op_schema.DEPTHWISE_CONV_2D.name,
}
_INT8_WEIGHTS = {twin.name: op.name for op, twin in INT8_TWINS.items()}
_INT8_INPUT = {
    int8_schema.INT8_INPUT_CONV_2D.name: op_schema.CONV_2D.name,
    int8_schema.INT8_INPUT_DEPTHWISE_CONV_2D.name: op_schema.DEPTHWISE_CONV_2D.name,
}
_STASHES = (op_schema.STASH.name, int8_schema.INT8_INPUT_STASH.name)
_FORWARD, _INPUT_GRADIENT, _UPDATE = range(3)
_ELEMENTWISE = {op.name: op.element_cost for op in op_schema.OPS if op.element_cost}
_OPTIONS = {op.name: op.options for op in op_schema.OPS}


def step_cycles(graph: Graph) -> int:
    """Cycles of one STEP of a training graph, with the budget filled.

    Channels are taken to be drawn with equal probability, as many as fit: which ones are drawn
    moves the cost of a step by a few percent.

    Args:
        graph: Of `lower_training`, or one of inference.

    Returns:
        Cycles of a Cortex-M4F.
    """
    shares = _drawn_shares(graph)
    return round(sum(_op_cycles(graph, op, shares) for op in graph.ops))


def _options(op: OpNode) -> dict[str, Any]:
    return _OPTIONS[op.kind].unpack(op.attributes["custom_options"])


def _drawn_shares(graph: Graph) -> dict[int, float]:
    """First word of a layer's slot -> share of its channels that is drawn."""
    controls = [op for op in graph.ops if op.kind == op_schema.CONTROL.name]
    if not controls:
        return {}
    [control] = controls
    options = _options(control)
    layout = graph.tensor(control.inputs[op_schema.CONTROL.inputs.index("layout")]).data
    assert layout is not None
    word = op_schema.LayoutWord
    slots = 1 + options["accumulates"] + options["optimizer_slots"]
    drawn = layout[:, word.RUN_OFFSET] == op_schema.DRAWN_ANEW
    elements = layout[:, word.WEIGHTS] * slots + layout[:, word.STASH]
    wanted = int(np.sum((layout[:, word.CHANNELS] * elements)[drawn]))
    free = graph.tensor(POOL).elements - options["fixed_elements"]
    share = min(1.0, free / wanted) if wanted else 0.0
    offsets = layout[:, word.SELECTION_OFFSET]
    return {int(at): share if new else 1.0 for at, new in zip(offsets, drawn, strict=True)}


def _op_cycles(graph: Graph, op: OpNode, shares: Mapping[int, float]) -> float:
    if op.kind in _WEIGHTED:
        return _weighted(op, shares)
    if op.kind == op_schema.CONV_DEPTHWISE.name:
        return _conv_depthwise(op)
    if op.kind in (int8_schema.INT8_CONV_DEPTHWISE.name, int8_schema.INT8_BOTTLENECK.name):
        return _int8_conv_depthwise(op)
    if op.kind in _STASHES:
        options = _options(op)
        drawn = options["channels"] * shares[options["selection_offset"]]
        return drawn * options["pixels"] * CYCLES_PER_ELEMENT["stash"]
    if op.kind in _INT8:
        return _int8(op)
    if op.kind in _INT8_INPUT:
        like = dataclasses.replace(op, kind=_INT8_INPUT[op.kind])
        values = graph.tensor(op.inputs[0]).elements
        return _weighted(like, shares) + values * CYCLES_PER_ELEMENT["dequantize"]
    if op.kind in _ADAM:
        return _weighted(dataclasses.replace(op, kind=_ADAM[op.kind]), shares, "adam")
    if op.kind in _INT8_WEIGHTS:
        like = dataclasses.replace(op, kind=_INT8_WEIGHTS[op.kind], inputs=op.inputs[:3])
        weights = graph.tensor(op.inputs[1]).elements
        return _weighted(like, {}) + weights * CYCLES_PER_INT8_WEIGHT
    if op.kind in _ELEMENTWISE:
        largest = max(graph.tensor(name).elements for name in (*op.reads, *op.outputs))
        return largest * CYCLES_PER_ELEMENT[_ELEMENTWISE[op.kind]]
    return 0.0


def _int8(op: OpNode) -> float:
    options, like = _options(op), _INT8[op.kind]
    macs, _, _ = _size(like, options)
    return macs * INT8_CYCLES_PER_MAC[_kind(like, options)]


def _weighted(op: OpNode, shares: Mapping[int, float], optimizer: str = "update") -> float:
    options, step = _options(op), _WEIGHTED[op.kind]
    macs, outputs, positions = _size(op.kind, options)
    cost = CYCLES_PER_MAC[_kind(op.kind, options)]
    share = shares.get(options["selection_offset"], 0.0)
    if step == _FORWARD:
        activated = options["activation"] != op_schema.Activation.NONE
        activation = activated * outputs * positions * CYCLES_PER_ELEMENT["activation"]
        return macs * cost.forward + activation
    if step == _INPUT_GRADIENT:
        return macs * cost.input_gradient
    weights = _weights(op.kind, options)
    each = CYCLES_PER_ELEMENT[optimizer]
    if options["importance_offset"] != op_schema.NO_IMPORTANCE:
        each += CYCLES_PER_ELEMENT["importance"]
    cycles = macs * share * cost.weight_gradient + weights * share * each
    if options["bias_offset"] != op_schema.NO_BIAS_RUN:
        cycles += outputs * positions * CYCLES_PER_ELEMENT["bias"]
    return cycles


def _kind(name: str, options: Mapping[str, Any]) -> str:
    if name in {op.name for op in _DENSE}:
        return "dense"
    if name in {op.name for op in _DEPTHWISE}:
        return "depthwise"
    if options["input_channels"] == 1:
        return "one_channel"
    return "pointwise" if tuple(options["kernel_size"]) == (1, 1) else "conv"


def _size(name: str, options: Mapping[str, Any]) -> tuple[int, int, int]:
    """(multiply-accumulates, output channels, output positions)."""
    if name in {op.name for op in _DENSE}:
        return options["inputs"] * options["units"], options["units"], 1
    channels, outputs = options["input_channels"], options["output_channels"]
    taps, positions = 1, 1
    sizes = ["input_size", "output_size"]
    if name in {op.name for op in _TRANSPOSES}:
        sizes.reverse()
    for axis in range(2):
        taps *= _taps(
            *(options[field][axis] for field in (*sizes, "kernel_size")),
            *(options[field][axis] for field in ("stride", "dilation", "padding")),
        )
        positions *= options["output_size"][axis]
    weights = outputs if name in {op.name for op in _DEPTHWISE} else channels * outputs
    return taps * weights, outputs, positions


def _weights(name: str, options: Mapping[str, Any]) -> int:
    """Weights of a layer."""
    if name in {op.name for op in _DENSE}:
        return options["inputs"] * options["units"]
    down, across = options["kernel_size"]
    fan_in = 1 if name in {op.name for op in _DEPTHWISE} else options["input_channels"]
    return down * across * fan_in * options["output_channels"]


def _taps(size: int, out: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    """Pairs of an output position and a tap that read the map and not its padding."""
    positions = np.arange(out)[:, None] * stride - padding + np.arange(kernel) * dilation
    return int(np.sum((positions >= 0) & (positions < size)))


def _conv_depthwise(op: OpNode) -> float:
    cycles = 0.0
    for half, name in _halves(_options(op)):
        macs, outputs, positions = _size(name, half)
        cycles += macs * CYCLES_PER_MAC[_kind(name, half)].forward
        if half["activation"]:
            cycles += outputs * positions * CYCLES_PER_ELEMENT["activation"]
    return cycles


def _int8_conv_depthwise(op: OpNode) -> float:
    options = _options(op)
    halves = _halves(options)
    cycles = sum(_size(n, half)[0] * INT8_CYCLES_PER_MAC[_kind(n, half)] for half, n in halves)
    projected = math.prod(options["output_size"]) * options.get("project_channels", 0)
    return cycles + options["output_channels"] * projected * INT8_CYCLES_PER_MAC["pointwise"]


def _halves(options: Mapping[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """The options of a convolution and a depthwise one that are one op, and what they are like."""
    sides = ("input", "middle", "output")
    kinds = (("conv", op_schema.CONV_2D.name), ("depthwise", op_schema.DEPTHWISE_CONV_2D.name))
    halves = []
    for i, (prefix, name) in enumerate(kinds):
        own = {field.removeprefix(f"{prefix}_"): v for field, v in options.items()}
        own |= {f"input_{what}": options[f"{sides[i]}_{what}"] for what in ("channels", "size")}
        own |= {
            f"output_{what}": options[f"{sides[i + 1]}_{what}"] for what in ("channels", "size")
        }
        halves.append((own, name))
    return halves
