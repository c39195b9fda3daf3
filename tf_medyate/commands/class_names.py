"""Names of classes in a file beside a Keras model: their order is the model's, whatever data hold.

Example:
    >>> save_names("tuned.keras", ("left", "right"))  # tuned.names
    >>> names_beside("tuned.keras")
    ('left', 'right')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tf_medyate import files

ENDING = ".names"


def names_file(model: str | Path) -> Path:
    """Where the names of a model's classes lie, or of what was learned on a board."""
    return Path(model).with_suffix(ENDING)


def names_beside(model: str | Path) -> tuple[str, ...]:
    """The names of a model's classes in the order of their numbers; () if they are not known.

    Raises:
        DeltaError: The file holds something else.
    """
    from tf_medyate.device.names import load_names

    names = load_names(names_file(model))
    ordered = tuple(names[label] for label in range(len(names)) if label in names)
    return ordered if len(ordered) == len(names) else ()


def save_names(model: str | Path, names: Mapping[int, str] | Sequence[str]) -> Path | None:
    """Writes the names beside a model, or takes away those of an earlier one; returns the file."""
    from tf_medyate.device.names import names_text

    numbered = names if isinstance(names, Mapping) else dict(enumerate(names))
    path = names_file(model)
    if numbered:
        files.write_text(path, names_text(numbered))
        return path
    path.unlink(missing_ok=True)
    return None
