"""Keras layers that carry a channel mask and can train just the channels it selects.

A masked layer is in one of four modes, chosen when the training function is traced:

    FULL     the kernel is an ordinary trainable variable (after `prepare`, and for the head)
    FROZEN   the kernel is constant
    SPARSE   the kernel is constant but for the masked-in channels, whose weights are read from
             the model's pool and whose gradient goes there
    NEURONS  likewise for some of the output neurons, each with all its inputs' weights: no
             activation is saved by it; for comparison only

Which channels are drawn lives in variables, so a new draw needs no new trace.

Example:
    >>> layer = md.prepare(base).layers[1]     # a MaskedConv2D
    >>> layer.channel_mask                    # bool, one entry per input channel
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.errors import PlanError
from tf_medyate.kernel_order import channel_first
from tf_medyate.prepared.state import DrawnRun, LiveState
from tf_medyate.prepared.tensors import (
    assign,
    convolution_gradients,
    input_gradient,
    kernel_gradient,
    read,
    read_untracked,
    select_channels,
    spread_kernel,
    with_gradient,
)

# Keras's hints are narrower than what its operations take.
_ops: Any = keras.ops

FULL = "full"
FROZEN = "frozen"
SPARSE = "sparse"
NEURONS = "neurons"
DRAWN = (SPARSE, NEURONS)

Backward = Callable[[Any], tuple[Any, ...]]


class ChannelMasked(keras.layers.Layer):
    """Mixin for layers with a kernel `[..., channels, outputs]` that read channels-last inputs.

    A subclass gives `kind` and `linear(inputs, kernel, dilation_rate)`, its operation without bias
    and activation.

    Attributes:
        channel_mask: bool variable [channels], the channels drawn; all True at first.
        importance: float32 variable [channels], what the gradients said of each channel when it
            was last trained; see `spec.REFRESHES`.
        mode: FULL, FROZEN, SPARSE or NEURONS.
        slot: The layer's place among those that may be drawn from.
    """

    kind = ""

    def build(self, input_shape):
        """Makes the kernel as the base class does, and the selection variables beside it."""
        self.make_kernel(input_shape)
        channels = (int(self.kernel.shape[-2]),)
        self.channel_mask = self._state("channel_mask", channels, "bool", "ones")
        self.importance = self._state("importance", channels, "float32", "zeros")
        self.mode = FULL
        self.slot = 0
        self.state_of: Callable[[], Any] | None = None
        # The number of selected channels changes from draw to draw.
        self.supports_jit = False

    def make_kernel(self, input_shape):
        """Makes `kernel` and `bias`, as the base class does."""
        super().build(input_shape)

    def _state(self, name, shape, dtype, initializer):
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=initializer,
            trainable=False,
            autocast=False,
            aggregation="mean" if dtype == "float32" else "only_first_replica",
        )

    def set_mode(self, mode: str, train_bias: bool, state: Callable[[], Any] | None = None):
        """Changes what is trained. Training functions traced before must be made again.

        Args:
            mode: FULL, FROZEN, SPARSE or NEURONS.
            train_bias: The bias, if there is one, is trainable.
            state: Returns the model's TrainingState; needed for SPARSE and NEURONS. A function, so
                that Keras does not take the state for a part of the layer.
        """
        self.mode = mode
        self.state_of = state
        self.kernel.trainable = mode == FULL
        if self.bias is not None:
            self.bias.trainable = train_bias

    def linear(self, inputs, kernel, dilation_rate=None):
        """The layer's operation without bias and activation; None means its own dilation."""
        raise NotImplementedError(f"{type(self).__name__} must define linear(inputs, kernel)")

    def biased(self, inputs, kernel, bias):
        """`linear` with a bias: a list of one or none."""
        return _add_bias(self.linear(inputs, kernel), *bias)

    def select_outputs(self, gradient, run: DrawnRun):
        """The part of an output gradient that the drawn channels feed: all of it here."""
        del run
        return gradient

    def call(self, inputs):
        """Applies the layer with the kernel as it stands, drawn channels from the pool."""
        bias = [] if self.bias is None else [_read(self.bias)]
        if self.mode in DRAWN:
            outputs: Any = self._sparse_linear(inputs, bias)
        else:
            outputs = self.biased(inputs, _read(self.kernel), bias)
        return outputs if self.activation is None else self.activation(outputs)

    @property
    def bias_trainable(self) -> bool:
        """There is a bias and it is trained."""
        return self.bias is not None and self.bias.trainable

    def as_units(self, kernel: Any) -> Any:
        """A kernel, array or tensor, as [..., units, weights]: what is drawn are its units."""
        return self._turn(kernel) if self.mode == NEURONS else kernel

    def as_kernel(self, units: Any) -> Any:
        """`as_units` the other way."""
        return self._turn_back(units) if self.mode == NEURONS else units

    def _turn(self, kernel: Any) -> Any:
        """[..., channels, outputs] -> [..., outputs, channels]."""
        return swap_channels(kernel)

    def _turn_back(self, units: Any) -> Any:
        return self._turn(units)

    @property
    def unit_shape(self) -> tuple[int, ...]:
        """Shape of `as_units`."""
        return self.as_units(np.broadcast_to(np.float32(0), tuple(self.kernel.shape))).shape

    def _geometry(self) -> tuple[int, int, int]:
        """(kernel positions, units, weights of a unit at a position)."""
        *window, units, weights = self.unit_shape
        return int(np.prod(window, dtype=np.int64)), int(units), int(weights)

    def _state_layer(self):
        if self.state_of is None:
            raise PlanError(
                f"layer '{self.name}'", "a training state in mode SPARSE", "none", "Attach it."
            )
        return self.state_of()

    def _sparse_linear(self, inputs, bias):
        run: DrawnRun = self._state_layer().run(self.slot)
        base = self.as_units(tf.convert_to_tensor(self.kernel.value))
        rank, (_, _, outputs) = len(base.shape), self._geometry()

        def forward(x, weights, *bias):
            index = run.index if run.index.shape[-1] == rank - 1 else run.index[:, 1 - rank :]
            rows = tf.reshape(weights, run.constants((-1, outputs)))
            kernel = self.as_kernel(tf.tensor_scatter_nd_update(base, index, rows))

            y, backward = self.differentiable_biased(x, kernel, bias, run)

            def gradient(dy):
                dx, d_kernel, *d_bias = backward(dy)
                flat = tf.reshape(d_kernel, run.constants((-1,)))
                d_weights = tf.gather(flat, run.places, axis=run.constants(0))
                return dx, d_weights, *d_bias

            return [y], gradient

        (y,) = with_gradient(forward, inputs, run.weights, *bias)
        return y

    def differentiable_biased(self, x, kernel, bias, run: DrawnRun) -> tuple[Any, Backward]:
        """`biased` and its gradient: of input, trained weights, and the bias if there is one."""
        differentiable = self._by_neurons if self.mode == NEURONS else self.differentiable
        y, backward = differentiable(x, kernel, run)

        def gradient(dy):
            return *backward(dy), *[tf.raw_ops.BiasAddGrad(out_backprop=dy) for _ in bias]

        # Inside, where TensorFlow can fuse it with the operation before.
        return _add_bias(y, *bias), gradient

    def differentiable(self, x, kernel, run: DrawnRun) -> tuple[Any, Backward]:
        """The layer's operation, and its gradient with the drawn channels' weights alone.

        Args:
            x: The input.
            kernel: The kernel to apply.
            run: What is drawn.

        Returns:
            The output of `linear`, and a function of its gradient to (gradient of the input,
            gradient of a kernel of just the drawn channels).
        """
        dilation = getattr(self, "dilation_rate", ())
        window = [int(side) for side in kernel.shape[:-2]]

        def selected(x, kernel):
            # TensorFlow dilates by reshaping, which needs the number of channels beforehand; a
            # kernel spread out with zeros does not.
            return self.linear(x, spread_kernel(kernel, dilation), [1] * len(dilation))

        def backward(dy):
            some = tf.zeros(tf.concat([window, run.kernel_shape[2:]], 0), x.dtype)
            some = tf.ensure_shape(some, [*window, None, kernel.shape[-1]])
            picked, d_picked = select_channels(x, run.channels), self.select_outputs(dy, run)
            d_some = kernel_gradient(selected, picked, some, d_picked)
            return input_gradient(self.linear, x, kernel, dy), d_some

        return self.linear(x, kernel), backward

    def _by_neurons(self, x, kernel, run: DrawnRun) -> tuple[Any, Backward]:
        """As `differentiable`, but with the weights of drawn output neurons: picked out of all."""

        def backward(dy):
            d_units = self.as_units(kernel_gradient(self.linear, x, kernel, dy))
            return input_gradient(self.linear, x, kernel, dy), tf.gather(
                d_units, run.channels, axis=-2
            )

        return self.linear(x, kernel), backward

    @property
    def _dilated(self) -> bool:
        return any(step > 1 for step in getattr(self, "dilation_rate", ()))

    # --- between draws, in NumPy

    def read_channels(self, channels: np.ndarray) -> np.ndarray:
        """Weights `[n, positions, outputs]` of some channels or neurons, as last committed."""
        return np.ascontiguousarray(channel_first(self.as_units(read(self.kernel)))[channels])

    def commit(self, live: LiveState | None = None):
        """Writes the drawn channels' live weights into the kernel; changes no output.

        Their importances go to `importance`, too.

        Args:
            live: The state's values, so that many layers share one reading; None reads them.
        """
        if self.mode not in DRAWN:
            return
        now: LiveState = self._state_layer().read() if live is None else live
        placement = now.placements[self.slot]
        channels = placement.channels
        if not channels.size:
            return
        if now.steps and self.mode == SPARSE:
            self._commit_importance(channels, now.importance[placement.importance])
        positions, _, outputs = self._geometry()
        run = now.pool[placement.weights].reshape(channels.size, positions, outputs)
        self._commit_weights(channels, run.transpose(1, 0, 2))

    def set_weights(self, weights):
        """As in Keras; what is drawn takes its part into the pool."""
        super().set_weights(weights)
        if self.mode in DRAWN:
            state = self._state_layer()
            placement, pool = state.placements()[self.slot], np.array(read(state.pool))
            pool[placement.weights] = self.read_channels(placement.channels).reshape(-1)
            assign(state.pool, pool)

    def _commit_weights(self, channels, live):
        kernel = np.array(self.as_units(read(self.kernel))).reshape(self._geometry())
        if not np.array_equal(kernel[:, channels, :], live):  # assigning costs more than looking
            kernel[:, channels, :] = live
            assign(self.kernel, np.array(self.as_kernel(kernel.reshape(self.unit_shape))))

    def _commit_importance(self, channels, live):
        means = np.array(read(self.importance))
        if not np.array_equal(means[channels], live):
            means[channels] = live
            assign(self.importance, means)

    def _saved(self) -> dict[str, Any]:
        return {variable.name: variable for variable in self.variables}

    def save_own_variables(self, store):
        """Saves every variable by name, what is in the pool committed: the file stands alone."""
        self.commit()
        for name, variable in self._saved().items():
            store[name] = read(variable)

    def load_own_variables(self, store):
        """Restores what `save_own_variables` wrote.

        Raises:
            PlanError: The file belongs to a layer of other variables.
        """
        if set(store.keys()) != set(self._saved()):
            raise PlanError(
                f"layer '{self.name}'",
                f"variables {sorted(self._saved())}",
                f"{sorted(store.keys())}",
                "Load the file into the model that it was saved from, prepared the same way.",
            )
        for name, variable in self._saved().items():
            assign(variable, store[name])


@keras.saving.register_keras_serializable("tf_medyate")
class MaskedConv2D(ChannelMasked, keras.layers.Conv2D):
    """Conv2D with a channel mask; kernel [kh, kw, channels, filters]."""

    kind = "conv2d"

    def linear(self, inputs, kernel, dilation_rate=None):
        """2-D convolution, NHWC."""
        dilation = dilation_rate or self.dilation_rate
        return _ops.conv(inputs, kernel, self.strides, self.padding, "channels_last", dilation)

    def differentiable(self, x, kernel, run):
        """See the base class."""
        if self._dilated:
            return super().differentiable(x, kernel, run)

        def backward(dy):
            return convolution_gradients(x, kernel, run, dy, self.strides, self.padding)

        return self.linear(x, kernel), backward


@keras.saving.register_keras_serializable("tf_medyate")
class MaskedConv1D(ChannelMasked, keras.layers.Conv1D):
    """Conv1D with a channel mask; kernel [k, channels, filters]; "causal" padding included."""

    kind = "conv1d"

    def linear(self, inputs, kernel, dilation_rate=None):
        """1-D convolution over [batch, steps, channels]."""
        padding = self.padding
        if padding == "causal":
            # The spread-out kernel reaches as far as the dilated one.
            before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
            inputs = keras.ops.pad(inputs, [[0, 0], [before, 0], [0, 0]])
            padding = "valid"
        dilation = dilation_rate or self.dilation_rate
        return _ops.conv(inputs, kernel, self.strides, padding, "channels_last", dilation)

    def differentiable(self, x, kernel, run):
        """See the base class."""
        if self._dilated or self.padding == "causal":
            return super().differentiable(x, kernel, run)
        # What TensorFlow does, too, but once for both ways: a convolution over maps of height 1.
        height = run.constants(1)
        x, kernel = tf.expand_dims(x, height), tf.expand_dims(kernel, run.constants(0))
        strides = self.strides * 2

        def backward(dy):
            dy = tf.expand_dims(dy, height)
            dx, d_kernel = convolution_gradients(x, kernel, run, dy, strides, self.padding)
            return tf.squeeze(dx, 1), d_kernel

        y: Any = _ops.conv(x, kernel, strides, self.padding, "channels_last")
        return tf.squeeze(y, 1), backward


@keras.saving.register_keras_serializable("tf_medyate")
class MaskedDepthwiseConv2D(ChannelMasked, keras.layers.DepthwiseConv2D):
    """DepthwiseConv2D with a channel mask; kernel [kh, kw, channels, multiplier]."""

    kind = "depthwise_conv2d"

    def _turn(self, kernel):
        """[h, w, channels, multiplier] -> [h, w, channels * multiplier, 1]."""
        *window, channels, multiplier = self.kernel.shape
        reshape: Any = np.reshape if isinstance(kernel, np.ndarray) else tf.reshape
        return reshape(kernel, (*window, channels * multiplier, 1))

    def _turn_back(self, units):
        reshape: Any = np.reshape if isinstance(units, np.ndarray) else tf.reshape
        return reshape(units, tuple(self.kernel.shape))

    def linear(self, inputs, kernel, dilation_rate=None):
        """Depthwise convolution, NHWC; output channel c * multiplier + j comes from channel c."""
        dilation = dilation_rate or self.dilation_rate
        return _ops.depthwise_conv(
            inputs, kernel, self.strides, self.padding, "channels_last", dilation
        )

    def differentiable(self, x, kernel, run):
        """See the base class."""
        if self._dilated:
            return super().differentiable(x, kernel, run)
        how: Any = {"strides": [1, *self.strides, 1], "padding": self.padding.upper()}

        def backward(dy):
            dx = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=run.constants.shape_of(x), filter=kernel, out_backprop=dy, **how
            )
            return dx, tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
                input=select_channels(x, run.channels, run.constants(-1)),
                filter_sizes=run.kernel_shape,
                out_backprop=self.select_outputs(dy, run),
                **how,
            )

        return self.linear(x, kernel), backward

    def select_outputs(self, gradient, run):
        """The output channels that the selected input channels feed."""
        _, channels, multiplier = self._geometry()
        if multiplier == 1:
            return select_channels(gradient, run.channels, run.constants(-1))
        lead = tf.shape(gradient)[:-1]
        grouped = tf.reshape(gradient, tf.concat([lead, [channels, multiplier]], 0))
        chosen = tf.gather(grouped, run.channels, axis=-2)
        return tf.reshape(chosen, tf.concat([lead, [tf.size(run.channels) * multiplier]], 0))


@keras.saving.register_keras_serializable("tf_medyate")
class MaskedDense(ChannelMasked, keras.layers.Dense):
    """Dense with a channel mask over its input features; kernel [channels, units]."""

    kind = "dense"

    def linear(self, inputs, kernel, dilation_rate=None):
        """Matrix product over the last axis."""
        return keras.ops.matmul(inputs, kernel)

    def differentiable(self, x, kernel, run):
        """See the base class."""

        def backward(dy):
            dx = tf.matmul(dy, kernel, transpose_b=True)
            picked = select_channels(x, run.channels, run.constants(-1))
            if len(x.shape) > 2:
                picked = tf.reshape(picked, [-1, run.kernel_shape[2]])
                dy = tf.reshape(dy, [-1, dy.shape[-1]])
            return dx, tf.matmul(picked, dy, transpose_a=True)

        return self.linear(x, kernel), backward


def swap_channels(kernel: Any) -> Any:
    """A kernel, array or tensor, with its last two axes swapped."""
    if isinstance(kernel, np.ndarray):
        return np.swapaxes(kernel, -2, -1)
    return tf.linalg.matrix_transpose(kernel)


def _read(variable):
    # Keras's `trainable` is unknown to TensorFlow, whose tape would trace gradients down to the
    # first layer, frozen or not.
    return variable.value if variable.trainable else read_untracked(variable)


def _add_bias(outputs, *bias):
    # Not `add`: its gradient would work out at run time how the shapes broadcast.
    return tf.nn.bias_add(outputs, bias[0]) if bias else outputs


def masked_layers(model: keras.Model) -> list[ChannelMasked]:
    """The masked layers of a flat model, in the order Keras lists them."""
    return [layer for layer in model.layers if isinstance(layer, ChannelMasked)]
