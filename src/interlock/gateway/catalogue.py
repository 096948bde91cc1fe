"""From what an agent names to the server that has it, and lists of what an agent may see.

A list holds what policy could allow this agent, in a fixed order; a server that is dead or lying is left out and named
in `_meta`, and never keeps the others from being listed. One that is slow delays nobody for long (`known_lists.py`).

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
from interlock.gateway.failures import Unready, effect_data
from interlock.gateway.known_lists import AsLastKnown, KnownLists, Listed
from interlock.gateway.limits import TOOL_NAME_CHARACTERS_MAX
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
from interlock.vocabulary.unseen_text import without_unseen

SEPARATOR: Final = "__"
_TAKEN_BY_CLIENTS: Final = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_OTHER: Final = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)
_DIGEST_CHARACTERS: Final = 10
_TOOLS_A_TURN: Final = 50
UI: Final = "ui://"
UNAVAILABLE: Final = "interlock/unavailable"
#: Servers whose entries may be older than what they have now.
AS_LAST_KNOWN: Final = "interlock/as-last-known"
#: What is not listed because it waits for a person.
HELD: Final = "interlock/held"
_HELD_TOLD_MAX: Final = 50
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


class NotThere(RpcError):
    """Nothing of this name is there for this agent."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(INVALID_PARAMS, f"Unknown {kind}: {printable(name, 200)}")


class Catalogue:
    """See the module."""

    def __init__(self, upstreams: Upstreams, engine: Engine) -> None:
        self._upstreams = upstreams
        self._engine = engine
        self.lists = KnownLists()
        self._reached: dict[tuple[str, str], Upstream] = {}
        self._tools: dict[tuple[str, str], _Tools] = {}

    async def tool(self, conversation: Conversation, name: object) -> tuple[Upstream, Tool]:
        """The tool of a name. Raises `RpcError` when there is none."""
        if not isinstance(name, str):
            raise RpcError(INVALID_PARAMS, "`name` is not a text")
        connector = conversation.connector or connector_of(name)
        upstream = self._upstream(conversation, connector)
        if upstream is None:
            raise NotThere("tool", name)
        definitions = await upstream.definitions("tools")
        if isinstance(definitions, Broken):
            raise Unready(words.call(name), definitions)
        tools = self._tools_of(conversation, upstream, definitions)
        found = (tools.own if conversation.connector else tools.public).get(name) or _held(conversation, upstream, name)
        if found is None:
            raise NotThere("tool", name)
        return upstream, found

    async def tool_of(self, conversation: Conversation, connector: str, own: str) -> tuple[Upstream, Tool]:
        """A tool by its server's own name, for what follows from a call of it. Raises `RpcError`."""
        upstream = self._upstream(conversation, connector)
        definitions = [] if upstream is None else await upstream.definitions("tools")
        if isinstance(definitions, Broken):
            raise Unready(words.call(own, connector), definitions)
        found = None if upstream is None else self._tools_of(conversation, upstream, definitions).own.get(own)
        if upstream is None or found is None:
            raise RpcError(UPSTREAM_BROKEN, f"{words.call(own, connector)}: the tool is not there any more")
        return upstream, found

    async def prompt(self, conversation: Conversation, name: object) -> tuple[Upstream, str, str | None]:
        """The server and own name of a prompt, and why it may not be used, if so. Raises `RpcError` when there is
        none."""
        if not isinstance(name, str):
            raise RpcError(INVALID_PARAMS, "`name` is not a text")
        upstream = self._upstream(conversation, conversation.connector or connector_of(name))
        if upstream is None:
            raise NotThere("prompt", name)
        definitions = await upstream.definitions("prompts")
        if isinstance(definitions, Broken):
            raise Unready(f"the use of the prompt {words.shown(name)}", definitions)
        held = upstream.held("prompts")
        names = [each for each in (text_at(entry, "name") for entry in definitions) if each]
        public = by_public_name(upstream.connector, [*names, *held])
        own = name if conversation.connector else public.get(name)
        if own is None:
            raise NotThere("prompt", name)
        return upstream, own, held[own].why if own in held else None

    def resource(self, conversation: Conversation, uri: object) -> tuple[Upstream, str]:
        """The server and own URI of a resource. Raises `RpcError` when there is none."""
        if not isinstance(uri, str):
            raise RpcError(INVALID_PARAMS, "`uri` is not a text")
        parts = (conversation.connector, uri) if conversation.connector else own_uri(uri)
        upstream = self._upstream(conversation, parts[0]) if parts else None
        if parts is None or upstream is None:
            raise NotThere("resource", uri)
        return upstream, parts[1]

    def reachable(self, conversation: Conversation) -> list[Upstream]:
        """The servers at this endpoint."""
        wanted = [conversation.connector] if conversation.connector else self._upstreams.names()
        return [upstream for name in wanted if (upstream := self._upstream(conversation, name)) is not None]

    async def listed(self, conversation: Conversation, kind: str) -> JsonObject:
        """The list of one kind, of every server at this endpoint, as this agent may see it."""
        upstreams = self.reachable(conversation)
        agent, alone = conversation.principal.agent, len(upstreams) == 1
        known = await asyncio.gather(*(self.lists.of(agent, each, kind, alone=alone) for each in upstreams))
        parts = [await self._part(conversation, *each, kind) for each in zip(upstreams, known, strict=True)]
        missing = [_told(name, part.reason) for name, part in parts if isinstance(part, Broken)]
        late = [
            _told(each.connector, lists.why)
            for each, lists in zip(upstreams, known, strict=True)
            if isinstance(lists, AsLastKnown)
        ]
        if missing and conversation.connector:
            reason = str(missing[0]["reason"])
            named = f"`{conversation.connector}` "
            words = reason if reason.startswith(named) else f"{named}is unavailable: {reason}"
            raise RpcError(UPSTREAM_BROKEN, words, data=effect_data(Effect.NOT_SENT))
        if alone and not missing and not self.lists.promised(agent, upstreams[0].connector):
            _check_claimed(conversation, upstreams[0], kind)
        entries = [entry for _, part in parts if not isinstance(part, Broken) for entry in part]
        entries.sort(key=lambda entry: str(entry[_KEYS[kind]]))
        waiting = [each for upstream in upstreams for each in _waiting(upstream, kind)][:_HELD_TOLD_MAX]
        told = {UNAVAILABLE: missing, AS_LAST_KNOWN: late, HELD: waiting}
        meta: JsonObject = {key: each for key, each in told.items() if each}
        return {kind: entries, **({"_meta": meta} if meta else {})}

    def renamed(self, conversation: Conversation, connector: str, result: JsonObject) -> JsonObject:
        """Links to resources in a result, as the agent may ask for them at this endpoint."""
        content = result.get("content")
        if conversation.connector or not isinstance(content, list):
            return result
        if not any(is_object(block) and block.get("type") == "resource_link" for block in content):
            return result
        return {**result, "content": [_relinked(connector, block) for block in content]}

    async def _part(
        self, conversation: Conversation, upstream: Upstream, known: Listed, kind: str
    ) -> tuple[str, list[JsonObject] | Broken]:
        """One server's part of a list, by its name. Whatever goes wrong with it is that server's alone."""
        if isinstance(known, Broken):
            return upstream.connector, known
        entries = known.entries if isinstance(known, AsLastKnown) else known

        async def visible() -> list[JsonObject] | Broken:
            return await self._visible(conversation, upstream, kind, entries)

        why = f"its {kind} cannot be listed"
        return upstream.connector, await contained(visible(), lambda fault: Broken(f"{why}: {fault}", Effect.NOT_SENT))

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
        named = {own: without_unseen(entry)[0] for own, entry in named.items()}
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


def _held(conversation: Conversation, upstream: Upstream, name: str) -> Tool | None:
    """A tool that waits for a person, by its name at this endpoint: by that definition it is refused, with words."""
    held = upstream.held("tools")
    own = name if conversation.connector else by_public_name(upstream.connector, list(held)).get(name)
    return Tool(upstream.connector, own, held[own].definition, held[own].why) if own in held and own else None


def _waiting(upstream: Upstream, kind: str) -> list[JsonObject]:
    """What waits of a list, for the agent to tell its user."""
    held = upstream.held(kind).items()
    return [{"connector": upstream.connector, "name": printable(name, 64), "reason": each.why} for name, each in held]


def _check_claimed(conversation: Conversation, upstream: Upstream, kind: str) -> None:
    """Raises `RpcError` where the one server of an endpoint has nothing of a kind. Of several, all kinds are there:
    which of them have any is not known until each has been reached."""
    claim = _CAPABILITIES.get(kind)
    if claim is not None and claim not in upstream.capabilities():
        status = 404 if conversation.modern else 200
        raise RpcError(METHOD_NOT_FOUND, f"no server at this endpoint has {kind}", status=status)


def _told(connector: str, why: str) -> JsonObject:
    return {"connector": connector, "reason": printable(why)}


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
