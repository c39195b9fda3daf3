"""What a trainer is given, be it the TFLM interpreter or a board, checked before it goes there.

Example:
    >>> check_label(2, classes=3, outputs=3), check_label([0, 0, 1], classes=3, outputs=3)
    (2, 2)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_medyate.ends import End, in_order
from tf_medyate.errors import DataError, LabelError, NonFiniteDataError


def check_sample(sample: Any, shape: Sequence[int], argument: str = "sample") -> np.ndarray:
    """A sample [...] or [1, ...] as float32 of a shape; `argument` is named in errors.

    Raises:
        DataError: Another shape, or no numbers; NonFiniteDataError: NaN or infinity.
    """
    shape = tuple(shape)
    try:
        x = np.asarray(sample)
        received = f"{x.dtype} of shape {x.shape}"
    except ValueError:  # arrays of several shapes
        x, received = np.zeros(0, object), f"{len(sample)} arrays of different shapes"
    if x.shape not in (shape, (1, *shape)) or x.dtype.kind not in "biuf":
        remedy = "Pass one sample, preprocessed as the model's training data were."
        raise DataError(argument, f"numbers of shape {shape}", received, remedy)
    return _finite(argument, x).reshape(shape)


def join_sample(sample: Any, inputs: Sequence[End]) -> np.ndarray:
    """A sample for all inputs of a model, as its training graph takes it.

    Args:
        sample: A list or a dict, as Keras takes them; of a single input also itself, of several
            also what this function returns.
        inputs: The inputs.

    Returns:
        float32, of the single input's shape; of several inputs [n], one after the other.

    Raises:
        DataError, NonFiniteDataError: As `check_sample`; or an input is missing.
    """
    if len(inputs) == 1:
        return check_sample(in_order("sample", sample, inputs)[0], inputs[0].shape)
    total = sum(math.prod(end.shape) for end in inputs)
    if isinstance(sample, np.ndarray) and sample.shape in ((total,), (1, total)):
        return check_sample(sample, (total,))
    parts = zip(in_order("sample", sample, inputs), inputs, strict=True)
    arrays = [check_sample(part, end.shape, f"sample {end.name!r}") for part, end in parts]
    return np.concatenate([array.reshape(-1) for array in arrays])


def samples_of(x: Any, inputs: Sequence[End]) -> Iterable[Any]:
    """Data sample by sample, each as `join_sample` takes it.

    Args:
        x: Samples; of several inputs an array [n, ...] each, in a list or a dict, as in Keras.
        inputs: The inputs.
    """
    is_list = isinstance(x, list | tuple) and len(x) == len(inputs) > 1
    if not isinstance(x, Mapping) and not (is_list and all(hasattr(a, "shape") for a in x)):
        return x
    arrays = in_order("x", x, inputs)
    check_lengths({f"x {e.name!r}": a for e, a in zip(inputs, arrays, strict=True)})
    return list(zip(*arrays, strict=True)) if len(inputs) > 1 else arrays[0]


def check_lengths(data: Mapping[str, Any]):
    """Refuses data that are not of as many samples each; those of unknown length count as right.

    Args:
        data: By the names that they have in errors.

    Raises:
        DataError: They are of different lengths.
    """
    lengths = {name: len(values) for name, values in data.items() if hasattr(values, "__len__")}
    if len(set(lengths.values())) > 1:
        received = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        remedy = "Pass a value for each sample."
        raise DataError(next(iter(lengths)), "as many samples as of the others", received, remedy)


def check_label(
    label: Any, classes: int, outputs: int, are_shares: bool = False, argument: str = "label"
) -> int | np.ndarray:
    """A label as the number of its class; of a model without classes as a target, float32 [n].

    Args:
        label: A class's number, its one-hot row [classes], or a target [outputs].
        classes: Of the model, 0 for none.
        outputs: Numbers that a target has.
        are_shares: They lie in 0 to 1.
        argument: Named in errors.

    Raises:
        LabelError: No class of the model's; DataError, NonFiniteDataError: no such target.
    """
    y = np.asarray(label)
    if not classes:
        if y.size != outputs or y.dtype.kind not in "biuf":
            expected, remedy = f"a target of {outputs} numbers", "Pass what the output should be."
            raise DataError(argument, expected, f"{y.dtype} of shape {y.shape}", remedy)
        if are_shares and y.size and not (y.min() >= 0 and y.max() <= 1):
            remedy = "Pass 0 for no and 1 for yes."
            raise LabelError(argument, "numbers from 0 to 1", repr(label), remedy)
        return _finite(argument, y).reshape(outputs)
    if y.size == 1 and y.dtype.kind in "iu" and 0 <= y.item() < classes:
        return int(y.item())
    if y.dtype.kind in "biuf" and y.shape in ((classes,), (1, classes)):
        row = y.reshape(classes)
        if np.count_nonzero(row) == 1 and row.max() == 1:
            return int(row.argmax())
    raise LabelError(
        argument,
        f"a class from 0 to {classes - 1}, as a number or a one-hot row of {classes}",
        repr(label),
        "Number the classes as for the model's training; a device takes no mixtures of them.",
    )


def join_labels(label: Any, outputs: Sequence[tuple[End, bool, bool]]) -> np.ndarray:
    """The labels of several outputs, one after the other, classes as one-hot rows: float32 [n].

    Args:
        label: A list or a dict of what `check_label` takes, or what this function returns.
        outputs: The outputs; whether they are of classes, or of shares.

    Raises:
        LabelError, DataError, NonFiniteDataError: As `check_label`; or an output is missing.
    """
    ends = [end for end, _, _ in outputs]
    sizes = [math.prod(end.shape) for end in ends]
    given = label
    if isinstance(label, np.ndarray) and label.shape == (sum(sizes),):
        given = np.split(label, np.cumsum(sizes)[:-1])
    rows = []
    for part, size, (end, is_class, are_shares) in zip(
        in_order("label", given, ends), sizes, outputs, strict=True
    ):
        y = check_label(part, size if is_class else 0, size, are_shares, f"label {end.name!r}")
        rows.append(np.eye(size)[y] if isinstance(y, int) else y)
    return np.concatenate(rows).astype(np.float32)


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        floats = values.astype(np.float32)
    if not np.isfinite(floats).all():
        remedy = "Leave this sample out."
        raise NonFiniteDataError(name, "finite numbers", "NaN or infinity", remedy)
    return floats
