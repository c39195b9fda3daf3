"""What the schema of our ops is written in: fields, versioned options structs, ops.

Example:
    >>> options = OptionsStruct("Options", (Field("version", "uint32_t", "", default=VERSION),))
    >>> options.unpack(options.pack())
    {'version': 2}
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Sequence

from tf_medyate.errors import OptionError

VERSION = 2
"""Version of every options struct; an op refuses any other."""

_FORMATS = {"int32_t": "i", "uint32_t": "I", "float": "f"}


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of an options struct: four bytes, or an array of such.

    Attributes:
        name: Its name in both languages.
        ctype: `int32_t`, `uint32_t` or `float`.
        meaning: What it says, with unit and range.
        count: Elements of an array; 0 for a plain number.
        default: What `pack` writes if it is not given; None if it must be given.
    """

    name: str
    ctype: str
    meaning: str
    count: int = 0
    default: float | None = None


@dataclasses.dataclass(frozen=True)
class OptionsStruct:
    """A versioned little-endian struct; every field is a multiple of four bytes, so no padding."""

    name: str
    fields: tuple[Field, ...]

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
        """Packs the options of one op.

        Args:
            **values: A number for each field, a sequence for an array.

        Returns:
            `size_bytes` bytes.

        Raises:
            OptionError: A field is unknown, missing, out of range or of the wrong length.
        """
        names = [field.name for field in self.fields]
        for name in values:
            if name not in names:
                raise OptionError(self.name, f"fields {names}", name, "Correct the field's name.")
        return b"".join(self._pack_field(field, values) for field in self.fields)

    def _pack_field(self, field: Field, values: dict[str, float | Sequence[int]]) -> bytes:
        argument = f"{self.name}.{field.name}"
        value = values.get(field.name, field.default)
        if value is None:
            raise OptionError(argument, field.meaning, "nothing", "Give this field a value.")
        items = list(value) if isinstance(value, Sequence) else [value]
        if len(items) != max(field.count, 1):
            expected = f"{max(field.count, 1)} numbers"
            raise OptionError(argument, expected, repr(value), "Give one number an element.")
        try:
            return struct.pack(f"<{len(items)}{_FORMATS[field.ctype]}", *items)
        except (struct.error, OverflowError) as error:
            raise OptionError(argument, field.ctype, repr(value), f"{error}.") from error

    def unpack(self, data: bytes) -> dict[str, float | tuple[int, ...]]:
        """The fields of packed options, by name.

        Raises:
            OptionError: Wrong number of bytes, or another version.
        """
        if len(data) != self.size_bytes:
            expected = f"{self.size_bytes} bytes"
            remedy = "Export the model again with this version."
            raise OptionError(self.name, expected, f"{len(data)} bytes", remedy)
        result = {}
        for field, offset in zip(self.fields, self.offsets().values(), strict=True):
            code = f"<{max(field.count, 1)}{_FORMATS[field.ctype]}"
            items = struct.unpack_from(code, data, offset)
            result[field.name] = items if field.count else items[0]
        if result["version"] != VERSION:
            remedy = "Export the model again with this version."
            raise OptionError(f"{self.name}.version", f"{VERSION}", f"{result['version']}", remedy)
        return result


@dataclasses.dataclass(frozen=True)
class Op:
    """A custom op: its name in the flatbuffer, its options, its tensors in order.

    Tensors in square brackets may be left out, as `meaning` says.
    """

    key: str
    name: str
    options: OptionsStruct
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    meaning: str
