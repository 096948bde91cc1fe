"""What a call would do, where its server can say so before anything is decided: the statement of a SQL connector.

What is said becomes a part of the Action: the operation class of the call, and what was read off the statement (`sql`),
which goes to the server with the call (`operation.py`). A server that runs statements runs one only with that, and only
where it does what was decided about. Fail closed: what cannot be read is a denial on the record.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from interlock.mediate.upstream import Broken, Upstream
from interlock.vocabulary.json_text import JsonObject, is_object, text_at

#: The strictest class, for what is not known.
_UNKNOWN: Final[JsonObject] = {"operation": "admin"}
_CLASSES: Final = frozenset({"read", "write", "delete", "admin"})


class Seen(Struct, frozen=True):
    """What was said of a call: what it does, with its operation class, or why it is not made."""

    does: JsonObject | None = None
    unfit: str | None = None


NOTHING: Final = Seen()


async def seen(upstream: Upstream, name: str, arguments: JsonObject) -> Seen:
    """Ask the server of a tool what this call would do."""
    said = await upstream.observe(name, arguments)
    if isinstance(said, Broken):
        return Seen(_UNKNOWN, f"what the call would do cannot be found out: {said.reason}")
    refused, does = text_at(said, "refused"), said.get("does")
    if refused is not None:
        return Seen(_UNKNOWN, f"the statement is not run: {refused}")
    if not is_object(does) or does.get("operation") not in _CLASSES:
        return Seen(_UNKNOWN, "what the call would do cannot be found out: its server does not say it")
    return Seen(does)
