"""One MCP server over streamable HTTP: a POST for each message, its answer plain JSON or an event stream, in either
era.

The URL and the credential are the operator's; nothing an agent sends chooses where a request goes. Redirects are
followed within the same origin only and with their method kept, proxies of the environment not used, and every answer
is bounded in size. A request counts as not sent only while it has no connection: from then on nobody here knows what
left. A server that speaks only the oldest transport is reached by it (`oldest.py`). Left out: beginning a new session
after one was lost (`link.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from typing import Final

from msgspec import structs

from interlock.connectors import oldest
from interlock.connectors.channel import Missed, Sink
from interlock.connectors.configuration import Connector, Http
from interlock.connectors.http_client import HttpClient, Lines, Response, Unanswered
from interlock.connectors.http_streams import Said, session_stream, subscription
from interlock.connectors.lapse import Lapsed, Processed
from interlock.connectors.patience import Alarms, Deadline, Noise, Pace, Turns
from interlock.connectors.questions import outcome_of
from interlock.connectors.stdio import StdioChannel
from interlock.mcp import server_message as messages
from interlock.mcp.event_stream import EventReader, EventTooLarge
from interlock.mcp.request_headers import NAMED, mirrored, mirrored_headers, safe_header
from interlock.mcp.revision import META, MODERN
from interlock.mediate.line import Passage, contained
from interlock.mediate.upstream import Broken, Exchange, Reply
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import TEXT_BYTES_MAX, JsonObject, object_at, text_at
from interlock.vocabulary.printable import printable

QUIET_S_MAX: Final = 10.0
GOODBYE_S_MAX: Final = 2.0
CONNECTIONS_MAX: Final = 64
MESSAGES_PER_ANSWER_MAX: Final = 10_000
SESSION_CHARACTERS_MAX: Final = 1_024
#: A connector's URL may lead on within its own server, the method kept (RFC 9110, 15.4.8 and 15.4.9).
REDIRECTS_MAX: Final = 4
_REDIRECTS: Final = frozenset({307, 308})
#: What a server of 2024-11-05 answers to a POST at the place of its stream.
_OLDEST: Final = frozenset({400, 404, 405})
LOCATION_CHARACTERS_MAX: Final = 200
#: How often one answer is come back for, and after how long where the server does not say.
RETURNS_MAX: Final = 100
RETRY_MS: Final = 1_000
RETRY_MS_MAX: Final = 5_000
_SESSION: Final = "Mcp-Session-Id"
_VERSION: Final = f"{META}protocolVersion"
_LISTEN: Final = "subscriptions/listen"
#: Methods whose answers say what later requests need.
_TEACH: Final = frozenset({"initialize", "server/discover", "tools/list"})
#: Headers of so many requests are kept as they are sent.
LINES_KEPT_MAX: Final = 256


class HttpChannel:
    """See the module. Implements `channel.Channel`; one for each (connector, agent), so a session is one agent's."""

    def __init__(self, connector: Connector, server: Http, agent: str, told: Sink) -> None:
        self._connector = connector
        self._server = server
        self._told = told
        self._ids = itertools.count(1)
        self._turns = Turns(connector.concurrency if connector.concurrency > 1 else CONNECTIONS_MAX)
        self._alarms = Alarms(connector.timeout_ms / 1000)
        self._client = HttpClient(server.url)
        self._always = _headers_of(server)
        self._session: str | None = None
        self._version: str | None = None
        self._schemas: dict[str, JsonObject] = {}
        self._lines: dict[tuple[str | None, str | None, str | None, str | None], Lines] = {}
        self._streams: dict[int, asyncio.Task[None]] = {}
        self._refused = False
        self._oldest: StdioChannel | None = None
        self.noise = Noise()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def denied(self) -> tuple[str, ...]:
        """See `channel.Channel`."""
        return ()

    def left(self) -> str:
        """See `channel.Channel`: nothing is heard of a server's process from here."""
        return ""

    async def probe(self, method: str, params: JsonObject, start_ms: int, answer_ms: int) -> Reply:
        """See `channel.Channel`: who is reached has started, so only the time for an answer counts."""
        reply = await self.request(method, params, Exchange(), answer_ms)
        return Broken(reply.reason, Effect.UNKNOWN) if isinstance(reply, Lapsed) else reply

    def request(
        self, method: str, params: JsonObject, exchange: Exchange, timeout_ms: int
    ) -> Awaitable[Reply | Lapsed]:
        """Send one request and read its answer."""
        if self._oldest is not None:
            return self._oldest.request(method, params, structs.replace(exchange, started=None), timeout_ms)
        if method == "initialize":
            return self._initialized(params, exchange, timeout_ms)
        return self._requested(method, params, exchange, timeout_ms)

    async def _initialized(self, params: JsonObject, exchange: Exchange, timeout_ms: int) -> Reply | Lapsed:
        reply = await self._requested("initialize", params, exchange, timeout_ms)
        if isinstance(reply, Broken) and self._refused:
            return await self._initialized_in_the_oldest_way(params, timeout_ms, reply)
        return reply

    async def _initialized_in_the_oldest_way(self, params: JsonObject, timeout_ms: int, refused: Broken) -> Reply:
        """A server that does not take `initialize` may be of 2024-11-05 (2025-03-26 and later, "Backwards
        Compatibility")."""
        try:
            running = await oldest.opened(self._server.url, self._client, self._always)
        except oldest.NotThere as error:
            return replace(refused, reason=f"{refused.reason}; nor does it speak the oldest transport: {error}")
        channel = self._oldest = StdioChannel(running, self._connector, self._told)
        self.noise = channel.noise
        channel.ended.add_done_callback(self._oldest_ended)
        return await channel.request("initialize", params, Exchange(), timeout_ms)

    def _oldest_ended(self, ended: asyncio.Future[str]) -> None:
        if not self.ended.done():
            self.ended.set_result(ended.result() if not ended.cancelled() else "it is not asked any more")

    async def _requested(self, method: str, params: JsonObject, exchange: Exchange, timeout_ms: int) -> Reply | Lapsed:
        if not self._turns.taken():
            await self._turns.wait()
        try:
            gone = self.ended.result() if self.ended.done() else exchange.revalidate()
            if gone is not None:
                return Broken(gone, exchange.passage.effect)
            identity = next(self._ids)
            try:
                with Deadline(timeout_ms / 1000, self._alarms) as deadline:
                    reply = await self._exchange(identity, method, params, exchange, deadline)
            except TimeoutError:
                await self._cancel(identity, method, "timeout", exchange.passage)
                return Broken(f"the server did not answer within {timeout_ms / 1000:g} s", exchange.passage.effect)
            except asyncio.CancelledError:
                await asyncio.shield(self._cancel(identity, method, "the caller went away", exchange.passage))
                raise
        finally:
            self._turns.hand_on()
        if method in _TEACH:
            self._learn(method, reply)
        return reply

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification; whether it was taken is the server's affair."""
        if self._oldest is not None:
            await self._oldest.notify(method, params)
            return
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            await self._post_quietly(messages.notification(method, params), method)
        if method == "notifications/initialized" and self._session is not None:
            self._streams[0] = asyncio.create_task(contained(session_stream(self), lambda _: None))

    async def listen(self, params: JsonObject) -> int:
        """See `channel.Channel`."""
        identity = next(self._ids)
        self._streams[identity] = asyncio.create_task(contained(subscription(self, identity, params), lambda _: None))
        return identity

    async def unlisten(self, identity: int) -> None:
        """See `channel.Channel`: the closed stream says it."""
        stream = self._streams.pop(identity, None)
        if stream is not None:
            stream.cancel()

    async def close(self, why: str) -> None:
        """End the session there, and the connections."""
        if not self.ended.done():
            self.ended.set_result(why)
        for stream in self._streams.values():
            stream.cancel()
        if self._oldest is not None:
            await self._oldest.close(why)
        if self._session is not None:
            with contextlib.suppress(Exception):  # a server that is gone needs no goodbye
                async with asyncio.timeout(GOODBYE_S_MAX):
                    with await self._client.send("DELETE", self._headers(None, {}), b""):
                        pass
        self._client.close()

    async def _exchange(
        self, identity: int, method: str, params: JsonObject, exchange: Exchange, deadline: Deadline
    ) -> Reply | Lapsed:
        if exchange.progress is not None:
            params = {**params, "_meta": {**object_at(params, "_meta"), "progressToken": identity}}
        body = messages.request(identity, method, params)
        try:
            headers = self._headers_of_request(method, params)
            for _ in range(REDIRECTS_MAX):
                with await self._client.send("POST", headers, body, exchange.passage.leaves) as response:
                    location = response.header(b"location") if response.status in _REDIRECTS else None
                    if location is None:
                        return await self._read(response, identity, method, exchange, deadline)
                    refusal = self._client.retarget(location)
                if refusal is not None:
                    place = printable(location, LOCATION_CHARACTERS_MAX)
                    return Broken(refusal, Effect.UNKNOWN, detail=f"it leads to {place}")
            return Broken("its redirects do not end", Effect.UNKNOWN)
        except _Excess as error:
            return Broken(f"its answer cannot be read: {error}", Effect.UNKNOWN)
        except (Unanswered, OSError, ValueError) as error:
            effect = exchange.passage.effect
            what = "cannot connect" if effect is Effect.NOT_SENT else "the connection failed"
            return Broken(f"{what} ({_why(error)})", effect)

    async def _read(
        self, response: Response, identity: int, method: str, exchange: Exchange, deadline: Deadline
    ) -> Reply | Lapsed:
        in_session = self._session is not None and method != "initialize"
        if response.status == 404 and in_session:  # streamable HTTP, "Session Management", item 3
            self._session = None
            return Lapsed("the server ended the session", Processed.NO)
        if response.content_type == "text/event-stream" and response.status == 200:
            return await self._read_events(response, identity, exchange, deadline)
        self._refused = response.status in _OLDEST
        said: messages.Response | messages.Asked | messages.Told | messages.Unreadable | None = None
        leads_on = 300 <= response.status < 400
        if response.content_type == "application/json" and _is_plain(response) and not leads_on:
            text = response.at_hand(TEXT_BYTES_MAX)
            said = messages.take(await _bounded(response) if text is None else text)
        lost = response.status == 400 and in_session
        ours = isinstance(said, messages.Response) and (said.id == identity or (said.id is None and not lost))
        if isinstance(said, messages.Response) and ours and not (lost and await self._is_forgotten(method, deadline)):
            self._take_session(response, method)
            return said.reply
        if lost:  # as some servers say it; what they did with the request is not said
            self._session = None
            return Lapsed("the server does not know the session any more, or refuses the request", Processed.UNKNOWN)
        return Broken(_no_answer(response, said), Effect.UNKNOWN)

    async def _is_forgotten(self, method: str, deadline: Deadline) -> bool:
        """After a status 400 with an error that may be about the session or about the request: a ping tells which."""
        if method == "ping":
            return True
        return isinstance(await self._exchange(next(self._ids), "ping", {}, Exchange(), deadline), Lapsed)

    async def _read_events(self, response: Response, identity: int, exchange: Exchange, deadline: Deadline) -> Reply:
        """The answer from a stream. A server may end the connection before it: then it is come back to, by the id of
        its last event (2025-11-25, "Sending Messages to the Server", item 6)."""
        self._take_session(response, None)
        reader = EventReader()
        reply = await self._heard(response, reader, identity, exchange, deadline)
        for _ in range(RETURNS_MAX):
            if reply is not None or reader.last_id is None or self._session is None:
                break
            await asyncio.sleep(min(reader.retry_ms or RETRY_MS, RETRY_MS_MAX) / 1000)
            reader = EventReader(reader.last_id)
            headers = {**self._headers(None, {}), "Accept": "text/event-stream", "Last-Event-ID": str(reader.last_id)}
            with await self._client.send("GET", headers, b"") as again:
                if again.status != 200 or again.content_type != "text/event-stream":
                    break
                reply = await self._heard(again, reader, identity, exchange, deadline)
        return reply or Broken("the stream ended without an answer", Effect.UNKNOWN)

    async def _heard(
        self, response: Response, reader: EventReader, identity: int, exchange: Exchange, deadline: Deadline
    ) -> Reply | None:
        """What a stream says until the answer; none where it ends before, or breaks off where one can come back."""
        try:
            return await self._listened(response, reader, identity, exchange, deadline)
        except (Unanswered, OSError):
            if reader.last_id is None or self._session is None:
                raise
            return None

    async def _listened(
        self, response: Response, reader: EventReader, identity: int, exchange: Exchange, deadline: Deadline
    ) -> Reply | None:
        async for message in self.events(response, reader):
            if isinstance(message, messages.Response):
                if message.id == identity:
                    return message.reply
            elif isinstance(message, messages.Unreadable):
                if message.id == identity:
                    return Broken(f"its answer cannot be read: {message.why}", Effect.UNKNOWN)
            elif isinstance(message, messages.Asked):
                with deadline.paused():
                    outcome = await outcome_of(message, exchange, self._connector)
                await self._post_quietly(messages.answer(message.id, outcome), None)
            else:
                self._pass_on(message, identity, exchange, deadline)
        return None

    def _pass_on(self, told: messages.Told, identity: int, exchange: Exchange, deadline: Deadline) -> None:
        token = exchange.progress
        if told.method == "notifications/progress":
            deadline.begin_again()
            if exchange.notify is not None and token is not None and told.params.get("progressToken") == identity:
                params = {**told.params, "progressToken": token}
                exchange.notify({"jsonrpc": "2.0", "method": told.method, "params": params})
        elif told.method == "notifications/message" and exchange.notify is not None:
            exchange.notify({"jsonrpc": "2.0", "method": told.method, "params": told.params})
        else:
            self._told(told)

    async def opened(self, last: str | None) -> Response:
        """See `http_streams.Way`."""
        resumed = {"Last-Event-ID": last} if last is not None else {}
        return await self._client.send(
            "GET", {**self._headers(None, {}), "Accept": "text/event-stream", **resumed}, b""
        )

    async def subscribed(self, identity: int, params: JsonObject) -> Response:
        """See `http_streams.Way`."""
        body = messages.request(identity, _LISTEN, params)
        return await self._client.send("POST", self._headers(_LISTEN, params), body)

    async def hear(self, said: Said | Missed) -> None:
        """See `http_streams.Way`."""
        if isinstance(said, messages.Told | Missed):
            self._told(said)
        elif isinstance(said, messages.Asked):
            outcome = await outcome_of(said, None, self._connector)
            await self._post_quietly(messages.answer(said.id, outcome), None)

    def session_lost(self) -> None:
        """See `http_streams.Way`."""
        self._session = None
        if not self.ended.done():
            self.ended.set_result("the server ended the session")

    async def events(self, response: Response, reader: EventReader) -> AsyncIterator[Said]:
        """The messages of an event stream, no faster than others can be served meanwhile. Too many end it."""
        pace, count = Pace(), 0
        async for part in response.parts():
            try:
                texts = reader.feed(part)
            except EventTooLarge as error:
                raise _Excess(str(error)) from error
            for text in texts:
                count += 1
                if count > MESSAGES_PER_ANSWER_MAX:
                    raise _Excess("it sends more messages than any answer needs")
                message = messages.take(text)
                if isinstance(message, messages.Unreadable):
                    self.noise.heard(text)
                yield message
                await pace.step(len(text))

    async def _post_quietly(self, body: bytes, method: str | None) -> None:
        try:
            async with asyncio.timeout(QUIET_S_MAX):
                with await self._client.send("POST", self._headers(method, {}), body):
                    return
        except Unanswered as error:
            raise OSError(str(error)) from error

    async def _cancel(self, identity: int, method: str, why: str, passage: Passage) -> None:
        """Legacy servers are told; for a modern one the closed stream says it."""
        if method in ("initialize", "server/discover") or self._version == MODERN:
            return
        if passage.effect is Effect.NOT_SENT:
            return
        with contextlib.suppress(OSError, ValueError):
            body = messages.notification("notifications/cancelled", {"requestId": identity, "reason": why})
            await self._post_quietly(body, None)

    def _headers_of_request(self, method: str, params: JsonObject) -> Lines:
        """As `_headers` tells them: those of the same request are made once, but where arguments are in them."""
        name = text_at(params, NAMED.get(method, "name"))
        if name in self._schemas:
            return Lines(self._headers(method, params))
        key = (method, name, self._session, text_at(object_at(params, "_meta"), _VERSION) or self._version)
        lines = self._lines.get(key)
        if lines is None:
            if len(self._lines) >= LINES_KEPT_MAX:
                self._lines.clear()
            lines = self._lines[key] = Lines(self._headers(method, params))
        return lines

    def _headers(self, method: str | None, params: JsonObject) -> dict[str, str]:
        headers = dict(self._always)
        version = text_at(object_at(params, "_meta"), _VERSION) or self._version
        if version is not None and method != "initialize":
            headers["MCP-Protocol-Version"] = version
        if self._session is not None and version != MODERN:
            headers[_SESSION] = self._session
        if version == MODERN and method is not None:
            headers["Mcp-Method"] = method
            name = text_at(params, NAMED.get(method, "name"))
            if name is not None:
                headers["Mcp-Name"] = safe_header(name)
            schema = self._schemas.get(name or "") if method == "tools/call" else None
            headers.update(mirrored_headers(schema, object_at(params, "arguments")) if schema is not None else {})
        return headers

    def _take_session(self, response: Response, method: str | None) -> None:
        session = response.header(_SESSION.lower().encode())
        if session is None or self._session is not None or len(session) > SESSION_CHARACTERS_MAX:
            return
        if session.isascii() and session.isprintable() and " " not in session:
            self._session = session

    def _learn(self, method: str, reply: Reply | Lapsed) -> None:
        """What later requests need: the revision agreed on, and the schemas that mirror arguments into headers."""
        value = getattr(reply, "value", None)
        if not isinstance(value, dict):
            return
        if method == "initialize":
            self._version = text_at(value, "protocolVersion")
        elif method == "server/discover":
            self._version = MODERN
        elif method == "tools/list" and isinstance(value.get("tools"), list):
            for tool in value["tools"]:
                if isinstance(tool, dict) and isinstance(tool.get("name"), str):
                    self._learn_schema(tool["name"], object_at(tool, "inputSchema"))

    def _learn_schema(self, name: str, schema: JsonObject) -> None:
        if mirrored(schema):
            self._schemas[name] = schema
        else:
            self._schemas.pop(name, None)


def _headers_of(server: Http) -> dict[str, str]:
    """What every request carries: the operator's, and ours that an operator cannot set or did not."""
    own = {name.lower() for name in server.headers}
    ours = {"User-Agent": "interlock-gateway", "Accept-Encoding": "identity"}
    return {
        **{name: value for name, value in ours.items() if name.lower() not in own},
        **server.headers,
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }


def _why(error: Exception) -> str:
    """What went wrong, in the system's words where it has some: the library's repeat what the operator configured."""
    import ssl

    words = str(error) or type(error).__name__
    if isinstance(error, ssl.SSLError):
        words = f"TLS, {getattr(error, 'verify_message', None) or error.reason or words}"
    elif isinstance(error, OSError) and error.errno is not None:
        known = error.errno in errno.errorcode  # the numbers of name resolution are others
        words = (os.strerror(error.errno) if known else error.strerror or words).lower()
    return words[:300]


class _Excess(ValueError):
    """More than any answer has: of bytes, or of messages."""


async def _bounded(response: Response) -> bytes:
    text = await response.whole(TEXT_BYTES_MAX)
    if text is None:
        raise _Excess(f"it has more than {TEXT_BYTES_MAX} bytes")
    return text


def _is_plain(response: Response) -> bool:
    """Whether the body is as we asked for it; what came compressed all the same is not unpacked."""
    return (response.header(b"content-encoding") or "identity").lower() == "identity"


def _no_answer(response: Response, said: object) -> str:
    status = response.status
    if isinstance(said, messages.Unreadable):
        return f"its answer cannot be read: {said.why} (status {status})"
    if 300 <= status < 400:
        return f"it answers with status {status}, a redirect that is not followed"
    if said is not None:
        return f"it answers with status {status} and no answer to the request"
    if response.content_type == "application/json":
        return f"it answers with status {status} and a content encoding that was not asked for"
    meaning = "; it does not accept this connector's credential" if status in (401, 403) else ""
    return f"it answers with status {status} and no JSON{meaning}"
