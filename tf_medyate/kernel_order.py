"""Kernels as Keras stores them, and input channel first as pool and flash hold them.

Input channel first, [I][positions][O], a drawn channel is one contiguous run in both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def channel_first(kernel: np.ndarray) -> np.ndarray:
    """A Keras kernel [..., I, O] as [I, positions, O], a view where NumPy can."""
    channels, outputs = kernel.shape[-2:]
    return kernel.reshape(-1, channels, outputs).transpose(1, 0, 2)


def as_keras(runs: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Weights [I, positions, O], flat or not, as a Keras kernel of a shape [..., I, O]."""
    channels, outputs = shape[-2:]
    return runs.reshape(channels, -1, outputs).transpose(1, 0, 2).reshape(tuple(shape))
