"""The headers of one MCP request over HTTP: an agent's held to the body, and ours towards a server.

Revision 2026-07-28, "Request Metadata", "Server Validation" and "Value Encoding": where a header and the body say the
same thing they must agree. Names are compared without case, values with.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from interlock.mcp.message import RpcError, RpcRequest
from interlock.mcp.revision import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    LEGACY_KNOWN,
    META,
    MODERN,
    SUPPORTED,
    UNSUPPORTED_VERSION,
)
from interlock.vocabulary.json_text import JsonObject, is_object, object_at, text_at

#: What `Mcp-Name` says, by method; of tasks as their extension asks ("Streamable HTTP: Routing Headers").
NAMED: Final = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
_SENTINEL: Final = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_SAFE_VALUE: Final = re.compile(r"[\x20-\x7e\t]*", re.ASCII)
_DECIMAL: Final = re.compile(r"-?[0-9]{1,17}(?:\.0+)?", re.ASCII)
_PLAIN: Final = re.compile(r"[\x20-\x7e]*", re.ASCII)
#: Most requests have the same headers.
NAMES_KEPT_MAX: Final = 256
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)


@lru_cache(NAMES_KEPT_MAX)
def _name(written: bytes) -> str:
    return written.lower().decode("latin-1")


class Headers:
    """The headers of one request. One that matters and stands there twice is a mismatch, never the first or the
    last. White space around a value is not part of it (RFC 9110, 5.5)."""

    __slots__ = ("_all", "_times")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._all: dict[str, str] = {}
        self._times: dict[str, int] = {}
        for written, value in pairs:
            name = _name(written)
            if name in self._all:
                self._times[name] = self._times.get(name, 1) + 1
            self._all[name] = value.decode("latin-1").strip(" \t")

    def one(self, name: str) -> str | None:
        """The value of a header that may stand once. Raises `RpcError` (400) when it stands twice."""
        if name in self._times:
            raise RpcError(HEADER_MISMATCH, f"the header `{name}` comes {self._times[name]} times", status=400)
        return self._all.get(name)

    def parameters(self) -> dict[str, str]:
        """The `Mcp-Param-*` headers by their lower-case last part."""
        found = [name for name in self._all if name.startswith("mcp-param-")]
        return {name.removeprefix("mcp-param-"): self.one(name) or "" for name in found}


def is_modern(headers: Headers, params: JsonObject) -> bool:
    """Whether a request is of the stateless era: it says so in its `_meta` or in its header."""
    if says_modern(params):
        return True
    version = headers.one("mcp-protocol-version")
    return version is not None and version not in LEGACY_KNOWN


def says_modern(params: JsonObject) -> bool:
    """Whether a request says in its `_meta` that it is of the stateless era."""
    return f"{META}protocolVersion" in object_at(params, "_meta")


def check_meta(request: RpcRequest) -> None:
    """Hold a modern request to its form where no headers go with it (stdio). Raises `RpcError`."""
    meta = object_at(request.params, "_meta")
    version = text_at(meta, f"{META}protocolVersion")
    if version is None or not is_object(meta.get(f"{META}clientCapabilities")):
        raise RpcError(INVALID_PARAMS, "`_meta` lacks the revision or the client's capabilities")
    if version != MODERN:
        raise unsupported(version)


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
    key = NAMED.get(request.method)
    if key is not None:
        _check_name(headers.one("mcp-name"), text_at(request.params, key))


def _check_name(announced: str | None, named: str | None) -> None:
    if named is None:
        raise RpcError(INVALID_PARAMS, "the request names nothing (`name`, `uri` or `taskId` is missing)", status=400)
    if announced is None or decoded(announced) != named:
        raise _mismatch("Mcp-Name", announced, named)


def check_parameters(headers: Headers, places: list[tuple[str, tuple[str, ...]]], arguments: JsonObject) -> None:
    """Hold `Mcp-Param-*` to the arguments that a tool's schema mirrors (`places`, as `mirrored` tells them). Headers
    that the schema does not know are left alone."""
    if not places:
        return
    given = headers.parameters()
    for name, path in places:
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


def safe_header(value: str) -> str:
    """The value itself where a header may carry it, else its Base64 form: nothing can end the header early."""
    wrapped = value.startswith("=?base64?") and value.endswith("?=")
    if _PLAIN.fullmatch(value) and value == value.strip() and not wrapped:
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def mirrored_headers(schema: JsonObject, arguments: JsonObject) -> dict[str, str]:
    """The headers that a tool's schema asks to mirror from these arguments."""
    found: dict[str, str] = {}
    for key, each in object_at(schema, "properties").items():
        if not is_object(each):
            continue
        name, value = each.get("x-mcp-header"), arguments.get(key)
        if isinstance(name, str) and _TOKEN.fullmatch(name) and isinstance(value, str | int | bool):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            found[f"Mcp-Param-{name}"] = safe_header(text)
        if is_object(value):
            found.update(mirrored_headers(each, value))
    return found


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
