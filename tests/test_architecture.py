"""Imports go one way; the picture of them is the one that they make."""

import re

from tools import imports

MODULES = imports.read_modules()

# From the bottom; a room may import what stands in an earlier line.
FLOORS = (
    {imports.VALUES},
    {"boards", "prepared"},
    {"select"},
    {"report"},
    {"callback"},
    {"exporter"},
    {"simulate"},
    {"device"},
    {"emulator", "data"},
    {"zoo"},
    {"tf_medyate"},
    {"bench"},
    {"commands"},
    {"cli"},
)


def test_every_room_imports_only_lower_ones():
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    graph = imports.with_values(imports.room_graph(MODULES))
    assert set(graph) == set(floor), "a new room needs a floor, in FLOORS and docs/architecture.md"
    upward = [(a, b) for a, others in graph.items() for b in others if floor[b] >= floor[a]]
    assert not upward


def test_no_module_imports_itself_by_any_way():
    assert imports.circle({name: set(module.imports) for name, module in MODULES.items()}) == []


def test_a_circle_would_be_found():
    assert imports.circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]


def test_the_picture_is_what_the_imports_make():
    drawn = imports.PICTURE.read_text(encoding="utf-8")
    assert drawn == imports.picture(MODULES), "run: python tools/imports.py"


def test_every_folder_is_on_the_page():
    page = (imports.ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    for base in (imports.ROOT / imports.PACKAGE, imports.ROOT / "tflm_ops"):
        for folder in (path for path in base.iterdir() if path.is_dir()):
            if any(file.suffix in (".py", ".cc", ".h") for file in folder.glob("*")):
                assert f"`{folder.name}/`" in page, folder


def test_every_single_file_is_on_the_page_and_no_other():
    page = (imports.ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| `errors`"))
    graph = imports.room_graph(MODULES)
    singles = graph.keys() - imports.with_values(graph).keys()
    public = {name for name in singles if not name.startswith("_")}
    assert set(re.findall(r"`(\w+)`", row.split("|")[1])) == public
