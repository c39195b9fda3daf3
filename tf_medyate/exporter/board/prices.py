"""Prices of the work of a training step: cycles of an emulated Cortex-M4F.

All in one place, as docs/cortex_m.md says they were measured: a least-squares fit to the counts of
single ops and of passes over single layers. The keys are those of `Work` (layer_work.py).

Example:
    >>> CYCLES["forward.strip"] * 16  # four positions, four channels, one channel read
    42.72
"""

from __future__ import annotations

from collections.abc import Mapping

CYCLES: Mapping[str, float] = {
    # Convolutions and dense layers, forward: multiply-accumulates in tiles of 4 positions by 4
    # channels (strip) and what is left over of channels (rest) or positions (single); a tap of a
    # tile, a tile, and what channels read from here and there cost more.
    "forward.strip": 2.67,
    "forward.strip_rest": 5.92,
    "forward.single": 5.04,
    "forward.single_rest": 7.57,
    "forward.tap": 91.3,
    "forward.tile": 233.0,
    "forward.pointwise_tile": 131.0,
    "forward.single_tap": 19.2,
    "forward.single_tile": 225.0,
    "forward.mixed": 1.74,
    # The same of the gradient of the input.
    "gradient.strip": 2.75,
    "gradient.strip_rest": 3.6,
    "gradient.single": 5.46,
    "gradient.single_rest": 5.72,
    "gradient.tap": 171.0,
    "gradient.tile": 0.0,
    "gradient.pointwise_tile": 121.0,
    "gradient.single_tap": 30.5,
    "gradient.single_tile": 267.0,
    # Depthwise layers, both passes; and those with several outputs for a channel.
    "depthwise.strip": 4.7,
    "depthwise.strip_rest": 8.47,
    "depthwise.single": 8.14,
    "depthwise.single_rest": 16.1,
    "depthwise.tile": 116.0,
    "depthwise.single_tile": 70.5,
    "depthwise.multiplied": 36.8,
    # A strip or a single position is found, a row of a fused convolution and depthwise layer begun.
    "visit": 304.0,
    "row": 10103.0,
    # Gradients of weights: four drawn channels at once, and one.
    "update.four": 2.88,
    "update.four_rest": 5.25,
    "update.one": 4.7,
    "update.one_rest": 9.45,
    "update.row": 13.7,
    "update.tile": 371.0,
    "depthwise_update.mac": 5.67,
    "depthwise_update.row": 19.3,
    "depthwise_update.run": 217.0,
    "dense_update.weight": 8.11,
    "dense_update.run": 35.9,
    # Steps, by weight, and by drawn channel.
    "sgd": 8.26,
    "adam": 63.0,
    "importance": 4.51,
    "norm": 620.0,
    "drawn": 169.0,
    "bias": 9.13,
    # Calls of an op, and drawn channels that a layer looks up.
    "op": 545.0,
    "layer_op": 1319.0,
    "update_op": 1758.0,
    "stash_op": 888.0,
    "control": 2001.0,
    "loss_op": 631.0,
    "read": 23.4,
    "stashed": 27.0,
    # Elements.
    "stash": 11.0,
    "finite": 8.0,
    "loss": 133.0,
    "relu": 7.0,
    "relu_gates": 8.51,
    "relu6": 9.66,
    "relu6_gates": 16.1,
    "gate": 5.0,
    "activation": 9.8,
    "add": 11.0,
    "broadcast": 12.4,
    "exponential": 101.0,
    "normalize": 40.0,
    "normalize_gradient": 65.0,
    "pool": 9.2,
    "max_pool.output": 44.3,
    "max_pool.tap": 12.4,
    "max_pool_gradient.output": 50.4,
    "max_pool_gradient.tap": 5.32,
    "average_pool.output": 54.4,
    "average_pool.tap": 10.4,
    "average_pool_gradient.output": 54.4,
    "average_pool_gradient.tap": 14.5,
    # Eight bits: multiply-accumulates, weights of which floats are made, elements.
    "int8.pointwise": 2.3,
    "int8.conv": 2.9,
    "int8.one_channel": 5.4,
    "int8.depthwise": 8.6,
    "int8_weight": 7.0,
    "int8_add": 50.0,
    "int8_pool": 27.1,
    "quantize": 58.0,
    "dequantize": 14.0,
}
"""A thing that ops do -> what it takes."""
