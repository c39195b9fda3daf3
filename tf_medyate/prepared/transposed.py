"""Transposed convolutions with a channel mask.

Keras stores their kernels output channel first; here an input channel's weights are a row of their
own, as in every masked layer.

Example:
    >>> x = keras.Input((4, 4, 3))
    >>> y = keras.layers.Flatten()(keras.layers.Conv2DTranspose(5, 2)(x))
    >>> md.prepare(keras.Model(x, keras.layers.Dense(2)(y))).layers[1].kernel.shape
    TensorShape([2, 2, 3, 5])
"""

from __future__ import annotations

from typing import Any

import keras

from tf_medyate.prepared.layers import ChannelMasked, swap_channels

# Keras's hints are narrower than what its operations take.
_ops: Any = keras.ops


class MaskedConvTranspose(ChannelMasked):
    """What the two have in common; kernel [..., channels, filters]."""

    def make_kernel(self, input_shape):
        """See the base class; Keras's own kernel would be [..., filters, channels]."""
        channels = int(input_shape[-1])
        shape = (*self.kernel_size, channels, self.filters)
        axes = {-1: channels}
        self.input_spec = keras.layers.InputSpec(min_ndim=len(shape), axes=axes)
        self.kernel = self.add_weight(
            name="kernel", shape=shape, initializer=self.kernel_initializer
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), initializer=self.bias_initializer
            )

    def linear(self, inputs, kernel, dilation_rate=None):
        """Transposed convolution, channels last."""
        return _ops.conv_transpose(
            inputs,
            swap_channels(kernel),
            self.strides,
            self.padding,
            self.output_padding,
            "channels_last",
            dilation_rate or self.dilation_rate,
        )


@keras.saving.register_keras_serializable("tf_medyate")
class MaskedConv2DTranspose(MaskedConvTranspose, keras.layers.Conv2DTranspose):
    """Conv2DTranspose with a channel mask; kernel [kh, kw, channels, filters]."""

    kind = "conv2d_transpose"


@keras.saving.register_keras_serializable("tf_medyate")
class MaskedConv1DTranspose(MaskedConvTranspose, keras.layers.Conv1DTranspose):
    """Conv1DTranspose with a channel mask; kernel [k, channels, filters]."""

    kind = "conv1d_transpose"


def as_stored(layer: Any, kernel: Any) -> Any:
    """A masked layer's kernel as Keras's own layer stores it, and back."""
    return swap_channels(kernel) if isinstance(layer, MaskedConvTranspose) else kernel
