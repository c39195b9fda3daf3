"""Data checks of a prepared model's fit, and reading a few batches of anything."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from random_models import random_data, small_net

import tf_medyate as md
from tf_medyate import errors
from tf_medyate.prepared.data import take_batches


@pytest.fixture(scope="module")
def model():
    prepared = md.prepare(small_net())
    prepared.compile("sgd", "sparse_categorical_crossentropy")
    return prepared


def refused(model, x, y, kind, word):
    before = [v.numpy() for v in model.variables]
    with pytest.raises(kind, match=word):
        model.fit(x, y, verbose=0)
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


def test_bad_arrays_are_refused_before_anything_changes(model):
    x, y = random_data(model, 8)
    bad = x.copy()
    bad[5, 0, 0, 0] = np.inf
    refused(model, x[:0], y[:0], errors.EmptyDataError, "x: expected at least one sample")
    refused(model, [], [], errors.EmptyDataError, "x")
    refused(model, bad, y, errors.NonFiniteDataError, "first in sample 5")
    refused(model, x, y.astype(float) * np.nan, errors.NonFiniteDataError, "y: ")
    refused(model, x, y + 1, errors.LabelError, "from 0 to 2.*from 1 to 3")
    refused(model, x, y - 1, errors.LabelError, "from -1")


def test_labels_are_only_checked_where_they_are_classes():
    model = md.prepare(small_net())
    model.compile("sgd", "mse")
    x, y = random_data(model, 8)
    model.fit(x, np.stack([y] * 3, -1) + 7.0, verbose=0)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy())
    with pytest.raises(errors.LabelError):
        model.fit(x, y + 5, verbose=0)


def test_a_prepared_model_without_the_callback_trains_whole(model):
    x, y = random_data(model, 8)
    before = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    model.fit(x, y, verbose=0)
    for name, (kernel, *_) in before.items():
        assert (model.get_layer(name).get_weights()[0] != kernel).any(), name


def test_batches_of_anything_that_can_be_read_twice():
    x, y = np.arange(10.0)[:, None], np.arange(10)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    for data in (dataset, [(x[:4], y[:4]), (x[4:8], y[4:8])]):
        batches = [(np.asarray(a), np.asarray(b)) for a, b in take_batches(data, 2)]
        assert len(batches) == 2
        np.testing.assert_array_equal(batches[1][1], [4, 5, 6, 7])
    shuffled = list(take_batches((x, y, 4), 2))
    assert [len(b) for _, b in shuffled] == [4, 4]
    labels = np.concatenate([b for _, b in shuffled])
    assert len(set(labels)) == 8
    assert (np.diff(labels) < 0).any(), "sorted arrays are mixed"
    assert len(list(take_batches((x, y), 9))) == 1
    assert len(list(take_batches((x, y, 4), 9))) == 3
    assert take_batches(iter([(x, y)]), 1) is None
    with pytest.raises(errors.OptionError, match="calibration"):
        take_batches(3, 1)
