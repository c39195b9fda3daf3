"""How a net is fine-tuned in the bench: the papers' recipe, and its learning rate.

SGD without momentum or weight decay; the rate rises from 0 over a few epochs of warm-up, then falls
with half a cosine to 0 over all the others, changed before every step.

Example:
    >>> FineTuneRecipe(epochs=50, batch=32, learning_rate=0.125, warmup=5).rate(epoch=2.5)
    0.0625
"""

from __future__ import annotations

import dataclasses

from tf_medyate.errors import OptionError
from tf_medyate.falling_rate import cosine

CROP, FLIP, COLOUR = "crop", "flip", "crop and colour"
AUGMENTATIONS = ("", FLIP, CROP, COLOUR)
_LEAST = {"epochs": 1, "batch": 1, "warmup": 0, "calibration": 1, "pretrain_epochs": 0,
          "renormalize": 0, "most_train": 0, "most_test": 0, "pixels": 0}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class FineTuneRecipe:
    """Everything that fine-tuning depends on beside net, data, strategy, budget and seed.

    Attributes:
        epochs: Passes over the training samples, without the warm-up.
        batch: Samples in a batch.
        learning_rate: The highest rate.
        warmup: Passes before these, over which the rate rises.
        calibration: Samples that gradients are measured on before the first draw, in batches
            of `batch`; from the task's source data where it has them.
        published: Start from the net's published weights, if it has any; else from fresh ones.
        pretrain_epochs: Passes over the task's source data before fine-tuning, by the recipe of
            `tf_medyate.zoo.pretrain`.
        renormalize: Take the statistics of the net's batch normalization again, from so many
            samples of the source data, before it is folded: a net from another domain is far off
            scale otherwise, and diverges. 0 leaves them as published.
        most_train: Train on at most so many samples, evenly spaced; 0 for all.
        most_test: Test on at most so many samples, evenly spaced; 0 for all.
        pixels: Height and width of the net's input; 0 for the net's own.
        augment: "crop" for random resized crops and flips of the training images, "crop and
            colour" for another brightness, contrast and saturation as well, "flip" for flips
            alone, "" for none; see augment.py.
        ranked_on: Data set that the layers' scores come from, measured by the zoo in a mock
            fine-tuning, as published: on another task, once for a net. "" measures them on the
            run's own source data, at frozen weights.
        head_scale: What the fresh head's first weights are multiplied by. A random head sends large
            and wrong gradients down; a net without normalization does not survive them at any rate
            that teaches it something.
    """

    epochs: int
    batch: int
    learning_rate: float
    warmup: int = 0
    calibration: int = 256
    published: bool = True
    pretrain_epochs: int = 0
    renormalize: int = 0
    most_train: int = 0
    most_test: int = 0
    pixels: int = 0
    augment: str = ""
    ranked_on: str = ""
    head_scale: float = 1.0

    def __post_init__(self):
        for name, low in _LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                expected = f"a whole number, at least {low}"
                raise OptionError(name, expected, repr(value), "Correct the recipe.")
        rate = self.learning_rate
        if not isinstance(rate, (int, float)) or not rate > 0:
            raise OptionError("learning_rate", "more than 0", repr(rate), "Try 0.05.")
        scale = self.head_scale
        if not isinstance(scale, (int, float)) or not 0 < scale <= 1:
            raise OptionError("head_scale", "more than 0, at most 1", repr(scale), "Try 0.1.")
        if not isinstance(self.published, bool):
            remedy = "Choose one of these."
            raise OptionError("published", "True or False", repr(self.published), remedy)
        if self.augment not in AUGMENTATIONS:
            allowed = " | ".join(map(repr, AUGMENTATIONS))
            raise OptionError("augment", allowed, repr(self.augment), "Choose one of these.")

    @property
    def total_epochs(self) -> int:
        """Passes over the training samples, the warm-up included."""
        return self.warmup + self.epochs

    def rate(self, epoch: float) -> float:
        """The learning rate at a time in epochs, 0 to `total_epochs`."""
        if epoch < self.warmup:
            return self.learning_rate * epoch / self.warmup
        return cosine(self.learning_rate, (epoch - self.warmup) / self.epochs)

    def __str__(self) -> str:
        augment = f", random {self.augment}" if self.augment else ""
        head = f", head from {self.head_scale:g} of its scale" if self.head_scale != 1 else ""
        ranked = f", layers ranked on {self.ranked_on}" if self.ranked_on else ""
        return (
            f"{self.warmup} + {self.epochs} epochs, batch {self.batch}, "
            f"SGD {self.learning_rate:g}{augment}{head}{ranked}"
        )
