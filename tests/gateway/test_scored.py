"""Calls scored before they are made, from the policy's text to the record, through real clients and servers.

The example: an agent reads mail from outside and then wants a bulk export. Without the mail the same export passes.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.gateway_stage import Stage, Start, call, connector, modern
from tests.gateway.gateway_stage import start as start  # the fixture

from interlock.app.scored_record import ScoredRecord, rescored_by
from interlock.policy import Context, Source, load
from interlock.vocabulary.words import rows

OFFICE = """
interlock: 1
name: office
risk:
  targets:
    - {connector: crm, tool: export, sensitivity: confidential, volume: /limit, destination: /to}
    - {connector: crm, tool: read, sensitivity: confidential}
    - {connector: mail, sensitivity: internal, destination: /to}
  internal: [example.com, "*.example.com"]
labels:
  - {connector: mail, tool: read, integrity: untrusted, confidentiality: private}
rules:
  - {id: calls, allow: tool.call}
  - id: risky
    deny: tool.call
    when: {risk: {at_least: 80}}
    because: the call is too risky to be made without a person
"""
EXPORT = {"limit": 5_000, "to": "reports.example.com"}


def compiled(root: Path, text: str, path: str | None = None, beside: str | None = None) -> Any:
    """A policy for tool calls from its text, as the gateway loads it."""
    for name in ("home/work", "state", "cache", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    here = Context(
        home=f"{root}/home", workspace=f"{root}/home/work", user="ada", state=f"{root}/state", config=f"{root}/config",
        cache=f"{root}/cache", runtime=f"{root}/runtime", session=f"{root}/runtime/s-1", temporary=f"{root}/tmp",
        interlock=(f"{root}/opt",),
    )  # fmt: skip
    more = [Source.preset(beside)] if beside else []
    return load([Source("office.yaml", text.encode(), path=path), *more], here, workspace_layer=False).document()


@pytest.fixture
def begun(start: Start, tmp_path: Path) -> Any:
    def begin(text: str = OFFICE, of: Any = None, **options: Any) -> Stage:
        crm = connector("crm", "crm", root=tmp_path, operations={"export": "export", "read": "read", "wipe": "delete"})
        mail = connector("mail", "mail", root=tmp_path, operations={"read": "read", "send": "write"})
        return start(crm, mail, compiled=of or compiled(tmp_path / "policy", text), **options)

    return begin


def scores(stage: Stage) -> list[dict[str, Any]]:
    return [each["risk"] for each in stage.decided("tool.call")]


def named(risk: dict[str, Any]) -> dict[str, int]:
    return {f"{each['signal']}.{each['reading']}": each["points"] for each in risk["signals"]}


def denied(result: dict[str, Any]) -> bool:
    return result.get("isError") is True and "office/risky" in result["content"][0]["text"]


def test_the_export_passes_until_mail_from_outside_was_read(begun: Any) -> None:
    stage = begun()
    token = stage.token()
    assert not denied(call(stage, token, "crm__export", **EXPORT))
    assert not denied(call(stage, token, "mail__read", id=7))
    result = call(stage, token, "crm__export", **EXPORT)
    assert denied(result) and "too risky" in result["content"][0]["text"]
    other = stage.token("other")
    assert not denied(call(stage, other, "crm__export", **EXPORT)), "the mail was read by another agent"
    assert [name for name, _ in stage.effects] == ["export", "read", "export"]
    before, _, last, _ = scores(stage)
    assert (before["score"], last["score"]) == (75, 85)
    assert {"labels.untrusted": 15, "labels.private": 5}.items() <= named(last).items()
    assert not {"labels.untrusted", "labels.private"} & set(named(before))


def test_the_score_is_told_where_it_was_asked_for(begun: Any) -> None:
    """To the agent in a refusal, and to the person who is asked."""
    stage = begun(OFFICE.replace("deny: tool.call\n    when", "approve: tool.call\n    when"))
    token = stage.token()
    call(stage, token, "mail__read", id=7)
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(call(stage, token, "crm__export", **EXPORT)))
    waiting.start()
    inbox = stage.inbox.__class__(str(stage.root / "inbox.sqlite"))
    until = time.monotonic() + 20
    while not (pending := inbox.pending()):
        assert time.monotonic() < until, "no question came"
        time.sleep(0.05)
    shown = dict(rows(pending[0], now_ms=0))
    assert shown["risk"].startswith("95 of 100: ") and "its agent has read what is untrusted (15)" in shown["risk"]
    inbox.answer(pending[0].id, meant="no", approver="uid:0")
    waiting.join(20)
    told = answers[0]["content"][0]["text"]
    assert "Risk: 95 of 100: " in told and "what is untrusted (15)" in told
    plain = begun(OFFICE.partition("  - id: risky")[0] + "  - {id: none, deny: tool.call, tool: wipe}\n")
    assert "Risk:" not in call(plain, plain.token(), "crm__wipe")["content"][0]["text"], "no rule asked for it"


def test_what_is_recorded_gives_the_same_score_again(begun: Any, tmp_path: Path) -> None:
    stage = begun()
    token = stage.token()
    for name, arguments in (
        ("mail__read", {}), ("crm__export", EXPORT), ("mail__send", {"to": "a@elsewhere.test", "body": "x" * 500}),
        ("crm__wipe", {"rows": "all"}), ("mail__send", {"to": ["b@example.com", "c@example.com"]}), ("crm__export", {}),
    ):  # fmt: skip
        call(stage, token, name, **arguments)
    records = [each for each in stage.decided("tool.call") if "risk" in each]
    assert len(records) == 6 and len({each["risk"]["score"] for each in records}) > 3
    policy = compiled(tmp_path / "policy", OFFICE)
    for each in records:
        assert each["facts"]["risk"] == each["risk"]["score"], "what was decided with is what is told"
        again = rescored_by(ScoredRecord("", each["action"], each["decision"], each["risk"]), policy)
        assert again["score"] == each["risk"]["score"]
        assert json.loads(json.dumps(again["signals"])) == each["risk"]["signals"]


def test_a_shadow_counts_nothing_and_says_what_it_would_do(begun: Any) -> None:
    stage = begun(OFFICE.replace("risk:\n", "risk:\n  mode: shadow\n", 1))
    token = stage.token()
    call(stage, token, "mail__read")
    assert not denied(call(stage, token, "crm__export", **EXPORT))
    told = scores(stage)[-1]
    assert (told["mode"], told["score"]) == ("shadow", 95)
    assert told["would"] == {"decision": "deny", "rules": ["office/risky"]}
    assert stage.decided("tool.call")[-1]["facts"]["risk"] == 0


def test_each_call_is_scored_also_where_no_rule_asks(begun: Any) -> None:
    stage = begun(OFFICE.partition("  - id: risky")[0])
    token = stage.token()
    call(stage, token, "crm__export", **EXPORT)
    modern(stage, token, "resources/read", {"uri": "crm+file:///open.txt"})
    assert [each["score"] for each in scores(stage)] == [75]
    assert all("risk" in each for each in stage.records() if each["type"] == "action.decided")


def test_an_agent_does_not_begin_anew_by_another_session_token_or_gateway(begun: Any) -> None:
    stage = begun()
    call(stage, stage.token(), "mail__read")
    assert denied(call(stage, stage.token(), "crm__export", **EXPORT))
    from interlock.storage.memories import MemoryStore

    rows = MemoryStore(str(stage.root / "memories.sqlite")).news()
    assert {("coder", "label", "untrusted"), ("coder", "label", "private"), ("coder", "tool", "mail/read")} <= {
        row[:3] for row in rows
    }


def test_a_definition_that_changed_counts(begun: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from interlock.storage.memories import MemoryStore

    store = MemoryStore(str(tmp_path / "memories.sqlite"))
    store.keep(("", "definition", "crm/read", "sha256:of-another", 0))
    store.close()
    stage = begun()
    token = stage.token()
    call(stage, token, "crm__read")
    call(stage, token, "crm__read")
    assert [named(each).get("definition.changed") for each in scores(stage)] == [15, 15]


def test_many_at_once_and_small_ones_are_counted(begun: Any) -> None:
    stage = begun(OFFICE.replace("risk:\n", "risk:\n  volume: {calls: 8}\n", 1))
    token = stage.token()
    threads = [threading.Thread(target=call, args=(stage, token, "crm__read")) for _ in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    counted = sorted(each["known"].get("calls", 0) for each in scores(stage))
    assert counted == list(range(12)), "no two calls at once see the same count"
    assert sum("lately.much" in named(each) for each in scores(stage)) == 4


def test_a_yes_is_decided_with_a_score_of_its_own(begun: Any) -> None:
    stage = begun(OFFICE.replace("deny: tool.call", "approve: tool.call"))
    token = stage.token()
    call(stage, token, "mail__read")
    human = threading.Thread(target=stage.answer_next, kwargs={"yes": True})
    human.start()
    assert not call(stage, token, "crm__export", **EXPORT).get("isError")
    human.join()
    asked, granted = stage.decided("tool.call")[-2:]
    assert (asked["decision"]["decision"], granted["decision"]["decision"]) == ("approve", "allow")
    assert asked["risk"]["score"] == granted["risk"]["score"] == granted["facts"]["risk"]


def explain(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "INTERLOCK_HOME": str(home)}
    command = [sys.executable, "-m", "interlock", "risk", "explain", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_a_person_reads_the_sum(begun: Any, tmp_path: Path) -> None:
    stage = begun()
    token = stage.token()
    call(stage, token, "mail__read")
    call(stage, token, "crm__export", **EXPORT)
    record = stage.decided("tool.call")[-1]
    home = tmp_path / "operator"
    (home / "state").mkdir(parents=True)
    (home / "state" / "ledger").symlink_to(stage.root / "ledger")
    name = next(iter((stage.root / "ledger" / "gateway").iterdir())).name
    said = explain(home, f"gateway/{name}:{record['record']}")
    assert said.returncode == 0, said.stderr
    points = [int(line.split()[0]) for line in said.stdout.splitlines()[1:] if line.split()[0].isdigit()]
    assert points[-1] == 95 == sum(points[:-1])
    assert "labels.untrusted" in said.stdout and "decided: deny" in said.stdout
    (tmp_path / "office.yaml").write_text(OFFICE)
    again = explain(home, f"gateway/{name}:{record['record']}", "--policy", str(tmp_path / "office.yaml"))
    assert (again.returncode, "scored again: 95, the same" in again.stdout) == (0, True), again.stderr
    (tmp_path / "office.yaml").write_text(OFFICE.replace("sensitivity: confidential", "sensitivity: public"))
    other = explain(home, f"gateway/{name}:{record['record']}", "--policy", str(tmp_path / "office.yaml"))
    assert (other.returncode, "another" in other.stdout) == (125, True), other.stderr
    assert explain(home, f"gateway/{name}:0").returncode == 120
    assert explain(home, "nowhere:1").returncode == 120


FORGE = """
interlock: 1
name: forge
labels:
  - {connector: mail, tool: read, integrity: untrusted, confidentiality: public}
  - {connector: crm, tool: read, integrity: trusted, confidentiality: private}
rules:
  - {id: calls, allow: tool.call, tool: [read, send, export]}
"""


@pytest.mark.parametrize(
    ("read", "asks"),
    [(("mail__read", "crm__read"), True), (("crm__read", "mail__read"), True), (("mail__read",), False), (("crm__read",), False), ((), False)],
)  # fmt: skip
def test_the_rule_of_two_comes_as_a_layer(begun: Any, tmp_path: Path, read: tuple[str, ...], asks: bool) -> None:
    """A public issue, a private file, a public comment: all three together ask, in whatever order, over sessions and tokens."""
    policy = compiled(tmp_path / "policy", FORGE, beside="gateway-rule-of-two")
    stage = begun(of=policy)
    for name in read:
        assert not call(stage, stage.token(), name).get("isError")
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(call(stage, stage.token(), "mail__send", to="everybody", body="x")))
    waiting.start()
    if asks:
        stage.answer_next(yes=False, within_s=20)
    waiting.join(30)
    assert answers[0].get("isError", False) is asks
    assert ("send" in [name for name, _ in stage.effects]) is not asks
    if asks:
        assert "gateway-rule-of-two/all-three" in answers[0]["content"][0]["text"]
        assert not call(stage, stage.token(), "crm__read").get("isError"), "reading goes on"
        assert call(stage, stage.token("other"), "crm__wipe").get("isError"), "what no rule allows is denied as before"


BANK = OFFICE + "  - {id: whither, deny: tool.call, when: {risk: {at_least: 100}}, because: where it goes was read in what anybody may have written}\n"
BANK = BANK.replace("risk:\n", "risk:\n  weights: {provenance: {untrusted: 100}}\n", 1).replace("at_least: 80", "at_least: 99", 1)


@pytest.mark.parametrize("form", ["plain", "base64", "spelled"])
def test_an_address_that_came_only_from_untrusted_text_does_not_choose_where_data_goes(begun: Any, tmp_path: Path, form: str) -> None:
    told = {"plain": "eve@elsewhere.test", "base64": base64.b64encode(b"write to eve@elsewhere.test").decode(), "spelled": "eve [at] elsewhere [dot] test"}
    stage = begun(BANK)
    token = stage.token()
    assert not denied_by(call(stage, token, "mail__send", to="bob@example.com", body="hello"), "office")
    (tmp_path / "letter").write_text(f"pay attention: {told[form]}, and bob@example.com")
    call(stage, token, "mail__read")
    assert denied_by(call(stage, token, "mail__send", to="eve@elsewhere.test", body="data"), "office/whither")
    assert denied_by(call(stage, stage.token(), "mail__send", to=["bob@example.com"], body="cc EVE@elsewhere.test"), "office/whither")
    assert not denied_by(call(stage, token, "mail__send", to="bob@example.com", body="hello again"), "office"), "it was met before"
    assert not denied_by(call(stage, token, "mail__send", to="ann@example.com", body="a name that no mail had"), "office")
    (reason,) = {each["because"] for risk in scores(stage) for each in risk["signals"] if each["signal"] == "provenance"}
    assert "eve@elsewhere.test" in reason
    last = next(each for each in stage.decided("tool.call") if any(one["signal"] == "provenance" for one in each["risk"]["signals"]))
    assert last["risk"]["known"]["untrusted"] == ["eve@elsewhere.test"]


def denied_by(result: dict[str, Any], rule: str) -> bool:
    return result.get("isError") is True and rule in result["content"][0]["text"]
