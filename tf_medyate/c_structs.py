"""Structs that Python and C++ share: little-endian four-byte fields without gaps, and enums.

Python packs and unpacks with them, and C++ headers are generated from them, so the two sides cannot
disagree. The training ops' options (exporter/ops) and the serial protocol (device) are written so.

Example:
    >>> point = Struct("Point", (Field("x", "float", "metres"), Field("ids", "int32_t", "two", 2)))
    >>> point.unpack(point.pack(x=0.5, ids=(1, 2)))
    {'x': 0.5, 'ids': (1, 2)}
"""

from __future__ import annotations

import dataclasses
import enum
import struct
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from tf_medyate.errors import OptionError

_FORMATS = {"int32_t": "i", "uint32_t": "I", "float": "f"}


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of a struct: four bytes, or an array of such.

    Attributes:
        name: Its name in both languages.
        ctype: `int32_t`, `uint32_t` or `float`.
        meaning: What it says, with unit and range.
        count: Elements of an array; 0 for a plain number.
        default: What `pack` writes if it is not given; None if it must be given.
        limits: Smallest and largest number that is taken; None for what `ctype` holds.
    """

    name: str
    ctype: str
    meaning: str
    count: int = 0
    default: float | tuple[int, ...] | None = None
    limits: tuple[int, int] | None = None

    @property
    def format(self) -> str:
        """For the module `struct`."""
        return f"<{max(self.count, 1)}{_FORMATS[self.ctype]}"


@dataclasses.dataclass(frozen=True)
class Struct:
    """Fields one after the other.

    Attributes:
        name: In C++.
        fields: In order.
        meaning: For the comment above it; may be empty.
    """

    name: str
    fields: tuple[Field, ...]
    meaning: str = ""

    @property
    def size_bytes(self) -> int:
        """Bytes of the packed struct."""
        return 4 * sum(max(field.count, 1) for field in self.fields)

    def offsets(self) -> dict[str, int]:
        """Byte offset of each field."""
        result, offset = {}, 0
        for field in self.fields:
            result[field.name] = offset
            offset += 4 * max(field.count, 1)
        return result

    def pack(self, **values: float | Sequence[int]) -> bytes:
        """Packs the fields.

        Args:
            **values: A number for each field, a sequence for an array.

        Returns:
            `size_bytes` bytes.

        Raises:
            OptionError: A field is unknown, missing, out of range or of the wrong length.
        """
        unknown = sorted(set(values) - {field.name for field in self.fields})
        if unknown:
            expected = f"fields {[field.name for field in self.fields]}"
            raise OptionError(self.name, expected, ", ".join(unknown), "Correct the field's name.")
        return b"".join(self._pack(field, values.get(field.name)) for field in self.fields)

    def _pack(self, field: Field, given: float | Sequence[int] | None) -> bytes:
        argument, value = f"{self.name}.{field.name}", field.default if given is None else given
        if value is None:
            raise OptionError(argument, field.meaning, "nothing", "Give this field a value.")
        items = list(value) if isinstance(value, Sequence) else [value]
        if len(items) != max(field.count, 1):
            expected = f"{max(field.count, 1)} numbers"
            raise OptionError(argument, expected, repr(value), "Give one number an element.")
        if field.limits and not all(field.limits[0] <= item <= field.limits[1] for item in items):
            expected = "{:,} to {:,}".format(*field.limits)
            raise OptionError(argument, expected, repr(value), "Make the layer smaller.")
        try:
            return struct.pack(field.format, *items)
        except (struct.error, OverflowError) as error:
            raise OptionError(argument, field.ctype, repr(value), f"{error}.") from error

    def unpack(self, data: bytes) -> dict[str, Any]:
        """The fields by name, an array as a tuple; bytes after them are left alone.

        Raises:
            OptionError: Too few bytes.
        """
        if len(data) < self.size_bytes:
            raise OptionError(
                self.name,
                f"{self.size_bytes} bytes or more",
                f"{len(data)} bytes",
                "Bring both ends to the same version of tf_medyate.",
            )
        result: dict[str, Any] = {}
        for field, offset in zip(self.fields, self.offsets().values(), strict=True):
            items = struct.unpack_from(field.format, data, offset)
            result[field.name] = items if field.count else items[0]
        return result


def camel(name: str) -> str:
    """`SOME_NAME` as C++ writes it: `SomeName`."""
    return "".join(word.capitalize() for word in name.split("_"))


def enum_lines(kind: type[enum.IntEnum], ctype: str = "") -> list[str]:
    """C++ of an enum: `enum class` of a type if one is given, else values with its name ahead."""
    head = f"enum class {kind.__name__} : {ctype} {{" if ctype else f"enum {kind.__name__} {{"
    prefix = "k" if ctype else f"k{kind.__name__}"
    return [head, *(f"  {prefix}{camel(item.name)} = {item.value}," for item in kind), "};", ""]


def struct_lines(struct_: Struct) -> list[str]:
    """C++ of a struct, with checks of its size and offsets."""
    lines = [*_comment(struct_.meaning), f"struct {struct_.name} {{"]
    for field in struct_.fields:
        array = f"[{field.count}]" if field.count else ""
        lines += [*_comment(field.meaning, "  "), f"  {field.ctype} {field.name}{array};"]
    name = struct_.name
    lines += ["};", "", f'static_assert(sizeof({name}) == {struct_.size_bytes}, "{name}");']
    for field, offset in struct_.offsets().items():
        lines.append(f'static_assert(offsetof({name}, {field}) == {offset}, "{field}");')
    return [*lines, ""]


def header_text(path: str, generator: str, source: str, body: Iterable[str]) -> str:
    """A whole generated header, formatted as clang-format would.

    Args:
        path: Of the header, from the root of the repository.
        generator: Path of the module that writes it.
        source: Where what it holds is explained.
        body: Includes and what follows them.
    """
    guard = f"{path.upper().replace('/', '_').replace('.', '_')}_"
    says = f"Generated by {generator}, do not edit. What everything means is said in {source}"
    lines = [f"#ifndef {guard}", f"#define {guard}", "", *_comment(says), "", *body, ""]
    return "\n".join([*lines, f"#endif  // {guard}", ""])


def _comment(text: str, indent: str = "") -> list[str]:
    if not text:
        return []
    text = f"{text[0].upper()}{text[1:]}."
    return textwrap.wrap(text, 100, initial_indent=f"{indent}// ", subsequent_indent=f"{indent}// ")
