"""One MCP server over streamable HTTP: a POST for each message, its answer plain JSON or an event stream, in either
era.

The URL and the credential are the operator's; nothing an agent sends chooses where a request goes. Redirects are not
followed, proxies of the environment not used, and every answer is bounded in size. Left out: resuming streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final

from interlock.connectors import messages
from interlock.connectors.configuration import Connector, Http
from interlock.connectors.events import EventReader, EventTooLarge
from interlock.connectors.headers import mirrored_headers, safe_header
from interlock.connectors.questions import outcome_of
from interlock.mediate.json_text import TEXT_BYTES_MAX, JsonObject, MalformedJson, object_at, parse, text_at
from interlock.mediate.upstream import Broken, Exchange, Reply

if TYPE_CHECKING:
    import aiohttp

CONNECT_S_MAX: Final = 10.0
CONNECTIONS_MAX: Final = 64
MESSAGES_PER_ANSWER_MAX: Final = 10_000
SESSION_CHARACTERS_MAX: Final = 1_024
_SESSION: Final = "Mcp-Session-Id"


class HttpChannel:
    """See the module. Implements `link.Channel`; one for each (connector, agent), so a session is one agent's."""

    def __init__(self, connector: Connector, agent: str, told: Callable[[messages.Told], None]) -> None:
        assert isinstance(connector.server, Http)
        self._connector = connector
        self._server = connector.server
        self._told = told
        self._ids = itertools.count(1)
        self._turns = asyncio.Semaphore(connector.concurrency if connector.concurrency > 1 else CONNECTIONS_MAX)
        self._client: aiohttp.ClientSession | None = None
        self._session: str | None = None
        self._version: str | None = None
        self._schemas: dict[str, JsonObject] = {}
        self._stream: asyncio.Task[None] | None = None
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def request(self, method: str, params: JsonObject, exchange: Exchange, timeout_ms: int) -> Reply:
        """Send one request and read its answer."""
        async with self._turns:
            if self.ended.done():
                return Broken(self.ended.result(), reached=False)
            identity = next(self._ids)
            try:
                async with asyncio.timeout(timeout_ms / 1000):
                    reply = await self._exchange(identity, method, params, exchange)
            except TimeoutError:
                await self._cancel(identity, method, "timeout")
                return Broken(f"the server did not answer within {timeout_ms / 1000:g} s", reached=True)
            except asyncio.CancelledError:
                await asyncio.shield(self._cancel(identity, method, "the caller went away"))
                raise
            self._learn(method, reply)
            return reply

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification; whether it was taken is the server's affair."""
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            await self._post_quietly(messages.notification(method, params), method)
        if method == "notifications/initialized" and self._session is not None:
            self._stream = asyncio.create_task(self._listen())

    async def close(self, why: str) -> None:
        """End the session there, and the connections."""
        if not self.ended.done():
            self.ended.set_result(why)
        if self._stream is not None:
            self._stream.cancel()
        client, self._client = self._client, None
        if client is None:
            return
        if self._session is not None:
            with contextlib.suppress(Exception):  # a server that is gone needs no goodbye
                async with asyncio.timeout(2), client.delete(self._server.url, headers=self._headers(None, {})):
                    pass
        await client.close()

    async def _exchange(self, identity: int, method: str, params: JsonObject, exchange: Exchange) -> Reply:
        import aiohttp

        meta = object_at(params, "_meta")
        token = meta.get("progressToken")
        if token is not None:
            params = {**params, "_meta": {**meta, "progressToken": identity}}
        body = messages.request(identity, method, params)
        try:
            async with self._opened().post(
                self._server.url, data=body, headers=self._headers(method, params), allow_redirects=False
            ) as response:
                return await self._read(response, identity, method, exchange, token)
        except aiohttp.ClientConnectorError as error:
            return Broken(f"cannot connect: {error}"[:300], reached=False)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Broken(f"the connection failed: {error}"[:300], reached=True)

    async def _read(
        self, response: aiohttp.ClientResponse, identity: int, method: str, exchange: Exchange, token: object
    ) -> Reply:
        if response.status == 404 and self._session is not None and method != "initialize":
            await self.close("the server ended the session")
            return Broken("the server ended the session", reached=False)
        if response.content_type == "text/event-stream" and response.status == 200:
            return await self._read_events(response, identity, exchange, token)
        if response.content_type != "application/json":
            return Broken(f"it answers with status {response.status} and no JSON", reached=response.status < 400)
        said = messages.read(parse(await _bounded(response)))
        if not isinstance(said, messages.Response) or (said.id != identity and said.id is not None):
            return Broken(f"it answers with status {response.status} and no answer to the request", reached=True)
        self._take_session(response, method)
        return said.reply

    async def _read_events(
        self, response: aiohttp.ClientResponse, identity: int, exchange: Exchange, token: object
    ) -> Reply:
        self._take_session(response, None)
        async for message in _events(response):
            if isinstance(message, messages.Response):
                if message.id == identity:
                    return message.reply
            elif isinstance(message, messages.Asked):
                outcome = await outcome_of(message, exchange, self._connector)
                await self._post_quietly(messages.answer(message.id, outcome), None)
            else:
                self._pass_on(message, identity, exchange, token)
        return Broken("the stream ended without an answer", reached=True)

    def _pass_on(self, told: messages.Told, identity: int, exchange: Exchange, token: object) -> None:
        if told.method == "notifications/progress":
            if exchange.notify is not None and token is not None and told.params.get("progressToken") == identity:
                params = {**told.params, "progressToken": token}
                exchange.notify({"jsonrpc": "2.0", "method": told.method, "params": params})
        elif told.method == "notifications/message" and exchange.notify is not None:
            exchange.notify({"jsonrpc": "2.0", "method": told.method, "params": told.params})
        else:
            self._told(told)

    async def _listen(self) -> None:
        """The session's own stream, where the server has one: what it says outside requests. Its loss is no failure."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_S_MAX)
        with contextlib.suppress(aiohttp.ClientError, OSError, ValueError):
            headers = {**self._headers(None, {}), "Accept": "text/event-stream"}
            async with self._opened().get(
                self._server.url, headers=headers, allow_redirects=False, timeout=timeout
            ) as response:
                if response.status != 200 or response.content_type != "text/event-stream":
                    return
                async for message in _events(response):
                    if isinstance(message, messages.Told):
                        self._told(message)
                    elif isinstance(message, messages.Asked):
                        outcome = await outcome_of(message, None, self._connector)
                        await self._post_quietly(messages.answer(message.id, outcome), None)

    async def _post_quietly(self, body: bytes, method: str | None) -> None:
        import aiohttp

        try:
            async with (
                asyncio.timeout(CONNECT_S_MAX),
                self._opened().post(
                    self._server.url, data=body, headers=self._headers(method, {}), allow_redirects=False
                ),
            ):
                return
        except aiohttp.ClientError as error:
            raise OSError(str(error)) from error

    async def _cancel(self, identity: int, method: str, why: str) -> None:
        """Legacy servers are told; for a modern one the closed stream says it."""
        if self._version == messages.MODERN or method in ("initialize", "server/discover"):
            return
        with contextlib.suppress(OSError, TimeoutError):
            body = messages.notification("notifications/cancelled", {"requestId": identity, "reason": why})
            await self._post_quietly(body, None)

    def _headers(self, method: str | None, params: JsonObject) -> dict[str, str]:
        headers = {
            **self._server.headers,
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        version = text_at(object_at(params, "_meta"), f"{messages.META}protocolVersion") or self._version
        if version is not None and method != "initialize":
            headers["MCP-Protocol-Version"] = version
        if self._session is not None and version != messages.MODERN:
            headers[_SESSION] = self._session
        if version == messages.MODERN and method is not None:
            headers["Mcp-Method"] = method
            name = text_at(params, "uri" if method == "resources/read" else "name")
            if name is not None:
                headers["Mcp-Name"] = safe_header(name)
            schema = self._schemas.get(name or "") if method == "tools/call" else None
            headers.update(mirrored_headers(schema, object_at(params, "arguments")) if schema is not None else {})
        return headers

    def _take_session(self, response: aiohttp.ClientResponse, method: str | None) -> None:
        session = response.headers.get(_SESSION)
        if session is None or self._session is not None or len(session) > SESSION_CHARACTERS_MAX:
            return
        if session.isascii() and session.isprintable() and " " not in session:
            self._session = session

    def _learn(self, method: str, reply: Reply) -> None:
        """What later requests need: the revision agreed on, and the schemas that mirror arguments into headers."""
        value = getattr(reply, "value", None)
        if not isinstance(value, dict):
            return
        if method == "initialize":
            self._version = text_at(value, "protocolVersion")
        elif method == "server/discover":
            self._version = messages.MODERN
        elif method == "tools/list" and isinstance(value.get("tools"), list):
            for tool in value["tools"]:
                if isinstance(tool, dict) and isinstance(tool.get("name"), str):
                    self._schemas[tool["name"]] = object_at(tool, "inputSchema")

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._client is None or self._client.closed:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S_MAX),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                headers={"User-Agent": "interlock-gateway", "Accept-Encoding": "identity"},
            )
        return self._client


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > TEXT_BYTES_MAX:
            raise ValueError(f"its answer is larger than {TEXT_BYTES_MAX} bytes")
        parts.append(part)
    return b"".join(parts)


async def _events(
    response: aiohttp.ClientResponse,
) -> AsyncIterator[messages.Response | messages.Asked | messages.Told]:
    """The messages of an event stream. One that is none is skipped; too many end it."""
    reader = EventReader()
    count = 0
    async for part in response.content.iter_any():
        try:
            texts = reader.feed(part)
        except EventTooLarge as error:
            raise ValueError(str(error)) from error
        for text in texts:
            count += 1
            if count > MESSAGES_PER_ANSWER_MAX:
                raise ValueError("it sends more messages than any answer needs")
            try:
                message = messages.read(parse(text))
            except MalformedJson:
                message = None
            if message is not None:
                yield message
