"""What the schema of our ops is written in: versioned options structs, and ops.

Example:
    >>> options = OptionsStruct("Options", (Field("version", "uint32_t", "", default=VERSION),))
    >>> options.unpack(options.pack())
    {'version': 6}
"""

from __future__ import annotations

import dataclasses
from typing import Any

from tf_medyate.c_structs import Field, Struct
from tf_medyate.errors import OptionError

__all__ = ["VERSION", "Field", "OpSpec", "OptionsStruct"]

VERSION = 6
"""Version of every options struct; an op refuses any other."""


@dataclasses.dataclass(frozen=True)
class OptionsStruct(Struct):
    """A struct that begins with a version."""

    def unpack(self, data: bytes) -> dict[str, Any]:
        """The fields of packed options, by name.

        Raises:
            OptionError: Wrong number of bytes, or another version.
        """
        remedy = "Export the model again with this version."
        if len(data) != self.size_bytes:
            raise OptionError(self.name, f"{self.size_bytes} bytes", f"{len(data)} bytes", remedy)
        result = super().unpack(data)
        if result["version"] != VERSION:
            raise OptionError(f"{self.name}.version", f"{VERSION}", f"{result['version']}", remedy)
        return result


@dataclasses.dataclass(frozen=True)
class OpSpec:
    """A custom op: its name in the flatbuffer, its options, its tensors in order.

    Tensors in square brackets may be left out, as `meaning` says.

    Attributes:
        key: As C++ calls it: `Register` + key.
        name: In the flatbuffer.
        options: Its options struct.
        inputs: Names of its inputs.
        outputs: Names of its outputs and scratch.
        meaning: What it does.
        element_cost: Key of `CYCLES` (exporter/board/prices.py) of an op that goes once
            over its largest tensor; empty for one that is counted in another way.
    """

    key: str
    name: str
    options: OptionsStruct
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    meaning: str
    element_cost: str = ""
