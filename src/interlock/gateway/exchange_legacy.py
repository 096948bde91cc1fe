"""The stateful era (2025-03-26, 2025-06-18, 2025-11-25): its sessions, and POST, GET and DELETE in them.

A session is made by `initialize`, named by `Mcp-Session-Id`, ended by DELETE. It belongs to its maker at one endpoint,
by any token that is good in the same place: for anybody else, and elsewhere, it does not exist (404). Its one GET
stream takes what is not part of an answer. A client that goes away does not cancel: only `notifications/cancelled`,
DELETE or the end of its session does. It may come back to the stream that it lost, by a GET with `Last-Event-ID`:
events are named by stream and number, and an id leads nowhere outside the session that it was given in. Left out:
several messages in one body (`batch.py`).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from interlock.gateway.capabilities import initialize
from interlock.gateway.conversation import Conversation, Endpoint, Pages
from interlock.gateway.limits import (
    ASKED_S_MAX,
    QUESTIONS_PER_SESSION_MAX,
    REQUESTS_PER_SESSION_MAX,
    SESSION_IDLE_MS_MAX,
    SESSIONS_PER_AGENT_MAX,
    STREAM_AFTER_S,
    STREAM_IN_SESSION_AFTER_S,
)
from interlock.gateway.methods import LEVELS, Methods
from interlock.gateway.outlet import Backlogs, Receive, Send, Stream, Streams, send_empty, send_json
from interlock.gateway.refusals import Rejected
from interlock.gateway.serve import Incoming
from interlock.mcp.client_request import outcome_error, refusal_of
from interlock.mcp.message import RpcError, RpcMessage, RpcNotification, RpcRequest, RpcResponse, error, result
from interlock.mcp.revision import INVALID_REQUEST, LEGACY_KNOWN, UNSUPPORTED_VERSION
from interlock.mediate.principal import Principal
from interlock.vocabulary.json_text import JsonObject, object_at, text_at

#: From this revision on a stream begins with an event that has an id and no data.
PRIMES_SINCE: Final = "2025-11-25"
SESSION_HEADER: Final = "mcp-session-id"
SUBSCRIPTIONS_MAX: Final = 256

T = TypeVar("T")
Ask = Callable[[JsonObject], Awaitable[JsonObject]]
Notify = Callable[[JsonObject], None]
#: What is done for one request: status and message of its answer.
Work = asyncio.Task[tuple[int, JsonObject]]


class Voice(Protocol):
    """A way to a client."""

    def put(self, message: JsonObject) -> bool:
        """Say something; false when it does not fit, and then it is lost."""


class LegacyEra:
    """See the module."""

    def __init__(self, methods: Methods, sessions: Sessions) -> None:
        self._methods = methods
        self._sessions = sessions

    async def take(self, incoming: Incoming, said: RpcMessage, send: Send) -> None:
        """Serve one message of this era."""
        if isinstance(said, RpcRequest) and said.method == "initialize":
            await self._initialize(incoming, said, send)
            return
        session = self.session(incoming)
        if isinstance(said, RpcRequest):
            await self._request(incoming, session, said, send)
            return
        self.hear(session, said)
        await send_empty(send, 202)

    def hear(self, session: Session, said: RpcNotification | RpcResponse) -> None:
        """Take what is not answered."""
        if isinstance(said, RpcResponse):
            _settle(session, said)
        elif said.method == "notifications/cancelled":
            _cancel(session, said.params.get("requestId"))

    async def stream(self, incoming: Incoming, _: Receive, send: Send) -> None:
        """GET: the session's stream for what is not part of an answer."""
        if not incoming.head.streams:
            raise Rejected(406, "a GET is answered with text/event-stream")
        if incoming.headers.one(SESSION_HEADER) is None:
            raise Rejected(405, "a stream needs a session", [(b"allow", b"POST")])
        session = self.session(incoming)
        stream, after = self._listening(session, incoming.headers.one("last-event-id"))
        await stream.follow(send, after, incoming.connection.gone, begins_with=session.streams.begins(stream))

    def _listening(self, session: Session, last: str | None) -> tuple[Stream, int]:
        """The stream that a GET is for, and the event after which it goes on. Raises `Rejected`."""
        if last is not None:
            found = session.streams.find(last)
            if found is None:
                raise Rejected(400, "`Last-Event-ID` names no event that is kept in this session")
            return found
        if session.listening is not None:
            if session.listening.is_followed:
                raise Rejected(409, "the session has a stream open already")
            session.streams.forget(session.listening)
        session.listening = session.streams.open()
        return session.listening, 0

    async def delete(self, incoming: Incoming, send: Send) -> None:
        """DELETE: the client ends its session."""
        self._sessions.end(self.session(incoming))
        await send_empty(send, 204)

    def forget(self, principal: Principal) -> None:
        """The principal is nobody any more: its sessions end, and all that is under way in them."""
        self._sessions.end_of(principal)

    def session(self, incoming: Incoming) -> Session:
        """The session of a request, for its maker at its endpoint. Raises `Rejected`."""
        _check_version(incoming)
        identity = incoming.headers.one(SESSION_HEADER)
        if identity is None:
            raise Rejected(400, "`Mcp-Session-Id` is missing: begin with `initialize` or send `_meta` of 2026-07-28")
        session = self._sessions.find(identity, incoming.principal, incoming.endpoint)
        if session is None or session.carrier is not None:
            raise Rejected(404, "there is no such session: begin with `initialize`")
        return session

    async def _initialize(self, incoming: Incoming, said: RpcRequest, send: Send) -> None:
        _check_version(incoming)
        capabilities = object_at(said.params, "capabilities")
        conversation = self.conversation(incoming, None, None)
        try:
            answer = await initialize(self._methods, conversation, said.params)
        except RpcError as fault:
            await send_json(send, fault.status, error(said.id, fault))
            return
        version = str(answer["protocolVersion"])
        session = self._sessions.make(incoming.principal, incoming.endpoint, version, capabilities)
        header = (SESSION_HEADER.encode(), session.id.encode("ascii"))
        await send_json(send, 200, result(said.id, answer), [header])

    def begin(self, incoming: Incoming, session: Session, said: RpcRequest, stream: Stream | None) -> Work:
        """Begin to work on a request; what is said before its answer goes onto the stream. Raises `Rejected`."""
        if said.id in session.running:
            raise Rejected(400, "a request with this id is running already")
        if len(session.running) >= REQUESTS_PER_SESSION_MAX:
            raise Rejected(429, "too many requests are running in this session")
        conversation = self.conversation(incoming, session, stream)
        work = asyncio.create_task(self.work(conversation, session, said))
        session.running[said.id] = work
        work.add_done_callback(lambda _: session.running.pop(said.id, None))
        return work

    async def _request(self, incoming: Incoming, session: Session, said: RpcRequest, send: Send) -> None:
        stream = session.streams.open() if incoming.head.streams else None
        try:
            work = self.begin(incoming, session, said, stream)
        except Rejected:
            session.streams.never_began(stream)
            raise
        if stream is None:
            await _answered(send, work)
        else:
            work.add_done_callback(lambda _: self._ended(stream, work))
            patience_s = STREAM_IN_SESSION_AFTER_S if said.method == "tools/call" else STREAM_AFTER_S
            await self._streamed(session, stream, work, send, incoming.connection.gone, patience_s=patience_s)

    async def _streamed(
        self, session: Session, stream: Stream, work: Work, send: Send, gone: asyncio.Future[None], *, patience_s: float
    ) -> None:
        """The answer as one JSON message, or on a stream where more is said or it takes long."""
        if await self.quiet(stream, work, gone, patience_s=patience_s):
            session.streams.forget(stream)  # nobody has an event of it to come back with
            if work.done():
                await _answered(send, work)
            return
        begins = session.streams.begins(stream)
        if work.done():
            self._ended(stream, work)
        await stream.follow(send, 0, gone, begins_with=begins)

    async def quiet(
        self, stream: Stream, work: asyncio.Task[T], gone: asyncio.Future[None], *, patience_s: float
    ) -> bool:
        """Whether the work was done, or its client gone, before anything was said and before it took long."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()

        def wake(*_: object) -> None:
            if not woken.done():
                woken.set_result(None)

        timer = loop.call_later(patience_s, wake)
        stream.at_first_word(wake)
        for each in (work, gone):
            each.add_done_callback(wake)
        try:
            if stream.is_silent:
                await woken
        finally:
            timer.cancel()
            gone.remove_done_callback(wake)
            work.remove_done_callback(wake)
        return stream.is_silent and (work.done() or gone.done())

    def _ended(self, stream: Stream, work: Work) -> None:
        """The work of a request is over: on a stream that has begun, its answer is the last word."""
        if stream.begun and stream.ended_ms is None:
            if not work.cancelled() and work.exception() is None:
                stream.answer(work.result()[1])
            stream.end(self._sessions.now_ms())

    async def work(self, conversation: Conversation, session: Session, said: RpcRequest) -> tuple[int, JsonObject]:
        """Status and message that answer a request, and what follows from it for the session."""
        uri = text_at(said.params, "uri")
        if said.method == "resources/unsubscribe" and uri in session.subscriptions:
            session.subscriptions.discard(uri)
            if self._sessions.held(session.agent, session.endpoint.connector, uri):
                return 200, result(said.id, {})  # another client of this agent still listens
        status, reply = await self._methods.answered(conversation, said)
        if said.method == "resources/subscribe" and "result" in reply and uri is not None:
            if len(session.subscriptions) < SUBSCRIPTIONS_MAX:
                session.subscriptions.add(uri)
        elif said.method == "logging/setLevel" and "result" in reply:
            session.level = text_at(said.params, "level") or session.level
        return status, reply

    def conversation(self, incoming: Incoming, session: Session | None, stream: Stream | None) -> Conversation:
        """One request in its surroundings; what is said before its answer goes onto the stream."""
        ask, notify = self.ways(session, stream) if session is not None and stream is not None else (None, None)
        return Conversation(
            principal=incoming.principal,
            connector=incoming.endpoint.connector,
            brief=incoming.endpoint.brief,
            modern=False,
            headers=incoming.headers,
            session=session.id if session is not None else None,
            revalidate=incoming.revalidate,
            notify=notify,
            ask=ask,
            capabilities=session.capabilities if session is not None else {},
            pages=session.pages if session is not None else None,
        )

    def ways(self, session: Session, voice: Voice) -> tuple[Ask, Notify]:
        """How a client is asked and told something while its request is worked on."""

        async def ask(question: JsonObject) -> JsonObject:
            refusal = refusal_of(question, session.capabilities)
            return refusal or await self._sessions.ask(session, question, voice.put)

        def notify(told: JsonObject) -> None:
            if not session.is_below_level(told):
                voice.put(told)

        return ask, notify


async def _answered(send: Send, work: Work) -> None:
    """The answer as one JSON message; nothing for a request that was cancelled. The work goes on without its client."""
    if not work.done():
        await asyncio.wait({work})
    if work.cancelled():
        await send_empty(send, 202)
        return
    status, answer = work.result()
    await send_json(send, status, answer)


def _check_version(incoming: Incoming) -> None:
    version = incoming.headers.one("mcp-protocol-version")
    if version is not None and version not in LEGACY_KNOWN:
        raise Rejected(400, f"this gateway does not speak revision `{version[:32]}`", code=UNSUPPORTED_VERSION)


def _settle(session: Session, said: RpcResponse) -> None:
    waiting = session.asked.get(said.id) if isinstance(said.id, str) else None
    if waiting is not None and not waiting.done():
        waiting.set_result(_in_our_words(said.outcome))


def _in_our_words(outcome: JsonObject) -> JsonObject:
    """An answer as it came; of an error its code, since what it says besides would reach the server undecided."""
    if "error" not in outcome:
        return outcome
    code = object_at(outcome, "error").get("code")
    known = code if isinstance(code, int) and not isinstance(code, bool) else INVALID_REQUEST
    return outcome_error(known, "the client refuses")


def _cancel(session: Session, identity: object) -> None:
    if isinstance(identity, int | str) and not isinstance(identity, bool):
        task = session.running.get(identity)
        if task is not None:
            task.cancel()


@dataclass
class Session:
    """One session and what is under way in it. `token` is the one that was shown in it last."""

    id: str
    agent: str
    place: str
    token: str
    endpoint: Endpoint
    version: str
    capabilities: JsonObject
    used_ms: int
    streams: Streams
    subscriptions: set[str] = field(default_factory=set)
    pages: Pages = field(default_factory=Pages)
    running: dict[int | str, Work] = field(default_factory=dict)
    asked: dict[str, asyncio.Future[JsonObject]] = field(default_factory=dict)
    listening: Stream | None = None
    #: The one stream of a session of the oldest transport (`exchange_sse.py`); none in any other.
    carrier: Stream | None = None
    is_initialized: bool = False
    #: The way to a client that has one for everything.
    voice: Voice | None = None
    level: str = LEVELS[0]

    def belongs_to(self, principal: Principal, endpoint: Endpoint) -> bool:
        """Whether a request of this principal at this endpoint may use it."""
        mine = (self.agent, self.place, self.endpoint)
        return mine == (principal.agent, principal.place, endpoint)

    def tell(self, message: JsonObject) -> None:
        """Say something outside of requests, if there is a way to; what does not fit is counted."""
        voice = self.voice or self.listening
        if voice is not None and not self.is_below_level(message):
            voice.put(message)

    def is_below_level(self, message: JsonObject) -> bool:
        """Whether it is a log message that the client did not want."""
        level = text_at(object_at(message, "params"), "level")
        if message.get("method") != "notifications/message" or level not in LEVELS:
            return False
        return LEVELS.index(level) < LEVELS.index(self.level)


class Sessions:
    """All sessions, by id."""

    def __init__(self, *, now_ms: Callable[[], int], new_id: Callable[[], str], backlogs: Backlogs) -> None:
        self.now_ms = now_ms
        self._new_id = new_id
        self._backlogs = backlogs
        self._all: dict[str, Session] = {}
        self.ended: Callable[[str], None] = lambda _: None
        #: Whether another client of an agent listens to a resource of an endpoint.
        self.held: Callable[[str, str | None, str], bool] = lambda *_: False
        self._asked = itertools.count(1)

    def make(self, principal: Principal, endpoint: Endpoint, version: str, capabilities: JsonObject) -> Session:
        """A new session. The oldest of the same agent makes room when there are too many."""
        self._drop_idle()
        mine = sorted((each for each in self._all.values() if each.agent == principal.agent), key=lambda s: s.used_ms)
        for each in mine[: max(0, len(mine) - SESSIONS_PER_AGENT_MAX + 1)]:
            self.end(each)
        streams = Streams(self._backlogs.allowance(principal.agent), self.now_ms, primes=version >= PRIMES_SINCE)
        session = Session(
            id=self._new_id(),
            agent=principal.agent,
            place=principal.place,
            token=principal.token,
            endpoint=endpoint,
            version=version,
            capabilities=capabilities,
            used_ms=self.now_ms(),
            streams=streams,
        )
        self._all[session.id] = session
        return session

    def find(self, identity: str, principal: Principal, endpoint: Endpoint) -> Session | None:
        """The session of this name, for its own principal at its own endpoint only."""
        session = self._all.get(identity)
        if session is None or not session.belongs_to(principal, endpoint):
            return None
        session.used_ms, session.token = self.now_ms(), principal.token
        return session

    def of(self, agent: str) -> list[Session]:
        """The sessions of an agent."""
        return [each for each in self._all.values() if each.agent == agent]

    def end_of(self, principal: Principal) -> None:
        """End every session in which this token was shown last."""
        for each in [each for each in self._all.values() if each.token == principal.token]:
            self.end(each)

    def end(self, session: Session) -> None:
        """End it: nothing under way in it goes on, its stream closes."""
        self._all.pop(session.id, None)
        for task in session.running.values():
            task.cancel()
        for future in session.asked.values():
            future.cancel()
        session.streams.close()
        self.ended(session.id)

    async def ask(self, session: Session, question: JsonObject, send: Callable[[JsonObject], bool]) -> JsonObject:
        """Put a server's question to the client on the stream of the request it belongs to, and wait for the answer."""
        if len(session.asked) >= QUESTIONS_PER_SESSION_MAX:
            return {"error": {"code": INVALID_REQUEST, "message": "too many questions wait for this client"}}
        identity = f"interlock-{next(self._asked)}"
        future: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        session.asked[identity] = future
        try:
            if not send({"jsonrpc": "2.0", "id": identity, **question}):
                return {"error": {"code": INVALID_REQUEST, "message": "the client does not read what waits for it"}}
            async with asyncio.timeout(ASKED_S_MAX):
                return await future
        finally:
            session.asked.pop(identity, None)

    def _drop_idle(self) -> None:
        oldest = self.now_ms() - SESSION_IDLE_MS_MAX
        for each in [each for each in self._all.values() if each.used_ms < oldest and not each.running]:
            self.end(each)
