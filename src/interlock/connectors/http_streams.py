"""The streams on which a server over HTTP speaks outside requests: a session's own (GET) in the older era, those of
`subscriptions/listen` in the newer one. A stream that is lost is opened again, after a pause that grows.

In the older era it goes on after its last event, if the server named that. Otherwise, and always in the newer era, what
the server said meanwhile is missed, which the listener is told. Left out: what messages mean (`http.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, Protocol

from interlock.connectors.channel import Missed
from interlock.connectors.http_client import Response, Unanswered
from interlock.mcp import server_message as messages
from interlock.mcp.event_stream import EventReader
from interlock.vocabulary.json_text import JsonObject

#: Before a lost stream is opened again; it doubles as long as nothing is said.
PAUSE_S: Final = 1.0
PAUSE_S_MAX: Final = 60.0
Said = messages.Response | messages.Asked | messages.Told | messages.Unreadable


class Way(Protocol):
    """The channel that such a stream belongs to."""

    ended: asyncio.Future[str]

    async def opened(self, last: str | None) -> Response:
        """The session's own stream, after the event of this id. Raises `Unanswered` and `OSError`."""

    async def subscribed(self, identity: int, params: JsonObject) -> Response:
        """The answer to a `subscriptions/listen`. Raises `Unanswered` and `OSError`."""

    def events(self, response: Response, reader: EventReader) -> AsyncIterator[Said]:
        """The messages of a stream. Raises `ValueError` where there are too many or too large ones."""

    async def hear(self, said: Said | Missed) -> None:
        """Take what was said."""

    def session_lost(self) -> None:
        """The server does not know the session any more."""


async def session_stream(way: Way) -> None:
    """The session's own stream, until the channel ends, the server has none, or the session is lost."""
    last: str | None = None
    pause_s, begun = PAUSE_S, False
    while not way.ended.done():
        reader = EventReader(last)
        with contextlib.suppress(Unanswered, OSError, ValueError), await way.opened(last) as response:
            if _is_stream(response):
                if begun and last is None:
                    await way.hear(Missed())
                begun = True
                async for said in way.events(response, reader):
                    pause_s = PAUSE_S
                    await way.hear(said)
            elif not begun or response.status == 405:
                return
            elif response.status in (400, 404) and last is None:
                way.session_lost()
                return
            elif response.status in (400, 404):  # it may be the event that is not known there
                reader.last_id, pause_s = None, 0.0
        last = reader.last_id
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s or PAUSE_S, PAUSE_S_MAX)


async def subscription(way: Way, identity: int, params: JsonObject) -> None:
    """What a server of the newer era says has changed, until the channel ends or the server answers: then it has ended
    it, or does not know it."""
    pause_s, begun = PAUSE_S, False
    while not way.ended.done():
        with contextlib.suppress(Unanswered, OSError, ValueError), await way.subscribed(identity, params) as response:
            if not _is_stream(response) and (not begun or response.status < 500):
                return
            if _is_stream(response):
                if begun:
                    await way.hear(Missed())
                begun = True
                async for said in way.events(response, EventReader()):
                    if isinstance(said, messages.Response):
                        return
                    pause_s = PAUSE_S
                    await way.hear(said)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_S_MAX)


def _is_stream(response: Response) -> bool:
    return response.status == 200 and response.content_type == "text/event-stream"
