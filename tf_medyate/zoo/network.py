"""What the registry knows of a network: how to build it, its published size, its weights.

Example:
    >>> from tf_medyate.zoo.registry import get_network
    >>> print(get_network("resnet8"))
    resnet8: 32 x 32 x 3 -> 10 classes, 78,666 parameters, 12.50 M MACs, trained weights
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

import keras


@dataclasses.dataclass(frozen=True)
class Network:
    """A network of the literature, ready to be fine-tuned.

    Attributes:
        name: Its name on the command line.
        build: (input shape without the batch, number of classes) -> an uncompiled model with
            freshly drawn weights and a softmax head.
        input_shape: The published input shape, without the batch.
        classes: The published number of outputs.
        parameters: The published number of parameters, of the whole net.
        macs: The published multiply-accumulates of one inference, of the whole net.
        source: Paper or repository, and what it says.
        pretrained: number of classes -> the trained net, its head freshly drawn; None if
            nobody publishes weights.
        locate: Finds what `pretrained` reads without reading it, or raises its DataError; None
            if that cannot be told beforehand.
    """

    name: str
    build: Callable[[tuple[int, ...], int], keras.Model]
    input_shape: tuple[int, ...]
    classes: int
    parameters: int
    macs: int
    source: str
    pretrained: Callable[[int], keras.Model] | None = None
    locate: Callable[[], os.PathLike] | None = None

    def __str__(self) -> str:
        shape = " x ".join(map(str, self.input_shape))
        weights = "trained weights" if self.pretrained else "no trained weights"
        return (
            f"{self.name}: {shape} -> {self.classes:,} classes, {self.parameters:,} parameters, "
            f"{self.macs / 1e6:.2f} M MACs, {weights}"
        )
