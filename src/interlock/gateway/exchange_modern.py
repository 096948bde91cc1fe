"""One POST of the stateless era (2026-07-28): form checked, served, answered. Closing the connection cancels it.

`subscriptions/listen` is a stream that acknowledges first, then carries what changed, each with the subscription's id.
"""

from __future__ import annotations

import asyncio
from typing import Final

from interlock.gateway.changes import Changes
from interlock.gateway.conversation import Conversation
from interlock.gateway.methods import Methods
from interlock.gateway.outlet import Backlogs, Outlet, Send, send_empty, send_json, stream
from interlock.gateway.serve import Incoming
from interlock.gateway.tasks import undeclared
from interlock.mcp.client_request import TASKS, declares
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

    async def take(self, incoming: Incoming, said: RpcMessage, send: Send, gone: asyncio.Task[None]) -> None:
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
            await self._listen(incoming, said, send, gone)
            return
        backlog = self._backlogs.of(incoming.principal.agent)
        outlet = Outlet(send, backlog, streams=incoming.accepts("text/event-stream"))
        work = asyncio.create_task(self._answer(incoming, said, outlet))
        gone.add_done_callback(lambda _: work.cancel())
        try:
            await outlet.run(work)
        except asyncio.CancelledError:
            if not gone.done():
                raise

    async def _answer(self, incoming: Incoming, said: RpcRequest, outlet: Outlet) -> tuple[int, JsonObject]:
        wants_log = _LEVEL in object_at(said.params, "_meta")

        def notify(told: JsonObject) -> None:
            if wants_log or told.get("method") != "notifications/message":
                outlet.put(told)

        conversation = Conversation(
            principal=incoming.principal,
            connector=incoming.connector,
            modern=True,
            headers=incoming.headers,
            session=None,
            revalidate=incoming.revalidate,
            notify=notify if outlet.streams else None,
        )
        return await self._methods.answered(conversation, said)

    async def _listen(self, incoming: Incoming, said: RpcRequest, send: Send, gone: asyncio.Task[None]) -> None:
        wanted = object_at(said.params, "notifications")
        if "taskIds" in wanted and not declares(said.params, TASKS):
            fault = undeclared()
            await send_json(send, fault.status, error(said.id, fault))
            return
        queue = self._changes.subscribe(incoming.principal.agent, incoming.connector, wanted, said.id)
        if queue is None:
            fault = RpcError(INVALID_REQUEST, "too many subscriptions of this agent are open")
            await send_json(send, 400, error(said.id, fault))
            return
        try:
            await stream(send, queue, gone)
        finally:
            self._changes.unsubscribe(queue)
