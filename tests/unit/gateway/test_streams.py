"""Streams of one session that end together, more than are kept: whoever follows one gets its answer all the same."""

from __future__ import annotations

import asyncio
from typing import Any

from interlock.gateway.limits import ENDED_STREAMS_MAX
from interlock.gateway.outlet import Allowance, AsgiMessage, HeaderList, Stream, Streams

MANY = 3 * ENDED_STREAMS_MAX


class Slow:
    """A client that takes nothing until it is let."""

    at_length = None

    def __init__(self, goes: asyncio.Event) -> None:
        self._goes = goes
        self.taken = b""

    async def __call__(self, part: AsgiMessage) -> None:
        await self._goes.wait()
        body = part.get("body", b"")
        assert isinstance(body, bytes)
        self.taken += body

    async def whole(self, status: int, headers: HeaderList, body: bytes) -> None:
        raise AssertionError("a stream is not sent whole")


def test_an_answer_is_not_forgotten_while_a_connection_follows_it() -> None:
    async def work() -> list[bytes]:
        streams, goes = Streams(Allowance(), lambda: 1, primes=True), asyncio.Event()
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        clients: list[Slow] = []
        following: list[asyncio.Task[Any]] = []
        made: list[Stream] = []
        for _ in range(MANY):
            stream, client = streams.open(), Slow(goes)
            made.append(stream)
            clients.append(client)
            following.append(asyncio.create_task(stream.follow(client, 0, gone, begins_with=streams.begins(stream))))
        await asyncio.sleep(0)
        for number, stream in enumerate(made):
            stream.answer({"answers": number})
            stream.end(1)
        streams.open()
        goes.set()
        await asyncio.gather(*following)
        return [client.taken for client in clients]

    taken = asyncio.run(asyncio.wait_for(work(), 20))
    assert all(f'"answers":{number}'.encode() in each for number, each in enumerate(taken))
