"""A home with connectors and its `interlock gateway`, all by the command line, the servers held by the host plane."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gateway_stage import SERVERS

POLICY = "interlock: 1\nname: tools\nrules:\n  - id: all\n    allow: [tool.call, tool.list, log.level]\n"
PATIENCE_S = 60.0


class CommandStage:
    """Add connectors, `serve`, then call at `url` with `token`; `close` ends all of it."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="ilk-"))  # short: the names of sockets lie below it
        self.home = self.root / "home"
        (self.root / "tools.yaml").write_text(POLICY)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "INTERLOCK_GATEWAY_URL"},
            "INTERLOCK_HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
            "PYTHONSAFEPATH": "1",
        }
        self.said = self.root / "said"  # by the gateway, on its terminal
        self._gateway: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.token = ""

    def run(self, *words: str, status: int = 0) -> str:
        """A command that must end with a status: its output."""
        command = [sys.executable, "-m", "interlock", *words]
        done = subprocess.run(command, env=self.environment, cwd=self.root, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == status, (words, done.stdout, done.stderr)
        return done.stdout

    def folder(self, name: str) -> Path:
        """The workspace of a connector."""
        return self.root / name

    def add_stdio(self, name: str, script: str, *arguments: str, options: tuple[str, ...] = ()) -> None:
        self.folder(name).mkdir()
        where = ("--workspace", str(self.folder(name)))
        command = (sys.executable, "-I", "-S", str(SERVERS / script), *arguments)
        self.run("connector", "add", name, "--stdio", *where, *options, "--", *command)

    def add_http(self, name: str, url: str, *options: str) -> None:
        self.run("connector", "add", name, "--http", url, *options)

    def serve(self, agent: str | None = "coder", *options: str, port: int = 0) -> None:
        """Start the gateway, wait until it answers, make an agent."""
        words = ["gateway", "--listen", f"127.0.0.1:{port}", "--policy", str(self.root / "tools.yaml"), *options]
        with self.said.open("w") as said:
            self._gateway = subprocess.Popen(
                [sys.executable, "-m", "interlock", *words], env=self.environment, cwd=self.root, stdout=said, stderr=said
            )
        place, deadline = self.home / "runtime/gateway.json", time.monotonic() + PATIENCE_S
        while not place.exists() or not (self.home / "runtime/gateway.sock").exists():
            assert self._gateway.poll() is None and time.monotonic() < deadline, "the gateway does not come up"
            time.sleep(0.02)
        self.url = json.loads(place.read_text())["url"]
        if agent is not None:
            self.token = json.loads(self.run("agent", "add", agent, "--gateway", self.url, "--json"))["token"]

    def close_gateway(self) -> None:
        if self._gateway is not None:
            self._gateway.terminate()
            self._gateway.wait(30)
            self._gateway = None

    def close(self) -> None:
        self.close_gateway()
        shutil.rmtree(self.root, ignore_errors=True)
