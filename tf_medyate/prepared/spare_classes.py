"""Spare classes: outputs of a classifier that a device names once it meets what they stand for.

A spare output has no weights and a bias of -10,000: its softmax is 0 to the last bit, and so is its
gradient, so that a model with spare classes trains as it would without. The device gives it the
mean bias of the other classes when it is enrolled (tflm_ops/trainer/trainer.h).

Example:
    >>> wider = add_spare_classes(base, 2)
    >>> model = md.prepare(wider)
    >>> model.output_shape[-1] - base.output_shape[-1]
    2

Then train it, and export it with `FirmwareOptions(spare_classes=2)`.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tf_medyate.errors import NotPreparedError, OptionError
from tf_medyate.prepared.model import PreparedModel

SPARE_BIAS = -1e4


def add_spare_classes(model: keras.Model, count: int) -> keras.Model:
    """A copy of a classifier whose head has more outputs, without use until a device enrols them.

    Args:
        model: A built Sequential or functional model that ends in a Dense layer with a bias, with
            or without a softmax at its end; not prepared yet.
        count: Spare classes, 1 or more.

    Returns:
        A new model [..., classes + count] with the same outputs for the classes that there were.

    Raises:
        OptionError: `count` is below 1, or the model has another head.
        NotPreparedError: The model is prepared already.
    """
    if isinstance(model, PreparedModel):
        remedy = "Add spare classes first, then call md.prepare."
        raise NotPreparedError("model", "an ordinary Keras model", "a prepared one", remedy)
    if count < 1:
        raise OptionError("count", "1 or more", str(count), "Say how many classes may come.")
    if not model.built:
        remedy = "Give it an Input, or call it once."
        raise OptionError("model", "a built model", "one that is not built", remedy)
    head = _head(model)

    def widen(layer: Any) -> Any:
        config = layer.get_config()
        if layer is head:
            config["units"] += count
        return layer.__class__.from_config(config)

    try:
        wider: Any = keras.models.clone_model(model, clone_function=widen)
    except ValueError as error:  # something after the head needs the old shape
        raise _not_the_outputs(head, f"layers after it that fail: {error}") from error
    for old, new in zip(model.layers, wider.layers, strict=True):
        values = old.get_weights()
        if old is head:
            kernel, bias = values
            values = [
                np.pad(kernel, ((0, 0), (0, count))),
                np.pad(bias, (0, count), constant_values=SPARE_BIAS),
            ]
        new.set_weights(values)
    _check_promise(model, wider, head)
    return wider


def _check_promise(model: Any, wider: Any, head: keras.layers.Dense):
    """Raises OptionError unless the classes that there were are the first, and answer as before."""
    batch = keras.tree.map_structure(
        lambda x: np.random.default_rng(0).uniform(-1, 1, (1, *(d or 8 for d in x.shape[1:]))),
        model.inputs[0] if isinstance(model, keras.Sequential) else model.input,
    )
    old, new = (keras.tree.flatten(each(batch, training=False)) for each in (model, wider))
    if len(old) > 1:
        raise _not_the_outputs(head, f"{len(old)} outputs")
    before, after = np.asarray(old[0]), np.asarray(new[0])
    classes = before.shape[-1]
    same_shape = after.shape[:-1] == before.shape[:-1] and after.shape[-1] > classes
    if not same_shape or not np.allclose(after[..., :classes], before, atol=1e-4, equal_nan=True):
        raise _not_the_outputs(head, "outputs that are made of more than this layer")


def _not_the_outputs(head: keras.layers.Dense, received: str) -> OptionError:
    expected = f"a model whose outputs are those of its head '{head.name}'"
    remedy = "Give it one Dense head for all classes, before md.prepare."
    return OptionError("model", expected, received, remedy)


def _head(model: keras.Model) -> keras.layers.Dense:
    weighted = [layer for layer in model.layers if layer.weights]
    head = weighted[-1] if weighted else None
    if isinstance(head, keras.layers.Dense) and head.use_bias:
        return head
    received = "none" if head is None else f"'{head.name}', a {type(head).__name__}"
    raise OptionError(
        "model",
        "a model whose last layer with weights is a Dense layer with a bias",
        received,
        "Spare classes need such a head: give the model one, before md.prepare.",
    )
