"""The HTTP side, from a TCP connection to a method and back. Every request is refused until each check has passed.

Order: bounds of a connection (slow or too many headers close it), Host and Origin (DNS rebinding), path, token,
form and size of the body, then the message. uvicorn's httptools protocol carries it: llhttp parses strictly. While a
request is served its caller is looked at again: what runs for one that may no longer act ends, streams too. Left out:
the look before an effect (the line's and the channels'), what methods do (`methods.py`), what an exchange of each era
is (`exchange_modern.py`, `exchange_legacy.py`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from interlock.gateway.body import read_body
from interlock.gateway.connection import BoundedProtocol
from interlock.gateway.conversation import Endpoint
from interlock.gateway.head import BRIEF, HEALTH, HOOK, Head, Said
from interlock.gateway.limits import (
    CONNECTIONS_MAX,
    HEADERS_BYTES_MAX,
    HEADERS_COUNT_MAX,
    STALLED_S_MAX,
    STREAM_AFTER_S,
)
from interlock.gateway.outlet import AsgiMessage, HeaderList, Receive, Send, SendPart, SendWhole, send_json
from interlock.gateway.ports import Connection, Identity
from interlock.gateway.refusals import Rejected, told_off
from interlock.mcp.message import RpcError, RpcResponse, error, id_in, read
from interlock.mcp.request_headers import Headers, is_modern
from interlock.mcp.revision import PARSE_ERROR
from interlock.mediate.principal import Principal, Unknown
from interlock.vocabulary.json_text import MalformedJson, parse

if TYPE_CHECKING:
    from interlock.gateway.batch import Batches
    from interlock.gateway.exchange_legacy import LegacyEra
    from interlock.gateway.exchange_modern import ModernEra
    from interlock.gateway.exchange_sse import SseTransport
    from interlock.gateway.hook import Hook
    from interlock.gateway.refusals import Refusals
from types import TracebackType

Scope = dict[str, object]
CONNECTION: Final = "interlock.connection"
BODY: Final = "interlock.body"
ANSWER: Final = "interlock.answer"
_TOO_LARGE: Final = "the headers are too large"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: ?([0-9]{1,7})(?=\r\n)", re.IGNORECASE)
_UNLIKE: Final = re.compile(rb"\r\n(?:transfer-encoding|expect|upgrade):", re.IGNORECASE)


class Alike(NamedTuple):
    """The head of a request that was read, but for the number of bytes that follow it. A request that came in one piece
    and has the very same head needs no second reading: what the parser made of these bytes is known."""

    before: bytes
    after: bytes

    @classmethod
    def of(cls, piece: bytes, body: bytes) -> Alike | None:
        """Of a piece that was read as one request with this body; none where the head says more than a length of how
        the request ends."""
        head = piece[: len(piece) - len(body)]
        lengths = [*_LENGTH.finditer(head, 0, HEADERS_BYTES_MAX)]
        if len(lengths) != 1 or int(lengths[0][1]) != len(body) or _UNLIKE.search(head) is not None:
            return None
        begin, end = lengths[0].span(1)
        return cls(head[:begin], head[end:]) if head.find(b"\r\n\r\n") == len(head) - 4 else None

    def body_of(self, piece: bytes) -> bytes | None:
        """The body of a piece that is such a request, all of it and nothing else."""
        if not piece.startswith(self.before):
            return None
        end = piece.find(b"\r", len(self.before), len(self.before) + 8)
        length = piece[len(self.before) : end]
        if end < 0 or not length.isdigit() or not piece.startswith(self.after, end):
            return None
        body = piece[end + len(self.after) :]
        return body if len(body) == int(length) else None


class GatewayProtocol(BoundedProtocol):
    """One connection's HTTP, request by request."""

    _alike: Alike | None = None

    _headers_lack = True
    _headers_at_once = _begun_at_once = False
    _piece_bytes = 0
    _head_bytes = 0
    _headers_read = 0

    def data_received(self, data: bytes) -> None:
        """Each first byte of a request starts the clock for its headers, unless all of them came with it."""
        is_first = self.cycle is None or self.cycle.response_complete
        if self._alike is not None:
            served = max(len(self.connections), len(self.tasks))
            body = self._alike.body_of(data) if is_first and served < CONNECTIONS_MAX else None
            if body is not None:
                self._begin_alike(body)
                return
            self._alike = None
        if is_first:
            self._headers_lack = True
        self._headers_at_once = self._begun_at_once = False
        self._piece_bytes = len(data)
        whole = None if is_first or self.cycle.more_body else self.cycle
        super().data_received(data)
        if self.transport.is_closing() or self._is_endless(whole, len(data)):
            return
        if not self._headers_lack:
            if self._too_large():  # what came behind the body
                self.transport.abort()
            elif self._begun_at_once and BODY in self.scope and self.cycle.keep_alive:
                self._alike = Alike.of(data, self.scope[BODY])  # type: ignore[typeddict-item]
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEADERS_BYTES_MAX:
            self.send_400_response(_TOO_LARGE)
        elif self._headers_timer is None:
            self._await_headers()

    def _begin_alike(self, body: bytes) -> None:
        """A request that begins as the one before it did, which is answered."""
        self._idle_since_s = None
        before = self.cycle
        cycle = self.cycle = RequestResponseCycle(
            scope={**self.scope, BODY: body},  # type: ignore[typeddict-unknown-key]
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=before.message_event,
            expect_100_continue=False,
            keep_alive=True,
            on_response=self.on_response_complete,
        )
        cycle.more_body = False
        self.scope = cycle.scope
        self.scope[ANSWER] = partial(_answer, cycle)  # type: ignore[typeddict-unknown-key]
        self._start_asgi_task(cycle, self.app)

    def on_message_begin(self) -> None:
        """A new request on this connection."""
        self._idle_since_s = None
        self._begun_at_once = True
        super().on_message_begin()
        self.scope[CONNECTION] = self._connection  # type: ignore[typeddict-unknown-key]

    def on_headers_complete(self) -> None:
        """The request can be served. What is too large never got so far whole, or is refused here."""
        self._headers_came()
        self._headers_at_once = True
        self._headers_read = 0
        if self._too_large():
            raise ValueError(_TOO_LARGE)  # httptools turns it into a parser error: 400 and closed
        super().on_headers_complete()
        self.scope[ANSWER] = partial(_answer, self.cycle)  # type: ignore[typeddict-unknown-key]

    def on_response_complete(self) -> None:
        """One is answered. That nothing comes for long is seen by one timer, whatever number of requests."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since_s = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._idle)

    def on_message_complete(self) -> None:
        """All of the request has come. What came at once is at hand for who serves it, which begins after this."""
        super().on_message_complete()
        if self._headers_at_once and self.cycle is not None:
            self.scope[BODY] = bytes(self.cycle.body)  # type: ignore[typeddict-unknown-key]

    def _too_large(self) -> bool:
        """Whether there are too many headers or too large ones, told again where more have come."""
        if len(self.headers) == self._headers_read:
            return False
        self._headers_read = len(self.headers)
        if self._begun_at_once and self._piece_bytes <= HEADERS_BYTES_MAX:  # all of them came in so little
            return self._headers_read > HEADERS_COUNT_MAX
        size = len(self.url) + sum([len(name) + len(value) for name, value in self.headers])
        return size > HEADERS_BYTES_MAX or self._headers_read > HEADERS_COUNT_MAX

    def _headers_came(self) -> None:
        self._headers_lack = False
        self._head_bytes = 0
        if self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None


async def _answer(cycle: RequestResponseCycle, status: int, headers: HeaderList, body: bytes) -> None:
    """An answer that is whole at once: as the cycle sends it in parts, but in one write. INVARIANT: every header is
    ours, and its value made here."""
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    if cycle.response_started:
        raise RuntimeError("it is answered already")
    lines = [b"%b: %b\r\n" % header for header in headers]
    if (b"connection", b"close") in headers:
        cycle.keep_alive = False
    elif not cycle.keep_alive:
        lines.append(b"connection: close\r\n")
    shown = b"" if cycle.scope["method"] == "HEAD" else body
    head = b"%bcontent-length: %d\r\n%b\r\n" % (STATUS_LINE[status], len(body), b"".join(lines))
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(head + shown)
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


Serve = Callable[["Incoming", Receive, Send], Awaitable[None]]


class Incoming(Struct, frozen=True):
    """Head, caller, the connection it came on and its body, where all of it came with them; `revalidate` says why the
    caller may not go on, after a wait."""

    head: Head
    headers: Headers
    endpoint: Endpoint
    principal: Principal
    connection: Connection
    body: bytes | None
    revalidate: Callable[[], str | None]

    async def whole(self, receive: Receive) -> bytes:
        """The whole body. Raises `Rejected`."""
        if self.body is not None:
            return self.body
        return await read_body(receive, self.headers.one("content-length"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The application. `hosts`: the values of `Host` (and of an `Origin` without its scheme) that are this gateway's
    own."""

    identity: Identity
    legacy: LegacyEra
    batches: Batches
    modern: ModernEra
    sse: SseTransport
    hook: Hook
    refusals: Refusals
    hosts: frozenset[str]
    connectors: Callable[[], list[str]]
    watches: Watches = field(default_factory=lambda: Watches())

    async def __call__(self, scope: Scope, receive: Receive, send: SendPart) -> None:
        """ASGI 3, of `GatewayProtocol`."""
        connection: Connection = scope[CONNECTION]  # type: ignore[assignment]
        sending = Sending(send, scope[ANSWER], connection.is_full)  # type: ignore[arg-type]
        try:
            try:
                await self._serve(scope, connection, receive, sending)
            except Rejected as rejected:
                await send_json(sending, rejected.status, error(rejected.identity, rejected.fault), rejected.headers)
            except RpcError as fault:
                await send_json(sending, max(fault.status, 400), error(None, fault))
        except ClientStalled:
            connection.abort()

    def _serve(self, scope: Scope, connection: Connection, receive: Receive, send: Sending) -> Awaitable[None]:
        head = self._head(scope, connection)
        if head.place == HEALTH:
            return send_json(send, 200, {"status": "ok"})
        principal = self.identity.authenticate(head.authorization, connection)
        if isinstance(principal, Unknown):
            return self._refused(principal, connection, head)
        if connection.agent != principal.agent and not connection.belongs_to(principal.agent):
            raise Rejected(429, "this agent has too many connections open", [(b"connection", b"close")])
        return self._served(scope, self._incoming(scope, head, principal, connection), receive, send)

    def _head(self, scope: Scope, connection: Connection) -> Head:
        """What the head says; that of the request before where it is the same."""
        said = Said(scope["method"], scope["path"], scope["headers"])  # type: ignore[arg-type]
        head = connection.memory.get("head")
        if not isinstance(head, Head) or head.said != said:
            head = connection.memory["head"] = Head(said, self.hosts, self.connectors)
        return head

    async def _refused(self, caller: Unknown, connection: Connection, head: Head) -> None:
        raise await self.refusals.refused(caller, connection, head)

    def _incoming(self, scope: Scope, head: Head, principal: Principal, connection: Connection) -> Incoming:
        def revalidate() -> str | None:
            return self.identity.still(principal, head.authorization)

        body: bytes | None = scope.get(BODY)  # type: ignore[assignment]
        return Incoming(head, head.headers, head.endpoint, principal, connection, body, revalidate)

    def _served(self, scope: Scope, incoming: Incoming, receive: Receive, send: Sending) -> Awaitable[None]:
        place, method = incoming.head.place, incoming.head.said.method
        if place == HOOK:
            return self.hook.serve(incoming, method, receive, send)
        if place not in ("/mcp", BRIEF):
            self.sse.check_method(place, method)
            if method == "GET":
                return self._while_known(incoming, self.sse.open, receive, send)
            return self.sse.post(incoming, scope["query_string"], receive, send)
        if method == "POST":
            return self._while_known(incoming, self._post, receive, send)
        if method == "GET":
            return self._while_known(incoming, self.legacy.stream, receive, send)
        if method == "DELETE":
            return self.legacy.delete(incoming, send)
        raise Rejected(405, "only POST, GET and DELETE are served here", [(b"allow", b"GET, POST, DELETE")])

    async def _while_known(self, incoming: Incoming, serve: Serve, receive: Receive, send: Sending) -> None:
        """Serve a caller as long as its token is good. Then all that is under way for it ends, and it is told so at
        once, whatever has to be put in order before."""

        def ends(why: str) -> None:
            self.legacy.forget(incoming.principal)
            send.last = asyncio.create_task(told_off(send.another(), why, began=send.began))

        with Watch(self.watches, incoming.revalidate, ends, send.lasts):
            await serve(incoming, receive, send)
        if send.last is not None:
            await send.last

    def _post(self, incoming: Incoming, receive: Receive, send: Send) -> Awaitable[None]:
        if not incoming.head.fits:
            incoming.head.check_form()
        if incoming.body is None:
            return self._post_late(incoming, receive, send)
        return self._taken(incoming, incoming.body, send)

    async def _post_late(self, incoming: Incoming, receive: Receive, send: Send) -> None:
        await self._taken(incoming, await incoming.whole(receive), send)

    def _taken(self, incoming: Incoming, body: bytes, send: Send) -> Awaitable[None]:
        """Raises `Rejected` and `RpcError` for what is no message."""
        try:
            value = parse(body)
        except MalformedJson as error:
            raise Rejected(400, str(error), code=PARSE_ERROR, identity=id_in(body)) from error
        if isinstance(value, list):
            return self.batches.take(incoming, value, send)
        said = read(value)
        is_of_now = not isinstance(said, RpcResponse) and is_modern(incoming.headers, said.params)
        return (self.modern if is_of_now else self.legacy).take(incoming, said, send)


#: A revoked token's calls and streams end within this.
LOOK_EVERY_S: Final = 0.5
#: The first look may come at once, so this many are not before that time.
LOOKS_BEFORE_LONG: Final = 1 + int(STREAM_AFTER_S / LOOK_EVERY_S)


class Watches:
    """Those who are served, looked at together."""

    def __init__(self) -> None:
        self._served: set[Watch] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, served: Watch) -> None:
        """Look at it from now on."""
        self._served.add(served)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def drop(self, served: Watch) -> None:
        """No more."""
        self._served.discard(served)

    def _look(self) -> None:
        """INVARIANT: as long as anybody is served there is a next look, whatever one of them does to this one."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LOOK_EVERY_S, self._look) if self._served else None
        for each in tuple(self._served):
            loop.call_soon(self._look_at, each)

    def _look_at(self, served: Watch) -> None:
        if served in self._served:
            served.look()


class Watch:
    """Cancels the task that entered it once `revalidate` says why the caller may not go on; `ends` is told that.
    `lasts` is called once where it takes long (`STREAM_AFTER_S`)."""

    __slots__ = ("_among", "_ends", "_lasts", "_looks", "_revalidate", "_task", "why")

    def __init__(
        self,
        among: Watches,
        revalidate: Callable[[], str | None],
        ends: Callable[[str], None],
        lasts: Callable[[], None],
    ) -> None:
        self._among = among
        self._revalidate = revalidate
        self._ends = ends
        self._lasts = lasts
        self._looks = 0
        self._task: asyncio.Task[object] | None = None
        self.why: str | None = None

    def __enter__(self) -> Watch:
        """The running task is watched from now on."""
        self._task = asyncio.current_task()
        self._among.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """No more; and the cancelling that was ours ends here."""
        self._among.drop(self)
        if self.why is None or self._task is None:
            return False
        left = self._task.uncancel()
        return kind is asyncio.CancelledError and left == 0

    def look(self) -> None:
        """Whether it may go on, and whether it takes long."""
        self._looks += 1
        try:
            self.why = self._revalidate()
        except Exception as error:  # whatever it is: who cannot be looked at does not go on
            self.why = f"whether the caller may still act cannot be told ({error})"
        if self.why is None:
            if self._looks == LOOKS_BEFORE_LONG:
                self._lasts()
        elif self._task is not None:
            self._among.drop(self)
            self._task.cancel()
            self._ends(self.why)


class ClientStalled(OSError):
    """The client takes nothing of its answer."""


class Sending:
    """The way to one client, which may stall. Raises `ClientStalled` for one that takes nothing for too long. `began`
    once anything was sent. After a `last` word nothing is sent any more."""

    __slots__ = ("_answer", "_is_full", "_send", "at_length", "began", "last")

    def __init__(self, send: SendPart, answer: SendWhole, is_full: Callable[[], bool]) -> None:
        self._send = send
        self._answer = answer
        self._is_full = is_full
        self.began = False
        self.last: asyncio.Task[None] | None = None
        self.at_length: Callable[[], None] | None = None

    def lasts(self) -> None:
        """What is answered takes long."""
        if self.at_length is not None:
            self.at_length()

    def __call__(self, part: AsgiMessage) -> Awaitable[None]:
        """Send a part. One that goes to a client which takes what it is sent is not waited for, so nothing measures
        the time."""
        return self._begun(self._send(part)) if self.last is None else asyncio.sleep(0)

    def whole(self, status: int, headers: HeaderList, body: bytes) -> Awaitable[None]:
        """See `outlet.Send`."""
        return self._begun(self._answer(status, headers, body)) if self.last is None else asyncio.sleep(0)

    def another(self) -> Sending:
        """The same way, for the last word."""
        return Sending(self._send, self._answer, self._is_full)

    def _begun(self, sent: Awaitable[None]) -> Awaitable[None]:
        self.began = True
        return self._patiently(sent) if self._is_full() else sent

    async def _patiently(self, sent: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(STALLED_S_MAX):
                await sent
        except TimeoutError as error:
            raise ClientStalled("the client takes nothing") from error
