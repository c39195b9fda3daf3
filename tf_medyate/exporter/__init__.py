"""From a model to the files that a microcontroller needs.

>>> bundle = md.export(model, "out/", plan=medyate, arena_limit="128KiB", representative_data=x)

The package can be called: that is `bundle.export_model`. Its modules, in the order of the flow:

    values     kinds, dtypes, attributes, quantisation
    ir         the training graph as immutable values
    validation the rules that every graph keeps
    op_structs fields, options structs, ops
    op_schema  our ops: names, options, tensors; op_header writes the C++ header from it
    recipe     model + MeDyate callback -> what is trained, and how
    geometry   Keras layer -> shapes; what is fused
    layout     where everything trained lies in the pool
    builder    collects tensors and ops
    lowering   Keras graph -> forward ops; lower_weighted and lower_weightless have the rules
    autodiff   forward ops -> backward ops and updates
    training   all of it: one graph, one step
    placing    best fit of blocks that live for a while
    planner    lifetimes -> arena offsets
    arena      what TFLM will report
    op_options options of TensorFlow Lite's built-in ops, by name
    tflite     graph + memory plan -> .tflite
    inference  Keras model -> inference-only .tflite, float32 or int8
    manifest   plan.json
    classes    spare classes, for a device to name
    cpp        the same graph as C++, for a board without TFLM; cpp_model and cpp_text write it
    firmware   what a board needs of all this
    bundle     the folder

Importing this package does not import TensorFlow; using it does.

Example:
    >>> plan = plan_memory(graph, arena_limit="128KiB")
    >>> print(plan)
    >>> write_tflite(graph, "out/train.tflite", plan)
    >>> write_inference(model, "out/model.tflite", representative_data=x[:100], int8=True)
"""

import sys
import types
from typing import TYPE_CHECKING

from tf_medyate.exporter.ir.graph import Graph, Op, Tensor
from tf_medyate.exporter.ir.values import FrozenMap, GraphError, Quantisation
from tf_medyate.exporter.memory.planner import ArenaLimitError, MemoryPlan, Placement, plan_memory
from tf_medyate.exporter.write.inference import write_inference
from tf_medyate.exporter.write.tflite import to_tflite, write_tflite

if TYPE_CHECKING:
    from tf_medyate.exporter.bundle import Bundle


class _CallableModule(types.ModuleType):
    """Lets `md.export(...)` be the exporter although `tf_medyate.exporter` is a package."""

    def __call__(
        self, model, out, plan, arena_limit=None, representative_data=None, firmware=None
    ) -> "Bundle":
        """See `tf_medyate.exporter.bundle.export_model`."""
        from tf_medyate.exporter.bundle import export_model

        return export_model(model, out, plan, arena_limit, representative_data, firmware)


sys.modules[__name__].__class__ = _CallableModule

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
