"""Writes tests/tflm_ops/trainer/static_model: a small network as C++, for step_trainer_test.cc.

python tests/golden/make_static_model.py

Everything in it is set by hand, so that it comes out the same on every machine.
"""

import dataclasses
import pathlib
from typing import Any

import keras
import numpy as np

import tf_medyate as md
from tf_medyate.exporter.lower.recipe import recipe_of
from tf_medyate.exporter.lower.step import lower_training
from tf_medyate.exporter.memory.planner import plan_memory
from tf_medyate.exporter.write.cpp import CppModel, write_cpp

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "tflm_ops/trainer/static_model"


def write(folder: pathlib.Path) -> CppModel:
    """Writes the three files."""
    inputs = keras.Input((4, 4, 2), name="sample")
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv")(inputs)
    x = keras.layers.LeakyReLU(negative_slope=0.25)(x)
    x = keras.layers.Conv2D(4, 1, name="pointwise")(x)
    x = keras.layers.LeakyReLU(negative_slope=0.25)(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    outputs = keras.layers.Dense(3, activation="softmax", name="head")(x)
    model = md.prepare(keras.Model(inputs, outputs, name="golden"))
    for weight in model.weights:
        if weight.path.endswith(("/kernel", "/bias")):
            size = int(np.prod(weight.shape))
            number = np.arange(size)
            values = ((31 * number**2 + 17 * number + 5) % 97 - 48).astype(np.float32) / 96
            weight.assign(values.reshape(weight.shape))
    schedule: Any = keras.optimizers.schedules.CosineDecay(0.25, 64, alpha=0.25)
    model.compile(
        keras.optimizers.SGD(
            schedule, momentum=0.5, gradient_accumulation_steps=2, global_clipnorm=2.0
        ),
        keras.losses.SparseCategoricalCrossentropy(),
    )
    samples = np.linspace(-1, 1, 8 * 32, dtype=np.float32).reshape(8, 4, 4, 2)
    strategy = md.strategy("medyate-calibrated", top_k=2)
    labels = np.arange(8) % 3
    medyate = md.MeDyate("1KiB", strategy, calibration=(samples, labels), seed=7, verbose=0)
    medyate.set_model(model)
    recipe = recipe_of(model, medyate)
    prior = {
        name: np.linspace(1, 2, len(values), dtype=np.float32)
        for name, values in recipe.prior.items()
    }
    training = lower_training(model, dataclasses.replace(recipe, prior=prior))
    return write_cpp(training, plan_memory(training.graph, training.in_place), folder)


if __name__ == "__main__":
    print(write(FOLDER))
