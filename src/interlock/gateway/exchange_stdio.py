"""One client over standard input and output, in either era: a line for each message (both revisions, "stdio").

The same methods as over HTTP, so the same line, policy and record. The client is whoever started this process; its
session is the process. It cancels by `notifications/cancelled` in both eras. Bounded: one line, the requests that run,
and what waits for a client that does not read, which ends it. A batch of 2025-03-26 is answered in one line.
`subscriptions/listen` is a request that goes on until it is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import structs

from interlock.gateway.batch import begun, check, together
from interlock.gateway.capabilities import initialize
from interlock.gateway.changes import Changes
from interlock.gateway.conversation import Conversation, Endpoint
from interlock.gateway.exchange_legacy import LegacyEra, Session, Sessions, Work
from interlock.gateway.limits import REQUESTS_PER_SESSION_MAX, STREAM_BYTES_MAX, STREAM_MESSAGES_MAX
from interlock.gateway.methods import Methods
from interlock.gateway.telling import Telling
from interlock.mcp.client_request import said_of_client
from interlock.mcp.message import RpcError, RpcNotification, RpcRequest, RpcResponse, error, id_in, read, result
from interlock.mcp.request_headers import check_meta, says_modern
from interlock.mcp.revision import INVALID_REQUEST, META, PARSE_ERROR
from interlock.mediate.principal import Principal
from interlock.vocabulary.json_text import JsonObject, MalformedJson, encode, object_at, parse

_LEVEL: Final = f"{META}logLevel"


class Outgoing:
    """Lines that wait for the client to read them, bounded. `overrun` is done when an answer found no room."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._bytes = 0
        self.overrun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def put(self, message: JsonObject | list[JsonObject]) -> bool:
        """Say something; false when it does not fit, and then it is lost."""
        line = encode(message) + b"\n"
        if self._waiting.qsize() >= STREAM_MESSAGES_MAX or self._bytes + len(line) > STREAM_BYTES_MAX:
            return False
        self._bytes += len(line)
        self._waiting.put_nowait(line)
        return True

    def answer(self, message: JsonObject | list[JsonObject]) -> None:
        """Say what the client waits for. A client that has not read so much does not read."""
        if not self.put(message) and not self.overrun.done():
            self.overrun.set_result(None)

    def end(self) -> None:
        """Nothing comes after what waits."""
        self._waiting.put_nowait(None)

    async def get(self) -> bytes | None:
        """The next line; none at the end."""
        line = await self._waiting.get()
        self._bytes -= len(line or b"")
        return line


class StdioExchange:
    """See the module. `connector` is the one server that is served, under its own names."""

    def __init__(
        self,
        methods: Methods,
        sessions: Sessions,
        changes: Changes,
        principal: Principal,
        connector: str,
        revalidate: Callable[[], str | None],
    ) -> None:
        self._methods = methods
        self._sessions = sessions
        self._changes = changes
        self._era = LegacyEra(methods, sessions)
        self._principal = principal
        self._connector = connector
        self._revalidate = revalidate
        self._session: Session | None = None
        self._running: dict[int | str, Work] = {}
        self._batches: set[asyncio.Task[list[JsonObject]]] = set()
        self.outgoing = Outgoing()

    async def take(self, line: bytes) -> None:
        """Serve one line."""
        try:
            value = parse(line)
            if isinstance(value, list):
                self._take_batch(value)
                return
            said = read(value)
        except MalformedJson as fault:
            self.outgoing.answer(error(id_in(line), RpcError(PARSE_ERROR, str(fault))))
            return
        except RpcError as fault:
            self.outgoing.answer(error(None, fault))
            return
        if not isinstance(said, RpcRequest):
            self._hear(said)
            return
        try:
            if said.method == "initialize":
                await self._initialize(said)
            else:
                self._begin(said).add_done_callback(self._answer)
        except RpcError as fault:
            self.outgoing.answer(error(said.id, fault))

    async def ended(self, within_s: float) -> None:
        """End, and wait until what was under way has said in the record what became of it."""
        running = set(self._running.values())
        self.end()
        if running:
            await asyncio.wait(running, timeout=within_s)

    def end(self) -> None:
        """The client is gone, and all that is under way for it."""
        for work in tuple(self._running.values()):
            work.cancel()
        if self._session is not None:
            self._sessions.end(self._session)
        self.outgoing.end()

    def _hear(self, said: RpcNotification | RpcResponse) -> None:
        if isinstance(said, RpcNotification) and said.method == "notifications/cancelled":
            self._cancel(said.params.get("requestId"))
        elif self._session is not None:
            self._era.hear(self._session, said)

    def _take_batch(self, values: list[object]) -> None:
        """Raises `RpcError` where no batch is taken."""
        check(values, self._session.version if self._session is not None else "")
        answers = begun(values, begin=self._begin, hear=self._hear)
        if answers:
            work = asyncio.create_task(together(answers))
            self._batches.add(work)
            work.add_done_callback(self._answer_batch)

    def _answer_batch(self, work: asyncio.Task[list[JsonObject]]) -> None:
        self._batches.discard(work)
        if not work.cancelled() and work.exception() is None and work.result():
            self.outgoing.answer(work.result())

    def _begin(self, said: RpcRequest) -> Work:
        """Begin to work on a request. Raises `RpcError`."""
        modern = says_modern(said.params)
        if modern:
            check_meta(said)
        elif self._session is None:
            raise RpcError(INVALID_REQUEST, "begin with `initialize`, or send `_meta` of 2026-07-28")
        if said.id in self._running:
            raise RpcError(INVALID_REQUEST, "a request with this id is running already")
        if len(self._running) >= REQUESTS_PER_SESSION_MAX:
            raise RpcError(INVALID_REQUEST, "too many requests are running")
        conversation = self._modern(said) if modern else self._legacy()
        work = asyncio.create_task(self._work(conversation, said))
        self._running[said.id] = work
        work.add_done_callback(lambda _: self._running.pop(said.id, None))
        return work

    async def _work(self, conversation: Conversation, said: RpcRequest) -> tuple[int, JsonObject]:
        if conversation.modern and said.method == "subscriptions/listen":
            return await self._listen(conversation, said)
        if conversation.modern or self._session is None:
            return await self._methods.answered(conversation, said)
        return await self._era.work(conversation, self._session, said)

    async def _listen(self, conversation: Conversation, said: RpcRequest) -> tuple[int, JsonObject]:
        """Changes, for as long as the request goes on."""
        agent, asking = self._principal.agent, Telling(self._methods, conversation, said.params)
        subscription = await self._changes.subscribe(agent, self._connector, said, self.outgoing, asking)
        if subscription is None:
            return 400, error(said.id, RpcError(INVALID_REQUEST, "too many subscriptions are open"))
        try:
            until_cancelled: asyncio.Future[tuple[int, JsonObject]] = asyncio.get_running_loop().create_future()
            return await until_cancelled
        finally:
            self._changes.unsubscribe(subscription)

    def _answer(self, work: Work) -> None:
        if not work.cancelled() and work.exception() is None:  # what was cancelled gets no answer
            self.outgoing.answer(work.result()[1])

    def _cancel(self, identity: object) -> None:
        if isinstance(identity, int | str) and not isinstance(identity, bool) and identity in self._running:
            self._running[identity].cancel()

    async def _initialize(self, said: RpcRequest) -> None:
        if self._session is not None:
            raise RpcError(INVALID_REQUEST, "the session is initialized already")
        answer = await initialize(self._methods, self._conversation(modern=False), said.params)
        capabilities = object_at(said.params, "capabilities")
        version = str(answer["protocolVersion"])
        self._session = self._sessions.make(self._principal, Endpoint(self._connector), version, capabilities)
        self._session.voice = self.outgoing
        self.outgoing.answer(result(said.id, answer))

    def _legacy(self) -> Conversation:
        assert self._session is not None
        ask, notify = self._era.ways(self._session, self.outgoing)
        talk = self._conversation(modern=False, ask=ask, notify=notify)
        return structs.replace(talk, capabilities=self._session.capabilities, pages=self._session.pages)

    def _modern(self, said: RpcRequest) -> Conversation:
        wants_log = _LEVEL in object_at(said.params, "_meta")

        def notify(told: JsonObject) -> None:
            if wants_log or told.get("method") != "notifications/message":
                self.outgoing.put(told)

        talk = self._conversation(modern=True, notify=notify)
        return structs.replace(talk, capabilities=said_of_client(said.params))

    def _conversation(
        self,
        *,
        modern: bool,
        ask: Callable[[JsonObject], Awaitable[JsonObject]] | None = None,
        notify: Callable[[JsonObject], None] | None = None,
    ) -> Conversation:
        return Conversation(
            principal=self._principal,
            connector=self._connector,
            modern=modern,
            headers=None,
            session=self._session.id if self._session is not None else None,
            revalidate=self._revalidate,
            notify=notify,
            ask=ask,
        )
