"""Random crops and flips of training images, as the papers' vision recipe has them.

    crop    a box of 8 to 100 % of the area and of proportions 3:4 to 4:3, anywhere in the image,
            resized to the image's size; then a flip (Szegedy et al., arXiv 1409.4842)
    flip    a left-right flip of every other image on average; Visual Wake Words has only that

The draws depend on the generator alone, so a batch looks the same on every machine.

Example:
    >>> x = distort(x, "crop", np.random.default_rng([seed, epoch, batch]))
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tf_medyate.bench.plan.recipe import CROP
from tf_medyate.errors import OptionError

_AREA = (0.08, 1.0)
_PROPORTION = (math.log(3 / 4), math.log(4 / 3))
_TRIALS = 10


def distort(x: np.ndarray, kind: str, random: np.random.Generator) -> np.ndarray:
    """Crops and flips every image of a batch in its own way.

    Args:
        x: Images, float32 [n, height, width, channels]; not changed.
        kind: "crop" or "flip".
        random: What is drawn from.

    Returns:
        Images of the same shape.

    Raises:
        OptionError: `x` holds no images.
    """
    if x.ndim != 4:
        remedy = 'Set augment to "" for data that are no images.'
        raise OptionError("augment", "images [n, height, width, channels]", str(x.shape), remedy)
    count, height, width, _ = x.shape
    boxes = crops(count, height, width, random) if kind == CROP else np.tile(_whole(), (count, 1))
    flipped = random.random(count) < 0.5
    boxes[flipped] = boxes[flipped][:, [0, 3, 2, 1]]  # from right to left: mirrored
    return tf.image.crop_and_resize(x, boxes, np.arange(count), (height, width)).numpy()


def _whole() -> np.ndarray:
    return np.array([0.0, 0.0, 1.0, 1.0])


def crops(count: int, height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Draws boxes of whole pixels.

    Returns:
        float64 [count, 4]: centres of the first and last row and column (top, left, bottom, right),
        0 being the image's first and 1 its last. The whole image where no box fits in ten trials.
    """
    shape = (_TRIALS, count)
    area = random.uniform(_AREA[0], _AREA[1], shape) * height * width
    proportion = np.exp(random.uniform(_PROPORTION[0], _PROPORTION[1], shape))
    size = np.rint(np.sqrt(np.stack([area / proportion, area * proportion])))  # [2, trials, count]
    limit = np.array([height, width])[:, None]
    fits = ((size >= 1) & (size <= limit[:, None])).all(0)
    size = size[:, fits.argmax(0), np.arange(count)]  # the first that fits
    size = np.where(fits.any(0), size, limit)
    first = np.floor(random.random((2, count)) * (limit - size + 1))
    edges = np.concatenate([first, first + size - 1]) / np.maximum(np.tile(limit - 1, (2, 1)), 1)
    return edges.T
