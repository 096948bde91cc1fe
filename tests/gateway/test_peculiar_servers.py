"""Servers that are slow, noisy, shy or forgetful work behind `interlock gateway`, and what they answer arrives as it is or
fails at once with true words. One gateway for all of them, started by its command, its servers held by the host plane."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from command_stage import CommandStage
from forgetful import LOST, Forgetful
from gateway_stage import META, call, modern, post
from test_legacy import session

from interlock.host.executable import find_supervisor
from interlock.vocabulary.errors import InterlockError

try:
    find_supervisor()
except InterlockError as missing:
    pytest.skip(f"needs the supervisor executable: {missing}", allow_module_level=True)

#: Seconds that slow servers take to start: more than a probe waits for its answer, less than a caller is held.
SLOW = {"slow-a": 4, "slow-b": 7}
AT_ONCE_S = 8.0
CARRIERS = ("plain", "json", "events")


class Stage(CommandStage):
    """With the servers of this file."""

    def __init__(self, web: Forgetful) -> None:
        super().__init__()
        self.web = web
        self.add_stdio("good", "peculiar.py", "none")
        self.add_stdio("plain", "peculiar.py", "none")
        for habit in ("banner", "shy", "deaf-to-levels"):
            self.add_stdio(habit, "peculiar.py", habit)
        for name, seconds in SLOW.items():
            self.add_stdio(name, "peculiar.py", "slow", str(seconds))
        for path in ("json", "events"):
            self.add_http(path, f"{web.url}/{path}")
        for manner in LOST:
            self.add_http(f"lost-{manner}", f"{web.url}/{manner}")
        self.serve()

    def starts(self, name: str) -> int:
        file = self.folder(name) / "starts"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def listed(self, name: str) -> list[str]:
        _, answer = modern(self, self.token, "tools/list", path=f"/mcp/{name}")
        answer = answer[-1] if isinstance(answer, list) else answer
        return [each["name"] for each in answer["result"]["tools"]]

    def good_works(self) -> None:
        began = time.monotonic()
        assert "echo" in self.listed("good")
        assert call(self, self.token, "good__echo")["content"][0]["text"] == "hello"
        assert time.monotonic() - began < 3


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    web = Forgetful()
    stage = Stage(web)
    yield stage
    stage.close()
    web.shutdown()


def raw_call(stage: Stage, name: str) -> bytes:
    """The bytes that answer a call: a parser of numbers would change them here."""
    params = {"name": name, "arguments": {}, "_meta": META}
    headers = {
        "Authorization": f"Bearer {stage.token}", "Content-Type": "application/json", "Mcp-Name": name,
        "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call",
    }  # fmt: skip
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{stage.url}/mcp", body, headers), timeout=30) as response:
        return bytes(response.read())


def test_a_server_that_is_slow_to_start_is_waited_for_and_holds_up_nobody(stage: Stage) -> None:
    stage.good_works()
    with ThreadPoolExecutor() as pool:
        calls = {name: pool.submit(call, stage, stage.token, f"{name}__echo") for name in SLOW}
        rounds = 0
        while not all(each.done() for each in calls.values()):
            stage.good_works()
            rounds += 1
            time.sleep(0.2)
        assert rounds > 1, "nobody was slow"
        for name, each in calls.items():
            assert each.result()["content"][0]["text"] == "hello"
            assert "echo" in stage.listed(name) and stage.starts(name) == 1


def test_a_banner_before_the_protocol_is_passed_over_and_told_the_operator(stage: Stage) -> None:
    assert "echo" in stage.listed("banner")
    assert call(stage, stage.token, "banner__echo")["content"][0]["text"] == "hello"
    assert stage.starts("banner") == 1
    deadline = time.monotonic() + 10
    while "Peculiar Server 2.1" not in (said := stage.run("connector", "list")):
        assert time.monotonic() < deadline, said
        time.sleep(0.2)
    assert "lines of its output are no messages" in said
    stage.good_works()


def test_a_server_that_ends_over_the_newer_greeting_is_started_afresh_in_the_older_way(stage: Stage) -> None:
    assert "echo" in stage.listed("shy")
    assert call(stage, stage.token, "shy__echo")["content"][0]["text"] == "hello"
    assert stage.starts("shy") == 2, "it was probed more than once, or not at all"
    stage.good_works()


@pytest.mark.parametrize("manner", LOST)
def test_a_session_that_a_server_forgot_is_begun_again_once_and_no_call_done_twice(stage: Stage, manner: str) -> None:
    web, name = stage.web, f"lost-{manner}__echo"
    assert call(stage, stage.token, name)["content"][0]["text"] == "hello"
    web.forget(manner)
    found = call(stage, stage.token, name)
    if manner.startswith("404"):  # the protocol's own word for it: the server did not work on the call
        assert found["content"][0]["text"] == "hello" and web.done[manner] == 2
    else:
        assert found["isError"] and found["_meta"]["interlock/effect"] == "unknown"
        assert web.done[manner] == (2 if manner == "400-when-done" else 1)
    before = web.done[manner]
    assert call(stage, stage.token, name)["content"][0]["text"] == "hello"
    assert web.done[manner] == before + 1 and web.begun[manner] == 2
    stage.good_works()


def test_an_error_with_the_status_of_a_lost_session_is_an_error_and_the_session_goes_on(stage: Stage) -> None:
    begun = max(stage.web.begun["json"], 1)
    call(stage, stage.token, "json__echo")
    _, answer = modern(stage, stage.token, "tools/call", {"name": "json__refuses", "arguments": {}})
    assert "“not this”" in answer["error"]["message"] and answer["error"]["data"]["interlock/effect"] == "unknown"
    assert call(stage, stage.token, "json__echo")["content"][0]["text"] == "hello" and stage.web.begun["json"] == begun


def test_calls_that_find_the_session_lost_at_the_same_time_begin_one_new_session(stage: Stage) -> None:
    web, manner = stage.web, "404"
    call(stage, stage.token, f"lost-{manner}__echo")
    begun, done = web.begun[manner], web.done[manner]
    web.forget(manner)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: call(stage, stage.token, f"lost-{manner}__echo"), range(4)))
    succeeded = [each for each in found if not each.get("isError")]
    assert succeeded and web.begun[manner] == begun + 1 and web.done[manner] - done <= 4
    assert all(each["_meta"]["interlock/effect"] in ("unknown", "not sent") for each in found if each.get("isError"))


def test_a_level_for_log_messages_waits_for_no_server_that_does_not_take_it(stage: Stage) -> None:
    level = {"jsonrpc": "2.0", "id": 2, "method": "logging/setLevel", "params": {"level": "error"}}
    alone = session(stage, stage.token, "/mcp/deaf-to-levels")
    began = time.monotonic()
    _, _, answer = post(stage, stage.token, level, "/mcp/deaf-to-levels", **alone)
    assert time.monotonic() - began < AT_ONCE_S
    assert "`deaf-to-levels`: the server did not answer within 3 s" in last(answer)["error"]["message"]
    together = session(stage, stage.token)
    _, _, answer = post(stage, stage.token, level, **together)
    told = last(answer)["result"]["_meta"]["interlock/unavailable"]
    assert [each["connector"] for each in told] == ["deaf-to-levels"] and "did not answer" in told[0]["reason"]
    call(stage, stage.token, "plain__echo")
    os.kill(int((stage.folder("plain") / "starts").read_text().split()[-1]), signal.SIGKILL)
    alone = session(stage, stage.token, "/mcp/plain")
    began = time.monotonic()
    _, _, answer = post(stage, stage.token, level, "/mcp/plain", **alone)
    assert time.monotonic() - began < AT_ONCE_S
    # Its end may be noticed before the level is sent, and it is started again, or by the sending.
    said = last(answer)
    assert said.get("result") == {} or "the level was not taken by `plain`" in said["error"]["message"], said
    stage.good_works()


def last(answer: Any) -> Any:
    return answer[-1] if isinstance(answer, list) else answer


@pytest.mark.parametrize("carrier", CARRIERS)
def test_numbers_and_a_large_text_arrive_as_the_server_wrote_them(stage: Stage, carrier: str) -> None:
    numbers = b"[9223372036854775808,-18446744073709551617,123456789012345678901234567890,1.10,1e400,0.1000000000000000055]"
    assert numbers in raw_call(stage, f"{carrier}__exact")
    assert b"y" * ((4 << 20) - 4_096) in raw_call(stage, f"{carrier}__nearly")


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize(
    ("tool", "words"), [("large", "more than 4194304"), ("cut", "cannot be read"), ("not-a-number", "cannot be read")]
)
def test_what_cannot_be_passed_on_fails_at_once_and_says_why(stage: Stage, carrier: str, tool: str, words: str) -> None:
    call(stage, stage.token, f"{carrier}__echo")
    before, began = stage.starts("plain"), time.monotonic()
    found = call(stage, stage.token, f"{carrier}__{tool}")
    assert time.monotonic() - began < AT_ONCE_S
    assert found["isError"] and words in found["content"][0]["text"] and found["_meta"]["interlock/effect"] == "unknown"
    assert call(stage, stage.token, f"{carrier}__echo")["content"][0]["text"] == "hello"
    assert carrier != "plain" or stage.starts("plain") == before, "the server was ended for one answer"
    stage.good_works()
