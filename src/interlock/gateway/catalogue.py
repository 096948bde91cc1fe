"""Names: which tool of which connector a name means, the same way each time, and back.

At `/mcp` a tool is `connector__tool`; where that is longer than 64 characters or holds others than clients take, an
alias with a digest stands for it. Connector names hold no `_`, so the first `__` always parts the two. Prompts are
named likewise; a resource's URI gets the connector as `connector+` before its scheme. At `/mcp/<connector>`
everything has its own name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from interlock.gateway.limits import TOOL_NAME_CHARACTERS_MAX, UPSTREAM_NAME_CHARACTERS_MAX
from interlock.gateway.schema import UnusableSchema, Validator
from interlock.mediate.json_text import JsonObject, canonical, is_object, text_at

SEPARATOR: Final = "__"
_TAKEN_BY_CLIENTS: Final = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_OTHER: Final = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)
_DIGEST_CHARACTERS: Final = 10


@dataclass(frozen=True)
class Tool:
    """One tool as its server defines it. Its validators are compiled at first use."""

    connector: str
    name: str
    definition: JsonObject

    @cached_property
    def digest(self) -> str:
        """Of the whole definition: description, schemas, annotations, icons, everything."""
        return f"sha256:{hashlib.sha256(canonical(self.definition)).hexdigest()}"

    @cached_property
    def arguments(self) -> Validator | str:
        """What its arguments must be; why it cannot be used, if its schema is of no use."""
        return _compiled(self.definition.get("inputSchema"))

    @cached_property
    def result(self) -> Validator | str | None:
        """What its structured result must be, if it says so."""
        return _compiled(self.definition["outputSchema"]) if "outputSchema" in self.definition else None


def tools_of(connector: str, definitions: list[JsonObject]) -> dict[str, Tool]:
    """The usable tools of a list, by their own names. A name that stands there twice is nobody's; nor is one out of
    bounds."""
    found: dict[str, Tool] = {}
    doubled: set[str] = set()
    for definition in definitions:
        name = text_at(definition, "name")
        if name is None or not 0 < len(name) <= UPSTREAM_NAME_CHARACTERS_MAX or not name.isprintable():
            continue
        if name in found:
            doubled.add(name)
        found[name] = Tool(connector, name, definition)
    return {name: tool for name, tool in found.items() if name not in doubled}


def public_name(connector: str, name: str) -> str:
    """The name at `/mcp`."""
    whole = f"{connector}{SEPARATOR}{name}"
    if len(whole) <= TOOL_NAME_CHARACTERS_MAX and _TAKEN_BY_CLIENTS.fullmatch(whole):
        return whole
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    room = TOOL_NAME_CHARACTERS_MAX - _DIGEST_CHARACTERS - 1
    return f"{_OTHER.sub('_', whole)[:room]}-{digest}"


def connector_of(public: str) -> str | None:
    """The connector that a name at `/mcp` belongs to."""
    connector, separator, rest = public.partition(SEPARATOR)
    return connector if separator and rest and connector else None


def by_public_name(connector: str, names: list[str]) -> dict[str, str]:
    """Names at `/mcp` → own names. Two that meet in one public name are both left out: neither may pass for the
    other."""
    found: dict[str, str] = {}
    doubled: set[str] = set()
    for name in names:
        public = public_name(connector, name)
        if public in found:
            doubled.add(public)
        found[public] = name
    return {public: name for public, name in found.items() if public not in doubled}


def public_uri(connector: str, uri: str) -> str:
    """A resource's URI at `/mcp`."""
    return f"{connector}+{uri}"


def own_uri(public: str) -> tuple[str, str] | None:
    """Connector and own URI of one at `/mcp`."""
    connector, plus, uri = public.partition("+")
    return (connector, uri) if plus and connector and uri else None


def _compiled(schema: object) -> Validator | str:
    if not is_object(schema):
        return "it has no schema for its arguments"
    try:
        return Validator(schema)
    except UnusableSchema as error:
        return f"its schema cannot be used: {error}"
