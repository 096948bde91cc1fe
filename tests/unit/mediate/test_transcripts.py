"""The sequences of records in `spec/vectors/record.jsonl`, walked by the gateway's line: the other plane's line walks the same file."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from interlock.app.gateway_ports import KnownFacts, NativeEngine
from interlock.mediate.line import Line
from interlock.mediate.permit import Attribution, Enacted, Honours, Permit
from interlock.mediate.ports import RecordFull
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import encode
from interlock.vocabulary.question import Answer, Grant, Question

VECTORS = [
    json.loads(line)
    for line in (Path(__file__).resolve().parents[3] / "spec/vectors/record.jsonl").read_text().splitlines()
]
#: What did not happen after all is an errno on the host plane, and a request that did not leave on this one.
WORDS = {"done": "done", "not sent": "failed", "unknown": "unknown"}
RANK = ["routine", "ordered", "durable"]
ACTION = {
    "id": "s-20261121T120000-abcdef/0",
    "plane": "gateway",
    "verb": "tool.call",
    "target": {"connector": "c", "tool": "t", "operation": "write", "arguments": {}},
    "subject": {"agent": "coder"},
}


class World:
    """Recorder, inbox and clock of one vector; every record and effect is a step."""

    def __init__(self, vector: dict[str, Any]) -> None:
        self.vector = vector
        self.steps: list[dict[str, Any]] = []

    async def durable(self, record: dict[str, Any]) -> int:
        return self._write(record, "durable")

    async def ordered(self, record: dict[str, Any]) -> int:
        return self._write(record, "ordered")

    def _write(self, given: dict[str, Any], kind: str) -> int:
        record = json.loads(encode(given))
        if record["type"] == "action.enacted":
            self.steps.append({"effect": WORDS[record["effect"]]})
            return len(self.steps)
        denies = record.get("decision", {}).get("decision") == "deny"
        if self.vector.get("disk") == "full" and not denies:
            raise RecordFull("no space left")
        self.steps.append({**record, "class": kind})
        return len(self.steps)

    async def ask(self, question: Question) -> Answer:
        assert self.steps[-1]["question"] == question.id, "the record names the question that is put"
        answer = self.vector["answer"]
        if not answer.startswith("yes"):
            return Answer(answer)
        digest = question.digest if answer == "yes" else "0" * 64
        return Answer("yes", "uid:0", Grant("g-1", digest, "uid:0", expires_ms=9))

    def now_ms(self) -> int:
        return 1

    def monotonic_ns(self) -> int:
        return 1

    def nonce(self) -> str:
        return "0123456789abcdef" * 2

    honours = Honours()
    effect = Effect.UNKNOWN

    async def led_to(self, action: Any, steer: Any) -> Any:
        raise AssertionError("it honours no steer")

    async def enact(self, permit: Permit) -> Enacted[str]:
        assert permit.record == len(self.steps), "enacted right after the record of the permit"
        match self.vector.get("enact", "done"):
            case "done":
                return Enacted("outcome", Effect.DONE)
            case "failed":
                return Enacted("outcome", Effect.NOT_SENT)
            case _:
                raise ConnectionError("cut")


def walked(vector: dict[str, Any]) -> list[dict[str, Any]]:
    policy = {"interlock": 1, "layers": [{"name": "t", "origin": "user", "rules": vector["rules"]}]}
    world = World(vector)
    line = Line(
        engine=NativeEngine(policy), facts=KnownFacts(world), recorder=world, inbox=world, clock=world, asker="test"
    )
    attribution = Attribution(agent={"name": "coder"})
    walk = line.mediate(action=dict(ACTION), attribution=attribution, revalidate=lambda: None, enactor=world)
    if vector.get("enact") == "void":
        with pytest.raises(ConnectionError):
            asyncio.run(walk)
    else:
        asyncio.run(walk)
    return world.steps


def told(step: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """A step as the vectors write it: only what they name."""
    found: dict[str, Any] = {}
    for key, expected in wanted.items():
        if key in ("decision", "rules"):
            found[key] = step.get("decision", {}).get(key)
        elif key == "grants":
            found[key] = len(step["facts"]["grants"])
        elif key == "class" and RANK.index(step["class"]) >= RANK.index(expected):
            found[key] = expected
        else:
            found[key] = step.get(key)
    return found


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_every_sequence_is_recorded_as_the_specification_has_it(vector: dict[str, Any]) -> None:
    steps = walked(vector)
    assert len(steps) == len(vector["expect"]), steps
    assert [told(step, wanted) for step, wanted in zip(steps, vector["expect"], strict=True)] == vector["expect"]
