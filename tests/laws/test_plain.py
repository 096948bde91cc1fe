"""What is not trapped: where a verb is called plain, each act with it is allowed, whatever target and Facts, and nothing is wanted of it.

Random policies are plain too seldom to say much, so half of them are made so first, and then spoilt by one more random rule or not.
"""

from __future__ import annotations

import json
from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from interlock import _native
from tests.laws import generate

SEEN: Counter[str] = Counter()
CASES = 3_000
ACTS = 20
THEMES = {"unix": ["unix.connect"], "net": ["net.connect", "net.bind"], "signal": ["process.signal"], "file": generate.FILE_VERBS}


def made_plain(random: Random, policy: dict, verbs: list[str]) -> dict:
    """A layer that allows all of them, before what else the policy says; few rules are left of that."""
    free = {"id": "free", "decision": "allow", "verbs": verbs}
    layers = [{"name": "free", "origin": "user", "rules": [free]}, *policy["layers"]]
    for layer in layers[1:]:
        layer["rules"] = [rule for rule in layer["rules"] if rule["decision"] == "allow" or random.random() < 0.1]
        if layer.get("closed") and random.random() < 0.7:
            layer["closed"] = False
    return {**policy, "layers": layers}


def test_a_plain_verb_is_always_allowed_and_nothing_is_wanted() -> None:
    random = Random(20261128)
    for _ in range(CASES):
        theme = random.choice(sorted(THEMES))
        policy = generate.policy(random, theme)
        if random.random() < 0.5:
            policy = made_plain(random, policy, THEMES[theme])
        engine = _native.Policy(json.dumps(policy))
        for _ in range(ACTS):
            action, facts = generate.act_with_facts(random, theme)
            plain = engine.is_plain(action["verb"])
            decision = json.loads(engine.decide(json.dumps(action), json.dumps(facts)))
            SEEN["plain" if plain else decision["decision"]] += 1
            if plain:
                assert decision["decision"] == "allow", (policy, action, facts)
                assert decision["obligations"] == {"record": "routine" if action["verb"] == "file.read" else "ordered"}
    assert SEEN["plain"] > CASES and min(SEEN["deny"], SEEN["approve"], SEEN["allow"]) > CASES / 10, SEEN


@given(st.integers(0, 2**64 - 1))
def test_no_layer_makes_a_verb_plain_by_saying_less(seed: int) -> None:
    """A layer that denies, asks, or is closed and silent takes it away, wherever it stands."""
    random = Random(seed)
    policy = {"interlock": 1, "layers": [{"name": "a", "origin": "user", "rules": [{"id": "free", "decision": "allow", "verbs": ["net.send"]}]}]}
    assert _native.Policy(json.dumps(policy)).is_plain("net.send")
    narrow = {"id": "r", "decision": random.choice(["deny", "approve"]), "verbs": ["net.send"], "match": {"port": [[1, 1]]}}
    tighter = random.choice([{"closed": True, "rules": []}, {"closed": False, "rules": [narrow]}])
    policy["layers"].insert(random.randint(0, 1), {"name": "b", "origin": random.choice(generate.ORIGINS), **tighter})
    assert not _native.Policy(json.dumps(policy)).is_plain("net.send")
