"""What was asked to be told is told on when a stream was lost, when a server was started or reached anew, and when the server is of the newer era;
and who listens is told what may have changed while nobody heard it."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import META, call, modern, post, rule
from servers.tasks import EXTENSION, Tasks
from test_announced import Listener as Stream
from test_legacy import rpc, session
from test_listening import Listener, telling, until
from test_tasks import CLAIMS, ask, created

from interlock.connectors import http_streams, link
from interlock.connectors.configuration import Connector, Http

RULES = (rule("all", "allow", "tool.call", "tool.list", "resource.read"), rule("not-c", "deny", "resource.read", tool=["file:///c"]))
URI = "up+file:///a"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_streams, "PAUSE_S", 0.1)
    monkeypatch.setattr(link, "AGAIN_S", 0.1)


@pytest.fixture
def server() -> Iterator[Tasks]:
    server = Tasks(resources=("file:///a", "file:///c"))
    yield server
    for _, waiting in server.listening:
        waiting.put(None)
    server.shutdown()
    server.server_close()


def test_a_server_that_ended_is_started_again_and_asked_again_while_somebody_listens(start: Any, tmp_path: Path) -> None:
    stage = start(telling(tmp_path), rules=RULES)
    token = stage.token()
    listener, headers = Listener(stage, token, URI), session(stage, token)
    assert listener.granted["resourceSubscriptions"] == [URI]
    assert "result" in post(stage, token, rpc("resources/subscribe", {"uri": URI}), **headers)[2]
    call(stage, token, "up__touch", uri="exit")
    until(lambda: len(stage.seen("resources/subscribe")) >= 3)  # by two clients, and by nobody but the gateway
    until(lambda: bool(listener.updates))  # it may have changed while nobody looked
    heard = len(listener.updates)
    assert call(stage, token, "up__touch", uri="file:///a")["content"][0]["text"] == "touched"
    until(lambda: len(listener.updates) > heard)


def test_a_server_that_ended_when_nobody_listens_any_more_is_left_alone(start: Any, tmp_path: Path) -> None:
    stage = start(telling(tmp_path), rules=RULES)
    token = stage.token()
    listener = Listener(stage, token, URI)
    assert listener.granted
    listener.close()
    until(lambda: bool(stage.seen("resources/unsubscribe")))
    call(stage, token, "up__touch", uri="exit")
    time.sleep(1)
    assert len(stage.seen("initialize")) == 1 and len(stage.seen("resources/subscribe")) == 1


def test_a_modern_server_tells_of_the_resources_that_clients_of_both_eras_ask_for(start: Any, server: Tasks) -> None:
    stage = start(Connector("up", Http(server.url)), rules=RULES)
    token = stage.token()
    names = [f"up+file:///{name}" for name in "abc"]
    listener = Listener(stage, token, *names)
    assert listener.granted == {"toolsListChanged": True, "resourceSubscriptions": names[:1]}  # b the server has not, c policy refuses
    decided = {each["action"]["target"]["tool"]: each["decision"]["decision"] for each in stage.decided("resource.read")}
    assert decided == {"file:///a": "allow", "file:///b": "allow", "file:///c": "deny"}
    server.updated("file:///a")
    until(lambda: listener.updates == names[:1])
    headers = session(stage, token)
    assert "result" in post(stage, token, rpc("resources/subscribe", {"uri": URI}), **headers)[2]
    assert "error" in post(stage, token, rpc("resources/subscribe", {"uri": names[1]}), **headers)[2]
    listener.close()
    time.sleep(0.5)
    server.updated("file:///a")
    assert "file:///a" in str(server.wanted[max(server.wanted)])  # another client of the agent listens
    post(stage, token, rpc("resources/unsubscribe", {"uri": URI}), **headers)
    until(lambda: "file:///a" not in str(server.wanted[max(server.wanted)]))


def test_a_modern_stream_that_was_lost_is_opened_again_with_all_that_was_asked(start: Any, server: Tasks) -> None:
    stage = start(Connector("up", Http(server.url)), rules=RULES)
    listener = Listener(stage, stage.token(), URI)
    assert listener.granted["resourceSubscriptions"] == [URI]
    streams = len(server.listening)
    server.listening[-1][1].put(None)
    until(lambda: len(server.listening) > streams)
    until(lambda: bool(listener.updates))
    heard = len(listener.updates)
    server.updated("file:///a")
    until(lambda: len(listener.updates) > heard)


def test_how_a_task_stands_is_told_under_its_own_handle_as_policy_lets_it(start: Any, server: Tasks) -> None:
    up = Connector("up", Http(server.url), client_requests=("elicitation",))
    stage = start(up, rules=RULES)
    token, other = stage.token(), stage.token("other")
    task = created(stage, token, "slow_compute", seconds=1)
    meta = {**META, "io.modelcontextprotocol/clientCapabilities": CLAIMS}

    class Following(Stream):
        def __init__(self, who: str, tasks: list[str]) -> None:
            import http.client

            body = {"jsonrpc": "2.0", "id": 5, "method": "subscriptions/listen", "params": {"_meta": meta, "notifications": {"taskIds": tasks}}}
            headers = {
                "Authorization": f"Bearer {who}", "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen",
            }  # fmt: skip
            self.connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=15)
            self.connection.request("POST", "/mcp", json.dumps(body), headers)
            self.response = self.connection.getresponse()

    [own] = server.tasks
    mine, theirs = Following(token, [task, own, "made-up"]), Following(other, [task])
    assert mine.next()["params"]["notifications"] == {"taskIds": [task]}  # no id of the server's, nobody else's handle
    assert theirs.next()["params"]["notifications"] == {}
    server.stands(own)
    said = mine.next()
    assert said["method"] == "notifications/tasks" and said["params"]["taskId"] == task and own not in json.dumps(said)
    assert said["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == 5
    time.sleep(1.2)
    server.stands(own)
    while (said := mine.next())["params"]["status"] != "completed":
        server.stands(own)
    assert said["params"]["result"]["content"][0]["text"] == "slow_compute is done"
    assert [each["status"] for each in stage.records() if each["type"] == "task.ended"]
    mine.close()
    until(lambda: "taskIds" not in str(server.wanted[max(server.wanted)]))
    assert ask(stage, token, "tasks/get", {"taskId": task}, "/mcp", claims={"extensions": {EXTENSION: {}}})["result"]["status"] == "completed"
    theirs.close()


class Sessions(ThreadingHTTPServer):
    """A server of 2025-11-25 whose session has a stream of its own. `lose` cuts it; `forget` forgets the session."""

    daemon_threads = True

    def __init__(self, *, ids: bool) -> None:
        super().__init__(("127.0.0.1", 0), Speaking)
        self.ids, self.known, self.made = ids, "", 0
        self.tools = ["one"]
        self.events: list[tuple[int, str]] = []
        self.gets: list[str | None] = []
        self.streams: list[queue.Queue[int | None]] = []
        self.subscribed: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def say(self, method: str, **params: Any) -> None:
        self.events.append((len(self.events) + 1, json.dumps({"jsonrpc": "2.0", "method": method, "params": params})))
        for stream in self.streams:
            stream.put(len(self.events))

    def lose(self) -> None:
        streams, self.streams = self.streams, []
        for stream in streams:
            stream.put(None)


class Speaking(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Sessions

    def log_message(self, *_: Any) -> None:
        pass

    def send(self, status: int, body: Any = None, **headers: str) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(text)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method, params = message["method"], message.get("params", {})
        if method == "initialize":
            self.server.made += 1
            self.server.known = f"s{self.server.made}"
            capabilities = {"tools": {"listChanged": True}, "resources": {"subscribe": True}}
            result: Any = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": {"name": "t", "version": "1"}}
            self.send(200, {"jsonrpc": "2.0", "id": message["id"], "result": result}, **{"Mcp-Session-Id": self.server.known})
            return
        if self.headers["Mcp-Session-Id"] != self.server.known:
            self.send(404)
            return
        if "id" not in message:
            self.send(202)
            return
        result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in self.server.tools]} if method == "tools/list" else {}
        if method == "resources/subscribe":
            self.server.subscribed.append(params["uri"])
        self.send(200, {"jsonrpc": "2.0", "id": message["id"], "result": result})

    def do_GET(self) -> None:
        last = self.headers["Last-Event-ID"]
        if self.headers["Mcp-Session-Id"] != self.server.known:
            self.send(404)
            return
        stream: queue.Queue[int | None] = queue.Queue()
        for number, _ in self.server.events[int(last) :] if last else []:
            stream.put(number)
        self.server.streams.append(stream)
        self.server.gets.append(last)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while (number := stream.get()) is not None:
            named = f"id: {number}\n" if self.server.ids else ""
            self.wfile.write(f"{named}data: {self.server.events[number - 1][1]}\n\n".encode())
            self.wfile.flush()


@pytest.fixture
def sessions(request: pytest.FixtureRequest) -> Iterator[Sessions]:
    server = Sessions(ids=request.param)
    yield server
    server.lose()
    server.shutdown()
    server.server_close()


def up(server: Sessions) -> Connector:
    return Connector("up", Http(f"http://127.0.0.1:{server.server_port}/mcp"), revision="legacy")


CHANGED = "notifications/tools/list_changed"


def changes(listener: Listener) -> int:
    return sum(each["method"] == CHANGED for each in listener.heard)


@pytest.mark.parametrize("sessions", [True], indirect=True)
def test_a_stream_whose_events_are_named_is_come_back_to_after_the_last_one(start: Any, sessions: Sessions) -> None:
    stage = start(up(sessions), rules=RULES)
    listener = Listener(stage, stage.token(), URI)
    assert listener.granted["resourceSubscriptions"] == [URI]
    until(lambda: bool(sessions.streams))
    sessions.say(CHANGED)
    until(lambda: changes(listener) == 1)
    sessions.lose()
    sessions.say(CHANGED)  # while nobody hears it
    until(lambda: changes(listener) == 2)
    assert sessions.gets == [None, "1"] and listener.updates == []


@pytest.mark.parametrize("sessions", [False], indirect=True)
def test_what_was_missed_on_a_stream_without_names_is_told_where_it_matters(start: Any, sessions: Sessions) -> None:
    stage = start(up(sessions), rules=RULES)
    token = stage.token()
    listener = Listener(stage, token, URI)
    assert listener.granted["resourceSubscriptions"] == [URI]
    until(lambda: bool(sessions.streams))
    assert "up__one" in json.dumps(modern(stage, token, "tools/list")[1])
    sessions.lose()
    until(lambda: listener.updates == [URI])
    assert changes(listener) == 0  # its list is the same one
    sessions.tools = ["one", "two"]
    sessions.lose()
    until(lambda: changes(listener) == 1)
    (held,) = modern(stage, token, "tools/list")[1]["result"]["_meta"]["interlock/held"]
    assert held["name"] == "two", "what was added waits for a person"


@pytest.mark.parametrize("sessions", [True, False], indirect=True)
def test_a_server_that_forgot_the_session_gets_another_and_is_asked_again(start: Any, sessions: Sessions) -> None:
    stage = start(up(sessions), rules=RULES)
    listener = Listener(stage, stage.token(), URI)
    assert listener.granted["resourceSubscriptions"] == [URI]
    until(lambda: bool(sessions.streams))
    sessions.known = "forgotten"
    sessions.lose()
    until(lambda: sessions.subscribed == ["file:///a", "file:///a"])
    until(lambda: bool(sessions.streams))
    heard = len(listener.updates)
    sessions.say("notifications/resources/updated", uri="file:///a")
    until(lambda: len(listener.updates) > heard)
    assert sessions.made == 2
