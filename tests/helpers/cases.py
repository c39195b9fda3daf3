"""Three small nets, each prepared and attached, with samples that hold something to learn."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

import tf_medyate as md

L = keras.layers
SGD = keras.optimizers.SGD
CLASSES = 4


def plain_net():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            L.Rescaling(0.5, offset=0.1),
            L.Conv2D(8, 3, padding="same", activation="relu"),
            L.MaxPooling2D(),
            L.Conv2D(12, 3, padding="same", use_bias=False),
            L.BatchNormalization(),
            L.ReLU(6.0),
            L.Conv2D(12, 1),
            L.LeakyReLU(negative_slope=0.1),
            L.GlobalAveragePooling2D(),
            L.Dropout(0.0),
            L.Dense(CLASSES, activation="softmax"),
        ]
    )


def separable_net():
    return keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            L.ZeroPadding2D(1),
            L.Conv2D(8, 3, strides=2),
            L.BatchNormalization(),
            L.ReLU(),
            L.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
            L.BatchNormalization(),
            L.ReLU(6.0),
            L.Conv2D(12, 1),
            L.Activation("hard_swish"),
            L.SeparableConv2D(8, 3, padding="same", activation="relu"),
            L.AveragePooling2D(2, padding="same"),
            L.Flatten(),
            L.Dense(CLASSES),
        ]
    )


def residual_net():
    inputs = keras.Input((8, 8, 4))
    x = L.ReLU()(L.Conv2D(8, 3, padding="same")(inputs))
    y = L.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = L.ReLU()(L.Add()([x, L.Conv2D(8, 3, padding="same")(y)]))
    z = L.Conv2D(4, 1)(x)
    x = L.Concatenate()([x, z, L.Activation("hard_swish")(z)])
    x = L.MaxPooling2D(3, strides=2, padding="same")(x)
    x = L.Conv2D(8, 3, dilation_rate=2, padding="same", activation="relu")(x)
    x = L.GlobalMaxPooling2D()(x)
    return keras.Model(inputs, L.Dense(CLASSES, activation="softmax")(x))


def shares_net():
    net = separable_net()
    return keras.Model(net.inputs, L.Activation("sigmoid")(net.outputs[0]))


def kept_net():
    """Layers that are moved, grouped, transposed and normalized between trained ones; logits."""
    inputs = keras.Input((6, 5, 2))
    x = L.LayerNormalization()(L.Conv2D(4, 3, padding="same")(inputs))
    x = L.Conv2D(4, 3, groups=2, padding="same", activation="relu")(L.Permute((2, 1, 3))(x))
    x = L.Conv2DTranspose(3, 3, strides=2, padding="same")(x)
    x = L.GroupNormalization(3)(L.UpSampling2D(2)(L.Cropping2D(2)(x)))
    x = L.DepthwiseConv1D(3, activation="relu")(L.Reshape((-1, 6))(x))
    return keras.Model(inputs, L.Dense(CLASSES)(L.GlobalAveragePooling1D()(x)))


NETS = {
    "plain": plain_net,
    "separable": separable_net,
    "residual": residual_net,
    "shares": shares_net,
}


@dataclasses.dataclass
class Case:
    model: md.layers.keras.Model
    medyate: md.MeDyate
    x: np.ndarray
    y: np.ndarray

    def step(self):
        """A function that trains one sample in Keras and returns its loss."""
        model = self.model
        loss = keras.losses.get(model.loss)

        @tf.function
        def step(sample, label):
            with tf.GradientTape() as tape:
                value = loss(label, model(sample, training=True))
            gradients = tape.gradient(value, model.trainable_variables)
            model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return value

        return lambda sample, label: float(step(sample[None], np.asarray(label)[None]))


def make_case(net, samples=50, budget="4KiB", optimizer=None, loss=None, seed=0, **options):
    """A prepared model with a callback attached, and samples of its shape.

    The net is a name in NETS, or a function that builds one whose outputs are logits. Its loss by
    default is the cross-entropy of its last activation.
    """
    keras.utils.set_random_seed(seed)
    model = md.prepare(NETS.get(net, net)())
    from_logits = net == "separable" or callable(net)
    if net == "shares":
        loss = loss or keras.losses.BinaryCrossentropy()
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    model.compile(optimizer or keras.optimizers.SGD(0.05), loss)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, *model.input_shape[1:])).astype(np.float32)
    y = rng.integers(0, CLASSES, samples)
    if not isinstance(loss, keras.losses.SparseCategoricalCrossentropy):
        y = np.eye(CLASSES, dtype=np.float32)[y]
        x += y[:, :1].reshape(-1, *[1] * (x.ndim - 1))
        return _attached(model, x, y, budget, seed, options)
    x += y.reshape(-1, *[1] * (x.ndim - 1)) * 0.3  # something to learn
    return _attached(model, x, y, budget, seed, options)


def _attached(model, x, y, budget, seed, options):
    medyate = md.MeDyate(budget=budget, calibration=(x, y), seed=seed, verbose=0, **options)
    medyate.set_model(model)
    return Case(model, medyate, x, y)
