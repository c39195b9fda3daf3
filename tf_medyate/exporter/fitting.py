"""Layers that fit a board: what `MeDyate` may be given as its `layers`.

Example:
    >>> limits = md.LayersThatFit(board="nano33ble")
    >>> medyate = md.MeDyate("64KiB", calibration=(x, y), layers=limits)
    >>> medyate.set_model(model)      # plans an export for every layer that training may begin with
    >>> print(medyate.frontier)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from tf_medyate.boards.board import Board
from tf_medyate.boards.registry import get_board
from tf_medyate.errors import MedyateError, OptionError, UnsupportedLayerError
from tf_medyate.exporter.board.firmware import fit_of
from tf_medyate.exporter.board.fit import STACK_BYTES, STATIC_BYTES, BoardError, BoardFit
from tf_medyate.exporter.board.journal import FITTING, RUNS, check_journal, with_journal
from tf_medyate.exporter.check import FLOAT32, INT8, frozen_ranges, limit_bytes, lowered
from tf_medyate.exporter.ir.values import Quantization
from tf_medyate.exporter.lower.recipe import TrainingRecipe, recipe_of_terms
from tf_medyate.exporter.write.cpp import CppModel, builtin_ops, cpp_sizes
from tf_medyate.prepared.model import PreparedModel
from tf_medyate.select.fitting import Terms, Trial
from tf_medyate.select.frontier import Frontier
from tf_medyate.spec import FLOAT_BYTES, MemoryBudget, format_bytes

_NO_BOARD = Board(
    "",
    "the limits",
    flash_bytes=1 << 62,
    ram_bytes=1 << 62,
    core_flash_bytes=0,
    core_ram_bytes=0,
    core_stack_bytes=STACK_BYTES,
    clock_hz=1.0,
    volts=0.0,
    amperes=0.0,
    flash=get_board("nano33ble").flash,
)


class NothingFitsError(MedyateError, ValueError):
    """No layer can be trained within the limits.

    Attributes:
        frontier: What was tried.
    """

    def __init__(
        self, argument: str, expected: str, received: str, remedy: str, frontier: Frontier
    ):
        super().__init__(argument, expected, received, remedy)
        self.args = (argument, expected, received, remedy, frontier)
        self.frontier = frontier

    def __reduce__(self):
        return type(self), self.args


@dataclasses.dataclass(frozen=True)
class LayersThatFit:
    """The best layers, by the strategy's own ranking, whose training fits.

    Attributes:
        board: A board that must have the RAM and the flash: a name of
            `tf_medyate.boards.registry.BOARDS`, or a `Board`.
        arena_limit: Largest arena that TFLM may be given, as for `md.export`. The only limit that
            a model with built-in ops of TFLM can be fitted to.
        flash_limit: Most flash for code, weights and journal, in bytes ("512KiB"); what the board's
            own software takes is not in it.
        frozen: As `md.export` will be told; so is the next one.
        representative_data: For `frozen="int8"`.
        factory_copy, journal: As `FirmwareOptions`.

    Raises:
        OptionError: There is no such board or journal, a limit is not in bytes, or there is no
            limit at all.
    """

    board: Board | str | None = None
    arena_limit: int | str | MemoryBudget | None = None
    flash_limit: int | str | MemoryBudget | None = None
    frozen: str = FLOAT32
    representative_data: Any = dataclasses.field(default=None, repr=False)
    factory_copy: bool = True
    journal: str = FITTING

    def __post_init__(self):
        check_journal(self.journal)
        if isinstance(self.board, str):
            object.__setattr__(self, "board", get_board(self.board))
        for name in ("arena_limit", "flash_limit"):
            limit_bytes(name, getattr(self, name))
        if (self.board, self.arena_limit, self.flash_limit) == (None, None, None):
            expected = "a board, an arena_limit or a flash_limit"
            raise OptionError("LayersThatFit", expected, "none", 'Write board="nano33ble".')

    def words(self) -> str:
        """The limits."""
        board = self.board
        parts = []
        if isinstance(board, Board):
            arena = board.ram_bytes - board.core_ram_bytes - STATIC_BYTES
            flash = format_bytes(board.flash_bytes)
            parts = [f"the {board.title} (arena {format_bytes(arena)}, flash {flash})"]
        if self.arena_limit is not None:
            parts.append(f"{format_bytes(self._arena)} for TFLM's arena")
        if self.flash_limit is not None:
            parts.append(f"{format_bytes(self._flash)} of flash")
        return " and ".join(parts)

    @property
    def _arena(self) -> float:
        return limit_bytes("arena_limit", self.arena_limit)

    @property
    def _flash(self) -> float:
        return limit_bytes("flash_limit", self.flash_limit)

    def attempts(
        self, model: PreparedModel, terms: Terms
    ) -> tuple[Callable[[tuple[str, ...]], Trial], int]:
        """Plans the export of any layers, as `md.export` would; see `DeviceLimits`."""
        ranges = frozen_ranges(model, self.frozen, self.representative_data)
        whole = recipe_of_terms(model, terms)

        def attempt(kept: tuple[str, ...]) -> Trial:
            return self._attempt(model, whole.keeping(kept), ranges)

        # A journal of runs does not grow with the weights. Where either may come, what a weight
        # saves is taken for the larger: layers are left out in smaller steps, and none too many.
        copies = int(self.journal != RUNS) + int(self.factory_copy)
        frozen = 1 if self.frozen == INT8 else FLOAT_BYTES
        return attempt, (1 + copies) * FLOAT_BYTES - frozen

    def _attempt(
        self,
        model: PreparedModel,
        recipe: TrainingRecipe,
        ranges: Mapping[str, Quantization] | None,
    ) -> Trial:
        board = self.board if isinstance(self.board, Board) else _NO_BOARD
        try:
            training, memory, arena = lowered(model, recipe, self._arena, ranges)
        except UnsupportedLayerError as error:  # another set may do without a gradient there
            if not recipe.kept:
                raise
            miss = f"no export: {error.argument} would have to be {error.expected}"
            return Trial(0, 0, (miss,), None)
        if self._is_for_tflm and builtin_ops(training.graph):
            return self._trial_in_tflm(arena.needed_bytes)

        def flash_excess(cpp: CppModel) -> float:
            fit = _fit(board, cpp)
            own = fit.flash_bytes - board.core_flash_bytes
            return max(fit.flash_bytes - board.flash_bytes, own - self._flash)

        sizes = cpp_sizes(training, memory, self.factory_copy)
        sizes = with_journal(sizes, self.journal, training, lambda cpp: flash_excess(cpp) <= 0)
        fit, flash = _fit(board, sizes), flash_excess(sizes)
        needs = [*fit.excess(), ("flash", fit.flash_bytes - board.core_flash_bytes, self._flash)]
        needs.append(("TFLM's arena", arena.needed_bytes, self._arena))
        over = [need for need in needs if need[1] > need[2]]
        only_flash = all(name == "flash" for name, _, _ in over)
        return Trial(
            sizes.board_arena_bytes,
            fit.flash_bytes,
            tuple(f"{n} {format_bytes(size)} of {format_bytes(room)}" for n, size, room in over),
            math.ceil(flash) if only_flash and over else None,
        )

    @property
    def _is_for_tflm(self) -> bool:
        return (self.board, self.flash_limit) == (None, None)

    def _trial_in_tflm(self, arena_bytes: int) -> Trial:
        """Of a model with built-in ops of TFLM, whose flash is not known here."""
        room = format_bytes(self._arena)
        misses = (f"TFLM's arena {format_bytes(arena_bytes)} of {room}",)
        return Trial(arena_bytes, 0, misses if arena_bytes > self._arena else (), None)

    def refusal(self, frontier: Frontier, least: Trial) -> NothingFitsError:
        """Nothing fits: what comes nearest, and what can be done."""
        points = frontier.points
        nearest = min(
            points, key=lambda p: (not p.arena_bytes, len(p.misses), p.arena_bytes), default=least
        )
        misses = nearest.misses
        received = f"at best {', '.join(misses)}"
        if least.misses:
            received += f"; for the head alone {', '.join(least.misses)}"
        remedies = []
        if any(not miss.startswith(("flash", "no export")) for miss in misses):
            remedies.append("Lower the budget, which the arena holds, or take a smaller input.")
        if any(miss.startswith("flash") for miss in misses) and self.factory_copy:
            remedies.append("Leave out the factory copy (factory_copy=False).")
        if self.frozen == FLOAT32:
            remedies.append('Compute frozen layers in 8 bits (frozen="int8").')
        remedies.append(
            "Take a smaller model." if least.misses else 'Or train the head alone: strategy="head".'
        )
        expected = f"layers whose training fits {self.words()}"
        remedy = " ".join(remedies) + (f"\n{frontier}" if frontier.points else "")
        return NothingFitsError("layers", expected, received, remedy, frontier)


def _fit(board: Board, sizes: CppModel) -> BoardFit:
    try:
        return fit_of(board, sizes)
    except BoardError as error:
        return error.fit
