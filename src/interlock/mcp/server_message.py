"""One message of a server, told apart, the messages to it, and what this gateway says of itself. What is no message is
said to be unreadable, with the request it answers as far as that can be seen."""

from __future__ import annotations

import json
import re
from typing import Final

from msgspec import Struct

from interlock.mcp.revision import META, MODERN
from interlock.mediate.upstream import Broken, Fault, Reply, Result
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import TEXT_BYTES_MAX, JsonObject, MalformedJson, encode, is_object, parse_answer

CLIENT_INFO: Final[JsonObject] = {"name": "interlock-gateway", "version": "0.1.0"}


class Response(Struct, frozen=True):
    """An answer to a request of ours."""

    id: int | str | None
    reply: Reply


class Asked(Struct, frozen=True):
    """A request of the server's."""

    id: int | str
    method: str
    params: JsonObject


class Told(Struct, frozen=True):
    """A notification."""

    method: str
    params: JsonObject


class Unreadable(Struct, frozen=True):
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
    params = message.get("params")
    params = {} if params is None else params  # some servers write null where they have none
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
    own = message["id"]
    if isinstance(own, bool) or not isinstance(own, int | str | None):
        return None  # a request of ours has none that could be equal to it
    if "result" in message:
        result = message["result"]
        if not is_object(result):
            return Response(own, Broken("its result is not an object", effect=Effect.UNKNOWN))
        return Response(own, Result(result))
    error = message["error"]
    if not is_object(error):
        return None
    code, text = error.get("code"), error.get("message")
    if isinstance(code, bool) or not isinstance(code, int) or not isinstance(text, str):
        return Response(own, Broken("its error is not a JSON-RPC error", effect=Effect.UNKNOWN))
    return Response(own, Fault(code, text, error.get("data")))


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
