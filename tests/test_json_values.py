"""JSON that holds dataclasses: what is read back is what was written, or names the field."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest

from tf_medyate.json_values import JsonError, build, read_object, require


@dataclasses.dataclass(frozen=True)
class Leaf:
    name: str
    shape: tuple[int, ...]
    scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class Tree:
    leaves: list[Leaf]
    rates: Mapping[str, tuple[float, ...]]
    rate: float | dict[str, Any]
    best: Leaf | None = None
    is_new: bool = False


texts = st.text(max_size=4)
leaves = st.builds(
    Leaf, texts, st.lists(st.integers(), max_size=3).map(tuple), st.floats(allow_nan=False)
)
trees = st.builds(
    Tree,
    st.lists(leaves, max_size=3),
    st.dictionaries(texts, st.lists(st.floats(-1, 1), max_size=2).map(tuple), max_size=2),
    st.one_of(st.floats(0, 1), st.dictionaries(texts, st.none(), max_size=2)),
    st.one_of(st.none(), leaves),
    st.booleans(),
)


@hypothesis.given(trees)
def test_what_was_written_comes_back(tree):
    text = json.dumps(dataclasses.asdict(tree)).replace("Infinity", '"inf"').replace('-"', '"-')
    assert build(Tree, read_object(text)) == tree


GOOD = {"leaves": [{"name": "a", "shape": [1, 2]}], "rates": {"x": [1, 0.5]}, "rate": 1}


@pytest.mark.parametrize(
    ("change", "expected", "received"),
    [
        ({"leaves": {}}, "leaves of type list", "dict"),
        ({"leaves": [3]}, r"leaves\[0\] of type Leaf", "int"),
        ({"leaves": [{"name": "a"}]}, r"leaves\[0\] with shape", "none"),
        ({"leaves": [{"name": "a", "shape": [1, True]}]}, r"shape\[1\] of type int", "bool"),
        ({"leaves": [{"name": "a", "shape": [], "scale": "1"}]}, "scale of type float", "str"),
        ({"rates": {"x": [None]}}, r"rates.x\[0\] of type float", "NoneType"),
        ({"rate": "fast"}, "rate of type float | dict", "str"),
        ({"best": 1}, "best of type Leaf | None", "int"),
        ({"is_new": 1}, "is_new of type bool", "int"),
        ({"old": 1}, "Tree with .*is_new", r"\['old'\], too"),
    ],
)
def test_the_field_that_is_wrong_is_named(change, expected, received):
    with pytest.raises(JsonError, match=f"expected .*{expected}.*; received {received}"):
        build(Tree, GOOD | change)
    assert build(Tree, GOOD).leaves[0].shape == (1, 2)


def test_other_texts_and_formats_are_refused(tmp_path):
    with pytest.raises(JsonError, match=r"readable none\.json"):
        read_object(tmp_path / "none.json")
    for text in ("{", "[" * 100_000, b"\xff"):
        with pytest.raises(JsonError, match="readable JSON text"):
            read_object(text)
    with pytest.raises(JsonError, match="a JSON object; received list"):
        read_object("[1]")
    with pytest.raises(JsonError, match="format 'x', version 1; received format None, version 2"):
        require({"version": 2}, format="x", version=1)
