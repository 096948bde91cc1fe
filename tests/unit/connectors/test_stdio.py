"""A request to a stdio server that is called off just before it would be sent: the supervisor forgets its id."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from interlock.connectors.configuration import Connector, Stdio
from interlock.connectors.launch import LastWords
from interlock.connectors.stdio import StdioChannel
from interlock.mediate.upstream import Broken, Exchange
from interlock.vocabulary.effect import Effect


class Held:
    """A server that says nothing, and what its supervisor was told."""

    session, process, denied = "s-20261121T120001-000000", 1, ()

    def __init__(self) -> None:
        self.output = asyncio.StreamReader()
        self.contexts: list[str | None] = []
        self.written: list[bytes] = []
        self.input = self

    def context(self, parent: str | None) -> asyncio.Future[None]:
        self.contexts.append(parent)
        taken = asyncio.get_running_loop().create_future()
        taken.set_result(None)
        return taken

    def is_closing(self) -> bool:
        return False

    def write(self, line: bytes) -> None:
        self.written.append(line)

    async def drain(self) -> None:
        return None

    async def end(self) -> None:
        return None

    async def last_words(self) -> LastWords:
        return LastWords()


async def refused_after_its_announcement() -> tuple[Any, Held]:
    held = Held()
    channel = StdioChannel(cast(Any, held), Connector("c", Stdio(("x",), {})), lambda _: None)
    exchange = Exchange("s-20261121T120001-000000/1", revalidate=lambda: "the token was revoked")
    reply = await channel.request("tools/call", {}, exchange, 1_000)
    await channel.close("over")
    return reply, held


def test_what_is_refused_after_its_id_was_told_is_forgotten_by_the_supervisor(tmp_path: Path) -> None:
    reply, held = asyncio.run(refused_after_its_announcement())
    assert reply == Broken("the token was revoked", Effect.NOT_SENT)
    assert held.written == [] and held.contexts == ["s-20261121T120001-000000/1", None]
