"""A home with servers as a user adds them, its gateway, and the servers over HTTP that run beside it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from command_stage import PATIENCE_S, CommandStage
from gateway_stage import modern

from interlock.approvals.inbox import Inbox
from tests.matrix.relay import Relay
from tests.matrix.servers import PROGRAMS, Place, Server

POLICY = """\
interlock: 1
name: matrix
rules:
  - id: everything
    allow: [tool.call, tool.list, resource.read, prompt.get, log.level]
  - id: passwords
    deny: tool.call
    connector: stagehand
    arguments:
      - at: /text
        matches: "*password*"
    because: passwords stay here
  - id: asking
    approve: tool.call
    connector: stagehand
    tool: ask_first
    timeout: 120s
"""
#: For servers behind a program that withholds their answers.
SHORT_TIMEOUT_S = 4


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class MatrixStage(CommandStage):
    """Add servers, `serve`, then play."""

    def __init__(self) -> None:
        super().__init__()
        (self.root / "tools.yaml").write_text(POLICY)
        self.places: dict[str, Place] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._relays: dict[str, Relay] = {}
        self._page = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
        threading.Thread(target=self._page.serve_forever, daemon=True).start()

    def place(self, name: str) -> Place:
        """A server's place, made at the first use."""
        if name not in self.places:
            self.folder(name).mkdir()
            self.places[name] = Place(self.folder(name), free_port(), f"http://127.0.0.1:{self._page.server_port}/")
        return self.places[name]

    def add(self, server: Server) -> None:
        """As a user adds it."""
        place = self.place(server.name)
        server.lay(place)
        if server.transport == "stdio":
            self._add_command(server, server.name, place, server.command(place))
        else:
            self.start(server)
            self.run("connector", "add", server.name, "--http", server.url(place.port))

    def add_between(self, server: Server) -> str:
        """The same server behind a program that can withhold and falsify its answers: the connector's name."""
        name, place = f"{server.name}-b", self.place(server.name)
        timeout = ["--timeout", f"{SHORT_TIMEOUT_S}s"]
        if server.transport == "stdio":
            command = [sys.executable, str(PROGRAMS / "between.py"), str(self._mood(server)), *server.command(place)]
            self._add_command(server, name, place, command, *timeout)
        else:
            relay = self._relays[name] = Relay(place.port, self._mood(server))
            self.run("connector", "add", name, "--http", server.url(relay.port), *timeout)
        return name

    def add_stagehand(self) -> None:
        """See `programs/stagehand.py`."""
        self.run("connector", "add", "stagehand", "--stdio", "--", sys.executable, "-I", str(PROGRAMS / "stagehand.py"))

    def _add_command(self, server: Server, name: str, place: Place, command: list[str], *options: str) -> None:
        where = ("--workspace", str(place.folder), *server.options(place), *options)
        self.run("connector", "add", name, "--stdio", *where, "--", *command)

    def _mood(self, server: Server) -> Path:
        return self.folder(server.name) / "mood"

    @contextlib.contextmanager
    def mood(self, server: Server, word: str) -> Iterator[None]:
        """How the program in front of a server answers for it, within."""
        self._mood(server).write_text(word)
        yield
        self._mood(server).unlink()

    def start(self, server: Server) -> None:
        """Start a server that the gateway only reaches, and wait until it listens."""
        place = self.place(server.name)
        with (self.root / f"{server.name}.out").open("ab") as out:
            self._running[server.name] = subprocess.Popen(server.command(place), stdout=out, stderr=out, cwd=place.folder)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and self._running[server.name].poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", place.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError(f"it does not listen: {(self.root / f'{server.name}.out').read_text()[-300:]}")

    def processes(self, server: Server) -> list[int]:
        """The processes of a server: of one that the gateway started, those that have its environment."""
        if server.name in self._running:
            return [self._running[server.name].pid]
        here, home = f"{self.home}/".encode(), re.compile(rf"/interlock-server-{server.name}-\w{{8}}".encode())
        found = []
        for each in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if each.name.isdigit() and (variables := (each / "environ").read_bytes().split(b"\0")):
                    own = dict(variable.partition(b"=")[::2] for variable in variables)
                    if home.search(own.get(b"HOME", b"")) and own.get(b"INTERLOCK_INSIDE", b"").startswith(here):
                        found.append(int(each.name))
        return found

    def send(self, server: Server, number: signal.Signals) -> None:
        """A signal for a server's processes."""
        found = self.processes(server)
        assert found, "none of its processes is there"
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        if number == signal.SIGKILL and server.name in self._running:
            self._running.pop(server.name).wait()

    def serve(self, port: int = 0) -> None:
        """Start the gateway, wait until it answers, make an agent if there is none."""
        self.gateway_port = port or free_port()
        words = ["gateway", "--listen", f"127.0.0.1:{self.gateway_port}", "--policy", str(self.root / "tools.yaml")]
        with self.said.open("a") as said:
            self._gateway = subprocess.Popen(
                [sys.executable, "-m", "interlock", *words], env=self.environment, cwd=self.root, stdout=said, stderr=said
            )
        place, until = self.home / "runtime/gateway.json", time.monotonic() + PATIENCE_S
        while not place.exists() or not (self.home / "runtime/gateway.sock").exists():
            assert self._gateway.poll() is None and time.monotonic() < until, "the gateway does not come up"
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{self.gateway_port}"
        if not self.token:
            self.token = json.loads(self.run("agent", "add", "coder", "--gateway", self.url, "--json"))["token"]

    def serve_again(self) -> None:
        """The gateway ends and is started again at the same address."""
        assert self._gateway is not None
        self._gateway.terminate()
        self._gateway.wait(30)
        (self.home / "runtime/gateway.json").unlink(missing_ok=True)
        self.serve(self.gateway_port)

    def tools(self) -> list[str]:
        """What the gateway lists, once every server has started; of one that does not, nothing."""
        until = time.monotonic() + PATIENCE_S
        while True:
            status, answer = modern(self, self.token, "tools/list")
            answer = answer[-1] if isinstance(answer, list) else answer
            assert status == 200, answer
            result = answer["result"]
            if not result.get("_meta", {}).get("interlock/unavailable") or time.monotonic() > until:
                return [tool["name"] for tool in result["tools"]]
            time.sleep(0.5)

    def call(self, tool: str, arguments: dict[str, Any]) -> tuple[str, str | None]:
        """Call a tool: the text of its answer, and the effect where the gateway says one. Where it says to ask again, since a server still starts, that is done."""
        until = time.monotonic() + PATIENCE_S
        while True:
            status, answer = modern(self, self.token, "tools/call", {"name": tool, "arguments": arguments})
            answer = answer[-1] if isinstance(answer, list) else answer
            assert status == 200 and "result" in answer, answer.get("error", {}).get("message", answer)
            result = answer["result"]
            text = "\n".join(part.get("text", "") for part in result["content"])
            if "; ask again" not in text or time.monotonic() > until:
                break
        effect = result.get("_meta", {}).get("interlock/effect")
        assert effect is not None or not result.get("isError"), text
        return text, effect

    @contextlib.contextmanager
    def human(self) -> Iterator[None]:
        """Somebody who says yes to every question, within."""
        over = threading.Event()

        def answering() -> None:
            inbox = Inbox(str(self.home / "state/inbox.sqlite"))
            while not over.wait(0.1):
                for question in inbox.pending():
                    inbox.answer(question.id, meant="once", approver=f"uid:{os.getuid()}")
            inbox.close()

        answerer = threading.Thread(target=answering)
        answerer.start()
        try:
            yield
        finally:
            over.set()
            answerer.join()

    def close(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()
        for relay in self._relays.values():
            relay.close()
        self._page.shutdown()
        self._page.server_close()
        super().close()


class _Page(BaseHTTPRequestHandler):
    """What the fetch server fetches."""

    def do_GET(self) -> None:
        body = b"<html><body><p>a page of the matrix</p></body></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
