"""Names of classes as a board sends and takes them: text, a line for each."""

from __future__ import annotations

from collections.abc import Mapping

from tf_medyate.device.delta import DeltaError


def names_text(names: Mapping[int, str]) -> str:
    """Names of classes as a board sends and takes them: a line "label<tab>name" for each."""
    return "".join(f"{label}\t{name}\n" for label, name in sorted(names.items()))


def read_names(text: str) -> dict[int, str]:
    """Reads what `names_text` wrote.

    Raises:
        DeltaError: A line is something else.
    """
    names = {}
    for line in filter(None, text.split("\n")):
        label, tab, name = line.partition("\t")
        if not tab or not label.isdecimal() or not name:
            remedy = "Write a label, a tab and a name in each line."
            raise DeltaError("names", "lines of label and name", repr(line), remedy)
        names[int(label)] = name
    return names
