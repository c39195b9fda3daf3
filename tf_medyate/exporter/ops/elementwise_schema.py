"""Our ops that go element by element: activation functions, and functions of two tensors.

Every op has a name of its own, and not a number in its options, so that a board links only those
that its model uses. `GRADIENTS` has each op's gradient.

Example:
    >>> from tf_medyate.exporter.ops import elementwise_schema
    >>> elementwise_schema.GRADIENTS["MEDYATE_TANH"].inputs
    ('output', 'output_gradient', 'command')
"""

from tf_medyate.exporter.ops.option_structs import (
    BROADCAST_OPTIONS,
    ELEMENTS_OPTIONS,
    ELU_OPTIONS,
    RELU_OPTIONS,
    SOFTMAX_OPTIONS,
)
from tf_medyate.exporter.ops.structs import OpSpec, OptionsStruct

INPUT, OUTPUT = "input", "output"
GRADIENTS: dict[str, OpSpec] = {}
"""Name of an op -> the op of its gradient."""
ELEMENTWISE_OPS: list[OpSpec] = []
"""Ops, each with its gradient after it."""


def _with_gradient(forward: OpSpec, gradient: OpSpec) -> OpSpec:
    GRADIENTS[forward.name] = gradient
    ELEMENTWISE_OPS.extend((forward, gradient))
    return forward


def _unary(
    key: str, name: str, cost: str, options: OptionsStruct = ELEMENTS_OPTIONS, kept: str = OUTPUT
) -> OpSpec:
    """A function of one tensor; its gradient is taken from what it read or what it gave."""
    place = "Output may lie where input does"
    unless = "." if kept == OUTPUT else ", unless the gradient is wanted."
    forward = OpSpec(key, name, options, ("input",), ("output",), place + unless, cost)
    gradient = OpSpec(
        f"{key}Gradient",
        f"{name}_GRADIENT",
        options,
        (kept, "output_gradient", "command"),
        ("input_gradient",),
        "input_gradient may lie where output_gradient does.",
        cost if kept == INPUT else "gate",
    )
    return _with_gradient(forward, gradient)


def _binary(key: str, name: str, meaning: str, needs: bool = True) -> OpSpec:
    """A function of two tensors, either of them repeated along sides that it lacks."""
    forward = OpSpec(
        key,
        name,
        BROADCAST_OPTIONS,
        ("a", "b"),
        ("output",),
        f"{meaning} The output may lie where an operand that is not repeated does.",
        "broadcast",
    )
    gradient = OpSpec(
        f"{key}Gradient",
        f"{name}_GRADIENT",
        BROADCAST_OPTIONS,
        ("output_gradient", "command", *(("a", "b") if needs else ("-1", "-1"))),
        ("input_gradient",),
        "Of the option's operand; may lie where output_gradient does if that is not repeated.",
        "broadcast",
    )
    return _with_gradient(forward, gradient)


_SIMPLE, _EXP = "activation", "exponential"

HARD_SWISH = _unary("HardSwish", "MEDYATE_HARD_SWISH", _SIMPLE, kept=INPUT)
HARD_SIGMOID = _unary("HardSigmoid", "MEDYATE_HARD_SIGMOID", _SIMPLE)
CLIPPED_RELU = _unary("ClippedRelu", "MEDYATE_CLIPPED_RELU", _SIMPLE, RELU_OPTIONS, INPUT)
SOFTSIGN = _unary("Softsign", "MEDYATE_SOFTSIGN", _SIMPLE)
SIGMOID = _unary("Sigmoid", "MEDYATE_SIGMOID", _EXP)
TANH = _unary("Tanh", "MEDYATE_TANH", _EXP)
EXPONENTIAL = _unary("Exponential", "MEDYATE_EXPONENTIAL", _EXP)
SOFTPLUS = _unary("Softplus", "MEDYATE_SOFTPLUS", _EXP)
ELU = _unary("Elu", "MEDYATE_ELU", _EXP, ELU_OPTIONS)
SILU = _unary("Silu", "MEDYATE_SILU", _EXP, kept=INPUT)
GELU = _unary("Gelu", "MEDYATE_GELU", _EXP, kept=INPUT)
GELU_TANH = _unary("GeluTanh", "MEDYATE_GELU_TANH", _EXP, kept=INPUT)
SOFTMAX = _unary("Softmax", "MEDYATE_SOFTMAX", _EXP, SOFTMAX_OPTIONS)
UNARY = tuple(GRADIENTS)
"""Names of the functions of one tensor."""

BROADCAST_ADD = _binary("BroadcastAdd", "MEDYATE_BROADCAST_ADD", "a + b.", needs=False)
SUBTRACT = _binary("Subtract", "MEDYATE_SUBTRACT", "a - b.", needs=False)
MULTIPLY = _binary("Multiply", "MEDYATE_MULTIPLY", "a * b.")
MAXIMUM = _binary("Maximum", "MEDYATE_MAXIMUM", "The larger of the two.")
MINIMUM = _binary("Minimum", "MEDYATE_MINIMUM", "The smaller of the two.")
P_RELU = _binary(
    "PRelu", "MEDYATE_P_RELU", "a where a > 0, a * b elsewhere; b is a constant, never trained."
)
BINARY = tuple(name for name in GRADIENTS if name not in UNARY)
"""Names of the functions of two tensors."""
