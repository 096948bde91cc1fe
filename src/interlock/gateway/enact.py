"""One operation enacted: sent as it was decided, and what came of it in the form that goes to the agent.

A result that is not what its tool's definition and the protocol say it is, is withheld. Left out: what is sent
(`operation.py`), what a result has to be (`results.py`), the words (`failures.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from interlock.gateway.catalogue import Catalogue
from interlock.gateway.conversation import Conversation
from interlock.gateway.failures import broken, effect_data, failure
from interlock.gateway.operation import Operation, sent
from interlock.gateway.results import asks_for_more, effect_of, lie, mismatch, status_of
from interlock.gateway.schema_checks import SchemaChecks
from interlock.mcp.message import RpcError
from interlock.mcp.revision import MISSING_CAPABILITY, REFUSED, UPSTREAM_BROKEN
from interlock.mediate.json_text import JsonObject, measure
from interlock.mediate.permit import Enacted, Honours, Permit, Refused
from interlock.mediate.upstream import Broken, Exchange, Fault, Reply, Result
from interlock.vocabulary import words
from interlock.vocabulary.decision import Allow, Steer
from interlock.vocabulary.effect import Effect

#: What goes back to an agent.
ToAgent = JsonObject | RpcError

#: Codes of a server that keep their meaning on the way to an agent; others become ours.
_PASSED_CODES: Final = frozenset({-32602, -32603, -32601, -32600, MISSING_CAPABILITY, -32042})
_HONOURS: Final = Honours()


@dataclass(frozen=True, slots=True)
class Enactor:
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
                method, params = sent(permit.action)
                return await self._read(await self.operation.upstream.request(method, params, self.exchange))
            case Steer():
                raise ValueError("a request is not steered")
            case never:
                assert_never(never)

    def denied(self, refused: Refused) -> JsonObject:
        """The answer to an operation that was refused: a result for a tool, an error for all else (raised)."""
        what = self.operation.what
        text = words.refusal(
            what, refused.decision, refused.reason, refused.answer, effect=refused.effect, record=refused.record
        )
        if self.operation.tool is not None:
            return failure(text, refused.effect)
        data = effect_data(refused.effect, {"rules": list(refused.decision.rules)})
        raise RpcError(REFUSED, text, data=data)

    async def _read(self, reply: Reply) -> Enacted[ToAgent]:
        if not isinstance(reply, Result):
            return self._no_result(reply)
        value, tool = reply.value, self.operation.tool
        size = measure(value)
        withheld = None
        if tool is not None:
            withheld = lie(tool, value) or await mismatch(tool, value, self.checks)
        if withheld is None:
            return Enacted(self._named(value), effect_of(value), status=status_of(value), result=size)
        text = f"Interlock withheld the result of {self.operation.what}: {withheld}. The call itself was made."
        return Enacted(failure(text, Effect.DONE), Effect.DONE, result=size, withheld=withheld)

    def _named(self, result: JsonObject) -> JsonObject:
        """The result with the names that this agent knows."""
        if asks_for_more(result):
            return result
        return self.catalogue.renamed(self.conversation, self.operation.upstream.connector, result)

    def _no_result(self, reply: Fault | Broken) -> Enacted[ToAgent]:
        what = self.operation.what
        if isinstance(reply, Fault):
            code = reply.code if reply.code in _PASSED_CODES else UPSTREAM_BROKEN
            http_status = 400 if code == MISSING_CAPABILITY else 200
            data = effect_data(Effect.UNKNOWN, reply.data)
            error = RpcError(code, words.fault(what, reply.message), data=data, status=http_status)
            return Enacted(error, Effect.UNKNOWN, status=f"error {reply.code}")
        status = f"{reply.reason} ({reply.detail})" if reply.detail else reply.reason
        text = broken(what, reply)
        if self.operation.tool is None:
            error = RpcError(UPSTREAM_BROKEN, text, data=effect_data(reply.effect))
            return Enacted(error, reply.effect, status[:1_000])
        return Enacted(failure(text, reply.effect), reply.effect, status[:1_000])
