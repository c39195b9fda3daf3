"""How a model takes its samples: as float32, or in 8 bits where an int8 front reads them.

A number of the model's input is kept as (factor * number + offset) / scale + zero, rounded half
away from zero and held within 8 bits: the bits that MEDYATE_QUANTIZE, or LiteRT's QUANTIZE, would
make of it on the device. `factor` and `offset` are those of a Rescaling that the model begins with.
tflm_ops/trainer/sample.cc does the same.

Example:
    >>> bytes_of_a_camera = SampleType(INT8, scale=1 / 255, factor=1 / 255, zero=-128)
    >>> bytes_of_a_camera.stored(np.array([0, 7, 255]))
    array([-128, -121,  127], dtype=int8)
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

FLOAT32, INT8 = "float32", "int8"

_BEYOND = 512.0  # any int8, whatever the zero point


@dataclasses.dataclass(frozen=True)
class SampleType:
    """What a sample is made of.

    Attributes:
        dtype: FLOAT32: numbers are taken as they are. INT8: as above.
        factor, offset, scale, zero: As above; 1, 0, 1, 0 of floats.
    """

    dtype: str = FLOAT32
    factor: float = 1.0
    offset: float = 0.0
    scale: float = 1.0
    zero: int = 0

    @property
    def is_int8(self) -> bool:
        """Whether it is in 8 bits."""
        return self.dtype == INT8

    @property
    def number_bytes(self) -> int:
        """Bytes of one number."""
        return np.dtype(self.dtype).itemsize

    @property
    def is_sound(self) -> bool:
        """Whether the numbers make sense; what a board says of itself may not."""
        finite = all(map(math.isfinite, (self.factor, self.offset, self.scale)))
        return finite and self.scale > 0 and -128 <= self.zero <= 127

    def stored(self, sample: np.ndarray) -> np.ndarray:
        """A sample as the model takes it, of the same shape.

        Args:
            sample: Finite numbers.
        """
        x = np.asarray(sample, np.float32)
        if not self.is_int8:
            return x
        factor, offset, scale = (np.float32(v) for v in (self.factor, self.offset, self.scale))
        with np.errstate(over="ignore"):
            value = np.clip((factor * x + offset) / scale, -_BEYOND, _BEYOND)
        whole = np.trunc(value)  # what is left is exact
        whole += np.sign(value) * (np.abs(value - whole) >= 0.5)
        return np.clip(whole + self.zero, -128, 127).astype(np.int8)

    def __str__(self) -> str:
        if not self.is_int8:
            return FLOAT32
        folded = "" if (self.factor, self.offset) == (1, 0) else f"{self.factor:.6g} x "
        folded += f"{self.offset:+.6g} " if folded else ""
        return f"int8, {folded}scale {self.scale:.6g}, zero {self.zero}"


FLOATS = SampleType()
"""Of a model that takes numbers as they are."""
