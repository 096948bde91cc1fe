"""One operation walked along the line: gather, decide, settle, record, enact, record. The same on every plane.

    Action → facts.gather(needs) → decide → settle → Permit → enact(permit) → Effect → record

INVARIANT: `enact` runs only with a Permit, made after a `durable` record of a decision that allows or steers; its
outcome is handed back only after the record of its effect. Every fault on the way (engine, facts, log, inbox) is a
`Refused`. A yes never edits a decision: the same `decide` runs again with the grant as a Fact, on the very Action that
was shown. What an enactor does not say that it honours is a denial. A steer is decided again on the Action that it
leads to, once, and must land on an allow there.

Its edge is here too: how far an operation came (`Passage`), and the wall around what belongs to one server
(`contained`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from msgspec import Struct, structs, to_builtins

from interlock.mediate.consulting import Consulting, Unconsulted
from interlock.mediate.permit import Attribution, Honours, Permit, Refused
from interlock.mediate.ports import Clock, Enactor, Engine, Gathering, Inbox, Recorder, RecordFailed, RecordFull
from interlock.mediate.scoring import Scored, Scoring, Unscored
from interlock.vocabulary.decision import Allow, Decision, Says, Steer, Verdict
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.errors import PeerError
from interlock.vocabulary.facts import Facts, Needs
from interlock.vocabulary.json_text import JsonObject, object_at, recordable, text_at
from interlock.vocabulary.json_value import number_at
from interlock.vocabulary.question import Answer, Question

T = TypeVar("T")

#: Characters of the nonce that name the question: the inbox of all sessions knows it by that.
QUESTION_DIGITS: Final = 8
#: For all the Facts of one act together.
GATHER_S_MAX: Final = 5.0
#: For an enactor to find what a steer leads to.
STEER_S_MAX: Final = 5.0
#: The longest a question may wait, whatever a policy says, in milliseconds.
WAIT_MS_MAX: Final = 24 * 3_600_000
_NOTHING: Final = Needs()
_NO_FACTS: Final = Facts()
_UNSCORED: Final = Scored()
_LOG: Final = logging.getLogger("interlock.gateway")
_WORDS_CHARACTERS_MAX: Final = 300
#: What a peer or the machine can cause: no fault of ours, so nothing for our own log.
_EXPECTED: Final = (PeerError, OSError, ValueError, EOFError)

Revalidate = Callable[[], str | None]


class _Walk(Struct, frozen=True):
    """One operation as it is settled: what does not change while it is."""

    attribution: Attribution
    revalidate: Revalidate
    honours: Honours
    led_to: Callable[[JsonObject, Steer], Awaitable[JsonObject]]


class _Judged(Struct, frozen=True):
    """A decision on one Action, with the Facts it was made with and the answer it followed, if any."""

    action: JsonObject
    facts: Facts
    decision: Decision
    answer: Answer | None = None
    scored: Scored = Scored()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The line, with its ports. `mediate` may run any number of times at once; operations share nothing. `asker` names
    the program whose questions these are."""

    engine: Engine
    facts: Gathering
    recorder: Recorder
    inbox: Inbox
    clock: Clock
    asker: str
    scoring: Scoring = field(default_factory=Unscored)
    consulting: Consulting = field(default_factory=Unconsulted)

    async def mediate(
        self, *, action: JsonObject, attribution: Attribution, revalidate: Revalidate, enactor: Enactor[T]
    ) -> T | Refused:
        """Walk one Action.

        Arguments: `action` (spec/action.md), `attribution` for its records, `revalidate` (called after a wait: why the
        subject may no longer act, or none), `enactor` (does it; asked at most once, and only with a Permit).
        Raises what the enactor raises, once it is recorded how far it had come.
        """
        walk = _Walk(attribution, revalidate, enactor.honours, enactor.led_to)
        judged = self._judged_at_once(action, attribution) or await self._judge(attribution, action)
        settled = await self._settle(walk, judged)
        if isinstance(settled, Refused):
            return settled
        return await self._enact(settled, enactor)

    async def still(self, *, action: JsonObject, attribution: Attribution, honours: Honours) -> Refused | None:
        """Whether what follows from an act that was let through may go on: it is decided anew, with the policy and the
        Facts of now. A rule that asks is taken as answered, and one that steers as followed: nobody is asked about what
        follows from an act. A denial is recorded."""
        judged = await self._judge(attribution, action)
        lacking = _lacking(judged.decision, honours)
        if lacking is None and judged.decision.says is not Says.DENY:
            return None
        settled = judged.decision.settled_as_denial(lacking) if lacking is not None else None
        return await self._refuse(attribution, judged, settled=settled)

    async def deny(self, *, action: JsonObject, attribution: Attribution, because: str) -> Refused:
        """Record a denial that needs no policy: input that is not fit to be decided (wrong arguments, a tool that is
        broken)."""
        return await self._refuse(attribution, _Judged(action, Facts(), Decision.own_denial(because)))

    def unrecorded(self, failure: RecordFailed) -> Refused:
        """The denial that follows when something that has to be recorded before could not be."""
        return _unrecorded(failure, None)

    def _judged_at_once(self, action: JsonObject, attribution: Attribution) -> _Judged | None:
        """What the policy says whatever the Facts are, where they cannot change it."""
        scored = _UNSCORED
        try:
            settled = self.engine.answer(action)
            if settled is not None:
                scored = self._scored(attribution, action)
        except Exception as error:  # the edge of engine and scoring, as below
            settled = Decision.own_denial(f"could not be decided: {str(error) or type(error).__name__}")
        return None if settled is None else _Judged(action, _NO_FACTS, settled, scored=scored)

    async def _judge(self, attribution: Attribution, action: JsonObject, answer: Answer | None = None) -> _Judged:
        """Gather what is asked for and decide with it. Whatever goes wrong there is a denial."""
        facts, scored = _NO_FACTS, _UNSCORED
        try:
            needs = self.engine.needs(action)
            scored = self._scored(attribution, action)
            if needs != _NOTHING:
                async with asyncio.timeout(GATHER_S_MAX):
                    facts = await self.facts.gather(needs, action)
                    if needs.findings:
                        found = await self.consulting.findings(needs.findings, action, attribution, scored)
                        facts = replace(facts, findings=found)
            facts = _with_scored(facts, needs, scored)
            if answer is not None:  # a grant is good at its moment, which no clock that is set meanwhile takes away
                facts = replace(facts, grants=answer.granted, now_ms=answer.answered_ms or facts.now_ms)
            decision = self.engine.decide(action, facts)
            if needs.risk and scored.in_shadow is not None:
                scored = _would(scored, self.engine.decide(action, replace(facts, risk=scored.in_shadow)))
            return _Judged(action, facts, decision, answer, scored)
        except TimeoutError:
            why = f"the facts were not there within {GATHER_S_MAX:g} s"
        except Exception as error:  # the edge of engine and facts: an answer that cannot be read is a denial
            why = str(error) or type(error).__name__
        return _Judged(action, facts, Decision.own_denial(f"could not be decided: {why}"), answer, scored)

    def _scored(self, attribution: Attribution, action: JsonObject) -> Scored:
        return self.scoring.scored(action, text_at(attribution.agent, "assurance") or "asserted")

    async def _settle(self, walk: _Walk, judged: _Judged) -> Permit | Refused:
        """What is left of the operation once everybody was heard: leave to enact, or a denial."""
        if judged.decision.says is Says.DENY:
            return await self._refuse(walk.attribution, judged)
        lacking = _lacking(judged.decision, walk.honours)  # before anybody is asked: no yes could be enacted
        if lacking is not None:
            return await self._refuse(walk.attribution, judged, settled=judged.decision.settled_as_denial(lacking))
        if judged.decision.says is Says.APPROVE:
            if judged.answer is None:
                return await self._ask(walk, judged.action)
            why = f"{judged.decision.because or 'an approval is needed'} ({judged.answer.why_not})"
            return await self._refuse(walk.attribution, judged, settled=judged.decision.settled_as_denial(why))
        if judged.decision.says is Says.ALLOW:
            return await self._permitted(walk.attribution, judged, Allow())
        return await self._steer(walk, judged)

    async def _steer(self, walk: _Walk, judged: _Judged) -> Permit | Refused:
        """Decide the Action that a steer leads to, once: anything but an allow of it, as it stands, is a denial."""
        steer = judged.decision.steer
        try:
            assert steer is not None, "`_lacking` finds a steer without its replacement"
            async with asyncio.timeout(STEER_S_MAX):
                instead = {**await walk.led_to(judged.action, steer), "id": judged.action["id"]}
        except Exception as error:  # the edge of the enactor: what leads nowhere is not done
            why = f"the steer leads nowhere: {_words(error)}"
            return await self._refuse(walk.attribution, judged, settled=judged.decision.settled_as_denial(why))
        failure = await self._record_decided(walk.attribution, judged)
        if isinstance(failure, RecordFailed):
            return await self._denied_unrecorded(failure, walk.attribution, judged)
        again = structs.replace(await self._judge(walk.attribution, instead, judged.answer), answer=judged.answer)
        if again.decision.says is Says.ALLOW and _lacking(again.decision, walk.honours) is None:
            return await self._permitted(walk.attribution, again, steer)
        if again.decision.says is Says.DENY:
            return await self._refuse(walk.attribution, again)
        settled = again.decision.settled_as_denial("what it is steered to is not allowed as it stands")
        return await self._refuse(walk.attribution, again, settled=settled)

    async def _permitted(self, attribution: Attribution, judged: _Judged, verdict: Verdict) -> Permit | Refused:
        """Record the decision; with its record it is leave to enact."""
        try:
            record = await self.recorder.durable(self._decided(attribution, judged))
        except RecordFailed as failure:
            return await self._denied_unrecorded(failure, attribution, judged)
        return Permit(judged.action, verdict, judged.decision.obligations, judged.facts, record)

    async def _ask(self, walk: _Walk, action: JsonObject) -> Permit | Refused:
        """Ask a human about the Action with a nonce, so that no other call, not even an equal one, can use the
        answer."""
        judged = await self._judge(walk.attribution, {**action, "nonce": self.clock.nonce()})
        if judged.decision.says is not Says.APPROVE:
            return await self._settle(walk, judged)
        try:
            question = self._question(judged)
            failure = await self._record_asked(walk.attribution, judged, question)
        except ValueError as error:
            denial = Decision.own_denial(f"the question has no digest: {error}")
            return await self._refuse(walk.attribution, judged, settled=denial)
        if failure is not None:
            return await self._denied_unrecorded(failure, walk.attribution, judged)
        try:
            answer = await self._answer(question)
        except asyncio.CancelledError:
            await asyncio.shield(self._answered(walk, judged, question, Answer("withdrawn")))
            raise
        return await self._answered(walk, judged, question, answer)

    def _question(self, judged: _Judged) -> Question:
        """Raises `ValueError` where the Action has no digest."""
        action, now_ms = judged.action, self.clock.now_ms()
        return Question(
            id=f"q-{str(action['nonce'])[:QUESTION_DIGITS]}",
            session=str(action["id"]).partition("/")[0],
            asker=self.asker,
            agent=text_at(object_at(action, "subject"), "agent"),
            digest=self.engine.digest(action),
            action=action,
            decision=_with_risk(judged),
            asked_ms=now_ms,
            expires_ms=now_ms + min(judged.decision.timeout_ms, WAIT_MS_MAX),
        )

    async def _answer(self, question: Question) -> Answer:
        try:
            async with asyncio.timeout((question.expires_ms - question.asked_ms) / 1000):
                return await self.inbox.ask(question)
        except TimeoutError:
            return Answer("timeout")
        except Exception as error:  # the edge of the inbox: whatever goes wrong there is nobody's yes
            return Answer("nobody", reason=str(error) or type(error).__name__)

    async def _answered(self, walk: _Walk, judged: _Judged, question: Question, answer: Answer) -> Permit | Refused:
        failure = await self._record_answer(question, answer)
        if failure is not None:
            return await self._denied_unrecorded(failure, walk.attribution, structs.replace(judged, answer=answer))
        gone = walk.revalidate()
        if gone is not None:
            denied = structs.replace(judged, facts=Facts(), decision=Decision.own_denial(gone), answer=answer)
            return await self._refuse(walk.attribution, denied)
        return await self._settle(walk, await self._judge(walk.attribution, judged.action, answer))

    async def _enact(self, permit: Permit, enactor: Enactor[T]) -> T | Refused:
        started_ns = self.clock.monotonic_ns()
        try:
            self.scoring.let_through(permit.action)
            enacted = await enactor.enact(permit)
        except BaseException as error:  # cancelled or broken midway: what is certain of how far it came is recorded
            why = f"{type(error).__name__}: {error}"[:500]
            await asyncio.shield(self._record_quietly(self._enacted(permit, enactor.effect, why, started_ns)))
            raise
        record = self._enacted(permit, enacted.effect, enacted.status, started_ns)
        record["result"] = enacted.result
        if enacted.withheld is not None:
            record["withheld"] = enacted.withheld
        if enacted.noted:
            record |= enacted.noted
        try:
            await self.recorder.ordered(record)
        except RecordFailed as failure:
            return replace(_unrecorded(failure, None, of="result"), effect=enacted.effect)
        try:
            self.scoring.returned(permit.action, number_at(enacted.result or {}, "bytes") or 0, enacted.said)
        except Exception as error:  # the edge of what is kept in mind: what is not noted counts for nothing later
            why = f"what it says could not be kept in mind: {_words(error)}"
            return Refused(Decision.own_denial(why), why, effect=enacted.effect)
        return enacted.outcome

    async def _refuse(self, attribution: Attribution, judged: _Judged, *, settled: Decision | None = None) -> Refused:
        """Record a denial. `settled`: what the decision came to, where it did not say so itself."""
        decision = settled or judged.decision
        why = decision.because or "no rule allows it"
        try:
            number = await self.recorder.ordered(self._decided(attribution, structs.replace(judged, decision=decision)))
        except RecordFailed as failure:
            return _unrecorded(failure, judged.answer)
        return Refused(decision, why, judged.answer, number, risk=_risk_of(judged))

    async def _denied_unrecorded(self, failure: RecordFailed, attribution: Attribution, judged: _Judged) -> Refused:
        """What could not be recorded is denied, and on a full disk the denial still finds room."""
        if not isinstance(failure, RecordFull):
            return _unrecorded(failure, judged.answer)
        denial = Decision.own_denial(_not_written(failure, "decision"))
        return await self._refuse(attribution, judged, settled=denial)

    async def _record_decided(self, attribution: Attribution, judged: _Judged) -> int | RecordFailed:
        try:
            return await self.recorder.durable(self._decided(attribution, judged))
        except RecordFailed as failure:
            return failure

    async def _record_asked(self, attribution: Attribution, judged: _Judged, question: Question) -> RecordFailed | None:
        record: JsonObject = {"type": "approval.asked", "action": judged.action["id"], "digest": question.digest}
        try:
            await self.recorder.durable(self._decided(attribution, judged))
            await self.recorder.durable({**record, "question": question.id})
        except RecordFailed as failure:
            return failure
        return None

    async def _record_answer(self, question: Question, answer: Answer) -> RecordFailed | None:
        record: JsonObject = {
            "type": "approval.answered",
            "action": question.action["id"],
            "digest": question.digest,
            "answer": answer.word,
            "approver": answer.approver,
            "grant": answer.grant,
        }
        try:
            await self.recorder.durable(record)
        except RecordFailed as failure:
            return failure
        return None

    async def _record_quietly(self, record: JsonObject) -> None:
        """For a record on the way out with an error: the log itself says when it is poisoned, and nothing is handed
        back."""
        try:
            await self.recorder.ordered(record)
        except RecordFailed:
            return

    def _decided(self, attribution: Attribution, judged: _Judged) -> JsonObject:
        return {
            "type": "action.decided",
            "phase": "decided",
            "action": recordable(judged.action),
            "agent": attribution.agent,
            "prompt": attribution.prompt,
            "parent": attribution.parent,
            "trace": attribution.trace,
            "decision": judged.decision.document,
            "policy": self.engine.policy,
            "facts": judged.facts,
            **({} if judged.scored.told is None else {"risk": judged.scored.told}),
        }

    def _enacted(self, permit: Permit, effect: Effect, status: str | None, started_ns: int) -> JsonObject:
        return {
            "type": "action.enacted",
            "action": permit.action["id"],
            "effect": effect.value,
            "status": status,
            "result": None,
            "duration_us": (self.clock.monotonic_ns() - started_ns) // 1000,
        }


def _with_scored(facts: Facts, needs: Needs, scored: Scored) -> Facts:
    """The Facts with the score, and the labels at the places that are asked for, where they are known."""
    if needs.risk and scored.risk is not None:
        facts = replace(facts, risk=scored.risk)
    if needs.labels and scored.labels is not None:
        found = {place: labels for place, labels in scored.labels.items() if place in needs.labels}
        facts = replace(facts, labels=found)
    return facts


def _with_risk(judged: _Judged) -> JsonObject:
    """The decision that is asked about, with the score that the call has, if it has one."""
    told = judged.scored.told
    return judged.decision.document if told is None else {**judged.decision.document, "risk": to_builtins(told)}


def _risk_of(judged: _Judged) -> JsonObject | None:
    """The score, where a rule asked for it and it counts."""
    told = judged.scored.told
    counts = told is not None and judged.facts.risk is not None and judged.scored.in_shadow is None
    found: JsonObject | None = to_builtins(told) if counts else None
    return found


def _would(scored: Scored, decision: Decision) -> Scored:
    """With what would be decided if the score counted."""
    would: JsonObject = {"decision": decision.says, "rules": list(decision.rules)}
    return replace(scored, told={**(scored.told or {}), "would": would})


def _lacking(decision: Decision, honours: Honours) -> str | None:
    """What of a decision the enactor does not honour, as the reason of the denial; none when it honours all."""
    if decision.says is Says.STEER and (decision.steer is None or decision.steer.kind not in honours.steers):
        return "a steer is not enforced here"
    duties = decision.obligations
    if duties.limit or duties.mask or duties.inject is not None:
        lacking = sorted(duties.kinds - honours.obligations)
        if lacking:
            return f"an obligation that cannot be honoured here: `{lacking[0]}`"
    return None


def _unrecorded(failure: RecordFailed, answer: Answer | None, of: str = "decision") -> Refused:
    reason = _not_written(failure, of)
    return Refused(Decision.own_denial(reason), reason, answer, None)


def _not_written(failure: RecordFailed, of: str) -> str:
    return f"the record of this {of} could not be written ({failure})"


@dataclass(slots=True)
class Passage:
    """How far one operation has come, told by whoever carries it. INVARIANT: it never goes back to `NOT_SENT`."""

    effect: Effect = field(default=Effect.NOT_SENT, init=False)

    def leaves(self) -> None:
        """The next thing done is to write the request's first byte."""
        self.effect = Effect.UNKNOWN


async def contained(work: Awaitable[T], otherwise: Callable[[str], T]) -> T:
    """The wall around what belongs to one server: what the work gives; where it raises, `otherwise` of the fault in
    words, so that no await on one server can end anything that serves another. Used at the edges of a server only (its
    link, its background tasks, its part of a list). Left out: what follows from a fault (breaker, words, record).

    Only what ends this task goes on: its own cancelling, and the end of the process. Native libraries panic with
    exceptions beside `Exception`, task groups raise groups, and a future that a peer's end has cancelled looks like a
    cancelled task: all of these stay here.
    """
    try:
        return await work
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return otherwise("what it waited for was called off")
    except BaseException as error:  # the edge of one server: see above
        if not isinstance(error, _EXPECTED):
            _LOG.error("a server's part of the work failed: %s", _words(error), exc_info=error)
        return otherwise(_words(error))


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "it took too long"
    return (str(error) or type(error).__name__)[:_WORDS_CHARACTERS_MAX]
