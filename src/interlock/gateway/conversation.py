"""One request in its surroundings: who asks, at which endpoint, in which era, and how to speak to them while it is
worked on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from msgspec import Struct, field

from interlock.mcp.request_headers import Headers
from interlock.mediate.principal import Principal
from interlock.vocabulary.json_text import JsonObject


class Endpoint(NamedTuple):
    """What a client connected to: all connectors, or the one that is named; `brief` is the view that does not fill a
    model's context (`brief.py`)."""

    connector: str | None
    brief: bool = False


class Conversation(Struct, frozen=True):
    """See the module.

    `connector` is set at `/mcp/<connector>`, `brief` at `/brief`, `headers` are none where a request has none (stdio),
    `notify` sends a notification to the client (none: it takes none), `ask` a question that the client may answer
    (legacy sessions of clients that said they can), `revalidate` says why the caller may not go on, `capabilities` are
    what the client said it takes.
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
