"""How servers are asked to tell a listener (`subscriptions/listen`) of resources and tasks.

A resource is asked for by `resources/subscribe`, whatever its server speaks: decided and recorded as such. A task is
asked for by the listener's own handle. What a server says of it is taken as a hint to look: the listener is told what
`tasks/get` tells it, so that policy is asked again, and what a task ends with is held and recorded like any result.
Bounded in tasks; a server that hints often is looked at once at a time. Left out: who hears what (`changes.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock.gateway import tasks
from interlock.gateway.limits import SUBSCRIBED_S_MAX
from interlock.gateway.operation import Use
from interlock.mcp.message import RpcError
from interlock.mcp.revision import METHOD_NOT_FOUND
from interlock.mediate.line import contained
from interlock.vocabulary.json_text import JsonObject, object_at

if TYPE_CHECKING:
    from interlock.gateway.conversation import Conversation
    from interlock.gateway.methods import Methods

TASKS_MAX: Final = 64
#: A task: its connector, and its server's own id of it.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Telling:
    """See the module. `params` are those of the listener's request."""

    methods: Methods
    conversation: Conversation
    params: JsonObject

    async def subscribe(self, method: str, uri: str) -> None:
        """Have a server tell of a resource, or not any more. Raises `RpcError` where it does not."""
        upstream, own = self.methods.catalogue.resource(self.conversation, uri)
        await upstream.connect()
        if object_at(upstream.capabilities(), "resources").get("subscribe") is not True:
            raise RpcError(METHOD_NOT_FOUND, "the server does not tell of resources")
        await self.methods.used(self.conversation, upstream, Use("resource.read", own, {}, method), {})

    async def follow(self) -> dict[Key, str]:
        """Have servers tell of the tasks that the listener names, and which of them they do, with their handles."""
        asked = object_at(self.params, "notifications").get("taskIds")
        handles = [each for each in asked if isinstance(each, str)][:TASKS_MAX] if isinstance(asked, list) else []
        found: dict[Key, str] = {}
        for handle in handles:
            with contextlib.suppress(RpcError, TimeoutError):
                async with asyncio.timeout(SUBSCRIBED_S_MAX):
                    task = await tasks.task_of(self.methods, self.conversation, self._about(handle))
                    if await task.upstream.follow(task.kept.own):
                        found[task.upstream.connector, task.kept.own] = handle
        return found

    async def look(self, handle: str) -> JsonObject:
        """How a task stands. Raises `RpcError`."""
        return await tasks.get(self.methods, self.conversation, self._about(handle))

    async def leave(self, key: Key, handle: str) -> None:
        """A server need not tell of a task any more."""
        with contextlib.suppress(RpcError):
            task = await tasks.task_of(self.methods, self.conversation, self._about(handle))
            await task.upstream.leave(key[1])

    def _about(self, handle: str) -> JsonObject:
        return {"taskId": handle, "_meta": object_at(self.params, "_meta")}


class Followed:
    """The tasks of one listener. `say` hears how one stands."""

    def __init__(self, telling: Telling, handles: dict[Key, str], say: Callable[[JsonObject], object]) -> None:
        self.handles = handles
        self._telling = telling
        self._say = say
        self._looking: dict[Key, asyncio.Task[None]] = {}
        self._again: set[Key] = set()

    def told(self, key: Key) -> None:
        """Its server says that something of a task changed."""
        if key not in self.handles:
            return
        if key in self._looking:
            self._again.add(key)
            return
        self._looking[key] = asyncio.create_task(contained(self._looked(key), lambda _: None))

    def end(self) -> None:
        """Nobody listens any more."""
        for looking in self._looking.values():
            looking.cancel()

    async def _looked(self, key: Key) -> None:
        try:
            going_on = True
            while going_on:
                self._again.discard(key)
                try:
                    self._say(await self._telling.look(self.handles[key]))
                except RpcError:  # policy refuses it by now, or its server is gone: what is asked for is told
                    return
                going_on = key in self._again
        finally:
            self._looking.pop(key, None)
