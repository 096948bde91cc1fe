"""One server as one agent reaches it, whatever carries it: started when needed, asked what it is, started again
after a failure.

Implements `mediate.upstream.Upstream`. One link's trouble stays its own: every wait is bounded and a breaker stops
hammering. Left out: how bytes travel (`stdio.py`, `http.py`), what may be asked (the gateway).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from interlock.connectors import messages
from interlock.connectors.breaker import Breaker
from interlock.connectors.configuration import Connector
from interlock.connectors.definitions import LIST_METHODS, Catalogue
from interlock.connectors.launch import LaunchFailed
from interlock.mediate.json_text import JsonObject, object_at, text_at
from interlock.mediate.upstream import Broken, Exchange, Fault, Reply, Result

PROBE_MS_MAX: Final = 2_000


class Channel(Protocol):
    """A live way to one server."""

    ended: asyncio.Future[str]

    async def request(self, method: str, params: JsonObject, exchange: Exchange, timeout_ms: int) -> Reply:
        """Send one request, wait for its reply."""

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification."""

    async def close(self, why: str) -> None:
        """End it."""


Open = Callable[[Callable[[messages.Told], None]], Awaitable[Channel]]


class Link:
    """See the module. `open_channel` starts or reaches the server; it gets the sink for the server's notifications."""

    def __init__(self, connector: Connector, open_channel: Open, *, now_ms: Callable[[], int]) -> None:
        self._connector = connector
        self._open = open_channel
        self._now_ms = now_ms
        self._breaker = Breaker()
        self._opening = asyncio.Lock()
        self._channel: Channel | None = None
        self._modern = False
        self._detail: str | None = None
        self._capabilities: JsonObject = {}
        self._catalogue = Catalogue(now_ms)
        self.server: JsonObject = {}
        self.instructions: str | None = None
        self.listener: Callable[[str, JsonObject], None] | None = None

    @property
    def connector(self) -> str:
        """The connector's name."""
        return self._connector.name

    @property
    def trust_annotations(self) -> bool:
        """See `Upstream`."""
        return self._connector.trust_annotations

    @property
    def operations(self) -> Mapping[str, str]:
        """See `Upstream`."""
        return self._connector.operations

    @property
    def client_requests(self) -> tuple[str, ...]:
        """See `Upstream`."""
        return self._connector.client_requests

    @property
    def revision(self) -> str:
        """What is spoken with the server, once it has been reached."""
        return messages.MODERN if self._modern else str(self.server.get("protocolVersion", messages.LEGACY))

    def capabilities(self) -> JsonObject:
        """See `Upstream`."""
        return self._capabilities

    async def definitions(self, kind: str) -> list[JsonObject] | Broken:
        """See `Upstream`."""
        ready = await self.connect()
        if ready is not None:
            return ready
        if object_at(self._capabilities, _CAPABILITY[kind]) == {} and _CAPABILITY[kind] not in self._capabilities:
            return []
        return await self._catalogue.all(kind, self._ask_page)

    async def request(self, method: str, params: JsonObject, exchange: Exchange) -> Reply:
        """See `Upstream`."""
        ready = await self.connect()
        if ready is not None:
            return ready
        return await self._send(method, params, exchange, self._connector.timeout_ms)

    async def close(self) -> None:
        """End the server, if one runs."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close("the gateway ends it")

    async def connect(self) -> Broken | None:
        """Have a server that has said what it is."""
        async with self._opening:
            if self._channel is not None and not self._channel.ended.done():
                return None
            if self._channel is not None:
                self._breaker.failed(self._channel.ended.result(), self._now_ms())
                self._channel = None
            refusal = self._breaker.refusal(self._now_ms())
            if refusal is not None:
                return Broken(f"`{self.connector}` is not asked now: {refusal}", reached=False)
            return await self._start()

    async def _start(self) -> Broken | None:
        self._catalogue.forget()
        try:
            channel = await self._open(self._told)
        except LaunchFailed as error:
            self._breaker.failed(str(error), self._now_ms())
            return Broken(f"`{self.connector}` could not be started", reached=False, detail=str(error))
        self._channel = channel
        try:
            why = await self._greet(channel)
        except BaseException:
            await self.close()
            raise
        if why is None:
            return None
        self._breaker.failed(why, self._now_ms())
        await self.close()
        return Broken(f"`{self.connector}` could not be reached: {why}", reached=False, detail=self._detail)

    async def _greet(self, channel: Channel) -> str | None:
        """Find out which era the server speaks (revision 2026-07-28, versioning: a probe, then `initialize`)."""
        revision = self._connector.revision
        if revision != "legacy":
            limit_ms = self._connector.start_timeout_ms if revision == "modern" else PROBE_MS_MAX
            if await self._discover(channel, limit_ms):
                return None
            if revision == "modern":
                return "it does not answer `server/discover` as revision 2026-07-28 has it"
        return await self._initialize(channel)

    async def _discover(self, channel: Channel, limit_ms: int) -> bool:
        self._modern = True
        params: JsonObject = {"_meta": self._meta({})}
        reply = await channel.request("server/discover", params, Exchange(), limit_ms)
        if not isinstance(reply, Result) or not isinstance(reply.value.get("supportedVersions"), list):
            self._modern = False
            return False
        versions = reply.value["supportedVersions"]
        self._modern = isinstance(versions, list) and messages.MODERN in versions
        if self._modern:
            self._remember(reply.value, object_at(object_at(reply.value, "_meta"), f"{messages.META}serverInfo"))
        return self._modern

    async def _initialize(self, channel: Channel) -> str | None:
        self._modern = False
        params: JsonObject = {
            "protocolVersion": messages.LEGACY,
            "capabilities": messages.capabilities_towards(self._connector.client_requests),
            "clientInfo": messages.CLIENT_INFO,
        }
        reply = await channel.request("initialize", params, Exchange(), self._connector.start_timeout_ms)
        if isinstance(reply, Broken):
            self._detail = reply.detail
            return reply.reason
        if isinstance(reply, Fault):
            return f"it refuses to initialize: {reply.message[:200]}"
        version = text_at(reply.value, "protocolVersion")
        if version not in messages.LEGACY_KNOWN:
            return f"it speaks revision `{str(version)[:32]}`, which is not known here"
        self._remember(reply.value, {**object_at(reply.value, "serverInfo"), "protocolVersion": version})
        await channel.notify("notifications/initialized", {})
        return None

    def _remember(self, said: JsonObject, server: JsonObject) -> None:
        self._capabilities = object_at(said, "capabilities")
        self.server = server
        self.instructions = text_at(said, "instructions")

    async def _ask_page(self, kind: str, cursor: str | None) -> Reply:
        params: JsonObject = {} if cursor is None else {"cursor": cursor}
        return await self._send(LIST_METHODS[kind], params, Exchange(), self._connector.start_timeout_ms)

    async def _send(self, method: str, params: JsonObject, exchange: Exchange, limit_ms: int) -> Reply:
        channel = self._channel
        if channel is None:
            return Broken(f"`{self.connector}` is not there", reached=False)
        if self._modern:
            params = {**params, "_meta": self._meta(object_at(params, "_meta"))}
        reply = await channel.request(method, params, exchange, limit_ms)
        if not isinstance(reply, Broken):
            self._breaker.succeeded()
        elif not channel.ended.done() and reply.reached:
            self._breaker.failed(reply.reason, self._now_ms())
            if self._breaker.refusal(self._now_ms()) is not None:
                await channel.close(reply.reason)
        return reply

    def _meta(self, meta: JsonObject) -> JsonObject:
        claims = messages.capabilities_towards(self._connector.client_requests)
        caller = meta.get(f"{messages.META}clientCapabilities")
        if isinstance(caller, dict):
            claims = {key: value for key, value in caller.items() if key in claims}
        return messages.modern_meta(meta, claims)

    def _told(self, told: messages.Told) -> None:
        self._catalogue.told(told.method)
        if self.listener is not None:
            self.listener(told.method, told.params)


_CAPABILITY: Final = {
    "tools": "tools",
    "resources": "resources",
    "resourceTemplates": "resources",
    "prompts": "prompts",
}
