"""Choosing and proving entries."""

from __future__ import annotations

import datetime
import json

import pytest

from interlock._native import Log
from interlock.ledger import proof, verifier
from interlock.ledger.event import Event
from interlock.ledger.query import Filter, row, since
from interlock.ledger.reader import Entry, entries, find

NOW = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


def decided(said: str, verb: str, target: dict, rules: list[str]) -> Entry:
    value = {
        "type": "action.decided", "time": "2026-01-31T11:00:00.000000Z", "session": "s-1", "record": 1,
        "action": {"id": "s-1/1", "verb": verb, "target": target}, "decision": {"decision": said, "rules": rules},
    }  # fmt: skip
    return Entry("sessions/s-1", 1, b"", Event(value))


def test_a_row_holds_what_machines_read() -> None:
    flat = row(decided("deny", "file.read", {"path": "/h/.ssh/id"}, ["coding-agent/secrets"]))
    assert {"time", "verb", "target", "decision", "rules"} <= set(flat)
    assert (flat["target"], flat["rules"]) == ("/h/.ssh/id", ["coding-agent/secrets"])
    assert row(decided("allow", "net.connect", {"address": "::1", "port": 443}, []))["target"] == "[::1]:443"
    assert row(decided("allow", "file.rename", {"path": "/a", "to": {"path": "/b"}}, []))["target"] == ["/a", "/b"]
    assert row(decided("allow", "tool.call", {"connector": "crm", "tool": "x"}, []))["target"] == "crm/x"


@pytest.mark.parametrize(
    ("filters", "taken"),
    [
        ({}, True), ({"decision": "deny"}, True), ({"decision": "allow"}, False), ({"verb": "file.*"}, True), ({"verb": "net.*"}, False),
        ({"rule": "secrets"}, True), ({"rule": "a/secrets"}, True), ({"rule": "b/secrets"}, False),
        ({"since": "2026-01-31T10:59:00.000000Z"}, True), ({"since": "2026-01-31T11:01:00.000000Z"}, False), ({"type": "session.*"}, False),
    ],
)  # fmt: skip
def test_a_filter_takes_what_it_says(filters: dict, taken: bool) -> None:
    assert Filter(**filters).takes(decided("deny", "file.read", {"path": "/x"}, ["a/secrets"]).event) is taken


def test_since_is_a_span_or_a_time() -> None:
    assert since("90m", NOW) == "2026-01-31T10:30:00.000000Z"
    assert since("2026-01-31T12:00:00+02:00", NOW) == "2026-01-31T10:00:00.000000Z"
    with pytest.raises(ValueError, match="Invalid"):
        since("yesterday", NOW)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 260])
def test_every_record_can_be_proven_and_no_other(tmp_path, count: int) -> None:
    tmp_path.chmod(0o700)
    directory = tmp_path / "ledger" / "sessions" / "s-1"
    log = Log.open(str(directory), "sessions/s-1", str(tmp_path / "ledger" / "index"), str(tmp_path / "keys"))
    for number in range(count):
        log.append(json.dumps({"type": "prompt.seen", "n": number}), "routine")
    log.close()
    key = verifier.load_public(tmp_path / "keys" / "ledger.ed25519.pub")
    for number in {0, 1, count // 2, count}:
        held = proof.prove(directory, number, key).as_object()
        assert proof.check(proof.Proof.read(held), key) == count + 1
        for wrong in (
            {**held, "entry": held["entry"].replace('"type"', '"typo"')},
            {**held, "record": number + 1},
            {**held, "path": held["path"][:-1] or ["A" * 43 + "="]},
            {**held, "path": [*held["path"], "A" * 43 + "="]},
            {**held, "checkpoint": held["checkpoint"].replace("\n", "\n\n", 1)},
            {**held, "form": "other"},
            {**held, "path": "AAAA"},
            {**held, "path": [7]},
            {**held, "record": str(number)},
            {**held, "entry": None},
            {key: value for key, value in held.items() if key != "path"},
            {**held, "more": 1},
            [],
        ):
            with pytest.raises(ValueError, match=r"."):
                proof.check(proof.Proof.read(wrong), key)
    assert [entry.number for entry in entries(directory)] == list(range(count + 1))
    found = find(tmp_path, "last")
    assert found is None or found.session == "s-1"
