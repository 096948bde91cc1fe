"""A server's lists (tools, resources, templates, prompts): all pages, bounded, kept until the server says they
changed or for a while.

A list that is malformed is refused whole: half a list would hide what was left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from interlock.mediate.json_text import JsonObject, is_object
from interlock.mediate.upstream import Broken, Fault, Reply

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
METHOD_NOT_FOUND: Final = -32601

AskPage = Callable[[str, str | None], Awaitable[Reply]]


class Catalogue:
    """The lists of one server."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._kept: dict[str, tuple[int, list[JsonObject]]] = {}
        self._turns = {kind: asyncio.Lock() for kind in LIST_METHODS}

    def forget(self) -> None:
        """The server is a new one."""
        self._kept.clear()

    def told(self, method: str) -> None:
        """A notification came: what it says changed is asked again next time."""
        for kind in _CHANGED.get(method, ()):
            self._kept.pop(kind, None)

    async def all(self, kind: str, ask: AskPage) -> list[JsonObject] | Broken:
        """Every entry of a kind; callers that come at once share one asking."""
        async with self._turns[kind]:
            kept = self._kept.get(kind)
            if kept is not None and self._now_ms() - kept[0] < KEPT_MS:
                return kept[1]
            found = await _pages(kind, ask)
            if not isinstance(found, Broken):
                self._kept[kind] = (self._now_ms(), found)
            return found


async def _pages(kind: str, ask: AskPage) -> list[JsonObject] | Broken:
    found: list[JsonObject] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        reply = await ask(kind, cursor)
        if isinstance(reply, Broken):
            return reply
        if isinstance(reply, Fault):
            nothing = reply.code == METHOD_NOT_FOUND and not found
            return [] if nothing else Broken(f"it refuses to list its {kind}: {reply.message[:200]}", reached=True)
        entries = reply.value.get(kind)
        if not isinstance(entries, list) or not all(is_object(entry) for entry in entries):
            return Broken(f"its list of {kind} is not a list of objects", reached=True)
        found.extend(entry for entry in entries if is_object(entry))
        following = reply.value.get("nextCursor")
        if following is None:
            return found
        if not isinstance(following, str) or following == cursor or len(found) > ENTRIES_MAX:
            break
        cursor = following
    return Broken(f"its list of {kind} does not end", reached=True)
