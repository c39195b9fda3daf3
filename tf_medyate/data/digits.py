"""Handwritten digits of 8 x 8 pixels, which come inside scikit-learn."""

from __future__ import annotations

import csv
import gzip

import numpy as np

from tf_medyate.data.packaged import check_fold, every_nth, locate
from tf_medyate.data.task import Dataset, Task

_FOLDS = 5
_NEEDS = "scikit-learn"


def load_digits(fold: int, seed: int) -> Task:
    """Loads 1,797 digits; a fifth of each class is the test part.

    Args:
        fold: 0 to 4: which fifth.
        seed: Nothing is drawn, so it changes nothing.

    Returns:
        Images [n, 8, 8, 1], their 17 shades scaled to -1..1.

    Raises:
        OptionError: There is no such fold.
        DataError: scikit-learn is not installed.
    """
    check_fold(fold, _FOLDS)
    with gzip.open(locate("sklearn", "datasets/data/digits.csv.gz", _NEEDS), "rt") as file:
        table = np.array(list(csv.reader(file)), np.float32)
    x = (table[:, :-1] / 8 - 1).reshape(-1, 8, 8, 1)
    y = table[:, -1].astype(np.int32)
    test = every_nth(y, fold, _FOLDS)
    own = (x[~test], y[~test])
    return Task("digits", fold, *own, x[test], y[test], 10, *own)


DATASET = Dataset(
    name="digits",
    folds=_FOLDS,
    classes=10,
    load=load_digits,
    source="Alpaydin and Kaynak, Optical Recognition of Handwritten Digits (UCI, 1998), its test "
    "part, as scikit-learn ships it",
    needs=_NEEDS,
)
