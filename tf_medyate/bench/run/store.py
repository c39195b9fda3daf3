"""Where results are kept: one JSON file a run, in one folder, written whole or not at all.

Any number of processes may write to a store at once. A process that is killed leaves all of a
result or nothing, and one that writes it a second time replaces it by its like: every result is
there exactly once.

Example:
    >>> store = Store("runs")
    >>> store.write(results[0])
    >>> store.read(results[0].run) == results[0]
    True
"""

from __future__ import annotations

import os
import pathlib
import warnings
from collections.abc import Iterable

from tf_medyate import files
from tf_medyate.bench.plan.grid import Run
from tf_medyate.bench.run.result import Result

_ENDING = ".json"
_DAMAGED = ".damaged"


class Store:
    """A folder of results.

    Args:
        folder: Created if missing; results lie in its subfolder "results".

    Raises:
        OptionError, OutputError: The folder cannot be made or written to.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = pathlib.Path(folder)
        self._results = self.folder / "results"
        files.check_folder("--out", self._results)
        self._results.mkdir(parents=True, exist_ok=True)

    def path(self, run: Run) -> pathlib.Path:
        """Where the result of a run lies, or will."""
        return self._results / f"{run.key}{_ENDING}"

    def has(self, run: Run) -> bool:
        """A result is there; whether it can be read, only `read` tells."""
        return self.path(run).exists()

    def read(self, run: Run) -> Result | None:
        """The result of a run; None if there is none.

        A file that cannot be read is renamed, with a warning, so that the run is done again.
        """
        path = self.path(run)
        try:
            result = Result.from_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
            self._set_aside(path, error)
            return None
        if result.run != run:
            self._set_aside(path, ValueError(f"it holds another run, {result.run}"))
            return None
        return result

    def read_all(self, runs: Iterable[Run]) -> list[Result]:
        """The results of those runs that are done, in the order given."""
        found = (self.read(run) for run in runs)
        return [result for result in found if result is not None]

    def write(self, result: Result) -> pathlib.Path:
        """Keeps a result; afterwards it survives a loss of power.

        Returns:
            The file.
        """
        path = self.path(result.run)
        files.write_text(path, result.to_json())
        return path

    def _set_aside(self, path: pathlib.Path, error: Exception):
        """Renames a damaged file to a name that is still free."""
        number = 0
        while (aside := path.with_name(f"{path.name}{_DAMAGED}{number or ''}")).exists():
            number += 1
        try:
            os.replace(path, aside)
        except FileNotFoundError:
            return  # another process has set it aside already
        warnings.warn(
            f"{path}: {error}. Renamed to {aside.name}; the run will be done again.",
            stacklevel=3,
        )
