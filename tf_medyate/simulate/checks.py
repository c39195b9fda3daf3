"""What a trainer is given, checked before the interpreter sees it.

Example:
    >>> check_label(2, manifest)
    array([2], dtype=int32)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tf_medyate.errors import DataError, LabelError, NonFiniteDataError
from tf_medyate.exporter.manifest import Manifest


def check_sample(sample: Any, manifest: Manifest) -> np.ndarray:
    """A sample as the graph takes it: float32 [1, ...].

    Raises:
        DataError: Wrong shape, or no numbers; NonFiniteDataError: NaN or infinity.
    """
    shape = tuple(manifest.input_shape)
    x = np.asarray(sample)
    if x.shape not in (shape, (1, *shape)) or x.dtype.kind not in "biuf":
        raise DataError(
            "sample",
            f"numbers of shape {shape}",
            f"{x.dtype} of shape {x.shape}",
            "Pass one sample, preprocessed as the model's training data were.",
        )
    x = x.astype(np.float32).reshape(1, *shape)
    _require_finite("sample", x)
    return x


def check_label(label: Any, manifest: Manifest) -> np.ndarray:
    """A label as the graph takes it: int32 [1], or a target float32 [n].

    Raises:
        LabelError: No class of the model's; DataError, NonFiniteDataError: no such target.
    """
    y = np.asarray(label)
    if not manifest.takes_class:
        return _check_target(y, int(np.prod(manifest.output_shape)))
    classes = manifest.output_shape[-1]
    whole = y.size == 1 and y.dtype.kind in "iu"
    if not whole or not 0 <= int(y.reshape(-1)[0]) < classes:
        raise LabelError(
            "label",
            f"a class from 0 to {classes - 1}",
            repr(label),
            "Number the classes as for the model's training.",
        )
    return y.reshape(1).astype(np.int32)


def _check_target(y: np.ndarray, size: int) -> np.ndarray:
    if y.size != size or y.dtype.kind not in "biuf":
        raise DataError(
            "label",
            f"a target of {size} numbers",
            f"{y.dtype} of shape {y.shape}",
            "Pass what the model's output should be.",
        )
    _require_finite("label", y)
    return y.reshape(size).astype(np.float32)


def _require_finite(name: str, values: np.ndarray):
    if not np.isfinite(values).all():
        raise NonFiniteDataError(
            name, "finite numbers", "NaN or infinity", "Leave this sample out."
        )
