"""A broken server is nobody else's trouble: beside each kind, and beside all of them at once, a good server's tools stay
listed and callable; the operator can see why; and a server that is mended works again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import SERVERS, call, connector, modern, post, rule
from servers.broken import HTTP, STDIO

from interlock.connectors.configuration import Connector, Http, Stdio

RULES = (rule("all", "allow", "tool.call", tool=["*"]),)
LIMITS = {"timeout_ms": 2_000, "start_timeout_ms": 2_000}
#: Of those that would only be waited for: they never give an answer, however long they have.
SILENT = {"hangs", "flood", "endless-headers", "deaf"}
LIMITS_OF_SILENT = {"timeout_ms": 600, "start_timeout_ms": 600}
#: Their list is one, only of no tool that can be used.
LISTED_ALL_THE_SAME = {"names-no-text", "schema-number"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The broken servers over HTTP, all in one process: its port, and the file that mends every kind."""
    mended = tmp_path_factory.mktemp("broken") / "mended"
    process = subprocess.Popen([sys.executable, str(SERVERS / "broken.py"), "web", str(mended)], stdout=-1, text=True)
    assert process.stdout is not None
    yield int(process.stdout.readline()), mended
    process.kill()
    process.wait()


@pytest.fixture
def mended(web: tuple[int, Path]) -> Iterator[Path]:
    """Not there: a test makes it, and it is gone after that test."""
    yield web[1]
    web[1].unlink(missing_ok=True)


@pytest.fixture
def broken(web: tuple[int, Path], mended: Path) -> Any:
    def make(kind: str, name: str = "broken") -> Connector:
        limits = LIMITS_OF_SILENT if kind in SILENT else LIMITS
        if kind in HTTP:
            return Connector(name, Http(f"http://127.0.0.1:{web[0]}/{kind}"), **limits)  # type: ignore[arg-type]
        command = (sys.executable, str(SERVERS / "broken.py"), kind, str(mended))
        return Connector(name, Stdio(command), **limits)  # type: ignore[arg-type]

    return make


def asked(stage: Any, token: str) -> tuple[int, Any]:
    """A call of the broken server: status, and the last message, whether it came at once or at the end of a stream."""
    status, answer = modern(stage, token, "tools/call", {"name": "broken__echo", "arguments": {}})
    return status, answer[-1] if isinstance(answer, list) else answer


def good_works(stage: Any, token: str, within_s: float) -> Any:
    """The list, with the good server's tools in it, and a call of one of them; each within a limit."""
    began = time.monotonic()
    status, answer = modern(stage, token, "tools/list")
    result = (answer[-1] if isinstance(answer, list) else answer)["result"]
    assert status == 200 and "notes__echo" in [each["name"] for each in result["tools"]]
    assert not call(stage, token, "notes__echo", text="x").get("isError")
    assert time.monotonic() - began < within_s
    with urllib.request.urlopen(f"{stage.url}/healthz", timeout=5) as response:
        assert response.status == 200
    return result


@pytest.mark.parametrize("kind", [*HTTP, *STDIO])
def test_a_good_server_beside_a_broken_one(start: Any, broken: Any, tmp_path: Path, kind: str) -> None:
    stage = start(broken(kind), connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    for _ in range(2):
        result = good_works(stage, token, 25)
    status, answer = asked(stage, token)
    said = answer.get("error") or answer["result"]
    assert status == 200 and ("interlock/effect" in json.dumps(said) or said["code"] == -32602), said
    good_works(stage, token, 25)
    unavailable = [each["connector"] for each in result.get("_meta", {}).get("interlock/unavailable", [])]
    assert unavailable == ([] if kind in LISTED_ALL_THE_SAME else ["broken"])


def test_a_good_server_beside_all_of_them_at_once(start: Any, broken: Any, tmp_path: Path) -> None:
    kinds = [*HTTP, *STDIO]
    stage = start(*(broken(kind, f"b{at}") for at, kind in enumerate(kinds)), connector("notes", root=tmp_path), rules=RULES)
    token = stage.token()
    for _ in range(3):
        good_works(stage, token, 40)
    initialize = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    status, _, _ = post(stage, token, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize})
    assert status == 200, "an older client cannot begin"


@pytest.mark.parametrize("kind", ["empty", "tools-no-list", "exits", "traceback", "closes-input"])
def test_a_mended_server_works_again(start: Any, broken: Any, mended: Path, kind: str) -> None:
    stage = start(broken(kind), rules=RULES)
    token = stage.token()
    words = ""
    for _ in range(5):
        _, answer = asked(stage, token)
        words = answer["result"]["content"][0]["text"]
    assert "tried again in" in words, "the breaker did not open"
    mended.touch()
    deadline = time.monotonic() + 20
    while "content" not in answer.get("result", {}) or answer["result"].get("isError"):
        assert time.monotonic() < deadline, answer
        time.sleep(0.3)
        _, answer = asked(stage, token)
    assert answer["result"]["content"][0]["text"] == "whole"
