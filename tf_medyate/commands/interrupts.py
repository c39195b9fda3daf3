"""Ctrl-C while something learns: it is noted, and heeded where nothing is half done.

Example:
    >>> with held_back("nothing was written") as stop:
    ...     for step in range(100):
    ...         if stop.asked:
    ...             break
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator


class Stop:
    """Whether Ctrl-C was pressed.

    Attributes:
        asked: It was.
        at_once: It was again; KeyboardInterrupt was raised wherever the program was.
    """

    asked = False
    at_once = False


@contextlib.contextmanager
def held_back(kept: str) -> Iterator[Stop]:
    """Has the first Ctrl-C noted, and only the second raise KeyboardInterrupt.

    Args:
        kept: What is left after the second, in words.
    """
    stop = Stop()

    def note(*_):
        if stop.asked:
            stop.at_once = True
            raise KeyboardInterrupt(f"at once; {kept}")
        stop.asked = True
        print("\nStopping after this step. Ctrl-C once more stops at once.", file=sys.stderr)

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield stop
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
