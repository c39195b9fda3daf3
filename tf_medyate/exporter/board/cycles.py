"""Cycles of a training step on a Cortex-M4F, estimated from its graph before it is exported.

A small model of the kernels: `layer_work` and `walks` count what an op does, `prices` say what
each of that costs on an emulated Cortex-M4F (docs/cortex_m.md says how cycles are estimated, how
the model was fitted, and how far off it is on whole steps). Code in the cache, data in RAM: weights
that are read from a slow flash cost more.

Example:
    >>> cycles = step_cycles(training.graph)  # doctest: +SKIP
    >>> cycles / 64_000_000  # seconds on an nRF52840  # doctest: +SKIP
    0.39
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tf_medyate.exporter.board.layer_work import (
    Layer,
    Work,
    layer_of,
    pass_work,
    step_work,
    weight_gradient_work,
)
from tf_medyate.exporter.board.prices import CYCLES
from tf_medyate.exporter.ir.graph import Graph
from tf_medyate.exporter.ir.nodes import OpNode
from tf_medyate.exporter.lower.backward import ADAM_TWINS
from tf_medyate.exporter.lower.int8_weights import INT8_TWINS
from tf_medyate.exporter.lower.state import POOL
from tf_medyate.exporter.ops import int8_schema
from tf_medyate.exporter.ops import schema as op_schema

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
    op.name: (kind, step)
    for kind, ops in (
        ("conv", _CONVS),
        ("depthwise", _DEPTHWISE),
        ("transpose", _TRANSPOSES),
        ("conv", _DENSE),
    )
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
_POOLS = {
    op_schema.MAX_POOL_2D.name: "max_pool",
    op_schema.MAX_POOL_2D_GRADIENT.name: "max_pool_gradient",
    op_schema.AVERAGE_POOL_2D.name: "average_pool",
    op_schema.AVERAGE_POOL_2D_GRADIENT.name: "average_pool_gradient",
}
_LOSSES = {op.name for op in op_schema.OPS if "loss" in op.outputs}
_OPTIONS = {op.name: op.options for op in op_schema.OPS}


def step_cycles(graph: Graph, drawn: Mapping[int, float] | None = None) -> int:
    """Cycles of one STEP of a training graph, with the budget filled.

    Args:
        graph: Of `lower_training`, or one of inference.
        drawn: First word of a layer's slot of the selection -> its channels that are drawn. By
            default all layers draw the same share of theirs, as many as fit: which ones are drawn
            moves the cost of a step by a few percent.

    Returns:
        Cycles of a Cortex-M4F.
    """
    counts = equal_shares(graph) if drawn is None else drawn
    return round(sum(_op_cycles(graph, op, counts) for op in graph.ops))


def _op_cycles(graph: Graph, op: OpNode, drawn: Mapping[int, float]) -> float:
    return sum(CYCLES[what] * times for what, times in _work(graph, op, drawn).items())


def _options(op: OpNode) -> dict[str, Any]:
    return _OPTIONS[op.kind].unpack(op.attributes["custom_options"])


def equal_shares(graph: Graph) -> dict[int, float]:
    """First word of a layer's slot -> its channels that are drawn, if all shares are equal."""
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
    channels = layout[:, word.CHANNELS]
    elements = layout[:, word.WEIGHTS] * slots + layout[:, word.STASH]
    wanted = int(np.sum((channels * elements)[drawn]))
    free = graph.tensor(POOL).elements - options["fixed_elements"]
    share = min(1.0, free / wanted) if wanted else 0.0
    counts = np.where(drawn, share, 1.0) * channels
    offsets = layout[:, word.SELECTION_OFFSET]
    return {int(at): float(count) for at, count in zip(offsets, counts, strict=True)}


def _sum(works: Iterable[Work]) -> Work:
    total: Counter[str] = Counter()
    for work in works:
        total.update(work)
    return dict(total)


def _work(graph: Graph, op: OpNode, drawn: Mapping[int, float]) -> Work:
    """How often an op does what costs cycles, and that it is called."""
    return {**_own_work(graph, op, drawn), "op": 1}


def _own_work(graph: Graph, op: OpNode, drawn: Mapping[int, float]) -> Work:
    if op.kind in _WEIGHTED:
        return _weighted(op, drawn)
    if op.kind in _INT8_INPUT:
        like = dataclasses.replace(op, kind=_INT8_INPUT[op.kind])
        return {**_weighted(like, drawn), "dequantize": graph.tensor(op.inputs[0]).elements}
    if op.kind in _ADAM:
        return _weighted(dataclasses.replace(op, kind=_ADAM[op.kind]), drawn, "adam")
    if op.kind in _INT8_WEIGHTS:
        like = dataclasses.replace(op, kind=_INT8_WEIGHTS[op.kind], inputs=op.inputs[:3])
        return {**_weighted(like, {}), "int8_weight": graph.tensor(op.inputs[1]).elements}
    if op.kind == op_schema.CONV_DEPTHWISE.name:
        return _sum(_in_rows(*half) for half in _halves(_options(op)))
    if op.kind in _INT8:
        return _int8(_layer(_INT8[op.kind], _options(op)))
    if op.kind in (int8_schema.INT8_CONV_DEPTHWISE.name, int8_schema.INT8_BOTTLENECK.name):
        return _int8_fused(_options(op))
    if op.kind in _STASHES:
        options = _options(op)
        count = drawn[options["selection_offset"]]
        return {"stash": count * options["pixels"], "stashed": count, "stash_op": 1}
    if op.kind == op_schema.CONTROL.name:
        # The trainer looks at the sample, too. One in 8 bits needs no looking at.
        sample = op.inputs[op_schema.CONTROL.inputs.index("sample")]
        looked_at = sample and graph.tensor(sample).dtype == "float32"
        return {"finite": 2 * graph.tensor(sample).elements if looked_at else 0, "control": 1}
    if op.kind in _POOLS:
        return _pool(_POOLS[op.kind], _options(op))
    if op.kind in _LOSSES:
        return {"loss": graph.tensor(op.inputs[0]).elements, "loss_op": 1}
    largest = max((graph.tensor(name).elements for name in (*op.reads, *op.outputs)), default=0)
    return {_ELEMENTWISE[op.kind]: largest} if op.kind in _ELEMENTWISE else {}


def _layer(name: str, options: Mapping[str, Any]) -> Layer:
    return layer_of(_WEIGHTED[name][0], options)


def _weighted(op: OpNode, drawn: Mapping[int, float], optimizer: str = "sgd") -> Work:
    options, (_, step) = _options(op), _WEIGHTED[op.kind]
    layer = _layer(op.kind, options)
    count = drawn.get(options["selection_offset"], 0.0)
    if step == _UPDATE:
        gradient = weight_gradient_work(layer, count)
        return {**gradient, **step_work(layer, options, count, optimizer), "update_op": 1}
    work = {**pass_work(layer, step == _FORWARD, count), "layer_op": 1, "read": count}
    return {**work, **_activation(layer, options)} if step == _FORWARD else work


def _activation(layer: Layer, options: Mapping[str, Any]) -> Work:
    if not options["activation"]:
        return {}
    name = "relu6" if options["activation"] == op_schema.Activation.RELU6 else "relu"
    gates = "_gates" if options.get("keeps_gates") else ""
    return {name + gates: layer.positions * layer.outputs}


def _in_rows(options: Mapping[str, Any], name: str) -> Work:
    """One of the layers of a MEDYATE_CONV_DEPTHWISE, which makes a row at a time."""
    layer = _layer(name, options)
    work = pass_work(layer, True, single_rows=True)
    return {**work, **_activation(layer, options), "row": layer.map[0].out}


def _int8(layer: Layer) -> Work:
    if layer.kind == "depthwise":
        return {"int8.depthwise": layer.macs}
    if layer.inputs == 1:
        return {"int8.one_channel": layer.macs}
    return {"int8.pointwise" if layer.is_pointwise else "int8.conv": layer.macs}


def _int8_fused(options: Mapping[str, Any]) -> Work:
    """A convolution, a depthwise one and, in a bottleneck, a projection."""
    projected = math.prod(options["output_size"]) * options.get("project_channels", 0)
    projection = {"int8.pointwise": options["output_channels"] * projected}
    return _sum([projection, *(_int8(_layer(name, half)) for half, name in _halves(options))])


def _pool(name: str, options: Mapping[str, Any]) -> Work:
    outputs = int(np.prod(options["output_size"])) * options["channels"]
    return {f"{name}.output": outputs, f"{name}.tap": outputs * int(np.prod(options["window"]))}


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
