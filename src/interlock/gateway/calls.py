"""What has an effect or reads data: `tools/call`, `resources/read`, `prompts/get` and their kin, each walked along
the line.

INVARIANT: what is decided is what is sent: the arguments of the Action and of the forwarded request are one and the
same object.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from interlock.gateway import enact, observe
from interlock.gateway.catalogue import Tool
from interlock.gateway.conversation import Conversation
from interlock.gateway.header import check_parameters
from interlock.gateway.message import INVALID_PARAMS, MISSING_CAPABILITY, REFUSED, UPSTREAM_BROKEN, RpcError
from interlock.gateway.names import Names
from interlock.gateway.prompts import Prompts, trace_of
from interlock.gateway.state import StateSeal
from interlock.mediate.json_text import JsonObject, is_object, object_at
from interlock.mediate.line import Context, Line
from interlock.mediate.ports import Engine, Recorder, RecordFailed
from interlock.mediate.record_size import measure
from interlock.mediate.upstream import Broken, Exchange, Fault, Reply, Result, Upstream
from interlock.mediate.values import Effect, Enacted, Passage, Refused, Says

Outcome = JsonObject | RpcError
#: Codes of a server that keep their meaning on the way to an agent; others become ours.
_PASSED_CODES: Final = frozenset({-32602, -32603, -32601, -32600, MISSING_CAPABILITY, -32042})
_VERBS: Final = {"resources/read": "resource.read", "prompts/get": "prompt.get"}


class Calls:
    """The operations that are decided."""

    def __init__(
        self,
        *,
        line: Line,
        engine: Engine,
        recorder: Recorder,
        names: Names,
        prompts: Prompts,
        seal: StateSeal,
        session: str,
    ) -> None:
        self._line = line
        self._engine = engine
        self._recorder = recorder
        self._names = names
        self._prompts = prompts
        self._seal = seal
        self._session = session
        self._number = itertools.count()

    async def tool(self, conversation: Conversation, params: JsonObject) -> JsonObject:
        """`tools/call`. A denial is a result that says so; a protocol error stays one."""
        arguments = params.get("arguments", {})
        if not is_object(arguments):
            raise RpcError(INVALID_PARAMS, "`arguments` is not an object")
        upstream, tool = await self._names.tool(conversation, params.get("name"))
        if conversation.modern:
            check_parameters(conversation.headers, object_at(tool.definition, "inputSchema"), arguments)
        action = observe.tool_call(
            identity=self._identity(),
            subject=self._subject(conversation),
            tool=tool,
            upstream=upstream,
            arguments=arguments,
        )
        what = f"the call of {enact.shown(tool.name)} at {enact.shown(tool.connector)}"
        context = await self._context(conversation, params)
        if isinstance(context, Refused):
            return enact.denied_result(what, context)
        unfit = self._unfit(action, tool, arguments)
        if unfit is not None:
            refused = await self._line.deny(action=action, context=context, because=unfit)
            return enact.denied_result(what, refused)
        sent: JsonObject = {"name": tool.name, "arguments": arguments, **self._passed_on(conversation, params, tool)}
        end = _tool_end(tool, what)
        outcome = await self._mediate(conversation, upstream, "tools/call", action, context, sent, end)
        if isinstance(outcome, Refused):
            return enact.denied_result(what, outcome)
        return self._handed_back(outcome, conversation, params, upstream)

    async def named(self, conversation: Conversation, method: str, params: JsonObject) -> JsonObject:
        """`resources/read` and `prompts/get`."""
        upstream, name, own = await self._names.named(conversation, method, params)
        arguments = own.get("arguments", {})
        if not is_object(arguments):
            raise RpcError(INVALID_PARAMS, "`arguments` is not an object")
        sent = {**own, **self._passed_on(conversation, params, None)}
        outcome = await self.decided(
            conversation,
            upstream,
            method,
            verb=_VERBS[method],
            name=name,
            arguments=arguments,
            sent=sent,
            params=params,
        )
        return self._handed_back(outcome, conversation, params, upstream)

    async def decided(
        self,
        conversation: Conversation,
        upstream: Upstream,
        method: str,
        *,
        verb: str,
        name: str,
        arguments: JsonObject,
        sent: JsonObject,
        params: JsonObject,
    ) -> Outcome:
        """Anything asked of a server about one named thing: decided as `verb` on that name. A denial is an
        `RpcError`."""
        action = observe.named(
            identity=self._identity(),
            verb=verb,
            subject=self._subject(conversation),
            connector=upstream.connector,
            name=name,
            arguments=arguments,
        )
        what = f"{enact.shown(method)} of {enact.shown(name)} at {enact.shown(upstream.connector)}"
        context = await self._context(conversation, params)
        if isinstance(context, Refused):
            raise _refusal(what, context)
        outcome = await self._mediate(conversation, upstream, method, action, context, sent, _plain_end(what))
        if isinstance(outcome, Refused):
            raise _refusal(what, outcome)
        return outcome

    async def _mediate(
        self,
        conversation: Conversation,
        upstream: Upstream,
        method: str,
        action: JsonObject,
        context: Context,
        sent: JsonObject,
        end: Callable[[Reply], Enacted[Outcome]],
    ) -> Outcome | Refused:
        identity = str(action["id"])

        passage = Passage()

        async def send() -> Enacted[Outcome]:
            exchange = Exchange(identity, self._observed(identity), conversation.notify, conversation.ask, passage)
            return end(await upstream.request(method, sent, exchange))

        return await self._line.mediate(
            action=action, context=context, revalidate=conversation.revalidate, enact=send, passage=passage
        )

    def _observed(self, identity: str) -> Callable[[str, int], Awaitable[None]]:
        """What links the call to the system calls: the session of the host plane that works on it."""

        async def started(session: str, process: int) -> None:
            record: JsonObject = {"type": "action.observed", "action": identity, "by": "gateway"}
            await self._recorder.ordered({**record, "observed_session": session, "process": process})

        return started

    def _unfit(self, action: JsonObject, tool: Tool, arguments: JsonObject) -> str | None:
        """Why these arguments cannot be sent; none as well when policy refuses the tool anyway (its words come
        first)."""
        validator = tool.arguments
        faults = [validator] if isinstance(validator, str) else validator.faults(arguments)
        if not faults or self._engine.possible(action).says is Says.DENY:
            return None
        if isinstance(validator, str):
            return f"the tool cannot be used: {validator}"
        return "the arguments do not match the tool's schema: " + "; ".join(faults)

    async def _context(self, conversation: Conversation, params: JsonObject) -> Context | Refused:
        try:
            prompt = await self._prompts.reference(conversation.principal, params)
        except RecordFailed as failure:
            return self._line.unrecorded(failure)
        agent: JsonObject = {
            "name": conversation.principal.agent,
            "assurance": conversation.principal.assurance,
            "session": conversation.principal.session,
        }
        return Context(agent=agent, prompt=prompt, trace=trace_of(params))

    def _subject(self, conversation: Conversation) -> JsonObject:
        return observe.subject_of(conversation.principal.agent, conversation.principal.session or self._session)

    def _identity(self) -> str:
        return f"{self._session}/{next(self._number)}"

    def _passed_on(self, conversation: Conversation, params: JsonObject, tool: Tool | None) -> JsonObject:
        """What goes along with a request: `_meta` without what is ours or the envelope's, and a client's answers to
        a server."""
        meta = object_at(params, "_meta")
        kept = {key: value for key, value in meta.items() if _travels(key)}
        if conversation.modern:
            claims = meta.get(f"{_RESERVED}clientCapabilities")
            kept[f"{_RESERVED}clientCapabilities"] = claims
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
            opened = self._seal.open(sealed, binding=_binding(conversation, params))
        if opened is None:
            raise RpcError(INVALID_PARAMS, "`requestState` is not one of this request's, or was used already")
        return opened

    def _handed_back(
        self, outcome: Outcome, conversation: Conversation, params: JsonObject, upstream: Upstream
    ) -> JsonObject:
        if isinstance(outcome, RpcError):
            raise outcome
        if outcome.get("resultType") != "input_required":
            return self._names.renamed(conversation, upstream.connector, outcome)
        if not conversation.modern:
            words = "The server asks for more input, which this client's revision of MCP cannot give."
            return enact.failure(f"{words} {enact.UNSURE}", Effect.UNKNOWN)
        if _not_forwarded(outcome, upstream):
            words = "The server asks this client for something that the operator does not forward."
            return enact.failure(f"{words} {enact.UNSURE}", Effect.UNKNOWN)
        state = outcome.get("requestState")
        if isinstance(state, str):
            outcome = {**outcome, "requestState": self._seal.seal(state, binding=_binding(conversation, params))}
        return outcome


_KINDS: Final = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}


def _not_forwarded(outcome: JsonObject, upstream: Upstream) -> bool:
    """Whether a server asks for something that its operator did not allow it to ask."""
    asked = outcome.get("inputRequests", {})
    if not is_object(asked):
        return True
    kinds = {_KINDS.get(str(each.get("method"))) if is_object(each) else None for each in asked.values()}
    return not kinds <= set(upstream.client_requests)


_RESERVED: Final = "io.modelcontextprotocol/"


def _travels(key: str) -> bool:
    return not key.startswith((_RESERVED, "interlock/"))


def _binding(conversation: Conversation, params: JsonObject) -> JsonObject:
    """What a sealed state is good for: this agent's same request, whatever its id and answers."""
    same = {key: params.get(key) for key in ("name", "uri", "arguments")}
    principal = conversation.principal
    return {"agent": principal.agent, "at": conversation.connector, "request": str(measure(same)["digest"])}


def _tool_end(tool: Tool, what: str) -> Callable[[Reply], Enacted[Outcome]]:
    def end(reply: Reply) -> Enacted[Outcome]:
        if not isinstance(reply, Result):
            return _no_result(reply, what)
        lie = _lie(tool, reply.value)
        size = measure(reply.value)
        if lie is None:
            return Enacted(reply.value, _done(reply.value), status=_status(reply.value), result=size)
        words = f"Interlock withheld the result of {what}: {lie}. The call itself was made."
        return Enacted(enact.failure(words, Effect.DONE), Effect.DONE, result=size, withheld=lie)

    return end


def _done(result: JsonObject) -> Effect:
    """A server that asks for more input has answered, but not said that it did anything."""
    return Effect.UNKNOWN if result.get("resultType") == "input_required" else Effect.DONE


def _status(result: JsonObject) -> str | None:
    if result.get("resultType") == "input_required":
        return "input required"
    return "error" if result.get("isError") is True else None


def _lie(tool: Tool, result: JsonObject) -> str | None:
    """How a result is not what its tool's definition and the protocol say it is."""
    if result.get("resultType") == "input_required":
        return None
    content = result.get("content")
    if not isinstance(content, list) or not all(is_object(each) for each in content):
        return "its content is not a list of blocks"
    if not isinstance(result.get("isError", False), bool):
        return "its isError is neither true nor false"
    validator = tool.result
    if validator is None or result.get("isError") is True:
        return None
    if isinstance(validator, str):
        return validator
    if "structuredContent" not in result:
        return "the tool promises a structured result and gave none"
    faults = validator.faults(result["structuredContent"])
    return f"it does not match the tool's output schema ({'; '.join(faults)})" if faults else None


def _plain_end(what: str) -> Callable[[Reply], Enacted[Outcome]]:
    def end(reply: Reply) -> Enacted[Outcome]:
        if isinstance(reply, Result):
            size = measure(reply.value)
            return Enacted(reply.value, _done(reply.value), status=_status(reply.value), result=size)
        ended = _no_result(reply, what)
        if isinstance(reply, Broken):
            data = enact.effect_data(reply.effect)
            return replace(ended, outcome=RpcError(UPSTREAM_BROKEN, enact.broken_words(what, reply), data=data))
        return ended

    return end


def _no_result(reply: Fault | Broken, what: str) -> Enacted[Outcome]:
    if isinstance(reply, Fault):
        code = reply.code if reply.code in _PASSED_CODES else UPSTREAM_BROKEN
        http_status = 400 if code == MISSING_CAPABILITY else 200
        data = enact.effect_data(Effect.UNKNOWN, reply.data)
        error = RpcError(code, enact.fault_words(what, reply.message), data=data, status=http_status)
        return Enacted(error, Effect.UNKNOWN, status=f"error {reply.code}")
    status = f"{reply.reason} ({reply.detail})" if reply.detail else reply.reason
    outcome = enact.failure(enact.broken_words(what, reply), reply.effect)
    return Enacted(outcome, reply.effect, status=status[:1_000])


def _refusal(what: str, refused: Refused) -> RpcError:
    data = enact.effect_data(refused.effect, {"rules": list(refused.decision.rules)})
    return RpcError(REFUSED, enact.denial_words(what, refused), data=data)
