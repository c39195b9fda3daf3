"""Writes train.tflite and train.json: a small net's training step, and what TFLM made of it.

    python tests/golden/make_train.py

The C++ test of --config=upstream runs the same samples through TFLM built from source.
"""

import json
import pathlib

import keras
import numpy as np

import tf_medyate as md
from tf_medyate.exporter.manifest import PLAN_FILE, TRAIN_FILE
from tf_medyate.exporter.ops.schema import Command

_FOLDER = pathlib.Path(__file__).parent
_STEPS = 40


def small_model():
    """A convolution, a depthwise one with a gate, pooling, a residual sum, a head."""
    layers = keras.layers
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Add()([x, layers.ReLU(6.0)(y)])
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(4, 1)(x)
    x = layers.GlobalAveragePooling2D()(layers.Activation("hard_swish")(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name="golden")


def main():
    """Writes the files."""
    import tempfile

    keras.utils.set_random_seed(1)
    model = md.prepare(small_model())
    model.compile(keras.optimizers.SGD(0.05, momentum=0.5), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(1)
    x = (rng.integers(-8, 9, (_STEPS, 6, 6, 2)) / 4).astype(np.float32)  # short in the file
    y = rng.integers(0, 3, _STEPS)
    medyate = md.MeDyate("1500 B", "medyate-calibrated", calibration=(x, y), seed=1, verbose=0)
    medyate.set_model(model)
    with tempfile.TemporaryDirectory() as folder:
        bundle = md.export(model, folder, medyate)
        trainer = md.simulate.TFLMTrainer(bundle)
        losses = []
        for step in range(_STEPS):
            losses.append(trainer.step(x[step], y[step]))
            if step % 10 == 9:  # as the C++ test does: weights loaded again, next draw
                trainer._run(Command.DRAW)
        (_FOLDER / TRAIN_FILE).write_bytes((bundle.folder / TRAIN_FILE).read_bytes())
        assert (bundle.folder / PLAN_FILE).exists()
    content = {
        "rate": 0.05,
        "samples": [float(v) for v in x.reshape(-1)],
        "labels": y.tolist(),
        "loss_bits": [int(v) for v in np.array(losses, np.float32).view(np.uint32)],
    }
    (_FOLDER / "train.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
