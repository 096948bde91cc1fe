"""What servers list, had in the background, so that one which is slow to start or to answer delays nobody's list for
long: what is known is listed at once, and the agent's clients are told when the rest has come.

Where several servers are at an endpoint, a list waits `LIST_AT_ONCE_S` for each of them, and only a moment for one that
was late before, until it has answered. A late server's entries are those of the last list that it gave this agent; of
one that never gave any there are none. An endpoint of one server waits for it: nobody else is delayed. Left out: calls,
which are decided on what a server lists now and on nothing else (`catalogue.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from interlock.gateway.limits import LIST_AT_ONCE_S, LIST_LATE_S, LIST_S_MAX, STARTING_LOOK_S, STARTING_S_MAX
from interlock.mediate.line import contained
from interlock.mediate.upstream import Broken, Upstream
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject

#: Agent, connector, and the kind of the list; `_READY` where the server is only made ready.
_Key = tuple[str, str, str]
_READY: Final = ""
_NOTIFICATIONS: Final = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
    "resourceTemplates": "notifications/resources/list_changed",
}
Listener = Callable[[str, str, str, JsonObject], None]


@dataclass(frozen=True, slots=True)
class AsLastKnown:
    """A late server's entries, and that they may be older than what it has now."""

    entries: list[JsonObject]
    why: str


Listed = list[JsonObject] | AsLastKnown | Broken


class KnownLists:
    """See the module. `listener` hears agent, connector, method and parameters, as of a server's own notification."""

    def __init__(self) -> None:
        self._asking: dict[_Key, asyncio.Task[list[JsonObject] | Broken]] = {}
        self._last: dict[_Key, list[JsonObject]] = {}
        self._late: dict[tuple[str, str], set[str]] = {}
        self._owed: set[_Key] = set()
        self._promised: set[tuple[str, str]] = set()
        self.listener: Listener | None = None

    async def ready(self, agent: str, upstream: Upstream) -> Broken | None:
        """Have a server ready to say what it can; why it is not, for one that is late or cannot be reached. Nobody is
        kept waiting for that: a client that greets the gateway is told what is up, and asks again for what it wants."""
        key = (agent, upstream.connector, _READY)
        found = await self._had(key, partial(_ready, upstream), alone=False)
        if found is None:
            self._promised.add(key[:2])
            return Broken(f"`{upstream.connector}` is still being started", Effect.NOT_SENT, starting=True)
        return found if isinstance(found, Broken) else None

    def promised(self, agent: str, connector: str) -> bool:
        """Whether an agent was told of a server, before that had said what it can, that it may have all kinds of
        lists."""
        return (agent, connector) in self._promised

    async def of(self, agent: str, upstream: Upstream, kind: str, *, alone: bool) -> Listed:
        """A server's entries of a kind, as an agent has them."""
        key = (agent, upstream.connector, kind)
        found = await self._had(key, partial(upstream.definitions, kind), alone=alone)
        if found is not None:
            return found
        self._owed.add(key)
        if key not in self._last:
            return Broken(f"it has not listed its {kind} yet, and is not waited for any longer", Effect.NOT_SENT)
        return AsLastKnown(self._last[key], f"it is slow to answer: its {kind} are those that it listed last")

    async def _had(
        self, key: _Key, ask: Callable[[], Awaitable[list[JsonObject] | Broken]], *, alone: bool
    ) -> list[JsonObject] | Broken | None:
        """What is asked for, if it comes in time; it is asked for on either way."""
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(_in_time(key[2], ask))
            asking.add_done_callback(lambda done: self._came(key, done))
        patience_s = LIST_S_MAX if alone else LIST_LATE_S if self._late.get(key[:2]) else LIST_AT_ONCE_S
        await asyncio.wait({asking}, timeout=patience_s)
        if asking.done() and not asking.cancelled():
            return asking.result()
        self._late.setdefault(key[:2], set()).add(key[2])
        return None

    def _came(self, key: _Key, asked: asyncio.Task[list[JsonObject] | Broken]) -> None:
        self._asking.pop(key, None)
        found = asked.result() if not asked.cancelled() else None
        if not isinstance(found, list):
            return
        agent, connector, kind = key
        self._late.get((agent, connector), set()).discard(kind)
        if kind == _READY:
            return
        last, self._last[key] = self._last.get(key), found
        if key in self._owed:
            self._owed.discard(key)
            if found != (last or []) and self.listener is not None:
                self.listener(agent, connector, _NOTIFICATIONS[kind], {})


async def _ready(upstream: Upstream) -> list[JsonObject] | Broken:
    return await upstream.connect() or []


async def _in_time(
    kind: str, ask: Callable[[], Awaitable[list[JsonObject] | Broken]]
) -> list[JsonObject] | Broken:
    """What a server says, within a limit; it is asked again as long as it is being started."""

    async def asked() -> list[JsonObject] | Broken:
        async with asyncio.timeout(STARTING_S_MAX):
            while True:
                found = await ask()
                if not isinstance(found, Broken) or not found.starting:
                    return found
                await asyncio.sleep(STARTING_LOOK_S)

    named = f"its {kind} cannot be listed" if kind != _READY else "it cannot be reached"
    return await contained(asked(), lambda why: Broken(f"{named}: {why}", Effect.NOT_SENT))
