"""Inputs and outputs of a model by name, and what is given for them, in their order.

Example:
    >>> ends = (End("image", (8, 8, 3)), End("extra", (5,)))
    >>> in_order("x", {"extra": 1, "image": 2}, ends)
    [2, 1]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tf_medyate.errors import DataError

if TYPE_CHECKING:  # what only reads a plan does without
    import keras


@dataclasses.dataclass(frozen=True)
class End:
    """An input or an output of a model.

    Attributes:
        name: The key of what is given for it in a dict.
        shape: Without the batch.
    """

    name: str
    shape: tuple[int, ...]


def inputs_of(model: keras.Model) -> tuple[End, ...]:
    """A model's inputs, in the order of `model.inputs`."""
    names = [tensor.name for tensor in model.inputs]
    return _ends(names, model.inputs, None if _is_sequential(model) else model.input)


def outputs_of(model: keras.Model) -> tuple[End, ...]:
    """A model's outputs, in the order of `model.outputs`."""
    structure = None if _is_sequential(model) else model.output
    return _ends(model.output_names, model.outputs, structure)


def _is_sequential(model: keras.Model) -> bool:
    import keras

    return isinstance(model, keras.Sequential)


def _ends(names: Sequence[str], tensors: Sequence[Any], structure: Any) -> tuple[End, ...]:
    """Named as in Keras: by the keys of a dict, if the model has one, which are sorted."""
    if isinstance(structure, dict) and len(structure) == len(tensors):
        names = sorted(structure)
    shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
    return tuple(End(name, shape) for name, shape in zip(names, shapes, strict=True))


def in_order(argument: str, given: Any, ends: Sequence[End]) -> list[Any]:
    """What is given for each input or output: by name in a dict, else one after the other.

    Args:
        argument: Named in errors.
        given: As Keras takes it; of a single one perhaps itself.
        ends: The inputs or outputs.

    Raises:
        DataError: One is missing, or there are too many.
    """
    names = [end.name for end in ends]
    if isinstance(given, Mapping):
        missing = [name for name in names if name not in given]
        if not missing:
            return [given[name] for name in names]
        received = f"no {', '.join(map(repr, missing))}: {', '.join(map(repr, given))}"
    elif len(ends) == 1:
        return [given]
    elif isinstance(given, list | tuple):
        if len(given) == len(ends):
            return list(given)
        received = f"{len(given)} of them"
    else:
        shape = getattr(given, "shape", None)
        received = type(given).__name__ + ("" if shape is None else f" of shape {tuple(shape)}")
    expected = f"{', '.join(map(repr, names))}: one value each"
    remedy = f"Pass a list in this order, or a dict by name: {{{names[0]!r}: ...}}."
    raise DataError(argument, expected, received, remedy)
