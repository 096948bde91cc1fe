"""The methods of MCP that this gateway serves, by era. What has an effect or reads data (`tools/call`,
`resources/read`, `prompts/get` and their kin) is walked along the line; what is listed is `catalogue.py`'s."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from interlock.gateway import brief, capabilities, rounds, statement, tasks
from interlock.gateway.capabilities import SERVER_INFO
from interlock.gateway.catalogue import UNAVAILABLE, Catalogue
from interlock.gateway.conversation import Conversation
from interlock.gateway.enact import Enactor, ToAgent, asks_for_more, beside, handed_back, is_task, progress_token
from interlock.gateway.failures import Unready, effect_data, failure
from interlock.gateway.limits import (
    LEVEL_S_MAX,
)
from interlock.gateway.operation import (
    Operation,
    Prompts,
    Tool,
    Use,
    keys_in_doubt,
    subject_of,
    tool_call,
    trace_of,
    uri_in_doubt,
    use_of,
)
from interlock.gateway.parking import ParkedCall, Parking
from interlock.gateway.ports import Tasks
from interlock.gateway.schema_checks import SchemaChecks, UnusableSchema
from interlock.gateway.state import StateSeal
from interlock.mcp.client_request import MAY_BE_ANSWERED
from interlock.mcp.definition import is_schema_of_objects
from interlock.mcp.message import RpcError, RpcRequest, error, result
from interlock.mcp.request_headers import check_parameters
from interlock.mcp.revision import (
    INTERNAL,
    INVALID_PARAMS,
    META,
    METHOD_NOT_FOUND,
    REFUSED,
    UPSTREAM_BROKEN,
)
from interlock.mediate.line import Line
from interlock.mediate.permit import Attribution, Refused
from interlock.mediate.ports import Engine, Recorder, RecordFailed
from interlock.mediate.upstream import Exchange, Upstream
from interlock.vocabulary import words
from interlock.vocabulary.decision import Says
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject, is_object, object_at, text_at

_LOG: Final = logging.getLogger("interlock.gateway")
#: Lists differ by agent and change with policy: cached by one agent alone, and not for long.
TTL_MS: Final = 5_000
_LISTS: Final = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
_CACHEABLE: Final = frozenset({*_LISTS, "resources/read", "server/discover"})
#: The least first.
LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


@dataclass(frozen=True, slots=True, kw_only=True)
class Methods:
    """See the module."""

    line: Line
    engine: Engine
    recorder: Recorder
    catalogue: Catalogue
    prompts: Prompts
    seal: StateSeal
    checks: SchemaChecks
    tasks: Tasks
    session: str
    parking: Parking = field(default_factory=Parking)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def answered(self, conversation: Conversation, said: RpcRequest) -> tuple[int, JsonObject]:
        """Status and message that answer a request. Whatever a method lets escape is an internal error, said without
        detail; and as nobody knows from here what was done by then, that is what is said."""
        found = (_MODERN if conversation.modern else _LEGACY).get(said.method)
        try:
            if found is None:
                status = 404 if conversation.modern else 200
                raise RpcError(METHOD_NOT_FOUND, f"Method not found: {said.method[:64]}", status=status)
            value = await found(self, conversation, said.params)
            formed = (_modern_form if conversation.modern else _legacy_form)(said.method, value)
            return 200, result(said.id, formed)
        except RpcError as fault:
            return fault.status, error(said.id, fault)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as escaped:  # the edge, and native libraries panic with exceptions beside `Exception`
            _LOG.exception("a request of `%s` failed", said.method)
            text = f"internal error ({type(escaped).__name__}). {words.UNSURE}"
            return 200, error(said.id, RpcError(INTERNAL, text, data=effect_data(Effect.UNKNOWN)))

    async def call(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """`tools/call`. A denial is a result that says so, and so is a server that is not ready; a protocol error stays
        one."""
        if conversation.brief:
            return await brief.called(self, conversation, params)
        arguments = _arguments(params)
        try:
            upstream, tool = await self.catalogue.tool(conversation, params.get("name"))
        except Unready as unready:
            return failure(unready.message, Effect.NOT_SENT)
        if conversation.modern and conversation.headers is not None:
            check_parameters(conversation.headers, tool.mirrored, arguments)
        told = await statement.seen(upstream, tool.name, arguments) if upstream.observes else statement.NOTHING
        parked, along = self._along(conversation, upstream, "tools/call", params)
        operation = tool_call(
            upstream, tool, arguments, beside=along, identity=self.identity(), subject=self.subject(conversation),
            observed=told.does,
        )  # fmt: skip
        operation = operation.waiting(parked)
        unfit, unclear = tool.held or told.unfit, keys_in_doubt(arguments)
        try:
            if unfit is None and (unclear is not None or not self.checks.fits_at_once(tool.arguments, arguments)):
                unfit = await self._unfit(operation.action, tool, arguments, unclear)
        except BaseException:
            if parked is not None:
                parked.left(cancelled=True)  # nobody comes back to it
            raise
        return await self.walked(conversation, operation, params, unfit)

    async def get_prompt(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """`prompts/get`."""
        upstream, own, held = await self.catalogue.prompt(conversation, params.get("name"))
        use = Use("prompt.get", own, _arguments(params), "prompts/get", held)
        return await self.used(conversation, upstream, use, params)

    async def read_resource(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """`resources/read`."""
        upstream, own = self.catalogue.resource(conversation, params.get("uri"))
        return await self.used(conversation, upstream, Use("resource.read", own, {}, "resources/read"), params)

    async def used(self, conversation: Conversation, upstream: Upstream, use: Use, params: JsonObject) -> JsonObject:
        """Anything asked of a server about one named thing that is not a tool. A denial is an `RpcError`."""
        parked, along = self._along(conversation, upstream, use.method, params)
        operation = use_of(upstream, use, beside=along, identity=self.identity(), subject=self.subject(conversation))
        operation = operation.waiting(parked)
        unfit = use.held or keys_in_doubt(use.arguments)
        if use.verb == "resource.read":
            unfit = unfit or uri_in_doubt(use.name)
        return await self.walked(conversation, operation, params, unfit)

    async def walked(
        self, conversation: Conversation, operation: Operation, params: JsonObject, unfit: str | None
    ) -> JsonObject:
        """The operation along the line, and what follows from it where its server asks for more. `unfit` is why it
        cannot be sent, which is a denial on the record."""
        outcome = await self.once(conversation, operation, params, unfit)
        if asks_for_more(outcome) and not conversation.modern:
            outcome = await rounds.followed(self, conversation, operation, params, outcome)
        if is_task(outcome):
            return await tasks.handed_out(self, conversation, operation, outcome, params)
        return handed_back(outcome, conversation, operation, params, self.seal)

    def once(
        self, conversation: Conversation, operation: Operation, params: JsonObject, unfit: str | None
    ) -> Awaitable[JsonObject]:
        """The operation along the line, once: its result as the server gave it, or a denial."""
        work = self._mediated(conversation, operation, params, unfit)
        return work if operation.parked is None else _then_left(work, operation.parked)

    async def _mediated(
        self, conversation: Conversation, operation: Operation, params: JsonObject, unfit: str | None
    ) -> JsonObject:
        exchange = self._exchange(conversation, operation, params)
        answers = object_at(object_at(operation.action, "target"), "beside").get("inputResponses")
        unfit = unfit or keys_in_doubt(answers)
        enactor = Enactor(self.catalogue, conversation, operation, exchange, self.checks)
        attribution = await self.attribution(conversation, params, operation.parent)
        if isinstance(attribution, Refused):
            return enactor.denied(attribution)
        if unfit is not None:
            refused = await self.line.deny(action=operation.action, attribution=attribution, because=unfit)
            return enactor.denied(refused)
        outcome: ToAgent | Refused = await self.line.mediate(
            action=operation.action, attribution=attribution, revalidate=conversation.revalidate, enactor=enactor
        )
        if isinstance(outcome, Refused):
            return enactor.denied(outcome)
        if isinstance(outcome, RpcError):
            raise outcome
        return outcome

    def _along(
        self, conversation: Conversation, upstream: Upstream, method: str, params: JsonObject
    ) -> tuple[ParkedCall | None, JsonObject]:
        """What goes along with a request, and the call at its server that it goes on with, or that may be parked."""
        answers = conversation.modern and not upstream.modern and method in MAY_BE_ANSWERED
        if answers and ("inputResponses" in params or "requestState" in params):
            parked, given = self.parking.resumed(conversation, upstream, params, self.seal)
            if parked is not None:
                return parked, {"inputResponses": given}
        along = beside(conversation, upstream, method, params, self.seal)
        if not (answers and upstream.client_requests and conversation.capabilities):
            return None, along
        return self.parking.begin(conversation, upstream, progress_token(params)), along

    def _exchange(self, conversation: Conversation, operation: Operation, params: JsonObject) -> Exchange:
        identity, parked = str(operation.action["id"]), operation.parked

        async def started(session: str, process: int) -> None:
            """What links the call to the system calls: the session of the host plane that works on it."""
            record: JsonObject = {"type": "action.observed", "action": identity, "by": "gateway"}
            await self.recorder.ordered({**record, "observed_session": session, "process": process})

        ask: Callable[[JsonObject], Awaitable[JsonObject]] | None = None if parked is None else parked.ask
        if conversation.ask is not None and operation.upstream.client_requests:
            ask = rounds.asking(self, conversation, operation, params)
        return Exchange(
            identity, started, conversation.notify if parked is None else parked.tell, ask, conversation.revalidate,
            progress=progress_token(params), session=conversation.session, claims=_claims(conversation),
        )  # fmt: skip

    async def _unfit(
        self, action: JsonObject, tool: Tool, arguments: JsonObject, unclear: str | None
    ) -> str | None:
        """Why these arguments cannot be sent; none as well when policy refuses the tool anyway (its words come first,
        and nothing is made of its schema). `unclear`: why they could be read in two ways."""
        if self.engine.possible(action).says is Says.DENY:
            return None
        if unclear is not None:
            return unclear
        try:
            faults = await self.checks.faults(tool.connector, tool.arguments, arguments)
        except UnusableSchema as error:
            return f"the tool cannot be used: the schema of its arguments is of no use ({error})"
        return "the arguments do not match the tool's schema: " + "; ".join(faults) if faults else None

    async def attribution(
        self, conversation: Conversation, params: JsonObject, parent: str | None = None
    ) -> Attribution | Refused:
        """Who asks, why and below what, as the records of a request say it; a denial where that could not be noted."""
        try:
            prompt = await self.prompts.reference(conversation.principal, params)
        except RecordFailed as failure:
            return self.line.unrecorded(failure)
        agent: JsonObject = {
            "name": conversation.principal.agent,
            "assurance": conversation.principal.assurance,
            "session": conversation.principal.session,
        }
        return Attribution(agent=agent, prompt=prompt, trace=trace_of(params), parent=parent)

    def subject(self, conversation: Conversation) -> JsonObject:
        """Who acts, for an Action."""
        return subject_of(conversation.principal.agent, conversation.principal.session or self.session)

    def identity(self) -> str:
        """The next id of an Action."""
        return f"{self.session}/{next(self.numbers)}"

    async def complete(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """`completion/complete`: what is typed goes to the server, so it is decided as a use of the thing it belongs
        to."""
        reference, argument, held = object_at(params, "ref"), object_at(params, "argument"), None
        if text_at(reference, "type") == "ref/prompt":
            upstream, own, held = await self.catalogue.prompt(conversation, reference.get("name"))
            verb, shown = "prompt.get", {"type": "ref/prompt", "name": own}
        elif text_at(reference, "type") == "ref/resource":
            upstream, own = self.catalogue.resource(conversation, reference.get("uri"))
            verb, shown = "resource.read", {"type": "ref/resource", "uri": own}
        else:
            raise RpcError(INVALID_PARAMS, "`ref` is neither a prompt nor a resource")
        typed: JsonObject = {"ref": shown, "argument": argument}
        if is_object(params.get("context")):
            typed["context"] = params["context"]
        return await self.used(conversation, upstream, Use(verb, own, typed, "completion/complete", held), params)

    async def set_level(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """The level is the session's, which keeps from the client what is below it. It is also passed to every server
        at this endpoint that logs, as far as policy lets it; a server that does not take it in time is named, and
        nobody waits for it."""
        level = text_at(params, "level")
        if level not in LEVELS:
            raise RpcError(INVALID_PARAMS, "`level` is not a level of RFC 5424")
        logging = [each for each in self.catalogue.reachable(conversation) if "logging" in each.capabilities()]
        answers = await asyncio.gather(*(self._levelled(conversation, each, level) for each in logging))
        untold = [(each.connector, why) for each, why in zip(logging, answers, strict=True) if why is not None]
        missing: list[object] = [{"connector": name, "reason": why.message} for name, why in untold]
        if missing and all(why is not None and why.code != REFUSED for why in answers):
            who = ", ".join(f"`{name}`" for name, _ in untold)
            data: JsonObject = {UNAVAILABLE: missing}
            raise RpcError(UPSTREAM_BROKEN, f"the level was not taken by {who}: {untold[0][1].message}", data=data)
        return {"_meta": {UNAVAILABLE: missing}} if missing else {}

    async def _levelled(self, conversation: Conversation, upstream: Upstream, level: str) -> RpcError | None:
        """Pass a level on; why the server was not told or did not take it, if so."""
        try:
            async with asyncio.timeout(LEVEL_S_MAX):
                await self.used(conversation, upstream, Use("log.level", level, {}, "logging/setLevel"), {})
        except TimeoutError:
            return RpcError(UPSTREAM_BROKEN, f"the server did not answer within {LEVEL_S_MAX:g} s")
        except RpcError as fault:
            return fault
        return None


async def _then_left(work: Awaitable[JsonObject], parked: ParkedCall) -> JsonObject:
    cancelled = True
    try:
        outcome = await work
        cancelled = False
        return outcome
    except RpcError:
        cancelled = False
        raise
    finally:
        parked.left(cancelled=cancelled)


def _claims(conversation: Conversation) -> JsonObject | None:
    """What a client of the older era takes of questions, in this request; one of the newer era says so in each."""
    if conversation.modern:
        return None
    return conversation.capabilities if conversation.ask is not None else {}


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
        if conversation.brief and kind == "tools":
            return brief.listed()
        return await methods.catalogue.listed(conversation, kind)

    return listed


def _subscription(method: str) -> Method:
    async def subscribed(methods: Methods, conversation: Conversation, params: JsonObject) -> JsonObject:
        upstream, own = methods.catalogue.resource(conversation, params.get("uri"))
        return await methods.used(conversation, upstream, Use("resource.read", own, {}, method), params)

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
_MODERN: Final[dict[str, Method]] = {
    **_SHARED,
    "server/discover": capabilities.discover,
    "tasks/get": tasks.get,
    "tasks/update": tasks.update,
    "tasks/cancel": tasks.cancel,
}
_LEGACY: Final[dict[str, Method]] = {
    **_SHARED,
    "ping": _pong,
    "logging/setLevel": Methods.set_level,
    "resources/subscribe": _subscription("resources/subscribe"),
    "resources/unsubscribe": _subscription("resources/unsubscribe"),
}


def _modern_form(method: str, result: JsonObject) -> JsonObject:
    meta = {**object_at(result, "_meta"), f"{META}serverInfo": SERVER_INFO}
    formed: JsonObject = {"resultType": "complete", **result, "_meta": meta}
    if method in _CACHEABLE:
        formed["ttlMs"] = TTL_MS
        formed["cacheScope"] = "private"
    return formed


def _legacy_form(method: str, result: JsonObject) -> JsonObject:
    """The older revisions know structured results that are objects only: clients throw away what is another."""
    formed = {key: value for key, value in result.items() if key not in ("resultType", "ttlMs", "cacheScope")}
    if method == "tools/call" and not is_object(formed.get("structuredContent", {})):
        del formed["structuredContent"]
    tools = formed.get("tools")
    if method == "tools/list" and isinstance(tools, list):
        formed["tools"] = [_legacy_definition(each) for each in tools if is_object(each)]
    return formed


def _legacy_definition(definition: JsonObject) -> JsonObject:
    if "outputSchema" not in definition or is_schema_of_objects(definition["outputSchema"]):
        return definition
    return {key: value for key, value in definition.items() if key != "outputSchema"}
