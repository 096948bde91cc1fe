"""One server as one agent reaches it, whatever carries it: started when needed, asked what it is, started again
after a failure or when it has forgotten the session.

Implements `mediate.upstream.Upstream`. One link's trouble stays its own: every way in is `contained`, every wait is
bounded and a breaker stops hammering: failures in a row open the circuit for a while that doubles, one success closes
it. Left out: how bytes travel (`stdio.py`, `http.py`), what may be asked (the gateway).

Its lists are kept until the server says they changed or for a while. An entry in a form that some client would not take
is left out by itself, and told (`mcp/definition.py`). A list that failed is not asked for again at once, so that a
server without a usable list of one kind delays nobody and keeps its other kinds.

While somebody listens to what a server tells, it is had again after its end without being asked, and who listens is
told what may have changed meanwhile (`listening.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from msgspec import structs

from interlock.connectors import greeting
from interlock.connectors.channel import Channel, Missed, Open
from interlock.connectors.configuration import Connector
from interlock.connectors.greeting import Era, Fresh, Met, Unmet
from interlock.connectors.kind import kind_of
from interlock.connectors.lapse import Lapsed, Processed
from interlock.connectors.launch import LaunchFailed
from interlock.connectors.listening import ACKNOWLEDGED, RESOURCES, SUBSCRIPTION, Listening
from interlock.connectors.lists import CHANGED, LIST_METHODS, AskPage, asked, words_of
from interlock.connectors.own_words import for_agent, for_operator
from interlock.connectors.standing import Standing
from interlock.mcp import server_message as messages
from interlock.mcp.definition import LeftOut, usable
from interlock.mcp.revision import LEGACY, MODERN
from interlock.mediate.line import contained
from interlock.mediate.upstream import STATEMENT, Broken, Exchange, Fault, Held, Reply, Result
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject, object_at

#: What is listened to keeps a server running. So long it is waited before it is started again, and at most.
AGAIN_S: Final = 1.0
AGAIN_S_MAX: Final = 60.0
KEPT_MS: Final = 60_000
#: Entries that are not listed, as the operator is told of them.
LEFT_OUT_SHOWN_MAX: Final = 20
FAILURES_MAX: Final = 3
PAUSE_MS_FIRST: Final = 500
PAUSE_MS_MAX: Final = 60_000
#: Who asks for a server that is being started waits until so long after its start began; the start itself goes on.
START_PATIENCE_MS_MAX: Final = 15_000


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
        self._lists = Lists(now_ms)
        self._keeping: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self.listening = Listening(connector)
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
        return MODERN if self.modern else str(self._met.server.get("protocolVersion", LEGACY[0]))

    @property
    def instructions(self) -> str | None:
        """What the server says of its use."""
        return self._met.instructions

    @property
    def modern(self) -> bool:
        """See `Upstream`."""
        return self._met.era is Era.MODERN

    def capabilities(self) -> JsonObject:
        """See `Upstream`."""
        return self._met.capabilities

    def standing(self) -> Standing:
        """How it stands with this server, for the operator."""
        live = self._channel is not None and not self._channel.ended.done()
        starting = self._starting is not None and not self._starting.done()
        state = "starting" if starting else "running" if live else "not running"
        trouble = self._trouble
        if trouble is None and not starting and self._channel is not None and not live:
            left = for_operator(self._channel.left(), self._connector)
            trouble = Broken(self._channel.ended.result(), Effect.NOT_SENT, detail=left)
        faults = [trouble.reason] if trouble is not None else []
        faults += self._lists.faults()
        if self._channel is not None and self._channel.noise.lines:
            noise = self._channel.noise
            faults.append(f"{noise.lines} lines of its output are no messages, such as `{noise.sample}`")
        detail = trouble.detail if trouble is not None else None
        denied = self._channel.denied() if self._channel is not None else self._denied
        return Standing(self.connector, state, tuple(faults), detail, denied, self._lists.left_out())

    def runs(self) -> bool:
        """Whether there is a server to be ended."""
        return self.standing().state != "not running"

    async def connect(self) -> Broken | None:
        """See `Upstream`."""
        return await contained(self._connect(), lambda why: Broken(why, Effect.NOT_SENT))

    async def definitions(self, kind: str) -> list[JsonObject] | Broken:
        """See `Upstream`."""
        kept = self._lists.kept(kind) if self._channel is not None and not self._channel.ended.done() else None
        if kept is not None:
            return kept
        return await contained(self._definitions(kind), lambda why: Broken(why, Effect.UNKNOWN))

    def held(self, kind: str) -> Mapping[str, Held]:
        """See `Upstream`: it tells what the server tells, and holds nothing."""
        return {}

    def request(self, method: str, params: JsonObject, exchange: Exchange) -> Awaitable[Reply]:
        """See `Upstream`."""
        work = self._request(method, params, exchange, self._connector.timeout_ms)
        return contained(work, lambda why: Broken(why, exchange.passage.effect))

    @property
    def observes(self) -> bool:
        """See `Upstream`."""
        return self._connector.server.observes

    async def observe(self, name: str, arguments: JsonObject) -> JsonObject | Broken:
        """See `Upstream`."""
        params: JsonObject = {"name": name, "arguments": arguments}
        reply = await self.request(STATEMENT, params, Exchange())
        if isinstance(reply, Fault):
            return Broken(f"it answers with error {reply.code}", Effect.NOT_SENT)
        return reply.value if isinstance(reply, Result) else reply

    async def follow(self, task: str) -> bool:
        """See `Upstream`."""
        return await contained(self._follow(task), lambda _: False)

    async def leave(self, task: str) -> None:
        """See `Upstream`."""
        await contained(self.listening.leave(self._channel, self._met, task), lambda _: None)

    async def close(self) -> None:
        """End the server, if one runs or is being started."""
        for task in (self._keeping, self._looking):
            if task is not None:
                task.cancel()
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
        return await self._lists.all(kind, self._ask_page)

    async def _follow(self, task: str) -> bool:
        if await self._connect() is not None or self._channel is None:
            return False
        return await self.listening.follow(self._channel, self._met, task)

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
            return Broken(f"`{self.connector}` is unavailable: {refusal}", Effect.NOT_SENT, said=said)
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
            words = f"`{self.connector}` has been starting for {since_s} s; ask again"
            return Broken(words, Effect.NOT_SENT, starting=True)

    async def _start(self) -> Broken | None:
        before = self._lists.forget()
        met = await self._attempt()
        if isinstance(met, Fresh):
            self._no_probe = True
            met = await self._attempt()
        if isinstance(met, Met):
            self._met = met
            if self._channel is not None:
                self._channel.ended.add_done_callback(self._keep)
                await self.listening.begin(self._channel, met, self._connector.timeout_ms)
            self._look_again(before)
            return None
        self._no_probe = self._connector.revision == "legacy"
        return met if isinstance(met, Broken) else self._unstarted(met.why)

    def _look_again(self, before: dict[str, list[JsonObject]]) -> None:
        """The server was not heard for a while: who listens is told of each list that is another one by now, and that
        what it follows may have changed."""
        if self.listener is not None and (before or self.listening.is_wanted):
            self._looking = asyncio.create_task(contained(self._looked_again(before, self.listener), lambda _: None))

    async def _looked_again(self, before: dict[str, list[JsonObject]], tell: Callable[[str, JsonObject], None]) -> None:
        for method, kinds in CHANGED.items():
            now = [(kind, await self.definitions(kind)) for kind in kinds if kind in before]
            if any(isinstance(found, list) and found != before[kind] for kind, found in now):
                tell(method, {})
        for method, params in self.listening.missed():
            tell(method, params)

    def _keep(self, _: object = None) -> None:
        """The server is gone. Where somebody listens to what it tells of, it is had again without being asked."""
        if self.listening.is_wanted and (self._keeping is None or self._keeping.done()):
            self._keeping = asyncio.create_task(contained(self._had_again(), lambda _: None))

    async def _had_again(self) -> None:
        pause_s = AGAIN_S
        while self.listening.is_wanted:
            await asyncio.sleep(pause_s)
            if await self.connect() is None:
                return
            pause_s = min(2 * pause_s, AGAIN_S_MAX)

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
        how = kind_of(self._connector).met_by
        return self._failed(f"`{self.connector}` could not be {how}: {why}", detail)

    def _failed(self, why: str, detail: str | None = None) -> Broken:
        self._breaker.failed(why, self._now_ms())
        self._trouble = Broken(why, Effect.NOT_SENT, detail=detail, said=for_agent(detail))
        return self._trouble

    async def _ask_page(self, kind: str, cursor: str | None) -> Reply:
        params: JsonObject = {} if cursor is None else {"cursor": cursor}
        return await self._request(LIST_METHODS[kind], params, Exchange(), self._connector.start_timeout_ms)

    async def _request(self, method: str, params: JsonObject, exchange: Exchange, limit_ms: int) -> Reply:
        """Send it; once more where the server has forgotten the session and certainly did not work on it."""
        channel = self._channel
        if channel is not None and not channel.ended.done():
            reply = await self._send(channel, method, params, exchange, limit_ms)
        else:
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
        if self._channel is None:
            return Broken(f"`{self.connector}` is unavailable", exchange.passage.effect)
        return await self._send(self._channel, method, params, exchange, limit_ms)

    async def _send(
        self, channel: Channel, method: str, params: JsonObject, exchange: Exchange, limit_ms: int
    ) -> Reply | Lapsed:
        if self._met.era is Era.MODERN:
            meta = greeting.own_meta(self._connector, object_at(params, "_meta"), exchange.claims)
            params = {**params, "_meta": meta}
            if exchange.ask is not None:
                exchange = structs.replace(exchange, ask=None)  # it asks by its results alone
        if method in RESOURCES and self.modern:
            reply: Reply | Lapsed = await self.listening.asked(channel, self._met, params, method, exchange)
        else:
            reply = await channel.request(method, params, exchange, limit_ms)
        if method in RESOURCES:
            reply = self.listening.note(method, params, reply) or reply
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
        self._keep()

    def _told(self, told: messages.Told | Missed) -> None:
        if isinstance(told, Missed):
            self._look_again(self._lists.forget())
            return
        if told.method == ACKNOWLEDGED:
            self.listening.acknowledged(told.params)
            return
        self._lists.told(told.method)
        if self.listener is not None:
            meta = {key: value for key, value in object_at(told.params, "_meta").items() if key != SUBSCRIPTION}
            self.listener(told.method, {**told.params, "_meta": meta} if "_meta" in told.params else told.params)


_CAPABILITY: Final = {
    "tools": "tools",
    "resources": "resources",
    "resourceTemplates": "resources",
    "prompts": "prompts",
}


class Lists:
    """The lists of one server."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._kept: dict[str, tuple[int, list[JsonObject]]] = {}
        self._last: dict[str, list[JsonObject]] = {}
        self._turns = {kind: asyncio.Lock() for kind in LIST_METHODS}
        self._breakers = {kind: Breaker(failures_max=1) for kind in LIST_METHODS}
        self._left_out: dict[str, list[LeftOut]] = {}

    def forget(self) -> dict[str, list[JsonObject]]:
        """The server is a new one, or was not heard for a while. What it listed last, by kind."""
        self._kept.clear()
        self._left_out.clear()
        for breaker in self._breakers.values():
            breaker.succeeded()
        return dict(self._last)

    def told(self, method: str) -> None:
        """A notification came: what it says changed is asked again next time."""
        for kind in CHANGED.get(method, ()):
            self._kept.pop(kind, None)

    def faults(self) -> list[str]:
        """What is wrong with the lists that could not be had last time."""
        return [breaker.why for breaker in self._breakers.values() if breaker.why is not None]

    def left_out(self) -> tuple[str, ...]:
        """What the server lists and nobody is shown, in words for the operator."""
        words = [words_of(kind, each) for kind, entries in self._left_out.items() for each in entries]
        more = len(words) - LEFT_OUT_SHOWN_MAX
        return (*words[:LEFT_OUT_SHOWN_MAX], *((f"{more} more are not listed",) if more > 0 else ()))

    def kept(self, kind: str) -> list[JsonObject] | None:
        """Every entry of a kind, if it is known."""
        kept = self._kept.get(kind)
        return kept[1] if kept is not None and self._now_ms() - kept[0] < KEPT_MS else None

    async def all(self, kind: str, ask: AskPage) -> list[JsonObject] | Broken:
        """Every entry of a kind that all clients take; callers that come at once share one asking."""
        async with self._turns[kind]:
            kept = self.kept(kind)
            if kept is not None:
                return kept
            breaker = self._breakers[kind]
            refusal = breaker.refusal(self._now_ms())
            if refusal is not None:
                return Broken(f"its list of {kind} is unavailable: {refusal}", Effect.NOT_SENT)
            found = await contained(asked(kind, ask), lambda why: Broken(why, Effect.UNKNOWN))
            if isinstance(found, Broken):
                breaker.failed(found.reason, self._now_ms())
            else:
                breaker.succeeded()
                found, self._left_out[kind] = usable(kind, found)
                self._kept[kind] = (self._now_ms(), found)
                self._last[kind] = found
            return found


class Breaker:
    """The circuit of one upstream. Times are milliseconds of one monotonic clock, given by the caller."""

    def __init__(self, failures_max: int = FAILURES_MAX) -> None:
        self._failures_max = failures_max
        self._failures = 0
        self._open_until_ms = 0
        self._why = ""

    def refusal(self, now_ms: int) -> str | None:
        """Why nothing is tried now, or none."""
        if now_ms >= self._open_until_ms:
            return None
        wait_s = (self._open_until_ms - now_ms + 999) // 1000
        times = "once" if self._failures == 1 else f"{self._failures} times in a row"
        return f"it failed {times} and is tried again in {wait_s} s ({self._why})"

    @property
    def why(self) -> str | None:
        """Why it failed last, if it has not worked since."""
        return self._why if self._failures else None

    def failed(self, why: str, now_ms: int) -> None:
        """One more failure."""
        self._failures += 1
        self._why = why
        if self._failures >= self._failures_max:
            doubled = PAUSE_MS_FIRST << min(self._failures - self._failures_max, 10)
            self._open_until_ms = now_ms + min(doubled, PAUSE_MS_MAX)

    def succeeded(self) -> None:
        """It works: forget the failures."""
        self._failures = 0
        self._open_until_ms = 0
