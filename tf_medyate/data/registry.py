"""The data sets by name: every module of this folder that holds a `DATASET` is listed.

A data set of your own needs no more than such a file; see docs/extending.md.

Example:
    >>> from tf_medyate.data.registry import fit_input, get_dataset
    >>> task = get_dataset("mnist5k").load(0, 0)
    >>> x = fit_input(task.train_x, (32, 32, 3))
"""

from __future__ import annotations

from tf_medyate import data
from tf_medyate.data.fitting import fit_input
from tf_medyate.data.task import Dataset, Task
from tf_medyate.plugins import collect, lookup

__all__ = ["DATASETS", "Dataset", "Task", "fit_input", "get_dataset"]

DATASETS: dict[str, Dataset] = collect(data, "DATASET", Dataset)


def get_dataset(name: str) -> Dataset:
    """Looks a data set up.

    Args:
        name: One of `DATASETS`.

    Returns:
        The data set; its data are read only when `load` is called.

    Raises:
        OptionError: There is no data set of that name.
    """
    return lookup(DATASETS, "dataset", name)
