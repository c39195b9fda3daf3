"""The sample of a model with several inputs: one tensor that holds them one after the other.

So host, protocol and static runner know of one sample, whatever the model looks like. Each input is
copied out of it before anything else; the first one lies where it is and costs nothing.

Example:
    >>> image, extra = keras.Input((8, 8, 3)), keras.Input((5,))
    >>> both = keras.layers.Concatenate()([keras.layers.Flatten()(image), extra])
    >>> sample_shape(keras.Model([image, extra], both))
    (197,)
"""

from __future__ import annotations

import math

import keras

from tf_medyate.exporter.lower.moving import copy_options
from tf_medyate.exporter.lower.state import Lowering
from tf_medyate.exporter.ops import schema as op_schema


def sample_shape(model: keras.Model) -> tuple[int, ...]:
    """Shape of a sample, without the batch: the input's, or [elements of all inputs]."""
    shapes = [tuple(int(side) for side in tensor.shape[1:]) for tensor in model.inputs]
    return shapes[0] if len(shapes) == 1 else (sum(map(math.prod, shapes)),)


def cut_sample(low: Lowering, sample: str) -> None:
    """Gives each input of the model its tensor.

    Args:
        low: A lowering that has not begun.
        sample: The graph's input.
    """
    if len(low.graph.inputs) == 1:
        low.tensors[low.graph.inputs[0]] = sample
        return
    total = low.builder.elements(sample)
    shapes = [low.graph.producer(name).layer.output.shape for name in low.graph.inputs]
    sizes = [math.prod(shape[1:]) for shape in shapes]
    offsets = [sum(sizes[:index]) for index in range(len(sizes))]
    parts = [*zip(low.graph.inputs, shapes, sizes, offsets, strict=True)]
    for name, shape, size, offset in reversed(parts):  # the first takes the sample's place
        if not low.graph.consumers(name) and name not in low.graph.outputs:
            continue
        low.tensors[name] = y = low.builder.tensor(name, (1, *shape[1:]))
        low.builder.op(
            op_schema.STRIDED_COPY,
            [sample],
            [y],
            copy_options([(size, 1)], offset, total),
            in_place=[] if offset else [(y, sample)],
        )
