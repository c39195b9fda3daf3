"""Options and versions of TensorFlow Lite's built-in ops, from the attributes of an IR op.

Attributes carry the schema's names in snake case; enumerations are given by name. What is left out
keeps the schema's default.

Example:
    >>> op = OpNode("CONV_2D", ("x", "w", "b"), ("y",), attributes={
    ...     "padding": "SAME", "stride_w": 1, "stride_h": 1, "fused_activation_function": "RELU"})
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tf_medyate.errors import OptionError
from tf_medyate.exporter.ir.nodes import OpNode

# Built-in op -> (table of its options or None, version in float32, version in int8).
# Versions: tensorflow/lite/tools/versioning/op_version.cc.
BUILTIN = {
    "ADD": ("AddOptions", 1, 2),
    "AVERAGE_POOL_2D": ("Pool2DOptions", 1, 2),
    "CONCATENATION": ("ConcatenationOptions", 1, 2),
    "CONV_2D": ("Conv2DOptions", 1, 3),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", 1, 3),
    "DEQUANTIZE": ("DequantizeOptions", 2, 2),
    "FULLY_CONNECTED": ("FullyConnectedOptions", 1, 4),
    "HARD_SWISH": ("HardSwishOptions", 1, 1),
    "LEAKY_RELU": ("LeakyReluOptions", 1, 2),
    "LOGISTIC": (None, 1, 2),
    "MAX_POOL_2D": ("Pool2DOptions", 1, 2),
    "MEAN": ("ReducerOptions", 1, 2),
    "MUL": ("MulOptions", 1, 2),
    "PAD": ("PadOptions", 1, 2),
    "QUANTIZE": ("QuantizeOptions", 1, 1),
    "RELU": (None, 1, 2),
    "RELU6": (None, 1, 2),
    "RESHAPE": ("ReshapeOptions", 1, 1),
    "SOFTMAX": ("SoftmaxOptions", 1, 2),
    "SUB": ("SubOptions", 1, 2),
    "TANH": (None, 1, 2),
}

OP_VERSION, OPTIONS_TABLE = "op_version", "options_table"
"""Attributes of a built-in op as TensorFlow Lite's converter made it: any op, any version."""

CUSTOM_PREFIX = "MEDYATE_"
CUSTOM_OPTIONS = "custom_options"
_ENUMS = {"padding": "Padding", "fusedActivationFunction": "ActivationFunctionType"}


def is_custom(op: OpNode) -> bool:
    """Whether the op is one of ours, carried as a custom op with its options as bytes.

    Raises:
        OptionError: The op is neither ours nor a built-in op that is listed here.
    """
    if op.kind in BUILTIN or OP_VERSION in op.attributes:
        return False
    if op.kind.startswith(CUSTOM_PREFIX):
        return True
    raise OptionError(
        "op",
        f"a name that begins with {CUSTOM_PREFIX}, or one of {', '.join(BUILTIN)}",
        repr(op.kind),
        "Add the built-in op to tf_medyate/exporter/ops/options.py.",
    )


def version(op: OpNode, is_int8: bool) -> int:
    """The oldest version of the op that knows its dtype; 1 for custom ops."""
    if is_custom(op):
        return 1
    return op.attributes.get(OP_VERSION) or BUILTIN[op.kind][2 if is_int8 else 1]


def builtin_options(op: OpNode, schema: Any) -> tuple[int, Any]:
    """The options of a built-in op as the schema wants them.

    Args:
        op: The op; its attributes are the options.
        schema: The module `schema_py_generated`.

    Returns:
        The number of the options' table (0 for none) and the object, None for none.

    Raises:
        OptionError: The op has no such attribute, or an enumeration has no such value.
    """
    table = op.attributes[OPTIONS_TABLE] if OP_VERSION in op.attributes else BUILTIN[op.kind][0]
    options = getattr(schema, f"{table}T")() if table else None
    for attribute, value in op.attributes.items():
        if attribute in (OP_VERSION, OPTIONS_TABLE):
            continue
        field = _camel(attribute)
        if options is None or field not in vars(options):
            known = sorted(_snake(name) for name in vars(options)) if options else []
            raise OptionError(
                f"attribute '{attribute}' of op {op.kind}",
                f"one of {known}",
                repr(value),
                "Remove it, or correct its name.",
            )
        setattr(options, field, _value(op, attribute, field, value, schema))
    return (getattr(schema.BuiltinOptions, table) if table else 0), options


def converted(version: int, table: str, options: Any) -> dict[str, Any]:
    """The attributes of an op that TensorFlow Lite's converter made.

    Args:
        version: Its version.
        table: Name of its table of options, "" for none.
        options: The options as the schema's object; None for none.
    """
    fields = {} if options is None else vars(options)
    plain = {_snake(name): _plain(value) for name, value in fields.items() if value is not None}
    return {OP_VERSION: version, OPTIONS_TABLE: table} | plain


def _plain(value: Any) -> Any:
    return tuple(value.tolist()) if hasattr(value, "tolist") and np.ndim(value) else value


def _value(op: OpNode, attribute: str, field: str, value: Any, schema: Any) -> Any:
    if field not in _ENUMS or isinstance(value, int):
        return list(value) if isinstance(value, tuple) else value
    names = {n: v for n, v in vars(getattr(schema, _ENUMS[field])).items() if n.isupper()}
    if value not in names:
        raise OptionError(
            f"attribute '{attribute}' of op {op.kind}",
            f"one of {sorted(names)}",
            repr(value),
            "Name the value as TensorFlow Lite's schema does.",
        )
    return names[value]


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def custom_options(op: OpNode) -> bytes:
    """The options of one of our ops, b"" if it has none.

    Raises:
        OptionError: It has another attribute than `custom_options`, or that is not bytes.
    """
    options = op.attributes.get(CUSTOM_OPTIONS, b"")
    if not isinstance(options, bytes) or set(op.attributes) - {CUSTOM_OPTIONS}:
        raise OptionError(
            f"attributes of op {op.kind}",
            f"'{CUSTOM_OPTIONS}' alone, as bytes",
            str(op.attributes),
            "Pack the op's options into bytes first.",
        )
    return options
