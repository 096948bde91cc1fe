"""`risk:`, `labels:` and `when` about them: what is written wrong is said with its place, and nothing opens by a low score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.policy.test_compile import place as place  # the fixture
from tests.unit.policy.test_compile import policy, rule

from interlock.policy import Context, PolicyError, Source, load
from interlock.policy.loading import Compiled

RULE = "rules:\n  - {id: one, deny: tool.call, when: {risk: {at_least: 60}}}\n"


def loaded(place: Context, *texts: str) -> Compiled:
    return load([policy(text, f"layer-{n}") for n, text in enumerate(texts)], place)


def test_a_scoring_is_compiled_whole(place: Context) -> None:
    found = loaded(place, "risk:\n  weights: {operation: {export: 40}}\n" + RULE)
    layer = found.document()["layers"][-1]
    assert layer["risk"]["weights"]["operation"]["export"] == 40
    assert layer["risk"]["weights"]["operation"]["delete"] == 25
    assert rule(found, "layer-0/one")["when"] == {"risk_at_least": 60}


def test_labels_are_compiled(place: Context) -> None:
    text = (
        "labels: [{connector: mail, integrity: untrusted, confidentiality: secret}]\n"
        "rules: [{id: one, approve: tool.call, when: {labels: {integrity: untrusted, confidentiality: [private, secret]}}}]\n"
    )
    found = loaded(place, text)
    assert found.document()["layers"][-1]["labels"] == [
        {"connector": ["mail"], "tool": ["*"], "labels": ["secret", "untrusted"]}
    ]
    assert rule(found, "layer-0/one")["when"] == {
        "labels_any": {"integrity": ["untrusted"], "confidentiality": ["private", "secret"]}
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RULE, "nothing scores calls"),
        ("risk: {}\nrules: [{id: one, allow: tool.call, when: {risk: {at_least: 60}}}]", "a score can only tighten"),
        ("risk: {}\nrules: [{id: one, deny: tool.call, when: {risk: {at_most: 60}}}]", "a score can only tighten"),
        ("risk: {}\nrules: [{id: one, deny: tool.call, when: {risk: {at_least: 101}}}]", "over 100"),
        ("risk: {}\nrules: [{id: one, deny: tool.call, when: {risk: {at_least: 0}}}]", "reached by every call"),
        ("risk: {}\nrules: [{id: one, deny: tool.call, when: {risk: {at_least: 6e1}}}]", "whole number"),
        ("risk: {}\nrules: [{id: one, deny: tool.call, when: {risk: {at_least: -1}}}]", "whole number"),
        ("risk: {}\nrules: [{id: one, deny: tool.call, when: {risk: 60}}]", "is a mapping"),
        ("risk: {}\nrules: [{id: one, deny: file.read, when: {risk: {at_least: 60}}}]", "only calls at the gateway"),
        ("risk: {}\nrules: [{id: one, deny: tool.list, when: {risk: {at_least: 60}}}]", "only calls at the gateway"),
        ("risk: {wieghts: {}}\nrules: []", "did you mean `weights`?"),
        ("risk: {weights: {operation: {exprot: 4}}}\nrules: []", "did you mean `export`?"),
        ("risk: {weights: {operation: {export: 101}}}\nrules: []", "over 100"),
        ("risk: {weights: {operation: {export: 2.5}}}\nrules: []", "whole number"),
        ("risk: {weights: {operation: {export: -5}}}\nrules: []", "whole number"),
        ("risk: {mode: shadows}\nrules: []", "did you mean `shadow`?"),
        ("risk: {targets: [{tool: x, sensitivity: secret}]}\nrules: []", "names no `connector`"),
        ("risk: {targets: [{connector: x}]}\nrules: []", "says nothing"),
        ("risk: {targets: [{connector: 'x[ab]', outward: true}]}\nrules: []", "not a name or pattern"),
        ("risk: {targets: [{connector: x, destination: to}]}\nrules: []", "not a JSON pointer"),
        ("risk: {internal: ['*']}\nrules: []", "is not a name"),
        ("risk: {internal: ['a*.com']}\nrules: []", "is not a name"),
        ("risk: {hours: '18:00-08:00'}\nrules: []", "span of one day"),
        ("risk: {zone: '+01:00'}\nrules: []", "`zone` without `hours`"),
        ("risk: {volume: {rows: 0}}\nrules: []", "reached by every call"),
        ("risk: {volume: {rows: 99999999999999999999}}\nrules: []", "whole number"),
        ("risk: []\nrules: []", "is a mapping"),
        ("labels: {}\nrules: []", "is a list"),
        ("labels: [{connector: x}]\nrules: []", "says nothing of the results"),
        ("labels: [{connector: x, integrity: dirty}]\nrules: []", "unknown integrity"),
        ("rules: [{id: one, deny: tool.call, when: {labels: {context: [untrusted]}}}]", "no layer says what results are"),
        ("labels: [{connector: x, integrity: untrusted}]\nrules: [{id: one, allow: tool.call, when: {labels: {context: [untrusted]}}}]", "can only tighten"),
        ("labels: [{connector: x, integrity: untrusted}]\nrules: [{id: one, deny: tool.call, when: {labels: {integrity: [private]}}}]", "unknown label"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(place: Context, text: str, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        loaded(place, text)
    assert said in refused.value.text()
    assert "layer-0.yaml:" in refused.value.text()


def test_one_layer_scores_for_all(place: Context) -> None:
    assert loaded(place, "risk: {}\nrules: []", RULE).layers[-2:] == ("layer-0", "layer-1")


def test_a_layer_of_the_workspace_may_score(place: Context) -> None:
    folder = Path(place.workspace) / ".interlock"
    folder.mkdir()
    (folder / "policy.yaml").write_text(
        "interlock: 1\nname: found\nrisk: {weights: {operation: {read: 50}}}\nrules: []\n"
    )
    found = load([policy("risk: {}\n" + RULE)], place)
    assert found.document()["layers"][-1]["risk"]["weights"]["operation"]["read"] == 50


def test_cases_may_state_a_score_and_labels(place: Context) -> None:
    from interlock.policy.cases import read_cases, run_cases
    from interlock.policy.engine import engine

    text = (
        "risk: {}\nlabels: [{connector: mail, integrity: untrusted}]\n"
        "rules:\n  - {id: all, allow: tool.call}\n  - {id: high, deny: tool.call, when: {risk: {at_least: 60}}}\n"
        "  - {id: tainted, approve: tool.call, when: {labels: {context: untrusted}}}\n"
    )
    cases = (
        b"interlock-cases: 1\ncases:\n"
        b"  - {name: low, verb: tool.call, connector: c, tool: t, expect: allow}\n"
        b"  - {name: high, verb: tool.call, connector: c, tool: t, risk: 60, expect: deny, rule: layer-0/high}\n"
        b"  - {name: read, verb: tool.call, connector: c, tool: t, labels: [untrusted], expect: approve}\n"
    )
    compiled: Any = loaded(place, text)
    results = run_cases(read_cases(cases, "cases.yaml", place), engine(compiled).decide)
    assert [each.holds for each in results] == [True] * 3, [each.decision for each in results]
    with pytest.raises(PolicyError, match="not a score"):
        read_cases(cases.replace(b"risk: 60", b"risk: 101"), "cases.yaml", place)


def test_an_action_without_facts_scores_nothing_and_its_agent_has_read_nothing(place: Context) -> None:
    from interlock.policy.engine import decide_line, engine

    text = (
        "risk: {}\nlabels: [{connector: mail, integrity: untrusted}]\nrules:\n  - {id: all, allow: tool.call}\n"
        "  - {id: high, deny: tool.call, when: {risk: {at_least: 60}}}\n"
        "  - {id: tainted, approve: tool.call, when: {labels: {integrity: untrusted}}}\n"
    )
    policy = engine(loaded(place, text))
    target = {"connector": "c", "tool": "t", "operation": "write", "arguments": {}}
    action = {"id": "s/1", "plane": "gateway", "verb": "tool.call", "target": target, "subject": {"agent": "a", "session": "s", "task": None, "process": None}}
    for facts, says in (({}, "allow"), ({"facts": {"risk": 60, "labels": {"integrity": []}}}, "deny"), ({"facts": {"risk": 0}}, "deny")):
        assert json.loads(decide_line(policy, json.dumps({"action": action, **facts}), 1))["decision"] == says


def test_the_digest_covers_the_scoring(place: Context) -> None:
    one = load([Source("a.yaml", f"interlock: 1\nname: a\nrisk: {{}}\n{RULE}".encode())], place)
    other = load([Source("a.yaml", f"interlock: 1\nname: a\nrisk: {{mode: shadow}}\n{RULE}".encode())], place)
    assert one.digest != other.digest and json.loads(one.json)["digest"] == one.digest


def test_a_summary_says_when_a_rule_speaks(place: Context) -> None:
    from interlock.policy.loading import written
    from interlock.policy.summary import rows

    text = (
        "risk: {}\nlabels: [{connector: mail, integrity: untrusted}]\n"
        "rules:\n  - {id: high, deny: tool.call, when: {risk: {at_least: 60}, labels: {context: [untrusted, secret]}}}\n"
    )
    (row,) = rows(written([policy(text)], place))
    assert row.rules == (("high", "with a score of 60 or more, after reading what is untrusted or secret"),)
