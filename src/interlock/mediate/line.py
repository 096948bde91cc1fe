"""One operation walked along the line: decide, record, ask, decide again, enact, record. The same on every plane.

INVARIANT: `enact` runs only after a `durable` record of a decision that allows; its outcome is handed back only
after the record of its effect. Every fault on the way (engine, log, inbox) is a `Refused`. A yes never edits a
decision: the same `decide` runs again with the grant as a Fact, on the very Action that was shown. Steering is
refused until a plane can enact it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from interlock.mediate.json_text import JsonObject
from interlock.mediate.ports import Clock, Engine, Inbox, Recorder, RecordFailed, RecordFull
from interlock.mediate.record_size import recordable
from interlock.mediate.values import (
    Answer,
    Decision,
    Effect,
    Enacted,
    Passage,
    Question,
    Refused,
    Says,
)

T = TypeVar("T")

#: Characters of the nonce that name the question: the inbox of all sessions knows it by that.
QUESTION_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Context:
    """What the records of one operation say beside it: agent (with assurance), prompt reference, trace, and who
    stands above."""

    agent: JsonObject
    prompt: str | None = None
    trace: JsonObject | None = None
    parent: str | None = None


Revalidate = Callable[[], str | None]


class Line:
    """The line, with its ports. `mediate` may run any number of times at once; operations share nothing."""

    def __init__(self, *, engine: Engine, recorder: Recorder, inbox: Inbox, clock: Clock) -> None:
        self._engine = engine
        self._recorder = recorder
        self._inbox = inbox
        self._clock = clock

    async def mediate(
        self,
        *,
        action: JsonObject,
        context: Context,
        revalidate: Revalidate,
        enact: Callable[[], Awaitable[Enacted[T]]],
        passage: Passage | None = None,
    ) -> T | Refused:
        """Walk one Action.

        Arguments: `action` (spec/action.md), `context` for its records, `revalidate` (called after a wait: why the
        subject may no longer act, or none), `enact` (does it; called at most once, and only after the record),
        `passage` (what `enact` tells of its way, for the case that it breaks off; without one, that is unknown).
        Raises what `enact` raises, once it is recorded how far it had come.
        """
        settled = await self._settle(action, context, revalidate)
        if isinstance(settled, Refused):
            return settled
        return await self._enact(settled, enact, passage)

    async def deny(self, *, action: JsonObject, context: Context, because: str) -> Refused:
        """Record a denial that needs no policy: input that is not fit to be decided (wrong arguments, a tool that is
        broken)."""
        decision = Decision.own_denial(because)
        return await self._refuse(decision, action, context)

    def unrecorded(self, failure: RecordFailed) -> Refused:
        """The denial that follows when something that has to be recorded before could not be."""
        return _unrecorded(failure, None)

    async def _settle(self, action: JsonObject, context: Context, revalidate: Revalidate) -> str | Refused:
        facts = self._facts(())
        decision = self._decide(action, facts)
        if decision.says is Says.APPROVE:
            return await self._ask(action, context, revalidate)
        return await self._conclude(decision, action, context, facts=facts)

    async def _conclude(
        self,
        decision: Decision,
        action: JsonObject,
        context: Context,
        *,
        facts: JsonObject,
        answer: Answer | None = None,
    ) -> str | Refused:
        """Record a decision that ends the question; only an allow goes on, as the id of its Action."""
        if decision.says is not Says.ALLOW:
            return await self._refuse(decision, action, context, facts=facts, answer=answer)
        try:
            await self._recorder.durable(self._decided(decision, action, context, facts))
        except RecordFailed as failure:
            return await self._denied_unrecorded(failure, action, context, answer)
        return str(action["id"])

    async def _ask(self, action: JsonObject, context: Context, revalidate: Revalidate) -> str | Refused:
        """Ask a human about the Action with a nonce, so that no other call, not even an equal one, can use the
        answer."""
        asked = {**action, "nonce": self._clock.nonce()}
        facts = self._facts(())
        decision = self._decide(asked, facts)
        if decision.says is not Says.APPROVE:
            return await self._conclude(decision, asked, context, facts=facts)
        name = f"q-{str(asked['nonce'])[:QUESTION_DIGITS]}"
        try:
            digest = self._engine.digest(asked)
            await self._recorder.durable(self._decided(decision, asked, context, facts))
            await self._recorder.durable(
                {"type": "approval.asked", "action": action["id"], "digest": digest, "question": name}
            )
        except RecordFailed as failure:
            return await self._denied_unrecorded(failure, asked, context, None)
        except ValueError as error:
            return await self._refuse(Decision.own_denial(f"the question has no digest: {error}"), asked, context)
        try:
            answer = await self._answer(Question(name, asked, digest, decision.document, decision.timeout_ms))
        except asyncio.CancelledError:
            withdrawn = Answer("withdrawn")
            await asyncio.shield(self._answered(withdrawn, digest, asked, context, revalidate))
            raise
        return await self._answered(answer, digest, asked, context, revalidate)

    async def _answer(self, question: Question) -> Answer:
        try:
            async with asyncio.timeout(question.timeout_ms / 1000):
                return await self._inbox.ask(question)
        except TimeoutError:
            return Answer("timeout")
        except Exception as error:  # the edge of the inbox: whatever goes wrong there is nobody's yes
            return Answer("nobody", reason=str(error) or type(error).__name__)

    async def _answered(
        self,
        answer: Answer,
        digest: str,
        action: JsonObject,
        context: Context,
        revalidate: Revalidate,
    ) -> str | Refused:
        failure = await self._record_answer(answer, digest, action)
        if failure is not None:
            return await self._denied_unrecorded(failure, action, context, answer)
        gone = revalidate()
        if gone is not None:
            return await self._refuse(Decision.own_denial(gone), action, context, answer=answer)
        granted = (answer.grant,) if answer.answer == "yes" and answer.grant is not None else ()
        facts = self._facts(granted)
        again = self._decide(action, facts)
        if again.says is Says.APPROVE:
            why = f"{again.because or 'an approval is needed'} ({answer.why_not})"
            return await self._refuse(again.settled_as_denial(why), action, context, facts=facts, answer=answer)
        return await self._conclude(again, action, context, facts=facts, answer=answer)

    async def _record_answer(self, answer: Answer, digest: str, action: JsonObject) -> RecordFailed | None:
        record: JsonObject = {
            "type": "approval.answered",
            "action": action["id"],
            "digest": digest,
            "answer": answer.answer,
            "approver": answer.approver,
            "grant": answer.grant,
        }
        try:
            await self._recorder.durable(record)
        except RecordFailed as failure:
            return failure
        return None

    async def _enact(
        self, action: str, enact: Callable[[], Awaitable[Enacted[T]]], passage: Passage | None
    ) -> T | Refused:
        started_ns = self._clock.monotonic_ns()
        try:
            enacted = await enact()
        except BaseException as error:  # cancelled or broken midway: what is certain of how far it came is recorded
            effect = passage.effect if passage is not None else Effect.UNKNOWN
            why = f"{type(error).__name__}: {error}"[:500]
            await asyncio.shield(self._record_quietly(self._enacted(action, effect, why, started_ns)))
            raise
        record = self._enacted(action, enacted.effect, enacted.status, started_ns)
        record["result"] = enacted.result
        if enacted.withheld is not None:
            record["withheld"] = enacted.withheld
        try:
            await self._recorder.ordered(record)
        except RecordFailed as failure:
            return replace(_unrecorded(failure, None, of="result"), effect=enacted.effect)
        return enacted.outcome

    async def _record_quietly(self, record: JsonObject) -> None:
        """For a record on the way out with an error: the log itself says when it is poisoned, and nothing is handed
        back."""
        try:
            await self._recorder.ordered(record)
        except RecordFailed:
            return

    async def _refuse(
        self,
        decision: Decision,
        action: JsonObject,
        context: Context,
        *,
        facts: JsonObject | None = None,
        answer: Answer | None = None,
    ) -> Refused:
        if decision.says is Says.STEER:
            decision = decision.settled_as_denial("a steer is not enforced here")
        why = decision.because or "no rule allows it"
        try:
            used = self._facts(()) if facts is None else facts
            number = await self._recorder.ordered(self._decided(decision, action, context, used))
        except RecordFailed as failure:
            return _unrecorded(failure, answer)
        return Refused(decision, why, answer, number)

    async def _denied_unrecorded(
        self, failure: RecordFailed, action: JsonObject, context: Context, answer: Answer | None
    ) -> Refused:
        """What could not be recorded is denied, and on a full disk the denial still finds room."""
        if not isinstance(failure, RecordFull):
            return _unrecorded(failure, answer)
        denial = Decision.own_denial(_not_written(failure, "decision"))
        return await self._refuse(denial, action, context, answer=answer)

    def _decide(self, action: JsonObject, facts: JsonObject) -> Decision:
        try:
            return self._engine.decide(action, facts)
        except Exception as error:  # the edge of the engine: an answer that cannot be read is a denial
            return Decision.own_denial(f"could not be decided: {error}")

    def _facts(self, grants: tuple[JsonObject, ...]) -> JsonObject:
        return {
            "now_ms": self._clock.now_ms(),
            "grants": list(grants),
            "risk": None,
            "labels": None,
            "origin": None,
        }

    def _decided(self, decision: Decision, action: JsonObject, context: Context, facts: JsonObject) -> JsonObject:
        return {
            "type": "action.decided",
            "phase": "decided",
            "action": recordable(action),
            "agent": context.agent,
            "prompt": context.prompt,
            "parent": context.parent,
            "trace": context.trace,
            "decision": decision.document,
            "policy": self._engine.policy,
            "facts": facts,
        }

    def _enacted(self, action: str, effect: Effect, status: str | None, started_ns: int) -> JsonObject:
        return {
            "type": "action.enacted",
            "action": action,
            "effect": effect.value,
            "status": status,
            "result": None,
            "duration_us": (self._clock.monotonic_ns() - started_ns) // 1000,
        }


def _unrecorded(failure: RecordFailed, answer: Answer | None, of: str = "decision") -> Refused:
    reason = _not_written(failure, of)
    return Refused(Decision.own_denial(reason), reason, answer, None)


def _not_written(failure: RecordFailed, of: str) -> str:
    return f"the record of this {of} could not be written ({failure})"
