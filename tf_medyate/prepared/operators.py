"""Operators and functions of keras.ops in a graph, as the layers that do the same.

`x + y` becomes an Add layer, `x / 255.` a Rescaling, `keras.ops.relu(x)` an Activation: so they
have names and can be exported. What no layer does stays as it is.

Example:
    >>> import keras
    >>> from tf_medyate.prepared.graph import trace
    >>> x = keras.Input((4,))
    >>> node = trace(keras.Model(x, x / 255.0)).nodes[1]
    >>> [type(layer).__name__ for layer in layers_of(node)]
    ['Rescaling']
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tf_medyate.prepared.graph import Node, Slot

_K = keras.layers
_OPS: Any = keras.ops

_MERGES: tuple[tuple[Callable[[Any, Any], Any], type], ...] = (
    (lambda x, y: x + y, _K.Add),
    (lambda x, y: x - y, _K.Subtract),
    (lambda x, y: x * y, _K.Multiply),
    (_OPS.maximum, _K.Maximum),
    (_OPS.minimum, _K.Minimum),
)

# (scale, offset) of an operation on a tensor and a number; then with the number first.
_WITH_NUMBER: tuple[tuple[Callable[[Any, Any], Any], Callable, Callable | None], ...] = (
    (lambda x, y: x + y, lambda c: (1.0, c), lambda c: (1.0, c)),
    (lambda x, y: x - y, lambda c: (1.0, -c), lambda c: (-1.0, c)),
    (lambda x, y: x * y, lambda c: (c, 0.0), lambda c: (c, 0.0)),
    (lambda x, y: x / y, lambda c: (1.0 / c, 0.0), None),
    (_OPS.divide, lambda c: (1.0 / c, 0.0), None),
)

_A: Any = keras.activations
_FUNCTIONS: tuple[tuple[Any, Any], ...] = (
    *((getattr(_OPS, name), getattr(_A, name)) for name in (
        "relu", "relu6", "leaky_relu", "hard_silu", "softmax", "sigmoid", "hard_sigmoid", "tanh",
        "silu", "elu", "selu", "softplus", "softsign",
    )),
    (_OPS.exp, _A.exponential),
    (lambda x: _OPS.gelu(x, approximate=False), _A.gelu),
)  # fmt: skip

# A function with parameters, and the layer that has them under the same names.
_LAYERS: tuple[tuple[Any, Any], ...] = (
    (_A.relu, _K.ReLU),
    (_OPS.leaky_relu, _K.LeakyReLU),
    (_OPS.elu, _K.ELU),
    (_OPS.softmax, _K.Softmax),
)


def layers_of(node: Node) -> list[Any] | None:
    """The layers that do what an operation does, None if there are none."""
    operation = node.layer
    if isinstance(operation, keras.layers.Layer):
        return None
    activation = _activation(operation)
    if activation is not None and node.arguments is None:
        return [_K.Activation(activation, name=node.name)]
    kind = next((layer for f, layer in _LAYERS if type(operation) is _operation_of(f)), None)
    if kind is not None and node.arguments is None:
        return [kind(**_unnamed(operation), name=node.name)]
    if node.arguments is None or node.arguments[1]:
        return None
    operands = node.arguments[0]
    if len(operands) != 2:
        return None
    if all(isinstance(value, Slot) for value in operands):
        return _merge(node)
    return _rescaling(node, operands)


def _merge(node: Node) -> list[Any] | None:
    kind = next((layer for f, layer in _MERGES if type(node.layer) is _operation(f)), None)
    tensors = _input_tensors(node)
    alike = len({len(t.shape) for t in tensors}) == 1 and _are_float(tensors)
    return [kind(name=node.name)] if kind is not None and len(tensors) == 2 and alike else None


def _rescaling(node: Node, operands: Any) -> list[Any] | None:
    first = isinstance(operands[0], Slot)
    rules = ((a, b) for f, a, b in _WITH_NUMBER if type(node.layer) is _operation(f))
    rule = next((a if first else b for a, b in rules), None)
    value = operands[1 if first else 0]
    if rule is None or not _are_float(_input_tensors(node)):
        return None
    try:
        number = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return None
    channels = _input_tensors(node)[0].shape[-1]
    if number.size != 1 and (number.size != channels or number.shape[-1] != channels):
        return None
    scale, offset = (np.asarray(v, np.float64).reshape(-1).tolist() for v in rule(number))
    plain: list[Any] = [v[0] if len(v) == 1 else v for v in (scale, offset)]
    return [_K.Rescaling(*plain, name=node.name)]


def _input_tensors(node: Node) -> list[Any]:
    return keras.tree.flatten(node.layer.input)


def _are_float(tensors: list[Any]) -> bool:
    return all(str(tensor.dtype) == "float32" for tensor in tensors)


@functools.cache
def _operation(function: Callable[[Any, Any], Any]) -> type:
    """The class of what Keras makes of a function of two tensors."""
    x = keras.Input((2,))
    return type(keras.Model(x, function(x, 2.0)).operations[-1])


@functools.cache
def _operation_of(function: Callable[[Any], Any]) -> type:
    """The class of what Keras makes of a function of one tensor."""
    x = keras.Input((2,))
    return type(keras.Model(x, function(x)).operations[-1])


@functools.cache
def _activations() -> list[tuple[type, dict[str, Any], Any]]:
    """(class, configuration, activation) of what Keras makes of the functions in keras.ops."""
    x, rows = keras.Input((2,)), []
    for function, activation in _FUNCTIONS:
        operation = keras.Model(x, function(x)).operations[-1]
        rows.append((type(operation), _unnamed(operation), activation))
    return rows


def _activation(operation: Any) -> Any:
    """The activation of keras.activations that an operation computes."""
    rows = [row for row in _activations() if type(operation) is row[0]]
    return next((row[2] for row in rows if _unnamed(operation) == row[1]), None)


def _unnamed(operation: Any) -> dict[str, Any]:
    return {key: value for key, value in operation.get_config().items() if key != "name"}
