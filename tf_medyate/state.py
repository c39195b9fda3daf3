"""What a training run must remember, kept in Keras variables so that it is saved with the model."""

from __future__ import annotations

from typing import Any

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
        step_scale: float32 variable, what gradients of drawn channels are multiplied by; 1 unless
            the strategy lengthens their steps.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.pool: Any = None
        self.draw: Any = None
        self.step_scale: Any = None

    def allocate(self, pool_elements: int):
        """Makes the variables; keeps the ones there are if the size is the same."""
        if self.pool is not None and self.pool.shape == (pool_elements,):
            return
        self.release()
        constant = keras.initializers.Constant
        self.pool = self.add_weight(name="pool", shape=(pool_elements,), initializer="zeros")
        self.draw = self.add_weight(
            name="draw", shape=(), dtype="int64", initializer=constant(-1), trainable=False
        )
        self.step_scale = self.add_weight(
            name="step_scale", shape=(), initializer=constant(1.0), trainable=False
        )

    def release(self):
        """Gives the variables back."""
        for name in ("pool", "draw", "step_scale"):
            if getattr(self, name) is not None:
                delattr(self, name)
                setattr(self, name, None)

    def save_own_variables(self, store):
        """Writes the variables, if there are any."""
        if self.pool is not None:
            for variable in self.variables:
                store[variable.name] = variable.numpy()

    def load_own_variables(self, store):
        """Reads what `save_own_variables` wrote, making the variables if need be."""
        if "pool" not in set(store.keys()):  # an h5 group knows no `in`
            return
        self.allocate(np.asarray(store["pool"]).size)
        for variable in self.variables:
            variable.assign(np.asarray(store[variable.name]))
