"""How real numbers lie in 8 bits, and the multipliers that go with it: TensorFlow Lite's rules.

real = scale * (stored - zero point); see `exporter/ops/int8_schema.py`.

Example:
    >>> activation_range(-1.0, 1.55)
    Quantization(scale=(0.009999999776482582,), zero_point=(-28,), axis=0)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tf_medyate.exporter.ir.values import Quantization
from tf_medyate.exporter.ops.int8_schema import ADD_SHIFT, HIGHEST, HIGHEST_SHIFT, LOWEST

_STEPS = HIGHEST - LOWEST
_SMALLEST_SCALE = 1e-8  # of a tensor that is 0 throughout
_MOST = 2**31 - 1
_MARGIN = 1e-6  # beyond the roundings of scales and multipliers


def activation_range(lowest: float, highest: float) -> Quantization:
    """Of values from `lowest` to `highest`; 0 is always one of them, exactly."""
    lowest, highest = min(0.0, float(lowest)), max(0.0, float(highest))
    scale = float(np.float32(max((highest - lowest) / _STEPS, _SMALLEST_SCALE)))
    zero = round(LOWEST - lowest / scale)
    return Quantization((scale,), (min(max(zero, LOWEST), HIGHEST),))


def quantized_weights(
    weights: np.ndarray, axis: int, least: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights as int8, -127 to 127, and scales of `least` or more, one for each index of `axis`."""
    others = tuple(i for i in range(weights.ndim) if i != axis % weights.ndim)
    largest = np.abs(weights).max(axis=others)
    scales = np.maximum(np.maximum(largest / HIGHEST, least), _SMALLEST_SCALE).astype(np.float32)
    shape = [1] * weights.ndim
    shape[axis] = -1
    stored = np.clip(np.round(weights / scales.reshape(shape)), -HIGHEST, HIGHEST)
    return stored.astype(np.int8), scales


def scale_with_room(scale: float, input_scale: float, weight_scales: np.ndarray) -> float:
    """An output's scale, large enough that every multiplier stays below a half.

    A smaller one would tell apart what the sums themselves do not.
    """
    least = 2.0 * input_scale * float(weight_scales.max())
    if scale > least * (1 + _MARGIN):
        return scale
    return float(np.float32(least * (1 + 2 * _MARGIN)))


def requantization(
    bias: np.ndarray, input_scale: float, weight_scales: np.ndarray, output_scale: float
) -> np.ndarray:
    """The constant of a layer: bias, multiplier, shift to the right, [3, outputs] int32."""
    real = np.float64(input_scale) * weight_scales.astype(np.float64) / np.float64(output_scale)
    pairs = [fixed_point(value) for value in real]
    return np.stack([bias, *np.array(pairs, np.int64).T]).astype(np.int32)


def fixed_point(value: float) -> tuple[int, int]:
    """A number below 1 as (multiplier in Q31, shift to the right), as TensorFlow Lite rounds it."""
    fraction, exponent = math.frexp(value)
    # Half away from zero, as C's round().
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier > _MOST:
        multiplier, exponent = multiplier // 2, exponent + 1
    if -exponent > HIGHEST_SHIFT:
        return 0, HIGHEST_SHIFT
    return multiplier, -exponent


def add_options(a: Quantization, b: Quantization, total: Quantization) -> dict[str, Any]:
    """The options of INT8_ADD."""
    terms = (a, b, total)
    twice = 2.0 * max(a.scale[0], b.scale[0])
    real = (a.scale[0] / twice, b.scale[0] / twice, twice / (2.0**ADD_SHIFT * total.scale[0]))
    pairs = [fixed_point(value) for value in real]
    return {
        "zero": _all(q.zero_point[0] for q in terms),
        "multiplier": _all(multiplier for multiplier, _ in pairs),
        "shift": _all(shift for _, shift in pairs),
    }


def _all(values: Iterable[int]) -> tuple[int, ...]:
    return tuple(values)
