"""Does a model fit a board? estimate.py says how long a step takes there.

Example:
    >>> from tf_medyate.boards.registry import get_board
    >>> board = get_board("nano33ble")
    >>> print(check_fit(board, arena_bytes=27_000, weights_bytes=8192, factory_bytes=8192,
    ...                 constants_bytes=60_000, journal_bytes=24_576))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from tf_medyate.boards.board import Board
from tf_medyate.errors import MedyateError
from tf_medyate.exporter.ops.adam_schema import ADAM_OPS
from tf_medyate.exporter.ops.elementwise_schema import ELEMENTWISE_OPS
from tf_medyate.exporter.ops.frozen_schema import FROZEN_OPS
from tf_medyate.exporter.ops.int8_schema import INT8_OPS
from tf_medyate.exporter.ops.schema import SUM_OF_LOSSES, TRANSPOSE_OPS
from tf_medyate.spec import KIB

CODE_BYTES = 100 * KIB
"""Code and constants of ops, runtime and protocol, all but those below, built as the Arduino IDE
does. A linker leaves out more; these are limits, held to a build by the tests."""
INT8_CODE_BYTES = 20 * KIB
"""Of all ops on int8 values and weights, if the model has any."""
SMOOTH_CODE_BYTES = 24 * KIB
"""Of smooth activations, functions of two tensors, and normalizations."""
TRANSPOSE_CODE_BYTES = 12 * KIB
"""Of transposed convolutions."""
ADAM_CODE_BYTES = 4 * KIB
"""Of Adam."""
SUM_OF_LOSSES_CODE_BYTES = 2 * KIB
"""Of several outputs, one loss each."""
STATIC_BYTES = 8 * KIB
"""RAM of a trainer with its flash page and of a session with its buffers; held to a build, too."""
STACK_BYTES = 4 * KIB
"""Reckoned with for our deepest call; the firmware in the emulator measures its own by painting."""


_CHOOSE = "Layers are chosen so that they fit by MeDyate(layers=md.LayersThatFit(board=...))."


class BoardError(MedyateError, ValueError):
    """A model that does not fit the board.

    Attributes:
        fit: What was asked for, part by part.
    """

    def __init__(self, argument: str, expected: str, received: str, remedy: str, fit: BoardFit):
        super().__init__(argument, expected, received, remedy)
        self.args = (argument, expected, received, remedy, fit)
        self.fit = fit

    def __reduce__(self):
        return type(self), self.args


@dataclasses.dataclass(frozen=True)
class BoardFit:
    """What a model takes of a board, in bytes.

    Attributes:
        board: The board.
        ram: Part -> bytes.
        flash: Part -> bytes.
        stack_bytes: Of the deepest call; the core's stack has room for it.
    """

    board: Board
    ram: Mapping[str, int]
    flash: Mapping[str, int]
    stack_bytes: int

    @property
    def ram_bytes(self) -> int:
        """RAM in all."""
        return sum(self.ram.values())

    @property
    def flash_bytes(self) -> int:
        """Flash in all."""
        return sum(self.flash.values())

    def excess(self) -> list[tuple[str, int, int]]:
        """What is too large: name, bytes needed, bytes there."""
        needs = [
            ("RAM", self.ram_bytes, self.board.ram_bytes),
            ("flash", self.flash_bytes, self.board.flash_bytes),
            ("stack", self.stack_bytes, self.board.core_stack_bytes),
        ]
        return [need for need in needs if need[1] > need[2]]

    def __str__(self) -> str:
        lines = [f"{self.board.title}, bytes"]
        for title, parts, room in (
            ("RAM", self.ram, self.board.ram_bytes),
            ("flash", self.flash, self.board.flash_bytes),
        ):
            total = sum(parts.values())
            lines.append(f"  {title:<30}{total:>11,} of {room:,}, {room - total:,} free")
            lines += [f"    {name:<28}{size:>11,}" for name, size in parts.items()]
        room = self.board.core_stack_bytes
        lines.append(f"  {'stack':<30}{self.stack_bytes:>11,} of {room:,}, within the core's RAM")
        return "\n".join(lines)


def code_bytes(kinds: Collection[str]) -> int:
    """Code and constants on a board.

    Args:
        kinds: The ops of the model.

    Returns:
        A limit: a linker takes less.
    """
    groups = (
        (INT8_CODE_BYTES, INT8_OPS),
        (SMOOTH_CODE_BYTES, (*ELEMENTWISE_OPS, *FROZEN_OPS)),
        (TRANSPOSE_CODE_BYTES, TRANSPOSE_OPS),
        (ADAM_CODE_BYTES, ADAM_OPS),
        (SUM_OF_LOSSES_CODE_BYTES, (SUM_OF_LOSSES,)),
    )
    return CODE_BYTES + sum(size for size, ops in groups if any(op.name in kinds for op in ops))


def check_fit(
    board: Board,
    *,
    arena_bytes: int,
    weights_bytes: int,
    journal_bytes: int,
    factory_bytes: int = 0,
    constants_bytes: int = 0,
    code_bytes: int = CODE_BYTES,
    static_bytes: int = STATIC_BYTES,
    stack_bytes: int = STACK_BYTES,
) -> BoardFit:
    """Adds up what a model takes of a board.

    Args:
        board: The board.
        arena_bytes: The runner's arena, `CppModel.board_arena_bytes`.
        weights_bytes: The weights region.
        journal_bytes: At the end of the flash; see journal.py.
        factory_bytes: A second copy of the weights, or 0.
        constants_bytes: Weights that are never trained.
        code_bytes: Ops, runtime, protocol and tables.
        static_bytes: RAM besides the arena.
        stack_bytes: Of the deepest call.

    Returns:
        The parts; prints itself as a table.

    Raises:
        BoardError: RAM, flash or stack do not suffice; the error has all the numbers.
    """
    page = board.flash.page_bytes
    fit = BoardFit(
        board,
        {
            "core, with a sketch's stack": board.core_ram_bytes,
            "arena": arena_bytes,
            "trainer and buffers": static_bytes,
        },
        {
            "core and libraries": board.core_flash_bytes,
            "ops, runtime, protocol": code_bytes,
            "trained weights": weights_bytes,
            "their alignment, at most": page - 1,
            "their factory copy": factory_bytes,
            "other weights": constants_bytes,
            "journal": journal_bytes,
        },
        stack_bytes,
    )
    if excess := fit.excess():
        raise _does_not_fit(fit, excess)
    return fit


def _does_not_fit(fit: BoardFit, excess: list[tuple[str, int, int]]) -> BoardError:
    needed = ", ".join(f"{size:,} bytes of {name}" for name, size, _ in excess)
    there = ", ".join(f"{room:,} of {name}" for name, _, room in excess)
    remedies = {
        "RAM": "Take a smaller input, model or budget: the arena is what you can change. "
        + _CHOOSE,
        "flash": "Take a smaller model, or leave out the factory copy. " + _CHOOSE,
        "stack": "Run training in a thread with a larger stack.",
    }
    remedy = " ".join(remedies[name] for name, _, _ in excess).replace(f"{_CHOOSE} ", "", 1)
    return BoardError(
        f"model for the {fit.board.title}", f"at most {there}", needed, f"{remedy}\n{fit}", fit
    )
