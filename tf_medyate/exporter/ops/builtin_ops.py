"""Which of TensorFlow Lite's built-in ops TFLM at commit 88f8587 has, and what it keeps of each.

Measured in the tflite-micro wheel, by 8 and 24 copies of an op: bytes in the arena's tail beside
those that every op has, float32. A 32-bit board keeps no more. Ops that run other subgraphs or
keep a state of their own are left out.

Example:
    >>> BUILTIN_RECORDS["ADD"]
    72
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tf_medyate.exporter.memory.placing import align

Shapes = Sequence[Sequence[int]]

_COMPARISONS = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")
_REDUCTIONS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ALL")
_UNMEASURED = ("EXPAND_DIMS", "PRELU", "SQUEEZE")  # the converter made none in our trials
_SIMPLE = (
    "CEIL", "COS", "EXP", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "LOG", "LOG_SOFTMAX",
    "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "MAXIMUM", "MINIMUM", "NEG", "REVERSE_V2", "ROUND",
    "SIN", "SLICE", "SQRT", "SQUARE", "TRANSPOSE", "BROADCAST_TO", "BATCH_TO_SPACE_ND",
)  # fmt: skip

BUILTIN_RECORDS = {
    **dict.fromkeys(_SIMPLE, 0),
    **dict.fromkeys(_COMPARISONS, 32),
    **dict.fromkeys(_REDUCTIONS, 68),
    **dict.fromkeys(_UNMEASURED, 64),
    "ABS": 32,
    "ADD": 72,
    "ADD_N": 8,
    "ARG_MAX": 4,
    "ARG_MIN": 4,
    "AVERAGE_POOL_2D": 72,
    "BATCH_MATMUL": 52,
    "CAST": 8,
    "CONCATENATION": 88,
    "CONV_2D": 108,
    "CUMSUM": 4,
    "DEPTH_TO_SPACE": 36,
    "DEPTHWISE_CONV_2D": 108,
    "DEQUANTIZE": 32,
    "DIV": 36,
    "ELU": 256,
    "FULLY_CONNECTED": 96,
    "GATHER": 24,
    "GATHER_ND": 16,
    "HARD_SWISH": 32,
    "L2_NORMALIZATION": 20,
    "LEAKY_RELU": 36,
    "LOGISTIC": 16,
    "MAX_POOL_2D": 72,
    "MIRROR_PAD": 52,
    "MUL": 52,
    "PACK": 8,
    "PAD": 64,
    "PADV2": 64,
    "QUANTIZE": 64,
    "RELU": 32,
    "RELU6": 16,
    "RESHAPE": 36,
    "RESIZE_BILINEAR": 4,
    "RESIZE_NEAREST_NEIGHBOR": 4,
    "RSQRT": 32,
    "SELECT_V2": 16,
    "SOFTMAX": 84,
    "SPACE_TO_BATCH_ND": 16,
    "SPACE_TO_DEPTH": 36,
    "SPLIT": 4,
    "SPLIT_V": 4,
    "SQUARED_DIFFERENCE": 112,
    "STRIDED_SLICE": 120,
    "SUB": 72,
    "TANH": 16,
    "TRANSPOSE_CONV": 116,
    "UNPACK": 8,
}
"""Bytes for each op; `record_bytes` adds what grows with its tensors."""

_PER_CHANNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")  # two numbers each
_TRANSPOSED = 80  # of a factor that TFLM keeps transposed, beside its values
_WORD_BYTES = 4


def record_bytes(kind: str, reads: Shapes, makes: Shapes, adj: Sequence[int] = (1, 0)) -> int:
    """Bytes that TFLM keeps of a built-in op in the arena's tail, beside those of any op.

    Args:
        kind: The op.
        reads: Shapes of its inputs.
        makes: Shapes of its outputs.
        adj: Whether a matrix product takes each factor transposed; by default the dearest.
    """
    total = BUILTIN_RECORDS.get(kind, 0)
    if kind in _PER_CHANNEL:
        total += 2 * align(_WORD_BYTES * makes[0][-1])
    if kind == "BATCH_MATMUL":
        for shape, is_kept in zip(reads, (adj[0], not adj[1]), strict=True):
            total += is_kept * (_TRANSPOSED + align(_WORD_BYTES * math.prod(shape)))
    return total


def scratch_bytes(kind: str, reads: Shapes) -> tuple[int, ...]:
    """Scratch buffers that a built-in op asks TFLM for, largest first."""
    if kind in _REDUCTIONS:
        rank, axes = (align(_WORD_BYTES * n) for n in (len(reads[0]), math.prod(reads[1])))
        return max(rank, axes), min(rank, axes)
    if kind == "MIRROR_PAD":
        return (align(_WORD_BYTES * len(reads[0])),) * 2
    return (align(2 * _WORD_BYTES * len(reads)),) if kind == "ADD_N" else ()
