"""Brings samples of one shape to the input shape of a net that was made for another.

    samples                  net's input       what happens
    image [H, W, C]          image             resized bilinearly; channels averaged or repeated
    time series [T, C]       image [H, W, ch]  time resampled to H; each channel a stripe of
                                               floor(W / C) columns, zeros to the right of them;
                                               more than W channels are resampled to W
    time series [T, C]       series [T', C']   time resampled; channels padded with zeros at the end
                                               the last, or resampled if there are more than C'
    image                    series [T, C]     the image's rows are taken for time
    anything                 vector [n]        series and images are laid out flat, in C order,
                                               after resampling their first axis so that they
                                               fill the vector as nearly as they can; then
                                               padded with zeros, or resampled
    vector [n]               anything          taken for a time series of one channel

Bilinear and linear resampling map pixel centres onto pixel centres, as TensorFlow's
`image.resize` does. Where a map shrinks, what falls together is averaged (antialiasing), or a
long time series would lose what lies between the points that are kept.

Example:
    >>> fit_input(np.zeros((5, 28, 28, 1), np.float32), (32, 32, 3)).shape
    (5, 32, 32, 3)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tf_medyate.errors import DataError, OptionError


def fit_input(x: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Brings samples to an input shape; the same samples always give the same bits.

    Args:
        x: Samples, [n, ...] with one to three axes beside the first, channels last.
        shape: The net's input shape without the batch: [H, W, C], [T, C] or [n].

    Returns:
        float32 [n, *shape]; a copy, unless nothing had to be done.

    Raises:
        DataError: The samples have no axis or more than three beside the batch, or an empty one.
        OptionError: `shape` has no axis or more than three, or one below 1.
    """
    goal = tuple(int(size) for size in shape)
    if not 1 <= len(goal) <= 3 or min(goal) < 1:
        remedy = "Give [height, width, channels], [time, channels] or [features]."
        raise OptionError("shape", "one to three sizes of at least 1", repr(tuple(shape)), remedy)
    if not 2 <= x.ndim <= 4 or 0 in x.shape[1:]:
        remedy = "Give images [n, H, W, C], time series [n, T, C] or vectors [n, features]."
        raise DataError("x", "two to four axes, none empty but the first", str(x.shape), remedy)
    x = np.asarray(x, np.float32)
    if x.shape[1:] == goal:
        return x
    if len(goal) == 1:
        return _to_vector(x, goal[0])
    if x.ndim == 2:
        x = x[..., None]
    if len(goal) == 2:
        return _to_series(x, goal)
    return _to_image(x, goal) if x.ndim == 4 else _to_stripes(x, goal)


def _to_image(x: np.ndarray, goal: tuple[int, ...]) -> np.ndarray:
    """Images to images: bilinear, one axis after the other."""
    # Channels first where they are averaged: less to resize.
    if x.shape[3] > goal[2]:
        x = _channels(x, goal)
    x = _resample(_resample(x, 1, goal[0]), 2, goal[1])
    return _channels(x, goal)


def _to_stripes(x: np.ndarray, goal: tuple[int, ...]) -> np.ndarray:
    """Series to images; a stripe wide enough for the strides of the net to leave it."""
    if x.shape[2] < goal[1]:
        x = np.repeat(x, goal[1] // x.shape[2], axis=2)
    return _channels(_to_series(x, goal[:2])[..., None], goal)


def _to_series(x: np.ndarray, goal: tuple[int, ...]) -> np.ndarray:
    """Series, or images read row by row, to [T, C]."""
    x = _resample(x.reshape(*x.shape[:2], math.prod(x.shape[2:])), 1, goal[0])
    return _widen(x, 2, goal[1])


def _to_vector(x: np.ndarray, size: int) -> np.ndarray:
    """Anything to a flat vector."""
    if x.ndim > 2:
        row = math.prod(x.shape[2:])
        x = _resample(x, 1, max(1, size // row)) if row <= size else x
        x = x.reshape(len(x), math.prod(x.shape[1:]))
    return _widen(x, 1, size)


def _channels(x: np.ndarray, goal: tuple[int, ...]) -> np.ndarray:
    """Repeats a single channel, averages many to one; else pads or resamples."""
    have, want = x.shape[-1], goal[-1]
    if have == want:
        return x
    if want == 1:
        return x.mean(-1, keepdims=True, dtype=np.float32)
    if have == 1:
        return np.repeat(x, want, axis=-1)
    return _widen(x, x.ndim - 1, want)


def _widen(x: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Pads an axis with zeros past its end, or resamples it if it is too long."""
    if x.shape[axis] >= size:
        return _resample(x, axis, size)
    padding = [(0, 0)] * x.ndim
    padding[axis] = (0, size - x.shape[axis])
    return np.pad(x, padding)


def _resample(x: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Linear interpolation along one axis, averaging where it shrinks."""
    if x.shape[axis] == size:
        return x
    places, weights = _taps(x.shape[axis], size)
    column = [1] * x.ndim
    column[axis] = size
    # Tap after tap, element by element: fast where there are few, and always in the same order.
    out = np.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), np.float32)
    for place, weight in zip(places, weights, strict=True):
        out += x.take(place, axis) * weight.reshape(column)
    return out


def _taps(have: int, want: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangle filter: which inputs an output reads, and their weights; both [taps, want]."""
    scale = max(have / want, 1.0)
    centre = (np.arange(want) + 0.5) * have / want - 0.5
    first = np.floor(centre - scale).astype(int)
    places = first + np.arange(math.ceil(2 * scale) + 2)[:, None]
    weights = np.maximum(0.0, 1.0 - np.abs(places - centre) / scale)
    # Beyond an edge the output reads less than a whole triangle: the edge value is held.
    weights[(places < 0) | (places >= have)] = 0
    weights /= weights.sum(0)
    return places.clip(0, have - 1), weights.astype(np.float32)
