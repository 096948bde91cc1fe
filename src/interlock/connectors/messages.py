"""What a server sends: its lines, each bounded; the JSON-RPC messages among them, told apart; and the rest, noise. And
what this gateway says of itself.

Of a line that is too long only its ends and size are kept. What a server writes where only messages belong (banners,
log lines) is passed over, counted, and told the operator. It is listened to no faster than `Pace` allows: what it says
beyond that waits in its own pipe or socket, and nobody else waits. (A stream that always has more to read never lets
the loop turn by itself, so the reader of each server takes a step there for each message.)
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Final

from interlock.mediate.json_text import TEXT_BYTES_MAX, JsonObject, MalformedJson, encode, is_object, parse_answer
from interlock.mediate.upstream import Broken, Fault, Reply, Result
from interlock.vocabulary.effect import Effect

LEGACY: Final = "2025-11-25"
LEGACY_KNOWN: Final = frozenset({"2024-11-05", "2025-03-26", "2025-06-18", LEGACY})
MODERN: Final = "2026-07-28"
META: Final = "io.modelcontextprotocol/"
METHOD_NOT_FOUND: Final = -32601
CLIENT_INFO: Final[JsonObject] = {"name": "interlock-gateway", "version": "0.1.0"}
#: A line that goes on beyond this is no line.
PASSED_OVER_BYTES_MAX: Final = 64 * 1024 * 1024
_KEPT_BYTES: Final = 4 * 1024
#: So many in a row without one message is no protocol.
IN_A_ROW_MAX: Final = 1_000
SAMPLE_BYTES: Final = 200
MESSAGES_PER_S_MAX: Final = 2_000
BYTES_PER_S_MAX: Final = 32 * 1024 * 1024
#: After so many messages, or a large one, others have a turn.
_MESSAGES_A_TURN: Final = 16
_BYTES_A_TURN: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """An answer to a request of ours."""

    id: object
    reply: Reply


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the server's."""

    id: int | str
    method: str
    params: JsonObject


@dataclass(frozen=True, slots=True)
class Told:
    """A notification."""

    method: str
    params: JsonObject


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A text that is no message, or none that can be taken: why, and the request it answers as far as can be seen."""

    why: str
    id: int | None


_BRACKETS_MAX: Final = 200
#: Where an id stands in answers as servers write them, for texts that no parser reads: in front, or at the very end.
_ID_IN_FRONT: Final = re.compile(rb'\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,15})\s*[,}]')
_ID_AT_THE_END: Final = re.compile(rb',\s*"id"\s*:\s*(\d{1,15})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*\Z')


def take(text: bytes) -> Response | Asked | Told | Unreadable:
    """Read one text of a server."""
    try:
        value = parse_answer(text)
    except MalformedJson as error:
        return Unreadable(str(error), _answered(text))
    message = read(value)
    return message if message is not None else Unreadable("it is not a JSON-RPC 2.0 message", _answered(text))


def oversized(text: bytes, size: int) -> Unreadable:
    """What is to be said of a text of `size` bytes that is longer than any message may be, from its beginning and
    end."""
    return Unreadable(f"it has {size} bytes, more than {TEXT_BYTES_MAX}", _written_id(text))


def _answered(text: bytes) -> int | None:
    """The id of a text that our strict parser refuses: read leniently, as it decides only which call fails."""
    if text.count(b"[") + text.count(b"{") > _BRACKETS_MAX:
        return _written_id(text)  # no recursive parser is led into the depth that the strict one refused
    try:
        value = json.loads(text)
    except ValueError:
        return _written_id(text)
    identity = value.get("id") if isinstance(value, dict) and "method" not in value else None
    return identity if isinstance(identity, int) and not isinstance(identity, bool) else None


def _written_id(text: bytes) -> int | None:
    found = _ID_IN_FRONT.match(text) or _ID_AT_THE_END.search(text[-256:])
    return int(found[1]) if found is not None else None


def read(message: object) -> Response | Asked | Told | None:
    """Tell a parsed message apart; none when it is no JSON-RPC 2.0 message."""
    if not is_object(message) or message.get("jsonrpc") != "2.0":
        return None
    method = message.get("method")
    params = message.get("params", {})
    if method is None:
        return _response(message)
    if not isinstance(method, str) or not is_object(params):
        return None
    if "id" not in message:
        return Told(method, params)
    identity = message["id"]
    if isinstance(identity, bool) or not isinstance(identity, int | str):
        return None
    return Asked(identity, method, params)


def _response(message: JsonObject) -> Response | None:
    if "id" not in message or ("result" in message) == ("error" in message):
        return None
    if "result" in message:
        result = message["result"]
        if not is_object(result):
            return Response(message["id"], Broken("its result is not an object", effect=Effect.UNKNOWN))
        return Response(message["id"], Result(result))
    error = message["error"]
    if not is_object(error):
        return None
    code, text = error.get("code"), error.get("message")
    if isinstance(code, bool) or not isinstance(code, int) or not isinstance(text, str):
        return Response(message["id"], Broken("its error is not a JSON-RPC error", effect=Effect.UNKNOWN))
    return Response(message["id"], Fault(code, text, error.get("data")))


def request(identity: int, method: str, params: JsonObject) -> bytes:
    """A request of ours, as bytes."""
    return encode({"jsonrpc": "2.0", "id": identity, "method": method, "params": params})


def notification(method: str, params: JsonObject) -> bytes:
    """A notification of ours, as bytes."""
    return encode({"jsonrpc": "2.0", "method": method, "params": params})


def answer(identity: int | str, outcome: JsonObject) -> bytes:
    """Our answer to a server's request: `outcome` holds `result` or `error`."""
    return encode({"jsonrpc": "2.0", "id": identity, **outcome})


def modern_meta(meta: JsonObject, capabilities: JsonObject) -> JsonObject:
    """The `_meta` of a request to a modern server: ours for version and identity, the caller's for the rest."""
    return {
        **meta,
        f"{META}protocolVersion": MODERN,
        f"{META}clientInfo": CLIENT_INFO,
        f"{META}clientCapabilities": capabilities,
    }


def capabilities_towards(allowed: tuple[str, ...]) -> JsonObject:
    """What we claim to be able to do for a server: only what the operator lets through to the agent."""
    claims: JsonObject = {}
    if "elicitation" in allowed:
        claims["elicitation"] = {"form": {}, "url": {}}
    if "sampling" in allowed:
        claims["sampling"] = {}
    if "roots" in allowed:
        claims["roots"] = {}
    return claims


class EndlessLine(ValueError):
    """A line that does not end."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line longer than the stream's limit: its beginning and its end, joined, and its size in bytes."""

    ends: bytes
    size: int


async def read_line(stream: asyncio.StreamReader) -> bytes | TooLong:
    """The next line; an empty one at the end. Raises `EndlessLine`, and `OSError` as the stream does."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as rest:
        return rest.partial
    except asyncio.LimitOverrunError as overrun:
        return await _pass_over(stream, overrun.consumed)


async def _pass_over(stream: asyncio.StreamReader, known: int) -> TooLong:
    part = await stream.readexactly(known)
    head, tail, size = part[:_KEPT_BYTES], part[-_KEPT_BYTES:], known
    while size <= PASSED_OVER_BYTES_MAX:
        try:
            part = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError as rest:
            part = rest.partial
        except asyncio.LimitOverrunError as overrun:
            part = await stream.readexactly(overrun.consumed)
            tail, size = (tail + part)[-_KEPT_BYTES:], size + len(part)
            await asyncio.sleep(0)
            continue
        return TooLong(head + (tail + part)[-_KEPT_BYTES:], size + len(part))
    raise EndlessLine("it sent a line that does not end")


class Noise:
    """The noise of one server."""

    def __init__(self) -> None:
        self.lines = 0
        self.sample = ""
        self._in_a_row = 0

    @property
    def is_all(self) -> bool:
        """Whether it says nothing else."""
        return self._in_a_row > IN_A_ROW_MAX

    def heard(self, line: bytes) -> None:
        """One line that is no message, or answers nothing."""
        self.lines += 1
        self._in_a_row += 1
        if not self.sample:
            self.sample = line[:SAMPLE_BYTES].decode("utf-8", "replace").strip()

    def message(self) -> None:
        """One message came."""
        self._in_a_row = 0


class Pace:
    """The pace of one stream."""

    def __init__(self) -> None:
        self._since_s = 0.0
        self._messages = 0
        self._bytes = 0

    async def step(self, size: int) -> None:
        """One message of `size` bytes was read: wait until the next may be."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._since_s >= 1:
            self._since_s, self._messages, self._bytes = now_s, 0, 0
        self._messages += 1
        self._bytes += size
        if self._messages > MESSAGES_PER_S_MAX or self._bytes > BYTES_PER_S_MAX:
            await asyncio.sleep(self._since_s + 1 - now_s)
        elif self._messages % _MESSAGES_A_TURN == 0 or size > _BYTES_A_TURN:
            await asyncio.sleep(0)
