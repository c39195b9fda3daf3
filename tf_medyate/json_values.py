"""JSON that holds dataclasses, read back and checked field by field.

Example:
    >>> from tf_medyate.spec import LayerDraw
    >>> build(LayerDraw, {"layer": "stem", "channels": [0, 2]})
    LayerDraw(layer='stem', channels=(0, 2))
    >>> build(LayerDraw, {"layer": 3, "channels": []})
    Traceback (most recent call last):
        ...
    tf_medyate.json_values.JsonError: expected layer of type str; received int
"""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import pathlib
import types
import typing
from typing import Any, TypeVar

_Value = TypeVar("_Value")
_NO_NUMBERS = ("nan", "inf", "-inf")


class JsonError(ValueError):
    """JSON that is not what was expected; who reads the file adds its name and a remedy.

    Attributes:
        expected, received: With the place of the field, such as "layers[2].channels".
    """

    def __init__(self, expected: str, received: str):
        super().__init__(f"expected {expected}; received {received}")
        self.expected, self.received = expected, received


def read_object(source: pathlib.Path | str | bytes) -> dict[str, Any]:
    """Reads a JSON object.

    Args:
        source: A file, or the text itself.

    Raises:
        JsonError: It cannot be read, or is no object.
    """
    try:
        text = source.read_text(encoding="utf-8") if isinstance(source, pathlib.Path) else source
        content = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        name = source.name if isinstance(source, pathlib.Path) else "JSON text"
        raise JsonError(f"a readable {name}", str(error)) from error
    if not isinstance(content, dict):
        raise JsonError("a JSON object", type(content).__name__)
    return content


def require(content: dict[str, Any], **marks: Any):
    """Takes out the entries that say of which format it is, such as format="report".

    Raises:
        JsonError: They are missing, or others.
    """
    found = {name: content.pop(name, None) for name in marks}
    if found != marks:
        raise JsonError(*(", ".join(f"{k} {v!r}" for k, v in d.items()) for d in (marks, found)))


def build(kind: type[_Value], value: Any, where: str = "") -> _Value:
    """A value of a type, checked against it; lists become tuples where the type says so.

    Args:
        kind: A dataclass; its fields may be dataclasses, lists, tuples[X, ...], mappings from
            strings, unions, and plain values. Those that have a default may be missing. A float
            that JSON does not have is the string "nan", "inf" or "-inf".
        value: What JSON gave.
        where: Its place, for messages.

    Raises:
        JsonError: A field is missing, unknown or of another type.
    """
    made: Any = _build(kind, value, where)
    return made


def _build(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for choice in arguments:
            if _fits(choice, value):
                return _build(choice, value, where)
    elif dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _build_dataclass(kind, value, where)
    elif _fits(kind, value):
        if isinstance(value, list):
            items = (_build(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(value))
            return origin(items)
        if arguments:
            return {k: _build(arguments[1], v, f"{where}.{k}") for k, v in value.items()}
        return float(value) if kind is float and value in _NO_NUMBERS else value
    raise JsonError(f"{where} of type {getattr(kind, '__name__', kind)}", type(value).__name__)


def _build_dataclass(kind: Any, value: dict[str, Any], where: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    needed = {n for n, field in fields.items() if field.default is dataclasses.MISSING}
    if missing := sorted(needed - set(value)):
        raise JsonError(f"{where or kind.__name__} with {', '.join(missing)}", "none")
    if unknown := sorted(set(value) - set(fields)):
        raise JsonError(f"{where or kind.__name__} with {sorted(fields)}", f"{unknown}, too")
    hints, inside = typing.get_type_hints(kind), f"{where}." if where else ""
    return kind(**{name: _build(hints[name], v, inside + name) for name, v in value.items()})


def _fits(kind: Any, value: Any) -> bool:
    if kind is Any:
        return True
    plain = typing.get_origin(kind) or kind
    if plain in (int, float):
        numbers = (int, float) if plain is float else int
        whole = isinstance(value, numbers) and not isinstance(value, bool)
        return whole or (plain is float and value in _NO_NUMBERS)
    if dataclasses.is_dataclass(plain) or plain is collections.abc.Mapping:
        plain = dict
    return isinstance(value, list if plain is tuple else plain)
