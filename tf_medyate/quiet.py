"""What C++ libraries write to standard error, collected instead of shown.

The file descriptor belongs to the whole process, so one thread at a time may turn it away: two at
once would each restore what the other had put there, and standard error would be gone for good.

Example:
    >>> with captured_stderr() as printed:
    ...     written = os.write(2, b"from a C++ library")
    >>> printed.getvalue()
    'from a C++ library'
"""

import contextlib
import io
import os
import sys
import tempfile
import threading
from collections.abc import Iterator

_STDERR = 2
_lock = threading.RLock()


@contextlib.contextmanager
def captured_stderr() -> Iterator[io.StringIO]:
    """Collects what is written to standard error, by any thread; others wait for their turn.

    Yields:
        Takes what was written once the block is left.
    """
    printed = io.StringIO()
    with _lock, tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        kept = os.dup(_STDERR)
        os.dup2(file.fileno(), _STDERR)
        try:
            yield printed
        finally:
            sys.stderr.flush()
            os.dup2(kept, _STDERR)
            os.close(kept)
            file.seek(0)
            printed.write(file.read().decode(errors="replace"))
