"""A process of Interlock's own that answers texts, and may be ended at any time: by us, by its bounds, or by what it is
asked about.

Its standard input is a socket. A text stands there after its length in four bytes, each question is followed by one
answer, and the process ends when our end is closed, however ours ends. Memory is bounded (RLIMIT_AS, setrlimit(2)), and
so is the processor time of one question: the kernel ends the process that takes more (SIGPROF, setitimer(2)).
"""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from interlock.vocabulary.errors import PeerError

ANSWER_BYTES_MAX: Final = 1 << 20
_LENGTH: Final = struct.Struct("!I")


class Bounded:
    """One such process, seen from here."""

    def __init__(self, module: str) -> None:
        """Start it; `module` runs a `Questions`. Raises `OSError`."""
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        with theirs:
            command = [sys.executable, "-I", "-m", module]
            self._process = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={}, cwd="/"
            )

    async def ask(self, question: bytes) -> bytes:
        """Its answer. Raises `EOFError` or `OSError` when it has ended over the question, `PeerError` where the answer
        is too large; after that, and after whatever else ends the wait, it is of no more use: `end`."""
        await asyncio.get_running_loop().sock_sendall(self._ours, _framed(question))
        size = _size(await self._read(_LENGTH.size))
        return await self._read(size)

    def ask_now(self, question: bytes, within_s: float) -> bytes:
        """The same where nothing else waits. Raises `TimeoutError` besides, which is an `OSError`."""
        self._ours.settimeout(within_s)
        self._ours.sendall(_framed(question))
        size = _size(self._read_now(_LENGTH.size))
        answer = self._read_now(size)
        self._ours.setblocking(False)
        return answer

    def end(self) -> None:
        """It is of no more use."""
        self._process.kill()
        self._process.wait()
        self._ours.close()

    async def _read(self, size: int) -> bytes:
        text = b""
        while len(text) < size:
            text += _part(await asyncio.get_running_loop().sock_recv(self._ours, size - len(text)))
        return text

    def _read_now(self, size: int) -> bytes:
        text = b""
        while len(text) < size:
            text += _part(self._ours.recv(size - len(text)))
        return text


class Questions:
    """What such a process is asked, seen from there. Made once, in its `main`."""

    def __init__(self, memory_bytes: int) -> None:
        """Bound this process."""
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
        self._stream = socket.socket(fileno=0).makefile("rwb")

    def read(self) -> bytes | None:
        """The next question; none when the other end is closed."""
        head = self._stream.read(_LENGTH.size)
        return self._stream.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else None

    def answer(self, text: bytes) -> None:
        """Answer it."""
        self._stream.write(_framed(text))
        self._stream.flush()


@contextmanager
def within(processor_s: float) -> Iterator[None]:
    """What is done in here ends this process when it takes more processor time."""
    signal.setitimer(signal.ITIMER_PROF, processor_s)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)


def _framed(text: bytes) -> bytes:
    return _LENGTH.pack(len(text)) + text


def _size(head: bytes) -> int:
    (size,) = _LENGTH.unpack(head)
    if size > ANSWER_BYTES_MAX:
        raise PeerError("its answer is too large")
    return int(size)


def _part(part: bytes) -> bytes:
    if not part:
        raise EOFError("it ended")
    return part
