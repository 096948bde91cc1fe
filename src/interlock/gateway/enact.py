"""One request to a server, enacted: sent as it was decided, and what came of it in the form that goes to the
agent.

INVARIANT: what is decided is what is sent: the parameters of every method are made of the permit's own Action
(`parameters`). A result that is not what its tool's definition and the protocol say it is, is withheld. Left out: the
words (`failures.py`), what travels beside the parameters (`methods.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, assert_never

from interlock.gateway.catalogue import Catalogue
from interlock.gateway.conversation import Conversation
from interlock.gateway.failures import broken, effect_data, failure
from interlock.gateway.observe import Tool
from interlock.mcp.message import RpcError
from interlock.mcp.revision import MISSING_CAPABILITY, REFUSED, UPSTREAM_BROKEN
from interlock.mediate.json_text import JsonObject, is_object, measure, object_at
from interlock.mediate.permit import Enacted, Honours, Permit, Refused
from interlock.mediate.upstream import Broken, Exchange, Fault, Reply, Result, Upstream
from interlock.vocabulary import words
from interlock.vocabulary.decision import Allow, Steer
from interlock.vocabulary.effect import Effect

#: What goes back to an agent.
ToAgent = JsonObject | RpcError

#: Codes of a server that keep their meaning on the way to an agent; others become ours.
_PASSED_CODES: Final = frozenset({-32602, -32603, -32601, -32600, MISSING_CAPABILITY, -32042})
_HONOURS: Final = Honours()


@dataclass(frozen=True, slots=True)
class Operation:
    """One request about one named thing of a server, ready to be enacted.

    `catalogue` knows what else this server has for the agent of `conversation`, and what it is called there.
    `exchange` is the caller's side of the request, `beside` what travels with its parameters. `tool` is there for
    `tools/call`, whose denial is a result and not an error.
    """

    catalogue: Catalogue
    conversation: Conversation
    upstream: Upstream
    method: str
    name: str
    exchange: Exchange
    beside: JsonObject = field(default_factory=dict)
    tool: Tool | None = None

    @property
    def what(self) -> str:
        """The operation in words."""
        if self.tool is not None:
            return words.call(self.name, self.upstream.connector)
        return words.use(self.method, self.name, self.upstream.connector)

    @property
    def honours(self) -> Honours:
        """See `Enactor`: a request is sent as it stands, and its result is handed on as it came."""
        return _HONOURS

    @property
    def effect(self) -> Effect:
        """See `Enactor`."""
        return self.exchange.passage.effect

    async def led_to(self, action: JsonObject, steer: Steer) -> JsonObject:
        """See `Enactor`."""
        raise ValueError(f"`{steer.kind}` is not something that a request can be steered to")

    async def enact(self, permit: Permit) -> Enacted[ToAgent]:
        """See `Enactor`."""
        match permit.verdict:
            case Allow():
                sent = parameters(self.method, object_at(permit.action, "target"))
                return self._read(await self.upstream.request(self.method, {**sent, **self.beside}, self.exchange))
            case Steer():
                raise ValueError("a request is not steered")
            case never:
                assert_never(never)

    def denied(self, refused: Refused) -> JsonObject:
        """The answer to an operation that was refused: a result for a tool, an error for all else (raised)."""
        text = words.refusal(
            self.what, refused.decision, refused.reason, refused.answer, effect=refused.effect, record=refused.record
        )
        if self.tool is not None:
            return failure(text, refused.effect)
        data = effect_data(refused.effect, {"rules": list(refused.decision.rules)})
        raise RpcError(REFUSED, text, data=data)

    def _read(self, reply: Reply) -> Enacted[ToAgent]:
        if not isinstance(reply, Result):
            return self._no_result(reply)
        size = measure(reply.value)
        lie = _lie(self.tool, reply.value) if self.tool is not None else None
        if lie is None:
            return Enacted(self._named(reply.value), _done(reply.value), status=_status(reply.value), result=size)
        text = f"Interlock withheld the result of {self.what}: {lie}. The call itself was made."
        return Enacted(failure(text, Effect.DONE), Effect.DONE, result=size, withheld=lie)

    def _named(self, result: JsonObject) -> JsonObject:
        """The result with the names that this agent knows."""
        if result.get("resultType") == "input_required":
            return result
        return self.catalogue.renamed(self.conversation, self.upstream.connector, result)

    def _no_result(self, reply: Fault | Broken) -> Enacted[ToAgent]:
        if isinstance(reply, Fault):
            code = reply.code if reply.code in _PASSED_CODES else UPSTREAM_BROKEN
            http_status = 400 if code == MISSING_CAPABILITY else 200
            data = effect_data(Effect.UNKNOWN, reply.data)
            error = RpcError(code, words.fault(self.what, reply.message), data=data, status=http_status)
            return Enacted(error, Effect.UNKNOWN, status=f"error {reply.code}")
        status = f"{reply.reason} ({reply.detail})" if reply.detail else reply.reason
        text = broken(self.what, reply)
        if self.tool is None:
            error = RpcError(UPSTREAM_BROKEN, text, data=effect_data(reply.effect))
            return Enacted(error, reply.effect, status[:1_000])
        return Enacted(failure(text, reply.effect), reply.effect, status[:1_000])


def parameters(method: str, target: JsonObject) -> JsonObject:
    """A request's parameters: of the target that was decided on, and of nothing else. Raises `ValueError` for a method
    that is not about one named thing."""
    name, arguments = target["tool"], object_at(target, "arguments")
    match method:
        case "tools/call" | "prompts/get":
            return {"name": name, "arguments": arguments}
        case "resources/read" | "resources/subscribe" | "resources/unsubscribe":
            return {"uri": name}
        case "completion/complete":
            reference = object_at(arguments, "ref")
            key = "name" if reference.get("type") == "ref/prompt" else "uri"
            return {**arguments, "ref": {**reference, key: name}}
        case _:
            raise ValueError(f"`{method}` is not about one named thing")


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
