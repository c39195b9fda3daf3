"""Losses and loss weights of several outputs, as `compile` was given them: one for each output.

Keras takes lists, dicts by name and a single loss for all. What it would read in another way than
it is written, such as a dict of weights beside a list of losses, is refused.

Example:
    >>> x = keras.Input((4,))
    >>> outputs = [keras.layers.Dense(2, name="kind")(x), keras.layers.Dense(1, name="place")(x)]
    >>> model = keras.Model(x, outputs)
    >>> model.compile("sgd", {"kind": "mse", "place": "mae"}, {"kind": 1.0, "place": 0.5})
    >>> losses_of_outputs(model)
    (['mse', 'mae'], [1.0, 0.5])
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, NoReturn

import keras
import numpy as np

from tf_medyate.ends import outputs_of
from tf_medyate.errors import OptionError

_LEAST = float(np.finfo(np.float32).tiny)


def compiled_weights(model: keras.Model) -> Any:
    """The loss weights as they were given to `compile`, None for none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lambdas among the metrics
        return (model.get_compile_config() or {}).get("loss_weights")


def losses_of_outputs(model: keras.Model) -> tuple[list[Any], list[float]]:
    """The loss of each output, and its weight.

    Raises:
        OptionError: An output has none, or they are not given for each output.
    """
    names = [end.name for end in outputs_of(model)]
    given, weights = getattr(model, "loss", None), compiled_weights(model)
    losses = _spread("model.loss", given, names)
    if any(loss is None for loss in losses):
        _refuse("model.loss", names, f"{_told(given)}, which leaves one out")
    if weights is None:
        return losses, [1.0] * len(names)
    if _kind(weights) is not _kind(given):
        told = f"{_told(weights)} beside the loss {_told(given)}"
        _refuse("model.loss_weights", names, told)
    found = [1.0 if w is None else float(w) for w in _spread("model.loss_weights", weights, names)]
    if not all(weight >= _LEAST and math.isfinite(np.float32(weight)) for weight in found):
        remedy = "Give numbers above 0; leave an output out of the model that has none."
        received = _told(weights)
        raise OptionError("model.loss_weights", "finite numbers above 0", received, remedy)
    return losses, found


def _kind(given: Any) -> type | None:
    return dict if isinstance(given, Mapping) else list if isinstance(given, list | tuple) else None


def _spread(argument: str, given: Any, names: list[str]) -> list[Any]:
    """One for each output; a single one is for all of them."""
    kind = _kind(given)
    if kind is None:
        return [given] * len(names)
    if kind is dict and len(set(names)) == len(names) and set(given) == set(names):
        return [given[name] for name in names]
    if kind is list and len(given) == len(names) and not any(_kind(one) for one in given):
        return list(given)
    _refuse(argument, names, _told(given))


def _told(given: Any) -> str:
    """Without the classes that Keras wraps around lists and dicts."""
    kind = _kind(given)
    return repr(kind(given) if kind else given)


def _refuse(argument: str, names: list[str], received: str) -> NoReturn:
    expected = f"one for each output: {', '.join(map(repr, names))}"
    remedy = "Compile with lists in this order or dicts by name, losses and weights alike."
    raise OptionError(argument, expected, received, remedy)
