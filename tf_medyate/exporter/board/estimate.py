"""How long a step takes on a board, at what cost, and how long its flash lasts.

Arithmetic on cycles and data-sheet figures: estimates, and said to be.

Example:
    >>> from tf_medyate.boards.registry import get_board
    >>> life = flash_life(get_board("nano33ble"), weight_pages=2, commits_per_day=10,
    ...                   importance_floats=840)
    >>> print(estimate(get_board("nano33ble"), step_cycles=5e6, samples_per_epoch=100,
    ...                commit_s=life.commit_s))
    >>> print(life)
"""

from __future__ import annotations

import dataclasses

from tf_medyate.boards.board import Board, FlashTraits
from tf_medyate.errors import OptionError
from tf_medyate.exporter.board.journal import journal_pages

_WORD_BYTES = 4
_MARK_WORDS = 2
HEAD_WORDS = 256
"""Size of a commit's head that is reckoned with: erase counts, page table, records."""


@dataclasses.dataclass(frozen=True)
class BoardEstimate:
    """Time and energy of the chip; nothing was measured on a board.

    Attributes:
        step_s, step_j: Of one training step: seconds, joules.
        epoch_s, epoch_j: Of an epoch of `samples` steps with one commit.
        samples: Of an epoch.
        commit_s: Of the commit in it.
    """

    step_s: float
    step_j: float
    epoch_s: float
    epoch_j: float
    samples: int
    commit_s: float

    def __str__(self) -> str:
        return (
            f"estimated, not measured: a step {self.step_s * 1e3:,.1f} ms and "
            f"{self.step_j * 1e3:,.3f} mJ; an epoch of {self.samples} samples "
            f"{self.epoch_s:,.2f} s and {self.epoch_j * 1e3:,.1f} mJ, of it the commit "
            f"{self.commit_s:,.2f} s"
        )


def estimate(
    board: Board, step_cycles: float, samples_per_epoch: int = 100, commit_s: float = 0.0
) -> BoardEstimate:
    """Estimates time and energy from cycles.

    The CPU halts while flash is erased and written; the current meanwhile is taken to be the same.

    Args:
        board: The board.
        step_cycles: CPU cycles of one training step.
        samples_per_epoch: Steps from one commit to the next.
        commit_s: Time of a commit, `FlashLife.commit_s`.

    Raises:
        OptionError: A number is negative.
    """
    if step_cycles < 0 or samples_per_epoch < 0 or commit_s < 0:
        received = f"{step_cycles}, {samples_per_epoch}, {commit_s}"
        expected = "numbers of 0 or more"
        raise OptionError("step_cycles, ...", expected, received, "Give cycles and seconds.")
    watts = board.volts * board.amperes
    step_s = step_cycles / board.clock_hz
    epoch_s = samples_per_epoch * step_s + commit_s
    return BoardEstimate(
        step_s, watts * step_s, epoch_s, watts * epoch_s, samples_per_epoch, commit_s
    )


# --- how long does the flash last?


@dataclasses.dataclass(frozen=True)
class FlashLife:
    """Wear of a new flash, if every commit changes every weight page.

    Attributes:
        commit_s: Time of one commit.
        commits: At least so many until the first page has had its erases.
        per_day: Commits a day.
    """

    commit_s: float
    commits: int
    per_day: float

    @property
    def years(self) -> float:
        """Until then."""
        return self.commits / self.per_day / 365.25 if self.per_day else float("inf")

    def __str__(self) -> str:
        return (
            f"a commit takes {self.commit_s:.2f} s; the flash lasts at least {self.commits:,} "
            f"commits, {self.years:,.1f} years at {self.per_day:,g} a day"
        )


def flash_life(
    board: Board,
    weight_pages: int,
    commits_per_day: float,
    importance_floats: int,
    head_words: int = HEAD_WORDS,
    run_pages: int = 0,
) -> FlashLife:
    """Time of a commit and life of the flash.

    Args:
        board: The board.
        weight_pages: Pages of the weights region; each commit is taken to change all of them.
        commits_per_day: Commits in 24 hours.
        importance_floats: Channels that draws go by; each commit keeps their importances.
        head_words: Words of a commit's head.
        run_pages: Pages of packed runs that each commit is taken to fill; 0: images.

    Raises:
        OptionError: A number is negative.
    """
    if min(weight_pages, commits_per_day, importance_floats, head_words) < 0:
        received = f"{weight_pages}, {commits_per_day}, {importance_floats}, {head_words}"
        raise OptionError("weight_pages, ...", "numbers of 0 or more", received, "Correct it.")
    bulk = -(-importance_floats * _WORD_BYTES // board.flash.page_bytes)
    journal = journal_pages(weight_pages, bulk, run_pages)
    runs = run_pages * board.flash.page_bytes // _WORD_BYTES
    seconds = commit_us(board.flash, weight_pages, runs, head_words, importance_floats) * 1e-6
    commits = commits_left(board.flash, 0, 0, journal, weight_pages, bulk, run_pages)
    return FlashLife(seconds, commits, commits_per_day)


def commit_us(
    traits: FlashTraits, images: int, run_words: int, head_words: int, bulk_words: int
) -> int:
    """Microseconds of a commit; `CommitMicroseconds` of tflm_ops/store/wear.h."""
    marks = (8 if images > 0 else 7) + (images if run_words else 0)
    page_words = traits.page_bytes // _WORD_BYTES
    erases = 2 * images + 1 + -(-run_words // page_words) + -(-bulk_words // page_words)
    words = 2 * images * page_words + run_words + head_words + bulk_words + _MARK_WORDS * marks
    return erases * traits.erase_us + words * traits.write_us


def commits_left(
    traits: FlashTraits,
    weights_worst: int,
    journal_worst: int,
    pages: int,
    images: int,
    bulk_pages: int,
    run_pages: int = 0,
) -> int:
    """Commits until a page is worn out; `CommitsLeft` of tflm_ops/store/wear.h.

    Args:
        traits: The flash.
        weights_worst: Most erases of a weight page so far.
        journal_worst: The same of a journal page.
        pages: Of the journal.
        images: Weight pages that a commit changes.
        bulk_pages: Pages of the importances.
        run_pages: Pages of packed runs; 0 if the images come whole.
    """
    if journal_worst >= traits.cycles or (images > 0 and weights_worst >= traits.cycles):
        return 0
    erases, used = traits.cycles - journal_worst, images + 1 + bulk_pages + run_pages
    by_journal = erases * pages // used if 2 * used <= pages else erases
    if run_pages:
        by_journal = max(erases // used - 1, 0) * pages
    by_weights = traits.cycles - weights_worst if images > 0 else by_journal
    return min(by_journal, by_weights, 0xFFFFFFFF)
