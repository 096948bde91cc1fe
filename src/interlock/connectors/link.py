"""One server as one agent reaches it, whatever carries it: started when needed, asked what it is, started again
after a failure or when it has forgotten the session.

Implements `mediate.upstream.Upstream`. One link's trouble stays its own: every way in is `contained`, every wait is
bounded and a breaker stops hammering. Left out: how bytes travel (`stdio.py`, `http.py`), what may be asked (the
gateway).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol

from interlock.connectors import greeting, messages
from interlock.connectors.breaker import Breaker
from interlock.connectors.configuration import Connector
from interlock.connectors.definitions import LIST_METHODS, Catalogue
from interlock.connectors.greeting import Era, Fresh, Met, Unmet
from interlock.connectors.lapse import Lapsed, Processed
from interlock.connectors.launch import LaunchFailed
from interlock.connectors.noise import Noise
from interlock.connectors.own_words import for_agent, for_operator
from interlock.connectors.standing import Standing
from interlock.mediate.containment import contained
from interlock.mediate.json_text import JsonObject, object_at
from interlock.mediate.upstream import Broken, Exchange, Reply
from interlock.mediate.values import Effect

#: Who asks for a server that is being started waits until so long after its start began; the start itself goes on.
START_PATIENCE_MS_MAX: Final = 15_000


class Channel(greeting.Channel, Protocol):
    """A live way to one server."""

    ended: asyncio.Future[str]
    noise: Noise

    def denied(self) -> tuple[str, ...]:
        """What its policy refused the server last; nothing where it is not held by one."""

    def left(self) -> str:
        """The end of what the server wrote to its standard error, once it has ended."""

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
        self._starting: asyncio.Task[Broken | None] | None = None
        self._starting_since_ms = 0
        self._channel: Channel | None = None
        self._met = Met(Era.LEGACY)
        self._no_probe = connector.revision == "legacy"
        self._trouble: Broken | None = None
        self._denied: tuple[str, ...] = ()
        self._catalogue = Catalogue(now_ms)
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
        return messages.MODERN if self._modern else str(self._met.server.get("protocolVersion", messages.LEGACY))

    @property
    def instructions(self) -> str | None:
        """What the server says of its use."""
        return self._met.instructions

    @property
    def _modern(self) -> bool:
        return self._met.era is Era.MODERN

    def capabilities(self) -> JsonObject:
        """See `Upstream`."""
        return self._met.capabilities

    def standing(self) -> Standing:
        """How it stands with this server, for the operator."""
        live = self._channel is not None and not self._channel.ended.done()
        starting = self._starting is not None and not self._starting.done()
        state = "starting" if starting else "running" if live else "not running"
        faults = [self._trouble.reason] if self._trouble is not None else []
        faults += self._catalogue.faults()
        if self._channel is not None and self._channel.noise.lines:
            noise = self._channel.noise
            faults.append(f"{noise.lines} lines of its output are no messages, such as `{noise.sample}`")
        detail = self._trouble.detail if self._trouble is not None else None
        denied = self._channel.denied() if self._channel is not None else self._denied
        return Standing(self.connector, state, tuple(faults), detail, denied)

    async def connect(self) -> Broken | None:
        """See `Upstream`."""
        return await contained(self._connect(), lambda why: Broken(why, Effect.NOT_SENT))

    async def definitions(self, kind: str) -> list[JsonObject] | Broken:
        """See `Upstream`."""
        return await contained(self._definitions(kind), lambda why: Broken(why, Effect.UNKNOWN))

    async def request(self, method: str, params: JsonObject, exchange: Exchange) -> Reply:
        """See `Upstream`."""
        limit_ms = self._connector.timeout_ms
        return await contained(
            self._request(method, params, exchange, limit_ms), lambda why: Broken(why, exchange.passage.effect)
        )

    async def close(self) -> None:
        """End the server, if one runs or is being started."""
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait({self._starting})
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close("the gateway ends it")

    async def _definitions(self, kind: str) -> list[JsonObject] | Broken:
        unready = await self._connect()
        if unready is not None:
            return unready
        if _CAPABILITY[kind] not in self._met.capabilities:
            return []
        return await self._catalogue.all(kind, self._ask_page)

    async def _connect(self) -> Broken | None:
        """Have a server that has said what it is."""
        if self._channel is not None and not self._channel.ended.done():
            return None
        if self._starting is None or self._starting.done():
            refusal = await self._noted_end()
            if refusal is not None:
                return refusal
        return await self._started()

    async def _noted_end(self) -> Broken | None:
        """Count the end of the last channel and begin a start, or say why not yet."""
        if self._channel is not None:
            self._failed(self._channel.ended.result(), for_operator(self._channel.left(), self._connector))
            self._denied = self._channel.denied()
            self._channel = None
        refusal = self._breaker.refusal(self._now_ms())
        if refusal is not None:
            said = self._trouble.said if self._trouble is not None else None
            return Broken(f"`{self.connector}` is not asked now: {refusal}", Effect.NOT_SENT, said=said)
        self._starting_since_ms = self._now_ms()
        self._starting = asyncio.create_task(contained(self._start(), self._unstarted))
        return None

    async def _started(self) -> Broken | None:
        """Wait for the start that is under way, which goes on whoever waits."""
        assert self._starting is not None
        since_ms = self._now_ms() - self._starting_since_ms
        try:
            async with asyncio.timeout(max(0, START_PATIENCE_MS_MAX - since_ms) / 1000):
                return await asyncio.shield(self._starting)
        except TimeoutError:
            since_s = (self._now_ms() - self._starting_since_ms) // 1000
            words = f"`{self.connector}` is still starting, for {since_s} s now; ask again"
            return Broken(words, Effect.NOT_SENT)

    async def _start(self) -> Broken | None:
        self._catalogue.forget()
        met = await self._attempt()
        if isinstance(met, Fresh):
            self._no_probe = True
            met = await self._attempt()
        if isinstance(met, Met):
            self._met = met
            return None
        self._no_probe = self._connector.revision == "legacy"
        return met if isinstance(met, Broken) else self._unstarted(met.why)

    async def _attempt(self) -> Met | Fresh | Broken:
        """Start or reach it once, and greet it. What is not met is ended."""
        try:
            channel = await self._open(self._told)
        except LaunchFailed as error:
            return self._unstarted(str(error))
        greeted: Met | Unmet | Fresh = Unmet("the gateway gives it up")
        try:
            probing = not self._no_probe
            greeted = await contained(greeting.greet(channel, self._connector, probing=probing), Unmet)
        finally:
            if isinstance(greeted, Met):
                self._channel = channel
            else:
                await asyncio.shield(channel.close("it is not what it should be"))
                self._denied = channel.denied()
        if isinstance(greeted, Unmet):
            return self._unstarted(greeted.why, for_operator(channel.left(), self._connector))
        return greeted

    def _unstarted(self, why: str, detail: str | None = None) -> Broken:
        broken = self._failed(f"`{self.connector}` could not be started or reached: {why}", detail)
        return broken

    def _failed(self, why: str, detail: str | None = None) -> Broken:
        self._breaker.failed(why, self._now_ms())
        self._trouble = Broken(why, Effect.NOT_SENT, detail=detail, said=for_agent(detail))
        return self._trouble

    async def _ask_page(self, kind: str, cursor: str | None) -> Reply:
        params: JsonObject = {} if cursor is None else {"cursor": cursor}
        return await self._request(LIST_METHODS[kind], params, Exchange(), self._connector.start_timeout_ms)

    async def _request(self, method: str, params: JsonObject, exchange: Exchange, limit_ms: int) -> Reply:
        """Send it; once more where the server has forgotten the session and certainly did not work on it."""
        reply = await self._ready_and_send(method, params, exchange, limit_ms)
        if isinstance(reply, Lapsed) and (reply.processed is Processed.NO or exchange.action is None):
            reply = await self._ready_and_send(method, params, exchange, limit_ms)
        return Broken(reply.reason, exchange.passage.effect) if isinstance(reply, Lapsed) else reply

    async def _ready_and_send(
        self, method: str, params: JsonObject, exchange: Exchange, limit_ms: int
    ) -> Reply | Lapsed:
        unready = await self._connect()
        if unready is not None:
            return replace(unready, effect=exchange.passage.effect)
        return await self._send(method, params, exchange, limit_ms)

    async def _send(self, method: str, params: JsonObject, exchange: Exchange, limit_ms: int) -> Reply | Lapsed:
        channel = self._channel
        if channel is None:
            return Broken(f"`{self.connector}` is not there", exchange.passage.effect)
        if self._modern:
            params = {**params, "_meta": greeting.own_meta(self._connector, object_at(params, "_meta"))}
        reply = await channel.request(method, params, exchange, limit_ms)
        if isinstance(reply, Lapsed):
            await self._lapsed(channel, reply)
        elif not isinstance(reply, Broken):
            self._breaker.succeeded()
            self._trouble = None
        elif not channel.ended.done():
            self._failed(reply.reason, reply.detail)
            if self._breaker.refusal(self._now_ms()) is not None:
                await channel.close(reply.reason)
        return reply

    async def _lapsed(self, channel: Channel, lapsed: Lapsed) -> None:
        """The next request begins a new session. A lapse that may be something else counts as a failure."""
        if self._channel is not channel:
            return
        self._channel = None
        if lapsed.processed is Processed.UNKNOWN:
            self._failed(lapsed.reason)
        await channel.close(lapsed.reason)

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
