"""The engine and a naive reference, written from the specification alone, say the same of random cases that collide.

20,000 cases; 1,000,000 with `INTERLOCK_LONG=1`. `INTERLOCK_SEED` picks others. The distribution is printed (`-rP`) and each
outcome must occur often, so that agreement cannot be empty.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from random import Random

import pytest

from interlock import _native
from tests.laws import generate, reference

CASES = 1_000_000 if os.environ.get("INTERLOCK_LONG") == "1" else 20_000
ACTS = 10
SEED = int(os.environ.get("INTERLOCK_SEED", "20261121"))

FLOORS = {
    "allow": 0.05,
    "allow, granted": 0.003,
    "steer": 0.01,
    "approve": 0.03,
    "deny by a rule": 0.05,
    "deny by an error": 0.02,
    "deny by conflict": 0.001,
    "deny by a closed layer": 0.01,
    "deny by default": 0.05,
}


def kind(decision: dict) -> str:
    if decision["decision"] == "allow":
        return "allow"
    if decision["decision"] != "deny":
        return decision["decision"]
    if decision["errors"]:
        return "deny by an error"
    if not decision["spoke"]:
        return "deny by default"
    if not decision["rules"]:
        return "deny by a closed layer"
    return "deny by conflict" if decision["because"].startswith("two rules") else "deny by a rule"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_engine_agrees_with_the_reference() -> None:
    random = Random(SEED)
    seen: Counter[str] = Counter()
    answered = 0
    for _ in range(CASES // ACTS):
        policy, acts = generate.case(random, acts=ACTS)
        engine = _native.Policy(json.dumps(policy))
        lines = [json.dumps({"action": action, "facts": facts}) for action, facts in acts]
        for (action, facts), line in zip(acts, engine.decide_many(lines), strict=True):
            got, expected = json.loads(line), reference.decide(policy, action, facts)
            assert got == expected, f"seed {SEED}\n{json.dumps(policy)}\n{json.dumps(action)}\n{json.dumps(facts)}"
            answered += plan_agrees(engine, action, got)
            seen[kind(got)] += 1
            asks = any(reference.voice(layer, action, facts)["approve"] for layer in policy["layers"])
            seen["allow, granted"] += got["decision"] == "allow" and asks
    print(f"seed {SEED}, {CASES} cases, {answered} answered by the plan, {dict(seen.most_common())}")
    for name, share in FLOORS.items():
        assert seen[name] > share * CASES, f"too few of `{name}`: {seen[name]}"
    assert answered > CASES / 4


def plan_agrees(engine: _native.Policy, action: dict, decided: dict) -> bool:
    """Law 8: if the plan answers, it answers what `decide` says, whatever the Facts. Whether it answered."""
    answer = engine.plan_answer(json.dumps(action))
    if answer is not None:
        assert json.loads(answer) == decided
    return answer is not None
