"""The sample in 8 bits, where the int8 front is all that reads it.

Then the graph's input is what the front's first op reads, and the floats, four times as large, are
nowhere in the arena: whoever gives the sample does what QUANTIZE did, and a Rescaling at the
model's beginning.

Example:
    >>> int8_sample(low, "sample")  # doctest: +SKIP
    SampleType(dtype='int8', factor=0.00392..., offset=0.0, scale=0.00392..., zero=-128)
"""

from __future__ import annotations

import keras

from tf_medyate.exporter.ir.nodes import OpNode
from tf_medyate.exporter.lower.affine import per_channel
from tf_medyate.exporter.lower.state import Lowering
from tf_medyate.exporter.ops import int8_schema
from tf_medyate.sample_type import FLOATS, INT8, SampleType


def int8_sample(low: Lowering, sample: str) -> SampleType:
    """Makes the sample int8, if it can be.

    Args:
        low: A lowering that is done but for the control op.
        sample: The graph's input, float32.

    Returns:
        How the graph takes it.
    """
    gone, factor, offset = _rescaling(low, sample)
    read = low.builder.readers(gone[0].outputs[0] if gone else sample)
    if len(read) != 1 or read[0].kind != int8_schema.QUANTIZE.name:
        return FLOATS
    [stored] = read[0].outputs
    q = low.builder.quantization(stored)
    low.builder.replace_input(sample, stored, [*gone, *read])
    return SampleType(INT8, factor, offset, q.scale[0], q.zero_point[0])


def _rescaling(low: Lowering, sample: str) -> tuple[list[OpNode], float, float]:
    """The Rescaling that is the sample's only reader, and what it multiplies by and adds."""
    read = low.builder.readers(sample)
    made = [op.outputs for op in read]
    for node in low.graph.nodes:
        if type(node.layer) is keras.layers.Rescaling and made == [(low.tensors.get(node.name),)]:
            sides = tuple(int(side) for side in node.layer.input.shape[1:])
            scale, shift = per_channel(node.layer.scale, node.layer.offset, sides)
            if (scale == scale[0]).all() and (shift == shift[0]).all():
                return read, float(scale[0]), float(shift[0])
    return [], 1.0, 0.0
