"""Logs to test on: written by the native writer, read by the independent verifier."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest

from interlock._native import Log
from interlock.ledger import verifier

LONG = os.environ.get("INTERLOCK_LONG") == "1"


@dataclasses.dataclass(frozen=True)
class Ledger:
    """The ledger of one user, in a directory of its own."""

    state: Path

    @property
    def ledger(self) -> Path:
        return self.state / "ledger"

    @property
    def keys(self) -> Path:
        return self.state / "keys"

    def open(self, session: str) -> Log:
        index, keys = str(self.ledger / "index"), str(self.keys)
        return Log.open(str(self.ledger / "sessions" / session), f"sessions/{session}", index, keys)

    def path(self, session: str) -> Path:
        return self.ledger / "sessions" / session

    def public(self):
        return verifier.load_public(self.keys / "ledger.ed25519.pub")

    def auditor(self):
        return verifier.load_auditor(self.keys / "auditor.x25519")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    os.chmod(tmp_path, 0o700)
    return Ledger(tmp_path / "state")


def decided(number: int, said: str = "allow", path: str = "/w/a") -> str:
    return json.dumps(
        {
            "type": "action.decided",
            "phase": "decided",
            "action": {"id": f"s/{number}", "plane": "host", "verb": "file.write", "target": {"path": f"{path}{number}"}},
            "decision": {"decision": said, "rules": ["coding-agent/workspace"], "layers": ["coding-agent"]},
        }
    )


def enacted(number: int) -> str:
    return json.dumps({"type": "action.enacted", "action": f"s/{number}", "effect": "done", "duration_us": 1.5})


CLOSED = json.dumps({"type": "session.closed", "status": 0, "reason": "the command ended"})

#: A process that writes and tells on standard output what was acknowledged, for tests that kill it.
WRITER = """
import json, sys
sys.path.insert(0, {source!r})
from interlock._native import Log
state, session, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
log = Log.open(f"{{state}}/ledger/sessions/{{session}}", f"sessions/{{session}}", f"{{state}}/ledger/index", f"{{state}}/keys")
print("open", flush=True)
number = 0
while True:
    number += 1
    record = {{"type": "action.decided", "action": {{"id": f"s/{{number}}", "verb": "file.write", "target": {{"path": "/w/" + "x" * (number * 7 % 900)}}}},
              "decision": {{"decision": "allow", "rules": ["a/b"]}}}}
    written = log.append(json.dumps(record), ("ordered", "durable", "ordered")[(number + seed) % 3])
    log.count("file.read", "allow", "a/b")
    print(written, number, flush=True)
    if number % 3 == 0:
        log.effect(written, 0)
"""


def writer_source() -> str:
    source = str(Path(__import__("interlock").__file__).resolve().parents[1])
    return WRITER.format(source=source)


def writer_command(state: Path, session: str, seed: int) -> list[str]:
    return [sys.executable, "-c", writer_source(), str(state), session, str(seed)]
