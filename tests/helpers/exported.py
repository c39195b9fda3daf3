"""Prepared models with a callback attached, ready to be lowered or exported."""

import keras
import numpy as np
from random_models import random_data, small_net

import tf_medyate as md
from tf_medyate.exporter.lower.recipe import recipe_of
from tf_medyate.exporter.lower.step import lower_training
from tf_medyate.exporter.memory.planner import plan_memory

RATE = 0.25


def ready(base=None, budget="6KiB", optimizer=None, loss=None, **options):
    """A prepared model and an attached callback."""
    base = base or small_net()
    model = md.prepare(base)
    model.compile(
        optimizer or keras.optimizers.SGD(0.05), loss or "sparse_categorical_crossentropy"
    )
    x, y = random_data(model, 16)
    medyate = md.MeDyate(budget=budget, calibration=(x, y), verbose=0, **options)
    medyate.set_model(model)
    return model, medyate, x


def attached(base, seed=0, strategy="medyate", share=0.4):
    """A prepared model and a callback that trains a share of it."""
    model = md.prepare(base)
    softmax = getattr(model.layers[-1], "activation", None) is keras.activations.softmax
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not softmax)
    model.compile(keras.optimizers.SGD(RATE), loss)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(8, *model.input_shape[1:])).astype(np.float32)
    y = rng.integers(0, model.output_shape[-1], 8)
    cost = md.CostModel()
    specs = md.layer_specs(model)
    least = cost.fixed(specs, [s.name for s in specs]) + max(cost.channel(s) for s in specs)
    budget = max(int(cost.full(specs) * share), least)
    medyate = md.MeDyate(
        budget=None if strategy == "full" else budget,
        strategy=strategy,
        calibration=(x, y),
        seed=seed % 1000,
        verbose=0,
    )
    medyate.set_model(model)
    return model, medyate, x, y


def lower(model, medyate, **options):
    training = lower_training(model, recipe_of(model, medyate), **options)
    plan = plan_memory(training.graph, training.in_place)
    return training, plan
