"""Random crops, flips and colours of training images, as the papers' vision recipe has them.

    crop    a box of 8 to 100 % of the area and of proportions 3:4 to 4:3, anywhere in the image,
            resized to the image's size; then a flip (Szegedy et al., arXiv 1409.4842)
    flip    a left-right flip of every other image on average; Visual Wake Words has only that
    colour  brightness, then contrast, then saturation times a factor from 0.6 to 1.4 each, as
            PyTorch's ColorJitter(0.4, 0.4, 0.4) does, which puts the three in a random order

The draws depend on the generator alone, so a batch looks the same on every machine.

Example:
    >>> x = distort(x, "crop", np.random.default_rng([7, 0, 3]))  # seed, epoch, batch
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tf_medyate.bench.plan.recipe import COLOUR, CROP
from tf_medyate.errors import OptionError

_AREA = (0.08, 1.0)
_PROPORTION = (math.log(3 / 4), math.log(4 / 3))
_TRIALS = 10
_COLOUR = (0.6, 1.4)
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as PyTorch


def distort(x: np.ndarray, kind: str, random: np.random.Generator) -> np.ndarray:
    """Crops, flips and colours every image of a batch in its own way.

    Args:
        x: Images, float32 [n, height, width, channels], -1 to 1; not changed.
        kind: "crop", "crop and colour" or "flip".
        random: What is drawn from.

    Returns:
        Images of the same shape.

    Raises:
        OptionError: `x` holds no images, or colours are to be changed where there are none.
    """
    if x.ndim != 4:
        remedy = 'Set augment to "" for data that are no images.'
        raise OptionError("augment", "images [n, height, width, channels]", str(x.shape), remedy)
    count, height, width, channels = x.shape
    if kind == COLOUR and channels != len(_GREY):
        remedy = f'Set augment to "{CROP}".'
        raise OptionError("augment", "images of three colours", str(x.shape), remedy)
    whole = np.tile(_whole(), (count, 1))
    boxes = crops(count, height, width, random) if kind in (CROP, COLOUR) else whole
    flipped = random.random(count) < 0.5
    boxes[flipped] = boxes[flipped][:, [0, 3, 2, 1]]  # from right to left: mirrored
    x = tf.image.crop_and_resize(x, boxes, np.arange(count), (height, width)).numpy()
    return recolour(x, random.uniform(*_COLOUR, (3, count, 1, 1, 1))) if kind == COLOUR else x


def recolour(x: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Changes brightness, contrast and saturation.

    Args:
        x: Images, float32 [n, height, width, 3], -1 to 1.
        factors: Of the three, [3, n, 1, 1, 1]; 1 changes nothing.

    Returns:
        Images of the same shape and range.
    """
    brightness, contrast, saturation = factors.astype(np.float32)
    x = np.clip((x + 1) / 2 * brightness, 0, 1)
    mean = (x @ _GREY).mean((1, 2))[:, None, None, None]
    x = np.clip(mean + (x - mean) * contrast, 0, 1)
    grey = (x @ _GREY)[..., None]
    return np.clip(grey + (x - grey) * saturation, 0, 1) * 2 - 1


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
