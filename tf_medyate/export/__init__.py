"""From a model to the files that a microcontroller needs.

    values     kinds, dtypes, attributes, quantisation
    ir         the training graph as immutable values
    validation the rules that every graph keeps
    placing    best fit of blocks that live for a while
    planner    lifetimes -> arena offsets
    op_options options of TensorFlow Lite's built-in ops, by name
    tflite     graph + memory plan -> .tflite
    inference  Keras model -> inference-only .tflite, float32 or int8

Importing this package does not import TensorFlow; `write_tflite` and `write_inference` do.

Example:
    >>> plan = plan_memory(graph, arena_limit="128KiB")
    >>> print(plan)
    >>> write_tflite(graph, "out/train.tflite", plan)
    >>> write_inference(model, "out/model.tflite", representative_data=x[:100], int8=True)
"""

from tf_medyate.export.inference import write_inference
from tf_medyate.export.ir import Graph, Op, Tensor
from tf_medyate.export.planner import ArenaLimitError, MemoryPlan, Placement, plan_memory
from tf_medyate.export.tflite import to_tflite, write_tflite
from tf_medyate.export.values import FrozenMap, GraphError, Quantisation

__all__ = [
    "ArenaLimitError",
    "FrozenMap",
    "Graph",
    "GraphError",
    "MemoryPlan",
    "Op",
    "Placement",
    "Quantisation",
    "Tensor",
    "plan_memory",
    "to_tflite",
    "write_inference",
    "write_tflite",
]
