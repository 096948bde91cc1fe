"""A client that lost its stream comes back to it with the id of its last event, gets what followed on that stream and nothing else; what is
kept for it is bounded; an id is worth nothing to anybody else."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import connector, post, rule
from test_bounds import memory_bytes
from test_legacy import rpc, session
from test_list_forms import GOOD, lists

RULES = (rule("all", "allow", "tool.call", "tool.list", "log.level"),)
STREAM = "application/json, text/event-stream"
BIG = "x" * (3 * 1024 * 1024)


class Reader:
    """One connection that takes a stream: events as (id, message), none for an event without data."""

    def __init__(self, stage: Any, token: str, headers: dict[str, str], body: Any = None, **more: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=30)
        base = {"Authorization": f"Bearer {token}", "Accept": STREAM if body else "text/event-stream", **headers, **more}
        data = json.dumps(body).encode() if body else None
        self.connection.request("POST" if body else "GET", "/mcp", data, {**base, **({"Content-Type": "application/json"} if body else {})})
        self.response = self.connection.getresponse()
        self.status, self.retry_ms = self.response.status, 0

    def next(self) -> tuple[str | None, Any] | None:
        """The next event; none at the end of the stream."""
        identity, data = None, None
        while line := self.response.readline():
            name, _, value = line.rstrip(b"\n").partition(b":")
            if name == b"id":
                identity = value.strip().decode()
            elif name == b"retry":
                self.retry_ms = int(value)
            elif name == b"data":
                data = value.strip()
            elif not name and not value and data is not None:
                return identity, json.loads(data) if data else None
        return None

    def rest(self) -> list[tuple[str | None, Any]]:
        found = []
        while (event := self.next()) is not None:
            found.append(event)
        return found

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def call(tool: str, identity: int, text: str = "x", **more: Any) -> dict[str, Any]:
    return rpc("tools/call", {"name": f"notes__{tool}", "arguments": {"text": text}, **more}, identity)


def test_a_lost_answer_is_had_by_coming_back_and_the_call_is_made_once(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    headers = session(stage, token)
    lost = Reader(stage, token, headers, call("slow", 7, "1.5"))
    first = lost.next()
    assert first is not None and first[1] is None and lost.retry_ms > 0  # an id and no data, before anything was said
    lost.close()
    back = Reader(stage, token, headers, **{"Last-Event-ID": str(first[0])})
    (answer,) = [message for _, message in back.rest() if message]
    assert answer["id"] == 7 and answer["result"]["content"][0]["text"] == "slow: 1.5"
    assert [name for name, _ in stage.effects] == ["slow"]
    (ended,) = [each for each in stage.records() if each["type"] == "action.enacted"]
    assert ended["effect"] == "done"
    again = Reader(stage, token, headers, **{"Last-Event-ID": str(first[0])})  # its answer may have been lost on the way as well
    assert [message["id"] for _, message in again.rest() if message] == [7]


def test_what_was_missed_is_replayed_once_in_order_and_of_that_stream_only(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), connector("other", root=tmp_path), rules=RULES)
    token = stage.token()
    headers = session(stage, token)
    one = Reader(stage, token, headers, call("progress", 1, _meta={"progressToken": "one"}))
    two = Reader(stage, token, headers, {**call("progress", 2, _meta={"progressToken": "two"})})
    events = {"one": one.rest(), "two": two.rest()}
    ids = [identity for each in events.values() for identity, _ in each]
    assert len(ids) == len(set(ids)) > 6 and None not in ids
    for reader, identity in (("one", 1), ("two", 2)):
        seen = events[reader]
        at = next(number for number, (_, message) in enumerate(seen) if message and message.get("method") == "notifications/progress")
        back = Reader(stage, token, headers, **{"Last-Event-ID": str(seen[at][0])})
        replayed = [each for each in back.rest() if each[1] is not None]
        assert replayed == seen[at + 1 :]
        assert replayed[-1][1]["id"] == identity
        assert {each[1]["params"]["progressToken"] for each in replayed if "progressToken" in each[1].get("params", {})} <= {reader}


def test_an_id_leads_nowhere_outside_its_session_and_a_guess_nowhere_at_all(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token, foreign = stage.token(), stage.token("other")
    headers = session(stage, token)
    events = Reader(stage, token, headers, call("progress", 1, _meta={"progressToken": 1})).rest()
    last = {"Last-Event-ID": str(events[0][0])}
    assert Reader(stage, foreign, headers, **last).status == 404  # a stolen session id
    assert Reader(stage, foreign, session(stage, foreign), **last).status == 400  # of a session of its own
    assert Reader(stage, token, session(stage, token), **last).status == 400
    assert Reader(stage, stage.token(), headers, **last).status == 200  # a newer token of its maker: see test_holders.py
    for guess in ("1.99", "99.1", "0.0", "1.-1", "1", "x", "1.1\u00b2".encode().decode("latin-1"), "9" * 400):
        assert Reader(stage, token, headers, **{"Last-Event-ID": guess}).status == 400, guess
    connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=10)
    connection.request("DELETE", "/mcp", headers={**headers, "Authorization": f"Bearer {token}"})
    assert connection.getresponse().status == 204
    assert Reader(stage, token, headers, **last).status == 404


def test_the_sessions_own_stream_is_come_back_to_and_the_last_to_come_follows(start: Any, tmp_path: Path) -> None:
    stage = start(lists(tmp_path, tools=[{"name": "change", "inputSchema": GOOD}]), rules=RULES)
    token = stage.token()
    headers = session(stage, token)
    change = rpc("tools/call", {"name": "lists__change", "arguments": {}}, 5)
    listening = Reader(stage, token, headers)
    begun = listening.next()
    assert begun is not None and Reader(stage, token, headers).status == 409
    post(stage, token, change, **headers)
    told = listening.next()
    assert told is not None and told[1]["method"] == "notifications/tools/list_changed"
    listening.close()
    time.sleep(0.3)
    post(stage, token, change, **headers)  # said while nobody listens
    back = Reader(stage, token, headers, **{"Last-Event-ID": str(told[0])})
    missed = [back.next(), back.next()]
    assert [each[1] and each[1]["method"] for each in missed if each] == [None, "notifications/tools/list_changed"]
    over = Reader(stage, token, headers, **{"Last-Event-ID": str(begun[0])})
    assert back.rest() == [], "two connections follow one stream"
    replayed = [over.next() for _ in range(3)]
    assert [each[1] and each[1]["method"] for each in replayed if each] == [None, *["notifications/tools/list_changed"] * 2]
    over.close()


@pytest.mark.parametrize("version", ["2025-06-18", "2025-03-26"])
def test_older_clients_get_ids_and_no_event_without_data(start: Any, tmp_path: Path, version: str) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    headers = session(stage, token, protocolVersion=version)
    lost = Reader(stage, token, headers, call("progress", 1, _meta={"progressToken": 1}))
    first = lost.next()
    assert first is not None and first[1]["method"] == "notifications/progress" and first[0] and lost.retry_ms > 0
    lost.close()
    assert [message["id"] for _, message in Reader(stage, token, headers, **{"Last-Event-ID": first[0]}).rest() if "id" in message] == [1]


def test_a_cancelled_call_ends_its_stream_without_an_answer(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    headers = session(stage, token)
    reader = Reader(stage, token, headers, call("slow", 4, "5"))
    begun = reader.next()
    assert begun is not None
    assert post(stage, token, rpc("notifications/cancelled", {"requestId": 4}, None), **headers)[0] == 202
    assert reader.rest() == []
    assert Reader(stage, token, headers, **{"Last-Event-ID": str(begun[0])}).rest()[1:] == []


def test_what_is_kept_for_clients_that_went_away_is_bounded(start: Any, tmp_path: Path) -> None:
    tools = [{"name": "big", "inputSchema": GOOD}]
    stage = start(lists(tmp_path, tools=tools, structured={"text": BIG}), rules=RULES)
    token = stage.token()
    before = memory_bytes()
    firsts = []
    for _ in range(3):
        headers = session(stage, token)
        for number in range(12):
            body = rpc("tools/call", {"name": "lists__big", "arguments": {"seconds": 0.4}}, number)
            lost = Reader(stage, token, headers, body)
            event = lost.next()
            assert event is not None
            firsts.append((headers, event[0]))
            lost.close()
    deadline = time.monotonic() + 60
    while (tmp_path / "calls").read_text().count("\n") < 36 or [each for each in stage.records() if each["type"] == "action.enacted"][35:] == []:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert memory_bytes() - before < 100 * 1024 * 1024, "36 answers of 3 MiB are kept"
    headers, last = firsts[-1]
    assert [message["id"] for _, message in Reader(stage, token, headers, **{"Last-Event-ID": str(last)}).rest() if message] == [11]


def test_no_client_chooses_the_name_of_its_session_or_of_an_event(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token, foreign = stage.token(), stage.token("other")
    chosen = {"Mcp-Session-Id": "chosen-by-an-attacker", "Last-Event-ID": "1.1"}
    greeting = {"protocolVersion": "2025-11-25", "capabilities": {}}
    _, headers, _ = post(stage, token, rpc("initialize", greeting), **chosen)
    given = headers["Mcp-Session-Id"]
    assert given != chosen["Mcp-Session-Id"] and len(given) >= 43
    assert post(stage, token, rpc("ping"), **chosen)[0] == 404 and post(stage, foreign, rpc("ping"), **{"Mcp-Session-Id": given})[0] == 404
    mine = {"Mcp-Session-Id": given}
    assert post(stage, foreign, rpc("initialize", greeting), **mine)[1]["Mcp-Session-Id"] != given
    assert post(stage, token, rpc("ping"), **mine)[2]["result"] == {}


def test_a_flood_of_sessions_and_streams_leaves_room_for_others(start: Any, tmp_path: Path) -> None:
    stage = start(connector("notes", root=tmp_path), rules=RULES)
    token, other = stage.token(), stage.token("other")
    mine = session(stage, other)
    first = session(stage, token)
    for _ in range(70):
        last = session(stage, token)
    assert post(stage, token, rpc("ping"), **first)[0] == 404 and post(stage, token, rpc("ping"), **last)[2]["result"] == {}
    readers = [Reader(stage, token, last, call("slow", number, "1.5")) for number in range(40)]
    try:
        assert post(stage, other, rpc("ping"), **mine)[2]["result"] == {}
        assert len({each.status for each in readers}) == 1
    finally:
        for each in readers:
            each.close()
    again = [Reader(stage, token, last, **{"Last-Event-ID": f"{number}.0"}).status for number in range(1, 45)]
    assert set(again) <= {200, 400} and post(stage, other, rpc("ping"), **mine)[2]["result"] == {}
