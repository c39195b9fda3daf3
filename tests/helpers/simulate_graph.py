"""Small TFLite graphs of our custom ops, for the tests."""

import dataclasses

import flatbuffers
import numpy as np

from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.private_apis import tflite_schema

schema = tflite_schema()

TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.int8): schema.TensorType.INT8,
}


class Graph:
    """Tensors are indices; ops run in the order in which they are added."""

    def __init__(self):
        self.tensors, self.operators, self.inputs = [], [], []
        self.buffers = [schema.BufferT()]
        self.codes = {}

    def tensor(self, shape, dtype=np.float32, data=None, variable=False):
        tensor = schema.TensorT()
        tensor.shape = list(shape)
        tensor.type = TYPES[np.dtype(dtype)]
        tensor.name = f"t{len(self.tensors)}"
        tensor.isVariable = variable
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def input(self, shape, dtype=np.float32):
        self.inputs.append(self.tensor(shape, dtype))
        return self.inputs[-1]

    def constant(self, data):
        return self.tensor(data.shape, data.dtype, data)

    def op(self, op, options, inputs, outputs):
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.setdefault(op.name, len(self.codes))
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        operator.customOptions = list(options)
        self.operators.append(operator)

    def bytes(self, outputs):
        subgraph = schema.SubGraphT()
        subgraph.tensors, subgraph.operators = self.tensors, self.operators
        subgraph.inputs, subgraph.outputs = self.inputs, list(outputs)
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [subgraph], self.buffers
        model.operatorCodes = []
        for name in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
            code.customCode, code.version = name, 1
            model.operatorCodes.append(code)
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def pack_selection(channels, capacity, run_offset):
    """A layer's slot of the selection variable, int32: its drawn channels, rising."""
    words = np.zeros(op_schema.selection_words(capacity), np.int32)
    words[:2] = len(channels), run_offset
    halves = np.zeros(2 * (len(words) - op_schema.SELECTION_HEADER_WORDS), "<u2")
    halves[: len(channels)] = channels
    words[op_schema.SELECTION_HEADER_WORDS :] = halves.view("<i4")
    return words


def pack_any(op, **values):
    """Options that may be out of range: the op has to find it out itself."""
    fields = (dataclasses.replace(field, limits=None) for field in op.options.fields)
    return dataclasses.replace(op.options, fields=tuple(fields)).pack(**values)
