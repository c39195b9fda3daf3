"""What --data holds, checked against the model: samples, labels by number or by name, targets.

Example:
    >>> data = read_data("data.npz", inputs=(8, 8, 3), outputs=(3,))
    >>> data.kind, data.names
    ('classes', ('left', 'right', 'still'))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tf_medyate.commands.arrays import read_arrays
from tf_medyate.errors import DataError, EmptyDataError, LabelError, NonFiniteDataError
from tf_medyate.names import check_name

CLASSES, ONE_HOT, BINARY, TARGETS = "classes", "one-hot rows", "zeros and ones", "targets"
_WRITE = "Write it with numpy.savez(path, x=x, y=y)."
_HELD_BACK = 5  # one in so many

Sides = tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Samples and what they stand for.

    Attributes:
        x, x_val: Samples, float32 [n, ...].
        y, y_val: int64 class numbers [n, ...]; else float32 in the shape of the model's output.
        kind: CLASSES, ONE_HOT, BINARY (zeros and ones, any number of them in a row) or TARGETS.
        names: Of the classes by number, if the labels were names.
        unused: Names of arrays in the file that are not used.
    """

    x: np.ndarray
    y: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    kind: str
    names: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


def read_data(
    path: str,
    inputs: Sides,
    outputs: Sides,
    kind: str = "",
    names: Sequence[str] = (),
    spare: int = 0,
) -> Dataset:
    """Reads and checks x, y and, if they are there, x_val, y_val and classes.

    Without validation data a fifth is held back: the last ones of each class, else the last ones.

    Args:
        path: An .npz file.
        inputs: Shape of one sample, None for a free side.
        outputs: The same of the model's output.
        kind: What y has to be: CLASSES (one-hot rows are taken, too), ONE_HOT, TARGETS; "" goes by
            y and the outputs.
        names: Names of the classes in the order of their numbers, if known; else those in the
            array "classes", else all that occur, sorted.
        spare: So many names besides `names` may be new: they become the next classes, sorted.

    Raises:
        OptionError, DataError, EmptyDataError, NonFiniteDataError, LabelError: It cannot be used.
    """
    wanted = ("x", "y", "x_val", "y_val", "classes")
    arrays, unused = read_arrays(path, wanted)
    if not {"x", "y"} <= arrays.keys():
        received = f"{sorted([*arrays, *unused])}"
        raise DataError("--data", "arrays named x and y", received, _WRITE)
    if ("x_val" in arrays) != ("y_val" in arrays):
        remedy = "Give both, or neither: then a fifth of the samples is held back."
        received = f"{sorted(arrays)}"
        raise DataError("--data", "x_val and y_val, or neither of them", received, remedy)
    pairs = [("x", "y"), ("x_val", "y_val")] if "x_val" in arrays else [("x", "y")]
    for pair in pairs:
        _check_lengths(arrays, *pair)
    samples = [_samples(name, arrays[name], inputs) for name, _ in pairs]
    labels = {name: arrays[name] for _, name in pairs}
    names = _agreed(tuple(names), _classes(arrays, outputs[-1]))
    if any(y.dtype.kind in "US" for y in labels.values()):
        labels, names = _numbered(labels, names, outputs[-1], spare)
    kind, targets = _targets(labels, outputs, kind)
    if len(pairs) == 1:
        held = _held_back(targets[0] if kind == CLASSES else None, len(samples[0]))
        samples = [samples[0][~held], samples[0][held]]
        targets = [targets[0][~held], targets[0][held]]
    (x, x_val), (y, y_val) = samples, targets
    return Dataset(x, y, x_val, y_val, kind, names, tuple(unused))


# --- samples


def _check_lengths(arrays: dict[str, np.ndarray], x: str, y: str):
    least = 2 if x == "x" else 1
    shapes = arrays[x].shape, arrays[y].shape
    n, labels = (shape[0] if shape else 0 for shape in shapes)
    if n != labels or n < least:
        expected = f"{least} samples or more, {x} and {y} of one length"
        received = f"{n} {x} and {labels} {y}"
        raise EmptyDataError("--data", expected, received, "Give every sample one target.")


def _samples(name: str, x: np.ndarray, inputs: Sides) -> np.ndarray:
    """float32 [n, *inputs]; a last side of 1 may be missing."""
    if x.dtype.kind not in "biuf":
        remedy = "Give real numbers, for example x.astype('float32')."
        if x.dtype.kind == "c":
            remedy = "Give real numbers: abs(x), or real and imaginary part as two channels."
        raise DataError(f"--data: {name}", "numbers", f"{x.dtype}", remedy)
    if not _fits(x.shape[1:], inputs) and inputs[-1:] == (1,) and _fits(x.shape[1:], inputs[:-1]):
        x = x[..., None]
    if not _fits(x.shape[1:], inputs):
        expected, received = f"samples of shape {_shape(inputs)}", f"{_shape(x.shape[1:])}"
        raise DataError(f"--data: {name}", expected, received, _shape_remedy(name, x, inputs))
    with np.errstate(over="ignore"):
        x = x.astype(np.float32, copy=False)
    if not np.isfinite(x).all():
        bad = int((~np.isfinite(x).reshape(len(x), -1).all(1)).sum())
        received = f"NaN or infinity in {bad:,} of {len(x):,} samples"
        remedy = "Leave these samples out, or replace the values."
        raise NonFiniteDataError(f"--data: {name}", "finite numbers", received, remedy)
    return x


def _fits(shape: Sequence[int], sides: Sides) -> bool:
    return len(shape) == len(sides) and all(
        wanted in (None, side) for side, wanted in zip(shape, sides, strict=True)
    )


def _shape(sides: Sequence[int | None]) -> str:
    return str(list(sides)).replace("None", "any")


def _shape_remedy(name: str, x: np.ndarray, inputs: Sides) -> str:
    sides = [side for side in inputs if side]
    shape = list(x.shape[1:])
    if len(sides) == len(inputs) == len(shape) and sides == [*shape[1:], shape[0]]:
        return f"The channels come last: numpy.moveaxis({name}, 1, -1)."
    if len(sides) == len(inputs) and np.prod(sides) == np.prod(shape):
        return f"Perhaps {name}.reshape(-1, {', '.join(map(str, sides))})."
    return "Prepare the samples as for the model's first training."


# --- labels and targets


def _text(name: str, values: np.ndarray | Sequence) -> np.ndarray:
    """An array of text as str."""
    array = np.asarray(values)
    if array.dtype.kind == "S":
        try:
            return np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            remedy = "Write str instead of bytes."
            raise DataError(f"--data: {name}", "text in UTF-8", str(error), remedy) from None
    return array.astype(str)


def _classes(arrays: dict[str, np.ndarray], outputs: int | None) -> tuple[str, ...]:
    """The names in the array `classes`."""
    if "classes" not in arrays:
        return ()
    names = tuple(str(name) for name in _text("classes", arrays["classes"]).flat)
    for name in names:
        check_name("--data: classes", name)
    if len(names) != outputs or len(set(names)) != len(names):
        remedy = "Name every output, in the order of the model's training."
        raise LabelError("--data: classes", f"{outputs} different names", _few(names), remedy)
    return names


def _agreed(known: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, ...]:
    """The names that are known and those of the data's array, which go on with them."""
    if known and given and given[: len(known)] != known:
        remedy = "Leave the array out, or correct the names beside the model."
        raise LabelError("--data: classes", f"the model's {_few(known)}", _few(given), remedy)
    return given or known


def _numbered(
    labels: dict[str, np.ndarray], names: tuple[str, ...], outputs: int | None, spare: int
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Names as class numbers; numbers written as text are numbers."""
    texts = {name: _text(name, y) for name, y in labels.items()}
    found = sorted({str(text) for y in texts.values() for text in y.flat})
    if not names and all(text.isascii() and text.lstrip("-").isdecimal() for text in found):
        return {name: y.astype(np.int64) for name, y in texts.items()}, ()
    for text in found:
        check_name("--data: y", text)
    if not names and len(found) != outputs:
        received = f"{len(found)} ({_few(found)})"
        remedy = (
            "Add an array `classes` with the name of every output, in the order of the model's "
            "training."
        )
        raise LabelError("--data: y", f"{outputs} different names, one an output", received, remedy)
    order = names or tuple(found)
    strange = sorted(set(found) - set(order))
    if len(strange) > spare:
        more = f" and {spare} more" if spare else ""
        remedy = "Correct the names."
        raise LabelError("--data: y", f"names among {_few(order)}{more}", _few(strange), remedy)
    order = (*order, *strange)
    number = {name: index for index, name in enumerate(order)}
    numbers = {
        name: np.array([number[str(text)] for text in y.flat], np.int64).reshape(y.shape)
        for name, y in texts.items()
    }
    return numbers, order


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:8]))
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown


def _targets(
    labels: dict[str, np.ndarray], outputs: Sides, wanted: str
) -> tuple[str, list[np.ndarray]]:
    """The kind of y, and y and y_val as they are trained with."""
    for name, y in labels.items():
        _check_numbers(name, y)
    labels = {name: _trimmed(y, outputs) for name, y in labels.items()}
    kind, shape = _kind(labels["y"], outputs), labels["y"].shape[1:]
    for name, y in labels.items():
        if y.shape[1:] != shape:
            expected, received = f"the shape of y, {_shape(shape)}", _shape(y.shape[1:])
            raise DataError(f"--data: {name}", expected, received, "Write it as y.")
    if wanted == CLASSES and kind == ONE_HOT:
        labels = {name: rows.argmax(-1) for name, rows in labels.items()}
        kind = CLASSES
    if wanted and (wanted == CLASSES) != (kind == CLASSES):
        remedy = "Choose a loss that fits y: --loss auto does."
        raise LabelError("--data: y", f"{wanted}, as the loss wants them", kind, remedy)
    if kind == CLASSES:
        return kind, [_class_numbers(name, y, outputs[-1]) for name, y in labels.items()]
    return wanted or kind, [y.astype(np.float32) for y in labels.values()]


def _check_numbers(name: str, y: np.ndarray):
    if y.dtype.kind not in "biuf":
        remedy = "Give class numbers, names as text, one-hot rows or targets."
        raise LabelError(f"--data: {name}", "numbers or names", f"{y.dtype}", remedy)
    if not np.isfinite(y).all():
        remedy = "Leave these samples out."
        raise NonFiniteDataError(f"--data: {name}", "finite numbers", "NaN or infinity", remedy)


def _kind(y: np.ndarray, outputs: Sides) -> str:
    """What y is, by its shape and its values."""
    if outputs[-1] != 1 and _fits(y.shape[1:], outputs[:-1]):
        return CLASSES
    if not _fits(y.shape[1:], outputs):
        expected = f"class numbers of shape {_shape(outputs[:-1])}, or rows of {_shape(outputs)}"
        remedy = "Give one label a sample, or what the model's output should be."
        received = f"{_shape(y.shape[1:])} for each sample"
        raise DataError("--data: y", expected, received, remedy)
    if not np.isin(y, (0, 1)).all():
        return TARGETS
    return ONE_HOT if y.shape[-1] > 1 and (y.sum(-1) == 1).all() else BINARY


def _trimmed(y: np.ndarray, outputs: Sides) -> np.ndarray:
    """Labels [n, 1] as [n] where the model has several outputs, and the reverse for one output."""
    if outputs[-1] != 1 and y.ndim == len(outputs) + 1 and y.shape[-1] == 1:
        return y[..., 0]
    if outputs[-1] == 1 and y.ndim == len(outputs):
        return y[..., None]
    return y


def _class_numbers(name: str, y: np.ndarray, classes: int | None) -> np.ndarray:
    """int64; whole numbers stored as float or bool are taken for what they mean."""
    if not (np.asarray(y) == np.floor(y.astype(np.float64))).all():
        odd = y[y != np.floor(y)].flat[0]
        remedy = f"Number the classes from 0 on, or give rows of {classes} targets."
        raise LabelError(f"--data: {name}", "whole class numbers", f"{odd:g}", remedy)
    low, high = int(y.min()), int(y.max())
    if low < 0 or (classes is not None and high >= classes):
        remedy = (
            "Number the classes as for the model's training; new ones need more outputs (on a "
            "board: medyate export --spare_classes)."
        )
        if low >= 1 and high == classes:
            remedy = "Labels count from 0: subtract 1."
        expected = f"class labels from 0 to {(classes or 0) - 1}"
        raise LabelError(f"--data: {name}", expected, f"{low} to {high}", remedy)
    return y.astype(np.int64)


def _held_back(labels: np.ndarray | None, n: int) -> np.ndarray:
    """Which samples are kept for validation, bool [n]: data are often sorted by class."""
    held = np.zeros(n, bool)
    if labels is not None and labels.ndim == 1:
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            held[rows[len(rows) - round(len(rows) / _HELD_BACK) :]] = True
    if not held.any():
        held[n - max(1, n // _HELD_BACK) :] = True
    return held
