"""Where results are kept: one JSON file a run, in one folder, written whole or not at all.

Any number of processes may write to a store at once. A result is written under another name and
then moved to its own, so whoever is killed leaves either all of it or nothing, and whoever
writes it a second time replaces it by its like: every result is there exactly once.

Example:
    >>> store = Store("runs")
    >>> store.write(results[0])
    >>> store.read(results[0].run) == results[0]
    True
"""

from __future__ import annotations

import os
import pathlib
import uuid
import warnings
from collections.abc import Iterable

from tf_medyate.bench.plan.grid import Run
from tf_medyate.bench.run.result import Result
from tf_medyate.errors import OptionError

_ENDING = ".json"
_DAMAGED = ".damaged"


class Store:
    """A folder of results.

    Args:
        folder: Created if missing; results lie in its subfolder "results".

    Raises:
        OptionError: The folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = pathlib.Path(folder)
        self._results = self.folder / "results"
        try:
            self._results.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            remedy = "Give another folder with --out."
            raise OptionError("--out", "a folder that can be written", str(error), remedy) from None

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
        draft = path.with_name(f".{path.stem}-{uuid.uuid4().hex}.part")
        try:
            with draft.open("x", encoding="utf-8") as file:
                file.write(result.to_json())
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
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
