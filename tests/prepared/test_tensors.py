"""The tensor operations under the masked layers, against TensorFlow's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_medyate.prepared.tensors import assign, read, read_untracked, taped_directly, with_gradient


def test_an_assignment_never_changes_a_shape():
    variable = keras.Variable(np.zeros((2, 3), np.float32))
    assign(variable, np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(read(variable), np.arange(6, dtype=np.float32).reshape(2, 3))
    assert read(variable).dtype == np.float32
    for shape in [(3, 2), (6,), ()]:
        with pytest.raises(ValueError, match="compatible"):
            assign(variable, np.zeros(shape))
    assert variable.numpy().sum() == 15


def test_what_was_read_stays_as_it_was():
    variable = keras.Variable(np.zeros(1000, np.float32))
    before = read(variable)
    variable.assign_add(np.ones(1000, np.float32))
    assert not before.any()


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_a_gradient_of_its_own_is_that_of_custom_gradient(wrap):
    """All gradients twice as long as they are, so that nobody else can have made them."""

    def forward(x, y):
        square = y * y  # what the gradient uses has gradients, too

        def backward(d_product, d_sum):
            return [2 * (d_product * square + d_sum), 2 * (2 * d_product * x * y + d_sum)]

        return [x * square, x + y], backward

    @tf.custom_gradient
    def reference(x, y):
        return forward(x, y)

    def gradients(function, use):
        @wrap
        def run(x):
            variable = tf.constant([5.0, 7.0])
            with tf.GradientTape(persistent=True) as outer:
                outer.watch([x, variable])
                with tf.GradientTape() as inner:
                    inner.watch([x, variable])
                    loss = use(*function(x**2, variable))
                found = inner.gradient(loss, [x, variable])
            return [loss, *found, outer.gradient(found[0], x), outer.gradient(found[0], variable)]

        return run(tf.constant([2.0, 3.0]))

    uses = (lambda a, b: a * b, lambda a, _: a**2, lambda _, b: b)  # two leave one output unused
    for use in uses:
        theirs = gradients(reference, use)
        elsewhere = gradients(lambda x, y: with_gradient(forward, x, y), use)
        with taped_directly():
            directly = gradients(lambda x, y: with_gradient(forward, x, y), use)
        for found in (elsewhere, directly):
            for value, expected in zip(found, theirs, strict=True):
                np.testing.assert_array_equal(value, expected)


def test_what_is_read_untracked_has_no_gradient():
    variable = keras.Variable([2.0])
    triple = tf.function(lambda: read_untracked(variable) * 3.0)
    with tf.GradientTape(persistent=True) as tape:
        outside = triple()
        with taped_directly():
            inside = read_untracked(variable) * 3.0
    for y in (outside, inside):
        assert float(y[0]) == 6
        assert tape.gradient(y, variable.value) is None
