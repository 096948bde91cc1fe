"""What a modern server says has changed is asked for and reaches clients of both eras, each by its own subscription, over both carriers."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import META, call, modern
from servers.tasks import Tasks
from test_legacy import session
from test_list_forms import GOOD, lists
from test_resumable import RULES, Reader

from interlock.connectors.configuration import Connector, Http

CHANGED = "notifications/tools/list_changed"


@pytest.fixture
def server() -> Iterator[Tasks]:
    server = Tasks()
    yield server
    for _, waiting in server.listening:
        waiting.put(None)
    server.shutdown()
    server.server_close()


class Listener:
    """A modern client that listens."""

    def __init__(self, stage: Any, token: str, identity: Any, **wanted: Any) -> None:
        method = "subscriptions/listen"
        body = {"jsonrpc": "2.0", "id": identity, "method": method, "params": {"_meta": META, "notifications": wanted}}
        headers = {
            "Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method,
        }  # fmt: skip
        self.connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=15)
        self.connection.request("POST", "/mcp", json.dumps(body), headers)
        self.response = self.connection.getresponse()

    def next(self) -> dict[str, Any]:
        while line := self.response.readline():
            if line.startswith(b"data: "):
                return dict(json.loads(line[6:]))
        raise AssertionError("the stream ended")

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def heard(stage: Any, token: str, change: Any) -> None:
    """A listener hears a change under its own subscription and no other; an older client hears it on its stream."""
    assert modern(stage, token, "server/discover")[1]["result"]["capabilities"]["tools"] == {"listChanged": True}
    listener, deaf = Listener(stage, token, "mine", toolsListChanged=True), Listener(stage, token, 2, promptsListChanged=True)
    older = Reader(stage, token, session(stage, token))
    assert older.next() is not None
    assert listener.next()["params"]["notifications"] == {"toolsListChanged": True} and deaf.next()
    change()
    told = listener.next()
    assert told["method"] == CHANGED and told["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": "mine"}
    event = older.next()
    assert event is not None and event[1]["method"] == CHANGED and not event[1]["params"].get("_meta")
    for each in (listener, deaf, older):
        each.close()


def test_over_stdio(start: Any, tmp_path: Path) -> None:
    stage = start(lists(tmp_path, modern=True, tools=[{"name": "change", "inputSchema": GOOD}]), rules=RULES)
    token = stage.token()
    heard(stage, token, lambda: call(stage, token, "lists__change"))
    assert not call(stage, token, "lists__change").get("isError")  # its answers and subscriptions are not taken for one another


def test_over_http_and_again_after_the_stream_was_lost(start: Any, server: Tasks) -> None:
    stage = start(Connector("up", Http(server.url)), rules=RULES)
    token = stage.token()
    modern(stage, token, "tools/list")
    heard(stage, token, server.changed)
    server.listening.pop()[1].put(None)  # it is lost
    deadline = time.monotonic() + 15
    while not server.listening:
        assert time.monotonic() < deadline, "nobody listens any more"
        time.sleep(0.1)
    heard(stage, token, server.changed)
