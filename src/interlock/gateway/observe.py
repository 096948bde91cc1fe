"""A tool call, a read of a resource, a prompt → an Action (spec/action.md): the tool as its server defines it, who
asks, and what is told of why.

A tool's schemas are kept, and held to elsewhere (`schema_checks.py`). The prompt above
a call is known as far as somebody tells us: an agent's hook, or `_meta` of the call. Such a reference is asserted
by the agent's side, never proof; only digest and size are kept of a prompt, and for each principal the last one
seen is the one that later calls refer to.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

from interlock.gateway.limits import PROMPTS_KEPT_MAX, UPSTREAM_NAME_CHARACTERS_MAX
from interlock.gateway.schema_checks import Foreign
from interlock.mediate.json_text import JsonObject, canonical, object_at, text_at
from interlock.mediate.ports import Recorder
from interlock.mediate.principal import Principal
from interlock.mediate.upstream import Upstream

READ: Final = "read"
WRITE: Final = "write"
DELETE: Final = "delete"
#: Stand where an Action is only looked at for a list, and never decided for an act.
NO_SESSION: Final = "s-00000000T000000-000000"
LISTING: Final = f"{NO_SESSION}/0"
META_KEY: Final = "interlock/prompt"
REFERENCE_CHARACTERS_MAX: Final = 256
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

K = TypeVar("K")

Key = tuple[str, str, str | None]


def operation_class(tool: Tool, upstream: Upstream) -> str:
    """What a call does. The operator's word first; a server's own word may raise the class, and lower it only if it
    is trusted."""
    configured = upstream.operations.get(tool.name)
    if configured is not None:
        return configured
    hints = object_at(tool.definition, "annotations")
    if hints.get("destructiveHint") is True:
        return DELETE
    if hints.get("readOnlyHint") is True and upstream.trust_annotations:
        return READ
    return WRITE


def tool_call(
    *, identity: str, subject: JsonObject, tool: Tool, upstream: Upstream, arguments: JsonObject
) -> JsonObject:
    """The Action of one call; its arguments are the very ones that are forwarded."""
    target: JsonObject = {
        "connector": tool.connector,
        "tool": tool.name,
        "operation": operation_class(tool, upstream),
        "arguments": arguments,
        "definition": tool.digest,
    }
    return _action(identity, "tool.call", target, subject)


def named(
    *, identity: str, verb: str, subject: JsonObject, connector: str, name: str, arguments: JsonObject
) -> JsonObject:
    """The Action of `resource.read` (its `tool` is the URI) or `prompt.get` (the name)."""
    target: JsonObject = {"connector": connector, "tool": name, "operation": READ, "arguments": arguments}
    return _action(identity, verb, target, subject)


def _action(identity: str, verb: str, target: JsonObject, subject: JsonObject) -> JsonObject:
    return {"id": identity, "plane": "gateway", "verb": verb, "target": target, "subject": subject}


def subject_of(agent: str, session: str) -> JsonObject:
    """Who acts."""
    return {"agent": agent, "session": session, "task": None, "process": None}


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
    def arguments(self) -> Foreign:
        """What its arguments must be."""
        return Foreign(self.definition.get("inputSchema"))

    @cached_property
    def result(self) -> Foreign | None:
        """What its structured result must be, if it says so."""
        return Foreign(self.definition["outputSchema"]) if "outputSchema" in self.definition else None


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


class Prompts:
    """What was seen last, by principal."""

    def __init__(self, recorder: Recorder, new_id: Callable[[], str]) -> None:
        self._recorder = recorder
        self._new_id = new_id
        self._current: OrderedDict[Key, str] = OrderedDict()
        self._by_reference: OrderedDict[tuple[Key, str], str] = OrderedDict()

    async def seen(self, principal: Principal, prompt: bytes) -> str:
        """A hook saw a prompt: record it, and refer to it from now on. Raises `RecordFailed`."""
        digest = f"sha256:{hashlib.sha256(prompt).hexdigest()}"
        identity = await self._record(principal, source="hook", digest=digest, size=len(prompt))
        _keep(self._current, _key(principal), identity)
        return identity

    async def reference(self, principal: Principal, params: JsonObject) -> str | None:
        """The prompt that a call refers to: its own `_meta` first, else the last one seen. Raises `RecordFailed`."""
        text = text_at(object_at(params, "_meta"), META_KEY)
        if text is None or len(text) > REFERENCE_CHARACTERS_MAX:
            return self._current.get(_key(principal))
        known = self._by_reference.get((_key(principal), text))
        if known is not None:
            return known
        digest = text if _DIGEST.fullmatch(text) else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        identity = await self._record(principal, source="meta", digest=digest, size=len(text.encode()))
        _keep(self._by_reference, (_key(principal), text), identity)
        return identity

    async def _record(self, principal: Principal, *, source: str, digest: str, size: int) -> str:
        identity = self._new_id()
        await self._recorder.ordered(
            {
                "type": "prompt.seen",
                "id": identity,
                "source": source,
                "digest": digest,
                "bytes": size,
                "agent": {"name": principal.agent, "assurance": principal.assurance},
                "seen_in": principal.session,
            }
        )
        return identity


def trace_of(params: JsonObject) -> JsonObject | None:
    """The trace context of a call (W3C Trace Context), if it is well formed."""
    text = text_at(object_at(params, "_meta"), "traceparent")
    return {"traceparent": text} if text is not None and _TRACEPARENT.fullmatch(text) else None


def _key(principal: Principal) -> Key:
    return principal.agent, principal.token, principal.session


def _keep(kept: OrderedDict[K, str], key: K, identity: str) -> None:
    kept[key] = identity
    kept.move_to_end(key)
    while len(kept) > PROMPTS_KEPT_MAX:
        kept.popitem(last=False)
