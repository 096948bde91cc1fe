"""A server that speaks only the transport of 2024-11-05, "HTTP with SSE", as a stream of lines each way: so it is held
to all that a server over stdio is held to (`stdio.py`), and nothing about requests is said twice.

GET opens the stream; its first event says where to post, which has to be at the same origin: the credential goes there.
Whatever breaks on either way ends the server, and the next request reaches it anew (`link.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Final

from interlock.connectors.http_client import HttpClient, Response, Unanswered
from interlock.connectors.launch import LastWords
from interlock.mcp.event_stream import EventReader, EventTooLarge, StreamEvent
from interlock.vocabulary.json_text import TEXT_BYTES_MAX

#: From the opened stream to the event that says where to post.
ENDPOINT_S_MAX: Final = 10.0
POST_S_MAX: Final = 30.0
LINE_BYTES_MAX: Final = TEXT_BYTES_MAX + 1_024
PLACE_CHARACTERS_MAX: Final = 2_048


class NotThere(Exception):
    """No server of that transport is there; the message says why."""


class OldestServer:
    """One opened stream, and the place to post to. Implements `launch.Running`; no session of the host plane holds it,
    so nobody is told of one."""

    session = ""
    process = 0
    denied: tuple[str, ...] = ()

    def __init__(
        self,
        output: asyncio.StreamReader,
        input: asyncio.StreamWriter,
        pumps: list[asyncio.Task[None]],
        posts: HttpClient,
    ) -> None:
        self.output = output
        self.input = input
        self._pumps = pumps
        self._posts = posts

    def context(self, parent: str | None) -> asyncio.Future[None]:
        """See `Running`."""
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        taken.set_result(None)
        return taken

    async def last_words(self) -> LastWords:
        """See `Running`."""
        return LastWords()

    async def end(self) -> None:
        """See `Running`: the session there is the stream, which ends with it."""
        for pump in self._pumps:
            pump.cancel()
        await asyncio.wait(self._pumps)
        self._posts.close()
        self.input.close()


async def opened(url: str, streams: HttpClient, headers: Mapping[str, str]) -> OldestServer:
    """Open the stream at a connector's URL. Raises `NotThere`."""
    try:
        async with asyncio.timeout(ENDPOINT_S_MAX):
            response = await streams.send("GET", {**headers, "Accept": "text/event-stream"}, b"")
    except (Unanswered, OSError, ValueError) as error:
        raise NotThere(f"it opens no stream ({error})") from error
    response.__enter__()
    try:
        return await _joined(url, response, headers)
    except BaseException:
        response.__exit__(None, None, None)
        raise


async def _joined(url: str, response: Response, headers: Mapping[str, str]) -> OldestServer:
    if response.status != 200 or response.content_type != "text/event-stream":
        raise NotThere(f"it opens no stream (status {response.status})")
    events = _events(response)
    try:
        async with asyncio.timeout(ENDPOINT_S_MAX):
            first = await anext(events)
    except (TimeoutError, StopAsyncIteration, Unanswered, OSError, EventTooLarge) as error:
        raise NotThere("its stream does not say where to post") from error
    posts = HttpClient(url)
    refusal = _place(posts, first)
    if refusal is not None:
        posts.close()
        raise NotThere(refusal)
    ours, theirs = socket.socketpair()
    output, input = await asyncio.open_connection(sock=ours, limit=LINE_BYTES_MAX)
    lines, words = await asyncio.open_connection(sock=theirs, limit=LINE_BYTES_MAX)
    pumps = [
        asyncio.create_task(_pump_in(response, events, words)),
        asyncio.create_task(_pump_out(lines, words, posts, headers)),
    ]
    return OldestServer(output, input, pumps, posts)


def _place(posts: HttpClient, first: StreamEvent) -> str | None:
    """Post to where the first event says; why not, if that is not to be."""
    place = first.data.decode("utf-8", "replace")
    if first.kind != b"endpoint" or not place.isascii() or not place.isprintable() or len(place) > PLACE_CHARACTERS_MAX:
        return "its stream does not say where to post"
    refusal = posts.retarget(place)
    return None if refusal is None else "its stream names a place to post to at another server, which gets nothing"


async def _events(response: Response) -> AsyncIterator[StreamEvent]:
    reader = EventReader()
    async for part in response.parts():
        for each in reader.events(part):
            yield each


async def _pump_in(response: Response, events: AsyncIterator[StreamEvent], words: asyncio.StreamWriter) -> None:
    """What the server says, a line for each message, until its stream ends."""
    try:
        with contextlib.suppress(Unanswered, OSError, EventTooLarge):
            async for each in events:
                if each.kind == b"message":
                    words.write(each.data.replace(b"\n", b" ") + b"\n")
                    await words.drain()
    finally:
        response.__exit__(None, None, None)
        words.close()


async def _pump_out(
    lines: asyncio.StreamReader, words: asyncio.StreamWriter, posts: HttpClient, headers: Mapping[str, str]
) -> None:
    """Each line posted. What the server does not take ends it: nobody knows what it made of it."""
    try:
        with contextlib.suppress(Unanswered, OSError, ValueError, TimeoutError):
            while line := await lines.readline():
                async with asyncio.timeout(POST_S_MAX):
                    with await posts.send("POST", headers, line.rstrip(b"\n")) as response:
                        if not 200 <= response.status < 300:
                            return
    finally:
        words.close()
