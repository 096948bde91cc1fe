"""The first words with a server: which era it speaks (revision 2026-07-28, "Versioning": a probe, then `initialize`).

A server of the older era may answer an unknown first method with an error, with silence, or by ending. So a stdio
server that gave no answer to the probe is of no more use, and `initialize` goes to a fresh process (`Fresh`).
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from interlock.connectors.configuration import Connector
from interlock.connectors.lapse import Lapsed
from interlock.mcp import server_message as messages
from interlock.mcp.client_request import capabilities_towards, claimed, extensions_of
from interlock.mcp.revision import LEGACY, LEGACY_KNOWN, META, MODERN
from interlock.mediate.upstream import Broken, Exchange, Fault, Reply, Result
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject, object_at, text_at

#: For an answer to the probe, from the moment that the server has taken it from its input.
PROBE_ANSWER_MS_MAX: Final = 3_000


class Era(Enum):
    """What is spoken with a server."""

    LEGACY = "legacy"
    MODERN = "modern"


class Channel(Protocol):
    """What a greeting needs of the way to a server."""

    async def probe(self, method: str, params: JsonObject, start_ms: int, answer_ms: int) -> Reply:
        """Ask a question that the server may not understand. It has `start_ms` to take it, then `answer_ms` to
        answer."""

    def request(
        self, method: str, params: JsonObject, exchange: Exchange, timeout_ms: int
    ) -> Awaitable[Reply | Lapsed]:
        """Send one request, wait for its reply."""

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification."""


@dataclass(frozen=True, slots=True)
class Met:
    """A server that has said what it is."""

    era: Era
    capabilities: JsonObject = field(default_factory=dict)
    server: JsonObject = field(default_factory=dict)
    instructions: str | None = None


@dataclass(frozen=True, slots=True)
class Unmet:
    """One that has not, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Fresh:
    """One that has to be started again, to be asked in the older way from the beginning."""

    why: str


async def greet(channel: Channel, connector: Connector, *, probing: bool) -> Met | Unmet | Fresh:
    """Find out what a server is. Without `probing` only the older way is tried."""
    if not probing:
        return await _initialize(channel, connector)
    modern_only = connector.revision == "modern"
    start_ms = connector.start_timeout_ms
    params: JsonObject = {"_meta": own_meta(connector, {})}
    answer_ms = start_ms if modern_only else min(start_ms, PROBE_ANSWER_MS_MAX)
    reply = await channel.probe("server/discover", params, start_ms, answer_ms)
    met = _discovered(reply)
    if met is not None:
        return met
    if modern_only:
        why = reply.reason if isinstance(reply, Broken) else "it answers with something else"
        return Unmet(f"it does not answer `server/discover` as revision 2026-07-28 asks ({why})")
    if isinstance(reply, Broken) and reply.effect is Effect.NOT_SENT:
        return Unmet(reply.reason)
    if isinstance(reply, Broken) and connector.server.starts_afresh:
        return Fresh(reply.reason)
    return await _initialize(channel, connector)


def own_meta(connector: Connector, meta: JsonObject, known: JsonObject | None = None) -> JsonObject:
    """The `_meta` of a request to a modern server; a caller's capabilities only as far as the operator lets them.
    `known`: what a client of the older era takes, which says so once and not in each request."""
    if known is not None:
        return messages.modern_meta(meta, claimed(known, connector.client_requests))
    claims = capabilities_towards(connector.client_requests)
    caller = meta.get(f"{META}clientCapabilities")
    if isinstance(caller, dict):
        extensions = extensions_of(caller)
        claims = {key: value for key, value in caller.items() if key in claims}
        claims |= {"extensions": extensions} if extensions else {}
    return messages.modern_meta(meta, claims)


def _discovered(reply: Reply) -> Met | None:
    if not isinstance(reply, Result):
        return None
    versions = reply.value.get("supportedVersions")
    if not isinstance(versions, list) or MODERN not in versions:
        return None
    server = object_at(object_at(reply.value, "_meta"), f"{META}serverInfo")
    return Met(Era.MODERN, object_at(reply.value, "capabilities"), server, text_at(reply.value, "instructions"))


async def _initialize(channel: Channel, connector: Connector) -> Met | Unmet:
    params: JsonObject = {
        "protocolVersion": LEGACY[0],
        "capabilities": capabilities_towards(connector.client_requests),
        "clientInfo": messages.CLIENT_INFO,
    }
    reply = await channel.request("initialize", params, Exchange(), connector.start_timeout_ms)
    if isinstance(reply, Broken | Lapsed):
        return Unmet(reply.reason)
    if isinstance(reply, Fault):
        return Unmet(f"it refuses to initialize (error {reply.code})")
    version = text_at(reply.value, "protocolVersion")
    if version not in LEGACY_KNOWN:
        return Unmet(f"it speaks revision `{str(version)[:32]}`, which this gateway does not know")
    await channel.notify("notifications/initialized", {})
    server: JsonObject = {**object_at(reply.value, "serverInfo"), "protocolVersion": version}
    return Met(Era.LEGACY, object_at(reply.value, "capabilities"), server, text_at(reply.value, "instructions"))
