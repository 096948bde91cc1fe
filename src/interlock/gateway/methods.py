"""The methods of MCP that this gateway serves, by era. What has an effect or reads data (`tools/call`,
`resources/read`, `prompts/get` and their kin) is walked along the line; what is listed is `catalogue.py`'s."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from interlock.gateway import observe
from interlock.gateway.catalogue import UNAVAILABLE, Catalogue
from interlock.gateway.conversation import Conversation
from interlock.gateway.enact import Operation, ToAgent
from interlock.gateway.failures import effect_data, failure
from interlock.gateway.limits import LEVEL_S_MAX, LIST_S_MAX
from interlock.gateway.observe import Prompts, Tool, trace_of
from interlock.gateway.state import StateSeal
from interlock.mcp.client_request import KINDS
from interlock.mcp.message import RpcError, RpcRequest, error, result
from interlock.mcp.request_headers import check_parameters
from interlock.mcp.revision import INTERNAL, INVALID_PARAMS, LEGACY, META, METHOD_NOT_FOUND, MODERN, UPSTREAM_BROKEN
from interlock.mediate.json_text import JsonObject, is_object, measure, object_at, text_at
from interlock.mediate.line import Line
from interlock.mediate.permit import Attribution, Refused
from interlock.mediate.ports import Engine, Recorder, RecordFailed
from interlock.mediate.upstream import Broken, Exchange, Fault, Upstream
from interlock.vocabulary import words
from interlock.vocabulary.decision import Says
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.printable import printable

_LOG: Final = logging.getLogger("interlock.gateway")
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

@dataclass(frozen=True, slots=True)
class Use:
    """What is asked about one named thing of a server, and as the use of what it is decided."""

    method: str
    verb: str
    name: str
    arguments: JsonObject = field(default_factory=dict)
    beside: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Methods:
    """See the module."""

    line: Line
    engine: Engine
    recorder: Recorder
    catalogue: Catalogue
    prompts: Prompts
    seal: StateSeal
    session: str
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def answered(self, conversation: Conversation, said: RpcRequest) -> tuple[int, JsonObject]:
        """Status and message that answer a request. Whatever a method lets escape is an internal error, said without
        detail; and as nobody knows from here what was done by then, that is what is said."""
        try:
            return 200, result(said.id, await self._served(conversation, said.method, said.params))
        except RpcError as fault:
            return fault.status, error(said.id, fault)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as escaped:  # the edge, and native libraries panic with exceptions beside `Exception`
            _LOG.exception("a request of `%s` failed", said.method)
            text = f"internal error ({type(escaped).__name__}). {words.UNSURE}"
            return 200, error(said.id, RpcError(INTERNAL, text, data=effect_data(Effect.UNKNOWN)))

    async def _served(self, conversation: Conversation, method: str, params: JsonObject) -> JsonObject:
        found = (_MODERN if conversation.modern else _LEGACY).get(method)
        if found is None:
            status = 404 if conversation.modern else 200
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {method[:64]}", status=status)
        value = await found(self, conversation, params)
        return _modern_form(method, value) if conversation.modern else _legacy_form(value)

    async def call(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """`tools/call`. A denial is a result that says so; a protocol error stays one."""
        arguments = _arguments(params)
        upstream, tool = await self.catalogue.tool(conversation, params.get("name"))
        if conversation.modern:
            check_parameters(conversation.headers, object_at(tool.definition, "inputSchema"), arguments)
        identity, subject = self._identity(), self._subject(conversation)
        action = observe.tool_call(
            identity=identity, subject=subject, tool=tool, upstream=upstream, arguments=arguments
        )
        attribution = await self._attribution(conversation, params)
        operation = self._operation(conversation, upstream, "tools/call", tool.name, identity, tool)
        if isinstance(attribution, Refused):
            return operation.denied(attribution)
        unfit = self._unfit(action, tool, arguments)
        if unfit is not None:
            return operation.denied(await self.line.deny(action=action, attribution=attribution, because=unfit))
        operation = replace(operation, beside=self._beside(conversation, params))
        outcome = await self._mediated(operation, action, attribution)
        return self._handed_back(outcome, conversation, params, upstream)

    async def get_prompt(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """`prompts/get`."""
        upstream, own = await self.catalogue.prompt(conversation, params.get("name"))
        use = Use("prompts/get", "prompt.get", own, _arguments(params), self._beside(conversation, params))
        return self._handed_back(await self.used(conversation, upstream, use, params), conversation, params, upstream)

    async def read_resource(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """`resources/read`."""
        upstream, own = self.catalogue.resource(conversation, params.get("uri"))
        use = Use("resources/read", "resource.read", own, beside=self._beside(conversation, params))
        return self._handed_back(await self.used(conversation, upstream, use, params), conversation, params, upstream)

    async def used(
        self, conversation: Conversation, upstream: Upstream, use: Use, params: JsonObject
    ) -> JsonObject:
        """Anything asked of a server about one named thing that is not a tool. A denial is an `RpcError`."""
        identity = self._identity()
        action = observe.named(
            identity=identity,
            verb=use.verb,
            subject=self._subject(conversation),
            connector=upstream.connector,
            name=use.name,
            arguments=use.arguments,
        )
        operation = self._operation(conversation, upstream, use.method, use.name, identity)
        attribution = await self._attribution(conversation, params)
        if isinstance(attribution, Refused):
            return operation.denied(attribution)
        return await self._mediated(replace(operation, beside=use.beside), action, attribution)

    async def _mediated(self, operation: Operation, action: JsonObject, attribution: Attribution) -> JsonObject:
        revalidate = operation.conversation.revalidate
        outcome: ToAgent | Refused = await self.line.mediate(
            action=action, attribution=attribution, revalidate=revalidate, enactor=operation
        )
        if isinstance(outcome, Refused):
            return operation.denied(outcome)
        if isinstance(outcome, RpcError):
            raise outcome
        return outcome

    def _operation(
        self,
        conversation: Conversation,
        upstream: Upstream,
        method: str,
        name: str,
        identity: str,
        tool: Tool | None = None,
    ) -> Operation:
        exchange = self._exchange(conversation, identity)
        return Operation(self.catalogue, conversation, upstream, method, name, exchange, tool=tool)

    def _exchange(self, conversation: Conversation, identity: str) -> Exchange:
        async def started(session: str, process: int) -> None:
            """What links the call to the system calls: the session of the host plane that works on it."""
            record: JsonObject = {"type": "action.observed", "action": identity, "by": "gateway"}
            await self.recorder.ordered({**record, "observed_session": session, "process": process})

        return Exchange(identity, started, conversation.notify, conversation.ask)

    def _unfit(self, action: JsonObject, tool: Tool, arguments: JsonObject) -> str | None:
        """Why these arguments cannot be sent; none as well when policy refuses the tool anyway (its words come
        first)."""
        validator = tool.arguments
        faults = [validator] if isinstance(validator, str) else validator.faults(arguments)
        if not faults or self.engine.possible(action).says is Says.DENY:
            return None
        if isinstance(validator, str):
            return f"the tool cannot be used: {validator}"
        return "the arguments do not match the tool's schema: " + "; ".join(faults)

    async def _attribution(self, conversation: Conversation, params: JsonObject) -> Attribution | Refused:
        try:
            prompt = await self.prompts.reference(conversation.principal, params)
        except RecordFailed as failure:
            return self.line.unrecorded(failure)
        agent: JsonObject = {
            "name": conversation.principal.agent,
            "assurance": conversation.principal.assurance,
            "session": conversation.principal.session,
        }
        return Attribution(agent=agent, prompt=prompt, trace=trace_of(params))

    def _subject(self, conversation: Conversation) -> JsonObject:
        return observe.subject_of(conversation.principal.agent, conversation.principal.session or self.session)

    def _identity(self) -> str:
        return f"{self.session}/{next(self.numbers)}"

    def _beside(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """What goes along with a request: `_meta` without what is ours or the envelope's, and a client's answers to
        a server."""
        meta = object_at(params, "_meta")
        kept = {key: value for key, value in meta.items() if not key.startswith((META, "interlock/"))}
        if conversation.modern:
            kept[f"{META}clientCapabilities"] = meta.get(f"{META}clientCapabilities")
        passed: JsonObject = {"_meta": kept} if kept else {}
        if not conversation.modern:
            return passed
        if is_object(params.get("inputResponses")):
            passed["inputResponses"] = params["inputResponses"]
        if "requestState" in params:
            passed["requestState"] = self._opened(conversation, params)
        return passed

    def _opened(self, conversation: Conversation, params: JsonObject) -> str:
        sealed = params["requestState"]
        opened = None
        if isinstance(sealed, str):
            opened = self.seal.open(sealed, binding=_binding(conversation, params))
        if opened is None:
            raise RpcError(INVALID_PARAMS, "`requestState` is not one of this request's, or was used already")
        return opened

    def _handed_back(
        self, outcome: JsonObject, conversation: Conversation, params: JsonObject, upstream: Upstream
    ) -> JsonObject:
        if outcome.get("resultType") != "input_required":
            return outcome
        if not conversation.modern:
            text = "The server asks for more input, which this client's revision of MCP cannot give."
            return failure(f"{text} {words.UNSURE}", Effect.UNKNOWN)
        if _not_forwarded(outcome, upstream):
            text = "The server asks this client for something that the operator does not forward."
            return failure(f"{text} {words.UNSURE}", Effect.UNKNOWN)
        state = outcome.get("requestState")
        if isinstance(state, str):
            outcome = {**outcome, "requestState": self.seal.seal(state, binding=_binding(conversation, params))}
        return outcome

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

    async def discover(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """`server/discover`."""
        return {
            "supportedVersions": [MODERN, *LEGACY],
            "capabilities": await self._capabilities(conversation),
            "instructions": INSTRUCTIONS,
        }

    async def _capabilities(self, conversation: Conversation) -> JsonObject:
        """What the servers at this endpoint can, together. Who cannot be asked in time claims nothing."""
        upstreams = self.catalogue.reachable(conversation)
        await asyncio.gather(*(_connected(upstream) for upstream in upstreams))
        claims: JsonObject = {"tools": {}}
        for said in (upstream.capabilities() for upstream in upstreams):
            for key in ("resources", "prompts", "completions", *(() if conversation.modern else ("logging",))):
                if key in said:
                    claims[key] = {}
            if not conversation.modern:
                _claim_changes(claims, said)
        return claims

    async def complete(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """`completion/complete`: what is typed goes to the server, so it is decided as a use of the thing it belongs
        to."""
        reference, argument = object_at(params, "ref"), object_at(params, "argument")
        if text_at(reference, "type") == "ref/prompt":
            upstream, own = await self.catalogue.prompt(conversation, reference.get("name"))
            verb, shown = "prompt.get", {"type": "ref/prompt", "name": own}
        elif text_at(reference, "type") == "ref/resource":
            upstream, own = self.catalogue.resource(conversation, reference.get("uri"))
            verb, shown = "resource.read", {"type": "ref/resource", "uri": own}
        else:
            raise RpcError(INVALID_PARAMS, "`ref` is neither a prompt nor a resource")
        typed: JsonObject = {"ref": shown, "argument": argument}
        if is_object(params.get("context")):
            typed["context"] = params["context"]
        return await self.used(conversation, upstream, Use("completion/complete", verb, own, typed), params)

    async def set_level(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """Passed to every server at this endpoint that logs; it carries nothing but one of eight words. A server that
        does not take it in time is named, and nobody waits for it."""
        level = text_at(params, "level")
        if level not in _LEVELS:
            raise RpcError(INVALID_PARAMS, "`level` is not a level of RFC 5424")
        logging = [each for each in self.catalogue.reachable(conversation) if "logging" in each.capabilities()]
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


def _arguments(params: JsonObject) -> JsonObject:
    arguments = params.get("arguments", {})
    if not is_object(arguments):
        raise RpcError(INVALID_PARAMS, "`arguments` is not an object")
    return arguments


Method = Callable[[Methods, Conversation, JsonObject], Awaitable[JsonObject]]


def _lister(kind: str) -> Method:
    async def listed(methods: Methods, conversation: Conversation, params: JsonObject) -> JsonObject:
        if params.get("cursor") is not None:
            raise RpcError(INVALID_PARAMS, "this list has one page, so no cursor is known")
        return await methods.catalogue.listed(conversation, kind)

    return listed


def _subscription(method: str) -> Method:
    async def subscribed(methods: Methods, conversation: Conversation, params: JsonObject) -> JsonObject:
        upstream, own = methods.catalogue.resource(conversation, params.get("uri"))
        return await methods.used(conversation, upstream, Use(method, "resource.read", own), params)

    return subscribed


async def _pong(methods: Methods, conversation: Conversation, params: JsonObject) -> JsonObject:
    return {}


#: What this gateway serves, by era.
_SHARED: Final[dict[str, Method]] = {
    "tools/call": Methods.call,
    "resources/read": Methods.read_resource,
    "prompts/get": Methods.get_prompt,
    "completion/complete": Methods.complete,
    **{method: _lister(kind) for method, kind in _LISTS.items()},
}
_MODERN: Final[dict[str, Method]] = {**_SHARED, "server/discover": Methods.discover}
_LEGACY: Final[dict[str, Method]] = {
    **_SHARED,
    "ping": _pong,
    "logging/setLevel": Methods.set_level,
    "resources/subscribe": _subscription("resources/subscribe"),
    "resources/unsubscribe": _subscription("resources/unsubscribe"),
}


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


def _not_forwarded(outcome: JsonObject, upstream: Upstream) -> bool:
    """Whether a server asks for something that its operator did not allow it to ask."""
    asked = outcome.get("inputRequests", {})
    if not is_object(asked):
        return True
    kinds = {KINDS.get(str(each.get("method"))) if is_object(each) else None for each in asked.values()}
    return not kinds <= set(upstream.client_requests)


def _binding(conversation: Conversation, params: JsonObject) -> JsonObject:
    """What a sealed state is good for: this agent's same request, whatever its id and answers."""
    same = {key: params.get(key) for key in ("name", "uri", "arguments")}
    principal = conversation.principal
    return {"agent": principal.agent, "at": conversation.connector, "request": str(measure(same)["digest"])}
