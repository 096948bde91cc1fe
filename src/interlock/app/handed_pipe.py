"""An end of a pipe that is handed to the event loop, and closed once.

asyncio closes the file it was given. uvloop closes the file as well, after libuv has closed its number, which may be
another file's by then: a thread that has just opened one would lose it.
"""

from __future__ import annotations

import asyncio
import os


class HandedPipe:
    """What `connect_read_pipe` and `connect_write_pipe` need of a file. The descriptor is the loop's from then on.

    Arguments: `loop` is the one that it is handed to.
    """

    def __init__(self, descriptor: int, loop: asyncio.AbstractEventLoop) -> None:
        self._descriptor: int | None = descriptor
        self._closed_below = not isinstance(loop, asyncio.BaseEventLoop)

    def fileno(self) -> int:
        """The descriptor. Raises `ValueError` once it is closed."""
        if self._descriptor is None:
            raise ValueError("the pipe is closed")
        return self._descriptor

    def close(self) -> None:
        """Close it, where the loop has not."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None and not self._closed_below:
            os.close(descriptor)
