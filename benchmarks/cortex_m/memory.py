"""Where a linked program's bytes come from, read from the linker's map."""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import re

_RAM = 0x20000000
_SECTION = re.compile(r"^ (\.\S+)(?:\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S.*))?$")
_REST = re.compile(r"^\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S.*)$")
_PARTS = ("math", "draw", "store", "kernels", "trainer")


@dataclasses.dataclass(frozen=True)
class Footprint:
    """Bytes of a program by where they come from.

    Attributes:
        flash: "runtime and ops", "model", "program" or "C library" -> bytes of code and constants.
        ram: The same -> bytes of variables.
    """

    flash: dict[str, int]
    ram: dict[str, int]


def footprint(link_map: pathlib.Path) -> Footprint:
    """Adds up the sections of a map that `build` left."""
    text = link_map.read_text().split("Linker script and memory map", 1)[1]
    flash: collections.Counter[str] = collections.Counter()
    ram: collections.Counter[str] = collections.Counter()
    section = None
    for line in text.splitlines():
        if match := _SECTION.match(line):
            section = match.group(1)
            found = match.groups()[1:]
        elif section and (match := _REST.match(line)):
            found = match.groups()
        else:
            section = None
            continue
        if found[0] is None:  # a long name; the rest is in the next line
            continue
        address, size = int(found[0], 16), int(found[1], 16)
        if section.startswith((".text", ".rodata", ".data", ".bss", ".vectors", ".ARM.exidx")):
            owner = _owner(found[2])
            (ram if address >= _RAM else flash)[owner] += size
            if section.startswith(".data"):  # its values lie in flash
                flash[owner] += size
        section = None
    return Footprint(dict(flash), dict(ram))


def _owner(path: str) -> str:
    name = pathlib.PurePath(path).name
    if name.startswith(tuple(f"{part}-" for part in _PARTS)):
        return "runtime and ops"
    if "medyate_" in name:
        return "model"
    return "program" if ".objects/" in path else "C library"
