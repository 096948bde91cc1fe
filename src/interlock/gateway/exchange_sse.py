"""The transport of 2024-11-05, "HTTP with SSE", for clients that know no other: everything is said on one stream.

GET opens it and makes a session; its first event says where the client posts. What is posted there is answered with
202, and its answer comes on the stream. The session is that connection: with it ends what is under way. Each request is
held to all that a request at `/mcp` is held to, its token and the session's maker too. Left out: coming back to a
stream, which this transport does not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from interlock.gateway.capabilities import initialize
from interlock.gateway.outlet import Receive, Send, send_empty
from interlock.gateway.refusals import Rejected
from interlock.gateway.serve import Incoming
from interlock.mcp.message import RpcError, RpcRequest, error, id_in, read, result
from interlock.mcp.revision import INVALID_REQUEST, PARSE_ERROR
from interlock.vocabulary.json_text import JsonObject, MalformedJson, object_at, parse

if TYPE_CHECKING:
    from interlock.gateway.exchange_legacy import LegacyEra, Session, Sessions, Work
    from interlock.gateway.methods import Methods

OPEN: Final = "/sse"
POSTED: Final = "/messages"
VERSION: Final = "2024-11-05"
_NAME: Final = "session"


class SseTransport:
    """See the module."""

    def __init__(self, methods: Methods, sessions: Sessions, era: LegacyEra) -> None:
        self._methods = methods
        self._sessions = sessions
        self._era = era

    def check_method(self, place: str, method: str) -> None:
        """Raises `Rejected` (405)."""
        wanted = "GET" if place == OPEN else "POST"
        if method != wanted:
            raise Rejected(405, f"only {wanted} is served here", [(b"allow", wanted.encode("ascii"))])

    async def open(self, incoming: Incoming, _: Receive, send: Send) -> None:
        """GET: a new session, as long as the connection lasts."""
        if not incoming.head.streams:
            raise Rejected(406, "a GET is answered with text/event-stream")
        session = self._sessions.make(incoming.principal, incoming.endpoint, VERSION, {})
        session.listening = session.carrier = session.streams.open()
        connector = incoming.endpoint.connector
        place = POSTED if connector is None else f"{POSTED}/{connector}"
        begins = f"event: endpoint\ndata: {place}?{_NAME}={session.id}\n\n".encode("ascii")
        try:
            await session.carrier.follow(send, 0, incoming.connection.gone, begins_with=begins)
        finally:
            self._sessions.end(session)

    async def post(self, incoming: Incoming, query: object, receive: Receive, send: Send) -> None:
        """POST: one message of such a session."""
        incoming.head.check_content_type()
        words = query.decode("latin-1") if isinstance(query, bytes) else ""
        named = parse_qs(words, max_num_fields=8).get(_NAME, [])
        session = self._sessions.find(named[0], incoming.principal, incoming.endpoint) if len(named) == 1 else None
        if session is None or session.carrier is None:
            raise Rejected(404, "there is no such session: open its stream first")
        body = await incoming.whole(receive)
        if self._sessions.find(session.id, incoming.principal, incoming.endpoint) is not session:
            raise Rejected(404, "the session has ended meanwhile")
        try:
            said = read(parse(body))
        except MalformedJson as fault:
            raise Rejected(400, str(fault), code=PARSE_ERROR, identity=id_in(body)) from fault
        if not isinstance(said, RpcRequest):
            self._era.hear(session, said)
        elif said.method == "initialize":
            await self._initialize(incoming, session, said)
        else:
            work = self._era.begin(incoming, session, said, session.carrier)
            work.add_done_callback(lambda done: self._answered(session, done))
        await send_empty(send, 202)

    async def _initialize(self, incoming: Incoming, session: Session, said: RpcRequest) -> None:
        if session.is_initialized:
            self._say(session, error(said.id, RpcError(INVALID_REQUEST, "the session is initialized already")))
            return
        session.is_initialized = True
        try:
            answer = await initialize(self._methods, self._era.conversation(incoming, session, None), said.params)
        except RpcError as fault:
            self._say(session, error(said.id, fault))
            return
        session.version = str(answer["protocolVersion"])
        session.capabilities = object_at(said.params, "capabilities")
        self._say(session, result(said.id, answer))

    def _answered(self, session: Session, work: Work) -> None:
        if not work.cancelled() and work.exception() is None:
            self._say(session, work.result()[1])

    def _say(self, session: Session, answer: JsonObject) -> None:
        """An answer that finds no room has a client that does not read: its session ends, as it could only miss it."""
        if session.carrier is not None and not session.carrier.put(answer):
            self._sessions.end(session)
