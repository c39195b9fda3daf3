"""Writes what runs start from as files, for the other commands: rank, finetune, compare, export.

Example:
    >>> for path in save(get_suite("tiny"), pathlib.Path("cases")):
    ...     print(path)        # cases/ds_cnn-watch-1.keras; its data are beside it, as .npz
"""

from __future__ import annotations

import pathlib

import numpy as np

from tf_medyate import files
from tf_medyate.bench.plan.grid import Run
from tf_medyate.bench.plan.suites import Suite
from tf_medyate.bench.run.material import first_net, task_of


def save(suite: Suite, folder: pathlib.Path) -> list[pathlib.Path]:
    """Writes net and data of every case's first fold, as seed 0 has them.

    Args:
        suite: Whose cases.
        folder: Made if missing.

    Returns:
        The nets, net-dataset-fold.keras; of the same name with .npz: x, y, x_val, y_val.

    Raises:
        DataError: Data or weights are not installed.
    """
    paths = []
    for case in suite.cases:
        run = Run(case.network, case.dataset, case.folds[0], 0, "head", None, case.recipe)
        task = task_of(run)
        path = folder / f"{case.network}-{case.dataset}-{run.fold}.keras"
        files.save_keras(first_net(run, task), path)
        with files.replacing(path.with_suffix(".npz")) as draft:
            np.savez(draft, x=task.train_x, y=task.train_y, x_val=task.test_x, y_val=task.test_y)
        paths.append(path)
    return paths
