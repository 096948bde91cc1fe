"""The way back to a client over HTTP: one JSON answer, nothing, or an event stream; and the messages that wait for it.

An answer is plain JSON where one message is all there is, an event stream where more comes or it takes long. Headers
of answers are fixed texts or made here; nothing of a peer's ever becomes a header (no response splitting).

Messages wait as the events they will be, written once. They are bounded in number and in bytes: for one stream, and for
one agent in all its streams. What does not fit is counted, never kept: a reader that stalls costs so much and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from interlock.gateway.limits import (
    AGENT_BYTES_MAX,
    COMMENT_EVERY_S,
    STALLED_S_MAX,
    STREAM_AFTER_S,
    STREAM_BYTES_MAX,
    STREAM_MESSAGES_MAX,
)
from interlock.mcp.event_stream import event
from interlock.vocabulary.json_text import JsonObject, encode

AsgiMessage = dict[str, object]
Send = Callable[[AsgiMessage], Awaitable[None]]
Receive = Callable[[], Awaitable[AsgiMessage]]
HeaderList = list[tuple[bytes, bytes]]

_JSON: Final = (b"content-type", b"application/json")
_NO_STORE: Final = (b"cache-control", b"no-store")
_STREAM: Final[HeaderList] = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


async def send_json(send: Send, status: int, value: JsonObject, extra: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """One JSON message and the end."""
    body = encode(value)
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [_JSON, _NO_STORE, length, *extra]})
    await send({"type": "http.response.body", "body": body})


async def send_empty(send: Send, status: int, extra: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """A status without a body."""
    headers = [(b"content-length", b"0"), _NO_STORE, *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class Outlet:
    """The way to one request's client. What is sent before the answer turns the answer into a stream, if the client
    takes one."""

    def __init__(self, send: Send, backlog: Backlog, *, streams: bool) -> None:
        self._send = patient(send)
        self._streams = streams
        self._waiting = backlog
        self._started = False

    @property
    def streams(self) -> bool:
        """Whether anything but the answer can be sent."""
        return self._streams

    def put(self, message: JsonObject) -> bool:
        """Send a message before the answer; false when it does not fit or cannot be sent."""
        return self._streams and self._waiting.put(message)

    async def run(self, work: asyncio.Task[tuple[int, JsonObject]]) -> None:
        """Send what comes until the work is done, then its answer."""
        try:
            await self._run(work)
        finally:
            self._waiting.close()

    async def _run(self, work: asyncio.Task[tuple[int, JsonObject]]) -> None:
        if not self._streams:
            status, answer = await work
            await send_json(self._send, status, answer)
            return
        deadline = STREAM_AFTER_S
        while not work.done() or not self._waiting.is_empty:
            if not await self._step(work, deadline):
                deadline = COMMENT_EVERY_S
        status, answer = work.result()
        if not self._started:
            await send_json(self._send, status, answer)
            return
        await self._event(event(answer))
        await self._send({"type": "http.response.body", "body": b""})

    async def abandon(self) -> None:
        """The request was cancelled: it ends without an answer."""
        if self._started:
            await self._send({"type": "http.response.body", "body": b""})
        else:
            await send_empty(self._send, 202)

    async def _step(self, work: asyncio.Task[tuple[int, JsonObject]], wait_s: float) -> bool:
        """One message, or the end of the work, or a comment when neither came in time (false)."""
        get = asyncio.ensure_future(self._waiting.get())
        done, _ = await asyncio.wait({work, get}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        if get in done:
            await self._event(get.result())
            return True
        get.cancel()
        if not done:
            await self._start()
            await self._send({"type": "http.response.body", "body": b": waiting\n\n", "more_body": True})
        return bool(done)

    async def _event(self, text: bytes | None) -> None:
        await self._start()
        await self._send({"type": "http.response.body", "body": text or b"", "more_body": True})

    async def _start(self) -> None:
        if not self._started:
            self._started = True
            await self._send({"type": "http.response.start", "status": 200, "headers": _STREAM})


class ClientStalled(OSError):
    """The client takes nothing of its answer."""


def patient(send: Send) -> Send:
    """The same for a client that may stall. Raises `ClientStalled` for one that takes nothing for too long."""

    async def within(part: AsgiMessage) -> None:
        try:
            async with asyncio.timeout(STALLED_S_MAX):
                await send(part)
        except TimeoutError as error:
            raise ClientStalled("the client takes nothing") from error

    return within


async def stream(send: Send, queue: Backlog, gone: asyncio.Task[None]) -> None:
    """A stream of its own (GET, subscriptions): messages until a none or until the client is gone."""
    send = patient(send)
    await send({"type": "http.response.start", "status": 200, "headers": _STREAM})
    await send({"type": "http.response.body", "body": b": open\n\n", "more_body": True})
    while not gone.done():
        get = asyncio.ensure_future(queue.get())
        done, _ = await asyncio.wait({get, gone}, timeout=COMMENT_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        if get not in done:
            get.cancel()
            if not done:
                await send({"type": "http.response.body", "body": b": waiting\n\n", "more_body": True})
            continue
        message = get.result()
        if message is None:
            break
        await send({"type": "http.response.body", "body": message, "more_body": True})
    if not gone.done():
        await send({"type": "http.response.body", "body": b""})


@dataclass(slots=True)
class Allowance:
    """Bytes that all streams of one agent hold."""

    held: int = 0

    def takes(self, size: int) -> bool:
        """Whether so many more may be held; then they are."""
        if self.held + size > AGENT_BYTES_MAX:
            return False
        self.held += size
        return True


class Backlog:
    """What waits for one stream. A none is its end."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._bytes = 0
        self._closed = False
        self.lost = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self._waiting.empty()

    def put(self, message: JsonObject) -> bool:
        """Have a message wait; false when it does not fit, and then it is lost."""
        text = event(message)
        full = self._waiting.qsize() >= STREAM_MESSAGES_MAX or self._bytes + len(text) > STREAM_BYTES_MAX
        if self._closed or full or not self._allowance.takes(len(text)):
            self.lost += 1
            return False
        self._bytes += len(text)
        self._waiting.put_nowait(text)
        return True

    def end(self) -> None:
        """Nothing comes after what waits."""
        self._waiting.put_nowait(None)

    async def get(self) -> bytes | None:
        """The next event, or none at the end."""
        text = await self._waiting.get()
        self._gone(text)
        return text

    def close(self) -> None:
        """Nobody reads it any more."""
        self._closed = True
        while not self._waiting.empty():
            self._gone(self._waiting.get_nowait())

    def _gone(self, text: bytes | None) -> None:
        if text is not None:
            self._bytes -= len(text)
            self._allowance.held -= len(text)


@dataclass(slots=True)
class Backlogs:
    """Makes them, by agent."""

    _allowances: dict[str, Allowance] = field(default_factory=dict)

    def of(self, agent: str) -> Backlog:
        """A backlog of one more stream of this agent."""
        return Backlog(self._allowances.setdefault(agent, Allowance()))
