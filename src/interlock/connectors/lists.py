"""How one list of a server (tools, resources, templates, prompts) is asked for: all pages, bounded in pages, entries
and time. A list that is malformed is refused whole: half a list would hide what was left out. Left out: how long it is
kept (`link.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from interlock.mcp.definition import LeftOut
from interlock.mcp.revision import METHOD_NOT_FOUND
from interlock.mediate.upstream import Broken, Fault, Reply
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject, is_object
from interlock.vocabulary.printable import printable

LIST_METHODS: Final = {
    "tools": "tools/list",
    "resources": "resources/list",
    "resourceTemplates": "resources/templates/list",
    "prompts": "prompts/list",
}
CHANGED: Final = {
    "notifications/tools/list_changed": ("tools",),
    "notifications/resources/list_changed": ("resources", "resourceTemplates"),
    "notifications/prompts/list_changed": ("prompts",),
}
PAGES_MAX: Final = 50
ENTRIES_MAX: Final = 2_000
NAME_CHARACTERS_MAX: Final = 64
#: All pages of one list together, in seconds.
LIST_S_MAX: Final = 15.0

AskPage = Callable[[str, str | None], Awaitable[Reply]]


def words_of(kind: str, entry: LeftOut) -> str:
    """An entry that is not listed, for the operator."""
    named = f"`{printable(entry.name, NAME_CHARACTERS_MAX)}`" if entry.name is not None else "an entry without a name"
    return f"{named} of its {kind} is not listed: {entry.why}"


async def asked(kind: str, ask: AskPage) -> list[JsonObject] | Broken:
    """Every entry of a kind, as the server has them."""
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
            return _unusable(f"its list of {kind} does not end (a cursor came again, or is not a text)")
        cursor = following
        cursors.add(following)
    return _unusable(f"its list of {kind} does not end within {PAGES_MAX} pages")


def _unusable(why: str) -> Broken:
    return Broken(why, Effect.UNKNOWN)
