"""Modules evaluated in a process of their own (`child.py`), within bounds of time and memory.

That process may be ended at any time, by what it evaluates as well: a stack that overflows, memory that runs out. Then
the call that it was about is denied, and the next one finds a new process. One evaluates at a time; who waits longer
than `WAIT_S_MAX` is denied as well.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from interlock.mediate.bounded import Bounded
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
            answer = await child.value(document)
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


class Child(Bounded):
    """One process with the modules loaded."""

    def __init__(self, compiled: CompiledRego) -> None:
        """Start it. Raises `Unheard` where the modules cannot be loaded within the bounds."""
        super().__init__("interlock.rego.child")
        try:
            answer = parse_answer(self.ask_now(encode(compiled), START_S_MAX))
        except (OSError, EOFError, PeerError) as failure:
            self.end()
            raise Unheard("loading it took too long, or too much: it may call itself") from failure
        if not is_object(answer) or "fault" in answer:
            self.end()
            raise Unheard(str(answer.get("fault")) if is_object(answer) else "it cannot be loaded")

    async def value(self, document: bytes) -> JsonObject:
        """Its answer about an input. Raises as `ask` does."""
        answer = parse_answer(await self.ask(document))
        return answer if is_object(answer) else {}
