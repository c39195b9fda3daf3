"""The Keras callback that moves the learning rate before every step."""

from __future__ import annotations

from typing import Any

import keras

from tf_medyate.bench.plan.recipe import FineTuneRecipe


class FollowRate(keras.callbacks.Callback):
    """Sets the rate of each step to the recipe's at the middle of that step.

    Args:
        recipe: Gives the rate.
        steps: Steps in an epoch.
    """

    def __init__(self, recipe: FineTuneRecipe, steps: int):
        super().__init__()
        self._recipe, self._steps, self._epoch = recipe, steps, 0

    def on_epoch_begin(self, epoch: int, logs=None):
        """Keras's hook."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs=None):
        """Keras's hook."""
        model: Any = self.model
        optimizer = model.optimizer  # MeDyate may have put a fresh one in its place
        optimizer.learning_rate = self._recipe.rate(self._epoch + (batch + 0.5) / self._steps)
