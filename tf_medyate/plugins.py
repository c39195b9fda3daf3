"""Finds what a newcomer adds: one module in the right folder, or one file anywhere.

Modules of the package's own folders are found by a name they define: `NETWORK`, `DATASET`, `BOARD`.
Files outside the package are named in the environment variable MEDYATE_PLUGINS, separated as in
PATH; a variable, because the workers of a sweep inherit it.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import pathlib
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import TypeVar

from tf_medyate.errors import OptionError

VARIABLE = "MEDYATE_PLUGINS"
Entry = TypeVar("Entry")


def collect(package: ModuleType, attribute: str, kind: type[Entry]) -> dict[str, Entry]:
    """Gathers one kind of entry from a package's modules and from the user's files.

    Args:
        package: The package whose modules are searched; subpackages are not.
        attribute: Name that such a module defines: an entry, or a tuple of entries.
        kind: Class of the entries; they have a `name`.

    Returns:
        The entries by name, in the order of the modules' names, the user's files last.

    Raises:
        OptionError: A file cannot be found, two entries bear the same name, or `attribute` is
            something else.
    """
    found: dict[str, Entry] = {}
    origin: dict[str, str] = {}
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    # The registry itself is what calls this, and a module under way cannot be imported again.
    own = [importlib.import_module(f"{package.__name__}.{n}") for n in names if n != "registry"]
    for module in own + [_load(path) for path in _files()]:
        value = getattr(module, attribute, ())
        for entry in value if isinstance(value, tuple) else (value,):
            place = module.__file__ or module.__name__
            if not isinstance(entry, kind):
                remedy = f"Make it a {kind.__name__} or a tuple of them; see docs/extending.md."
                raise OptionError(
                    f"{attribute} in {place}", f"a {kind.__name__}", repr(entry), remedy
                )
            name = getattr(entry, "name", "")
            if name in found:
                where = f"{pathlib.Path(origin[name]).name} and {pathlib.Path(place).name}"
                remedy = "Give one of them another name."
                raise OptionError(
                    f"{attribute} in {where}", "different names", f"two {name!r}", remedy
                )
            found[name], origin[name] = entry, place
    return found


def lookup(entries: Mapping[str, Entry], argument: str, name: str) -> Entry:
    """The entry of a name.

    Raises:
        OptionError: There is none.
    """
    if name not in entries:
        known = ", ".join(sorted(entries))
        raise OptionError(argument, f"one of {known}", repr(name), "Choose one of these.")
    return entries[name]


def _files() -> list[pathlib.Path]:
    """The user's files."""
    text = os.environ.get(VARIABLE, "")
    return [pathlib.Path(part).expanduser().resolve() for part in text.split(os.pathsep) if part]


@functools.cache
def _load(path: pathlib.Path) -> ModuleType:
    """Runs a file as a module, once, whichever registry asks for it."""
    if not path.is_file():
        remedy = f"Correct the environment variable {VARIABLE}."
        raise OptionError(VARIABLE, "Python files that exist", str(path), remedy)
    spec = importlib.util.spec_from_file_location(f"medyate_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        remedy = "Give it the ending .py."
        raise OptionError(VARIABLE, "Python files", str(path), remedy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
