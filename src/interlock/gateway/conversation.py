"""One request in its surroundings: who asks, at which endpoint, in which era, and how to speak to them while it is
worked on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from msgspec import Struct, field

from interlock.gateway.limits import PAGE_NAME_CHARACTERS_MAX, PAGES_MAX
from interlock.mcp.request_headers import Headers
from interlock.mediate.principal import Principal
from interlock.vocabulary.json_text import JsonObject, text_at


class Endpoint(NamedTuple):
    """What a client connected to: all connectors, or the one that is named; `brief` is the view that does not fill a
    model's context (`brief.py`)."""

    connector: str | None
    brief: bool = False


class Pages:
    """The pages that one client was asked to visit, by connector and the server's id of them (2025-11-25, "Completion
    Notifications for URL Mode Elicitation"): only the client that was asked hears that it is done, once."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], None] = {}

    def asked(self, connector: str, params: JsonObject) -> None:
        """A server asks for a visit; the oldest of too many is forgotten."""
        identity = text_at(params, "elicitationId")
        if params.get("mode") != "url" or identity is None or len(identity) > PAGE_NAME_CHARACTERS_MAX:
            return
        self._open[connector, identity] = None
        while len(self._open) > PAGES_MAX:
            self._open.pop(next(iter(self._open)))

    def done(self, connector: str, identity: str | None) -> bool:
        """Whether that visit was asked for and not told of yet."""
        key = (connector, identity or "")
        known = key in self._open
        self._open.pop(key, None)
        return known


class Conversation(Struct, frozen=True):
    """See the module.

    `connector` is set at `/mcp/<connector>`, `brief` at `/brief`, `headers` are none where a request has none (stdio),
    `notify` sends a notification to the client (none: it takes none), `ask` a question that the client may answer
    (legacy sessions of clients that said they can), `revalidate` says why the caller may not go on, `capabilities` are
    what the client said it takes, `pages` those it was asked to visit (in a session).
    """

    principal: Principal
    connector: str | None
    modern: bool
    headers: Headers | None
    session: str | None
    revalidate: Callable[[], str | None]
    notify: Callable[[JsonObject], None] | None = None
    ask: Callable[[JsonObject], Awaitable[JsonObject]] | None = None
    brief: bool = False
    capabilities: JsonObject = field(default_factory=dict)
    pages: Pages | None = None
