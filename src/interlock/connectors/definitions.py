"""A server's lists (tools, resources, templates, prompts): all pages, bounded, kept until the server says they
changed or for a while.

A list that is malformed is refused whole: half a list would hide what was left out. One that failed is not asked for
again at once, so that a server without a usable list of one kind delays nobody and keeps its other kinds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from interlock.connectors.breaker import Breaker
from interlock.mediate.containment import contained
from interlock.mediate.json_text import JsonObject, is_object
from interlock.mediate.upstream import Broken, Fault, Reply
from interlock.mediate.values import Effect

LIST_METHODS: Final = {
    "tools": "tools/list",
    "resources": "resources/list",
    "resourceTemplates": "resources/templates/list",
    "prompts": "prompts/list",
}
_CHANGED: Final = {
    "notifications/tools/list_changed": ("tools",),
    "notifications/resources/list_changed": ("resources", "resourceTemplates"),
    "notifications/prompts/list_changed": ("prompts",),
}
PAGES_MAX: Final = 50
ENTRIES_MAX: Final = 2_000
KEPT_MS: Final = 60_000
#: All pages of one list together, in seconds.
LIST_S_MAX: Final = 15.0
METHOD_NOT_FOUND: Final = -32601

AskPage = Callable[[str, str | None], Awaitable[Reply]]


class Catalogue:
    """The lists of one server."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._kept: dict[str, tuple[int, list[JsonObject]]] = {}
        self._turns = {kind: asyncio.Lock() for kind in LIST_METHODS}
        self._breakers = {kind: Breaker(failures_max=1) for kind in LIST_METHODS}

    def forget(self) -> None:
        """The server is a new one."""
        self._kept.clear()
        for breaker in self._breakers.values():
            breaker.succeeded()

    def told(self, method: str) -> None:
        """A notification came: what it says changed is asked again next time."""
        for kind in _CHANGED.get(method, ()):
            self._kept.pop(kind, None)

    def faults(self) -> list[str]:
        """What is wrong with the lists that could not be had last time."""
        return [breaker.why for breaker in self._breakers.values() if breaker.why is not None]

    async def all(self, kind: str, ask: AskPage) -> list[JsonObject] | Broken:
        """Every entry of a kind; callers that come at once share one asking."""
        async with self._turns[kind]:
            kept = self._kept.get(kind)
            if kept is not None and self._now_ms() - kept[0] < KEPT_MS:
                return kept[1]
            breaker = self._breakers[kind]
            refusal = breaker.refusal(self._now_ms())
            if refusal is not None:
                return Broken(f"its list of {kind} is not asked for now: {refusal}", Effect.NOT_SENT)
            found = await contained(_in_time(kind, ask), lambda why: Broken(why, Effect.UNKNOWN))
            if isinstance(found, Broken):
                breaker.failed(found.reason, self._now_ms())
            else:
                breaker.succeeded()
                self._kept[kind] = (self._now_ms(), found)
            return found


async def _in_time(kind: str, ask: AskPage) -> list[JsonObject] | Broken:
    try:
        async with asyncio.timeout(LIST_S_MAX):
            return await _pages(kind, ask)
    except TimeoutError:
        return Broken(f"it did not list its {kind} within {LIST_S_MAX:g} s", Effect.UNKNOWN)


async def _pages(kind: str, ask: AskPage) -> list[JsonObject] | Broken:
    found: list[JsonObject] = []
    cursor: str | None = None
    cursors: set[str] = set()
    for _ in range(PAGES_MAX):
        reply = await ask(kind, cursor)
        if isinstance(reply, Broken):
            return reply
        if isinstance(reply, Fault):
            nothing = reply.code == METHOD_NOT_FOUND and not found
            return [] if nothing else _unusable(f"it refuses to list its {kind} (error {reply.code})")
        entries = reply.value.get(kind)
        if not isinstance(entries, list) or not all(is_object(entry) for entry in entries):
            return _unusable(f"its list of {kind} is not a list of objects")
        found.extend(entry for entry in entries if is_object(entry))
        if len(found) > ENTRIES_MAX:
            return _unusable(f"its list of {kind} has more than {ENTRIES_MAX} entries")
        following = reply.value.get("nextCursor")
        if following is None:
            return found
        if not isinstance(following, str) or following in cursors:
            return _unusable(f"its list of {kind} does not end: a cursor came again, or is not a text")
        cursor = following
        cursors.add(following)
    return _unusable(f"its list of {kind} does not end within {PAGES_MAX} pages")


def _unusable(why: str) -> Broken:
    return Broken(why, Effect.UNKNOWN)
