"""One operation enacted: what travels with it, sent as it was decided, and what came of it in the form that goes to the
agent.

Beside the arguments of a request travel its `_meta`, a client's answers to what a server asked, and the server's own
state, sealed on its way through the client. All of it is put into the Action (`beside`), so that it is decided, shown
and recorded before it is sent. Left out of it: what is ours or the envelope's, and the progress token, which never
reaches a server (a channel sends one of its own).

A result that is not what its tool's definition and the protocol say it is, is withheld. Left out: what is sent
(`operation.py`), the words (`failures.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from typing import Final, assert_never

from msgspec import Struct, structs

from interlock.gateway import steered
from interlock.gateway.catalogue import Catalogue
from interlock.gateway.conversation import Conversation
from interlock.gateway.failures import Unready, broken, effect_data, failure
from interlock.gateway.operation import Operation, Tool, sent
from interlock.gateway.parking import PAGES_FIRST, Asks, elicitations_of, pages_first
from interlock.gateway.results import as_seen
from interlock.gateway.schema_checks import SchemaChecks, UnusableSchema
from interlock.gateway.state import StateSeal, binding_of
from interlock.mcp.client_request import CAPABILITIES, MAY_BE_ANSWERED, extensions_of, unaskable
from interlock.mcp.message import RpcError
from interlock.mcp.revision import INVALID_PARAMS, META, MISSING_CAPABILITY, REFUSED, UPSTREAM_BROKEN
from interlock.mediate.permit import Enacted, Honours, Permit, Refused
from interlock.mediate.upstream import Broken, Exchange, Fault, Reply, Result, Upstream
from interlock.vocabulary import words
from interlock.vocabulary.decision import Allow, Steer
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject, is_object, measure, object_at

#: What goes back to an agent.
ToAgent = JsonObject | RpcError
#: Codes of a server that keep their meaning on the way to an agent; others become ours.
_PASSED_CODES: Final = frozenset({-32602, -32603, -32601, -32600, MISSING_CAPABILITY, PAGES_FIRST})
_HONOURS: Final = Honours()
_HONOURS_OF_CALLS: Final = Honours(steers=steered.KINDS)


class Enactor(Struct, frozen=True):
    """Enacts one operation for the agent of a conversation; see `mediate.ports.Enactor`.

    `catalogue` knows what else this server has for that agent, and what it is called there. `exchange` is the caller's
    side of the request.
    """

    catalogue: Catalogue
    conversation: Conversation
    operation: Operation
    exchange: Exchange
    checks: SchemaChecks

    @property
    def honours(self) -> Honours:
        """See `Enactor`: a call of a tool may be made otherwise, anything else is sent as it stands. A result is handed
        on as it came."""
        return _HONOURS if self.operation.tool is None else _HONOURS_OF_CALLS

    @property
    def effect(self) -> Effect:
        """See `Enactor`."""
        return self.exchange.passage.effect

    async def led_to(self, action: JsonObject, steer: Steer) -> JsonObject:
        """See `Enactor`."""
        tool = self.operation.tool
        if tool is None:
            raise ValueError(f"`{steer.kind}` is not something that a request can be steered to")
        upstream = self.operation.upstream
        if steer.kind == "tool":
            upstream, tool = await self.catalogue.tool_of(self.conversation, tool.connector, str(steer.value))
        return await steered.instead(action, steer, upstream, tool, self.checks)

    async def enact(self, permit: Permit) -> Enacted[ToAgent]:
        """See `Enactor`."""
        moved = await self._moved(permit)
        if moved is not None:
            return self._no_result(Broken(moved, Effect.NOT_SENT))
        match permit.verdict:
            case Allow():
                return await self._read(await self._reply(*sent(permit.action)))
            case Steer() as steer:
                return await self._steered(permit, steer)
            case never:
                assert_never(never)

    async def _steered(self, permit: Permit, steer: Steer) -> Enacted[ToAgent]:
        """The call that was decided instead. One to another tool ends with its result: what would have to go on under
        the name that was asked for is withheld."""
        operation, other = self.operation, steer.kind == "tool"
        if other:
            name = str(object_at(permit.action, "target")["tool"])
            upstream, tool = await self.catalogue.tool_of(self.conversation, operation.upstream.connector, name)
            operation = structs.replace(operation, upstream=upstream, action=permit.action, tool=tool)
        enacted = await structs.replace(self, operation=operation)._read(await self._reply(*sent(permit.action)))
        outcome = enacted.outcome
        if isinstance(outcome, RpcError):
            return enacted
        if other and (asks_for_more(outcome) or is_task(outcome)):
            text = (
                f"Interlock withheld the result of {operation.what}: it does not end there. The call itself was made."
            )
            return Enacted(failure(text, enacted.effect), enacted.effect, enacted.status, withheld=text)
        return structs.replace(enacted, outcome=steered.told(outcome, steer, permit.record))

    async def _moved(self, permit: Permit) -> str | None:
        """Why the tool is not what was decided about any more: its server may have said so while a person was asked."""
        target = object_at(permit.action, "target")
        if self.operation.tool is None:
            return None
        try:
            connector, name = self.operation.upstream.connector, str(target["tool"])
            _, tool = await self.catalogue.tool_of(self.conversation, connector, name)
        except (RpcError, Unready) as fault:
            return f"its definition cannot be looked at again ({fault.message})"
        return None if tool.digest == target["definition"] else "its definition changed meanwhile"

    def denied(self, refused: Refused) -> JsonObject:
        """The answer to an operation that was refused: a result for a tool, an error for all else (raised)."""
        what = self.operation.what
        text = words.refusal(
            what,
            refused.decision,
            refused.reason,
            refused.answer,
            effect=refused.effect,
            record=refused.record,
            risk=refused.risk,
        )
        if self.operation.tool is not None:
            return failure(text, refused.effect)
        data = effect_data(refused.effect, {"rules": list(refused.decision.rules)})
        raise RpcError(REFUSED, text, data=data)

    def _reply(self, method: str, params: JsonObject) -> Awaitable[Reply | Asks]:
        """The server's reply, or what it asks before it gives one."""
        upstream, exchange, parked = self.operation.upstream, self.exchange, self.operation.parked
        if parked is None:
            return upstream.request(method, params, exchange)
        answers = object_at(params, "inputResponses")
        return parked.round(lambda: upstream.request(method, params, exchange), answers, exchange.passage)

    async def _read(self, reply: Reply | Asks) -> Enacted[ToAgent]:
        if isinstance(reply, Fault):
            reply = pages_first(reply, self.conversation, self.operation.upstream) or reply
        if isinstance(reply, Asks):
            asked = reply.result
            return Enacted(asked, Effect.UNKNOWN, "input required", measure(asked), said=asked)
        if not isinstance(reply, Result):
            return self._no_result(reply)
        value, tool = reply.value, self.operation.tool
        size = measure(value)
        withheld = None
        if not self.operation.upstream.modern and (asks_for_more(value) or is_task(value)):
            withheld = "it is of a form that the server's revision does not have"
        elif tool is not None:
            withheld = lie(tool, value)
            if withheld is None and tool.result is not None:
                withheld = await mismatch(tool, value, self.checks)
        elif is_task(value):
            return self._no_result(Broken("the server makes a task of it, as only a call may become", Effect.UNKNOWN))
        if withheld is None:
            shown, noted = self._named(value)
            return Enacted(shown, effect_of(value), status=status_of(value), result=size, noted=noted, said=shown)
        text = f"Interlock withheld the result of {self.operation.what}: {withheld}. The call itself was made."
        told = (
            failure(text, Effect.DONE)
            if tool is not None
            else RpcError(UPSTREAM_BROKEN, text, data=effect_data(Effect.DONE))
        )
        return Enacted(told, Effect.DONE, result=size, withheld=withheld)

    def _named(self, result: JsonObject) -> tuple[JsonObject, JsonObject | None]:
        """The result with the names that this agent knows and as a person would see it, and what its record says of
        that."""
        if asks_for_more(result) or is_task(result):
            return result, None
        named = self.catalogue.renamed(self.conversation, self.operation.upstream.connector, result)
        return as_seen(named)

    def _no_result(self, reply: Fault | Broken) -> Enacted[ToAgent]:
        what = self.operation.what
        if isinstance(reply, Fault):
            pages = self.conversation.pages
            if pages is not None:
                for page in elicitations_of(reply):
                    pages.asked(self.operation.upstream.connector, {"mode": "url", **page})
            said: JsonObject = {"isError": True, "message": reply.message, "data": reply.data}
            return Enacted(error_of(what, reply), Effect.UNKNOWN, status=f"error {reply.code}", said=said)
        status = f"{reply.reason} ({reply.detail})" if reply.detail else reply.reason
        text = broken(what, reply)
        if self.operation.tool is None:
            error = RpcError(UPSTREAM_BROKEN, text, data=effect_data(reply.effect))
            return Enacted(error, reply.effect, status[:1_000])
        return Enacted(failure(text, reply.effect), reply.effect, status[:1_000])


def error_of(what: str, reply: Fault) -> RpcError:
    """A server's error, as the answer to an agent."""
    code = reply.code if reply.code in _PASSED_CODES else UPSTREAM_BROKEN
    data = effect_data(Effect.UNKNOWN, reply.data)
    http_status = 400 if code == MISSING_CAPABILITY else 200
    return RpcError(code, words.fault(what, reply.message), data=data, status=http_status)


def effect_of(result: JsonObject) -> Effect:
    """A server that asks for more input, or makes a task of the call, has not said yet that it did anything."""
    return Effect.UNKNOWN if asks_for_more(result) or is_task(result) else Effect.DONE


def status_of(result: JsonObject) -> str | None:
    """In the word of the record."""
    if asks_for_more(result):
        return "input required"
    if is_task(result):
        return "task"
    return "error" if result.get("isError") is True else None


def asks_for_more(result: JsonObject) -> bool:
    """Whether the server wants something of the client before it goes on (2026-07-28, multi round-trip requests)."""
    return result.get("resultType") == "input_required"


def is_task(result: JsonObject) -> bool:
    """Whether the server answers with a task, and later with what came of it (`tasks.py`)."""
    return result.get("resultType") == "task"


async def ends_wrong(tool: Tool, result: JsonObject, checks: SchemaChecks) -> str | None:
    """How the result that a task ended with is not what its tool's definition and the protocol say it is."""
    if asks_for_more(result) or is_task(result):
        return "it is not the end of the call"
    return lie(tool, result) or await mismatch(tool, result, checks)


def lie(tool: Tool, result: JsonObject) -> str | None:
    """How a result is not what its tool's definition and the protocol say it is."""
    if asks_for_more(result) or is_task(result):
        return None
    content = result.get("content")
    if not isinstance(content, list) or not all(is_object(each) for each in content):
        return "its content is not a list of blocks"
    if not isinstance(result.get("isError", False), bool):
        return "its isError is neither true nor false"
    if tool.result is not None and result.get("isError") is not True and "structuredContent" not in result:
        return "the tool promises a structured result and gave none"
    return None


async def mismatch(tool: Tool, result: JsonObject, checks: SchemaChecks) -> str | None:
    """How a structured result is not what the tool's schema promises."""
    if tool.result is None or result.get("isError") is True or asks_for_more(result) or is_task(result):
        return None
    try:
        faults = await checks.faults(tool.connector, tool.result, result.get("structuredContent"))
    except UnusableSchema as error:
        return f"it cannot be held to the tool's output schema ({error})"
    return f"it does not match the tool's output schema ({'; '.join(faults)})" if faults else None


def beside(
    conversation: Conversation, upstream: Upstream, method: str, params: JsonObject, seal: StateSeal
) -> JsonObject:
    """What goes along with a request. Raises `RpcError` for an answer that nobody asked for, and for a state that is
    not this request's."""
    passed: JsonObject = {}
    meta = meta_passed(conversation, params, upstream.client_requests)
    if meta:
        passed["_meta"] = meta
    if not conversation.modern or not upstream.modern or method not in MAY_BE_ANSWERED:
        return passed
    if "inputResponses" in params:
        if not is_object(params["inputResponses"]) or not upstream.client_requests:
            raise RpcError(INVALID_PARAMS, "`inputResponses` answers nothing that this server may ask")
        passed["inputResponses"] = params["inputResponses"]
    if "requestState" in params:
        passed["requestState"] = _opened(conversation, params, seal)
    return passed


def handed_back(
    outcome: JsonObject, conversation: Conversation, operation: Operation, params: JsonObject, seal: StateSeal
) -> JsonObject:
    """A result as it goes to the agent: a server's question only where it may be put, its state sealed."""
    if not asks_for_more(outcome):
        return outcome
    upstream = operation.upstream
    if unaskable(outcome.get("inputRequests", {}), upstream.client_requests, conversation.capabilities):
        why = "The server asks this client for something that it does not take, or that the operator does not forward."
        return ended(operation, why)
    state = outcome.get("requestState")
    if not isinstance(state, str):
        if not outcome.get("inputRequests"):
            return ended(operation, "The server asks for more input, and does not say what.")
        return outcome
    binding = binding_of(conversation, params, ours=not upstream.modern)
    return {**outcome, "requestState": seal.seal(state, binding=binding)}


def ended(operation: Operation, why: str) -> JsonObject:
    """What an agent is told of an operation that goes no further: a result for a tool, an error for all else
    (raised)."""
    text = f"{why} {words.UNSURE}"
    if operation.tool is not None:
        return failure(text, Effect.UNKNOWN)
    raise RpcError(UPSTREAM_BROKEN, text, data=effect_data(Effect.UNKNOWN))


def progress_token(params: JsonObject) -> object:
    """By what the agent wants to be told of progress; none if it does not."""
    return object_at(params, "_meta").get("progressToken")


def meta_passed(conversation: Conversation, params: JsonObject, allowed: Collection[str]) -> JsonObject:
    """What of a request's `_meta` goes along: not what is ours or the envelope's, and of the client's capabilities only
    what the operator forwards and the extensions that are carried."""
    meta = object_at(params, "_meta")
    kept = {key: value for key, value in meta.items() if not key.startswith((META, "interlock/"))}
    kept.pop("progressToken", None)
    if conversation.modern:
        said = object_at(meta, CAPABILITIES)
        claims = {key: each for key, each in said.items() if key in allowed}
        extensions = extensions_of(said)
        if allowed or extensions:
            kept[CAPABILITIES] = {**claims, "extensions": extensions} if extensions else claims
    return kept


def _opened(conversation: Conversation, params: JsonObject, seal: StateSeal) -> str:
    sealed = params["requestState"]
    binding = binding_of(conversation, params, ours=False)
    opened = seal.open(sealed, binding=binding) if isinstance(sealed, str) else None
    if opened is None:
        raise RpcError(INVALID_PARAMS, "`requestState` is not one of this request's, or was used already")
    return opened
