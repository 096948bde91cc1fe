"""One POST of the stateless era (2026-07-28): form checked, served, answered. Closing the connection cancels it.

`subscriptions/listen` is a stream that acknowledges first, then carries what changed, each with the subscription's id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from types import TracebackType
from typing import Final

from interlock.gateway.changes import Changes
from interlock.gateway.conversation import Conversation
from interlock.gateway.methods import Methods
from interlock.gateway.outlet import Backlogs, Outlet, Send, send_empty, send_json, stream
from interlock.gateway.serve import Incoming
from interlock.gateway.tasks import undeclared
from interlock.gateway.telling import Telling
from interlock.mcp.client_request import TASKS, declares, said_of_client
from interlock.mcp.message import RpcError, RpcMessage, RpcRequest, error
from interlock.mcp.request_headers import check_modern
from interlock.mcp.revision import INVALID_REQUEST, META
from interlock.vocabulary.json_text import JsonObject, object_at

SUBSCRIPTION_ID: Final = f"{META}subscriptionId"
_LEVEL: Final = f"{META}logLevel"


class ModernEra:
    """See the module."""

    def __init__(self, methods: Methods, changes: Changes, backlogs: Backlogs) -> None:
        self._methods = methods
        self._backlogs = backlogs
        self._changes = changes

    async def take(self, incoming: Incoming, said: RpcMessage, send: Send) -> None:
        """Serve one message of this era."""
        if not isinstance(said, RpcRequest):
            await send_empty(send, 202)
            return
        try:
            check_modern(incoming.headers, said)
        except RpcError as fault:
            await send_json(send, fault.status, error(said.id, fault))
            return
        if said.method == "subscriptions/listen":
            await self._listen(incoming, said, send)
            return
        made, connection = partial(self._backlogs.of, incoming.principal.agent), incoming.connection
        outlet = Outlet(send, made, streams=incoming.head.streams, stalled=connection.abort)
        with Until(connection.gone):
            await outlet.run(self._answer(incoming, said, outlet))

    def _answer(
        self, incoming: Incoming, said: RpcRequest, outlet: Outlet
    ) -> Coroutine[object, object, tuple[int, JsonObject]]:
        wants_log = _LEVEL in object_at(said.params, "_meta")

        def notify(told: JsonObject) -> None:
            if wants_log or told.get("method") != "notifications/message":
                outlet.put(told)

        conversation = self._conversation(incoming, said, notify if outlet.streams else None)
        return self._methods.answered(conversation, said)

    def _conversation(
        self, incoming: Incoming, said: RpcRequest, notify: Callable[[JsonObject], None] | None
    ) -> Conversation:
        return Conversation(
            principal=incoming.principal,
            connector=incoming.endpoint.connector,
            brief=incoming.endpoint.brief,
            modern=True,
            headers=incoming.headers,
            session=None,
            revalidate=incoming.revalidate,
            notify=notify,
            capabilities=said_of_client(said.params),
        )

    async def _listen(self, incoming: Incoming, said: RpcRequest, send: Send) -> None:
        wanted = object_at(said.params, "notifications")
        if "taskIds" in wanted and not declares(said.params, TASKS):
            fault = undeclared()
            await send_json(send, fault.status, error(said.id, fault))
            return
        agent, connector = incoming.principal.agent, incoming.endpoint.connector
        conversation = self._conversation(incoming, said, None)
        backlog = self._backlogs.of(agent)
        try:
            asking = Telling(self._methods, conversation, said.params)
            subscription = await self._changes.subscribe(agent, connector, said, backlog, asking)
            if subscription is None:
                fault = RpcError(INVALID_REQUEST, "too many subscriptions of this agent are open")
                await send_json(send, 400, error(said.id, fault))
                return
            try:
                await stream(send, backlog, incoming.connection.gone)
            finally:
                self._changes.unsubscribe(subscription)
        finally:
            backlog.close()


class Until:
    """Cancels the task that entered it once a future is done. That is all: the cancelling ends where it is left."""

    def __init__(self, done: asyncio.Future[None]) -> None:
        self._done = done
        self._task: asyncio.Task[object] | None = None
        self._cancelled = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._done.add_done_callback(self._cancel)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        self._done.remove_done_callback(self._cancel)
        task, self._task = self._task, None
        if kind is not asyncio.CancelledError or not self._cancelled or task is None:
            return False
        return task.uncancel() == 0

    def _cancel(self, _: asyncio.Future[None]) -> None:
        if self._task is not None:
            self._cancelled = True
            self._task.cancel()
