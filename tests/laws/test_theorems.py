"""The laws of the engine, each a theorem tried on random policies that collide.

Left to others: that no effect precedes its record (law 4; here only that a decision names the right class), that a steer is decided
again on its new Action (law 7), and that what escapes the line is a denial at the edge (law 10; here only that the engine is total).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from interlock import _native
from tests.laws import generate, reference

Case = tuple[dict, dict, dict]
Theorem = Callable[[Case], None]


def one_case(seed: int) -> Case:
    policy, [(action, facts)] = generate.case(Random(seed), acts=1)
    return policy, action, facts


def with_another_layer(seed: int) -> tuple[dict, dict, dict, dict]:
    random = Random(seed)
    theme = random.choice(generate.THEMES)
    action, facts = generate.act_with_facts(random, theme)
    return generate.policy(random, theme), generate.layer(random, theme, "new"), action, facts


SEEDS = st.integers(0, 2**64 - 1)
CASES = SEEDS.map(one_case)


def decide(policy: dict, action: dict, facts: dict) -> dict:
    decision: dict = json.loads(_native.Policy(json.dumps(policy)).decide(json.dumps(action), json.dumps(facts)))
    event(decision["decision"])
    return decision


def strictness(decision: dict) -> int:
    return reference.STRICTNESS.index(decision["decision"])


def yes(action: dict) -> dict:
    return {"id": "g-1", "digest": reference.digest(action), "approver": "uid:1000", "expires_ms": 9999, "uses": 1}


# --- 1 --------------------------------------------------------------------------------------------------------------


@given(CASES)
def test_deny_trumps(case: Case) -> None:
    policy, action, facts = case
    policy["layers"].append(
        {"name": "no", "origin": "user", "rules": [{"id": "all", "decision": "deny", "verbs": [action["verb"]]}]}
    )
    decision = decide(policy, action, {**facts, "grants": [yes(action)]})
    assert decision["decision"] == "deny"
    assert "no/all" in decision["rules"]


@given(CASES)
def test_what_no_rule_speaks_of_is_denied(case: Case) -> None:
    policy, action, facts = case
    for layer in policy["layers"]:
        layer["rules"] = [rule for rule in layer["rules"] if not any(reference.touched(rule, action)[:2])]
    assert decide(policy, action, {**facts, "grants": [yes(action)]})["decision"] == "deny"


@given(CASES)
def test_an_erring_rule_denies(case: Case) -> None:
    policy, action, known = case
    facts = {"now_ms": known["now_ms"]}
    voices = [reference.voice(layer, action, facts) for layer in policy["layers"]]
    assume(any(voice["errors"] for voice in voices))
    decision = decide(policy, action, {**facts, "grants": [yes(action)]})
    assert decision["decision"] == "deny"
    assert decision["errors"]


@given(CASES)
def test_a_missing_fact_never_loosens(case: Case) -> None:
    policy, action, facts = case
    told = {"risk": 50, "labels": {"context": [], "object": []}, "origin": "before", "origin_to": "before", "history": "none"}
    told["history_to"] = "none"
    known = decide(policy, action, {**told, **facts})
    unknown = {key: value for key, value in facts.items() if key not in told}
    missing = decide(policy, action, unknown)
    assert missing["decision"] == "deny" if missing["errors"] else missing["rules"] == known["rules"]


# --- 2 --------------------------------------------------------------------------------------------------------------


@given(CASES, SEEDS)
def test_order_of_rules_and_layers_decides_nothing(case: Case, seed: int) -> None:
    policy, action, facts = case
    shuffled = copy.deepcopy(policy)
    random = Random(seed)
    random.shuffle(shuffled["layers"])
    for layer in shuffled["layers"]:
        random.shuffle(layer["rules"])
        for rule in layer["rules"]:
            random.shuffle(rule["verbs"])
            rule["match"].get("path", []).reverse()
    assert decide(policy, action, facts) == decide(shuffled, action, facts)


@given(CASES)
def test_repetition_of_rules_decides_nothing(case: Case) -> None:
    policy, action, facts = case
    repeated = copy.deepcopy(policy)
    for layer in repeated["layers"]:
        layer["rules"] += [{**rule, "id": rule["id"] + "-again"} for rule in layer["rules"]]
    once, twice = decide(policy, action, facts), decide(repeated, action, facts)
    twice["because"] = twice["because"].replace("-again", "")
    for key in ("rules", "errors"):
        twice[key] = sorted({text.replace("-again", "") for text in twice[key]})
    assert once == twice


# --- 3 --------------------------------------------------------------------------------------------------------------


@given(SEEDS.map(with_another_layer))
def test_another_layer_never_loosens_a_decided_action(case: tuple[dict, dict, dict, dict]) -> None:
    policy, layer, action, facts = case
    before = decide(policy, action, facts)
    assume(before["spoke"])
    after = decide({**policy, "layers": [*policy["layers"], layer]}, action, facts)
    assert strictness(after) >= strictness(before)


@given(SEEDS.map(with_another_layer))
def test_a_layer_that_says_nothing_abstains(case: tuple[dict, dict, dict, dict]) -> None:
    policy, layer, action, facts = case
    layer = {**layer, "closed": False}
    voice = reference.voice(layer, action, facts)
    assume(not any(voice[kind] for kind in ("allow", "steer", "approve", "deny", "errors", "otherwise")))
    after = decide({**policy, "layers": [layer, *policy["layers"]]}, action, facts)
    assert after == decide(policy, action, facts)


@given(SEEDS.map(with_another_layer))
def test_a_layer_found_in_the_workspace_only_tightens(case: tuple[dict, dict, dict, dict]) -> None:
    policy, layer, action, facts = case
    rules = [rule for rule in layer["rules"] if rule["decision"] in ("deny", "approve")]
    workspace = {**layer, "origin": "workspace", "rules": rules}
    after = decide({**policy, "layers": [*policy["layers"], workspace]}, action, facts)
    assert strictness(after) >= strictness(decide(policy, action, facts))


@given(CASES)
def test_closing_a_layer_never_loosens(case: Case) -> None:
    policy, action, facts = case
    opened = {**policy, "layers": [{**layer, "closed": False} for layer in policy["layers"]]}
    closed = {**policy, "layers": [{**layer, "closed": True} for layer in policy["layers"]]}
    assert strictness(decide(closed, action, facts)) >= strictness(decide(opened, action, facts))


# --- 4 --------------------------------------------------------------------------------------------------------------


@given(CASES)
def test_only_an_allowed_read_is_routine(case: Case) -> None:
    policy, action, facts = case
    decision = decide(policy, action, facts)
    if decision["obligations"]["record"] == "routine":
        assert (decision["decision"], action["verb"]) == ("allow", "file.read")
    if action["verb"] == "tool.call" or decision["decision"] in ("steer", "approve"):
        assert decision["obligations"]["record"] == "durable"


@given(CASES)
def test_obligations_of_every_rule_that_permits_are_kept(case: Case) -> None:
    policy, action, facts = case
    decision = decide(policy, action, facts)
    assume(decision["decision"] == "allow")
    by_name = {f"{layer['name']}/{rule['id']}": rule for layer in policy["layers"] for rule in layer["rules"]}
    for name in decision["rules"]:
        wanted = by_name[name].get("obligations", {})
        kept = decision["obligations"]
        assert reference.CLASSES.index(kept["record"]) >= reference.CLASSES.index(wanted.get("record", "routine"))
        assert all(kept["limit"][key] <= bound for key, bound in wanted.get("limit", {}).items())
        assert set(wanted.get("mask", [])) <= set(kept.get("mask", []))
        assert "inject" not in wanted or kept["inject"] == wanted["inject"]


# --- 5 --------------------------------------------------------------------------------------------------------------


@given(CASES)
def test_nothing_is_allowed_without_a_reason(case: Case) -> None:
    policy, action, facts = case
    decision = decide(policy, action, facts)
    assume(decision["decision"] != "deny")
    by_name = {f"{layer['name']}/{rule['id']}": rule for layer in policy["layers"] for rule in layer["rules"]}
    assert decision["rules"]
    assert decision["because"]
    may_say = {"allow": {"allow", "approve"}, "steer": {"steer"}, "approve": {"approve"}}[decision["decision"]]
    assert {by_name[name]["decision"] for name in decision["rules"]} <= may_say


# --- 6 --------------------------------------------------------------------------------------------------------------


@given(CASES)
def test_an_approval_never_launders_a_steer(case: Case) -> None:
    policy, action, facts = case
    voices = [reference.voice(layer, action, facts) for layer in policy["layers"]]
    assume(any(voice["steer"] for voice in voices))
    assert decide(policy, action, {**facts, "grants": [yes(action)]})["decision"] in ("steer", "deny")


@given(CASES)
def test_a_grant_changes_nothing_but_the_answer_to_its_question(case: Case) -> None:
    policy, action, facts = case
    without = decide(policy, action, {**facts, "grants": []})
    granted = decide(policy, action, {**facts, "grants": [yes(action)]})
    asks = without["decision"] == "approve" or any(reference.voice(layer, action, facts)["approve"] for layer in policy["layers"])
    assert granted["decision"] != "approve"
    if not asks or without["decision"] == "deny":
        assert granted == without


@given(CASES, st.sampled_from(["digest", "uses", "expires_ms", "approver", "act"]))
def test_a_grant_is_bound(case: Case, broken: str) -> None:
    policy, action, facts = case
    grant = yes(action)
    agent = action["subject"].get("agent") or ""
    if broken == "act":
        action = {**action, "nonce": "another question"}
    else:
        grant[broken] = {"digest": "0" * 64, "uses": 0, "expires_ms": 1000, "approver": agent and f"agent:{agent}"}[
            broken
        ]
    facts = {**facts, "now_ms": 1000}
    assert decide(policy, action, {**facts, "grants": [grant]}) == decide(policy, action, {**facts, "grants": []})


@given(CASES, SEEDS)
def test_a_yes_for_the_session_answers_what_a_yes_to_each_act_would_and_nothing_else(case: Case, seed: int) -> None:
    policy, action, facts = case
    if not action["verb"].startswith("net."):
        return
    facts = {**facts, "now_ms": 1000}
    place = generate.reach(Random(seed), action)
    wide = {**yes(action), "digest": "0" * 64, "reach": place, "expires_ms": 2000}
    said = decide(policy, action, {**facts, "grants": [wide]})
    grants = [yes(action)] if reference.reaches(place, action) else []
    assert said == decide(policy, action, {**facts, "grants": grants})


# --- 8 --------------------------------------------------------------------------------------------------------------


@given(CASES, SEEDS)
def test_a_plan_that_answers_answers_what_decide_says_whatever_the_facts(case: Case, seed: int) -> None:
    policy, action, facts = case
    engine = _native.Policy(json.dumps(policy))
    answer = engine.plan_answer(json.dumps(action))
    event("answers" if answer is not None else "asks")
    random = Random(seed)
    for tried in [facts, {}, *(generate.facts(random, action) for _ in range(5))]:
        decided = engine.decide(json.dumps(action), json.dumps(tried))
        assert answer in (None, decided)


@given(CASES)
def test_a_plan_asks_only_where_facts_matter(case: Case) -> None:
    policy, action, _ = case
    answer = _native.Policy(json.dumps(policy)).plan_answer(json.dumps(action))
    touching = [
        rule for layer in policy["layers"] for rule in layer["rules"] if any(reference.touched(rule, action)[:2])
    ]
    needs_facts = any(rule.get("when") or rule["decision"] == "approve" for rule in touching)
    assert (answer is None) == needs_facts


# --- 9 --------------------------------------------------------------------------------------------------------------


@given(CASES, st.integers(0, 100), st.integers(0, 100))
def test_a_higher_score_never_loosens(case: Case, one: int, other: int) -> None:
    policy, action, facts = case
    low = decide(policy, action, {**facts, "risk": min(one, other)})
    high = decide(policy, action, {**facts, "risk": max(one, other)})
    assert strictness(high) >= strictness(low)


@given(CASES, st.sets(st.sampled_from(["untrusted", "private"])), st.sets(st.sampled_from(["untrusted", "private"])))
def test_more_labels_never_loosen(case: Case, some: set[str], more: set[str]) -> None:
    policy, action, facts = case
    less = decide(policy, action, {**facts, "labels": dict.fromkeys(("context", "object"), sorted(some))})
    all_of_them = decide(policy, action, {**facts, "labels": dict.fromkeys(("context", "object"), sorted(some | more))})
    assert strictness(all_of_them) >= strictness(less)


# --- 10 -------------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def spoiled(value: object, path: list, replacement: object) -> object:
    """The value with whatever stands at the path (indices modulo the size) replaced."""
    if not path or not isinstance(value, dict | list) or not value:
        return replacement
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    changed = copy.copy(value)
    changed[key] = spoiled(value[key], path[1:], replacement)
    return changed


@settings(max_examples=1000)
@given(CASES, st.lists(st.integers(0, 7), min_size=1, max_size=6), JSON, st.sampled_from(["policy", "action", "facts"]))
def test_the_engine_is_total(case: Case, path: list, replacement: object, which: str) -> None:
    parts = dict(zip(("policy", "action", "facts"), case, strict=True))
    parts[which] = spoiled(parts[which], path, replacement)
    try:
        decision = decide(parts["policy"], parts["action"], parts["facts"])
    except _native.NativeError as error:
        event(type(error).__name__)
        wanted = {"policy": _native.PolicyError, "action": _native.ActionError, "facts": _native.FactsError}[which]
        assert type(error) is wanted
        return
    assert decision["decision"] in reference.STRICTNESS
