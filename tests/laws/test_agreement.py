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
            assert line == engine.decide(json.dumps(action), json.dumps(facts)), "the plan's decide is not decide"
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


def reads_words_anywhere(decision: str, words: list[str], arguments: list[str]) -> bool:
    return reference.is_subsequence(words, arguments)


def covers_one_end(rule: dict, action: dict) -> tuple[bool, bool, str | None]:
    source, destination, doubt = TOUCHED(rule, action)
    return source or destination, source or destination, doubt


def forgets_the_excepted_alias(rule: dict, end: dict) -> bool:
    return END_TOUCHED(rule, {**end, "aliases": []} if rule["decision"] == "allow" else end)


def skips_a_missing_fact(
    when: dict | None, facts: dict, ends: tuple[bool, bool], *, paired: bool
) -> tuple[bool, bool] | str:
    answer = HELD(when, facts, ends, paired=paired)
    return (False, False) if isinstance(answer, str) else answer


def takes_one_origin_for_both_ends(
    when: dict | None, facts: dict, ends: tuple[bool, bool], *, paired: bool
) -> tuple[bool, bool] | str:
    return HELD(when, facts, ends, paired=False)


def lets_a_star_cross(pattern: str, path: str) -> bool:
    return PATH_MATCHES(pattern.replace("/*", "/**"), path)


def names_any_of_a_statement(decision: str, wanted: dict, does: dict | None) -> bool:
    return STATEMENT_MATCHES("deny", wanted, does)


STATEMENT_MATCHES = reference.statement_matches
TOUCHED, END_TOUCHED, HELD, PATH_MATCHES = (
    reference.touched,
    reference.end_touched,
    reference.held,
    reference.path_matches,
)

WRONG_READINGS = {
    "any grant answers": ("answers", lambda grant, action, facts: True),
    "no grant answers": ("answers", lambda grant, action, facts: False),
    "whatever is read may be moved": ("guards", lambda rule, verb: False),
    "a workspace layer lifts": ("lifts", reference.base),
    "a score lifts": ("base", lambda heard: bool(heard["allow"] or heard["approve"] or heard["steer"])),
    "words are first for every rule": (
        "words_match",
        lambda decision, words, arguments: arguments[: len(words)] == words,
    ),
    "words may be options": ("words_match", reads_words_anywhere),
    "an allow covers one end": ("touched", covers_one_end),
    "an excepted alias is forgotten": ("end_touched", forgets_the_excepted_alias),
    "a missing fact is skipped": ("held", skips_a_missing_fact),
    "both ends have one origin": ("held", takes_one_origin_for_both_ends),
    "a star crosses": ("path_matches", lets_a_star_cross),
    "obligations are dropped": ("joined", lambda rules, least: {"record": least}),
    "flags in clusters are missed": (
        "flags_match",
        lambda flags, arguments: flags is None or bool({*flags} & {*arguments}),
    ),
    "an allow is about statements of which it names any": ("statement_matches", names_any_of_a_statement),
    "a condition on text is false": ("conditions", lambda decision, match, arguments: False),
}


@pytest.mark.parametrize("name", WRONG_READINGS)
def test_a_wrong_reading_of_the_specification_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agreement is no accident: a reference with one mistake in it disagrees within 20,000 cases."""
    function, wrong = WRONG_READINGS[name]
    monkeypatch.setattr(reference, function, wrong)
    random = Random(SEED)
    for _ in range(20_000 // ACTS):
        policy, acts = generate.case(random, acts=ACTS)
        lines = [json.dumps({"action": action, "facts": facts}) for action, facts in acts]
        for (action, facts), line in zip(acts, _native.Policy(json.dumps(policy)).decide_many(lines), strict=True):
            if json.loads(line) != reference.decide(policy, action, facts):
                return
    pytest.fail(f"nobody noticed that {name}")
