"""One call of one op in the TFLM interpreter, and what TensorFlow says of it."""

import numpy as np
import tensorflow as tf
from simulate_graph import Graph

from tf_medyate.simulate import Interpreter

ROUNDING = 2.0**-24
SENTINEL = np.float32(-77.0)


def command(value):
    return np.array([value], np.int32)


def shape_and_dtype(item):
    """A shape is one of float32, unless it comes as (shape, dtype)."""
    return item if isinstance(item[-1], type) else (item, np.float32)


def call(op, options, inputs, outputs, in_place=(), given=None):
    """Runs one op whose outputs are graph inputs too, so that unwritten outputs show SENTINEL.

    Args:
        op: The op.
        options: Its packed options.
        inputs: Arrays.
        outputs: A shape (float32), or (shape, dtype), for each output.
        in_place: Pairs (output, input) that are one tensor.
        given: For each input of the op its number among the arrays, -1 for one that is left out;
            all of them in order if it is None.

    Returns:
        The outputs.
    """
    g = Graph()
    tensors = [g.input(x.shape, x.dtype) for x in inputs]
    values, results, shared = list(inputs), [], dict(in_place)
    for index, output in enumerate(outputs):
        if index in shared:
            results.append(tensors[shared[index]])
            continue
        shape, dtype = shape_and_dtype(output)
        results.append(g.input(shape, dtype))
        values.append(np.full(shape, SENTINEL if dtype == np.float32 else 77, dtype))
    numbers = range(len(tensors)) if given is None else given
    g.op(op, options, [-1 if n < 0 else tensors[n] for n in numbers], results)
    return Interpreter(g.bytes(results)).run(*values)


def normal(rng, shape):
    return rng.normal(size=shape).astype(np.float32)


def gradient(function, x, dy):
    """`function(x)` and the gradient of its product with dy, in float64."""
    variable = tf.Variable(x, dtype=tf.float64)
    with tf.GradientTape() as tape:
        y = function(variable)
    dx = tape.gradient(y, variable, tf.constant(dy.reshape(y.shape), tf.float64))
    return y.numpy(), tf.convert_to_tensor(dx).numpy()
