"""The HTTP side, from a TCP connection to a method and back. Every request is refused until each check has passed.

Order: bounds of a connection (slow or too many headers close it), Host and Origin (DNS rebinding), path, token,
form and size of the body, then the message. uvicorn's httptools protocol carries it: llhttp parses strictly. While a
request is served its caller is looked at again: what runs for one that may no longer act ends, streams too. Left out:
the look before an effect (the line's and the channels'), what methods do (`methods.py`), what an exchange of each era
is (`exchange_modern.py`, `exchange_legacy.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from interlock.gateway.conversation import Endpoint
from interlock.gateway.limits import (
    AGENT_CONNECTIONS_MAX,
    BODY_BYTES_MAX,
    BODY_S_MAX,
    HEADERS_BYTES_MAX,
    HEADERS_COUNT_MAX,
    HEADERS_S_MAX,
    STALLED_S_MAX,
    STRANGERS_MAX,
)
from interlock.gateway.outlet import AsgiMessage, HeaderList, Receive, Send, send_json
from interlock.gateway.ports import Connection, Identity
from interlock.mcp.message import RpcError, RpcMessage, RpcResponse, error, read
from interlock.mcp.request_headers import Headers, is_modern
from interlock.mcp.revision import INVALID_REQUEST, PARSE_ERROR
from interlock.mediate.principal import Principal, Unknown
from interlock.vocabulary.errors import InterlockError
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
#: There is no login by OAuth here: a client that looks for one finds these words.
HOW_TO_BE_KNOWN: Final = "The operator makes a new token with: interlock agent token NAME"
CONNECTION: Final = "interlock.connection"
WHOLE: Final = "interlock.whole"
#: Of the same header's values, read once.
HEADERS_KEPT_MAX: Final = 64
_TOO_LARGE: Final = "the headers are too large"
BRIEF: Final = "/brief"


class TcpConnection:
    """One accepted connection: its two ends, what is learnt of it while it lives, and how it is broken off. `agent` is
    none as long as it is a stranger's."""

    __slots__ = ("_others", "abort", "agent", "client", "gone", "is_full", "memory", "server")

    def __init__(
        self,
        client: tuple[str, int],
        server: tuple[str, int],
        abort: Callable[[], None],
        is_full: Callable[[], bool],
        others: Callable[[str | None], list[TcpConnection]],
    ) -> None:
        self.client = client
        self.server = server
        self.abort = abort
        self.is_full = is_full
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.memory: dict[str, object] = {}
        self.agent: str | None = None
        self._others = others

    def belongs_to(self, agent: str) -> bool:
        """It is this agent's from now on; false when that one has its share already."""
        if self.agent != agent and len(self._others(agent)) >= AGENT_CONNECTIONS_MAX:
            return False
        self.agent = agent
        return True


class GatewayProtocol(HttpToolsProtocol):
    """One connection's HTTP."""

    _connection: TcpConnection
    _headers_timer: asyncio.TimerHandle | None = None
    _headers_lack = True
    _head_bytes = 0
    _headers_read = 0
    _made_s = 0.0

    def connection_made(self, transport: Any) -> None:
        """Remember who is at both ends before anything is read."""
        self._made_s = self.loop.time()
        super().connection_made(transport)
        client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._connection = TcpConnection(
            (client[0], client[1]), (server[0], server[1]), transport.abort, self._is_full, self._connections_of
        )
        strangers = self._connections_of(None)
        if len(strangers) > STRANGERS_MAX:  # whoever proves who it is keeps its place
            strangers[0].abort()
        self._await_headers()

    def _connections_of(self, agent: str | None) -> list[TcpConnection]:
        """The open connections of one agent, or of strangers; the longest open is the first."""
        protocols = [each for each in self.connections if isinstance(each, GatewayProtocol)]
        found = [each for each in protocols if each._connection.agent == agent and not each.transport.is_closing()]
        return [each._connection for each in sorted(found, key=lambda each: each._made_s)]

    def _is_full(self) -> bool:
        return self.flow.write_paused

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left of it."""
        self._headers_came()
        super().connection_lost(exc)
        if not self._connection.gone.done():
            self._connection.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Each first byte of a request starts the clock for its headers, unless all of them came with it."""
        if self.cycle is None or self.cycle.response_complete:
            self._headers_lack = True
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._headers_lack:
            if self._too_large():  # what came behind the body
                self.transport.abort()
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEADERS_BYTES_MAX:
            self.send_400_response(_TOO_LARGE)
        elif self._headers_timer is None:
            self._await_headers()

    def on_message_begin(self) -> None:
        """A new request on this connection."""
        super().on_message_begin()
        self.scope[CONNECTION] = self._connection  # type: ignore[typeddict-unknown-key]

    def on_headers_complete(self) -> None:
        """The request can be served. What is too large never got so far whole, or is refused here."""
        self._headers_came()
        self._headers_read = 0
        if self._too_large():
            raise ValueError(_TOO_LARGE)  # httptools turns it into a parser error: 400 and closed
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of the request has come."""
        self.scope[WHOLE] = True  # type: ignore[typeddict-unknown-key]
        super().on_message_complete()

    def _too_large(self) -> bool:
        """Whether there are too many headers or too large ones, told again where more have come."""
        if len(self.headers) == self._headers_read:
            return False
        self._headers_read = len(self.headers)
        size = len(self.url) + sum([len(name) + len(value) for name, value in self.headers])
        return size > HEADERS_BYTES_MAX or self._headers_read > HEADERS_COUNT_MAX

    def _await_headers(self) -> None:
        self._headers_timer = self.loop.call_later(HEADERS_S_MAX, self._too_slow)

    def _headers_came(self) -> None:
        self._headers_lack = False
        self._head_bytes = 0
        if self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None

    def _too_slow(self) -> None:
        self._headers_timer = None
        if not self.transport.is_closing():
            self.transport.close()


#: Where agents connect. `/brief` serves as `/mcp` does, another view (`brief.py`); the last two are those of the oldest
#: transport.
_PLACES: Final = ("/mcp", BRIEF, "/sse", "/messages")
Serve = Callable[["Incoming", Receive, Send], Awaitable[None]]


class Rejected(Exception):
    """The request is refused with an HTTP status before any method saw it."""

    def __init__(
        self, status: int, words: str, headers: HeaderList | None = None, *, code: int = INVALID_REQUEST
    ) -> None:
        super().__init__(words)
        self.status = status
        self.fault = RpcError(code, words)
        self.headers: HeaderList = headers or []


@dataclass(frozen=True, slots=True)
class Incoming:
    """Headers, caller, endpoint, the connection it came on and whether all of it has come; `revalidate` says why the
    caller may not go on, after a wait."""

    headers: Headers
    principal: Principal
    endpoint: Endpoint
    connection: Connection
    is_whole: bool
    revalidate: Callable[[], str | None]

    def check_content_type(self) -> None:
        """Only JSON in UTF-8. Raises `Rejected` (415)."""
        if not _is_json(self.headers.one("content-type")):
            raise Rejected(415, "the body must be application/json in UTF-8")
        if self.headers.one("content-encoding") not in (None, "identity"):
            raise Rejected(415, "the body must come without a content encoding")

    def check_accept(self) -> None:
        """A client that takes neither form of answer gets none. Raises `Rejected` (406)."""
        taken = _taken(self.headers.one("accept"))
        if not taken & {"application/json", "text/event-stream"}:
            raise Rejected(406, "`Accept` must name application/json and text/event-stream")

    @property
    def accepts_streams(self) -> bool:
        """Whether the client takes a stream of events for an answer."""
        return "text/event-stream" in _taken(self.headers.one("accept"))


@lru_cache(HEADERS_KEPT_MAX)
def _is_json(content_type: str | None) -> bool:
    kind, _, rest = (content_type or "").partition(";")
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    return kind.strip().lower() == "application/json" and charset in ("", "utf-8")


@lru_cache(HEADERS_KEPT_MAX)
def _taken(accept: str | None) -> frozenset[str]:
    """Which of the two kinds of answer a client takes. No header takes JSON."""
    if accept is None:
        return frozenset({"application/json"})
    named = {each.partition(";")[0].strip().lower() for each in accept.split(",")}
    kinds = ("application/json", "text/event-stream")
    return frozenset(each for each in kinds if named & {each, "*/*", each.partition("/")[0] + "/*"})


async def read_body(receive: Receive, incoming: Incoming) -> bytes:
    """The whole body. Raises `Rejected` when it is too large (413), too slow (408) or broken off (400)."""
    announced = incoming.headers.one("content-length")
    if announced is not None and (not announced.isdigit() or int(announced) > BODY_BYTES_MAX):
        raise Rejected(413, f"the body has more than {BODY_BYTES_MAX} bytes", [(b"connection", b"close")])
    if incoming.is_whole:
        return await _collect(receive)
    try:
        async with asyncio.timeout(BODY_S_MAX):
            return await _collect(receive)
    except TimeoutError as error:
        raise Rejected(408, "the body came too slowly", [(b"connection", b"close")]) from error


async def _collect(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise Rejected(400, "the body ended early")
        part = event.get("body", b"")
        if isinstance(part, bytes):
            parts.append(part)
            size += len(part)
        if size > BODY_BYTES_MAX:
            raise Rejected(413, f"the body has more than {BODY_BYTES_MAX} bytes", [(b"connection", b"close")])
        if not event.get("more_body"):
            return b"".join(parts)


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] != "http":
            return
        try:
            await self._serve(scope, receive, send)
        except Rejected as rejected:
            await send_json(send, rejected.status, error(None, rejected.fault), rejected.headers)
        except RpcError as fault:
            await send_json(send, max(fault.status, 400), error(None, fault))
        except ClientStalled:
            connection: Connection = scope[CONNECTION]  # type: ignore[assignment]
            connection.abort()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(_pairs(scope))
        self._check_origin(headers)
        path, method = str(scope["path"]), str(scope["method"])
        if path == "/healthz":
            await send_json(send, 200, {"status": "ok"})
            return
        place, endpoint = self._endpoint(path)
        incoming = await self._known(scope, headers, endpoint)
        if place == "/hook":
            await self._on_hook(incoming, method, receive, send)
        elif place not in ("/mcp", BRIEF):
            self.sse.check_method(place, method)
            if method == "GET":
                await self._while_known(incoming, self.sse.open, receive, send)
            else:
                await self.sse.post(incoming, scope["query_string"], receive, send)
        elif method == "POST":
            await self._while_known(incoming, self._post, receive, send)
        elif method == "GET":
            await self._while_known(incoming, self.legacy.stream, receive, send)
        elif method == "DELETE":
            await self.legacy.delete(incoming, send)
        else:
            raise Rejected(405, "only POST, GET and DELETE are served here", [(b"allow", b"GET, POST, DELETE")])

    async def _while_known(self, incoming: Incoming, serve: Serve, receive: Receive, send: Send) -> None:
        """Serve a caller as long as its token is good. Then all that is under way for it ends. Raises `Rejected` where
        nothing was answered yet."""
        sending = Sending(send, incoming.connection.is_full)
        with Watch(incoming.revalidate) as watch:
            await serve(incoming, receive, sending)
        if watch.why is None:
            return
        self.legacy.forget(incoming.principal)
        if not sending.began:
            raise _unknown(watch.why)
        with contextlib.suppress(RuntimeError):  # its answer was whole already
            await send({"type": "http.response.body", "body": b""})

    def _check_origin(self, headers: Headers) -> None:
        host = headers.one("host")
        if host is None or host.lower() not in self.hosts:
            raise Rejected(403, "the Host header names another host than this gateway")
        origin = headers.one("origin")
        if origin is not None and origin.lower().partition("://")[2] not in self.hosts:
            raise Rejected(403, "the Origin is not this gateway's")

    def _endpoint(self, path: str) -> tuple[str, Endpoint]:
        """What a path is for, and what is at it. Raises `Rejected` (404)."""
        if path in _PLACES or path == "/hook":
            return path, Endpoint(None, path == BRIEF)
        head, _, name = path.rpartition("/")
        if head not in _PLACES or name not in self.connectors():
            raise Rejected(404, "there is nothing here; agents connect to /mcp or /mcp/<connector>")
        return head, Endpoint(name, head == BRIEF)

    async def _known(self, scope: Scope, headers: Headers, endpoint: Endpoint) -> Incoming:
        connection: Connection = scope[CONNECTION]  # type: ignore[assignment]
        authorization = headers.one("authorization")
        principal = self.identity.authenticate(authorization, connection)
        if isinstance(principal, Unknown):
            await self.refusals.record(principal, connection)
            raise _unknown(principal.reason)

        if not connection.belongs_to(principal.agent):
            raise Rejected(429, "this agent has too many connections open", [(b"connection", b"close")])

        def revalidate() -> str | None:
            return self.identity.still(principal, authorization)

        return Incoming(headers, principal, endpoint, connection, WHOLE in scope, revalidate)

    async def _on_hook(self, incoming: Incoming, method: str, receive: Receive, send: Send) -> None:
        if method != "POST":
            raise Rejected(405, "a hook is posted", [(b"allow", b"POST")])
        incoming.check_content_type()
        status, value = await self.hook.take(incoming.principal, await read_body(receive, incoming))
        await send_json(send, status, value)

    async def _post(self, incoming: Incoming, receive: Receive, send: Send) -> None:
        incoming.check_content_type()
        incoming.check_accept()
        body = await read_body(receive, incoming)
        try:
            value = parse(body)
        except MalformedJson as error:
            raise Rejected(400, str(error), code=PARSE_ERROR) from error
        if isinstance(value, list):
            await self.batches.take(incoming, value, send)
            return
        said = read(value)
        era = self.modern if _is_modern(incoming, said) else self.legacy
        await era.take(incoming, said, send)


def _unknown(reason: str) -> Rejected:
    challenge = f'Bearer realm="interlock", error="invalid_token", error_description="{HOW_TO_BE_KNOWN}"'
    headers = [(b"www-authenticate", challenge.encode("ascii"))]
    return Rejected(401, f"no valid token: {reason}. {HOW_TO_BE_KNOWN}", headers)


def _is_modern(incoming: Incoming, said: RpcMessage) -> bool:
    if isinstance(said, RpcResponse):
        return False
    return is_modern(incoming.headers, said.params)


def _pairs(scope: Scope) -> list[tuple[bytes, bytes]]:
    pairs = scope["headers"]
    return pairs if isinstance(pairs, list) else []


#: A revoked token's calls and streams end within this.
LOOK_EVERY_S: Final = 0.5


class Watch:
    """Cancels the task that entered it once `revalidate` says why the caller may not go on; `why` holds that."""

    def __init__(self, revalidate: Callable[[], str | None]) -> None:
        self._revalidate = revalidate
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.why: str | None = None

    def __enter__(self) -> Watch:
        """The running task is watched from now on."""
        self._task = asyncio.current_task()
        self._again()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """No more; and the cancelling that was ours ends here."""
        if self._timer is not None:
            self._timer.cancel()
        if self.why is None or self._task is None:
            return False
        left = self._task.uncancel()
        return kind is asyncio.CancelledError and left == 0

    def _again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        try:
            self.why = self._revalidate()
        except InterlockError as error:  # who cannot be looked at does not go on
            self.why = f"whether the caller may still act cannot be told ({error})"
        if self.why is None:
            self._again()
        elif self._task is not None:
            self._task.cancel()


class ClientStalled(OSError):
    """The client takes nothing of its answer."""


class Sending:
    """The way to one client, which may stall. Raises `ClientStalled` for one that takes nothing for too long. `began`
    once anything was sent."""

    __slots__ = ("_is_full", "_send", "began")

    def __init__(self, send: Send, is_full: Callable[[], bool]) -> None:
        self._send = send
        self._is_full = is_full
        self.began = False

    def __call__(self, part: AsgiMessage) -> Awaitable[None]:
        """Send a part. One that goes to a client which takes what it is sent is not waited for, so nothing measures
        the time."""
        self.began = True
        return self._patiently(part) if self._is_full() else self._send(part)

    async def _patiently(self, part: AsgiMessage) -> None:
        try:
            async with asyncio.timeout(STALLED_S_MAX):
                await self._send(part)
        except TimeoutError as error:
            raise ClientStalled("the client takes nothing") from error
