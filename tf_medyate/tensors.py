"""Tensor operations that the masked layers are made of."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def select_channels(x, indices):
    """Picks channels-last channels of a tensor [..., channels] -> [..., n].

    A product with a one-hot matrix: on a CPU as fast as tf.gather along the last axis where few
    channels are drawn and faster where many are; exact, as all other terms are zero.
    """
    channels = x.shape[-1]
    flat = tf.reshape(x, [-1, channels])
    chosen = tf.matmul(flat, tf.one_hot(indices, channels, axis=0, dtype=x.dtype))
    return tf.reshape(chosen, tf.concat([tf.shape(x)[:-1], tf.shape(indices)], 0))


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
