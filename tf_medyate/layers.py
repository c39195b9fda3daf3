"""Keras layers that carry a channel mask and can train just the channels it selects.

A masked layer is in one of three modes, chosen when the training function is traced:

    FULL     the kernel is an ordinary trainable variable (after `prepare`, and for the head)
    FROZEN   the kernel is constant
    SPARSE   the kernel is constant but for the masked-in channels, whose weights are read from
             the model's pool and whose gradient goes there

Which channels are drawn lives in variables, so a new draw needs no new trace.

Example:
    >>> layer = md.layers.MaskedConv2D(8, 3)
    >>> layer.channel_mask                    # bool, one entry per input channel
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.errors import PlanError
from tf_medyate.tensors import input_gradient, select_channels, spread_kernel

# Keras's hints are narrower than what its operations take.
_ops: Any = keras.ops

FULL = "full"
FROZEN = "frozen"
SPARSE = "sparse"

# Weight of the newest step in the running mean of a channel's gradient norm: about the last
# ten steps count, less than one epoch of the data sets that fit a device.
IMPORTANCE_MOMENTUM = 0.9


class ChannelMasked(keras.layers.Layer):
    """Mixin for layers with a kernel `[..., channels, outputs]` that read channels-last inputs.

    A subclass gives `kind` and `linear(inputs, kernel, dilation_rate)`, its operation without bias
    and activation.

    Attributes:
        channel_mask: bool variable [channels], the channels drawn; all True at first.
        importance: float32 variable [channels], running mean of each channel's gradient norm.
        pool_offset: int32 variable, where the layer's run begins in the pool.
        mode: FULL, FROZEN or SPARSE.
    """

    kind = ""

    def build(self, input_shape):
        """Makes the kernel as the base class does, and the selection variables beside it."""
        super().build(input_shape)
        channels = (int(input_shape[-1]),)
        self.channel_mask = self._state("channel_mask", channels, "bool", "ones")
        self.importance = self._state("importance", channels, "float32", "zeros")
        self.pool_offset = self._state("pool_offset", (), "int32", "zeros")
        self.mode = FULL
        self.state_of: Callable[[], Any] | None = None
        # The number of selected channels changes from draw to draw.
        self.supports_jit = False

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
        """Changes what is trained. Training functions traced before must be made anew.

        Args:
            mode: FULL, FROZEN or SPARSE.
            train_bias: The bias, if there is one, is trainable.
            state: Returns the model's TrainingState; needed for SPARSE. A function, so that
                Keras does not take the state for a part of the layer.
        """
        self.mode = mode
        self.state_of = state
        self.kernel.trainable = mode == FULL
        if self.bias is not None:
            self.bias.trainable = train_bias

    def linear(self, inputs, kernel, dilation_rate=None):
        """The layer's operation without bias and activation; None means its own dilation."""
        raise NotImplementedError(f"{type(self).__name__} must define linear(inputs, kernel)")

    def select_outputs(self, gradient, indices):
        """The part of an output gradient that the selected channels feed: all of it here."""
        del indices
        return gradient

    def call(self, inputs):
        """Applies the layer with the kernel as it stands, drawn channels from the pool."""
        if self.mode == SPARSE:
            outputs = self._sparse_linear(inputs)
        else:
            outputs = self.linear(inputs, self.kernel)
        if self.bias is not None:
            outputs = keras.ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    @property
    def bias_trainable(self) -> bool:
        """There is a bias and it is trained."""
        return self.bias is not None and self.bias.trainable

    # --- rows: one kernel position of one channel, [positions * channels, outputs]

    def _geometry(self) -> tuple[int, int, int]:
        """(kernel positions, channels, outputs per channel)."""
        *window, channels, outputs = self.kernel.shape
        return int(np.prod(window, dtype=np.int64)), int(channels), int(outputs)

    def _rows(self, indices):
        """Row numbers [n, positions, 1] of the selected channels."""
        positions, channels, _ = self._geometry()
        first = indices[:, None, None]
        if positions == 1:
            return first
        return first + channels * np.arange(positions)[None, :, None]

    def _state_layer(self):
        if self.state_of is None:
            raise PlanError(
                f"layer '{self.name}'", "a training state in mode SPARSE", "none", "Attach it."
            )
        return self.state_of()

    def _sparse_linear(self, inputs):
        state = self._state_layer()
        positions, channels, outputs = self._geometry()
        indices = tf.reshape(tf.where(self.channel_mask.value), [-1])
        count = tf.size(indices)
        run = count * positions * outputs
        offset = self.pool_offset.value

        @tf.custom_gradient
        def apply(x, base, pool):
            weights = tf.reshape(pool[offset : offset + run], [count, positions, outputs])
            rows = tf.reshape(base, [positions * channels, outputs])
            rows = tf.tensor_scatter_nd_update(rows, self._rows(indices), weights)
            kernel = tf.reshape(rows, self.kernel.shape)
            stash = select_channels(x, indices)

            def gradient(dy):
                def drawn():
                    d_weights = self._weight_gradient(stash, indices, dy)
                    self._refresh_importance(indices, d_weights)
                    after = tf.size(pool) - offset - run
                    scaled = tf.reshape(d_weights, [run]) * state.step_scale.value
                    return tf.pad(scaled, [[offset, after]])

                d_pool = tf.cond(count > 0, drawn, lambda: tf.zeros_like(pool))
                return input_gradient(self.linear, x, kernel, dy), None, d_pool

            return self.linear(x, kernel), gradient

        base = tf.stop_gradient(tf.convert_to_tensor(self.kernel.value))
        return apply(inputs, base, tf.convert_to_tensor(state.pool.value))

    def _weight_gradient(self, stash, indices, dy):
        """Gradient [n, positions, outputs] of the selected channels' weights, and of no others."""
        positions, _, outputs = self._geometry()
        count = tf.size(indices)
        window = [int(side) for side in self.kernel.shape[:-2]]
        # Only the shape matters: a convolution is linear in its kernel.
        kernel = tf.zeros([*window, count, outputs])
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            # TensorFlow dilates by reshaping, which needs the number of channels beforehand; a
            # kernel spread out with zeros does not.
            dilation = getattr(self, "dilation_rate", ())
            y = self.linear(stash, spread_kernel(kernel, dilation), [1] * len(dilation))
        d_kernel: Any = tape.gradient(y, kernel, output_gradients=self.select_outputs(dy, indices))
        if positions == 1:
            return tf.reshape(d_kernel, [count, 1, outputs])
        return tf.transpose(tf.reshape(d_kernel, [positions, count, outputs]), [1, 0, 2])

    def _refresh_importance(self, indices, d_weights):
        norms = tf.sqrt(tf.reduce_sum(tf.square(d_weights), axis=[1, 2]))
        old = tf.gather(self.importance.value, indices)
        step = (1.0 - IMPORTANCE_MOMENTUM) * (norms - old)
        self.importance.value.scatter_add(tf.IndexedSlices(step, indices))

    # --- between draws, in NumPy

    def read_channels(self, channels: np.ndarray) -> np.ndarray:
        """Weights `[n, positions, outputs]` of some channels, as last committed."""
        kernel = self.kernel.numpy().reshape(self._geometry())
        return np.ascontiguousarray(kernel[:, channels, :].transpose(1, 0, 2))

    def commit(self, pool: np.ndarray | None = None):
        """Writes the live weights of the drawn channels into the kernel; changes no output.

        Args:
            pool: The pool's values, for whoever commits many layers; None reads them.
        """
        if self.mode != SPARSE:
            return
        channels = np.flatnonzero(self.channel_mask.numpy())
        if not channels.size:
            return
        positions, _, outputs = self._geometry()
        values: Any = self._state_layer().pool.numpy() if pool is None else pool
        start = int(self.pool_offset.numpy())
        run = values[start : start + channels.size * positions * outputs]
        live = run.reshape(channels.size, positions, outputs).transpose(1, 0, 2)
        kernel = np.array(self.kernel.numpy()).reshape(self._geometry())
        if not np.array_equal(kernel[:, channels, :], live):  # assigning costs more than looking
            kernel[:, channels, :] = live
            self.kernel.assign(kernel.reshape(self.kernel.shape))

    def _saved(self) -> dict[str, Any]:
        return {variable.name: variable for variable in self.variables}

    def save_own_variables(self, store):
        """Saves every variable by name, what is in the pool committed: the file stands alone."""
        self.commit()
        for name, variable in self._saved().items():
            store[name] = variable.numpy()

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
            variable.assign(store[name])


@keras.saving.register_keras_serializable("tf_medyate")
class MaskedConv2D(ChannelMasked, keras.layers.Conv2D):
    """Conv2D with a channel mask; kernel [kh, kw, channels, filters]."""

    kind = "conv2d"

    def linear(self, inputs, kernel, dilation_rate=None):
        """2-D convolution, NHWC."""
        dilation = dilation_rate or self.dilation_rate
        return _ops.conv(inputs, kernel, self.strides, self.padding, "channels_last", dilation)


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


@keras.saving.register_keras_serializable("tf_medyate")
class MaskedDepthwiseConv2D(ChannelMasked, keras.layers.DepthwiseConv2D):
    """DepthwiseConv2D with a channel mask; kernel [kh, kw, channels, multiplier]."""

    kind = "depthwise_conv2d"

    def linear(self, inputs, kernel, dilation_rate=None):
        """Depthwise convolution, NHWC; output channel c * multiplier + j comes from channel c."""
        dilation = dilation_rate or self.dilation_rate
        return _ops.depthwise_conv(
            inputs, kernel, self.strides, self.padding, "channels_last", dilation
        )

    def select_outputs(self, gradient, indices):
        """The output channels that the selected input channels feed."""
        lead = tf.shape(gradient)[:-1]
        _, channels, multiplier = self._geometry()
        if multiplier == 1:
            return select_channels(gradient, indices)
        grouped = tf.reshape(gradient, tf.concat([lead, [channels, multiplier]], 0))
        chosen = tf.gather(grouped, indices, axis=-2)
        return tf.reshape(chosen, tf.concat([lead, [tf.size(indices) * multiplier]], 0))


@keras.saving.register_keras_serializable("tf_medyate")
class MaskedDense(ChannelMasked, keras.layers.Dense):
    """Dense with a channel mask over its input features; kernel [channels, units]."""

    kind = "dense"

    def linear(self, inputs, kernel, dilation_rate=None):
        """Matrix product over the last axis."""
        return keras.ops.matmul(inputs, kernel)


def masked_layers(model: keras.Model) -> list[ChannelMasked]:
    """The masked layers of a flat model, in the order Keras lists them."""
    return [layer for layer in model.layers if isinstance(layer, ChannelMasked)]
