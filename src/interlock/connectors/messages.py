"""The JSON-RPC messages a server may send, told apart; and what this gateway says of itself. Parsing only, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from interlock.mediate.json_text import JsonObject, encode, is_object
from interlock.mediate.upstream import Broken, Fault, Reply, Result

LEGACY: Final = "2025-11-25"
LEGACY_KNOWN: Final = frozenset({"2024-11-05", "2025-03-26", "2025-06-18", LEGACY})
MODERN: Final = "2026-07-28"
META: Final = "io.modelcontextprotocol/"
METHOD_NOT_FOUND: Final = -32601
CLIENT_INFO: Final[JsonObject] = {"name": "interlock-gateway", "version": "0.1.0"}


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
            return Response(message["id"], Broken("its result is not an object", reached=True))
        return Response(message["id"], Result(result))
    error = message["error"]
    if not is_object(error):
        return None
    code, text = error.get("code"), error.get("message")
    if isinstance(code, bool) or not isinstance(code, int) or not isinstance(text, str):
        return Response(message["id"], Broken("its error is not a JSON-RPC error", reached=True))
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
