"""Names of layers that TensorFlow can compute under; Keras finds out in the middle of a call.

Example:
    >>> check_scope_names(base)
"""

from __future__ import annotations

import re
from typing import Any

import keras

from tf_medyate.errors import UnsupportedLayerError

_INSIDE = re.compile(r"[A-Za-z0-9_.>/-]+")
_OUTERMOST = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.>/-]*")


def check_scope_names(model: Any):
    """Checks the names of a model and of all layers in it, nested models included.

    Raises:
        UnsupportedLayerError: TensorFlow takes no such name: letters with accents, spaces.
    """
    if not isinstance(model, keras.Model):
        return
    _check("model", model.name, _OUTERMOST, "model.name")
    _check_layers(model, "model")


def _check_layers(model: Any, path: str):
    for layer in model.layers:
        if not isinstance(layer, keras.layers.InputLayer):  # is not called
            place = f"{path}.get_layer({layer.name!r})"
            _check("layer", layer.name, _INSIDE, f"{place}.name")
            if isinstance(layer, keras.Model):
                _check_layers(layer, place)


def _check(what: str, name: str, allowed: re.Pattern[str], attribute: str):
    if not allowed.fullmatch(name):
        raise UnsupportedLayerError(
            f"{what} {name!r}",
            "a name of ASCII letters, digits, '_', '-', '.', beginning with a letter or digit",
            repr(name),
            f'TensorFlow computes nothing under it. Rename it: {attribute} = "another".',
        )
