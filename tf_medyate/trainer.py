"""What everything that learns sample by sample can do, be it the TFLM interpreter here or a board.

Example:
    >>> def teach(trainer: Trainer, x, y):
    ...     for sample, label in zip(x, y):
    ...         trainer.step(sample, label)
    ...     return trainer.end_epoch()
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Trainer(Protocol):
    """`simulate.TFLMTrainer` and `device.DeviceClient`."""

    def step(self, sample: Any, label: Any) -> float:
        """Learns from one sample; returns its loss before the update."""
        ...

    def predict(self, sample: Any) -> np.ndarray:
        """The model's output for one sample, float32 [outputs]."""
        ...

    def end_epoch(self) -> bool:
        """Commits, and draws if it is time to; False if the epoch was dropped instead."""
        ...

    def commit(self) -> None:
        """Keeps what was learned: `discard` comes back to here."""
        ...

    def discard(self) -> None:
        """Drops what was learned since the last commit."""
        ...
