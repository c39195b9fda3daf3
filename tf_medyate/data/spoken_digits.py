"""Spoken digits of six people: a device learns the voice of one whom it never heard.

Recordings (free-spoken-digit-dataset, 8 kHz, 0.14 to 2.3 s) become log-mel spectrograms of one
second, as MLPerf Tiny's keyword spotting net wants them: frames of 30 ms every 20 ms, ten bands up
to 4 kHz. A recording shorter than that stands in the middle of silence; of a longer one the middle
is kept. What lies 40 dB below a recording's loudest band counts as silence.

A fold leaves one speaker out. Of each digit the first 20 of the speaker's 50 recordings are to
adapt to, the later ones to test on; the other five speakers are the source.

Example:
    >>> from tf_medyate.data.registry import get_dataset
    >>> print(get_dataset("spoken_digits").load(3, 0))
    spoken_digits, fold 3: 200 training and 300 test samples of 49 x 10, 10 classes
"""

from __future__ import annotations

import functools
import pathlib
import re
import wave

import numpy as np

from tf_medyate.data.folder import find
from tf_medyate.data.packaged import check_fold
from tf_medyate.data.task import Dataset, Task
from tf_medyate.errors import DataError

RATE_HZ = 8000
BANDS = 10
SPEAKERS = 6
ADAPT = 20
_FRAME, _STEP, _FFT = 240, 160, 256  # samples
_LOWEST_HZ = 20.0
_SILENCE = 1e-4
_WHERE = "https://github.com/Jakobovski/free-spoken-digit-dataset"
_NAME = re.compile(r"(\d)_(\w+)_(\d+)\.wav")
_REMEDY = f"Fetch {_WHERE} once more."


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Spectrograms of recordings of one second each.

    Args:
        samples: float32 [n, 8000], -1 to 1.

    Returns:
        Natural logarithms of the bands' magnitudes, float32 [n, 49, 10]; the loudest of each
        recording is 0, the least log(1e-4).
    """
    import tensorflow as tf  # seconds to import: only where there is something to compute

    spectrum = tf.abs(tf.signal.stft(samples, _FRAME, _STEP, _FFT))
    bands = spectrum @ tf.signal.linear_to_mel_weight_matrix(
        BANDS, _FFT // 2 + 1, RATE_HZ, _LOWEST_HZ, RATE_HZ / 2
    )
    loudest = tf.reduce_max(bands, (1, 2), keepdims=True)
    return tf.math.log(tf.maximum(bands / tf.maximum(loudest, 1e-9), _SILENCE)).numpy()


@functools.lru_cache(maxsize=1)
def read(folder: pathlib.Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Reads all recordings; the result is kept (6 MiB) and shared by callers.

    Args:
        folder: With files {digit}_{speaker}_{index}.wav.

    Returns:
        Spectrograms [n, 49, 10]; digits [n]; speakers, numbered in the order of their names [n];
        indices [n]. By digit, then speaker, then index; read-only.

    Raises:
        DataError: There are no such files, not of six speakers, or one cannot be read.
    """
    named = sorted(
        (int(match[1]), match[2], int(match[3]), path)
        for path in folder.glob("*.wav")
        if (match := _NAME.fullmatch(path.name))
    )
    names = sorted({speaker for _, speaker, _, _ in named})
    if len(names) != SPEAKERS:
        expected = f"files {{digit}}_{{speaker}}_{{index}}.wav of {SPEAKERS} speakers"
        raise DataError(str(folder), expected, f"{len(names)} speakers", _REMEDY)
    x = log_mel(np.stack([_second(path) for *_, path in named]))
    labels = [[d, names.index(speaker), index] for d, speaker, index, _ in named]
    arrays = (x, *np.array(labels, np.int32).T)
    for array in arrays:
        array.setflags(write=False)
    return arrays


def _second(path: pathlib.Path) -> np.ndarray:
    """One second of a recording, with silence on both sides or without its ends."""
    try:
        with wave.open(str(path)) as file:
            kind = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            raw = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise DataError(str(path), "a recording", repr(error), _REMEDY) from error
    if kind != (1, 2, RATE_HZ):
        expected = f"1 channel of 2 bytes at {RATE_HZ} Hz"
        raise DataError(str(path), expected, "{} of {} at {}".format(*kind), _REMEDY)
    samples = np.frombuffer(raw, "<i2") / np.float32(2**15)
    first = (len(samples) - RATE_HZ) // 2
    if first >= 0:
        return samples[first : first + RATE_HZ]
    return np.pad(samples, (-first, RATE_HZ - len(samples) + first))


def load_spoken_digits(fold: int, seed: int) -> Task:
    """Loads the recordings with one speaker left out.

    Args:
        fold: 0 to 5: which speaker, in the order of their names.
        seed: Nothing is drawn, so it changes nothing.

    Returns:
        Spectrograms [n, 49, 10], normalized band by band with mean and deviation of the
        other speakers.

    Raises:
        OptionError: There is no such fold.
        DataError: The recordings are missing or broken.
    """
    check_fold(fold, SPEAKERS)
    places = ("spoken_digits", "free-spoken-digit-dataset/recordings", "recordings")
    x, y, speaker, index = read(find("spoken_digits", places, _WHERE))
    own, adapt = speaker == fold, index < ADAPT
    mean, deviation = x[~own].mean((0, 1), np.float64), x[~own].std((0, 1), np.float64)
    x = ((x - mean) / deviation).astype(np.float32)
    parts = (own & adapt, own & ~adapt, ~own)
    train, test, source = ((x[part], y[part]) for part in parts)
    return Task("spoken_digits", fold, *train, *test, 10, *source)


DATASET = Dataset(
    name="spoken_digits",
    folds=SPEAKERS,
    classes=10,
    load=load_spoken_digits,
    source="Jackson et al., Free Spoken Digit Dataset (2016): fold = the speaker who is left out",
    needs=_WHERE,
)
