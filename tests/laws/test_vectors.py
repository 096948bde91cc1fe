"""The vectors of `spec/vectors`, written by hand: what the engine must say, and what it must refuse. The reference runs them too.

An `expect` gives the keys of the Decision that matter, or `{"error": "policy" | "action" | "facts"}`. `@digest` in a grant stands
for the Action's own digest.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlock import _native
from tests.laws import reference

VECTORS = Path(__file__).resolve().parents[2] / "spec" / "vectors"
ERRORS = {"policy": _native.PolicyError, "action": _native.ActionError, "facts": _native.FactsError}


def lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (VECTORS / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("vector", lines("decide.jsonl"), ids=lambda vector: vector["name"])
def test_decide(vector: dict) -> None:
    policy, action, facts, expect = vector["policy"], vector["action"], vector.get("facts", {}), vector["expect"]
    for grant in facts.get("grants", []):
        grant["digest"] = reference.digest(action) if grant["digest"] == "@digest" else grant["digest"]
    if "error" in expect:
        with pytest.raises(ERRORS[expect["error"]]):
            _native.Policy(json.dumps(policy)).decide(json.dumps(action), json.dumps(facts))
        return
    decision = json.loads(_native.Policy(json.dumps(policy)).decide(json.dumps(action), json.dumps(facts)))
    assert {key: decision[key] for key in expect} == expect
    if isinstance(action["target"].get("path"), str | None):
        assert reference.decide(policy, action, facts) == decision


@pytest.mark.parametrize(
    "vector", lines("patterns.jsonl"), ids=lambda vector: f"{vector['pattern'][:40]}-{vector['path']}"
)
def test_patterns(vector: dict) -> None:
    pattern, path = vector["pattern"], vector["path"]
    if vector["expect"] == "error":
        with pytest.raises(_native.PatternError):
            _native.match_pattern(pattern, path.encode())
        return
    assert _native.match_pattern(pattern, path.encode()) is vector["expect"]
    if "\\" not in pattern and pattern != "/a??":
        assert reference.path_matches(pattern, path) is vector["expect"]


def test_a_policy_is_its_digest() -> None:
    text = '{"interlock": 1, "layers": []}'
    digest = _native.Policy(text).digest
    assert _native.Policy(json.dumps({"interlock": 1, "layers": [], "digest": digest})).digest == digest
    with pytest.raises(_native.PolicyError, match="not the one it names"):
        _native.Policy('{"interlock": 1, "layers": [], "digest": "sha256:00"}')


@pytest.mark.parametrize(
    "text",
    [
        '{"interlock": 1, "layers": [], "layers": []}',
        '{"interlock": 1, "layers": [[]]}',
        '[1, null, []]',
        '{"interlock": 2, "layers": []}',
        '{"interlock": 1, "layers": ' + "[" * 500 + "]" * 500 + "}",
        '{"interlock": 1.0, "layers": []}',
        "",
    ],
)  # fmt: skip
def test_a_policy_is_read_strictly(text: str) -> None:
    with pytest.raises(_native.PolicyError):
        _native.Policy(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('{"b":1,"a":[true,null]}', '{"a":[true,null],"b":1}'),
        ("[1.0, -0.0, 1e20, 1e21, 1e-6, 1e-7, 123.456, 5e-324]", None),
        ("[1.0,-0.0,1e15,1e-6,1e-7,123.456,5e-324,0.1]", "[1,0,1000000000000000,0.000001,1e-7,123.456,5e-324,0.1]"),
        ('"\\u20ac$\\u000f\\nA\'B\\"\\\\\\"/"', '"\u20ac$\\u000f\\nA\'B\\"\\\\\\"/"'),
        ('{"\\ufb33":1,"\\ud83d\\ude00":2,"\\u20ac":3,"1":4}', '{"1":4,"\u20ac":3,"\U0001f600":2,"\ufb33":1}'),
        ("[18446744073709551615,-9223372036854775808]", "[18446744073709551615,-9223372036854775808]"),
        ('{"a":1,"a":1}', None),
        ("18446744073709551616", None),
        ("NaN", None),
        ("01", None),
    ],
)
def test_canonical_form(text: str, form: str | None) -> None:
    """RFC 8785, sections 3.2.2 and 3.2.3."""
    if form is None:
        with pytest.raises(_native.NativeError):
            _native.canonical(text)
    else:
        assert _native.canonical(text) == form
