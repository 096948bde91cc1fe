"""A link whose calls go to servers of their own: one for each session of a client, or one for each call (`per` in the
connector's file).

The server of the link itself lists what there is, keeps subscriptions, and never sees the arguments of a call. What is
decided is sent to another process, started for it in a fresh home and ended with it: with its session, or as soon as it
is answered, given up or broken. So what one piece of work left in a server's memory or home reaches no other. Left out:
how a server is started and ended (`link.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from interlock.connectors.channel import Open
from interlock.connectors.configuration import Connector
from interlock.connectors.link import Link
from interlock.connectors.standing import Standing
from interlock.mediate.line import contained
from interlock.mediate.upstream import Broken, Exchange, Reply, Result
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject

#: What carries somebody's arguments. A subscription or a level is the link's own.
_APART: Final = frozenset({"tools/call", "prompts/get", "resources/read", "completion/complete"})
#: Servers of one agent for sessions of its clients, by connector.
SESSIONS_MAX: Final = 64
IDLE_S_MAX: Final = 1_800.0
LOOK_S: Final = 0.1


class ApartLink(Link):
    """See the module."""

    def __init__(self, connector: Connector, open_channel: Open, *, now_ms: Callable[[], int]) -> None:
        super().__init__(connector, open_channel, now_ms=now_ms)
        self._turns = asyncio.Semaphore(connector.concurrency)
        self._of_sessions: dict[str, _Own] = {}
        self._last: Standing | None = None
        self._running: set[Link] = set()
        self._endings: set[asyncio.Task[None]] = set()

    def request(self, method: str, params: JsonObject, exchange: Exchange) -> Awaitable[Reply]:
        """See `Upstream`."""
        if exchange.action is None or method not in _APART:
            return super().request(method, params, exchange)
        work = self._sent_apart(method, params, exchange)
        return contained(work, lambda why: Broken(why, exchange.passage.effect))

    def session_ended(self, session: str) -> None:
        """A client's session is over: its server ends."""
        own = self._of_sessions.pop(session, None)
        if own is not None:
            self._end(own.link)

    def runs(self) -> bool:
        """See `Link`."""
        return bool(self._of_sessions or self._running) or super().runs()

    def standing(self) -> Standing:
        """See `Link`: what was wrong with the last server of a session or call that something was wrong with, too."""
        standing, last = super().standing(), self._last
        if last is None:
            return standing
        return replace(standing, faults=(*standing.faults, *last.faults), denied=standing.denied or last.denied)

    async def close(self) -> None:
        """See `Link`."""
        links, self._of_sessions = [*(each.link for each in self._of_sessions.values()), *self._running], {}
        await asyncio.gather(*(link.close() for link in links), *self._endings, super().close(), return_exceptions=True)

    async def _sent_apart(self, method: str, params: JsonObject, exchange: Exchange) -> Reply:
        if self._connector.per == "session" and exchange.session is not None:
            return await self._in_session(exchange.session, method, params, exchange)
        async with self._turns:
            gone = exchange.revalidate()
            if gone is not None:
                return Broken(gone, Effect.NOT_SENT)
            link = self._fresh()
            self._running.add(link)
            try:
                reply = await self._asked(link, method, params, exchange)
                if isinstance(reply, Result) and reply.value.get("resultType") == "task":
                    return Broken("the server makes a task of the call, and ends with the call (`per`)", Effect.UNKNOWN)
                return reply
            finally:
                self._running.discard(link)
                await asyncio.shield(link.close())

    async def _in_session(self, session: str, method: str, params: JsonObject, exchange: Exchange) -> Reply:
        own = self._of_sessions.get(session)
        if own is None:
            if len(self._of_sessions) >= SESSIONS_MAX:
                words = f"`{self.connector}` runs for {SESSIONS_MAX} sessions of this agent already"
                return Broken(words, Effect.NOT_SENT)
            own = self._of_sessions[session] = _Own(self._fresh())
        own.calls += 1
        try:
            return await self._asked(own.link, method, params, exchange)
        finally:
            own.calls -= 1
            own.uses += 1
            asyncio.get_running_loop().call_later(IDLE_S_MAX, self._drop_idle, session, own.link, own.uses)

    def _drop_idle(self, session: str, link: Link, uses: int) -> None:
        """A session that its client left without a word keeps no process; should it come back, it gets a fresh one."""
        own = self._of_sessions.get(session)
        if own is not None and own.link is link and own.uses == uses and own.calls == 0:
            self.session_ended(session)

    def _fresh(self) -> Link:
        """A server of its own. What the link's own server speaks is known, and not asked again."""
        revision = self._connector.revision
        if revision == "auto" and self.capabilities() and not self.modern:
            revision = "legacy"
        return Link(replace(self._connector, revision=revision), self._open, now_ms=self._now_ms)

    def _end(self, link: Link) -> None:
        task = asyncio.create_task(link.close())
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _asked(self, link: Link, method: str, params: JsonObject, exchange: Exchange) -> Reply:
        """Asked once it runs, however long its start may take: nobody but this caller waits for it."""
        unready = await link.connect()
        while unready is not None and link.standing().state == "starting":
            await asyncio.sleep(LOOK_S)
            unready = await link.connect()
        reply = unready if unready is not None else await link.request(method, params, exchange)
        standing = link.standing()
        if standing.faults or standing.denied:
            self._last = standing
        return reply


@dataclass(slots=True)
class _Own:
    """The server of one session: its calls that are under way, and how many there were."""

    link: Link
    calls: int = 0
    uses: int = 0
