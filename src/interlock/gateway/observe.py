"""A tool call, a read of a resource, a prompt → an Action (spec/action.md)."""

from __future__ import annotations

from typing import Final

from interlock.gateway.catalogue import Tool
from interlock.mediate.json_text import JsonObject, object_at
from interlock.mediate.upstream import Upstream

READ: Final = "read"
WRITE: Final = "write"
DELETE: Final = "delete"
#: Stand where an Action is only looked at for a list, and never decided for an act.
NO_SESSION: Final = "s-00000000T000000-000000"
LISTING: Final = f"{NO_SESSION}/0"


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
