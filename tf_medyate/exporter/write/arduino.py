"""A model with everything that trains it, as an Arduino library: copy it, compile, done.

Example:
    >>> sensor = SensorInput((100, 6), rate_hz=50, offset=mean, scale=1 / std)
    >>> print(write_arduino("out/cpp", "out/arduino/MeDyate", sensor))
    Arduino library MeDyate in out/arduino/MeDyate: ... files, examples PersonalizeIMU, StreamT...
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Sequence

import numpy as np

from tf_medyate.errors import OptionError
from tf_medyate.exporter.write.arduino_library import (
    LICENSE,
    PROPERTIES,
    library_sources,
    properties,
    source_name,
    template_folder,
    write_library,
)
from tf_medyate.exporter.write.cpp import CppModel
from tf_medyate.exporter.write.cpp_text import (
    HEADER_FILE,
    MODEL_FILE,
    NOTICE,
    WEIGHTS_FILE,
    cpp_float,
)
from tf_medyate.exporter.write.sources import device_sources
from tf_medyate.spec import FLOAT_BYTES

LIBRARY = "MeDyate"
"""Name of the library, and of the header that a sketch includes."""
INPUT_FILE = "medyate_input.h"
IMU_EXAMPLE = "PersonalizeIMU"
STREAM_EXAMPLE = "StreamTrainer"
EXAMPLES = (IMU_EXAMPLE, STREAM_EXAMPLE)
DEFAULT_RATE_HZ = 50.0

_IMU_CHANNELS = (3, 6, 9)  # acceleration; and rotation; and the magnetic field
_IMU_WINDOWS = 16  # kKept and kExams in the sketch
_IMU_WINDOW_WORDS = 3  # a label, and an exam's losses
_CLASSES = "Trainer TrainerStatus BoardFlash SerialSink LineReader Session TrainerHandler Guard"
_METHODS = "Begin Step EndEpoch Predict Commit Discard Enrol Reset Hold SetGuard ClassName"


@dataclasses.dataclass(frozen=True)
class SensorInput:
    """How readings of a sensor become the model's input: `(reading - offset) * scale`.

    Attributes:
        shape: Of one sample, without the batch. Times come first, channels last; [100, 6],
            [100, 6, 1] and [1, 100, 6] are one. Two sides above 1 before the channels are an image.
        rate_hz: Readings a second in the training data.
        offset: One number for each channel, in the sensor's unit; empty for zeros. Data that were
            normalized by mean and deviation: the mean.
        scale: One number for each channel; empty for ones. For the same data: 1 / deviation.
    """

    shape: Sequence[int]
    rate_hz: float = DEFAULT_RATE_HZ
    offset: Sequence[float] | np.ndarray = ()
    scale: Sequence[float] | np.ndarray = ()

    def __post_init__(self):
        if not self.shape or any(int(side) < 1 for side in self.shape):
            raise OptionError("shape", "sides above 0", str(list(self.shape)), _SHAPE_REMEDY)
        if not (math.isfinite(self.rate_hz) and 0 < self.rate_hz <= 1e6):
            raise OptionError("rate_hz", "above 0, to 1e6", str(self.rate_hz), "Give it in Hz.")
        for name in ("offset", "scale"):
            values = np.asarray(getattr(self, name), np.float32).reshape(-1)
            if values.size not in (0, self.channels) or not np.isfinite(values).all():
                raise OptionError(
                    f"input_{name}",
                    f"{self.channels} finite numbers, one a channel of shape {list(self.shape)}",
                    str(values.tolist()),
                    "Give one number for each channel, or none.",
                )

    @property
    def channels(self) -> int:
        """Numbers of one reading, or of one pixel: the last side that is not 1 of a series."""
        if self.is_image:
            return int(self.shape[-1])
        sides = [int(side) for side in self.shape if side != 1]
        return sides[-1] if len(sides) >= 2 else 1

    @property
    def is_image(self) -> bool:
        """It has height and width; a motion sensor's series, with a side of 1, has not."""
        if len(self.shape) != 3 or 1 in self.shape[:2]:
            return False
        return self.shape[2] != 1 or self.shape[1] not in _IMU_CHANNELS

    @property
    def is_raw(self) -> bool:
        """Readings are the input as they are."""
        return np.size(self.offset) == 0 and np.size(self.scale) == 0

    @property
    def rows(self) -> int:
        """Readings, or pixels, of one sample."""
        return math.prod(int(side) for side in self.shape) // self.channels

    @property
    def is_imu(self) -> bool:
        """Whether a board's motion sensor can give it."""
        return not self.is_image and self.channels in _IMU_CHANNELS and self.rows > 1

    def imu_windows_bytes(self, number_bytes: int = FLOAT_BYTES) -> int:
        """RAM of the windows that the example `PersonalizeIMU` remembers.

        Args:
            number_bytes: Of a number of a sample, as the model takes it.
        """
        window = self.rows * self.channels * number_bytes + _IMU_WINDOW_WORDS * FLOAT_BYTES
        return _IMU_WINDOWS * window

    def header(self) -> str:
        """medyate_input.h."""
        offset = np.asarray(self.offset, np.float32).reshape(-1)
        scale = np.asarray(self.scale, np.float32).reshape(-1)
        return _INPUT_HEADER.format(
            notice=NOTICE,
            rows=self.rows,
            channels=self.channels,
            rate=cpp_float(self.rate_hz),
            offset=_floats(offset if offset.size else np.zeros(self.channels, np.float32)),
            scale=_floats(scale if scale.size else np.ones(self.channels, np.float32)),
        )


_SHAPE_REMEDY = "Give the model's input shape without the batch, as in [100, 6]."

_INPUT_HEADER = """#ifndef MEDYATE_INPUT_H_
#define MEDYATE_INPUT_H_

{notice}

// What the model expects of a sensor: `kRows` readings (of an image: pixels) of `kChannels` numbers
// each, one after the other, every number as (reading - kOffset[channel]) * kScale[channel].
// `kRateHz` of them are a second of a motion sensor.

namespace medyate_input {{

constexpr int kRows = {rows};
constexpr int kChannels = {channels};
constexpr float kRateHz = {rate};
constexpr float kOffset[kChannels] = {{{offset}}};
constexpr float kScale[kChannels] = {{{scale}}};

}}  // namespace medyate_input

#endif  // MEDYATE_INPUT_H_
"""


@dataclasses.dataclass(frozen=True)
class ArduinoLibrary:
    """What was written.

    Attributes:
        folder: The library's own folder: copy it into the sketchbook's `libraries`.
        files: All files, relative to it, sorted.
        examples: Names of the sketches.
    """

    folder: pathlib.Path
    files: tuple[str, ...]
    examples: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"Arduino library {LIBRARY} in {self.folder}: {len(self.files)} files, "
            f"examples {', '.join(self.examples)}"
        )


def write_arduino(
    cpp: CppModel | str | pathlib.Path, folder: str | pathlib.Path, sensor: SensorInput
) -> ArduinoLibrary:
    """Writes a model and its trainer as an Arduino library without dependencies.

    Args:
        cpp: What `write_cpp` wrote, or the folder that it wrote to.
        folder: The library's folder, made if need be. Its `src` and our examples are replaced; what
            else lies there stays.
        sensor: How readings become the model's input.

    Returns:
        What was written. The example `PersonalizeIMU` is among it if a motion sensor can give the
        input: 3, 6 or 9 channels.

    Raises:
        OptionError: `cpp` holds no model, or `folder` holds something else.
        SourcesError: The C++ sources are not there.
    """
    model = cpp.folder if isinstance(cpp, CppModel) else pathlib.Path(cpp)
    parts = [model / name for name in (HEADER_FILE, MODEL_FILE, WEIGHTS_FILE)]
    missing = [path.name for path in parts if not path.is_file()]
    if missing:
        remedy = "Export the model as C++ first."
        raise OptionError("cpp", f"a folder with {', '.join(missing)}", str(model), remedy)
    examples = (IMU_EXAMPLE, STREAM_EXAMPLE) if sensor.is_imu else (STREAM_EXAMPLE,)
    texts = {
        PROPERTIES: _properties(),
        "keywords.txt": _keywords(),
        "LICENSE.txt": LICENSE,
        f"src/{INPUT_FILE}": sensor.header(),
    }
    glue = template_folder()
    files = {f"src/{source_name(path.name)}": path for path in parts}
    files[f"src/{LIBRARY}.h"] = glue / f"{LIBRARY}.h"
    files |= {f"src/{name}": path for name, path in library_sources(device_sources()).items()}
    for path in sorted(glue.glob("*.h")):
        if path.name != f"{LIBRARY}.h":
            files[f"src/tflm_ops/arduino/{path.name}"] = path
    for example in examples:
        for path in sorted((glue / "examples" / example).iterdir()):
            files[f"examples/{example}/{path.name}"] = path
    folder = pathlib.Path(folder)
    write_library(folder, LIBRARY, EXAMPLES, texts, files)
    return ArduinoLibrary(folder, tuple(sorted([*texts, *files])), examples)


def _floats(values: np.ndarray) -> str:
    return ", ".join(cpp_float(value) for value in values)


def _properties() -> str:
    return properties(
        LIBRARY,
        "A neural network that goes on learning on the board.",
        "One exported model with its training step: it learns its one user, keeps what it learned "
        "in flash across power cuts, and needs no server. Written by tf_medyate.",
    )


def _keywords() -> str:
    rows = [*((name, "KEYWORD1") for name in _CLASSES.split())]
    rows += [(name, "KEYWORD2") for name in _METHODS.split()]
    return "".join(f"{name}\t{kind}\n" for name, kind in rows)
