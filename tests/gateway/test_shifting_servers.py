"""Servers over HTTP that lead on, end streams early or speak only the oldest transport are reached, and the credential goes to no other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from gateway_stage import call, modern, rule
from shifting import Shifting

from interlock.connectors.configuration import Connector, Http

RULES = (rule("all", "allow", "tool.call", tool=["*"]),)
SECRET = "Bearer upstream-secret"


@pytest.fixture
def server() -> Iterator[Shifting]:
    server, elsewhere = Shifting(), Shifting()
    server.elsewhere = elsewhere.url
    yield server
    assert elsewhere.posted == [], "the credential went to another server"
    for each in (server, elsewhere):
        each.shutdown()
        each.server_close()


def at(server: Shifting, path: str) -> Connector:
    return Connector("up", Http(server.url + path, {"Authorization": SECRET}), timeout_ms=6_000, start_timeout_ms=6_000)


@pytest.mark.parametrize("path", ["/here", "/relative", "/mcp"])
def test_a_redirect_within_the_server_is_followed_and_the_call_made_once(start: Any, server: Shifting, path: str) -> None:
    stage = start(at(server, path), rules=RULES)
    assert call(stage, stage.token(), "up__echo", text="hi")["content"][0]["text"] == "hi"
    assert server.calls == ["hi"] and {credential for _, credential in server.posted} == {SECRET}
    assert [each for each, _ in server.posted].count(path) == 1, "each request is led on anew"


@pytest.mark.parametrize("path", ["/away", "/name", "/round", "/seen-other"])
def test_any_other_redirect_is_refused_and_told(start: Any, server: Shifting, path: str) -> None:
    stage = start(at(server, path), rules=RULES)
    _, answer = modern(stage, stage.token(), "tools/list")
    (missing,) = answer["result"]["_meta"]["interlock/unavailable"]
    assert "redirect" in missing["reason"]
    assert not server.calls and len([each for each, _ in server.posted if each == path]) <= 12


def test_an_answer_whose_stream_was_ended_is_come_back_for(start: Any, server: Shifting) -> None:
    stage = start(at(server, "/ending"), rules=RULES)
    assert call(stage, stage.token(), "up__echo", text="late")["content"][0]["text"] == "late"
    assert server.calls == ["late"] and [each for each in server.came_back if each] == ["e1", "e2"]


def test_a_server_of_the_oldest_transport_is_listed_and_called(start: Any, server: Shifting) -> None:
    stage = start(at(server, "/sse"), rules=RULES)
    token = stage.token()
    assert [call(stage, token, "up__echo", text=text)["content"][0]["text"] for text in ("one", "two")] == ["one", "two"]
    assert server.calls == ["one", "two"] and ("/post", SECRET) in server.posted
    assert len(server.streams) == 1


@pytest.mark.parametrize("text", ["refuse", "end"])
def test_what_breaks_there_is_told_as_unknown_and_the_server_reached_anew(start: Any, server: Shifting, text: str) -> None:
    stage = start(at(server, "/sse"), rules=RULES)
    token = stage.token()
    failed = call(stage, token, "up__echo", text=text)
    assert failed["isError"] and failed["_meta"]["interlock/effect"] == "unknown"
    assert call(stage, token, "up__echo", text="again")["content"][0]["text"] == "again"
    assert server.calls == ["again"] and len(server.streams) == 2


@pytest.mark.parametrize(("path", "words"), [("/sse-elsewhere", "another server"), ("/sse-silent", "where to post")])
def test_a_stream_that_leads_elsewhere_or_nowhere_is_refused(start: Any, server: Shifting, path: str, words: str) -> None:
    stage = start(at(server, path), rules=RULES)
    _, answer = modern(stage, stage.token(), "tools/list")
    (missing,) = answer["result"]["_meta"]["interlock/unavailable"]
    assert words in missing["reason"]
