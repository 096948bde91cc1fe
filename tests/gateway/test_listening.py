"""What a client of 2026-07-28 is told that it will hear of resources, it hears: their server is asked to tell, as long as anybody listens."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway_stage import META, SERVERS, call, post, rule
from test_legacy import rpc, session

from interlock.connectors.configuration import Connector, Stdio

RULES = (
    rule("all", "allow", "tool.call", "resource.read"),
    rule("not-c", "deny", "resource.read", tool=["file:///c"]),
)


def telling(root: Path, *arguments: str) -> Connector:
    server = Stdio((sys.executable, str(SERVERS / "telling.py"), *arguments), {"SEEN": str(root / "seen")})
    return Connector(name="up", server=server, timeout_ms=5_000, start_timeout_ms=8_000)


class Listener:
    """One `subscriptions/listen` of a client."""

    def __init__(self, stage: Any, token: str, *uris: str) -> None:
        wanted = {"resourceSubscriptions": list(uris), "toolsListChanged": True}
        body = {"jsonrpc": "2.0", "id": 9, "method": "subscriptions/listen", "params": {"_meta": META, "notifications": wanted}}
        headers = {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}",
            "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen",
        }  # fmt: skip
        self.heard: list[Any] = []
        self._stream = urllib.request.urlopen(urllib.request.Request(stage.url + "/mcp", json.dumps(body).encode(), headers), timeout=60)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for line in self._stream:
                if line.startswith(b"data: {"):
                    self.heard.append(json.loads(line[6:]))

    def close(self) -> None:
        self._stream.fp.raw._sock.shutdown(2)

    @property
    def granted(self) -> Any:
        until(lambda: bool(self.heard))
        return self.heard[0]["params"]["notifications"]

    @property
    def updates(self) -> list[str]:
        return [each["params"]["uri"] for each in self.heard if each["method"] == "notifications/resources/updated"]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_acknowledged_is_heard_and_nothing_else_is_acknowledged(start: Any, tmp_path: Path) -> None:
    stage = start(telling(tmp_path), rules=RULES)
    token = stage.token()
    names = [f"up+file:///{name}" for name in "abc"]
    listener = Listener(stage, token, *names, "nobody+file:///a")
    assert listener.granted == {"toolsListChanged": True, "resourceSubscriptions": names[:1]}  # b its server refuses, c policy
    assert call(stage, token, "up__touch", uri="file:///a")["content"][0]["text"] == "touched"
    until(lambda: bool(listener.updates))
    assert listener.updates == names[:1] and listener.heard[-1]["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == 9
    decided = {each["action"]["target"]["tool"]: each["decision"]["decision"] for each in stage.decided("resource.read")}
    assert decided == {"file:///a": "allow", "file:///b": "allow", "file:///c": "deny"}
    assert [each["uri"] for each in stage.seen("resources/subscribe")] == ["file:///a", "file:///b"]


def test_a_server_that_tells_of_no_resource_is_not_asked_and_nothing_acknowledged(start: Any, tmp_path: Path) -> None:
    stage = start(telling(tmp_path, "mute"), rules=RULES)
    assert Listener(stage, stage.token(), "up+file:///a").granted == {"toolsListChanged": True}
    assert stage.seen("resources/subscribe") == []


def test_a_server_tells_as_long_as_a_client_of_the_agent_listens(start: Any, tmp_path: Path) -> None:
    stage = start(telling(tmp_path), rules=RULES)
    token, uri = stage.token(), "up+file:///a"
    first, second = Listener(stage, token, uri), Listener(stage, token, uri)
    headers = session(stage, token)
    assert first.granted == second.granted and "result" in str(post(stage, token, rpc("resources/subscribe", {"uri": uri}), **headers)[2])
    first.close()
    post(stage, token, rpc("resources/unsubscribe", {"uri": uri}), **headers)
    time.sleep(0.5)
    assert stage.seen("resources/unsubscribe") == []
    call(stage, token, "up__touch", uri="file:///a")
    until(lambda: bool(second.updates))
    second.close()
    until(lambda: bool(stage.seen("resources/unsubscribe")))
    assert call(stage, token, "up__touch", uri="file:///a")["content"][0]["text"] == "nobody asked"


def test_another_agent_hears_nothing_of_it(start: Any, tmp_path: Path) -> None:
    stage = start(telling(tmp_path), rules=RULES)
    token = stage.token()
    mine, other = Listener(stage, token, "up+file:///a"), Listener(stage, stage.token("other"), "up+file:///a")
    assert mine.granted and other.granted
    call(stage, token, "up__touch", uri="file:///a")
    until(lambda: bool(mine.updates))
    assert other.updates == []
