"""Questions of a server of the older era, on their way to a client of the newer one.

The older era asks in the middle of a call and waits there. The newer one ends the request with what is asked, and the
client makes the request again with its answers (2026-07-28, "Multi Round-Trip Requests"). In between the call at the
server is parked: it goes on and nobody is connected to it. The client's next request brings the answers, or its time is
over; then the server hears that nobody answered, and ends the call as it likes.

A parked call is named by a state that is sealed like a modern server's (`state.py`): good for its holder (the agent, by
any token of the same session or user), this connector and this very request, once. Each round is an operation of its
own, decided, asked about and recorded with the answers in its Action before the server hears them. Bounded: calls
parked, questions of one, and the time.

A server of the older era may also refuse a call until a page was visited (2025-11-25, error -32042, which the newer era
does not have). That is a round as well, with no call that waits.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from interlock.gateway.conversation import Conversation
from interlock.gateway.limits import PARKED_MAX, PARKED_PER_AGENT_MAX, PARKED_S_MAX
from interlock.gateway.state import StateSeal, binding_of
from interlock.mcp.client_request import QUESTIONS_MAX, claimed, outcome_error, refusal_of, unaskable
from interlock.mcp.message import RpcError
from interlock.mcp.revision import INVALID_PARAMS, INVALID_REQUEST
from interlock.mediate.line import Passage
from interlock.mediate.upstream import Broken, Fault, Reply, Upstream
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject, is_object, object_at

#: A call is refused until pages were visited (2025-11-25, "URL Elicitation Required Error").
PAGES_FIRST: Final = -32042
#: The state of a round with no call that waits: names of parked calls are longer.
_NOTHING_WAITS: Final = "pages"

Send = Callable[[], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Asks:
    """What is asked of the client before the operation goes on, and the state that its answers come back with."""

    questions: JsonObject
    state: str

    @property
    def result(self) -> JsonObject:
        """In the form of 2026-07-28."""
        return {"resultType": "input_required", "inputRequests": self.questions, "requestState": self.state}


@dataclass(frozen=True, slots=True)
class _Waiting:
    question: JsonObject
    outcome: asyncio.Future[JsonObject]


class ParkedCall:
    """One call at a server, which goes on over the rounds of its client."""

    def __init__(self, lot: Parking, conversation: Conversation, connector: str, token: object) -> None:
        self.agent = conversation.principal.agent
        self.place = conversation.principal.place
        self.connector = connector
        self.begun: str | None = None  # the id of the Action that began it
        self._lot = lot
        self._conversation: Conversation | None = conversation
        self._token = token
        self._numbers = itertools.count(1)
        self._waiting: dict[str, _Waiting] = {}
        self._reply: asyncio.Future[Reply] | None = None
        self._news = asyncio.Event()
        self._is_over = False

    def tell(self, told: JsonObject) -> None:
        """A notification of the server, for the client as long as it is connected; progress by its latest token."""
        talk = self._conversation
        if talk is None or talk.notify is None:
            return
        if told.get("method") == "notifications/progress":
            if self._token is None:
                return
            told = {**told, "params": {**object_at(told, "params"), "progressToken": self._token}}
        talk.notify(told)

    async def ask(self, question: JsonObject) -> JsonObject:
        """A question of the server: what the client answers in a later round."""
        refusal = self._refusal(question)
        if refusal is not None:
            return refusal
        key = f"question-{next(self._numbers)}"
        outcome: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._waiting[key] = _Waiting(question, outcome)
        self._news.set()
        try:
            return await outcome
        finally:
            self._waiting.pop(key, None)

    def resume(self, conversation: Conversation, token: object, given: JsonObject) -> JsonObject:
        """The client is there again; of what it brings, the answers to what is asked."""
        self._conversation, self._token = conversation, token
        return {key: given[key] for key in self._waiting if key in given}

    async def round(self, send: Send, answers: JsonObject, passage: Passage) -> Reply | Asks:
        """Begin the call, or have the server hear the answers; then what comes of it, or what is asked next."""
        if self._reply is None:
            self._reply = asyncio.ensure_future(send())
            self._reply.add_done_callback(lambda _: self._ended())
        for key, answer in answers.items():
            waiting = self._waiting.pop(key, None)
            if waiting is not None and not waiting.outcome.done():
                passage.leaves()
                waiting.outcome.set_result({"result": answer})
        while not self._reply.done():
            if self._waiting:
                return self._parked()
            self._news.clear()
            await self._news.wait()
        return Broken("it was called off", Effect.UNKNOWN) if self._reply.cancelled() else self._reply.result()

    def left(self, *, cancelled: bool) -> None:
        """The round is over. Where the call is not parked again nobody comes back to it: the server of a client that
        went away is told so, and one whose client was refused hears no answer."""
        if self._conversation is None:
            return
        if cancelled and self._reply is not None:
            self._reply.cancel()
        self.give_up()

    def give_up(self) -> None:
        """No answer comes any more, nor a further round."""
        self._is_over, self._conversation = True, None
        for waiting in self._waiting.values():
            if not waiting.outcome.done():
                waiting.outcome.set_result(outcome_error(INVALID_REQUEST, "the client did not answer"))
        self._lot.forget(self)

    def _ended(self) -> None:
        self._news.set()
        if self._conversation is not None:  # else it is parked, and named until its time is over
            self._lot.waits_no_more(self)

    @property
    def reply(self) -> asyncio.Future[Reply] | None:
        """What comes of the call at the server."""
        return self._reply

    def _parked(self) -> Asks:
        self._conversation = None
        state = self._lot.park(self)
        return Asks({key: each.question for key, each in self._waiting.items()}, state)

    def _refusal(self, question: JsonObject) -> JsonObject | None:
        talk = self._conversation
        if self._is_over or (talk is None and not self._waiting):
            return outcome_error(INVALID_REQUEST, "the client did not answer")
        if len(self._waiting) >= QUESTIONS_MAX or not self._lot.has_room(self):
            return outcome_error(INVALID_REQUEST, "too many questions wait for this client")
        return refusal_of(question, talk.capabilities) if talk is not None else None


class Parking:
    """The calls that are parked, by their names, and those that are being given up."""

    def __init__(self) -> None:
        self._parked: dict[str, ParkedCall] = {}
        self._asking: set[ParkedCall] = set()
        self._ending: set[asyncio.Future[Reply]] = set()

    def begin(self, conversation: Conversation, upstream: Upstream, token: object) -> ParkedCall | None:
        """A call of a client of the newer era at a server of the older one, which may be parked; none where the client
        takes no question of this server."""
        if not claimed(conversation.capabilities, upstream.client_requests):
            return None
        return ParkedCall(self, conversation, upstream.connector, token)

    def resumed(
        self, conversation: Conversation, upstream: Upstream, params: JsonObject, seal: StateSeal
    ) -> tuple[ParkedCall | None, JsonObject]:
        """The parked call that a request answers, with the answers that go to its server. None where no call waits: it
        is made anew. Raises `RpcError` for what answers no question that was put to this client."""
        given, sealed = params.get("inputResponses", {}), params.get("requestState")
        if not is_object(given) or (given and sealed is None) or not all(is_object(each) for each in given.values()):
            raise RpcError(INVALID_PARAMS, "`inputResponses` answers nothing that this server has asked")
        binding = binding_of(conversation, params, ours=True)
        name = seal.open(sealed, binding=binding) if isinstance(sealed, str) else None
        if name is None:
            raise RpcError(INVALID_PARAMS, "`requestState` is not one of this request's, or was used already")
        if name == _NOTHING_WAITS:
            return None, {}
        call = self._parked.pop(name, None)
        theirs = (conversation.principal.agent, conversation.principal.place, upstream.connector)
        if call is not None and (call.agent, call.place, call.connector) != theirs:
            call.give_up()
        if call is None or (call.agent, call.place, call.connector) != theirs:
            raise RpcError(INVALID_PARAMS, "the server does not wait for these answers any more")
        token = object_at(params, "_meta").get("progressToken")
        return call, call.resume(conversation, token, given)

    def park(self, call: ParkedCall) -> str:
        """Its name, by which its client comes back in time."""
        name = secrets.token_urlsafe(24)
        self._parked[name] = call
        asyncio.get_running_loop().call_later(PARKED_S_MAX, self._expired, name)
        return name

    def has_room(self, call: ParkedCall) -> bool:
        """Whether it may wait for its client."""
        if call in self._asking:
            return True
        mine = sum(each.agent == call.agent for each in self._asking)
        if mine >= PARKED_PER_AGENT_MAX or len(self._asking) >= PARKED_MAX:
            return False
        self._asking.add(call)
        return True

    def waits_no_more(self, call: ParkedCall) -> None:
        """Its room is free."""
        self._asking.discard(call)

    def forget(self, call: ParkedCall) -> None:
        """It is over for its client. The call at the server ends in its own time, within the limit of any call."""
        self.waits_no_more(call)
        if call.reply is not None and not call.reply.done():
            self._ending.add(call.reply)
            call.reply.add_done_callback(self._ending.discard)

    def _expired(self, name: str) -> None:
        call = self._parked.pop(name, None)
        if call is not None:
            call.give_up()


def pages_first(fault: Fault, conversation: Conversation, upstream: Upstream) -> Asks | None:
    """The pages that a server wants visited before the call, as a question of the newer era; none where that is not
    what an error says, or not what this client takes."""
    listed = elicitations_of(fault)
    if upstream.modern or not conversation.modern or not listed:
        return None
    asked: JsonObject = {
        f"question-{number}": {"method": "elicitation/create", "params": {**each, "mode": "url"}}
        for number, each in enumerate(listed, 1)
    }
    if unaskable(asked, upstream.client_requests, conversation.capabilities):
        return None
    return Asks(asked, _NOTHING_WAITS)


def elicitations_of(fault: Fault) -> list[JsonObject]:
    """The pages that a server of 2025-11-25 wants visited first; none where its error says something else."""
    listed = fault.data.get("elicitations") if fault.code == PAGES_FIRST and is_object(fault.data) else None
    return [each for each in listed if is_object(each)] if isinstance(listed, list) else []
