"""What a trainer is given, be it the TFLM interpreter or a board, checked before it goes there.

Example:
    >>> check_label(2, classes=3, outputs=3), check_label([0, 0, 1], classes=3, outputs=3)
    (2, 2)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_medyate.errors import DataError, LabelError, NonFiniteDataError


def check_sample(sample: Any, shape: Sequence[int]) -> np.ndarray:
    """A sample [...] or [1, ...] as float32 of a shape.

    Raises:
        DataError: Another shape, or no numbers; NonFiniteDataError: NaN or infinity.
    """
    shape = tuple(shape)
    x = np.asarray(sample)
    if x.shape not in (shape, (1, *shape)) or x.dtype.kind not in "biuf":
        raise DataError(
            "sample",
            f"numbers of shape {shape}",
            f"{x.dtype} of shape {x.shape}",
            "Pass one sample, preprocessed as the model's training data were.",
        )
    return _finite("sample", x).reshape(shape)


def check_label(
    label: Any, classes: int, outputs: int, are_shares: bool = False
) -> int | np.ndarray:
    """A label as the number of its class; of a model without classes as a target, float32 [n].

    Args:
        label: A class's number, its one-hot row [classes], or a target [outputs].
        classes: Of the model, 0 for none.
        outputs: Numbers that a target has.
        are_shares: They lie in 0 to 1.

    Raises:
        LabelError: No class of the model's; DataError, NonFiniteDataError: no such target.
    """
    y = np.asarray(label)
    if not classes:
        if y.size != outputs or y.dtype.kind not in "biuf":
            expected, remedy = f"a target of {outputs} numbers", "Pass what the output should be."
            raise DataError("label", expected, f"{y.dtype} of shape {y.shape}", remedy)
        if are_shares and y.size and not (y.min() >= 0 and y.max() <= 1):
            remedy = "Pass 0 for no and 1 for yes."
            raise LabelError("label", "numbers from 0 to 1", repr(label), remedy)
        return _finite("label", y).reshape(outputs)
    if y.size == 1 and y.dtype.kind in "iu" and 0 <= y.item() < classes:
        return int(y.item())
    if y.dtype.kind in "biuf" and y.shape in ((classes,), (1, classes)):
        row = y.reshape(classes)
        if np.count_nonzero(row) == 1 and row.max() == 1:
            return int(row.argmax())
    raise LabelError(
        "label",
        f"a class from 0 to {classes - 1}, as a number or a one-hot row of {classes}",
        repr(label),
        "Number the classes as for the model's training; a device takes no mixtures of them.",
    )


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        floats = values.astype(np.float32)
    if not np.isfinite(floats).all():
        remedy = "Leave this sample out."
        raise NonFiniteDataError(name, "finite numbers", "NaN or infinity", remedy)
    return floats
