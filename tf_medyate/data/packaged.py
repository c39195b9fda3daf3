"""Finds data files inside installed packages without importing these.

Importing a package for one file of it costs seconds and wants all of its dependencies; the file is
all that is needed.
"""

from __future__ import annotations

import importlib.util
import pathlib

import numpy as np

from tf_medyate.errors import DataError, OptionError


def locate(package: str, file: str, needs: str) -> pathlib.Path:
    """Path of a file in an installed package.

    Args:
        package: Name of the top-level package.
        file: Path inside it, with slashes.
        needs: What to `pip install` for it, for the error.

    Returns:
        The path of an existing file.

    Raises:
        DataError: The package is not installed, or has no such file.
    """
    remedy = f"Run `pip install {needs}`."
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise DataError(package, "the installed package", "no such package", remedy)
    path = pathlib.Path(folders[0], *file.split("/"))
    if not path.is_file():
        raise DataError(package, f"a package that holds {file}", f"no {path}", remedy)
    return path


def check_fold(fold: int, folds: int) -> None:
    """Refuses a fold that a data set does not have.

    Raises:
        OptionError: There is no such fold.
    """
    whole = isinstance(fold, (int, np.integer)) and not isinstance(fold, bool)
    if not whole or not 0 <= fold < folds:
        expected = f"a whole number from 0 to {folds - 1}"
        raise OptionError("fold", expected, repr(fold), "Choose one of the data set's folds.")


def every_nth(y: np.ndarray, fold: int, folds: int) -> np.ndarray:
    """Which samples are the test part of a fold: of each class, every `folds`-th, in order.

    Args:
        y: Labels, [n].
        fold: Which sample of `folds` is the first.
        folds: Number of folds; their test parts are disjoint and make up everything.

    Returns:
        bool [n].
    """
    test = np.zeros(len(y), bool)
    for label in np.unique(y):
        test[np.flatnonzero(y == label)[fold::folds]] = True
    return test
