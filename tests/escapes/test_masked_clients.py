"""A client of a cluster at work with what it is shown: it goes where its person goes, and logs in nowhere.

Where each went and what it showed there is for a server outside to say.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.escapes.arena import Arena
from tests.escapes.test_masked_configuration import SECRET, written

KUBECTL = shutil.which("kubectl")


class Server(http.server.BaseHTTPRequestHandler):
    """Answers with what it is made with; keeps who asked for what, and with which word."""

    answers: dict[str, bytes]
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.asked.append((self.path, self.headers.get("Authorization")))
        body = self.answers.get(self.path.split("?")[0])
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextlib.contextmanager
def serving(certificate: Path | None = None) -> Iterator[tuple[type[Server], int]]:
    """`certificate`: a file with one and its key, for TLS."""
    handler = type("Handler", (Server,), {"asked": [], "answers": {}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield handler, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def works(arena: Arena, program: str | None) -> str:
    """The program, or a skip where the arena's user has none."""
    if program is None or all(arena.run(program, flag).code != 0 for flag in ("--version", "--help")):
        pytest.skip("needs a client that this user may run")
    return program


@pytest.fixture
def own(arena: Arena) -> dict[str, object]:
    policy = arena.root / "own.yaml"
    policy.write_text(
        "interlock: 1\nname: own\nrules:\n  - {id: shown, steer: file.read, path: [~/.kube/config], to: masked}\n"
    )
    return {"preset": "observe", "policy": policy}


def test_kubectl_asks_its_cluster_and_has_no_token(arena: Arena, own: dict[str, object]) -> None:
    kubectl = works(arena, KUBECTL)
    # It logs in over TLS alone.
    pair = arena.root / "pair.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=k", "-keyout", pair, "-out", "-"]
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    made = subprocess.run(make, check=True, capture_output=True).stdout
    pair.write_bytes(pair.read_bytes() + made)
    with serving(pair) as (found, port):
        found.answers["/version"] = json.dumps({"major": "1", "minor": "30", "gitVersion": "v1.30.0"}).encode()
        text = (
            "apiVersion: v1\nkind: Config\ncurrent-context: c\npreferences: {}\n"
            f"clusters:\n- cluster:\n    server: https://127.0.0.1:{port}\n    insecure-skip-tls-verify: true\n  name: k\n"
            f"contexts:\n- context:\n    cluster: k\n    user: u\n  name: c\nusers:\n- name: u\n  user:\n    token: {SECRET}\n"
        )
        written(arena, ".kube/config", text)
        contexts = [kubectl, "config", "get-contexts", "-o", "name"]
        assert arena.run(*contexts).output == arena.held(*contexts, **own).output == "c\n"
        outside = arena.run(kubectl, "version")
        assert f"Bearer {SECRET}" in [word for _, word in found.asked], outside.errors
        asked = {path.partition("?")[0] for path, _ in found.asked}
        found.asked.clear()
        inside = arena.held(kubectl, "version", **own)
        assert inside.output == outside.output, inside.errors
        assert {path.partition("?")[0] for path, _ in found.asked} == asked
        assert {word for _, word in found.asked} == {"Bearer interlock-masked"}
