"""The boards by name: every module of this folder that holds a `BOARD` is listed.

A board of your own needs no more than such a file (see docs/extending.md), and a flash driver in
C++ if it is to remember what it learned (docs/arduino.md).

Example:
    >>> get_board("nano33ble").ram_bytes
    262144
"""

from __future__ import annotations

from tf_medyate import boards
from tf_medyate.boards.board import Board
from tf_medyate.plugins import collect, lookup

__all__ = ["BOARDS", "Board", "get_board"]

BOARDS: dict[str, Board] = collect(boards, "BOARD", Board)


def get_board(name: str) -> Board:
    """Looks a board up.

    Raises:
        OptionError: There is no board of that name.
    """
    return lookup(BOARDS, "board", name)
