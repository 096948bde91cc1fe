"""Modules evaluated in a process of their own (`child.py`), within bounds of time and memory.

That process may be ended at any time, by what it evaluates as well: a stack that overflows, memory that runs out. Then
the call that it was about is denied, and the next one finds a new process. One evaluates at a time; who waits longer
than `WAIT_S_MAX` is denied as well.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from interlock.rego.findings import error, findings_of
from interlock.vocabulary.errors import PeerError
from interlock.vocabulary.json_text import JsonObject, encode, is_object, parse_answer

if TYPE_CHECKING:
    from interlock.policy.rego import CompiledRego
    from interlock.vocabulary.facts import Finding

#: Processor time of one evaluation, in the child; and how long anybody waits for one, its start included.
CPU_S_MAX: Final = 0.25
WAIT_S_MAX: Final = 3.0
START_S_MAX: Final = 10.0
LENGTH: Final = struct.Struct("!I")
ANSWER_BYTES_MAX: Final = 1 << 20


class Unheard(PeerError):
    """It could not be evaluated; the message says why, in our words."""


class Evaluator:
    """The modules of one layer's entry. Belongs to the running loop."""

    def __init__(self, compiled: CompiledRego) -> None:
        self._compiled = compiled
        self._child: Child | None = None
        self._turn = asyncio.Lock()

    async def findings(self, document: bytes) -> tuple[Finding, ...]:
        """What they find about an input. Never raises for what they do."""
        query = self._compiled["query"]
        try:
            async with asyncio.timeout(WAIT_S_MAX), self._turn:
                value = await self._value(document)
        except TimeoutError:
            return (error(f"`{query}` was not evaluated within {WAIT_S_MAX:g} s"),)
        except Unheard as unheard:
            return (error(f"`{query}`: {unheard}"),)
        return findings_of(value, query)

    def close(self) -> None:
        """End its process."""
        if self._child is not None:
            self._child.end()
            self._child = None

    async def _value(self, document: bytes) -> object:
        if self._child is None:
            self._child = await asyncio.to_thread(Child, self._compiled)
        child, self._child = self._child, None
        try:
            answer = await child.ask(document)
        except BaseException as failure:  # whatever it is, this process may still be at it
            await asyncio.shield(asyncio.to_thread(child.end))
            if isinstance(failure, (OSError, EOFError, PeerError)):
                raise Unheard("evaluating it took too long, or too much") from failure
            raise
        if "fault" in answer:
            await asyncio.to_thread(child.end)
            raise Unheard(str(answer["fault"]))
        self._child = child
        if "undefined" in answer:
            raise Unheard("it is undefined")
        return answer.get("value")


class Child:
    """One process with the modules loaded. It ends by itself when our end of its socket is closed."""

    def __init__(self, compiled: CompiledRego) -> None:
        """Start it. Raises `Unheard` where the modules cannot be loaded within the bounds."""
        self._ours, theirs = socket.socketpair()
        self._ours.settimeout(START_S_MAX)
        with theirs:
            command = [sys.executable, "-I", "-m", "interlock.rego.child"]
            self._process = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={}, cwd="/"
            )
        try:
            self._ours.sendall(_framed(encode(compiled)))
            (size,) = LENGTH.unpack(self._taken(LENGTH.size))
            answer = parse_answer(self._taken(min(size, ANSWER_BYTES_MAX)))
        except (OSError, EOFError, PeerError) as failure:
            self.end()
            raise Unheard("loading it took too long, or too much: it may call itself") from failure
        if not is_object(answer) or "fault" in answer:
            self.end()
            raise Unheard(str(answer.get("fault")) if is_object(answer) else "it cannot be loaded")
        self._ours.setblocking(False)

    async def ask(self, document: bytes) -> JsonObject:
        """Its answer about an input. Raises `EOFError` when it has ended over it."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._ours, _framed(document))
        (size,) = LENGTH.unpack(await self._read(LENGTH.size))
        if size > ANSWER_BYTES_MAX:
            raise Unheard("its answer is too large")
        answer = parse_answer(await self._read(size))
        return answer if is_object(answer) else {}

    def end(self) -> None:
        """It is of no more use."""
        self._process.kill()
        self._process.wait()
        self._ours.close()

    def _taken(self, size: int) -> bytes:
        text = b""
        while len(text) < size:
            part = self._ours.recv(size - len(text))
            if not part:
                raise EOFError("it ended")
            text += part
        return text

    async def _read(self, size: int) -> bytes:
        text = b""
        while len(text) < size:
            part = await asyncio.get_running_loop().sock_recv(self._ours, size - len(text))
            if not part:
                raise EOFError("it ended")
            text += part
        return text


def _framed(text: bytes) -> bytes:
    return LENGTH.pack(len(text)) + text
