"""Findings of Rego and of flows in the combining: engine and reference agree, they only tighten, and a layer that was not heard denies."""

from __future__ import annotations

import json
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from interlock import _native
from tests.laws import generate, reference
from tests.laws.test_theorems import Case, decide, strictness, yes

#: What makes a layer one that finds something beside its rules.
CONSULTED = ("rego", "rego", "flows")
FINDS = ("approve", "approve", "deny", "error")


def consulted(seed: int) -> Case:
    """A policy some of whose layers have Rego or flows, an act at the gateway or elsewhere, and what was found about it."""
    random = Random(seed)
    theme = random.choice(["tool", "tool", "tool", "file"])
    policy = generate.policy(random, theme)
    action, facts = generate.act_with_facts(random, theme)
    if random.random() < 0.4:
        facts["grants"] = [yes(action)]
    findings = {}
    for layer in policy["layers"]:
        if random.random() < 0.7:
            layer[random.choice(CONSULTED)] = [{"query": "data.a.b"}]
        if random.random() < 0.85:
            findings[layer["name"]] = [finding(random) for _ in range(random.choice([0, 0, 1, 2]))]
    return policy, action, {**facts, "findings": findings}


def finding(random: Random) -> dict:
    finds = random.choice(FINDS)
    timeout_ms = random.choice([None, 5, 500_000]) if finds == "approve" else None
    because = random.choice([None, "one reason", "another reason"])
    return {"finds": finds, "id": random.choice(["f0", "f1", "r0"]), "because": because, "timeout_ms": timeout_ms}


CASES = st.integers(0, 2**64 - 1).map(consulted)


@given(CASES)
def test_engine_and_reference_agree(case: Case) -> None:
    policy, action, facts = case
    assert decide(policy, action, facts) == reference.decide(policy, action, facts)
    line = json.dumps({"action": action, "facts": facts})
    assert json.loads(_native.Policy(json.dumps(policy)).decide_many([line])[0]) == decide(policy, action, facts)


@given(CASES)
def test_findings_never_loosen(case: Case) -> None:
    policy, action, facts = case
    without = {**policy, "layers": [{key: each for key, each in layer.items() if key not in CONSULTED} for layer in policy["layers"]]}
    assert strictness(decide(policy, action, facts)) >= strictness(decide(without, action, facts))


@given(CASES)
def test_a_layer_that_was_not_heard_denies(case: Case) -> None:
    policy, action, facts = case
    concerned = action["verb"] in reference.GATEWAY and any(set(CONSULTED) & set(layer) for layer in policy["layers"])
    for unheard in ({}, None):
        decision = decide(policy, action, {**facts, "findings": unheard})
        assert not concerned or (decision["decision"] == "deny" and decision["errors"])
    answer = _native.Policy(json.dumps(policy)).plan_answer(json.dumps(action))
    assert answer is None or not concerned
    needs = _native.Policy(json.dumps(policy)).needs(json.dumps(action))
    assert needs[4] == (sorted(layer["name"] for layer in policy["layers"] if set(CONSULTED) & set(layer)) if concerned else [])


@given(CASES)
def test_the_order_of_findings_decides_nothing(case: Case) -> None:
    policy, action, facts = case
    turned = {name: [*reversed(found), *found[:1]] for name, found in facts["findings"].items()}
    assert decide(policy, action, {**facts, "findings": turned}) == decide(policy, action, facts)
