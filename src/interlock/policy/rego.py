"""`rego:` of a layer: modules that are evaluated, and OPA servers that are asked, about each call at the gateway
(docs/rego.md).

    rego:
      - module: policies/mcp.rego
      - server: http://127.0.0.1:8181
        query: data.authz.allow
        timeout: 500ms

Modules are found beside the layer's file; their text becomes part of the policy, so that its digest covers it. Left
out: whether a module can be evaluated (`interlock.rego.check`), and what it answers.
"""

# mypy: disable-error-code="func-returns-value"
from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict
from urllib.parse import urlsplit

from interlock.policy.document import Mapping, Node, Sequence, Text
from interlock.policy.faults import Fault, Place, meant, quoted
from interlock.policy.values import duration, flag, items, text

if TYPE_CHECKING:
    from collections.abc import Callable

QUERY: Final = "data.interlock.findings"
TIMEOUT_MS_DEFAULT: Final = 500
TIMEOUT_MS_MAX: Final = 4_000
SOURCES_MAX: Final = 20
MODULES_MAX: Final = 100
_KEYS: Final = ("module", "server", "query", "timeout", "v0")
_QUERY: Final = re.compile(r"data(\.[A-Za-z_][A-Za-z0-9_]*){1,16}\Z", re.ASCII)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class CompiledModule(TypedDict):
    """One module: as it was written in the layer, and its text."""

    name: str
    text: str


class CompiledRego(TypedDict):
    """One voice: modules and the rule of them that is asked, or a server and what it is asked for."""

    query: str
    modules: NotRequired[list[CompiledModule]]
    v0: NotRequired[bool]
    server: NotRequired[str]
    timeout_ms: NotRequired[int]


def rego(node: Node, field: str, faults: list[Fault]) -> tuple[CompiledRego, ...] | None:
    """Read them, the modules without their text. Faults go to the list."""
    if not isinstance(node, Sequence) or not node.items:
        return _wrong(faults, node, f"`{field}` is a list", "write `- module: policies/mcp.rego`")
    if len(node.items) > SOURCES_MAX:
        return _wrong(faults, node, f"more than {SOURCES_MAX} entries of Rego", "one entry may list several modules")
    return tuple(made for item in node.items if (made := _entry(item, faults)) is not None)


def with_texts(
    compiled: list[CompiledRego], *, file: str, path: str | None, read: Callable[[str], bytes], faults: list[Fault]
) -> list[CompiledRego]:
    """With the modules' texts. `path`: the layer's file; none for a layer that is no file, which has no modules."""
    found: list[CompiledRego] = []
    for entry in compiled:
        modules = [_module(each["name"], file, path, read, faults) for each in entry.get("modules", ())]
        found.append({**entry, "modules": modules} if modules else entry)
    return found


def _module(
    name: str, file: str, path: str | None, read: Callable[[str], bytes], faults: list[Fault]
) -> CompiledModule:
    if path is None:
        faults.append(Fault(Place(file), f"the module {quoted(name)} has no folder to be found in", None))
        return {"name": name, "text": ""}
    try:
        beside = name if name.startswith("/") else f"{path.rpartition('/')[0]}/{name}"
        return {"name": name, "text": read(beside).decode()}
    except UnicodeDecodeError:
        faults.append(Fault(Place(file), f"the module {quoted(name)} is not UTF-8", "save it as UTF-8"))
        return {"name": name, "text": ""}


def _entry(node: Node, faults: list[Fault]) -> CompiledRego | None:
    if not isinstance(node, Mapping):
        return _wrong(faults, node, "an entry of `rego` is a mapping", "write `- module: policies/mcp.rego`")
    found: dict[str, Node] = {}
    for key, value in node.entries:
        if key.value in _KEYS:
            found[key.value] = value
        else:
            hint = meant(key.value, _KEYS, f"known here: {', '.join(_KEYS)}")
            _wrong(faults, key, f"unknown key {quoted(key.value)} in `rego`", hint)
    if ("module" in found) == ("server" in found):
        return _wrong(faults, node, "an entry of `rego` has one of `module` and `server`", "make two entries")
    query = _query(found["query"], faults) if "query" in found else QUERY
    if "server" in found:
        return _server(found, query, faults)
    if "timeout" in found:
        _wrong(faults, found["timeout"], "`timeout` belongs to a `server`", "a module has a bound of its own")
    listed = items(found["module"], "module", faults) or ()
    if len(listed) > MODULES_MAX:
        _wrong(faults, found["module"], f"more than {MODULES_MAX} modules", "make several entries")
    made: CompiledRego = {"query": query, "modules": [{"name": item.text, "text": ""} for item in listed]}
    if "v0" in found:
        made["v0"] = flag(found["v0"], "v0", faults) is True
    return made


def _server(found: dict[str, Node], query: str, faults: list[Fault]) -> CompiledRego:
    url = text(found["server"], "server", faults) or ""
    timeout_ms = duration(found["timeout"], "timeout", faults) if "timeout" in found else None
    if timeout_ms is not None and timeout_ms > TIMEOUT_MS_MAX:
        _wrong(faults, found["timeout"], f"`timeout` is over {TIMEOUT_MS_MAX / 1000:g} s", "a call waits for it")
    if "v0" in found:
        _wrong(faults, found["v0"], "`v0` belongs to a `module`", "the server knows its own modules")
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "http" and parts.hostname in _LOOPBACK and parts.port is not None
    except ValueError:
        parts, plain = None, False
    if not plain or parts is None or parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        hint = "an OPA server on this machine, with its port: `server: http://127.0.0.1:8181`"
        _wrong(faults, found["server"], f"{quoted(url)} is not such a server", hint)
    return {"query": query, "server": url.rstrip("/"), "timeout_ms": timeout_ms or TIMEOUT_MS_DEFAULT}


def _query(node: Node, faults: list[Fault]) -> str:
    value = text(node, "query", faults)
    if value is not None and not _QUERY.match(value):
        _wrong(faults, node, f"{quoted(value)} does not name a rule", f"write `query: {QUERY}`")
    return value or QUERY


def _wrong(faults: list[Fault], node: Node | Text, message: str, hint: str | None) -> None:
    faults.append(Fault(node.place, message, hint))
