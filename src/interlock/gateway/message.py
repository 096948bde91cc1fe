"""What an agent sends, told apart (JSON-RPC 2.0 as MCP narrows it), and the answers' outer form. Parsing only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from interlock.mediate.json_text import JsonObject, is_object

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL: Final = -32603
HEADER_MISMATCH: Final = -32020
MISSING_CAPABILITY: Final = -32021
UNSUPPORTED_VERSION: Final = -32022
#: Our own, outside -32768…-32000 as revision 2026-07-28 asks: policy refused; the server behind is of no use now.
REFUSED: Final = -31001
UPSTREAM_BROKEN: Final = -31002

META: Final = "io.modelcontextprotocol/"
LEGACY: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
MODERN: Final = "2026-07-28"
SUPPORTED: Final = (MODERN, *LEGACY)
ID_CHARACTERS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Request:
    """A request: it gets one answer."""

    id: int | str
    method: str
    params: JsonObject


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification: it gets none."""

    method: str
    params: JsonObject


@dataclass(frozen=True, slots=True)
class Response:
    """An answer to a question of ours: `outcome` holds `result` or `error`."""

    id: int | str
    outcome: JsonObject


Message = Request | Notification | Response


class RpcError(Exception):
    """An answer that is an error: JSON-RPC code, words, data, and the HTTP status that goes with it."""

    def __init__(self, code: int, message: str, *, data: object = None, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.status = status


def read(value: object) -> Message:
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


def _call(value: JsonObject) -> Request | Notification:
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
        return Notification(method, params)
    return Request(_identity(value["id"]), method, params)


def _response(value: JsonObject) -> Response:
    if ("result" in value) == ("error" in value) or "id" not in value or "params" in value:
        raise _invalid("neither a request nor an answer")
    key = "result" if "result" in value else "error"
    if not is_object(value[key]):
        raise _invalid(f"`{key}` is not an object")
    return Response(_identity(value["id"]), {key: value[key]})


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
