"""Tensor operations that the masked layers are made of.

TensorFlow's gradient functions compute what nobody asked for and trace many small operations; each
node of a graph takes some 20 KiB of the process while it is traced, optimized and run. So the
undilated layers name the gradient operations themselves.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.private_apis import eager_record

_record: Any = eager_record()
_local = threading.local()  # replicas of a distribution strategy trace in threads of their own

Backward = Callable[..., Sequence[Any]]


class Constants:
    """Small integer constants, each made once for a graph however often it is used.

    Example:
        >>> constants = Constants()
        >>> tf.reshape(x, constants((-1,)))
    """

    def __init__(self):
        self._made: dict[Any, Any] = {}

    def __call__(self, value: int | tuple[int, ...]) -> Any:
        """The int32 constant as a tensor of the graph that is being traced."""
        if tf.executing_eagerly():
            return tf.constant(value, tf.int32)
        key = (tf.compat.v1.get_default_graph(), value)
        if key not in self._made:
            self._made[key] = tf.constant(value, tf.int32)
        return self._made[key]

    def shape_of(self, x) -> Any:
        """The shape of a tensor: constant if it is known, worked out at run time if not."""
        known = x.shape.is_fully_defined()
        return self(tuple(x.shape)) if known else tf.shape(x)


class TracedOnce:
    """A function of batches, traced once for each kind of them, whatever their size.

    A `tf.function` of its own for each object would warn of retracing after the fourth.
    """

    def __init__(self, function: Callable):
        self._function = function
        self._traced: dict[Any, Any] = {}

    def __call__(self, *batch) -> Any:
        """Applies the function to structures of arrays, the first axis of each of any size."""
        tensors: Any = keras.tree.map_structure(tf.convert_to_tensor, batch)
        specs: Any = keras.tree.map_structure(_any_size, tensors)
        key = repr(specs)
        if key not in self._traced:
            # As Keras traces its steps; errors come out as they were raised.
            function = tf.function(lambda parts: self._function(*parts), autograph=False)
            self._traced[key] = function.get_concrete_function(specs)
        return self._traced[key](tensors)


def _any_size(tensor) -> tf.TensorSpec:
    return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)


def assign(variable, value):
    """Assigns to a Keras variable, outside of a graph.

    TensorFlow compiles a function of 37 KiB for each operation and shape of variable, and keeps it.
    The one that `variable.assign` takes differs from the one that has set the initial value; this
    takes the latter, unless the variable has copies in several replicas.

    Args:
        variable: A Keras variable.
        value: Array of its shape.

    Raises:
        ValueError: It has another shape.
    """
    stored = variable.value
    if isinstance(stored, tf.distribute.DistributedValues):
        variable.assign(value)
    else:
        fresh = tf.constant(np.asarray(value), stored.dtype)
        fresh.shape.assert_is_compatible_with(stored.shape)
        tf.raw_ops.AssignVariableOp(resource=stored.handle, value=fresh)


def read(variable) -> np.ndarray:
    """Value of a Keras variable, outside of a graph; without the copy that `numpy` compiles."""
    stored = variable.value
    if isinstance(stored, tf.distribute.DistributedValues):
        return variable.numpy()
    value: Any = tf.raw_ops.ReadVariableOp(resource=stored.handle, dtype=stored.dtype)
    return np.asarray(value.numpy())


@contextlib.contextmanager
def taped_directly():
    """Says that the model is called in the very function whose tape takes the gradient.

    So it is in Keras's training step. Elsewhere a tape may stand outside of a `tf.function`, where
    it sees the function's graph and not what was recorded while that was traced.
    """
    before, _local.taped = _taped_directly(), True
    try:
        yield
    finally:
        _local.taped = before


def _taped_directly() -> bool:
    return _record is not None and getattr(_local, "taped", False)


def read_untracked(variable):
    """Value of a Keras variable as a tensor that no gradient flows to."""
    if not _taped_directly():
        return tf.stop_gradient(variable.value)
    with _record.stop_recording():
        return tf.convert_to_tensor(variable.value)


def select_channels(x, indices, axis: Any = -1):
    """Picks channels-last channels of a tensor [..., channels] -> [..., n].

    Args:
        x: The tensor.
        indices: int32 [n].
        axis: -1, or a tensor of it if there is one already.
    """
    return tf.gather(x, indices, axis=axis)


def spread_kernel(kernel, dilation_rate):
    """The kernel [..., n, outputs] that does undilated what `kernel` does dilated."""
    for axis, step in enumerate(dilation_rate):
        if step > 1:
            side: Any = kernel.shape[axis]
            spread = tf.expand_dims(kernel, axis + 1)
            pad = [[0, 0]] * len(spread.shape)
            pad[axis + 1] = [0, step - 1]
            spread = tf.pad(spread, pad)
            shape = tf.shape(kernel)
            shape = tf.concat([shape[:axis], [side * step], shape[axis + 1 :]], 0)
            parts = [slice(None)] * axis + [slice(0, (side - 1) * step + 1)]
            kernel = tf.reshape(spread, shape)[tuple(parts)]
    return kernel


def input_gradient(linear, x, kernel, dy):
    """Gradient of a linear layer's input; its forward operation is dead code in a graph."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = linear(x, kernel)
    return tape.gradient(y, x, output_gradients=dy)


def kernel_gradient(linear, x, kernel, dy):
    """Gradient of a linear layer's kernel, of which only the shape matters."""
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        y = linear(x, kernel)
    return tape.gradient(y, kernel, output_gradients=dy)


def convolution_gradients(x, kernel, run, dy, strides, padding):
    """Gradients of an undilated 2-D convolution, NHWC.

    Args:
        x: Input [batch, height, width, channels].
        kernel: [height, width, channels, outputs].
        run: The Run that says which channels' weights are trained.
        dy: Gradient of the output.
        strides: Along height and width.
        padding: "same" or "valid".

    Returns:
        (dx, gradient of the weights that are trained, of shape `run.kernel_shape`).
    """
    how: Any = {"strides": [1, *strides, 1], "padding": padding.upper(), "out_backprop": dy}
    sizes = run.constants.shape_of(x)
    dx = tf.raw_ops.Conv2DBackpropInput(input_sizes=sizes, filter=kernel, **how)
    picked = select_channels(x, run.channels, run.constants(-1))
    return dx, tf.raw_ops.Conv2DBackpropFilter(input=picked, filter_sizes=run.kernel_shape, **how)


def with_gradient(forward: Callable[..., tuple[Sequence[Any], Backward]], *inputs) -> Sequence[Any]:
    """Computes tensors that have a gradient of their own, as `tf.custom_gradient` does.

    That one adds to each input an identity and zeros that nobody asked for, some eight nodes for
    a layer. Inside `taped_directly` the tapes alone are told.

    Args:
        forward: Function of the inputs to (outputs, function of the gradients of all outputs to
            those of the inputs). It reads no trainable variable.
        *inputs: Tensors or variables.

    Returns:
        The outputs, tensors.
    """
    given = [tf.convert_to_tensor(value) for value in inputs]
    if not _taped_directly():
        return tf.custom_gradient(forward)(*given)
    outputs, backward = forward(*given)
    _record.record_operation("MeDyate", list(outputs), given, backward)  # the last record counts
    return outputs


def sum_over_replicas(x):
    """Sum of a tensor over the replicas of a distribution strategy, if there are several."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)
