"""The journal that commits go through on a board: how large it has to be.

It holds images of whole pages, or packed runs of what a draw changed; docs/weight_store.md says
what the smaller one costs.

Example:
    >>> journal_pages(79, 1), journal_pages(79, 1, run_pages=17)
    (83, 23)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tf_medyate.errors import OptionError
from tf_medyate.exporter.lower.step import TrainingGraph
from tf_medyate.exporter.write.cpp import CppModel
from tf_medyate.spec import FLASH_PAGE_BYTES, FLOAT_BYTES

FITTING = "fitting"
PAGES = "pages"
RUNS = "runs"
JOURNALS = (FITTING, PAGES, RUNS)
"""Pages where they fit, else runs; pages; runs."""

_SPARE_PAGES = 2
_PAGE_WORDS = FLASH_PAGE_BYTES // FLOAT_BYTES
_HEAD_WORDS = 16 + 88 + 48
"""Of a head with runs: the header; marks and the fewest notes; notes of starts that begin again."""
_RECORD_WORDS = 96
"""Progress, and names of a few classes."""


def journal_pages(weight_pages: int, importance_pages: int, run_pages: int = 0) -> int:
    """Pages of the journal; `JournalPages` of tflm_ops/trainer/flash_sink.h.

    That is a head and an image of each weight page, and both the old importances and the new ones
    beside the old head. With runs, their pages and two spare ones in place of the images.
    """
    body = run_pages + _SPARE_PAGES if run_pages else weight_pages
    return body + 2 + 2 * importance_pages


def check_journal(journal: str):
    """Raises OptionError if there is no such journal."""
    if journal not in JOURNALS:
        expected = f"one of {', '.join(JOURNALS)}"
        raise OptionError("journal", expected, repr(journal), 'Take "fitting" if in doubt.')


def most_run_pages(training: TrainingGraph, weight_pages: int) -> int:
    """Pages that the packed runs of any draw fit.

    A run is a drawn channel's weights, or a layer's biases: a word of its own before them. The end
    of a page splits at most one run in two, which takes another such word; and each page that
    changes has a CRC. Of the channels that a draw may hold those that take most words for what they
    cost come first, the last one in part: no draw within the budget takes more words.
    """
    words = 2 * weight_pages - 1
    for layer in training.layout.layers:
        words += layer.biases + bool(layer.biases)
        if not layer.is_drawn:
            words += layer.spec.channels * (layer.spec.weights_per_channel + 1)
    left = training.recipe.capacity
    for layer in sorted(training.layout.drawn, key=_words_for_cost, reverse=True):
        paid = min(left, layer.capacity * layer.channel_cost)
        words += -(-paid * (layer.spec.weights_per_channel + 1) // layer.channel_cost)
        left -= paid
    return -(-words // _PAGE_WORDS)


def _words_for_cost(layer) -> float:
    return (layer.spec.weights_per_channel + 1) / layer.channel_cost


def with_journal(
    cpp: CppModel, journal: str, training: TrainingGraph, fits: Callable[[CppModel], bool]
) -> CppModel:
    """The model with the journal that was asked for.

    Args:
        cpp: Its sizes, with a journal of pages.
        journal: One of JOURNALS.
        training: What it was lowered to.
        fits: Whether the flash suffices for a model of such sizes.

    Raises:
        OptionError: Runs were asked for, and a commit's head has no room for so many pages.
    """
    if journal == PAGES or (journal == FITTING and fits(cpp)):
        return cpp
    runs = most_run_pages(training, cpp.weight_pages)
    pages = journal_pages(cpp.weight_pages, cpp.importance_pages, runs)
    tables = 5 * cpp.weight_pages + pages + 2 * (runs + cpp.importance_pages)
    has_room = tables + _HEAD_WORDS + _RECORD_WORDS <= _PAGE_WORDS
    if journal == RUNS and not has_room:
        received = f"{cpp.weight_pages} weight pages, {runs} of runs"
        remedy = 'Keep fewer layers, or take journal="pages".'
        raise OptionError("journal", "runs of fewer weight pages", received, remedy)
    is_smaller = pages < journal_pages(cpp.weight_pages, cpp.importance_pages)
    if journal == RUNS or (has_room and is_smaller):
        return dataclasses.replace(cpp, run_pages=runs)
    return cpp
