"""Whether a server has read what was written to it, by the kernel's count of bytes that still wait in its input.

A server that needs seconds to start is told from one that started and does not answer, and one that ended over a
message from one that never read it. A pipe counts for both its ends (FIONREAD, pipe(7)); a stream socket counts what
its peer has not read (TIOCOUTQ), and says when the peer ended without reading it (ECONNRESET, unix(7)).
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import stat
import struct
import termios
from typing import Any, Final

POLL_S: Final = 0.02


class Input:
    """A server's input, watched by a descriptor of its own, so that it can still be asked when the stream is closed."""

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        transport = stream.transport
        end = transport.get_extra_info("pipe") or transport.get_extra_info("socket")
        self._descriptor = os.dup(end.fileno())
        self._is_pipe = stat.S_ISFIFO(os.fstat(self._descriptor).st_mode)

    def close(self) -> None:
        """It need not be watched any more."""
        os.close(self._descriptor)

    @property
    def is_read(self) -> bool:
        """Whether nothing waits in it, nor was dropped from it unread."""
        if self._is_pipe:
            return self._count(termios.FIONREAD) == 0
        with socket.socket(fileno=os.dup(self._descriptor)) as other:
            dropped = other.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
        return not dropped and self._count(termios.TIOCOUTQ) == 0

    async def read_within(self, limit_ms: int, reply: asyncio.Future[Any]) -> bool:
        """Wait until all of it is read, or `reply` is there; false when neither came within the limit, or when it was
        never read."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + limit_ms / 1000
        while not self.is_read:
            if reply.done() or loop.time() >= deadline_s:
                return False
            await asyncio.wait({reply}, timeout=POLL_S)
        return True

    def _count(self, request: int) -> int:
        return int(struct.unpack("i", fcntl.ioctl(self._descriptor, request, b"\0\0\0\0"))[0])
