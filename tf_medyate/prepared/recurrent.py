"""The recurrent half of an LSTM, GRU or SimpleRNN, with a mask over its hidden units.

`prepare` takes a recurrent layer apart: a MaskedDense projects the inputs of all steps, and this
layer carries the state from step to step. Its channels are the hidden units: a row of the recurrent
kernel needs one unit's states of all steps but the last, and nothing of the first, which is zero.

Example:
    >>> base = keras.Sequential([keras.Input((20, 6)), keras.layers.LSTM(8, name="lstm")])
    >>> [spec.name for spec in md.layer_specs(base)]
    ['lstm.input', 'lstm.recurrent']
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tf_medyate.prepared.layers import NEURONS, ChannelMasked

_K = keras.layers
_A: Any = keras.activations

States = tuple[Any, ...]


def _simple(layer: Any, now, product, states: States) -> States:
    return (layer.step_activation(now + product),)


def _gru(layer: Any, now, product, states: States) -> States:
    z, r, candidate = tf.split(now, 3, axis=-1)
    z_product, r_product, hidden = tf.split(product, 3, axis=-1)
    z, r = layer.gate(z + z_product), layer.gate(r + r_product)
    candidate = layer.step_activation(candidate + r * hidden)
    return (z * states[0] + (1 - z) * candidate,)


def _lstm(layer: Any, now, product, states: States) -> States:
    i, f, candidate, o = tf.split(now + product, 4, axis=-1)
    carry = layer.gate(f) * states[1] + layer.gate(i) * layer.step_activation(candidate)
    return layer.gate(o) * layer.step_activation(carry), carry


# Keras's layer -> (its step, kernel columns of a unit, states).
_CELLS: dict[type, tuple[Callable[..., States], int, int]] = {
    _K.SimpleRNN: (_simple, 1, 1),
    _K.GRU: (_gru, 3, 1),
    _K.LSTM: (_lstm, 4, 2),
}
RECURRENT = tuple(_CELLS)


@keras.saving.register_keras_serializable("tf_medyate")
class MaskedRecurrence(ChannelMasked, keras.layers.Layer):
    """Reads [batch, steps, gates * units], the projected inputs; kernel [units, gates * units].

    Args:
        units: Hidden units: the channels.
        cell: Keras's layer, or the name of its class.
        step_activation: Of the candidate state.
        gate: Activation of the gates.
        use_bias: Adds a bias to the recurrent product, as a GRU does.
        return_sequences: Answers with the states of all steps, not the last alone.
        go_backwards: Begins with the last step.
        **kwargs: Keras's own.
    """

    kind = "recurrent"
    activation = None  # what comes after `linear`

    def __init__(
        self,
        units: int,
        cell: Any,
        step_activation: Any = "tanh",
        gate: Any = "sigmoid",
        use_bias: bool = False,
        return_sequences: bool = False,
        go_backwards: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units, self.use_bias = units, use_bias
        known = {each.__name__: each for each in _CELLS}
        self.cell = known[cell] if isinstance(cell, str) else cell
        self.step_activation, self.gate = _A.get(step_activation), _A.get(gate)
        self.return_sequences, self.go_backwards = return_sequences, go_backwards
        self.kernel: Any = None
        self.bias: Any = None

    def get_config(self) -> dict[str, Any]:
        """As Keras's layers do."""
        return super().get_config() | {
            "units": self.units,
            "cell": self.cell.__name__,
            "step_activation": _A.serialize(self.step_activation),
            "gate": _A.serialize(self.gate),
            "use_bias": self.use_bias,
            "return_sequences": self.return_sequences,
            "go_backwards": self.go_backwards,
        }

    def make_kernel(self, input_shape):
        """See the base class."""
        columns = _CELLS[self.cell][1] * self.units
        self.kernel = self.add_weight(name="kernel", shape=(self.units, columns))
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(columns,), initializer="zeros")

    def compute_output_shape(self, input_shape):
        """[batch, steps, units], or [batch, units]."""
        batch, steps, _ = input_shape
        return (batch, steps, self.units) if self.return_sequences else (batch, self.units)

    def linear(self, inputs, kernel, dilation_rate=None):
        """The recurrence without a bias: not linear, but all that there is."""
        return self.biased(inputs, kernel, [])

    def biased(self, inputs, kernel, bias):
        """See the base class."""
        return self._answer(self._states(inputs, kernel, bias))

    def unrolled(self, inputs):
        """As a call, but without a loop, for a converter that has none."""
        zero = tf.zeros([inputs.shape[0], self.units], inputs.dtype)
        states, found = (zero,) * _CELLS[self.cell][2], []
        bias = [] if self.bias is None else [self.bias.value]
        steps = tf.unstack(inputs, axis=1)
        for now in reversed(steps) if self.go_backwards else steps:
            states = self._step(self.kernel.value, bias, states, now)
            found.append(states[0])
        return tf.stack(found, axis=1) if self.return_sequences else found[-1]

    def differentiable_biased(self, x, kernel, bias, run):
        """See the base class.

        A recurrent product is the same for every gate but for what is added to it, so the gradient
        of something added to it is that of the product; with the states before, it gives the
        kernel's rows.
        """
        shift = tf.zeros([x.shape[1], tf.shape(x)[0], x.shape[2]], x.dtype)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([x, shift])
            states = self._states(x, kernel, bias, shift)
            y = self._answer(states)

        def backward(dy):
            found: Any = tape.gradient(y, [x, shift], output_gradients=dy)
            dx, d_products = found
            before, d_later = states[:-1], tf.reshape(d_products[1:], [-1, kernel.shape[-1]])
            drawn = before if self.mode == NEURONS else tf.gather(before, run.channels, axis=-1)
            rows = tf.reshape(drawn, [-1, tf.shape(drawn)[-1]])
            d_kernel = tf.matmul(rows, d_later, transpose_a=True)
            if self.mode == NEURONS:
                d_kernel = tf.gather(self.as_units(d_kernel), run.channels, axis=-2)
            return dx, d_kernel, *[tf.reduce_sum(d_products, [0, 1]) for _ in bias]

        return y, backward

    def _states(self, x, kernel, bias, shift=None):
        """Hidden states [steps, batch, units] after each step."""
        by_step = tf.transpose(x, [1, 0, 2])
        by_step = tf.reverse(by_step, [0]) if self.go_backwards else by_step
        zeros = (tf.zeros([tf.shape(x)[0], self.units], x.dtype),) * _CELLS[self.cell][2]
        given = (by_step,) if shift is None else (by_step, shift)
        step = functools.partial(self._step, kernel, bias)
        return tf.scan(lambda states, now: step(states, *now), given, initializer=zeros)[0]

    def _step(self, kernel, bias, states: States, now, *added) -> States:
        product = tf.matmul(states[0], kernel)
        for value in (*bias, *added):
            product += value
        return _CELLS[self.cell][0](self, now, product, states)

    def _answer(self, states):
        return tf.transpose(states, [1, 0, 2]) if self.return_sequences else states[-1]
