"""The way back to a client over HTTP: one JSON answer, nothing, or an event stream; and the messages that wait for it.

An answer is plain JSON where one message is all there is, an event stream where more comes or it takes long. Headers
of answers are fixed texts or made here; nothing of a peer's ever becomes a header (no response splitting).

Messages wait as the events they will be, written once. They are bounded in number and in bytes: for one stream, and for
one agent in all its streams. What does not fit is counted, never kept: a reader that stalls costs so much and no more.

A stream of a session (`Stream`) outlives its connection: 2025-11-25, "Resumability and Redelivery". Its client comes
back with the id of the last event it has, and gets what followed that event on that stream, and nothing of another one.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from interlock.gateway.limits import (
    AGENT_BYTES_MAX,
    COMMENT_EVERY_S,
    ENDED_STREAM_KEPT_MS,
    ENDED_STREAMS_MAX,
    RETRY_MS,
    STREAM_BYTES_MAX,
    STREAM_MESSAGES_MAX,
)
from interlock.mcp.event_stream import begins, event
from interlock.vocabulary.json_text import JsonObject, encode

AsgiMessage = dict[str, object]
SendPart = Callable[[AsgiMessage], Awaitable[None]]
Receive = Callable[[], Awaitable[AsgiMessage]]
HeaderList = list[tuple[bytes, bytes]]
#: Status, headers (that of the length is added) and body of an answer that is whole.
SendWhole = Callable[[int, HeaderList, bytes], Awaitable[None]]

_JSON: Final = (b"content-type", b"application/json")
_NO_STORE: Final = (b"cache-control", b"no-store")
_STREAM: Final[HeaderList] = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_WAITING: Final[AsgiMessage] = {"type": "http.response.body", "body": b": waiting\n\n", "more_body": True}


class Send(Protocol):
    """The way to one client, over HTTP. `at_length` is called where the answer takes long."""

    at_length: Callable[[], None] | None

    def __call__(self, part: AsgiMessage) -> Awaitable[None]:
        """Send a part of an answer, as ASGI has it."""

    def whole(self, status: int, headers: HeaderList, body: bytes) -> Awaitable[None]:
        """Send an answer that is whole, in one piece. Its length is said for it."""


async def send_json(send: Send, status: int, value: JsonObject, extra: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """One JSON message and the end."""
    await _send_body(send, status, encode(value), extra)


async def send_array(send: Send, status: int, values: list[JsonObject]) -> None:
    """Several JSON messages as one array, and the end."""
    await _send_body(send, status, encode(values), ())


async def _send_body(send: Send, status: int, body: bytes, extra: Iterable[tuple[bytes, bytes]]) -> None:
    await send.whole(status, [_JSON, _NO_STORE, *extra], body)


async def send_empty(send: Send, status: int, extra: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """A status without a body."""
    await send.whole(status, [_NO_STORE, *extra], b"")


class Outlet:
    """The way to one request's client. What is sent before the answer turns the answer into a stream, if the client
    takes one; so does work that takes long. `stalled` is told when the client takes nothing of that stream."""

    def __init__(self, send: Send, made: Callable[[], Backlog], *, streams: bool, stalled: Callable[[], None]) -> None:
        self._send = send
        self._made = made
        self._backlog: Backlog | None = None
        self._stalled = stalled
        self._stream: asyncio.Task[None] | None = None
        self.streams = streams

    def put(self, message: JsonObject) -> bool:
        """Send a message before the answer; false when it does not fit or cannot be sent."""
        if not self.streams or not self._waiting.put(message):
            return False
        self._begin()
        return True

    async def run(self, work: Coroutine[object, object, tuple[int, JsonObject]]) -> None:
        """Do the work and send its answer. Raises what sending and the work raise. Cancelling this cancels the work,
        and waits for what it does on its way out."""
        if self.streams:
            self._send.at_length = self._begin
        try:
            status, answer = await work
            if self._stream is None:
                self._send.at_length, self.streams = None, False  # the answer is all that is said
                await send_json(self._send, status, answer)
                return
            self._waiting.end()
            await self._stream
            await self._send({"type": "http.response.body", "body": event(answer), "more_body": True})
            await self._send({"type": "http.response.body", "body": b""})
        finally:
            self._send.at_length = None
            if self._stream is not None and not self._stream.done():
                self._stream.cancel()
                await asyncio.wait({self._stream})
            if self._backlog is not None:
                self._backlog.close()

    @property
    def _waiting(self) -> Backlog:
        if self._backlog is None:
            self._backlog = self._made()
        return self._backlog

    def _begin(self) -> None:
        if self._stream is None:
            self._stream = asyncio.create_task(self._run())
            self._stream.add_done_callback(self._ended)

    async def _run(self) -> None:
        """Send what waits, until its end; a comment where nothing comes for long."""
        await self._send({"type": "http.response.start", "status": 200, "headers": _STREAM})
        if self._waiting.is_empty:
            await self._send(_WAITING)
        while True:
            try:
                async with asyncio.timeout(COMMENT_EVERY_S):
                    text = await self._waiting.get()
            except TimeoutError:
                await self._send(_WAITING)
                continue
            if text is None:
                return
            await self._send({"type": "http.response.body", "body": text, "more_body": True})

    def _ended(self, stream: asyncio.Task[None]) -> None:
        if not stream.cancelled() and stream.exception() is not None:
            self._stalled()


async def stream(send: Send, queue: Backlog, gone: asyncio.Future[None]) -> None:
    """A stream of its own (GET, subscriptions): messages until a none or until the client is gone."""
    await send({"type": "http.response.start", "status": 200, "headers": _STREAM})
    await send({"type": "http.response.body", "body": b": open\n\n", "more_body": True})
    while not gone.done():
        get = asyncio.ensure_future(queue.get())
        either: set[asyncio.Future[bytes | None] | asyncio.Future[None]] = {get, gone}
        done, _ = await asyncio.wait(either, timeout=COMMENT_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        if get not in done:
            get.cancel()
            if not done:
                await send(_WAITING)
            continue
        message = get.result()
        if message is None:
            break
        await send({"type": "http.response.body", "body": message, "more_body": True})
    if not gone.done():
        await send({"type": "http.response.body", "body": b""})


@dataclass(slots=True)
class Allowance:
    """Bytes that all streams of one agent hold, and those of its streams that may be come back to."""

    held: int = 0
    streams: dict[int, Stream] = field(default_factory=dict)

    def takes(self, size: int) -> bool:
        """Whether so many more may be held; then they are."""
        if self.held + size > AGENT_BYTES_MAX:
            return False
        self.held += size
        return True

    def make_room(self) -> bool:
        """Have one event forgotten that nobody waits for, of the stream that ended first, else of any that was taken;
        false when there is none."""
        spare = [each for each in self.streams.values() if each.spares]
        if not spare:
            return False
        min(spare, key=lambda each: (each.ended_ms is None, each.ended_ms or 0)).drop_oldest()
        return True


class Backlog:
    """What waits for one stream, which one reader takes from. A none is its end."""

    __slots__ = ("_allowance", "_bytes", "_closed", "_reader", "_waiting", "lost")

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._waiting: deque[bytes | None] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._bytes = 0
        self._closed = False
        self.lost = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def put(self, message: JsonObject) -> bool:
        """Have a message wait; false when it does not fit, and then it is lost."""
        text = event(message)
        full = len(self._waiting) >= STREAM_MESSAGES_MAX or self._bytes + len(text) > STREAM_BYTES_MAX
        if self._closed or full or not self._allowance.takes(len(text)):
            self.lost += 1
            return False
        self._bytes += len(text)
        self._add(text)
        return True

    def end(self) -> None:
        """Nothing comes after what waits."""
        self._add(None)

    async def get(self) -> bytes | None:
        """The next event, or none at the end."""
        while not self._waiting:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        text = self._waiting.popleft()
        self._gone(text)
        return text

    def close(self) -> None:
        """Nobody reads it any more."""
        self._closed = True
        while self._waiting:
            self._gone(self._waiting.popleft())

    def _add(self, text: bytes | None) -> None:
        self._waiting.append(text)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

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
        return Backlog(self.allowance(agent))

    def allowance(self, agent: str) -> Allowance:
        """What all streams of this agent may hold together."""
        return self._allowances.setdefault(agent, Allowance())


_EVENT_ID: Final = re.compile(r"(\d{1,9})\.(\d{1,9})", re.ASCII)


def event_named(identity: str) -> tuple[int, int] | None:
    """The numbers of a stream and of an event on it, from the id of the event; none for what is not one of ours."""
    found = _EVENT_ID.fullmatch(identity)
    return (int(found[1]), int(found[2])) if found is not None else None


class Stream:
    """One stream of a session: what was said on it, and the connection that follows it now.

    Events are kept after they were sent, until room is needed: the oldest that a connection has taken go first. What no
    connection has taken goes only for the answer, which is what a client comes back for.
    """

    def __init__(self, number: int, allowance: Allowance) -> None:
        self.number = number
        self.last = 0
        self.lost = 0
        self.ended_ms: int | None = None
        self.begun = False
        self._allowance = allowance
        self._kept: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._taken = 0
        self._closed = False
        self._follower: asyncio.Event | None = None
        self._first_word: Callable[[], None] | None = None

    @property
    def is_silent(self) -> bool:
        """Whether nothing was said on it."""
        return self.last == 0

    @property
    def spares(self) -> bool:
        """Whether its oldest event was taken, or is kept for a client that may come back after the end."""
        if not self._kept:
            return False
        return self._kept[0][0] <= self._taken or (self.ended_ms is not None and not self.is_followed)

    @property
    def is_followed(self) -> bool:
        """Whether a connection takes what is said."""
        return self._follower is not None

    def at_first_word(self, tell: Callable[[], None]) -> None:
        """Tell when something is said for the first time."""
        self._first_word = tell

    def identity(self, number: int) -> str:
        """The id of an event, unique in its session."""
        return f"{self.number}.{number}"

    def put(self, message: JsonObject) -> bool:
        """Say something; false when it does not fit, and then it is lost."""
        text = event(message, self.identity(self.last + 1))
        while not self._fits(len(text)) and self._kept and self._kept[0][0] <= self._taken:
            self.drop_oldest()
        self._have_room(len(text))
        if self._closed or self.ended_ms is not None or not self._fits(len(text)):
            self.lost += 1
            return False
        self._append(text)
        return True

    def answer(self, message: JsonObject) -> None:
        """Say what the client waits for: it makes room for itself. While a connection takes it, it need not fit."""
        text = event(message, self.identity(self.last + 1))
        self._have_room(len(text))
        while not self._fits(len(text)) and self._kept:
            self.lost += self._kept[0][0] > self._taken
            self.drop_oldest()
        if self._closed or not (self.is_followed or self._fits(len(text))):
            self.lost += 1
            return
        self._append(text)

    def end(self, now_ms: int) -> None:
        """Nothing is said any more."""
        if self.ended_ms is None:
            self.ended_ms = now_ms
        self._wake()

    def close(self) -> None:
        """Nobody comes back to it."""
        self._closed = True
        while self._kept:
            self.drop_oldest()
        self._wake()

    async def follow(self, send: Send, after: int, gone: asyncio.Future[None], *, begins_with: bytes) -> None:
        """Send what was said after an event, and what will be said, until the end or until the client is gone. Whoever
        comes last follows: the connection before it ends."""
        if self._follower is not None:
            self._follower.set()
        mine = self._follower = asyncio.Event()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _STREAM})
            await _part(send, begins_with)
            while not gone.done() and self._follower is mine:
                mine.clear()
                following = self._after(after)
                if following is not None:
                    after = following[0]
                    self._taken = max(self._taken, after)
                    await _part(send, following[1])
                elif self._closed or self.ended_ms is not None:
                    break
                elif not await _woken(mine, gone):
                    await _part(send, b": waiting\n\n")
            if not gone.done():
                await send({"type": "http.response.body", "body": b""})
        finally:
            if self._follower is mine:
                self._follower = None
                self._give_back()

    def _after(self, number: int) -> tuple[int, bytes] | None:
        """The first event after another one that is still there: they are numbered without a gap."""
        at = max(0, number + 1 - self._kept[0][0]) if self._kept else 0
        return self._kept[at] if at < len(self._kept) else None

    def _fits(self, size: int) -> bool:
        full = len(self._kept) >= STREAM_MESSAGES_MAX or self._bytes + size > STREAM_BYTES_MAX
        return not full and self._allowance.held + size <= AGENT_BYTES_MAX

    def _append(self, text: bytes) -> None:
        self.last += 1
        self._kept.append((self.last, text))
        self._bytes += len(text)
        self._allowance.held += len(text)
        if self.last == 1 and self._first_word is not None:
            self._first_word()
        self._wake()

    def _have_room(self, size: int) -> None:
        """What other streams of the agent keep for a client that may come back is less than what is said now."""
        while self._allowance.held + size > AGENT_BYTES_MAX and self._allowance.make_room():
            continue

    def drop_oldest(self) -> None:
        """The oldest event is forgotten."""
        _, text = self._kept.popleft()
        self._bytes -= len(text)
        self._allowance.held -= len(text)

    def _give_back(self) -> None:
        """What did not fit and was there for its connection alone goes with it."""
        while self._kept and self._allowance.held > AGENT_BYTES_MAX:
            self.drop_oldest()

    def _wake(self) -> None:
        if self._follower is not None:
            self._follower.set()


async def _part(send: Send, text: bytes) -> None:
    await send({"type": "http.response.body", "body": text, "more_body": True})


async def _woken(waking: asyncio.Event, gone: asyncio.Future[None]) -> bool:
    """Wait for a word or for the client's going; false when it is time for a comment."""
    wait = asyncio.ensure_future(waking.wait())
    either: set[asyncio.Future[Literal[True]] | asyncio.Future[None]] = {wait, gone}
    try:
        done, _ = await asyncio.wait(either, timeout=COMMENT_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        wait.cancel()


class Streams:
    """The streams of one session, by number."""

    def __init__(self, allowance: Allowance, now_ms: Callable[[], int], *, primes: bool) -> None:
        """`primes`: whether a stream begins with the id of an event that is none."""
        self._allowance = allowance
        self._now_ms = now_ms
        self._primes = primes
        self._all: dict[int, Stream] = {}
        self._numbers = 0

    def open(self) -> Stream:
        """One more. Streams that ended long ago, or before many others, and that nobody follows are forgotten."""
        now_ms = self._now_ms()
        ended = [each for each in self._all.values() if each.ended_ms is not None and not each.is_followed]
        old = [each for each in ended if now_ms - (each.ended_ms or 0) > ENDED_STREAM_KEPT_MS]
        for each in {*old, *ended[: max(0, len(ended) - ENDED_STREAMS_MAX)]}:
            self.forget(each)
        self._numbers += 1
        stream = self._all[self._numbers] = Stream(self._numbers, self._allowance)
        self._allowance.streams[id(stream)] = stream
        return stream

    def never_began(self, stream: Stream | None) -> None:
        """Nothing is said on it after all."""
        if stream is not None:
            self.forget(stream)

    def forget(self, stream: Stream) -> None:
        """Nobody can come back to it."""
        self._all.pop(stream.number, None)
        self._allowance.streams.pop(id(stream), None)
        stream.close()

    def find(self, identity: str) -> tuple[Stream, int] | None:
        """The stream of an event of this session, and the event's number."""
        numbers = event_named(identity)
        stream = self._all.get(numbers[0]) if numbers is not None else None
        if numbers is None or stream is None or not stream.begun or numbers[1] > stream.last:
            return None
        return stream, numbers[1]

    def begins(self, stream: Stream) -> bytes:
        """How a stream begins."""
        stream.begun = True
        return begins(stream.identity(0) if self._primes else None, RETRY_MS)

    def close(self) -> None:
        """The session is over."""
        for each in tuple(self._all.values()):
            each.end(self._now_ms())
            self.forget(each)
