"""What a client is told when it greets the gateway: what the servers at its endpoint can, together, how they say that
they are used, and which of them are not ready. It waits some seconds for that and no longer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from interlock.gateway import brief
from interlock.gateway.catalogue import UNAVAILABLE
from interlock.gateway.limits import ALL_INSTRUCTIONS_CHARACTERS_MAX, INSTRUCTIONS_CHARACTERS_MAX
from interlock.mcp.client_request import extensions_of
from interlock.mcp.message import RpcError
from interlock.mcp.revision import INVALID_PARAMS, LEGACY, LEGACY_KNOWN, MODERN
from interlock.mediate.upstream import Upstream
from interlock.vocabulary.json_text import JsonObject, is_object, object_at, text_at
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from interlock.gateway.conversation import Conversation
    from interlock.gateway.methods import Methods

SERVER_INFO: Final[JsonObject] = {"name": "interlock", "title": "Interlock gateway", "version": "0.1.0"}
_NOT_READY: Final = "Not ready yet: {}. What a server has is listed once it is there; ask for the list again."
INSTRUCTIONS: Final = (
    "Tools here are held to a policy. A refused call says which rule refused it and why: do not repeat it unchanged."
)


async def initialize(methods: Methods, conversation: Conversation, params: JsonObject) -> JsonObject:
    """The answer to `initialize`: the client's revision if it is known here, else our latest of that era."""
    asked = text_at(params, "protocolVersion")
    if asked is None or not is_object(params.get("capabilities", {})):
        raise RpcError(INVALID_PARAMS, "`initialize` says neither revision nor capabilities")
    greeting = await _greeting(methods, conversation)
    version = asked if asked in LEGACY_KNOWN else LEGACY[0]
    return {"protocolVersion": version, "serverInfo": SERVER_INFO, **greeting}


async def discover(methods: Methods, conversation: Conversation, params: JsonObject) -> JsonObject:
    """`server/discover`."""
    return {"supportedVersions": [MODERN, *LEGACY], **await _greeting(methods, conversation)}


async def _greeting(methods: Methods, conversation: Conversation) -> JsonObject:
    """What a client is told at first, the servers that are not ready among it: it may wait for nothing here."""
    upstreams, agent = methods.catalogue.reachable(conversation), conversation.principal.agent
    unready = await asyncio.gather(*(methods.catalogue.lists.ready(agent, each) for each in upstreams))
    late = any(each is not None and each.starting for each in unready)
    told = [(each.connector, why.reason) for each, why in zip(upstreams, unready, strict=True) if why is not None]
    greeting: JsonObject = {
        "capabilities": _capabilities(conversation, upstreams, late=late),
        "instructions": _instructions(methods, conversation),
    }
    if told:
        words = ", ".join(f"`{name}`" for name, _ in told)
        greeting["instructions"] = f"{greeting['instructions']}\n\n{_NOT_READY.format(words)}"
        greeting["_meta"] = {UNAVAILABLE: [{"connector": name, "reason": printable(why)} for name, why in told]}
    return greeting


def _instructions(methods: Methods, conversation: Conversation) -> str:
    """Ours, and then what each server at this endpoint says of its use, marked as its own; of the brief view only
    which servers there are."""
    parts = [INSTRUCTIONS]
    if conversation.brief:
        names = ", ".join(f"`{each.connector}`" for each in methods.catalogue.reachable(conversation))
        return "\n\n".join([*parts, brief.INSTRUCTIONS, f"Servers: {names}"])
    room = ALL_INSTRUCTIONS_CHARACTERS_MAX
    for upstream in methods.catalogue.reachable(conversation):
        said = (upstream.instructions or "")[: min(room, INSTRUCTIONS_CHARACTERS_MAX)]
        if said:
            lines = "\n".join(printable(line, len(said)) for line in said.splitlines()).replace("”", "’")
            parts.append(f"The server `{upstream.connector}` says of its use, in its own words: “{lines}”")
            room -= len(said)
    return "\n\n".join(parts)


def _capabilities(conversation: Conversation, upstreams: list[Upstream], *, late: bool) -> JsonObject:
    """What the servers at this endpoint can, together. What one has that is late is not known: so that clients ask
    for it, the kinds of lists are claimed, and that they change."""
    changes: JsonObject = {"listChanged": True} if late or len(upstreams) != 1 else {}
    claims: JsonObject = {"tools": changes}
    if late:
        claims |= {"prompts": changes, "resources": changes}
    for said in (upstream.capabilities() for upstream in upstreams):
        for key in ("resources", "prompts", "completions", *(() if conversation.modern else ("logging",))):
            if key in said:
                claims.setdefault(key, changes if key in ("resources", "prompts") else {})
        _claim_changes(claims, said, *(() if conversation.modern else ("subscribe",)))
        if conversation.modern and extensions_of(said):
            claims["extensions"] = {**object_at(claims, "extensions"), **extensions_of(said)}
    return claims


def _claim_changes(claims: JsonObject, said: JsonObject, *more: str) -> None:
    for key in ("tools", "prompts"):
        if key in claims and object_at(said, key).get("listChanged") is True:
            claims[key] = {"listChanged": True}
    resources = object_at(said, "resources")
    flags = {flag: True for flag in (*more, "listChanged") if resources.get(flag) is True}
    if flags:
        claims["resources"] = {**object_at(claims, "resources"), **flags}
