"""What `gateway init` prints, given to real clients from npm: Claude Code runs the line and connects, Codex reads the table; the way back, `--from` knows
the gateway in what they wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from examples.agents.drive import NotInstallable, install


@pytest.fixture(scope="module")
def programs() -> Path:
    """Where agents are installed: kept between runs, they are large."""
    place = Path(os.environ.get("INTERLOCK_TEST_AGENTS", "/var/tmp/interlock-test-agents"))
    place.mkdir(parents=True, exist_ok=True)
    try:
        installed = [install(name, place) for name in ("claude", "codex")]
        return installed[0].parent
    except NotInstallable as reason:
        pytest.skip(f"{reason}; expected on a machine with npm and its registry")


class Person:
    """Somebody with both clients and a home of their own."""

    def __init__(self, root: Path, programs: Path) -> None:
        self.home, self.work = root / "h", root / "w"
        (self.home / ".codex").mkdir(parents=True)
        self.work.mkdir()
        node = os.path.dirname(shutil.which("node") or "/usr/bin/node")
        self.environment = {
            "HOME": str(self.home), "PATH": f"{programs}:{node}:/usr/local/bin:/usr/bin:/bin", "INTERLOCK_HOME": str(root / "i"),
            "PYTHONPATH": os.pathsep.join(each for each in sys.path if each), "PYTHONSAFEPATH": "1", "LANG": "C.UTF-8",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }  # fmt: skip

    def types(self, *words: str) -> str:
        done = subprocess.run(words, env=self.environment, cwd=self.work, capture_output=True, text=True, timeout=120, stdin=-3)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def interlock(self, *words: str) -> str:
        return self.types(sys.executable, "-m", "interlock", *words)


@pytest.fixture
def person(programs: Path) -> Iterator[Person]:
    root = Path(tempfile.mkdtemp(prefix="ilk-"))
    made = Person(root, programs)
    gateway = subprocess.Popen(
        [sys.executable, "-m", "interlock", "gateway", "--listen", "127.0.0.1:0"], env=made.environment, cwd=root, stdout=-3, stderr=-3
    )
    deadline = time.monotonic() + 60
    while not (root / "i/runtime/gateway.json").exists():
        assert gateway.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    yield made
    gateway.terminate()
    gateway.wait(30)
    shutil.rmtree(root, ignore_errors=True)


def way(made: Any, client: str) -> Any:
    found = next(each for each in made["clients"] if each["client"] == client)
    assert found["is_found"], client
    return found


@pytest.mark.timeout(400)
def test_the_lines_work_in_the_clients_that_they_are_for(person: Person) -> None:
    made = json.loads(person.interlock("gateway", "init", "--json"))
    person.types("sh", "-c", way(made, "claude-code")["command"])
    said = person.types("claude", "mcp", "list")
    assert f"interlock: {made['url']} (HTTP)" in said and "Connected" in said, said
    codex = way(made, "codex")
    Path(codex["file"]).write_text(codex["text"] + "\n")
    [entry] = json.loads(person.types("codex", "mcp", "list", "--json"))
    assert entry["name"] == "interlock" and entry["transport"]["url"] == made["url"], entry
    assert entry["transport"]["http_headers"] == {"Authorization": f"Bearer {made['agent']['token']}"}, entry
    for client in ("claude-code", "codex"):
        [server] = json.loads(person.interlock("connector", "add", "--from", client, "--json"))["servers"]
        assert server["why"] == "it is this gateway"
    person.types("claude", "mcp", "add", "notes", "--scope", "user", "--env", "TOKEN=s3cret", "--", "sh", "-c", "true")
    [_, added] = json.loads(person.interlock("connector", "add", "--from", "claude-code", "--json"))["servers"]
    assert added["state"] == "added" and added["name"] == "notes" and "s3cret" not in json.dumps(added)
