"""The methods of MCP that this gateway serves, by era. What is decided goes to `calls.py`, what is listed to
`names.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from interlock.gateway.calls import Calls
from interlock.gateway.conversation import Conversation
from interlock.gateway.limits import LEVEL_S_MAX, LIST_S_MAX
from interlock.gateway.message import (
    INVALID_PARAMS,
    LEGACY,
    META,
    METHOD_NOT_FOUND,
    MODERN,
    UPSTREAM_BROKEN,
    RpcError,
)
from interlock.gateway.names import UNAVAILABLE, Names
from interlock.mediate.json_text import JsonObject, is_object, object_at, text_at
from interlock.mediate.upstream import Broken, Exchange, Fault, Upstream
from interlock.vocabulary.printable import printable

SERVER_INFO: Final[JsonObject] = {"name": "interlock", "title": "Interlock gateway", "version": "0.1.0"}
#: Lists differ by agent and change with policy: cached by one agent alone, and not for long.
TTL_MS: Final = 5_000
_LISTS: Final = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
_CACHEABLE: Final = frozenset({*_LISTS, "resources/read", "server/discover"})
_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
INSTRUCTIONS: Final = (
    "Tools here are held to a policy. A refused call says which rule refused it and why: do not repeat it unchanged."
)

Method = Callable[[Conversation, JsonObject], Awaitable[JsonObject]]


class Methods:
    """See the module."""

    def __init__(self, *, calls: Calls, names: Names) -> None:
        self._calls = calls
        self._names = names
        shared: dict[str, Method] = {
            "tools/call": calls.tool,
            "resources/read": lambda talk, params: calls.named(talk, "resources/read", params),
            "prompts/get": lambda talk, params: calls.named(talk, "prompts/get", params),
            "completion/complete": self._complete,
            **{method: self._lister(kind) for method, kind in _LISTS.items()},
        }
        self._modern: dict[str, Method] = {**shared, "server/discover": self._discover}
        self._legacy: dict[str, Method] = {
            **shared,
            "ping": _pong,
            "logging/setLevel": self._set_level,
            "resources/subscribe": lambda talk, params: self._subscription(talk, "resources/subscribe", params),
            "resources/unsubscribe": lambda talk, params: self._subscription(talk, "resources/unsubscribe", params),
        }

    async def call(self, conversation: Conversation, method: str, params: JsonObject) -> JsonObject:
        """Serve one request. Raises `RpcError` for an answer that is an error."""
        found = (self._modern if conversation.modern else self._legacy).get(method)
        if found is None:
            status = 404 if conversation.modern else 200
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {method[:64]}", status=status)
        result = await found(conversation, params)
        return _modern_form(method, result) if conversation.modern else _legacy_form(result)

    async def initialize(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """The answer to `initialize`: the client's revision if it is known here, else our latest of that era."""
        asked = text_at(params, "protocolVersion")
        if asked is None or not is_object(params.get("capabilities", {})):
            raise RpcError(INVALID_PARAMS, "`initialize` says neither revision nor capabilities")
        return {
            "protocolVersion": asked if asked in LEGACY else LEGACY[0],
            "capabilities": await self._capabilities(conversation),
            "serverInfo": SERVER_INFO,
            "instructions": INSTRUCTIONS,
        }

    async def _discover(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        return {
            "supportedVersions": [MODERN, *LEGACY],
            "capabilities": await self._capabilities(conversation),
            "instructions": INSTRUCTIONS,
        }

    async def _capabilities(self, conversation: Conversation) -> JsonObject:
        """What the servers at this endpoint can, together. Who cannot be asked in time claims nothing."""
        upstreams = self._names.reachable(conversation)
        await asyncio.gather(*(_connected(upstream) for upstream in upstreams))
        claims: JsonObject = {"tools": {}}
        for said in (upstream.capabilities() for upstream in upstreams):
            for key in ("resources", "prompts", "completions", *(() if conversation.modern else ("logging",))):
                if key in said:
                    claims[key] = {}
            if not conversation.modern:
                _claim_changes(claims, said)
        return claims

    def _lister(self, kind: str) -> Method:
        async def listed(conversation: Conversation, params: JsonObject) -> JsonObject:
            if params.get("cursor") is not None:
                raise RpcError(INVALID_PARAMS, "this list has one page: no cursor was given out")
            return await self._names.listed(conversation, kind)

        return listed

    async def _complete(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """`completion/complete`: what is typed goes to the server, so it is decided as a use of the thing it belongs
        to."""
        reference, argument = object_at(params, "ref"), object_at(params, "argument")
        if text_at(reference, "type") == "ref/prompt":
            upstream, own = await self._names.prompt(conversation, reference.get("name"))
            verb, sent_reference = "prompt.get", {"type": "ref/prompt", "name": own}
        elif text_at(reference, "type") == "ref/resource":
            upstream, own = self._names.resource(conversation, reference.get("uri"))
            verb, sent_reference = "resource.read", {"type": "ref/resource", "uri": own}
        else:
            raise RpcError(INVALID_PARAMS, "`ref` is neither a prompt nor a resource")
        sent: JsonObject = {"ref": sent_reference, "argument": argument}
        if is_object(params.get("context")):
            sent["context"] = params["context"]
        outcome = await self._calls.decided(
            conversation,
            upstream,
            "completion/complete",
            verb=verb,
            name=own,
            arguments=sent,
            sent=sent,
            params=params,
        )
        if isinstance(outcome, RpcError):
            raise outcome
        return outcome

    async def _subscription(self, conversation: Conversation, method: str, params: JsonObject) -> JsonObject:
        upstream, own = self._names.resource(conversation, params.get("uri"))
        sent: JsonObject = {"uri": own}
        outcome = await self._calls.decided(
            conversation, upstream, method, verb="resource.read", name=own, arguments={}, sent=sent, params=params
        )
        if isinstance(outcome, RpcError):
            raise outcome
        return outcome

    async def _set_level(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """Passed to every server at this endpoint that logs; it carries nothing but one of eight words. A server that
        does not take it in time is named, and nobody waits for it."""
        level = text_at(params, "level")
        if level not in _LEVELS:
            raise RpcError(INVALID_PARAMS, "`level` is not a level of RFC 5424")
        logging = [each for each in self._names.reachable(conversation) if "logging" in each.capabilities()]
        answers = await asyncio.gather(*(_levelled(each, level) for each in logging))
        missing: list[object] = [
            {"connector": each.connector, "reason": why}
            for each, why in zip(logging, answers, strict=True)
            if why is not None
        ]
        if missing and len(missing) == len(logging):
            who = ", ".join(f"`{each.connector}`" for each in logging)
            data: JsonObject = {UNAVAILABLE: missing}
            raise RpcError(UPSTREAM_BROKEN, f"the level was not taken by {who}: {answers[0]}", data=data)
        return {"_meta": {UNAVAILABLE: missing}} if missing else {}


async def _pong(conversation: Conversation, params: JsonObject) -> JsonObject:
    return {}


async def _levelled(upstream: Upstream, level: str) -> str | None:
    """Pass a level on; why the server did not take it, if it did not."""
    try:
        async with asyncio.timeout(LEVEL_S_MAX):
            reply = await upstream.request("logging/setLevel", {"level": level}, Exchange())
    except TimeoutError:
        return f"the server did not answer within {LEVEL_S_MAX:g} s"
    if isinstance(reply, Fault):
        return f"the server refuses it (error {reply.code})"
    return printable(reply.reason) if isinstance(reply, Broken) else None


async def _connected(upstream: Upstream) -> None:
    try:
        async with asyncio.timeout(LIST_S_MAX):
            await upstream.connect()
    except TimeoutError:
        return  # it claims nothing; lists name it as unavailable


def _claim_changes(claims: JsonObject, said: JsonObject) -> None:
    for key in ("tools", "prompts"):
        if key in claims and object_at(said, key).get("listChanged") is True:
            claims[key] = {"listChanged": True}
    resources = object_at(said, "resources")
    flags = {flag: True for flag in ("subscribe", "listChanged") if resources.get(flag) is True}
    if flags:
        claims["resources"] = {**object_at(claims, "resources"), **flags}


def _modern_form(method: str, result: JsonObject) -> JsonObject:
    meta = {**object_at(result, "_meta"), f"{META}serverInfo": SERVER_INFO}
    formed: JsonObject = {"resultType": "complete", **result, "_meta": meta}
    if method in _CACHEABLE:
        formed["ttlMs"] = TTL_MS
        formed["cacheScope"] = "private"
    return formed


def _legacy_form(result: JsonObject) -> JsonObject:
    return {key: value for key, value in result.items() if key not in ("resultType", "ttlMs", "cacheScope")}
