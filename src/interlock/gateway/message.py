"""MCP over HTTP, both ways: what an agent sends, told apart and held to its headers, and the outer form of what it
is answered.

JSON-RPC 2.0 as MCP narrows it; revision 2026-07-28, streamable HTTP, "Request Metadata" and "Server Validation":
where a header and the body say the same thing they must agree. Names are compared without case, values with. An
answer is plain JSON where one message is all there is, an event stream where more comes or it takes long. Headers
of answers are fixed texts or made here; nothing of a peer's ever becomes a header (no response splitting).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from interlock.gateway.limits import COMMENT_EVERY_S, STREAM_AFTER_S, STREAM_MESSAGES_MAX
from interlock.mediate.json_text import JsonObject, encode, is_object, object_at, text_at

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL: Final = -32603
HEADER_MISMATCH: Final = -32020
MISSING_CAPABILITY: Final = -32021
UNSUPPORTED_VERSION: Final = -32022
#: Our own, outside -32768…-32000 as revision 2026-07-28 asks: policy refused; the server behind is unavailable.
REFUSED: Final = -31001
UPSTREAM_BROKEN: Final = -31002

META: Final = "io.modelcontextprotocol/"
LEGACY: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
MODERN: Final = "2026-07-28"
SUPPORTED: Final = (MODERN, *LEGACY)
ID_CHARACTERS_MAX: Final = 256
_NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_SENTINEL: Final = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_SAFE_VALUE: Final = re.compile(r"[\x20-\x7e\t]*", re.ASCII)
_DECIMAL: Final = re.compile(r"-?[0-9]{1,17}(?:\.0+)?", re.ASCII)

Event = dict[str, object]
Send = Callable[[Event], Awaitable[None]]
Receive = Callable[[], Awaitable[Event]]
HeaderList = list[tuple[bytes, bytes]]

_JSON: Final = (b"content-type", b"application/json")
_NO_STORE: Final = (b"cache-control", b"no-store")
_STREAM: Final[HeaderList] = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """A request: it gets one answer."""

    id: int | str
    method: str
    params: JsonObject


@dataclass(frozen=True, slots=True)
class RpcNotification:
    """A notification: it gets none."""

    method: str
    params: JsonObject


@dataclass(frozen=True, slots=True)
class RpcResponse:
    """An answer to a question of ours: `outcome` holds `result` or `error`."""

    id: int | str
    outcome: JsonObject


RpcMessage = RpcRequest | RpcNotification | RpcResponse


class RpcError(Exception):
    """An answer that is an error: JSON-RPC code, words, data, and the HTTP status that goes with it."""

    def __init__(self, code: int, message: str, *, data: object = None, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.status = status


def read(value: object) -> RpcMessage:
    """Tell a parsed body apart. Raises `RpcError` with status 400 for what is not a single message."""
    if isinstance(value, list):
        raise _invalid("batches are not taken: send each message by itself")
    if not is_object(value) or value.get("jsonrpc") != "2.0":
        raise _invalid('not a JSON-RPC message: `"jsonrpc": "2.0"` is missing')
    unknown = sorted(set(value) - {"jsonrpc", "id", "method", "params", "result", "error"})
    if unknown:
        raise _invalid(f"`{unknown[0][:64]}` is not part of a JSON-RPC message")
    if "method" not in value:
        return _response(value)
    return _call(value)


def _call(value: JsonObject) -> RpcRequest | RpcNotification:
    method, params = value["method"], value.get("params", {})
    if not isinstance(method, str) or not 0 < len(method) <= ID_CHARACTERS_MAX:
        raise _invalid("`method` is not a name")
    if "result" in value or "error" in value:
        raise _invalid("a message is a call or an answer, not both")
    if not is_object(params):
        raise RpcError(INVALID_PARAMS, "`params` is not an object", status=400)
    if "_meta" in params and not is_object(params["_meta"]):
        raise RpcError(INVALID_PARAMS, "`_meta` is not an object", status=400)
    if "id" not in value:
        return RpcNotification(method, params)
    return RpcRequest(_identity(value["id"]), method, params)


def _response(value: JsonObject) -> RpcResponse:
    if ("result" in value) == ("error" in value) or "id" not in value or "params" in value:
        raise _invalid("neither a request nor an answer")
    key = "result" if "result" in value else "error"
    if not is_object(value[key]):
        raise _invalid(f"`{key}` is not an object")
    return RpcResponse(_identity(value["id"]), {key: value[key]})


def _identity(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str) or len(str(value)) > ID_CHARACTERS_MAX:
        raise _invalid("`id` is neither a text nor an integer")
    return value


def _invalid(message: str) -> RpcError:
    return RpcError(INVALID_REQUEST, message, status=400)


def result(identity: int | str, value: JsonObject) -> JsonObject:
    """The answer to a request that went well."""
    return {"jsonrpc": "2.0", "id": identity, "result": value}


def error(identity: int | str | None, fault: RpcError) -> JsonObject:
    """The answer to one that did not; without `id` where none could be read."""
    body: JsonObject = {"code": fault.code, "message": fault.message}
    if fault.data is not None:
        body["data"] = fault.data
    if identity is None:
        return {"jsonrpc": "2.0", "error": body}
    return {"jsonrpc": "2.0", "id": identity, "error": body}


class Headers:
    """The headers of one request. One that matters and stands there twice is a mismatch, never the first or the
    last. White space around a value is not part of it (RFC 9110, 5.5)."""

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._all: dict[str, list[str]] = {}
        for name, value in pairs:
            self._all.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip(" \t"))

    def one(self, name: str) -> str | None:
        """The value of a header that may stand once. Raises `RpcError` (400) when it stands twice."""
        values = self._all.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise RpcError(HEADER_MISMATCH, f"the header `{name}` comes {len(values)} times", status=400)
        return values[0]

    def parameters(self) -> dict[str, str]:
        """The `Mcp-Param-*` headers by their lower-case last part."""
        found = [name for name in self._all if name.startswith("mcp-param-")]
        return {name.removeprefix("mcp-param-"): self.one(name) or "" for name in found}


def is_modern(headers: Headers, params: JsonObject) -> bool:
    """Whether a request is of the stateless era: it says so in its `_meta` or in its header."""
    if f"{META}protocolVersion" in object_at(params, "_meta"):
        return True
    version = headers.one("mcp-protocol-version")
    return version is not None and version not in LEGACY and version != "2024-11-05"


def check_modern(headers: Headers, request: RpcRequest) -> None:
    """Hold a modern request to its form. Raises `RpcError` (400) with the code that the revision gives."""
    meta = object_at(request.params, "_meta")
    version = text_at(meta, f"{META}protocolVersion")
    announced = headers.one("mcp-protocol-version")
    if version is None and announced is not None and announced not in SUPPORTED:
        raise unsupported(announced)
    if version is None or not is_object(meta.get(f"{META}clientCapabilities")):
        lacking = "protocolVersion" if version is None else "clientCapabilities"
        raise RpcError(INVALID_PARAMS, f"`_meta` lacks `{META}{lacking}`", status=400)
    if announced is None or announced != version:
        raise _mismatch("MCP-Protocol-Version", announced, version)
    if version != MODERN:
        raise unsupported(version)
    method = headers.one("mcp-method")
    if method != request.method:
        raise _mismatch("Mcp-Method", method, request.method)
    key = _NAMED.get(request.method)
    if key is not None:
        _check_name(headers.one("mcp-name"), text_at(request.params, key))


def _check_name(announced: str | None, named: str | None) -> None:
    if named is None:
        raise RpcError(INVALID_PARAMS, "the request names nothing (`name` or `uri` is missing)", status=400)
    if announced is None or decoded(announced) != named:
        raise _mismatch("Mcp-Name", announced, named)


def check_parameters(headers: Headers, schema: JsonObject, arguments: JsonObject) -> None:
    """Hold `Mcp-Param-*` to the arguments that the tool's schema mirrors. Headers the schema does not know are left
    alone."""
    given = headers.parameters()
    for name, path in mirrored(schema):
        value: object = arguments
        for key in path:
            value = value.get(key) if is_object(value) else None
        announced = given.get(name.lower())
        if value is None and announced is None:
            continue
        if value is None or announced is None or not _equal(decoded(announced), value):
            raise _mismatch(f"Mcp-Param-{name}", announced, None if value is None else str(value))


def mirrored(schema: JsonObject, path: tuple[str, ...] = ()) -> list[tuple[str, tuple[str, ...]]]:
    """Header names and the property paths they mirror: `x-mcp-header` along chains of `properties` only."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for key, each in object_at(schema, "properties").items():
        if not is_object(each):
            continue
        name = each.get("x-mcp-header")
        if isinstance(name, str):
            found.append((name, (*path, key)))
        found.extend(mirrored(each, (*path, key)))
    return found


def decoded(value: str) -> str:
    """A header's value without its Base64 wrapping. Raises `RpcError` for one that is wrapped wrongly or holds
    control characters."""
    if _SAFE_VALUE.fullmatch(value) is None:
        raise RpcError(HEADER_MISMATCH, "a header holds characters that no header may", status=400)
    wrapped = _SENTINEL.fullmatch(value)
    if wrapped is None:
        return value
    try:
        return base64.b64decode(wrapped[1], validate=True).decode("utf-8", "strict")
    except (binascii.Error, ValueError) as error:
        raise RpcError(HEADER_MISMATCH, "a header is not the Base64 that it says it is", status=400) from error


def encoded(value: str) -> str:
    """A value as a header may carry it."""
    plain = _SAFE_VALUE.fullmatch(value) is not None and value == value.strip() and not _SENTINEL.fullmatch(value)
    return value if plain else f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def unsupported(version: str) -> RpcError:
    """The answer to a revision that is not spoken here."""
    data: JsonObject = {"supported": list(SUPPORTED), "requested": version[:64]}
    return RpcError(UNSUPPORTED_VERSION, "Unsupported protocol version", data=data, status=400)


def _equal(announced: str, value: object) -> bool:
    if isinstance(value, bool):
        return announced == ("true" if value else "false")
    if isinstance(value, int | float):
        return _DECIMAL.fullmatch(announced) is not None and float(announced) == value
    return announced == value


def _mismatch(name: str, announced: str | None, body: str | None) -> RpcError:
    said = "is missing" if announced is None else f"is `{announced[:128]}`"
    return RpcError(HEADER_MISMATCH, f"Header mismatch: {name} {said}, the body says `{str(body)[:128]}`", status=400)


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

    def __init__(self, send: Send, *, streams: bool, extra: HeaderList) -> None:
        self._send = send
        self._streams = streams
        self._extra = extra
        self._waiting: asyncio.Queue[JsonObject] = asyncio.Queue(STREAM_MESSAGES_MAX)
        self._started = False
        self.lost = 0

    @property
    def streams(self) -> bool:
        """Whether anything but the answer can be sent."""
        return self._streams

    def put(self, message: JsonObject) -> None:
        """Send a message before the answer. What does not fit or cannot be sent is counted."""
        try:
            if self._streams:
                self._waiting.put_nowait(message)
            else:
                self.lost += 1
        except asyncio.QueueFull:
            self.lost += 1

    async def run(self, work: asyncio.Task[tuple[int, JsonObject]]) -> None:
        """Send what comes until the work is done, then its answer."""
        if not self._streams:
            status, answer = await work
            await send_json(self._send, status, answer, self._extra)
            return
        deadline = STREAM_AFTER_S
        while not work.done() or not self._waiting.empty():
            if not await self._step(work, deadline):
                deadline = COMMENT_EVERY_S
        status, answer = work.result()
        if not self._started:
            await send_json(self._send, status, answer, self._extra)
            return
        await self._event(answer)
        await self._send({"type": "http.response.body", "body": b""})

    async def abandon(self) -> None:
        """The request was cancelled: it ends without an answer."""
        if self._started:
            await self._send({"type": "http.response.body", "body": b""})
        else:
            await send_empty(self._send, 202)

    async def _step(self, work: asyncio.Task[tuple[int, JsonObject]], wait_s: float) -> bool:
        """One message, or the end of the work, or a comment when neither came in time (false)."""
        if not self._waiting.empty():
            await self._event(self._waiting.get_nowait())
            return True
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

    async def _event(self, message: JsonObject) -> None:
        await self._start()
        await self._send({"type": "http.response.body", "body": event(message), "more_body": True})

    async def _start(self) -> None:
        if not self._started:
            self._started = True
            await self._send({"type": "http.response.start", "status": 200, "headers": [*_STREAM, *self._extra]})


async def stream(send: Send, queue: asyncio.Queue[JsonObject | None], gone: asyncio.Task[None]) -> None:
    """A stream of its own (GET, subscriptions): messages until a none or until the client is gone."""
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
        await send({"type": "http.response.body", "body": event(message), "more_body": True})
    if not gone.done():
        await send({"type": "http.response.body", "body": b""})


def event(message: JsonObject) -> bytes:
    """One message as an event. JSON holds no raw line break, so a message cannot end its event early."""
    return b"event: message\ndata: " + encode(message) + b"\n\n"
