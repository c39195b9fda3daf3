"""Do the names of classes, and the spare classes that a device names, fit the exported model?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tf_medyate.errors import OptionError
from tf_medyate.names import MOST_NAME_BYTES, is_name
from tf_medyate.prepared.spare_classes import SPARE_BIAS

if TYPE_CHECKING:
    from tf_medyate.exporter.lower.step import TrainingGraph
    from tf_medyate.exporter.write.cpp_model import DeviceParts


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
    _check_spare(training, device.spare_classes, classes)
    if device.class_names:
        _check_names(device.class_names, classes - device.spare_classes)


def _classes(training: TrainingGraph) -> int:
    from tf_medyate.exporter.lower.step import LOGITS

    if not training.recipe.loss.takes_class:
        raise OptionError(
            "spare_classes, class_names",
            "a model that learns classes",
            f"one with the loss {training.recipe.loss.kind}",
            "Leave them out.",
        )
    return training.graph.tensor(LOGITS).elements


def _check_spare(training: TrainingGraph, count: int, classes: int) -> None:
    head = training.layout.layers[-1]
    if count and head.biases not in (0, classes):
        raise OptionError(
            "spare_classes",
            f"one head with a bias for each of the {classes} classes",
            f"{head.biases} in '{head.spec.name}', the last of several",
            "Give the model one Dense head for all classes.",
        )
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
    if len(names) != count or len(set(names)) != count or not all(map(is_name, names)):
        raise OptionError(
            "class_names",
            f"{count} different names of 1 to {MOST_NAME_BYTES} bytes without control characters",
            str(list(names)),
            "Name every class but the spare ones, in the order of their labels.",
        )
