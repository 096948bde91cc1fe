"""The line as a transcript: what is recorded when, and that every fault on the way is a denial without an effect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock.mediate.line import Context, Line
from interlock.mediate.ports import RecordFailed
from interlock.mediate.values import Answer, Decision, Effect, Enacted, Question, Refused

ACTION = {"id": "s-20261121T120000-abcdef/0", "plane": "gateway", "verb": "tool.call", "target": {"arguments": {}}}
CONTEXT = Context(agent={"name": "coder", "assurance": "authenticated", "session": None})


def decision(says: str, **more: Any) -> dict[str, Any]:
    return {"decision": says, "rules": [f"test/{says}"], "because": None, "timeout_ms": None, "obligations": {}, "spoke": True, **more}


class World:
    """All four ports, each with a plain list of what happened."""

    policy = "sha256:x"

    def __init__(self, *says: dict[str, Any], answer: Answer | None = None, fails_at: str | None = None) -> None:
        self.says, self.reply, self.fails_at = list(says), answer, fails_at
        self.happened: list[str] = []
        self.facts: list[Any] = []

    def decide(self, action: Any, facts: Any) -> Decision:
        self.facts.append(facts)
        return Decision.read(self.says.pop(0) if len(self.says) > 1 else self.says[0])

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

    def walk(self, *, revalidate: Any = lambda: None, enact: Any = None) -> Any:
        async def done() -> Enacted[str]:
            self.happened.append("effect")
            return Enacted("outcome", Effect.DONE)

        line = Line(engine=self, recorder=self, inbox=self, clock=self)
        return asyncio.run(line.mediate(action=dict(ACTION), context=CONTEXT, revalidate=revalidate, enact=enact or done))


YES = Answer("yes", "uid:0", {"id": "g-1", "digest": "digest of n", "approver": "uid:0", "expires_ms": 9, "uses": 1})


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
    assert world.facts[-1]["grants"] == [YES.grant] and "effect" in world.happened


@pytest.mark.parametrize("later", ["deny", "steer", "approve"])
def test_a_yes_never_edits_the_decision(later: str) -> None:
    world = World(decision("approve"), decision("approve"), decision(later), answer=YES)
    assert isinstance(world.walk(), Refused) and "effect" not in world.happened


@pytest.mark.parametrize(
    "answer", [Answer("no"), Answer("timeout"), Answer("nobody"), Answer("yes"), Answer("withdrawn"), Answer("YES", "x", {}), None]
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

    async def breaks() -> Any:
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError):
        world.walk(enact=breaks)
    assert world.happened == ["durable action.decided", "ordered action.enacted"]


def test_a_caller_that_goes_away_while_it_waits_leaves_a_denial() -> None:
    world = World(decision("approve"))

    async def never(question: Question) -> Answer:
        await asyncio.sleep(60)
        raise AssertionError("nobody answers")

    world.ask = never  # type: ignore[method-assign]

    async def left() -> None:
        line = Line(engine=world, recorder=world, inbox=world, clock=world)
        walk = asyncio.ensure_future(
            line.mediate(action=dict(ACTION), context=CONTEXT, revalidate=lambda: None, enact=lambda: None)  # type: ignore[arg-type, return-value]
        )
        await asyncio.sleep(0.05)
        walk.cancel()
        with pytest.raises(asyncio.CancelledError):
            await walk

    asyncio.run(left())
    assert world.happened[-2:] == ["durable approval.answered", "ordered action.decided"]
