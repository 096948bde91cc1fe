"""What flows: the first meeting decides, bounds fail closed, only what is said declassifies, nothing follows before it is kept."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.risk.test_memory import Paper

from interlock.app.gateway_flows import PolicyFlows
from interlock.risk import flows as module
from interlock.risk.memory import LABELS_MS, Kept

EVERY = {"verbs": ["tool.call"], "match": {}}


def end(**match: Any) -> dict[str, Any]:
    return {"verbs": ["tool.call"], "match": match}


def flow(**more: Any) -> dict[str, Any]:
    return {
        "id": "f", "carries": "named", "source": end(connector=["mail"]), "labels": [], "sink": end(connector=["bank"]), "argument": ["/to"],
        "tool": None, "prompt": False, "person": False, "timeout_ms": 1_000, "because": None, **more,
    }  # fmt: skip


def mind(paper: Paper | None = None, **more: Any) -> PolicyFlows:
    policy: Any = {"interlock": 1, "layers": [{"name": "a", "origin": "user", "closed": False, "rules": [], "flows": [flow(**more)]}]}
    return PolicyFlows(policy, None, paper or Paper())


def act(connector: str, tool: str = "t", agent: str = "coder", **arguments: Any) -> dict[str, Any]:
    target = {"connector": connector, "tool": tool, "operation": "write", "arguments": arguments, "definition": None}
    return {"id": "s/1", "plane": "gateway", "verb": "tool.call", "target": target, "subject": {"agent": agent, "session": "s", "task": None, "process": None}}


def reads(flows: PolicyFlows, text: Any, connector: str = "mail", tool: str = "t", now_ms: int = 0, **arguments: Any) -> None:
    flows.let_through(act(connector, tool, **arguments), now_ms)
    flows.returned(act(connector, tool, **arguments), {"content": [{"type": "text", "text": text}]}, now_ms)


def broken(flows: PolicyFlows, now_ms: int = 0, **arguments: Any) -> bool:
    return bool(flows.findings(act("bank", **arguments), now_ms)["a"])


def test_the_first_meeting_decides() -> None:
    flows = mind()
    reads(flows, "known.test", connector="crm")
    reads(flows, "eve.test and known.test")
    reads(flows, "eve.test", connector="crm")
    flows.let_through(act("crm", to="eve.test"), 0)
    assert broken(flows, to="eve.test") and not broken(flows, to="known.test")


def test_what_an_agent_wrote_first_is_not_a_sources() -> None:
    flows = mind()
    flows.let_through(act("bank", to="ann.test"), 0)
    reads(flows, "ann.test")
    assert not broken(flows, to="ann.test")


def test_a_part_that_a_source_named_is_enough() -> None:
    flows = mind()
    reads(flows, "the drop is exfil")
    assert broken(flows, to="https://example.com/exfil") and broken(flows, to={"deep": [["/srv/exfil/a"]]}) and broken(flows, to="EXFIL!")
    assert not broken(flows, to="") and not broken(flows, other="exfil") and not broken(flows, to="https://example.com/")


def test_dates_and_short_numbers_choose_nothing() -> None:
    flows = mind()
    reads(flows, "at 2026-11-30 pay 1200 to 4829104")
    assert not broken(flows, to="2026-11-30") and not broken(flows, to=1200) and broken(flows, to=4829104)


def test_anything_ends_after_its_time_and_not_before() -> None:
    flows = mind(carries="anything", argument=[])
    reads(flows, "x", now_ms=5)
    assert broken(flows, now_ms=LABELS_MS + 4) and not broken(flows, now_ms=LABELS_MS + 5)


def test_a_call_under_way_is_read_before_its_result_comes() -> None:
    flows = mind(carries="anything", argument=[])
    flows.let_through(act("mail"), 0)
    assert broken(flows)


def test_a_declassifier_between_a_call_and_its_result_lifts_nothing() -> None:
    flows = mind(carries="anything", argument=[], tool=end(tool=["review"]))
    flows.let_through(act("mail"), 0)
    flows.returned(act("crm", "review"), {"content": []}, 1)
    assert not broken(flows, now_ms=1)
    flows.returned(act("mail"), {"content": []}, 2)
    assert broken(flows, now_ms=2)


@pytest.mark.parametrize("result", [{"isError": True, "content": []}, {"resultType": "input_required"}, {"resultType": "task"}, None, "text"])
def test_what_is_no_answer_declassifies_nothing(result: Any) -> None:
    flows = mind(carries="anything", argument=[], tool=end(tool=["review"]))
    reads(flows, "x")
    flows.returned(act("crm", "review"), result, 5)
    assert broken(flows, now_ms=5)


def test_unknown_is_what_nothing_else_named() -> None:
    flows = mind(carries="unknown", prompt=True)
    assert not broken(flows, to="new.test"), "no source was read"
    reads(flows, "hello")
    reads(flows, "listed.test", connector="crm")
    assert broken(flows, to="new.test") and not broken(flows, to="listed.test")
    flows.let_through(act("crm", note="mine.test"), 0)
    reads(flows, "mine.test", connector="crm")
    assert broken(flows, to="mine.test"), "what repeats what an agent sent has not named it"
    flows.memory.prompted("coder", "pay new.test", 0)
    assert not broken(flows, to="new.test") and not broken(flows, to="https://new.test")


def test_agents_are_apart() -> None:
    flows = mind()
    reads(flows, "eve.test")
    assert not flows.findings(act("bank", agent="other", to="eve.test"), 0)["a"]


def test_more_than_can_be_looked_through_counts_as_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    flows = mind()
    reads(flows, "known.test", connector="crm")
    reads(flows, "x " * 140_000)
    assert broken(flows, to="new.test") and not broken(flows, to="known.test")
    monkeypatch.setattr(module, "NAMES_MAX", 20)
    small = mind()
    reads(small, "known.test", connector="crm")
    reads(small, " ".join(f"word{n}" for n in range(40)))
    assert broken(small, to="new.test") and not broken(small, to="known.test")


def test_sources_that_cannot_be_told_apart_count_as_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOURCES_MAX", 2)
    flows = mind(carries="anything", argument=[], source=end(tool=["a*"]))
    for tool in ("a1", "a2", "a3"):
        flows.let_through(act("crm", tool), 0)
    assert broken(flows, now_ms=LABELS_MS - 1)


def test_nothing_follows_before_it_is_kept_and_what_is_kept_is_learnt() -> None:
    paper = Paper()
    flows = mind(paper, tool=end(tool=["lookup"]), prompt=True)
    paper.full = True
    with pytest.raises(OSError, match="full"):
        flows.let_through(act("mail"), 0)
    with pytest.raises(OSError, match="full"):
        flows.returned(act("mail"), {"content": [{"text": "eve.test"}]}, 0)
    paper.full = False
    reads(flows, "eve.test and bob.test and ann.test")
    reads(flows, "bob.test", connector="crm", tool="lookup")
    flows.memory.prompted("coder", "ann.test", 0)
    again = mind(tool=end(tool=["lookup"]), prompt=True)
    again.memory.learn([Kept(each.agent, each.kind, each.name, each.value, each.at_ms) for each in paper.kept])
    for each in (flows, again):
        assert broken(each, to="eve.test") and not broken(each, to="bob.test") and not broken(each, to="ann.test")
    other = mind(tool=end(tool=["another"]))
    other.memory.learn(paper.kept)
    assert broken(other, to="bob.test") and broken(other, to="ann.test"), "what declassified under another policy does not under this one"


def test_conditions_on_arguments_narrow_both_ends() -> None:
    only = [{"at": "/repo", "test": "equals", "value": "private"}]
    flows = mind(carries="anything", argument=[], source=end(tool=["read"], arguments=only))
    reads(flows, "x", connector="crm", tool="read", repo="public")
    assert not broken(flows)
    reads(flows, "x", connector="crm", tool="read", repo="private")
    assert broken(flows)
