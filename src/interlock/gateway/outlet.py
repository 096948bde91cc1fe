"""The way back to a client over HTTP: one JSON answer, nothing, or an event stream.

An answer is plain JSON where one message is all there is, an event stream where more comes or it takes long. Headers
of answers are fixed texts or made here; nothing of a peer's ever becomes a header (no response splitting).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from interlock.gateway.backlog import Backlog
from interlock.gateway.limits import COMMENT_EVERY_S, STALLED_S_MAX, STREAM_AFTER_S
from interlock.mcp.event_stream import event
from interlock.mediate.json_text import JsonObject, encode

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
