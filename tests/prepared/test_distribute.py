"""MirroredStrategy: the same draws in every replica, and the weights of a single device.

TensorFlow can be given its logical devices only before it starts, so a process of its own does.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = """
import json, sys
import keras, numpy as np, tensorflow as tf
sys.path.insert(0, sys.argv[1])
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import tf_medyate as md
from random_models import random_data, small_net

def fit(strategy):
    with strategy.scope():
        keras.utils.set_random_seed(3)
        model = md.prepare(small_net())
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    x, y = random_data(model, 24)
    full = md.CostModel(optimizer_slots=1).full(md.layer_specs(model))
    medyate = md.MeDyate(full // 3, seed=1, verbose=0)
    start = [layer.kernel.numpy() for layer in md.layers.masked_layers(model)]
    draws = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: draws.append(repr(medyate.plan.layers))
    )
    model.fit(x, y, batch_size=8, epochs=4, shuffle=False, verbose=0, callbacks=[medyate, note])
    state = model.training_state
    copies = [
        [copy.numpy().tolist() for copy in getattr(variable.value, "values", [variable.value])]
        for variable in (state.pool, state.layout, state.importance)
    ]
    weights = [variable.numpy().ravel().tolist() for variable in model.weights]
    moved = [
        float(np.abs(layer.kernel.numpy() - old).max())
        for layer, old in zip(md.layers.masked_layers(model), start)
    ]
    return {"draws": draws, "copies": copies, "weights": weights, "moved": moved}

mirrored = fit(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
print(json.dumps([fit(tf.distribute.get_strategy()), mirrored]))
"""


@pytest.fixture(scope="module")
def fits():
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parents[1] / "helpers")]
    quiet = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    done = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_every_replica_draws_and_learns_the_same(fits):
    single, mirrored = fits
    assert all(len(copies) == 1 for copies in single["copies"])
    for copies in mirrored["copies"]:
        assert len(copies) == 2
        assert copies[0] == copies[1]


def test_two_replicas_give_the_draws_and_weights_of_one(fits):
    single, mirrored = fits
    assert mirrored["draws"] == single["draws"]
    assert len(set(single["draws"])) > 1, "nothing was redrawn"
    assert max(single["moved"]) > 1e-3, "nothing was trained"
    for one, two in zip(single["weights"], mirrored["weights"], strict=True):
        # Two halves of a batch are summed in another order: float32 rounding over 12 steps.
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5)
