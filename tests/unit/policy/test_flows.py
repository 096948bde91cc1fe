"""`flows:` of a layer: what it may say, what is a load error, and where it shows without any agent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.policy.test_risk import place as place  # the fixture

from interlock.policy import Context, PolicyError, Source, load

FLOW = "flows:\n  - {id: a, from: {connector: mail}, to: {connector: crm}}\n"
RULE = "rules:\n  - {id: all, allow: tool.call}\n"


def document(place: Context, text: str, rules: str = RULE) -> Any:
    return load([Source("a.yaml", f"interlock: 1\nname: a\n{text}{rules}".encode())], place)


def flow(**more: str) -> str:
    parts = {"id": "a", "from": "{connector: mail}", "to": "{connector: crm}", **more}
    return f"flows:\n  - {{{', '.join(f'{key}: {value}' for key, value in parts.items() if value)}}}\n"


def test_a_flow_says_everything_that_is_left_out(place: Context) -> None:
    (found,) = document(place, FLOW).document()["layers"][-1]["flows"]
    assert found["carries"] == "anything" and found["source"]["match"] == {"connector": ["mail"]}
    assert found["source"]["verbs"] == ["log.level", "prompt.get", "resource.read", "tool.call"]
    assert (found["tool"], found["prompt"], found["person"], found["labels"], found["argument"]) == (None, False, False, [], [])
    narrowed = document(place, flow(to="{operation: write, arguments: [{at: /a, equals: b}]}")).document()["layers"][-1]["flows"]
    assert narrowed[0]["sink"]["verbs"] == ["tool.call"], "only calls of tools have those"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("flows: {}\n", "is a list"),
        ("flows: []\n", "is a list"),
        ("flows:\n  - a\n", "a flow is a mapping"),
        (flow(id=""), "has no `id`"),
        (flow(**{"from": ""}), "has no `from`"),
        (flow(to=""), "has no `to`"),
        (flow(**{"from": "{}"}), "`from` is a mapping that names sources"),
        (flow(to="{}"), "`to` is a mapping that names sinks"),
        (flow(sink="{connector: crm}"), "unknown key `sink` in `flows`"),
        (flow(to="{connector: crm, labels: untrusted}"), "unknown key `labels` in `to`"),
        (flow(to="{argument: to}"), "is not a JSON pointer"),
        (flow(**{"from": "{labels: trusted}"}), "unknown labels `trusted`"),
        (flow(**{"from": "{labels: untrusted}"}), "no layer says what results are"),
        (flow(carries="some"), "`carries` is `anything` or `named` or `unknown`, not `some`"),
        (flow(declassify="{}"), "`declassify` is a mapping"),
        (flow(declassify="{connector: directory}"), "names no `tool`"),
        (flow(declassify="{prompt: true}"), "lifts nothing of a flow that carries anything"),
        (flow(timeout="5m"), "`timeout` without a person"),
        (flow(timeout="25h", declassify="{person: true}"), "is not a duration"),
        (flow(id="all"), "is a flow's and a rule's"),
        (FLOW + FLOW.partition("\n")[2], "is used twice"),
    ],
)
def test_what_cannot_be_held_to_is_a_load_error(place: Context, text: str, fault: str) -> None:
    with pytest.raises(PolicyError, match=fault):
        document(place, text)


def test_the_digest_covers_flows(place: Context) -> None:
    assert document(place, FLOW).digest != document(place, flow(carries="named")).digest


def test_explain_lists_flows(place: Context) -> None:
    from interlock.policy.coverage import coverage
    from interlock.policy.loading import written
    from interlock.policy.summary import rows

    text = flow(to="{connector: crm, argument: /to}", carries="named", declassify="{tool: lookup, prompt: true, person: true}", because="so")
    source = Source("a.yaml", f"interlock: 1\nname: a\n{text}{RULE}".encode())
    row = next(each for each in rows(written([source], place)) if each.verbs == "flow")
    assert (row.decision, row.because) == ("approve", "so")
    assert row.rules == (("a", "from mail, to crm /to, carrying named, unless by the prompt or lookup"),)
    last = coverage(load([source], place).document(), {})[-1]
    assert (last.rule, last.decision, last.enforced_by) == ("a/a", "approve", ("gateway",))


def test_cases_state_what_flows(place: Context) -> None:
    from interlock.app.rego_tests import with_findings
    from interlock.policy.cases import read_cases, run_cases
    from interlock.policy.engine import engine
    from interlock.vocabulary.errors import OperatorError

    compiled = document(place, flow(declassify="{person: true}"))
    call = "verb: tool.call, connector: crm, tool: t"
    text = f"interlock-cases: 1\ncases:\n  - {{{call}, expect: allow}}\n  - {{{call}, flows: a/a, expect: approve, rule: a/a}}\n"
    cases = read_cases(text.encode(), "cases.yaml", place)
    results = run_cases(cases, with_findings(compiled.document(), cases, engine(compiled).decide))
    assert [each.holds for each in results] == [True, True], [each.decision for each in results]
    unknown = read_cases(text.replace("flows: a/a", "flows: a/b").encode(), "cases.yaml", place)
    with pytest.raises(OperatorError, match="no flow is called"):
        with_findings(compiled.document(), unknown, engine(compiled).decide)


def test_an_action_without_facts_is_no_flow(place: Context) -> None:
    from interlock.policy.engine import decide_line, engine

    policy = engine(document(place, FLOW))
    target = {"connector": "crm", "tool": "t", "operation": "write", "arguments": {}}
    action = {"id": "s/1", "plane": "gateway", "verb": "tool.call", "target": target, "subject": {"agent": "a", "session": "s", "task": None, "process": None}}
    assert json.loads(decide_line(policy, json.dumps({"action": action}), 1, ["a"]))["decision"] == "allow"
    heard = {"findings": {"a": [{"finds": "deny", "id": "a", "because": "so", "timeout_ms": None}]}}
    assert json.loads(decide_line(policy, json.dumps({"action": action, "facts": heard}), 1))["rules"] == ["a/a"]
    assert json.loads(decide_line(policy, json.dumps({"action": action, "facts": {}}), 1))["decision"] == "deny", "nobody looked"
