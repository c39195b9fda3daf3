"""Photographs of hands that show digits, by 218 students; one student is in one part only.

Nobody published who is on which picture. But the number in a file's name runs student by
student through all ten folders (IMG_1118 is a 0, IMG_1119 a 1, ...), with a few gaps and
exchanges. So pictures are put in the order of these numbers and cut into five parts where ten that
run from 0 to 9 are followed by ten that do. A part is a fold's test part, so at its borders no
student is in both.

Example:
    >>> from tf_medyate.data.registry import get_dataset
    >>> print(get_dataset("sign_digits").load(0, 0))
    sign_digits, fold 0: 1,651 training and 411 test samples of 100 x 100 x 3, 10 classes
"""

from __future__ import annotations

import functools
import pathlib
import re

import numpy as np
from PIL import Image, ImageOps

from tf_medyate.data.folder import find
from tf_medyate.data.packaged import check_fold
from tf_medyate.data.task import Dataset, Task
from tf_medyate.errors import DataError

PIXELS = 100
_FOLDS = 5
_DIGITS = tuple(range(10))
_WHERE = "https://github.com/ardamavi/Sign-Language-Digits-Dataset"
_NAME = re.compile(r"IMG_(\d+)\.JPG", re.IGNORECASE)
_REMEDY = f"Fetch {_WHERE} once more."


@functools.lru_cache(maxsize=1)
def read(folder: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads all pictures; the result is kept (59 MiB) and shared by callers.

    Args:
        folder: With a folder for each digit.

    Returns:
        uint8 [n, 100, 100, 3] and the digits, int32 [n], both in the order of the pictures'
        numbers, read-only. A few pictures are larger and lie on their side: turned and shrunk.

    Raises:
        DataError: A digit has no pictures, or one cannot be read.
    """
    found = []
    for digit in _DIGITS:
        paths = (folder / str(digit)).glob("*")
        named = [(int(m[1]), digit, path) for path in paths if (m := _NAME.fullmatch(path.name))]
        if not named:
            expected, received = "pictures IMG_<number>.JPG", "none"
            raise DataError(str(folder / str(digit)), expected, received, _REMEDY)
        found += named
    found.sort()
    x = np.stack([_picture(path) for _, _, path in found])
    y = np.array([digit for _, digit, _ in found], np.int32)
    x.setflags(write=False)
    y.setflags(write=False)
    return x, y


def _picture(path: pathlib.Path) -> np.ndarray:
    try:
        with Image.open(path) as picture:
            turned = ImageOps.exif_transpose(picture).convert("RGB")
    except OSError as error:  # PIL's own errors are OSErrors
        raise DataError(str(path), "a picture", repr(error), _REMEDY) from error
    if turned.size != (PIXELS, PIXELS):
        turned = turned.resize((PIXELS, PIXELS), Image.Resampling.BILINEAR)
    return np.asarray(turned)


def cuts(y: np.ndarray, parts: int = _FOLDS) -> list[int]:
    """Where to cut between two students: the clean borders nearest to equal parts.

    Args:
        y: Digits in the order of the pictures' numbers, [n].
        parts: How many parts there shall be.

    Returns:
        `parts` + 1 places, from 0 to n.

    Raises:
        DataError: There are not so many clean borders.
    """
    run = np.arange(10)
    clean = [
        place
        for place in range(10, len(y) - 9)
        if (y[place - 10 : place] == run).all() and (y[place : place + 10] == run).all()
    ]
    if len(clean) < parts - 1:
        received = f"{len(clean)} places between two runs from 0 to 9"
        raise DataError("sign_digits", f"at least {parts - 1} clean borders", received, _REMEDY)
    wanted = [len(y) * part / parts for part in range(1, parts)]
    chosen = [min(clean, key=lambda place: abs(place - goal)) for goal in wanted]
    if len(set(chosen)) < len(chosen):
        raise DataError("sign_digits", "borders apart", f"{chosen}", _REMEDY)
    return [0, *chosen, len(y)]


def load_sign_digits(fold: int, seed: int) -> Task:
    """Loads the pictures; a fifth of the students are the test part.

    Args:
        fold: 0 to 4: which fifth.
        seed: Nothing is drawn, so it changes nothing.

    Returns:
        Images [n, 100, 100, 3], scaled to -1..1, student by student.

    Raises:
        OptionError: There is no such fold.
        DataError: The pictures are missing or broken.
    """
    check_fold(fold, _FOLDS)
    places = ("sign_digits", "Sign-Language-Digits-Dataset/Dataset", "Dataset")
    x, y = read(find("sign_digits", places, _WHERE))
    borders = cuts(y)
    place = np.arange(len(y))
    test = (place >= borders[fold]) & (place < borders[fold + 1])
    own = (x[~test] / np.float32(127.5) - 1, y[~test])
    return Task("sign_digits", fold, *own, x[test] / np.float32(127.5) - 1, y[test], 10, *own)


DATASET = Dataset(
    name="sign_digits",
    folds=_FOLDS,
    classes=10,
    load=load_sign_digits,
    source="Mavi, Sign Language Digits Dataset (Turkey Ankara Ayranci Anadolu High School, 2017)",
    needs=_WHERE,
)
