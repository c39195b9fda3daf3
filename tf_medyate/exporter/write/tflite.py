"""From a graph of the IR and its memory plan to the bytes of a .tflite file.

Equal graphs give equal bytes. Constants, custom options and metadata start at multiples of 16 bytes
from the start of the file, as TFLM wants them: it reads them where they lie. Scratch tensors follow
the op's outputs, so that the runtime plans them like any other tensor.

Example:
    >>> write_tflite(graph, "out/train.tflite", memory_plan)
"""

from __future__ import annotations

import pathlib
from typing import Any

import flatbuffers
import numpy as np

from tf_medyate.errors import PlanError
from tf_medyate.exporter.ir.graph import Graph
from tf_medyate.exporter.ir.nodes import OpNode, Tensor
from tf_medyate.exporter.ir.values import ABSENT, DTYPES, VARIABLE
from tf_medyate.exporter.memory.placing import ALIGNMENT_BYTES
from tf_medyate.exporter.memory.planner import MemoryPlan
from tf_medyate.exporter.ops import options as op_options
from tf_medyate.private_apis import tflite_schema

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
OFFLINE_PLAN = "OfflineMemoryAllocation"
OFFLINE_PLAN_VERSION = 1


class _AlignedBuilder(flatbuffers.Builder):
    """Starts byte vectors at multiples of 16, which the Python packer does not do by itself."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int):
        """As the base, whose argument names these are."""
        return super().StartVector(
            elemSize, numElems, ALIGNMENT_BYTES if elemSize == 1 else alignment
        )


def write_tflite(graph: Graph, path: str | pathlib.Path, plan: MemoryPlan | None = None) -> int:
    """Writes a graph to a file; arguments and errors as `to_tflite`.

    Returns:
        Size of the file in bytes.
    """
    data = to_tflite(graph, plan)
    pathlib.Path(path).write_bytes(data)
    return len(data)


def to_tflite(graph: Graph, plan: MemoryPlan | None = None) -> bytes:
    """Serializes a graph.

    Args:
        graph: The graph. Kinds of ops are TensorFlow Lite's names, with attributes as in
            `op_options`, or begin with MEDYATE_ and have one attribute, `custom_options`: bytes.
        plan: Where TFLM shall place the tensors; None leaves it to TFLM.

    Returns:
        The flatbuffer.

    Raises:
        OptionError: An op or an attribute is unknown.
        PlanError: The plan was made for another graph.
    """
    # TensorFlow takes seconds to import: only writing a file waits for it.
    schema = tflite_schema()
    model = schema.ModelT()
    model.version = SCHEMA_VERSION
    model.description = f"tf_medyate: {graph.name}"
    model.buffers = [schema.BufferT()]  # buffer 0 is empty: tensors without data refer to it
    model.operatorCodes, codes = _operator_codes(graph, schema)
    model.subgraphs = [_subgraph(graph, codes, model.buffers, schema)]
    if plan is not None:
        _check_plan(graph, plan)
        model.metadata = [_offline_plan(graph, plan, model.buffers, schema)]
    builder = _AlignedBuilder(1024)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def _add_buffer(buffers: list, data: bytes, schema: Any) -> int:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    buffers.append(buffer)
    return len(buffers) - 1


def _operator_codes(graph: Graph, schema: Any) -> tuple[list, dict[tuple[str, int], int]]:
    """The operator codes in order of first use, and the index of each (kind, version)."""
    codes, index = [], {}
    for op in graph.ops:
        key = _code_key(graph, op)
        if key in index:
            continue
        index[key] = len(codes)
        code = schema.OperatorCodeT()
        number = schema.BuiltinOperator.CUSTOM
        if op_options.is_custom(op):
            code.customCode = op.kind
        else:
            number = getattr(schema.BuiltinOperator, op.kind)
        code.builtinCode = number
        # Readers older than the wide field take the narrow one, which cannot hold more than 127.
        code.deprecatedBuiltinCode = min(
            number, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES
        )
        code.version = key[1]
        codes.append(code)
    return codes, index


def _code_key(graph: Graph, op: OpNode) -> tuple[str, int]:
    is_int8 = any(graph.tensor(name).dtype == "int8" for name in op.reads)
    return op.kind, op_options.version(op, is_int8)


def _subgraph(graph: Graph, codes: dict, buffers: list, schema: Any):
    index = {tensor.name: number for number, tensor in enumerate(graph.tensors)}
    subgraph = schema.SubGraphT()
    subgraph.name = graph.name
    subgraph.tensors = [_tensor(tensor, buffers, schema) for tensor in graph.tensors]
    subgraph.inputs = [index[name] for name in graph.inputs]
    subgraph.outputs = [index[name] for name in graph.outputs]
    subgraph.operators = []
    for op in graph.ops:
        operator = _operator(op, index, schema)
        operator.opcodeIndex = codes[_code_key(graph, op)]
        subgraph.operators.append(operator)
    return subgraph


def _tensor(tensor: Tensor, buffers: list, schema: Any):
    out = schema.TensorT()
    out.name = tensor.name
    out.shape = list(tensor.shape)
    out.hasRank = True
    out.type = getattr(schema.TensorType, tensor.dtype.upper())
    out.isVariable = tensor.kind == VARIABLE
    out.buffer = 0
    if tensor.data is not None:
        little_endian = tensor.data.astype(DTYPES[tensor.dtype], copy=False)
        out.buffer = _add_buffer(buffers, little_endian.tobytes(), schema)
    if tensor.quantization is not None:
        out.quantization = schema.QuantizationParametersT()
        out.quantization.scale = list(tensor.quantization.scale)
        out.quantization.zeroPoint = list(tensor.quantization.zero_point)
        out.quantization.quantizedDimension = tensor.quantization.axis
    return out


def _operator(op: OpNode, index: dict[str, int], schema: Any):
    out = schema.OperatorT()
    out.inputs = [-1 if name == ABSENT else index[name] for name in op.inputs]
    out.outputs = [index[name] for name in (*op.outputs, *op.scratch)]
    if op.mutates:
        out.mutatingVariableInputs = [name in op.mutates for name in op.inputs]
    if not op_options.is_custom(op):
        out.builtinOptionsType, out.builtinOptions = op_options.builtin_options(op, schema)
        return out
    out.customOptions = np.frombuffer(op_options.custom_options(op), np.uint8)
    out.customOptionsFormat = schema.CustomOptionsFormat.FLEXBUFFERS  # the only value there is
    return out


def _offline_plan(graph: Graph, plan: MemoryPlan, buffers: list, schema: Any):
    """The metadata entry that TFLM reads: version, subgraph, count, an offset per tensor."""
    offsets = [plan.offsets[tensor.name] for tensor in graph.tensors]
    words = np.array([OFFLINE_PLAN_VERSION, 0, len(offsets), *offsets], "<i4")
    metadata = schema.MetadataT()
    metadata.name = OFFLINE_PLAN
    metadata.buffer = _add_buffer(buffers, words.tobytes(), schema)
    return metadata


def _check_plan(graph: Graph, plan: MemoryPlan) -> None:
    planned = {item.name: item.size_bytes for item in plan.placements}
    wanted = {name: graph.tensor(name).size_bytes for name in graph.lifetimes()}
    if planned != wanted or list(plan.offsets) != [tensor.name for tensor in graph.tensors]:
        raise PlanError(
            "plan",
            f"a memory plan of graph '{graph.name}'",
            f"one of '{plan.graph}' with other tensors",
            "Call plan_memory with this very graph.",
        )
