"""The line as a transcript: what is recorded when, and that every fault on the way is a denial without an effect."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from interlock.app.gateway_ports import read_decision
from interlock.mediate import line
from interlock.mediate.line import Line
from interlock.mediate.permit import Attribution, Enacted, Honours, Permit, Refused
from interlock.mediate.ports import RecordFailed
from interlock.mediate.scoring import Scored
from interlock.vocabulary.decision import Allow, Decision, Steer
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.facts import Facts, Needs
from interlock.vocabulary.question import Answer, Grant, Question

ACTION = {"id": "s-20261121T120000-abcdef/0", "plane": "gateway", "verb": "tool.call", "target": {"arguments": {}}}
ATTRIBUTION = Attribution(agent={"name": "coder", "assurance": "authenticated", "session": None})


def decision(says: str, **more: Any) -> dict[str, Any]:
    return {"decision": says, "rules": [f"test/{says}"], "because": None, "timeout_ms": None, "obligations": {}, "spoke": True, **more}


class World:
    """All ports and the enactor, each with a plain list of what happened."""

    policy = "sha256:x"
    effect = Effect.UNKNOWN

    def __init__(
        self,
        *says: dict[str, Any],
        answer: Answer | None = None,
        fails_at: str | None = None,
        honours: Honours | None = None,
        needs: Needs | None = None,
    ) -> None:
        self.says, self.reply, self.fails_at = list(says), answer, fails_at
        self.honours, self.asks_for = honours or Honours(), needs or Needs()
        self.happened: list[str] = []
        self.facts: list[Facts] = []
        self.decided_on: list[Any] = []
        self.recorded: list[Any] = []
        self.permits: list[Permit] = []
        self.followed: list[Steer] = []

    def answer(self, action: Any) -> Decision | None:
        return None

    def needs(self, action: Any) -> Needs:
        return self.asks_for

    async def gather(self, needs: Needs, action: Any) -> Facts:
        self.happened.append(f"gathered {needs}")
        return Facts(now_ms=1, risk=70 if needs.risk else None)

    def decide(self, action: Any, facts: Any) -> Decision:
        self.facts.append(facts)
        self.decided_on.append(action)
        return read_decision(json.dumps(self.says.pop(0) if len(self.says) > 1 else self.says[0]))

    def possible(self, action: Any) -> Decision:
        raise AssertionError("never asked about an act")

    def digest(self, action: Any) -> str:
        return f"digest of {action['nonce']}"

    async def durable(self, record: Any) -> int:
        return self._write(record, "durable")

    async def ordered(self, record: Any) -> int:
        return self._write(record, "ordered")

    def _write(self, record: Any, kind: str) -> int:
        name = record["type"]
        if self.fails_at == name:
            raise RecordFailed("disk full")
        self.happened.append(f"{kind} {name}")
        self.recorded.append(record)
        return len(self.happened)

    async def ask(self, question: Question) -> Answer:
        self.happened.append(f"asked {question.digest}")
        if self.reply is None:
            raise OSError("no inbox")
        return self.reply

    def now_ms(self) -> int:
        return 1

    def monotonic_ns(self) -> int:
        return 1

    def nonce(self) -> str:
        return "n"

    async def led_to(self, action: Any, steer: Steer) -> Any:
        self.followed.append(steer)
        if steer.value == "slow":
            await asyncio.sleep(60)
        if steer.value is None:
            raise ValueError("nowhere")
        return {**action, "id": "of its own", "target": {"tool": steer.value}}

    async def enact(self, permit: Permit) -> Enacted[str]:
        self.happened.append("effect")
        self.permits.append(permit)
        return Enacted("outcome", Effect.DONE)

    @property
    def line(self) -> Line:
        return Line(engine=self, facts=self, recorder=self, inbox=self, clock=self, asker="test")

    def walk(self, *, revalidate: Any = lambda: None) -> Any:
        mediated = self.line.mediate(action=dict(ACTION), attribution=ATTRIBUTION, revalidate=revalidate, enactor=self)
        return asyncio.run(mediated)


YES = Answer("yes", "uid:0", Grant("g-1", "digest of n", "uid:0", expires_ms=9))


def test_an_allowed_act_is_recorded_before_and_after() -> None:
    world = World(decision("allow"))
    assert world.walk() == "outcome"
    assert world.happened == ["durable action.decided", "effect", "ordered action.enacted"]


@pytest.mark.parametrize("says", ["deny", "steer"])
def test_what_is_not_allowed_has_no_effect(says: str) -> None:
    world = World(decision(says))
    assert isinstance(world.walk(), Refused)
    assert world.happened == ["ordered action.decided"]


def test_a_yes_is_decided_again_with_the_grant_as_a_fact() -> None:
    world = World(decision("approve"), decision("approve"), decision("allow"), answer=YES)
    assert world.walk() == "outcome"
    assert world.facts[-1].grants == (YES.grant,) and "effect" in world.happened


@pytest.mark.parametrize("later", ["deny", "steer", "approve"])
def test_a_yes_never_edits_the_decision(later: str) -> None:
    world = World(decision("approve"), decision("approve"), decision(later), answer=YES)
    assert isinstance(world.walk(), Refused) and "effect" not in world.happened


@pytest.mark.parametrize(
    "answer", [Answer("no"), Answer("timeout"), Answer("nobody"), Answer("yes"), Answer("withdrawn"), Answer("YES", "x", YES.grant), None]
)
def test_anything_but_a_yes_with_its_grant_is_a_no(answer: Answer | None) -> None:
    world = World(decision("approve"), answer=answer)
    assert isinstance(world.walk(), Refused) and "effect" not in world.happened


def test_who_was_revoked_while_waiting_does_not_act() -> None:
    world = World(decision("approve"), decision("approve"), decision("allow"), answer=YES)
    refused = world.walk(revalidate=lambda: "the token was revoked")
    assert isinstance(refused, Refused) and "revoked" in refused.reason and "effect" not in world.happened


@pytest.mark.parametrize("record", ["action.decided", "approval.asked", "approval.answered"])
def test_what_cannot_be_recorded_is_denied(record: str) -> None:
    world = World(decision("approve"), decision("approve"), decision("allow"), answer=YES, fails_at=record)
    refused = world.walk()
    assert isinstance(refused, Refused) and "disk full" in refused.reason and "effect" not in world.happened


def test_a_result_whose_record_fails_is_not_handed_back() -> None:
    world = World(decision("allow"), fails_at="action.enacted")
    assert isinstance(world.walk(), Refused) and "effect" in world.happened


@pytest.mark.parametrize(
    "broken", [{}, decision("maybe"), decision("allow", rules=None), decision("allow", obligations={"mask": ["x"]})]
)
def test_an_answer_of_the_engine_that_cannot_be_honoured_is_a_denial(broken: Any) -> None:
    world = World(broken)
    assert isinstance(world.walk(), Refused) and "effect" not in world.happened


def test_an_effect_that_breaks_off_is_recorded_as_unknown() -> None:
    world = World(decision("allow"))

    async def breaks(permit: Permit) -> Any:
        raise ConnectionError("cut")

    world.enact = breaks  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        world.walk()
    assert world.happened == ["durable action.decided", "ordered action.enacted"]


def test_a_caller_that_goes_away_while_it_waits_leaves_a_denial() -> None:
    world = World(decision("approve"))

    async def never(question: Question) -> Answer:
        await asyncio.sleep(60)
        raise AssertionError("nobody answers")

    world.ask = never  # type: ignore[method-assign]

    async def left() -> None:
        mediated = world.line.mediate(
            action=dict(ACTION), attribution=ATTRIBUTION, revalidate=lambda: None, enactor=world
        )
        walk = asyncio.ensure_future(mediated)
        await asyncio.sleep(0.05)
        walk.cancel()
        with pytest.raises(asyncio.CancelledError):
            await walk

    asyncio.run(left())
    assert world.happened[-2:] == ["durable approval.answered", "ordered action.decided"]


def test_what_nobody_asks_for_is_not_gathered_and_recorded_as_not_known() -> None:
    world = World(decision("allow"))
    world.walk()
    assert world.facts == [Facts()] and world.recorded[0]["facts"] == Facts()


def test_the_facts_decided_with_are_those_recorded_and_permitted() -> None:
    world = World(decision("allow"), needs=Needs(risk=True))
    world.walk()
    gathered = Facts(now_ms=1, risk=70)
    assert world.happened[0].startswith("gathered")
    assert world.facts == [gathered] and world.recorded[0]["facts"] == gathered and world.permits[0].facts == gathered


@pytest.mark.parametrize("fault", [OSError("no meter"), TimeoutError()])
def test_facts_that_cannot_be_gathered_are_a_denial(fault: Exception) -> None:
    world = World(decision("allow"), needs=Needs(risk=True))

    async def broken(needs: Needs, action: Any) -> Facts:
        raise fault

    world.gather = broken  # type: ignore[method-assign]
    assert isinstance(world.walk(), Refused) and world.happened == ["ordered action.decided"]


def test_a_permit_says_what_was_decided_and_where_it_stands() -> None:
    world = World(
        decision("allow", obligations={"record": "durable", "mask": ["email"], "limit": {"rows": 3}}),
        honours=Honours(obligations=frozenset({"mask", "limit"})),
    )
    assert world.walk() == "outcome"
    permit = world.permits[0]
    assert permit.verdict == Allow() and permit.action == ACTION and permit.record == 1
    assert permit.obligations.mask == ("email",) and permit.obligations.limit == {"rows": 3}


@pytest.mark.parametrize("says", ["allow", "approve"])
@pytest.mark.parametrize("duty", [{"mask": ["email"]}, {"limit": {"rows": 3}}, {"inject": "token"}])
def test_an_obligation_is_denied_by_what_the_enactor_says_it_honours(says: str, duty: Any) -> None:
    others = frozenset({"mask", "limit", "inject"}) - set(duty)
    asked = decision(says)
    world = World(
        asked, asked, decision("allow", obligations=duty), answer=YES, honours=Honours(obligations=others)
    ) if says == "approve" else World(decision("allow", obligations=duty), honours=Honours(obligations=others))
    refused = world.walk()
    assert isinstance(refused, Refused) and "cannot be honoured" in refused.reason and "effect" not in world.happened
    assert refused.decision.rules == ("test/allow",), "denied by the rule that said it"


def test_nobody_is_asked_about_what_could_not_be_enacted_after_a_yes() -> None:
    world = World(decision("approve", obligations={"mask": ["email"]}), answer=YES)
    refused = world.walk()
    assert isinstance(refused, Refused) and world.happened == ["ordered action.decided"]


STEERS = Honours(steers=frozenset({"tool"}))
STEERED = {"steer": {"tool": "safer"}}


def test_a_steer_is_decided_again_on_its_new_action() -> None:
    world = World(decision("steer", **STEERED), decision("allow"), honours=STEERS)
    assert world.walk() == "outcome"
    permit = world.permits[0]
    assert permit.verdict == Steer("tool", "safer") and permit.action["target"] == {"tool": "safer"}
    assert world.decided_on == [ACTION, permit.action] and permit.action["id"] == ACTION["id"]
    assert world.happened == ["durable action.decided", "durable action.decided", "effect", "ordered action.enacted"]


@pytest.mark.parametrize("then", ["steer", "approve", "deny"])
def test_a_steer_is_decided_again_once_and_must_land_on_an_allow(then: str) -> None:
    world = World(decision("steer", **STEERED), decision(then, **STEERED), decision("allow"), honours=STEERS, answer=YES)
    refused = world.walk()
    assert isinstance(refused, Refused) and "effect" not in world.happened
    assert world.recorded[-1]["decision"]["decision"] == "deny" and len(world.decided_on) == 2


def test_what_a_steer_leads_to_is_looked_for_once_and_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(decision("steer", **STEERED), decision("allow"), honours=STEERS)
    assert world.walk() == "outcome" and world.followed == [Steer("tool", "safer")]
    monkeypatch.setattr(line, "STEER_S_MAX", 0.05)
    slow = World(decision("steer", steer={"tool": "slow"}), decision("allow"), honours=STEERS)
    refused = slow.walk()
    assert isinstance(refused, Refused) and refused.reason == "the steer leads nowhere: it took too long"
    assert slow.happened == ["ordered action.decided"]


def test_a_yes_does_not_launder_a_steer() -> None:
    world = World(decision("approve"), decision("approve"), decision("steer", **STEERED), decision("allow"), honours=STEERS, answer=YES)
    assert world.walk() == "outcome" and world.permits[0].verdict == Steer("tool", "safer")


@pytest.mark.parametrize("steer", [{"signal": 15}, "trash", {"tool": None}])
def test_a_steer_that_the_enactor_does_not_honour_or_that_leads_nowhere_is_a_denial(steer: Any) -> None:
    world = World(decision("steer", steer=steer), decision("allow"), honours=STEERS)
    refused = world.walk()
    assert isinstance(refused, Refused) and refused.decision.rules == ("test/steer",)
    assert world.happened == ["ordered action.decided"]


class Scorer:
    """Scores 70, and fails where it is told to."""

    def __init__(self, fails_at: str = "") -> None:
        self.fails_at = fails_at
        self.asked: list[str] = []

    def _at(self, what: str) -> None:
        self.asked.append(what)
        if what == self.fails_at:
            raise OSError("the disk is full")

    def scored(self, action: Any, assurance: str) -> Scored:
        self._at("scored")
        return Scored(70, {"context": ("untrusted",)}, {"score": 70})

    def let_through(self, action: Any) -> None:
        self._at("let through")

    def returned(self, action: Any, size: int, said: object) -> None:
        self._at("returned")

    def prompted(self, agent: str, prompt: str) -> None:
        self._at("prompted")


def scored_walk(world: World, scorer: Scorer) -> Any:
    line = replace(world.line, scoring=scorer)
    return asyncio.run(
        line.mediate(action=dict(ACTION), attribution=ATTRIBUTION, revalidate=lambda: None, enactor=world)
    )


def test_an_act_is_scored_before_it_is_decided_and_remembered_before_it_is_enacted() -> None:
    world, scorer = World(decision("allow"), needs=Needs(risk=True)), Scorer()
    assert scored_walk(world, scorer) == "outcome"
    assert scorer.asked == ["scored", "let through", "returned"]
    assert world.recorded[0]["risk"] == {"score": 70} and world.facts[0].risk == 70


def test_what_cannot_be_scored_is_denied() -> None:
    world, scorer = World(decision("allow")), Scorer("scored")
    refused = scored_walk(world, scorer)
    assert isinstance(refused, Refused) and "the disk is full" in refused.reason
    assert "effect" not in world.happened


def test_what_cannot_be_remembered_is_not_done() -> None:
    world, scorer = World(decision("allow")), Scorer("let through")
    with pytest.raises(OSError, match="full"):
        scored_walk(world, scorer)
    assert "effect" not in world.happened
    assert world.recorded[-1]["type"] == "action.enacted", "how far it came is on record"
