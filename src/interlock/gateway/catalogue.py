"""From what an agent names to the server that has it, and lists of what an agent may see.

A list holds what policy could allow this agent, in a fixed order; a server that is dead, slow or lying is left out
and named in `_meta`, and never keeps the others from being listed.

A name means the same tool each time, and back. At `/mcp` a tool is `connector__tool`; where that is longer than 48
characters or holds others than clients take, an alias with a digest stands for it. Connector names hold no `_`, so the
first `__` always parts the two. Prompts are named likewise; a resource's URI gets the connector as `connector+` before
its scheme. At `/mcp/<connector>` everything has its own name.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from interlock.gateway.conversation import Conversation
from interlock.gateway.failures import effect_data, unusable
from interlock.gateway.limits import LIST_S_MAX, TOOL_NAME_CHARACTERS_MAX
from interlock.gateway.operation import LISTING, NO_SESSION, READ, Tool, call_action, named_action, subject_of, tools_of
from interlock.gateway.ports import Upstreams
from interlock.mcp.message import RpcError
from interlock.mcp.revision import INVALID_PARAMS, METHOD_NOT_FOUND, UPSTREAM_BROKEN
from interlock.mediate.line import contained
from interlock.mediate.ports import Engine
from interlock.mediate.upstream import Broken, Upstream
from interlock.vocabulary import words
from interlock.vocabulary.decision import Decision, Says
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject, is_object, object_at, text_at
from interlock.vocabulary.printable import printable

SEPARATOR: Final = "__"
_TAKEN_BY_CLIENTS: Final = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_OTHER: Final = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)
_DIGEST_CHARACTERS: Final = 10
_TOOLS_A_TURN: Final = 50
UI: Final = "ui://"
UNAVAILABLE: Final = "interlock/unavailable"
_KEYS: Final = {"tools": "name", "prompts": "name", "resources": "uri", "resourceTemplates": "uriTemplate"}
#: What a server says it has; `tools` is always said of an endpoint.
_CAPABILITIES: Final = {"prompts": "prompts", "resources": "resources", "resourceTemplates": "resources"}
_VERBS: Final = {"prompts": "prompt.get", "resources": "resource.read", "resourceTemplates": "resource.read"}


@dataclass(frozen=True, slots=True)
class _Tools:
    """The tools of one list, by their own names and by those at `/mcp`."""

    made_of: list[JsonObject]
    own: dict[str, Tool]
    public: dict[str, Tool]


class Catalogue:
    """See the module."""

    def __init__(self, upstreams: Upstreams, engine: Engine) -> None:
        self._upstreams = upstreams
        self._engine = engine
        self._reached: dict[tuple[str, str], Upstream] = {}
        self._tools: dict[tuple[str, str], _Tools] = {}

    async def tool(self, conversation: Conversation, name: object) -> tuple[Upstream, Tool]:
        """The tool of a name. Raises `RpcError` when there is none."""
        if not isinstance(name, str):
            raise RpcError(INVALID_PARAMS, "`name` is not a text")
        connector = conversation.connector or connector_of(name)
        upstream = self._upstream(conversation, connector)
        if upstream is None:
            raise _unknown("tool", name)
        definitions = await upstream.definitions("tools")
        if isinstance(definitions, Broken):
            raise unusable(words.call(name), definitions)
        tools = self._tools_of(conversation, upstream, definitions)
        found = (tools.own if conversation.connector else tools.public).get(name)
        if found is None:
            raise _unknown("tool", name)
        return upstream, found

    async def tool_of(self, conversation: Conversation, connector: str, own: str) -> tuple[Upstream, Tool]:
        """A tool by its server's own name, for what follows from a call of it. Raises `RpcError`."""
        upstream = self._upstream(conversation, connector)
        definitions = [] if upstream is None else await upstream.definitions("tools")
        if isinstance(definitions, Broken):
            raise unusable(words.call(own, connector), definitions)
        found = None if upstream is None else self._tools_of(conversation, upstream, definitions).own.get(own)
        if upstream is None or found is None:
            raise RpcError(UPSTREAM_BROKEN, f"{words.call(own, connector)}: the tool is not there any more")
        return upstream, found

    async def prompt(self, conversation: Conversation, name: object) -> tuple[Upstream, str]:
        """The server and own name of a prompt. Raises `RpcError` when there is none."""
        if not isinstance(name, str):
            raise RpcError(INVALID_PARAMS, "`name` is not a text")
        upstream = self._upstream(conversation, conversation.connector or connector_of(name))
        if upstream is None:
            raise _unknown("prompt", name)
        if conversation.connector:
            return upstream, name
        definitions = await upstream.definitions("prompts")
        if isinstance(definitions, Broken):
            raise unusable(f"the use of the prompt {words.shown(name)}", definitions)
        names = [each for each in (text_at(entry, "name") for entry in definitions) if each]
        own = by_public_name(upstream.connector, names).get(name)
        if own is None:
            raise _unknown("prompt", name)
        return upstream, own

    def resource(self, conversation: Conversation, uri: object) -> tuple[Upstream, str]:
        """The server and own URI of a resource. Raises `RpcError` when there is none."""
        if not isinstance(uri, str):
            raise RpcError(INVALID_PARAMS, "`uri` is not a text")
        parts = (conversation.connector, uri) if conversation.connector else own_uri(uri)
        upstream = self._upstream(conversation, parts[0]) if parts else None
        if parts is None or upstream is None:
            raise _unknown("resource", uri)
        return upstream, parts[1]

    def reachable(self, conversation: Conversation) -> list[Upstream]:
        """The servers at this endpoint."""
        wanted = [conversation.connector] if conversation.connector else self._upstreams.names()
        return [upstream for name in wanted if (upstream := self._upstream(conversation, name)) is not None]

    async def listed(self, conversation: Conversation, kind: str) -> JsonObject:
        """The list of one kind, of every server at this endpoint, as this agent may see it."""
        upstreams = self.reachable(conversation)
        answers = await asyncio.gather(*(self._entries(conversation, upstream, kind) for upstream in upstreams))
        entries: list[JsonObject] = []
        missing: list[JsonObject] = []
        for upstream, answer in zip(upstreams, answers, strict=True):
            if isinstance(answer, Broken):
                missing.append({"connector": upstream.connector, "reason": printable(answer.reason)})
            else:
                entries.extend(answer)
        if missing and conversation.connector:
            reason = str(missing[0]["reason"])
            named = f"`{conversation.connector}` "
            words = reason if reason.startswith(named) else f"{named}is unavailable: {reason}"
            raise RpcError(UPSTREAM_BROKEN, words, data=effect_data(Effect.NOT_SENT))
        claim = _CAPABILITIES.get(kind)
        if claim is not None and not missing and not any(claim in upstream.capabilities() for upstream in upstreams):
            status = 404 if conversation.modern else 200
            raise RpcError(METHOD_NOT_FOUND, f"no server at this endpoint has {kind}", status=status)
        entries.sort(key=lambda entry: str(entry[_KEYS[kind]]))
        return {kind: entries, **({"_meta": {UNAVAILABLE: missing}} if missing else {})}

    def renamed(self, conversation: Conversation, connector: str, result: JsonObject) -> JsonObject:
        """Links to resources in a result, as the agent may ask for them at this endpoint."""
        content = result.get("content")
        if conversation.connector or not isinstance(content, list):
            return result
        if not any(is_object(block) and block.get("type") == "resource_link" for block in content):
            return result
        return {**result, "content": [_relinked(connector, block) for block in content]}

    async def _entries(self, conversation: Conversation, upstream: Upstream, kind: str) -> list[JsonObject] | Broken:
        """One server's part of a list. Whatever goes wrong with it is that server's alone."""

        async def visible() -> list[JsonObject] | Broken:
            definitions = await _in_time(upstream, kind)
            if isinstance(definitions, Broken):
                return definitions
            return await self._visible(conversation, upstream, kind, definitions)

        return await contained(visible(), lambda why: Broken(f"its {kind} cannot be listed: {why}", Effect.NOT_SENT))

    async def _visible(
        self, conversation: Conversation, upstream: Upstream, kind: str, definitions: list[JsonObject]
    ) -> list[JsonObject]:
        """The entries that policy could allow, under the names of this endpoint."""
        key = _KEYS[kind]
        if kind == "tools":
            definitions = [tool.definition async for tool in self._visible_tools(conversation, upstream, definitions)]
        named = {own: entry for entry in definitions if (own := text_at(entry, key)) is not None}
        if kind != "tools":
            named = {own: entry for own, entry in named.items() if self._could(conversation, upstream, kind, own)}
        if conversation.connector:
            return list(named.values())
        if key != "name":
            return [{**entry, key: public_uri(upstream.connector, own)} for own, entry in named.items()]
        public = by_public_name(upstream.connector, list(named))
        return [{**_with_interface(upstream.connector, named[own]), "name": name} for name, own in public.items()]

    async def _visible_tools(
        self, conversation: Conversation, upstream: Upstream, definitions: list[JsonObject]
    ) -> AsyncIterator[Tool]:
        subject = subject_of(conversation.principal.agent, conversation.principal.session or NO_SESSION)
        for number, tool in enumerate(self._tools_of(conversation, upstream, definitions).own.values()):
            if number % _TOOLS_A_TURN == 0:
                await asyncio.sleep(0)  # a long list is looked through in parts: others are served in between
            call = call_action(identity=LISTING, subject=subject, tool=tool, upstream=upstream, arguments={})
            target = {"connector": tool.connector, "tool": tool.name, "operation": READ, "arguments": {}}
            listing: JsonObject = {**call, "verb": "tool.list", "target": target}
            hidden = _denies(self._engine.possible(listing)) or tool.arguments.unusable is not None
            if not hidden and self._engine.possible(call).says is not Says.DENY:
                yield tool

    def _could(self, conversation: Conversation, upstream: Upstream, kind: str, name: str) -> bool:
        subject = subject_of(conversation.principal.agent, conversation.principal.session or NO_SESSION)
        action = named_action(
            identity=LISTING,
            verb=_VERBS[kind],
            subject=subject,
            connector=upstream.connector,
            name=name,
            arguments={},
        )
        return self._engine.possible(action).says is not Says.DENY

    def _tools_of(self, conversation: Conversation, upstream: Upstream, definitions: list[JsonObject]) -> _Tools:
        """The tools of a list, made once for each list that a server gave."""
        key = (conversation.principal.agent, upstream.connector)
        known = self._tools.get(key)
        if known is None or known.made_of is not definitions:
            own = tools_of(upstream.connector, definitions)
            public = {name: own[each] for name, each in by_public_name(upstream.connector, list(own)).items()}
            known = self._tools[key] = _Tools(definitions, own, public)
        return known

    def _upstream(self, conversation: Conversation, connector: str | None) -> Upstream | None:
        """The server of a name, for this agent: its own as long as the gateway runs."""
        if not connector:
            return None
        key = (connector, conversation.principal.agent)
        upstream = self._reached.get(key) or self._upstreams.of(*key)
        if upstream is not None:
            self._reached[key] = upstream
        return upstream


async def _in_time(upstream: Upstream, kind: str) -> list[JsonObject] | Broken:
    try:
        async with asyncio.timeout(LIST_S_MAX):
            return await upstream.definitions(kind)
    except TimeoutError:
        return Broken(f"it did not list its {kind} within {LIST_S_MAX:g} s", Effect.UNKNOWN)


def _denies(decision: Decision) -> bool:
    return decision.says is Says.DENY and decision.spoke


def _relinked(connector: str, block: object) -> object:
    uri = text_at(block, "uri") if is_object(block) and block.get("type") == "resource_link" else None
    return {**block, "uri": public_uri(connector, uri)} if is_object(block) and uri is not None else block


def _with_interface(connector: str, definition: JsonObject) -> JsonObject:
    """A definition whose user interface, if it has one, is called as it is at `/mcp`."""
    meta = object_at(definition, "_meta")
    interface, flat = object_at(meta, "ui"), text_at(meta, "ui/resourceUri")
    own = text_at(interface, "resourceUri")
    renamed: JsonObject = {}
    if own is not None:
        renamed["ui"] = {**interface, "resourceUri": public_uri(connector, own)}
    if flat is not None:
        renamed["ui/resourceUri"] = public_uri(connector, flat)
    return {**definition, "_meta": {**meta, **renamed}} if renamed else definition


def _unknown(kind: str, name: str) -> RpcError:
    return RpcError(INVALID_PARAMS, f"Unknown {kind}: {printable(name, 200)}")


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
    """A resource's URI at `/mcp`. One of a user interface keeps its scheme, by which clients know it (MCP Apps)."""
    if uri.startswith(UI):
        return f"{UI}{connector}+{uri.removeprefix(UI)}"
    return f"{connector}+{uri}"


def own_uri(public: str) -> tuple[str, str] | None:
    """Connector and own URI of one at `/mcp`."""
    scheme = UI if public.startswith(UI) else ""
    connector, plus, rest = public.removeprefix(scheme).partition("+")
    uri = f"{scheme}{rest}" if rest else ""
    return (connector, uri) if plus and connector and uri else None
