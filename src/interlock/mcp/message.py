"""One JSON-RPC 2.0 message of an agent, told apart, and the messages that answer it. JSON-RPC as MCP narrows it.

Left out: what a request's headers say of it (`request_headers.py`), what servers send (`server_message.py`).
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from interlock.mcp.revision import INVALID_PARAMS, INVALID_REQUEST
from interlock.vocabulary.json_text import JsonObject, MalformedJson, is_object, parse_answer

ID_CHARACTERS_MAX: Final = 256
_PARTS: Final = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})


class RpcRequest(Struct, frozen=True):
    """A request: it gets one answer."""

    id: int | str
    method: str
    params: JsonObject


class RpcNotification(Struct, frozen=True):
    """A notification: it gets none."""

    method: str
    params: JsonObject


class RpcResponse(Struct, frozen=True):
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
    if not value.keys() <= _PARTS:
        raise _invalid(f"`{min(value.keys() - _PARTS)[:64]}` is not part of a JSON-RPC message")
    if "method" not in value:
        return _response(value)
    return _call(value)


def _call(value: JsonObject) -> RpcRequest | RpcNotification:
    method, params = value["method"], value.get("params")
    params = {} if params is None else params  # some clients write null where they have none
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


def id_in(text: bytes) -> int | str | None:
    """The id of a request that is refused for a number that it holds: its client learns of which request, and does not
    wait for it. None where the text has none that can be told."""
    try:
        value = parse_answer(text)
        return _identity(value.get("id")) if is_object(value) and "method" in value else None
    except (MalformedJson, RpcError):
        return None


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
