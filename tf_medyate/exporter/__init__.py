"""From a model to the files that a microcontroller needs.

>>> bundle = md.export(model, "out/", medyate, arena_limit="128KiB", representative_data=x)

The rooms, in the order of the flow:

    ir        the training graph as checked, immutable values
    ops       our ops as data; the C++ header is written from it
    lower     prepared model + callback -> training graph: forward, backward, update
    memory    lifetimes -> arena offsets; what TFLM will report
    manifest  plan.json
    write     .tflite, C++, Arduino and TFLM libraries
    board     does it fit a board, how long does a step take
    bundle    all of it: the exported folder

Importing this package does not import TensorFlow; using it does.

Example:
    >>> plan = plan_memory(graph, arena_limit="128KiB")
    >>> print(plan)
    >>> write_tflite(graph, "out/train.tflite", plan)
    >>> write_inference(model, "out/model.tflite", representative_data=x[:100], int8=True)
"""

from tf_medyate.exporter.ir.graph import Graph
from tf_medyate.exporter.ir.nodes import OpNode, Tensor
from tf_medyate.exporter.ir.values import FrozenMap, GraphError, Quantization
from tf_medyate.exporter.memory.planner import (
    ArenaLimitError,
    MemoryPlan,
    TensorPlacement,
    plan_memory,
)
from tf_medyate.exporter.write.inference import write_inference
from tf_medyate.exporter.write.tflite import to_tflite, write_tflite

__all__ = [
    "ArenaLimitError",
    "FrozenMap",
    "Graph",
    "GraphError",
    "MemoryPlan",
    "OpNode",
    "Quantization",
    "Tensor",
    "TensorPlacement",
    "plan_memory",
    "to_tflite",
    "write_inference",
    "write_tflite",
]
