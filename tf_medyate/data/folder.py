"""Finds data that the user has fetched, in the folder that MEDYATE_DATA names.

Files lie as their publishers lay them out; nothing is downloaded here. Beside what a package ships
(`tf_medyate.data.packaged`) and what tensorflow-datasets fetches (`tf_medyate.data.vision`) this
is the third way to data.

Example:
    $ git clone https://github.com/Jakobovski/free-spoken-digit-dataset
    $ MEDYATE_DATA=. medyate bench --suite own --networks ds_cnn --datasets spoken_digits
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

from tf_medyate.errors import DataError

VARIABLE = "MEDYATE_DATA"


def find(name: str, places: Sequence[str], where: str) -> pathlib.Path:
    """Finds a data set's file or folder.

    Args:
        name: The data set's name, for the error.
        places: Where it may lie inside the user's folder, the likeliest first.
        where: What to fetch, and from where, for the error.

    Returns:
        The path of an existing file or folder.

    Raises:
        DataError: The variable is not set, or the folder holds none of the places.
    """
    given = os.environ.get(VARIABLE, "")
    remedy = f"Fetch {where}, and set {VARIABLE} (or --data_dir) to the folder that it lies in."
    expected = f"a folder with {' or '.join(places)}, for {name}"
    if not given:
        raise DataError(VARIABLE, expected, "nothing", remedy)
    folder = pathlib.Path(given).expanduser()
    found = next((folder / place for place in places if (folder / place).exists()), None)
    if found is None:
        received = f"{folder} without it" if folder.is_dir() else f"no folder {folder}"
        raise DataError(VARIABLE, expected, received, remedy)
    return found
