"""What a training run must remember, kept in Keras variables so that it is saved with the model."""

from __future__ import annotations

import keras
import numpy as np


@keras.saving.register_keras_serializable("tf_medyate")
class TrainingState(keras.layers.Layer):
    """The pool of live weights, and the number of the draw that filled it.

    The pool is one flat trainable variable: the weights of the drawn channels of all layers, layer
    after layer in execution order, within a layer `[channel][kernel position][output]`. The layers'
    own kernels stay as they were at the last commit, so nothing outside the draw can move, whatever
    the optimizer does. This layer is never called, so Keras lets its variables be made late.

    Attributes:
        pool: float32 variable [pool_elements], or None before the first attachment.
        draw: int64 variable, number of the draw that is in the pool; -1 before the first.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.pool = None
        self.draw = None

    def allocate(self, pool_elements: int):
        """Makes the variables; keeps the ones there are if the size is the same."""
        if self.pool is not None and self.pool.shape == (pool_elements,):
            return
        self.release()
        self.pool = self.add_weight(
            name="pool", shape=(pool_elements,), initializer="zeros", trainable=True
        )
        self.draw = self.add_weight(
            name="draw",
            shape=(),
            dtype="int64",
            initializer=keras.initializers.Constant(-1),
            trainable=False,
        )

    def release(self):
        """Gives the variables back."""
        if self.pool is not None:
            del self.pool
            del self.draw
            self.pool = None
            self.draw = None

    def save_own_variables(self, store):
        """Writes the pool and the draw number, if there are any."""
        if self.pool is not None and self.draw is not None:
            store["pool"] = self.pool.numpy()
            store["draw"] = self.draw.numpy()

    def load_own_variables(self, store):
        """Reads what `save_own_variables` wrote, making the variables if need be."""
        if "pool" not in store.keys():
            return
        pool = np.asarray(store["pool"])
        self.allocate(pool.size)
        self.pool.assign(pool)
        self.draw.assign(np.asarray(store["draw"]))
