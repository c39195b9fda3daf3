"""Makes keras2.h5, keras2.keras and keras2.json, with Keras 2: pip install tf_keras first.

The net has what Keras 3 does not read by itself: a depthwise and a separable convolution, a
normalization inside a nested functional model, and an optimizer's state in the .keras file.
"""

import json
import pathlib

import numpy as np
import tf_keras

HERE = pathlib.Path(__file__).parent
L = tf_keras.layers


def net():
    inside = tf_keras.Input((4, 4, 4))
    x = L.BatchNormalization(name="norm")(inside)
    inner = tf_keras.Model(inside, L.ReLU(6.0)(x), name="inner")
    inputs = tf_keras.Input((4, 4, 2), name="image")
    x = L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="depthwise")(inputs)
    x = L.SeparableConv2D(3, 3, activation="relu", name="separable")(inner(x))
    x = L.Dense(3, activation="softmax", name="head")(L.GlobalAveragePooling2D()(x))
    return tf_keras.Model(inputs, x, name="keras2")


def main():
    tf_keras.utils.set_random_seed(0)
    model = net()
    x = np.linspace(-1, 1, 2 * 32, dtype=np.float32).reshape(2, 4, 4, 2)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.get_layer("inner").get_layer("norm").moving_mean.assign([0.1, -0.2, 0.3, 0.0])
    model.save(HERE / "keras2.h5", include_optimizer=False)
    model.save(HERE / "keras2.keras")
    outputs = {"outputs": model.predict(x, verbose=0).tolist()}
    (HERE / "keras2.json").write_text(json.dumps(outputs) + "\n")


if __name__ == "__main__":
    main()
