"""Questions of servers to a client of the older era, which takes them in the middle of its request.

A server of the older era asks there as well, and what its client answers is decided and recorded before the server
hears it: as the operation that it asks in, with the answer beside the arguments. A server of the newer era ends the
request with what is asked (2026-07-28, "Multi Round-Trip Requests"). Its questions are put to the client, and the
request is made again with the answers, as an operation of its own: decided, asked about and recorded like the first.
Bounded: rounds, questions of one round, and the time of each question. Left out: clients of the newer era
(`parking.py`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import structs

from interlock.gateway.enact import asks_for_more, ended
from interlock.gateway.limits import ROUNDS_MAX
from interlock.gateway.operation import keys_in_doubt
from interlock.mcp.client_request import outcome_error, unaskable
from interlock.mcp.revision import REFUSED
from interlock.mediate.permit import Enacted, Honours, Permit, Refused
from interlock.vocabulary.decision import Steer
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject, is_object, object_at, text_at

if TYPE_CHECKING:
    from interlock.gateway.conversation import Conversation
    from interlock.gateway.methods import Methods
    from interlock.gateway.operation import Operation

Ask = Callable[[JsonObject], Awaitable[JsonObject]]
_HONOURS: Final = Honours()


def asking(methods: Methods, conversation: Conversation, operation: Operation, params: JsonObject) -> Ask | None:
    """How a server of the older era asks the client of one operation; none where that client takes no questions."""
    put = conversation.ask
    if put is None:
        return None

    async def ask(question: JsonObject) -> JsonObject:
        if conversation.pages is not None:
            conversation.pages.asked(operation.upstream.connector, object_at(question, "params"))
        outcome = await put(question)
        answer = outcome.get("result")
        if not is_object(answer):
            return outcome
        answered = _with(operation, {"inputResponses": {str(question["method"]): answer}}, methods.identity())
        refused = await _settled(methods, conversation, answered, params)
        return outcome if refused is None else outcome_error(REFUSED, "policy refuses what the client answers")

    return ask


async def followed(
    methods: Methods, conversation: Conversation, operation: Operation, params: JsonObject, asked: JsonObject
) -> JsonObject:
    """What comes of an operation whose server, of the newer era, asks for more."""
    for _ in range(ROUNDS_MAX):
        questions = asked.get("inputRequests", {})
        allowed = operation.upstream.client_requests
        if not is_object(questions) or unaskable(questions, allowed, conversation.capabilities):
            return ended(operation, "The server asks this client for something that it does not take.")
        if conversation.ask is None and questions:
            return ended(operation, "The server asks for more input, and this request has no way to its client.")
        answers = await _answers(conversation, questions)
        if answers is None:
            return ended(operation, "The client did not answer what the server asks.")
        beside: JsonObject = {"inputResponses": answers} if questions else {}
        state = asked.get("requestState")
        if isinstance(state, str):
            beside["requestState"] = state
        elif not questions:
            return ended(operation, "The server asks for more input, and does not say what.")
        again = _with(operation, beside, methods.identity())
        asked = await methods.once(conversation, again, params, keys_in_doubt(answers))
        if not asks_for_more(asked):
            return asked
    return ended(operation, f"The server asked for more input {ROUNDS_MAX} times, and was given up.")


async def _answers(conversation: Conversation, questions: JsonObject) -> JsonObject | None:
    """The client's answers, by the keys of the questions; none where it gives no answer to one of them."""

    async def put(question: object) -> JsonObject:
        assert conversation.ask is not None and is_object(question)
        try:
            return await conversation.ask(_older(question))
        except TimeoutError:
            return {}

    outcomes = await asyncio.gather(*(put(each) for each in questions.values()))
    results = [each.get("result") for each in outcomes]
    if not all(is_object(each) for each in results):
        return None
    return dict(zip(questions, results, strict=True))


def _older(question: JsonObject) -> JsonObject:
    """A question in the form of 2025-11-25, in which a page to be visited has an id."""
    params = object_at(question, "params")
    if params.get("mode") == "url" and text_at(params, "elicitationId") is None:
        params = {**params, "elicitationId": secrets.token_urlsafe(16)}
    return {"method": question["method"], "params": params}


def _with(operation: Operation, beside: JsonObject, identity: str) -> Operation:
    """The same operation with a client's answers beside what went along before, below the one that it goes on with."""
    target = object_at(operation.action, "target")
    kept = {key: value for key, value in object_at(target, "beside").items() if key == "_meta"}
    action: JsonObject = {**operation.action, "id": identity, "target": {**target, "beside": {**kept, **beside}}}
    return structs.replace(operation, action=action, parent=operation.parent or str(operation.action["id"]))


async def _settled(
    methods: Methods, conversation: Conversation, answered: Operation, params: JsonObject
) -> Refused | None:
    """Decide and record an answer. What denies it, if something does."""
    attribution = await methods.attribution(conversation, params, answered.parent)
    if isinstance(attribution, Refused):
        return attribution
    unclear = keys_in_doubt(object_at(object_at(answered.action, "target"), "beside"))
    if unclear is not None:
        return await methods.line.deny(action=answered.action, attribution=attribution, because=unclear)
    outcome = await methods.line.mediate(
        action=answered.action, attribution=attribution, revalidate=conversation.revalidate, enactor=_Answer()
    )
    return outcome if isinstance(outcome, Refused) else None


@dataclass(frozen=True, slots=True)
class _Answer:
    """Hands an answer to the server that waits for it; see `mediate.ports.Enactor`. What the server makes of it is told
    by the operation that it asks in."""

    @property
    def honours(self) -> Honours:
        """See `Enactor`."""
        return _HONOURS

    @property
    def effect(self) -> Effect:
        """See `Enactor`."""
        return Effect.NOT_SENT

    async def led_to(self, action: JsonObject, steer: Steer) -> JsonObject:
        """See `Enactor`."""
        raise ValueError(f"`{steer.kind}` is not something that an answer can be steered to")

    async def enact(self, permit: Permit) -> Enacted[None]:
        """See `Enactor`."""
        return Enacted(None, Effect.UNKNOWN, status="answered")
