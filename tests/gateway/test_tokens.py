"""Tokens: expired, foreign, revoked, for another gateway, copied out of a session; attestations used once."""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
import time
from typing import Any

import pytest
from gateway_stage import META, connector, modern, post

from interlock.approvals.inbox import Inbox

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
HEADERS = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list", "Content-Type": "application/json", "Accept": "*/*"}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def attest(stage: Any, **message: Any) -> dict[str, Any]:
    """As a supervisor does."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(stage.root / "gateway.sock"))
        sock.sendall(json.dumps({"type": "attest", "address": "127.0.0.1", "process": os.getpid(), **message}).encode() + b"\n")
        return json.loads(sock.recv(4096))


#: include/uapi/asm-generic/socket.h.
SO_COOKIE = 57


def session_token(stage: Any, session: str) -> str:
    stage.token()
    return stage.registry().issue_session("coder", audience=stage.url, session=session, ttl_ms=60_000, now_ms=now_ms())


def attested(stage: Any, session: str) -> http.client.HTTPConnection:
    """A connection whose socket the supervisor of `session` vouches for, before the first byte."""
    connection = http.client.HTTPConnection("127.0.0.1", stage.port)
    connection.connect()
    assert attest_socket(stage, connection.sock, session) == {"ok": True}
    return connection


def attest_socket(stage: Any, sock: socket.socket, session: str) -> dict[str, Any]:
    [cookie] = struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))
    return attest(stage, session=session, port=sock.getsockname()[1], cookie=cookie)


def ask(connection: http.client.HTTPConnection, token: str) -> int:
    connection.request("POST", "/mcp", json.dumps(LIST), {**HEADERS, "Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    response.read()
    return response.status


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"ttl_ms": 1}, "expired"),
        ({"audience": "http://127.0.0.1:1"}, "is for"),
        ({"uid": 4242}, "uid 4242"),
    ],
)
def test_a_token_that_does_not_fit_is_refused_and_recorded(start: Any, tmp_path: Any, options: Any, reason: str) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token(**options)
    time.sleep(0.01)
    status, headers, answer = post(stage, token, LIST, **HEADERS)
    assert status == 401 and reason in answer["error"]["message"] and 'error="invalid_token"' in headers["WWW-Authenticate"]
    refused = [each for each in stage.records() if each["type"] == "token.refused"]
    assert reason in refused[0]["reason"] and token not in json.dumps(stage.records())


@pytest.mark.parametrize("token", ["ilk_" + "A" * 43, "x", "ilk_" + "é" * 43, "ilk_" + "A" * 44, ""])
def test_a_token_made_up_is_refused(start: Any, tmp_path: Any, token: str) -> None:
    stage = start(connector("notes", root=tmp_path))
    status, _, _ = post(stage, None, LIST, **HEADERS, Authorization=f"Bearer {token}")
    assert status == 401


def test_revoking_is_seen_at_once_even_by_an_open_connection(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    connection = http.client.HTTPConnection("127.0.0.1", stage.port)
    assert ask(connection, token) == 200
    stage.registry().revoke("coder", now_ms())
    assert ask(connection, token) == 401


def test_revoking_while_a_human_is_asked_voids_the_yes(start: Any, tmp_path: Any) -> None:
    import threading

    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    answers: list[Any] = []
    params = {"name": "notes__ask_first", "arguments": {"text": "x"}}
    caller = threading.Thread(target=lambda: answers.append(modern(stage, token, "tools/call", params)))
    caller.start()
    deadline = time.monotonic() + 10
    while not [each for each in stage.records() if each["type"] == "approval.asked"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    stage.registry().revoke("coder", now_ms())
    inbox = Inbox(str(stage.root / "inbox.sqlite"))
    for question in inbox.pending():  # unless it was withdrawn already
        inbox.answer(question.id, meant="once", approver="uid:0")
    caller.join()
    assert "ask_first: x" not in str(answers) and stage.effects == []
    answered = [each["answer"] for each in stage.records() if each["type"] == "approval.answered"]
    decided = [each["decision"]["decision"] for each in stage.decided("tool.call")]
    assert answered in (["yes"], ["withdrawn"]) and decided in (["approve"], ["approve", "deny"])


def test_a_session_token_works_on_its_attested_connection_only(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    session = "s-20261121T130000-aaaaaa"
    token = session_token(stage, session)
    connection = attested(stage, session)
    assert [ask(connection, token), ask(connection, token)] == [200, 200]
    assert post(stage, token, LIST, **HEADERS)[0] == 401
    stage.registry().end_session(session, now_ms())
    assert ask(connection, token) == 401


def test_another_sessions_attestation_does_not_serve(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = session_token(stage, "s-20261121T130000-aaaaaa")
    assert ask(attested(stage, "s-20261121T130000-bbbbbb"), token) == 401


def test_an_attestation_needs_the_cookie_and_serves_one_connection(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    session = "s-20261121T130000-aaaaaa"
    token = session_token(stage, session)
    wrong = http.client.HTTPConnection("127.0.0.1", stage.port)
    wrong.connect()
    port = wrong.sock.getsockname()[1]
    assert attest(stage, session=session, port=port, cookie=1) == {"ok": True}
    assert ask(wrong, token) == 401
    first = attested(stage, session)
    port = first.sock.getsockname()[1]
    assert ask(first, token) == 200
    first.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no TIME_WAIT: the port is free
    first.close()
    again = http.client.HTTPConnection("127.0.0.1", stage.port)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.connect(("127.0.0.1", stage.port))
    again.sock = sock
    assert ask(again, token) == 401


@pytest.mark.parametrize(
    "line", [b"{}\n", b"not json\n", b'{"type":"attest","session":1,"port":1,"cookie":1}\n', b'{"type":"attest","x":1}\n']
)
def test_what_is_no_attestation_is_refused(start: Any, tmp_path: Any, line: bytes) -> None:
    stage = start(connector("notes", root=tmp_path))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(stage.root / "gateway.sock"))
        sock.sendall(line)
        assert json.loads(sock.recv(4096)) == {"ok": False}


def test_the_attestation_socket_is_the_owners_alone(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    assert (stage.root / "gateway.sock").stat().st_mode & 0o777 == 0o600
    assert (stage.root / "registry.sqlite").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_users_token_is_worth_nothing_to_another_user(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    token = stage.token()
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setuid(65534)
        status = post(stage, token, LIST, **HEADERS)[0]
        os.write(writing, str(status).encode())
        os._exit(0)
    os.wait()
    assert os.read(reading, 10) == b"401"
    assert post(stage, token, LIST, **HEADERS)[0] == 200
