"""A server of the oldest transport that takes the request for its stream and says nothing holds nobody."""

from __future__ import annotations

import asyncio

import pytest

from interlock.connectors import oldest
from interlock.connectors.http_client import HttpClient


def test_a_stream_that_never_begins_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oldest, "ENDPOINT_S_MAX", 0.2)

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def opened() -> None:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sse"
        client = HttpClient(url)
        with pytest.raises(oldest.NotThere, match="opens no stream"):
            await asyncio.wait_for(oldest.opened(url, client, {}), 10)
        client.close()
        server.close()

    asyncio.run(opened())
