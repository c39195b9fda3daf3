"""What stands in when TensorFlow moves what is not public."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_medyate import private_apis
from tf_medyate.prepared import tensors


def test_the_schema_comes_from_litert_where_tensorflow_has_moved_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow.lite.python.schema_py_generated", None)
    assert private_apis.tflite_schema().__name__ == "ai_edge_litert.schema_py_generated"
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    with pytest.raises(private_apis.MissingApiError, match="pip install ai-edge-litert"):
        private_apis.tflite_schema()


def test_gradients_are_the_same_without_the_tapes_own_record(monkeypatch):
    def gradient():
        x = tf.constant([1.0, 2.0])
        with tf.GradientTape() as tape, tensors.taped_directly():
            tape.watch(x)
            (y,) = tensors.with_gradient(lambda v: ((v * v,), lambda dy: (2.0 * v * dy,)), x)
        return tape.gradient(y, x).numpy()

    expected = gradient()
    np.testing.assert_array_equal(expected, [2.0, 4.0])
    monkeypatch.setitem(sys.modules, "tensorflow.python.eager.record", None)
    assert private_apis.eager_record() is None
    monkeypatch.setattr(tensors, "_record", None)
    np.testing.assert_array_equal(gradient(), expected)
