"""Servers that die, hang or lie: the call fails with words, the record says what is known, and the others go on."""

from __future__ import annotations

import time
from typing import Any

import pytest
from gateway_stage import call, connector, modern

LIES = {
    "wrong-id": "did not answer",
    "silent": "did not answer",
    "dies": "gone",
    "huge": "more than 4194304",
    "flood": "gone",
    "wrong-type": "not an object",
    "bad-content": "not a list of blocks",
    "duplicate-keys": "the same key twice",
}


@pytest.mark.parametrize("mode", LIES)
def test_a_lying_server_harms_nobody_else(start: Any, tmp_path: Any, mode: str) -> None:
    stage = start(
        connector("liar", mode, root=tmp_path, timeout_ms=1_000), connector("notes", root=tmp_path, timeout_ms=1_000)
    )
    token = stage.token()
    result = call(stage, token, "liar__echo", text="x")
    assert result["isError"] is True and LIES[mode] in result["content"][0]["text"]
    assert not call(stage, token, "notes__echo", text="y").get("isError")
    ended = [each for each in stage.records() if each["type"] == "action.enacted"]
    assert len(ended) == 2 and ended[0]["effect"] in ("unknown", "done")


@pytest.mark.parametrize("mode", ["garbage", "twice"])
def test_noise_around_an_answer_does_not_change_it(start: Any, tmp_path: Any, mode: str) -> None:
    stage = start(connector("noisy", mode, root=tmp_path))
    token = stage.token()
    for text in ("one", "two"):
        assert call(stage, token, "noisy__echo", text=text)["content"][0]["text"] == f"echo: {text}"


def test_a_result_that_is_not_what_its_tool_promises_is_withheld(start: Any, tmp_path: Any) -> None:
    stage = start(connector("liar", "lying-result", root=tmp_path), connector("notes", root=tmp_path))
    token = stage.token()
    result = call(stage, token, "liar__sum", text="x")
    assert result["isError"] and "output schema" in result["content"][0]["text"]
    assert call(stage, token, "notes__sum", text="x")["structuredContent"] == {"n": 3}
    assert [each.get("withheld") is not None for each in stage.records() if each["type"] == "action.enacted"] == [True, False]


def test_a_dead_and_a_hanging_server_leave_the_list_of_the_others(start: Any, tmp_path: Any) -> None:
    stage = start(
        connector("dead", "dead", root=tmp_path),
        connector("hangs", "list-hangs", root=tmp_path, start_timeout_ms=1_000),
        connector("notes", root=tmp_path),
    )
    _, answer = modern(stage, stage.token(), "tools/list")
    result = answer[-1]["result"] if isinstance(answer, list) else answer["result"]
    assert {each["name"].partition("__")[0] for each in result["tools"]} == {"notes"}
    assert {each["connector"] for each in result["_meta"]["interlock/unavailable"]} == {"dead", "hangs"}


def test_a_dead_server_is_left_alone_for_a_while(start: Any, tmp_path: Any) -> None:
    stage = start(connector("dead", "dead", root=tmp_path))
    token = stage.token()
    answers = [modern(stage, token, "tools/call", {"name": "dead__echo", "arguments": {"text": "x"}})[1] for _ in range(5)]
    assert all(answer["result"]["isError"] and answer["result"]["_meta"]["interlock/effect"] == "not sent" for answer in answers)
    assert "tried again" in answers[-1]["result"]["content"][0]["text"] and stage.launcher.started == ["dead"] * 3


def test_a_server_that_died_is_started_again(start: Any, tmp_path: Any) -> None:
    stage = start(connector("frail", "dies", root=tmp_path))
    token = stage.token()
    assert call(stage, token, "frail__echo", text="1")["isError"]
    assert call(stage, token, "frail__echo", text="2")["isError"]
    assert stage.launcher.started == ["frail", "frail"] and len(stage.effects) == 2


def test_a_slow_call_does_not_hold_up_another_connector(start: Any, tmp_path: Any) -> None:
    import threading

    stage = start(connector("slow", root=tmp_path), connector("notes", root=tmp_path))
    token = stage.token()
    call(stage, token, "notes__echo", text="warm")
    held = threading.Thread(target=call, args=(stage, token, "slow__slow"), kwargs={"text": "1.5"})
    held.start()
    time.sleep(0.3)
    began = time.monotonic()
    assert not call(stage, token, "notes__echo", text="y").get("isError")
    assert time.monotonic() - began < 0.8
    held.join()


def test_server_words_do_not_reach_the_agent_in_our_name(start: Any, tmp_path: Any) -> None:
    stage = start(connector("frail", "dies", root=tmp_path))
    assert "Traceback" not in call(stage, stage.token(), "frail__echo", text="1")["content"][0]["text"]
