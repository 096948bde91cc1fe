"""The demo's stage: a throw-away home, a workspace with an origin, a process outside, Interlock's own state apart.

What is judged is judged here, from outside the jail.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEMO = Path(__file__).parent
SECRET = "SECRET-of-the-demo"
READY_SECONDS_MAX = 20


@dataclass
class Stage:
    """Where the demo plays."""

    root: Path
    victim: int
    port: int

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def environment(self) -> dict[str, str]:
        keep = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("INTERLOCK_", "ANTHROPIC_", "CLAUDE"))
        }
        return keep | {
            "HOME": str(self.home),
            "INTERLOCK_HOME": str(self.root / "state"),
            "INTERLOCK_GATEWAY_URL": f"http://127.0.0.1:{self.port}",
            "DEMO": str(self.work / "agent"),
            "PYTHON": sys.executable,
            "VICTIM": str(self.victim),
        }

    @property
    def program(self) -> str:
        """The installed command."""
        return str(Path(sys.executable).parent / "interlock")

    def interlock(
        self, *arguments: str, check: bool = True, show: bool = False, more: dict[str, str] | None = None
    ) -> str:
        """Run the command line as a person would; its output."""
        done = subprocess.run(
            [self.program, *arguments],
            cwd=self.work,
            env=self.environment | (more or {}),
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if show else subprocess.PIPE,
        )
        if check and done.returncode != 0:
            raise SystemExit(
                f"demo: `interlock {' '.join(arguments)}` ended with {done.returncode}\n{done.stdout}\n{done.stderr or ''}"
            )
        return done.stdout

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.interlock(*arguments).splitlines() if line.startswith("{")]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _lay(root: Path) -> None:
    for name in ("home/.ssh", "work"):
        (root / name).mkdir(parents=True, mode=0o700)
    (root / "home/.ssh/id_rsa").write_text(SECRET + "\n")
    work = root / "work"
    (work / "payload.json").write_text('{"mcpServers": {"evil": {"command": "sh"}}}\n')
    (work / "payload.sh").write_text("#!/bin/sh\ntouch /tmp/owned\n")
    (work / "public").write_text("public\n")
    (work / "agent").mkdir()
    for name in ("work.sh", "misbehave.sh", "tool.py", "race.c"):
        shutil.copy(DEMO / name, work / "agent" / name)
    git = ["git", "-c", "user.name=demo", "-c", "user.email=demo@example.org", "-c", "init.defaultBranch=main"]
    quiet = {"cwd": work, "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*git, "init", "-q", "--bare", "origin.git"], **quiet)  # type: ignore[call-overload]
    subprocess.run([*git, "init", "-q", "seed"], **quiet)  # type: ignore[call-overload]
    (work / "seed/README").write_text("the project\n")
    for step in (["add", "README"], ["commit", "-q", "-m", "first"], ["push", "-q", "../origin.git", "main"]):
        subprocess.run([*git, "-C", "seed", *step], **quiet)  # type: ignore[call-overload]
    shutil.rmtree(work / "seed")


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Set the stage, and clear it away."""
    root = Path(tempfile.mkdtemp(prefix="interlock-demo-", dir="/var/tmp"))
    _lay(root)
    victim = subprocess.Popen(["sleep", "600"])
    try:
        yield Stage(root, victim.pid, _free_port())
    finally:
        victim.kill()
        victim.wait()
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def gateway(at: Stage) -> Iterator[None]:
    """The gateway in front of the notes server."""
    command = [str(Path(sys.executable).parent / "interlock"), "gateway", "--listen", f"127.0.0.1:{at.port}"]
    log = (at.root / "gateway.log").open("w")
    process = subprocess.Popen(
        [*command, "--policy", str(DEMO / "gateway.yaml")], cwd=at.root, env=at.environment, stdout=log, stderr=log
    )
    try:
        until = time.monotonic() + READY_SECONDS_MAX
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", at.port), 1):
                break
            time.sleep(0.05)
        else:
            raise SystemExit(f"demo: the gateway did not start\n{(at.root / 'gateway.log').read_text()}")
        yield
    finally:
        process.terminate()
        process.wait(10)
