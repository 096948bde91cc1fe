"""One home whose `interlock gateway` is started and killed, over and over, while calls go on. It leaves the judging to the tests.

What the server did is a line in its file, what a caller was told is kept here, what was recorded is read from the logs by others.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

from gateway_stage import SERVERS, modern
from tests.kills.storm import children

from interlock.ledger.reader import Entry

#: Nothing that a gateway had started may live longer than this after it was killed.
GONE_SECONDS = 1.0
#: Callers at a time, and how long they, a start and a command may take on a busy machine.
CALLERS = 3
PATIENCE_SECONDS = 60.0
POLICY = """
interlock: 1
name: tools
rules:
  - id: echo
    allow: [tool.call, tool.list]
    tool: echo
"""


@dataclasses.dataclass
class Home:
    """A home, a tool server's folder, and what the callers were told."""

    interlock: str
    root: Path
    acknowledged: set[str] = dataclasses.field(default_factory=set)
    late: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = self.root / "server"
        self.server.mkdir(parents=True)
        shutil.copy(SERVERS / "raw.py", self.server)
        (self.root / "tools.yaml").write_text(POLICY)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.stage = SimpleNamespace(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.root), "INTERLOCK_HOME": str(self.root / "i"), "TMPDIR": str(self.root)}
        self.run(
            "connector", "add", "notes", "--stdio", "--workspace", str(self.server), "--env", f"EFFECTS={self.server}/effects",
            "--", "/usr/bin/python3", "-I", "-S", str(self.server / "raw.py"),
        )  # fmt: skip
        self.token = json.loads(self.run("agent", "add", "coder", "--ttl", "1d", "--gateway", self.stage.url, "--json"))["token"]

    @property
    def state(self) -> Path:
        return self.root / "i" / "state"

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [self.interlock, *words], env=self.environment, cwd=self.root, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def effects(self) -> list[str]:
        """What the tool did, by the text it was called with."""
        path = self.server / "effects"
        return [json.loads(line)[1]["text"] for line in path.read_text().splitlines()] if path.exists() else []

    def start(self) -> subprocess.Popen[str]:
        address = self.stage.url.removeprefix("http://")
        return subprocess.Popen(
            [self.interlock, "gateway", "--listen", address, "--policy", str(self.root / "tools.yaml")],
            env=self.environment, cwd=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def kill_one(self, number: int, chance: random.Random) -> None:
        """A gateway from its start to its end; some are killed while they start or while the first call is on its way."""
        before = len(self.effects())
        gateway = self.start()
        stop = threading.Event()
        callers = [threading.Thread(target=self._call_on, args=(f"{number}-{each}", stop)) for each in range(CALLERS)]
        for caller in callers:
            caller.start()
        if chance.random() < 0.15:
            time.sleep(chance.random() * 0.5)
        else:
            self._wait_for_work(before, gateway)
        time.sleep(chance.random() ** 2 * 0.15)
        below = held_below(gateway.pid)
        gateway.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        gateway.wait()
        stop.set()
        self.late += [f"{number}: {name}" for name in outliving(below, killed + GONE_SECONDS)]
        for caller in callers:
            caller.join(PATIENCE_SECONDS)

    def _call_on(self, name: str, stop: threading.Event) -> None:
        """Calls until told to stop or cut off. Before the gateway listens every call fails; then a failure is the end."""
        number, connected = 0, False
        while not stop.is_set():
            number += 1
            text = f"{name}-{number}"
            try:
                status, answer = modern(self.stage, self.token, "tools/call", {"name": "notes__echo", "arguments": {"text": text}})
            except Exception:  # a connection refused or cut midway shows in many forms
                if connected:
                    return
                time.sleep(0.01)
                continue
            connected = True
            if status == 200 and not (answer[-1] if isinstance(answer, list) else answer)["result"].get("isError"):
                self.acknowledged.add(text)

    def wait_until_it_serves(self, gateway: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert gateway.poll() is None and time.monotonic() < deadline, "the gateway does not start"
            with contextlib.suppress(OSError):
                modern(self.stage, self.token, "tools/list")
                return
            time.sleep(0.02)

    def _wait_for_work(self, before: int, gateway: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.effects()) <= before:
            assert gateway.poll() is None and time.monotonic() < deadline, "the gateway does no work"
            time.sleep(0.01)


def held_below(process: int) -> dict[int, str]:
    """A descriptor for each descendant that is there now, with its name."""
    held, front = {}, [process]
    while front:
        for child in children(front.pop()):
            front.append(child)
            with contextlib.suppress(OSError):
                held[os.pidfd_open(child)] = Path(f"/proc/{child}/comm").read_text().strip()
    return held


def outliving(held: dict[int, str], until: float) -> list[str]:
    """What has not ended by then, the supervisor apart: it closes its log."""
    left = []
    for descriptor, name in held.items():
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        if not waiting.poll(max(until - time.monotonic(), 0) * 1000) and not name.startswith("interlock-super"):
            left.append(name)
        os.close(descriptor)
    return left


def left_over(root: Path) -> list[str]:
    """Living processes that name the storm's folder: gateways, supervisors' jails, tool servers."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{name}/cmdline").read_bytes() + Path(f"/proc/{name}/environ").read_bytes()
                if str(root).encode() in words:
                    found.append(f"{name} {words[:200]!r}")
    return found


def calls(held: list[Entry]) -> tuple[set[str], set[str]]:
    """The texts of calls that were allowed, and of those whose end is recorded."""
    allowed, ended = {}, set()
    for entry in held:
        value = entry.event.document
        if value["type"] == "action.decided" and value["action"]["verb"] == "tool.call" and value["decision"]["decision"] == "allow":
            allowed[value["action"]["id"]] = value["action"]["target"]["arguments"]["text"]
        if value["type"] == "action.enacted" and value["effect"] == "done":
            ended.add(value["action"])
    return set(allowed.values()), {text for action, text in allowed.items() if action in ended}
