"""HTTP/1.1 towards one server: a request over a connection that is kept, its answer read as it comes (RFC 9112).

llhttp reads what the server sends, as strictly as it can. Headers are bounded here, bodies by who reads them; a server
that sends faster than it is read waits in its own socket. A connection is used again only when its answer ended where
it said, and nothing came after it. Proxies of the environment are not used, contents not unpacked; nothing is ever sent
twice, and a redirect is followed only where its caller says so (`retarget`). Left out: what is said (`http.py`), and
limits of time but for connecting.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote, urljoin, urlsplit

import httptools

from interlock.connectors.cookies import Cookies
from interlock.vocabulary.errors import PeerError

if TYPE_CHECKING:
    import ssl

CONNECT_S_MAX: Final = 10.0
#: Shorter than servers commonly keep an idle connection (5 s): one that is closed under a request leaves it unknown.
IDLE_S_MAX: Final = 4.0
HEADERS_BYTES_MAX: Final = 64 * 1024
HEADERS_COUNT_MAX: Final = 200
#: Bytes around one byte of a body at most: a chunk of one has five, and room for some that stand before it.
CHUNKED_TIMES_MAX: Final = 16
#: Of an answer that nobody reads meanwhile.
UNREAD_BYTES_MAX: Final = 128 * 1024
#: Characters of a URL that stand for themselves (RFC 3986); what is quoted already stays as it is.
_OF_URL: Final = "%/:=&?~#+!$,;'@()*[]"


class Unanswered(PeerError):
    """The server did not answer as HTTP has it, or not to the end."""


class Lines:
    """Headers as they are sent, for those that are sent again and again. Raises `ValueError` for what no header may
    hold."""

    __slots__ = ("text",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.text = _lines([f"{name}: {value}" for name, value in headers.items()])


def _lines(lines: list[str]) -> bytes:
    text = "".join([f"{line}\r\n" for line in lines])
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise ValueError("a header holds what no header may")
    return text.encode("latin-1")


class HttpClient:
    """See the module. Belongs to the loop that runs."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        path = quote(parts.path or "/", safe=_OF_URL)
        self._target = _target(parts.path, parts.query)
        self._authority = parts.netloc
        self._begins: dict[str, bytes] = {}
        self._loop = asyncio.get_running_loop()
        self._idle: deque[_Connection] = deque()
        self._open: set[_Connection] = set()
        self._cookies = Cookies(path, secure=self._secure)
        self._context: ssl.SSLContext | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def send(
        self, method: str, headers: Mapping[str, str] | Lines, body: bytes, leaves: Callable[[], None] | None = None
    ) -> Response:
        """Send a request and wait for the head of its answer, to be entered (`with`) and read there.

        `leaves` is told when there is a connection: the next thing that happens is the request's first byte. Raises
        `OSError` and `Unanswered`, and `ValueError` for headers that cannot be sent.
        """
        if self._closed:
            raise Unanswered("the connections were closed")
        text = self._text(method, headers, body)
        connection = self._taken() or await self._connected()
        if leaves is not None:
            leaves()
        try:
            response = await connection.asked(text)
        except BaseException:
            connection.abort()
            raise
        if response.cookies:
            self._cookies.take(response.cookies)
        return response

    def retarget(self, location: str) -> str | None:
        """Send what follows to another place of the same origin, as a redirect says; why not, if it is none."""
        here = f"{'https' if self._secure else 'http'}://{self._authority}{self._target}"
        try:
            there = urlsplit(urljoin(here, location))
            port = there.port or (443 if there.scheme == "https" else 80)
        except ValueError:
            return "it redirects to what is not a URL"
        secure = {"https": True, "http": False}.get(there.scheme)
        if secure is not self._secure or there.hostname != self._host or port != self._port or there.username:
            return "it redirects to another server, which is not followed"
        self._target = _target(there.path, there.query)
        self._begins.clear()
        return None

    def close(self) -> None:
        """End every connection."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in tuple(self._open):
            connection.abort()

    def _text(self, method: str, headers: Mapping[str, str] | Lines, body: bytes) -> bytes:
        begin = self._begins.get(method)
        if begin is None:
            begin = self._begins[method] = _lines([f"{method} {self._target} HTTP/1.1", f"Host: {self._authority}"])
        lines = headers.text if isinstance(headers, Lines) else Lines(headers).text
        cookies = _lines([f"Cookie: {self._cookies.header}"]) if self._cookies.header else b""
        length = b"Content-Length: %d\r\n" % len(body) if body or method == "POST" else b""
        return b"%b%b%b%b\r\n%b" % (begin, lines, cookies, length, body)

    def _taken(self) -> _Connection | None:
        """The connection that was used last, if it can be used still; older ones wait to be too old."""
        oldest_s = self._loop.time() - IDLE_S_MAX
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since_s >= oldest_s and connection.is_open:
                return connection
            connection.abort()
        return None

    def _put_back(self, connection: _Connection) -> None:
        if self._closed:
            connection.abort()
            return
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(IDLE_S_MAX, self._swept)

    def _swept(self) -> None:
        """End those that were idle for too long; look again as long as any is there."""
        oldest_s = self._loop.time() - IDLE_S_MAX
        while self._idle and (self._idle[0].idle_since_s <= oldest_s or not self._idle[0].is_open):
            self._idle.popleft().abort()
        self._sweep = self._loop.call_later(IDLE_S_MAX, self._swept) if self._idle else None

    async def _connected(self) -> _Connection:
        """A new connection, at the first of the host's addresses that takes one."""
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                return await self._connect()
        except TimeoutError as error:
            raise TimeoutError(f"it took no connection within {CONNECT_S_MAX:g} s") from error

    async def _connect(self) -> _Connection:
        context = self._tls() if self._secure else None
        name = self._host if self._secure else None
        failed: OSError | None = None
        found = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        for address in dict.fromkeys(cast(tuple[str, int], each[4][:2]) for each in found):
            try:
                _, connection = await self._loop.create_connection(
                    self._connection, *address, ssl=context, server_hostname=name
                )
            except OSError as error:
                failed = failed or error
                continue
            return connection
        raise failed or OSError("the host has no address")

    def _connection(self) -> _Connection:
        return _Connection(self._loop, self._open, self._put_back)

    def _tls(self) -> ssl.SSLContext:
        import ssl

        if self._context is None:
            self._context = ssl.create_default_context()
        return self._context


def _target(path: str, query: str) -> str:
    quoted = quote(path or "/", safe=_OF_URL)
    return f"{quoted}?{quote(query, safe=_OF_URL)}" if query else quoted


class Response:
    """One answer, from its head on. Left before its end (`with`), it takes its connection with it."""

    __slots__ = ("_connection", "_headers", "_parts", "_unread", "_waiter", "content_type", "cookies", "status")

    def __init__(self, connection: _Connection, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.cookies = [value.decode("latin-1") for name, value in headers if name == b"set-cookie"]
        self._connection = connection
        self._headers = headers
        self._parts: deque[bytes] = deque()
        self._unread = 0
        self._waiter: asyncio.Future[None] | None = None
        self.content_type = (self.header(b"content-type") or "").partition(";")[0].strip().lower()

    def header(self, name: bytes) -> str | None:
        """The first value of a header, by its name in small letters."""
        for each, value in self._headers:
            if each == name:
                return value.decode("latin-1").strip()
        return None

    async def parts(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises `Unanswered` where it breaks off."""
        while True:
            while self._parts:
                part = self._parts.popleft()
                self._unread -= len(part)
                self._connection.resume(self._unread)
                yield part
            if self._connection.is_whole(self):
                return
            await self._more()

    def at_hand(self, bytes_max: int) -> bytes | None:
        """All of the body where it has come, in one part and not larger; none where it has not."""
        if len(self._parts) != 1 or self._unread > bytes_max or not self._connection.is_whole(self):
            return None
        self._unread = 0
        return self._parts.popleft()

    async def whole(self, bytes_max: int) -> bytes | None:
        """All of the body, or none when it is larger. Raises `Unanswered` where it breaks off."""
        kept: list[bytes] = []
        size = 0
        while True:
            while self._parts:
                part = self._parts.popleft()
                self._unread -= len(part)
                size += len(part)
                kept.append(part)
            if size > bytes_max:
                return None
            if self._connection.is_whole(self):
                return kept[0] if len(kept) == 1 else b"".join(kept)
            self._connection.resume(self._unread)
            await self._more()

    def __enter__(self) -> Response:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.leave(self)

    def take(self, part: bytes) -> int:
        """More of the body came; how much of it is unread now."""
        self._parts.append(part)
        self._unread += len(part)
        self.wake()
        return self._unread

    def wake(self) -> None:
        """There is something new for who waits."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _more(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter


class _Connection(asyncio.Protocol):
    """One connection: one request at a time, and its answer."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, among: set[_Connection], free: Callable[[_Connection], None]
    ) -> None:
        self._loop = loop
        self._among = among
        self._free = free
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._head: asyncio.Future[Response] | None = None
        self._response: Response | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._headers_bytes = 0
        self._bytes = 0
        self._body_bytes = 0
        self._ended = False
        self._lasts = True
        self._paused = False
        self._fault: Exception | None = None
        self.idle_since_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._fault is None and not self._transport.is_closing()

    def asked(self, text: bytes) -> asyncio.Future[Response]:
        """Send a request; what comes of it is the head of its answer. Whoever does not wait for it aborts."""
        if self._fault is not None:
            raise self._fault
        self._head = self._loop.create_future()
        self._ended = False
        self._bytes = self._body_bytes = 0
        self._transport.write(text)
        return self._head

    def is_whole(self, response: Response) -> bool:
        """Whether no more comes of an answer. Raises `Unanswered` where it broke off."""
        if self._ended and self._response is response:
            return True
        if self._fault is not None:
            raise self._fault
        return False

    def leave(self, response: Response) -> None:
        """An answer is not read any more."""
        if self._response is response and self._ended and self._lasts and self.is_open:
            self._response = self._head = None
            self.resume(0)
            self.idle_since_s = self._loop.time()
            self._free(self)
        else:
            self.abort()

    def resume(self, unread: int) -> None:
        """So much is unread now."""
        if self._paused and unread <= UNREAD_BYTES_MAX // 2:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def abort(self) -> None:
        """It is of no more use."""
        self._fault = self._fault or Unanswered("the connection was given up")
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)
        self._among.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`. An answer without a length ends so."""
        self._among.discard(self)
        if self._response is not None and not self._ended and exc is None and self._ends_with_it():
            self._ended, self._lasts = True, False
            self._response.wake()
        self._fail(exc or Unanswered("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._head is None or (self._ended and self._lasts):
            self._lasts = False  # nobody asked for this: what it would answer is not known
            self.abort()
            return
        self._bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(Unanswered(f"its answer is not HTTP ({type(error).__name__})"))
            self._transport.abort()
            return
        around = self._bytes - self._body_bytes  # head, sizes of chunks, trailers, whole or not
        if around > HEADERS_BYTES_MAX + CHUNKED_TIMES_MAX * self._body_bytes:
            self._fail(Unanswered("it sends more around its answer than an answer has"))
            self._transport.abort()

    def on_message_begin(self) -> None:
        """See `httptools.HttpResponseParser`. A second answer is one to nothing."""
        if self._ended:
            self._lasts = False
        self._headers, self._headers_bytes = [], 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """See `httptools.HttpResponseParser`."""
        self._headers_bytes += len(name) + len(value)
        if self._headers_bytes > HEADERS_BYTES_MAX or len(self._headers) >= HEADERS_COUNT_MAX:
            raise ValueError("the headers are too large")
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """See `httptools.HttpResponseParser`. An interim answer (1xx) is passed over."""
        status = self._parser.get_status_code()
        if status < 200 or self._ended or self._head is None:
            return
        self._response = Response(self, status, self._headers)
        if not self._head.done():
            self._head.set_result(self._response)

    def on_body(self, body: bytes) -> None:
        """See `httptools.HttpResponseParser`."""
        self._body_bytes += len(body)
        if self._response is None or self._ended:
            return
        if self._response.take(body) > UNREAD_BYTES_MAX and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """See `httptools.HttpResponseParser`."""
        if self._response is None or self._ended:
            return
        self._ended = True
        self._lasts = self._parser.should_keep_alive()
        self._response.wake()

    def _ends_with_it(self) -> bool:
        named = {name for name, _ in self._headers}
        return not named & {b"content-length", b"transfer-encoding"}

    def _fail(self, error: Exception) -> None:
        self._fault = self._fault or error
        if self._head is not None and not self._head.done():
            self._head.set_exception(self._fault)
        if self._response is not None:
            self._response.wake()
