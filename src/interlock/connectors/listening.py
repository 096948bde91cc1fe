"""What one server was asked to tell of (resources, tasks, changed lists). It is asked again when it was started or
reached anew, for as long as somebody listens.

A server of the older era is asked by `resources/subscribe`, for each URI. One of the newer era tells on the stream of a
`subscriptions/listen`: another wish is another stream, and the one before it ends once the new one is acknowledged, so
that nothing is missed in between. What is not acknowledged was not taken. Bounded in URIs, tasks and time. Left out:
whether policy lets an agent ask (the gateway), and what was said while nobody heard it (`link.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from interlock.connectors import greeting
from interlock.connectors.channel import Channel
from interlock.connectors.configuration import Connector
from interlock.connectors.greeting import Era, Met
from interlock.mcp.client_request import TASKS
from interlock.mcp.revision import INVALID_REQUEST, META, METHOD_NOT_FOUND
from interlock.mediate.line import contained
from interlock.mediate.upstream import Broken, Exchange, Fault, Reply, Result
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject, object_at, text_at

SUBSCRIBE: Final = "resources/subscribe"
UNSUBSCRIBE: Final = "resources/unsubscribe"
RESOURCES: Final = frozenset({SUBSCRIBE, UNSUBSCRIBE})
ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
UPDATED: Final = "notifications/resources/updated"
TASK_TOLD: Final = "notifications/tasks"
#: Names our own request to the server, which is nothing to an agent.
SUBSCRIPTION: Final = f"{META}subscriptionId"
URIS_MAX: Final = 256
TASKS_MAX: Final = 256
ACKNOWLEDGED_S_MAX: Final = 4.0
ACKNOWLEDGED_KEPT_MAX: Final = 8
_TOO_MANY: Final = Fault(INVALID_REQUEST, "too many resources of this server are listened to")


class Listening:
    """See the module. `held` says whether somebody still listens to a resource."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._uris: set[str] = set()
        self._tasks: set[str] = set()
        self._stream: int | None = None
        self._turn = asyncio.Lock()
        self._acknowledged: dict[int, JsonObject] = {}
        self._came = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None
        self.held: Callable[[str], bool] = lambda _: True

    @property
    def is_wanted(self) -> bool:
        """Whether somebody listens to more than its lists."""
        return bool(self._tasks) or any(self.held(uri) for uri in self._uris)

    def missed(self) -> list[tuple[str, JsonObject]]:
        """What may have been told while nobody heard it, as notifications."""
        found: list[tuple[str, JsonObject]] = [(UPDATED, {"uri": uri}) for uri in sorted(self._uris)]
        found.extend((TASK_TOLD, {"taskId": task}) for task in sorted(self._tasks))
        return found

    async def begin(self, channel: Channel, met: Met, timeout_ms: int) -> None:
        """A server is there, or there again: it is asked for all that is wanted of it."""
        self._uris = {uri for uri in self._uris if self.held(uri)}
        self._acknowledged.clear()
        self._stream = None
        if met.era is Era.MODERN:
            wanted = _notifications(met, self._uris, self._tasks)
            self._stream = await channel.listen(self._params(wanted)) if wanted else None
        elif self._uris:
            asking = contained(self._subscribe_again(channel, timeout_ms), lambda _: None)
            self._asking = asyncio.create_task(asking)

    async def asked(self, channel: Channel, met: Met, params: JsonObject, method: str, exchange: Exchange) -> Reply:
        """`resources/subscribe` or `resources/unsubscribe` of the older era, at a server of the newer one."""
        gone = exchange.revalidate()
        if gone is not None:
            return Broken(gone, exchange.passage.effect)
        uri = text_at(params, "uri") or ""
        if method == SUBSCRIBE and self._is_full(uri):
            return _TOO_MANY
        exchange.passage.leaves()
        async with self._turn:
            uris = self._uris | {uri} if method == SUBSCRIBE else self._uris - {uri}
            granted = await self._changed(channel, met, uris, self._tasks)
            if granted is None:
                return Broken("the server did not acknowledge the subscription", Effect.UNKNOWN)
            if method == SUBSCRIBE and uri not in _texts(granted.get("resourceSubscriptions")):
                return Fault(METHOD_NOT_FOUND, "the server does not tell of this resource")
            self._uris = uris
        return Result({})

    def note(self, method: str, params: JsonObject, reply: object) -> Reply | None:
        """What became of a request about a resource; a fault where too much is asked for."""
        uri = text_at(params, "uri")
        if uri is None or not isinstance(reply, Result):
            return None
        if method == UNSUBSCRIBE:
            self._uris.discard(uri)
        elif self._is_full(uri):
            return _TOO_MANY
        else:
            self._uris.add(uri)
        return None

    def _is_full(self, uri: str) -> bool:
        return len(self._uris) >= URIS_MAX and uri not in self._uris

    async def follow(self, channel: Channel, met: Met, task: str) -> bool:
        """Have it tell how a task stands; whether it does."""
        if met.era is not Era.MODERN or len(self._tasks) >= TASKS_MAX:
            return False
        async with self._turn:
            granted = await self._changed(channel, met, self._uris, self._tasks | {task})
            if granted is None or task not in _texts(granted.get("taskIds")):
                return False
            self._tasks.add(task)
        return True

    async def leave(self, channel: Channel | None, met: Met, task: str) -> None:
        """It need not tell of a task any more."""
        async with self._turn:
            self._tasks.discard(task)
            if channel is not None:
                await self._changed(channel, met, self._uris, self._tasks)

    def acknowledged(self, params: JsonObject) -> None:
        """The server says what it took."""
        identity = object_at(params, "_meta").get(SUBSCRIPTION)
        if not isinstance(identity, int) or isinstance(identity, bool):
            return
        self._acknowledged[identity] = object_at(params, "notifications")
        while len(self._acknowledged) > ACKNOWLEDGED_KEPT_MAX:
            self._acknowledged.pop(next(iter(self._acknowledged)))
        self._came.set()

    async def _changed(self, channel: Channel, met: Met, uris: set[str], tasks: set[str]) -> JsonObject | None:
        """Another wish, in its turn; what was acknowledged of it, or none where nothing was in time."""
        wanted, fresh, granted = _notifications(met, uris, tasks), None, {}
        if wanted:
            fresh = await channel.listen(self._params(wanted))
            taken = await self._took(fresh)
            if taken is None:
                await channel.unlisten(fresh)
                return None
            granted = taken
        if self._stream is not None:
            await channel.unlisten(self._stream)
        self._stream = fresh
        return granted

    async def _took(self, identity: int) -> JsonObject | None:
        try:
            async with asyncio.timeout(ACKNOWLEDGED_S_MAX):
                while identity not in self._acknowledged:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            return None
        return self._acknowledged[identity]

    async def _subscribe_again(self, channel: Channel, timeout_ms: int) -> None:
        for uri in sorted(self._uris):
            reply = await channel.request(SUBSCRIBE, {"uri": uri}, Exchange(), timeout_ms)
            if isinstance(reply, Fault):
                self._uris.discard(uri)

    def _params(self, wanted: JsonObject) -> JsonObject:
        claims: JsonObject = {f"{META}clientCapabilities": {"extensions": {TASKS: {}}}} if "taskIds" in wanted else {}
        return {"_meta": greeting.own_meta(self._connector, claims), "notifications": wanted}


def _notifications(met: Met, uris: set[str], tasks: set[str]) -> JsonObject:
    """All that is wanted of a server of the newer era."""
    wanted: JsonObject = {
        f"{kind}ListChanged": True
        for kind in ("tools", "prompts", "resources")
        if object_at(met.capabilities, kind).get("listChanged") is True
    }
    if uris:
        wanted["resourceSubscriptions"] = sorted(uris)
    if tasks:
        wanted["taskIds"] = sorted(tasks)
    return wanted


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
