"""Spare classes: outputs of a classifier that a device names once it meets what they stand for.

A spare output has no weights and a bias of -10,000: its softmax is 0 to the last bit, and so is its
gradient, so that a model with spare classes trains as it would without. The device gives it the
mean bias of the other classes when it is enrolled (tflm_ops/trainer/trainer.h).

Example:
    >>> wider = add_spare_classes(base, 2)
    >>> model = md.prepare(wider)
    >>> md.export(model, "out/", medyate, cpp=True, spare_classes=2, class_names=["sit", "walk"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tf_medyate.errors import OptionError
from tf_medyate.exporter.manifest import SOFTMAX_CROSS_ENTROPY

if TYPE_CHECKING:
    from tf_medyate.exporter.lower.step import TrainingGraph
    from tf_medyate.exporter.write.cpp_model import DeviceParts

SPARE_BIAS = -1e4
MOST_NAME_BYTES = 60
"""Longest name of a class, in bytes of UTF-8."""


def add_spare_classes(model: keras.Model, count: int) -> keras.Model:
    """A copy of a classifier whose head has more outputs, without use until a device enrols them.

    Args:
        model: A built Sequential or functional model that ends in a Dense layer with a bias, with
            or without a softmax behind; not prepared yet.
        count: Spare classes, 1 or more.

    Returns:
        A new model [..., classes + count] with the same outputs for the classes that there were.

    Raises:
        OptionError: `count` is below 1, or the model has another head.
    """
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

    wider: Any = keras.models.clone_model(model, clone_function=widen)
    for old, new in zip(model.layers, wider.layers, strict=True):
        values = old.get_weights()
        if old is head:
            kernel, bias = values
            values = [
                np.pad(kernel, ((0, 0), (0, count))),
                np.pad(bias, (0, count), constant_values=SPARE_BIAS),
            ]
        new.set_weights(values)
    return wider


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


def check_classes(training: TrainingGraph, device: DeviceParts) -> None:
    """Checks that spare classes and names fit the model.

    Raises:
        OptionError: They do not.
    """
    if not device.spare_classes and not device.class_names:
        return
    classes = _classes(training)
    if not 0 <= device.spare_classes < classes:
        remedy = "Widen the head by add_spare_classes, and say here by how many."
        received = f"{device.spare_classes}"
        raise OptionError("spare_classes", f"0 to {classes - 1}", received, remedy)
    _check_spare(training, device.spare_classes)
    if device.class_names:
        _check_names(device.class_names, classes - device.spare_classes)


def _classes(training: TrainingGraph) -> int:
    from tf_medyate.exporter.lower.step import LOGITS

    if training.recipe.loss != SOFTMAX_CROSS_ENTROPY:
        raise OptionError(
            "spare_classes, class_names",
            "a model that learns classes",
            f"one with the loss {training.recipe.loss}",
            "Leave them out.",
        )
    return training.graph.tensor(LOGITS).elements


def _check_spare(training: TrainingGraph, count: int) -> None:
    head = training.layout.layers[-1]
    bias = training.graph.tensor(training.biases[head.spec.name]) if head.biases else None
    spare = bias.data.reshape(-1)[-count:] if bias is not None and bias.data is not None else []
    if count and (len(spare) < count or not np.all(spare == np.float32(SPARE_BIAS))):
        raise OptionError(
            "spare_classes",
            f"a head whose last {count} biases are {SPARE_BIAS:,.0f}",
            f"{np.asarray(spare)}",
            "Make the spare classes by add_spare_classes before md.prepare, and train without "
            "weight decay.",
        )


def _check_names(names: tuple[str, ...], count: int) -> None:
    sizes = [len(name.encode()) for name in names]
    fit = all(1 <= size <= MOST_NAME_BYTES and "\0" not in n for size, n in zip(sizes, names))  # noqa: B905
    if len(names) != count or len(set(names)) != count or not fit:
        raise OptionError(
            "class_names",
            f"{count} different names of 1 to {MOST_NAME_BYTES} bytes",
            str(list(names)),
            "Name every class but the spare ones, in the order of their labels.",
        )
