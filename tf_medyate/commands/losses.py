"""The Keras loss of --loss, and what a model's outputs are worth.

Example:
    >>> loss, kind = keras_loss("auto", model, data)
    >>> score(model, data.x_val, data.y_val, kind)
    0.93
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from tf_medyate.commands.dataset import BINARY, CLASSES, ONE_HOT, TARGETS, Dataset
from tf_medyate.errors import OptionError

if TYPE_CHECKING:
    import keras
    import numpy as np

_LOSSES = {
    CLASSES: "sparse_categorical_crossentropy",
    ONE_HOT: "categorical_crossentropy",
    BINARY: "binary_crossentropy",
    TARGETS: "mean_squared_error",
}


def kind_of(loss: str) -> str:
    """What y has to be for --loss; "" for "auto"."""
    if loss == "auto":
        return ""
    if loss.startswith("sparse_"):
        return CLASSES
    if loss.endswith("crossentropy"):
        return BINARY if loss.startswith("binary_") else ONE_HOT
    return TARGETS


def keras_loss(name: str, model: keras.Model, data: Dataset) -> tuple[Any, str]:
    """The Keras loss of --loss; "auto" goes by the targets and by the model's outputs.

    Cross-entropies take logits where the model gives logits.

    Returns:
        The loss, and the kind of the targets: zeros and ones are TARGETS without a sigmoid.

    Raises:
        OptionError: There is no such loss.
    """
    import keras

    kind, losses = data.kind, keras.losses
    if name == "auto":
        if kind == BINARY and not ends_in_sigmoid(model):
            kind = TARGETS
        name = _LOSSES[kind]
    try:
        loss = losses.get(name)
    except ValueError:
        close = difflib.get_close_matches(name, [*_LOSSES.values(), "mean_absolute_error"], 1)
        remedy = f"Did you mean {close[0]}?" if close else "Write --loss auto."
        raise OptionError("--loss", "a Keras loss by name", repr(name), remedy) from None
    of_classes = {
        losses.sparse_categorical_crossentropy: losses.SparseCategoricalCrossentropy,
        losses.categorical_crossentropy: losses.CategoricalCrossentropy,
    }
    if loss in of_classes:
        return of_classes[loss](from_logits=not _gives_shares(model, data.x)), kind
    if loss is losses.binary_crossentropy:
        return losses.BinaryCrossentropy(from_logits=not ends_in_sigmoid(model)), kind
    return name, kind


def _gives_shares(model: keras.Model, x: np.ndarray) -> bool:
    """Whether the outputs of a few samples are shares of 1, as after a softmax."""
    import numpy as np

    outputs = np.asarray(model.predict(x[:32], verbose="0"))
    return bool((outputs >= 0).all() and np.allclose(outputs.sum(-1), 1, atol=1e-3))


def ends_in_sigmoid(model: keras.Model) -> bool:
    """Whether the model's last layer has a sigmoid."""
    import keras

    last: Any = model
    while getattr(last, "layers", None):
        last = last.layers[-1]
    return getattr(last, "activation", None) is keras.activations.sigmoid


def metrics(model: keras.Model, kind: str) -> list[Any]:
    """What `fit` measures besides the loss."""
    import keras

    if kind == BINARY:
        return [keras.metrics.BinaryAccuracy("accuracy", threshold=_threshold(model))]
    return [] if kind == TARGETS else ["accuracy"]


def score(model: keras.Model, x, y, kind: str) -> float:
    """Accuracy in 0..1 for classes, else the mean squared error."""
    import numpy as np

    outputs = np.asarray(model.predict(x, batch_size=64, verbose="0"))
    if kind == TARGETS:
        return float(np.mean((outputs - y) ** 2))
    if kind == BINARY:
        return float(np.mean((outputs > _threshold(model)) == (y > 0)))
    truth = y if kind == CLASSES else y.argmax(-1)
    return float(np.mean(outputs.argmax(-1) == truth))


def _threshold(model: keras.Model) -> float:
    return 0.5 if ends_in_sigmoid(model) else 0.0
