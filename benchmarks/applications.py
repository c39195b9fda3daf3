"""Networks of keras.applications: prepared, ranked, exported, and trained in TFLM as in Keras.

    python benchmarks/applications.py [--networks NASNetMobile,...] [--steps 5] [--budget 64KiB]

Random weights, statistics of a batch (without them signals die out), pictures of 32 x 32: the
smallest that they take. A row says how far the gradient
of a sample's loss with respect to its pixels is from that of the network as it was
(tf.GradientTape through both, inference statistics, share of the largest), what the export plans,
and how far the losses of the first steps in TFLM are from Keras's. NASNetMobile takes minutes.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tf_medyate as md

NETWORKS = ("MobileNetV3Small", "EfficientNetB0", "NASNetMobile")
LOSS = keras.losses.SparseCategoricalCrossentropy()
CLASSES, SIZE, RATE = 3, 32, 1e-4


def network(name: str, x: np.ndarray) -> keras.Model:
    """A network with a head of its own, normalized by the statistics of a batch."""
    keras.utils.set_random_seed(0)
    build = getattr(keras.applications, name)
    body = build(weights=None, include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3))
    head = keras.layers.Dense(CLASSES, activation="softmax", name="head")
    model = keras.Model(body.input, head(body.output), name=name.lower())
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(x, training=True)
    return model


def pixel_gradient(model: keras.Model, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradient of the loss with respect to the input."""
    pixels = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        loss = LOSS(y, model(pixels, training=False))
    return tape.gradient(loss, pixels).numpy()


def losses_apart(model, medyate, bundle, x, y, steps: int) -> float:
    """The largest difference of a step's loss in TFLM from Keras's."""
    trainer = md.simulate.TFLMTrainer(bundle)
    medyate.begin_epoch()
    apart = 0.0
    for step in range(steps):
        at = step % len(y)
        with tf.GradientTape() as tape:  # dropout is off, as on the device
            loss = LOSS(y[at : at + 1], model(x[at : at + 1], training=False))
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        apart = max(apart, abs(float(loss) - trainer.step(x[at], y[at])))
    return apart


def row(name: str, budget: str, steps: int) -> str:
    """A line of the table."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 255, (64, SIZE, SIZE, 3)).astype(np.float32), rng.integers(0, CLASSES, 64)
    base = network(name, x)
    wanted = pixel_gradient(base, x[:1], y[:1])
    model = md.prepare(base)
    away = np.abs(pixel_gradient(model, x[:1], y[:1]) - wanted).max() / np.abs(wanted).max()
    model.compile(keras.optimizers.SGD(RATE), LOSS)
    medyate = md.MeDyate(budget, calibration=(x, y), verbose=0)
    medyate.set_model(model)
    with tempfile.TemporaryDirectory() as folder:
        bundle = md.export(model, pathlib.Path(folder) / "out", medyate)
        apart = losses_apart(model, medyate, bundle, x, y, steps)
    arena = bundle.arena.total_bytes / 1024
    cells = (len(md.layer_specs(model)), len(model.frozen_layers), f"{away:.1e}")
    return f"| {name} | {' | '.join(map(str, cells))} | {arena:.0f} | {apart:.1e} |"


def main():
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--budget", default="64KiB")
    arguments = parser.parse_args()
    print("| | layers | frozen | gradient apart | arena KiB | losses apart |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in arguments.networks.split(","):
        print(row(name, arguments.budget, arguments.steps), flush=True)


if __name__ == "__main__":
    main()
