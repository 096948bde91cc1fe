"""Values held to foreign schemas, within a budget and away from the loop.

What is cheap by its form is done at once. All else goes to a process of its own (`schema_child.py`), which is ended
when it takes too long; then that schema is of no use, and nobody else has waited for it but a few calls. One connector
has one such process at a time, so that its schemas delay its own calls alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from typing import Final

from interlock.gateway.schema import UnusableSchema, Validator
from interlock.gateway.schema_budget import is_cheap, outward, parts_of
from interlock.gateway.schema_child import LENGTH
from interlock.mediate.json_text import JsonObject, canonical, encode, is_object, parse_answer

CHILDREN_MAX: Final = 4
#: The processor time of one check is the child's own bound; this one is for a machine that gives it none.
CHECK_S_MAX: Final = 20.0
#: So long a schema that took too much is not tried again, in milliseconds.
SPENT_MS: Final = 600_000
SPENT_KEPT_MAX: Final = 4_096
TOO_MUCH: Final = "holding anything to its schema takes too long"
_ANSWER_BYTES_MAX: Final = 1 << 20


class Foreign:
    """One schema of a server. What is made of it is made at first use."""

    def __init__(self, schema: object) -> None:
        self.own = schema if is_object(schema) else {}
        self.unusable = None if is_object(schema) else "it has none"
        if outward(self.own):
            self.unusable = "it refers to something outside itself, which is never fetched"

    @cached_property
    def digest(self) -> str:
        """By what it is known to the other process."""
        return hashlib.sha256(canonical(self.own)).hexdigest()

    @cached_property
    def validator(self) -> Validator:
        """It compiled. Raises `UnusableSchema`."""
        return Validator(self.own)

    @cached_property
    def _parts(self) -> int:
        return parts_of(self.own)

    def is_cheap(self, value_bytes: int) -> bool:
        """Whether a value of that size can be held to it at once."""
        return is_cheap(self._parts, value_bytes)


class SchemaChecks:
    """See the module. One for each gateway."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._idle: list[_Child] = []
        self._children = asyncio.Semaphore(CHILDREN_MAX)
        self._turns: dict[str, asyncio.Lock] = {}
        self._spent: OrderedDict[str, int] = OrderedDict()

    async def faults(self, connector: str, schema: Foreign, value: object) -> list[str]:
        """What is wrong with a value, in a few lines; nothing if it fits. Raises `UnusableSchema`."""
        if schema.unusable is not None:
            raise UnusableSchema(schema.unusable)
        if schema.is_cheap(len(encode(value))):
            return schema.validator.faults(value)
        return await self._elsewhere(connector, schema, value)

    async def _elsewhere(self, connector: str, schema: Foreign, value: object) -> list[str]:
        digest = schema.digest
        async with self._turns.setdefault(connector, asyncio.Lock()), self._children:
            if self._now_ms() < self._spent.get(digest, 0):
                raise UnusableSchema(TOO_MUCH)
            child = self._idle.pop() if self._idle else await asyncio.to_thread(_Child)
            try:
                answer = await asyncio.wait_for(child.ask(digest, schema.own, value), CHECK_S_MAX)
            except BaseException as error:  # whatever it is, this process may still be at it
                await asyncio.shield(asyncio.to_thread(child.end))
                if not isinstance(error, (OSError, EOFError, ValueError, TimeoutError)):
                    raise
                self._note_spent(digest)
                raise UnusableSchema(TOO_MUCH) from error
            self._idle.append(child)
        unusable, faults = answer.get("unusable"), answer.get("faults")
        if isinstance(unusable, str):
            raise UnusableSchema(unusable)
        return [str(each) for each in faults] if isinstance(faults, list) else ["it cannot be checked"]

    def _note_spent(self, digest: str) -> None:
        self._spent[digest] = self._now_ms() + SPENT_MS
        self._spent.move_to_end(digest)
        while len(self._spent) > SPENT_KEPT_MAX:
            self._spent.popitem(last=False)


class _Child:
    """One process. It ends by itself when our end of its socket is closed, however this process ends."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        with theirs:
            command = [sys.executable, "-I", "-m", "interlock.gateway.schema_child"]
            self._process = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={}, cwd="/"
            )

    async def ask(self, digest: str, schema: JsonObject, value: object) -> JsonObject:
        """Its answer. Raises `EOFError` when it has ended over the question."""
        answer = await self._asked({"digest": digest, "value": value})
        if "wanted" in answer:
            answer = await self._asked({"digest": digest, "value": value, "schema": schema})
        return answer

    def end(self) -> None:
        """It is of no more use."""
        self._process.kill()
        self._process.wait()
        self._ours.close()

    async def _asked(self, request: JsonObject) -> JsonObject:
        loop, text = asyncio.get_running_loop(), encode(request)
        await loop.sock_sendall(self._ours, LENGTH.pack(len(text)) + text)
        (size,) = LENGTH.unpack(await self._read(LENGTH.size))
        answer = parse_answer(await self._read(min(size, _ANSWER_BYTES_MAX)))
        return answer if is_object(answer) else {}

    async def _read(self, size: int) -> bytes:
        text = b""
        while len(text) < size:
            part = await asyncio.get_running_loop().sock_recv(self._ours, size - len(text))
            if not part:
                raise EOFError("it ended")
            text += part
        return text
