"""Our own lines on a standard error that is not a terminal: written whole, and in a file not behind half a line.

A file can be looked at: while it ends in the middle of a line, ours wait for a moment, then begin a line of their own.
A pipe cannot: there each write is whole lines, which readers see unmixed up to PIPE_BUF bytes (pipe(7)).
"""

from __future__ import annotations

import os
import stat
import sys
import time
from typing import Final

#: How long lines of ours wait for the end of a line that somebody else has begun, in seconds.
WAIT_SECONDS: Final = 0.5
_ERROR: Final = 2


class ErrorLines:
    """Standard error as a place for lines."""

    def __init__(self) -> None:
        self._waits_since: float | None = None

    def can_write_lines(self) -> bool:
        """Whether lines written now stand between lines, or have waited long enough."""
        if not _is_torn():
            return True
        now = time.monotonic()
        if self._waits_since is None:
            self._waits_since = now
        return now - self._waits_since > WAIT_SECONDS

    def write_lines(self, lines: list[str]) -> None:
        """Write them. A closed or full standard error is not a reason to stop a session."""
        self._waits_since = None
        start = "\n" if _is_torn() else ""
        data = (start + "".join(f"{line}\n" for line in lines)).encode("utf-8", "backslashreplace")
        try:
            sys.stderr.flush()
            while data:
                data = data[os.write(_ERROR, data) :]
        except (OSError, ValueError, AttributeError):
            return


def _is_torn() -> bool:
    """Whether standard error is a file whose last line is unfinished."""
    try:
        found = os.fstat(_ERROR)
        if not stat.S_ISREG(found.st_mode) or found.st_size == 0:
            return False
        descriptor = os.open(f"/proc/self/fd/{_ERROR}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.pread(descriptor, 1, found.st_size - 1) not in (b"\n", b"")
    except OSError:
        return False
    finally:
        os.close(descriptor)
