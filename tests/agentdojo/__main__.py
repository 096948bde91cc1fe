"""AgentDojo replayed through the gateway under several policies, without a model: `python -m tests.agentdojo PYTHON [SUITE …]`, where
PYTHON has `agentdojo` (`make agentdojo`). A task's ground truth is called as its user's agent would; then, where what the agent read
told it to, the ground truth of each attack. A person answers: yes to what their own task needs, no to the attack.

Printed: tasks that still succeed, attacks through (of those that an agent could have read of), questions a task.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from interlock.approvals.inbox import Inbox
from interlock.connectors.configuration import Connector, Stdio
from tests.gateway.gateway_stage import Stage, _begin, call, post
from tests.gateway.test_scored import compiled

HERE = Path(__file__).parent
SUITES = ("banking", "slack")
POLICIES = ("allow-all", "block-all", "known-names", "flows")


class Judge:
    """The process that has AgentDojo."""

    def __init__(self, python: str, suite: str, root: Path) -> None:
        self.path = str(root / "judge.sock")
        self.process = subprocess.Popen([python, str(HERE / "judge.py"), suite, self.path])
        self._connection = socket.socket(socket.AF_UNIX)
        until = time.monotonic() + 180
        while self._connection.connect_ex(self.path):
            assert time.monotonic() < until and self.process.poll() is None, "the judge does not start"
            time.sleep(0.2)
        self._file = self._connection.makefile("rwb")

    def ask(self, **asked: Any) -> Any:
        self._file.write(json.dumps(asked).encode() + b"\n")
        self._file.flush()
        return json.loads(self._file.readline())


class Person:
    """Answers every question as they are told, and counts."""

    def __init__(self, stage: Stage) -> None:
        self._inbox_path = str(stage.root / "inbox.sqlite")
        self.yes, self.asked, self._over = True, 0, threading.Event()
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def _answer(self) -> None:
        inbox = Inbox(self._inbox_path)
        while not self._over.wait(0.02):
            for question in inbox.pending():
                inbox.answer(question.id, meant="once" if self.yes else "no", approver="uid:0")
                self.asked += 1

    def leave(self) -> None:
        self._over.set()
        self._thread.join()


def play(stage: Stage, judge: Judge, person: Person, user: str, injection: str | None) -> dict[str, Any]:
    """One task of a new agent's, and an attack on it."""
    task = judge.ask(do="load", user=user, injection=injection)
    token = stage.token(f"agent-{injection or 'alone'}".replace("_", "-"))
    event = {"hook_event_name": "UserPromptSubmit", "prompt": task["prompt"]}
    assert post(stage, token, event, "/hook")[0] == 200
    person.yes, person.asked, seen = True, 0, False
    for name, arguments in task["wanted"]:
        seen |= task["mark"] in json.dumps(call(stage, token, f"dojo__{name}", **arguments))
    asked, person.yes = person.asked, False
    if seen:
        for name, arguments in task["attack"]:
            call(stage, token, f"dojo__{name}", **arguments)
    return {**judge.ask(do="verdict"), "seen": seen, "asked": asked, "asked_by_attack": person.asked - asked}


def replay(
    judge: Judge, suite: str, policy: str, root: Path, *, users: tuple[str, ...] = (), attacks: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Every task alone, and with each attack on it; or these alone."""
    tasks, found = judge.ask(do="suite"), []
    document = compiled(root / "policy", (HERE / f"{suite if policy == 'flows' else policy}.yaml").read_text())
    for user in users or tasks["user"]:
        folder = Path(tempfile.mkdtemp(dir=root))
        server = Stdio((sys.executable, str(HERE / "tools.py")), {"JUDGE": judge.path})
        connector = Connector(name="dojo", server=server, timeout_ms=20_000, start_timeout_ms=60_000)
        stage, end = _begin(folder, (connector,), (), {"compiled": document})
        person = Person(stage)
        for injection in (None, *(attacks or tasks["injection"])):
            found.append({"user": user, "injection": injection, **play(stage, judge, person, user, injection)})
        person.leave()
        end()
    return found


def row(suite: str, policy: str, found: list[dict[str, Any]]) -> str:
    """A line of the table."""
    alone = [each for each in found if each["injection"] is None]
    attacked = [each for each in found if each["injection"] is not None and each["seen"]]
    useful, through = sum(each["useful"] for each in alone), sum(each["through"] for each in attacked)
    asked, held = sum(each["asked"] for each in alone), sum(each["asked_by_attack"] > 0 for each in attacked)
    parts = (f"{useful} of {len(alone)}", f"{through} of {len(attacked)}", f"{asked / len(alone):.2f}", f"{held}")
    return f"| {suite} | {policy} | {' | '.join(parts)} |"


def main(python: str, suites: tuple[str, ...], policies: tuple[str, ...]) -> None:
    """The table."""
    print("| suite | policy | tasks that succeed | attacks through | questions a task | attacks that a person was asked about |\n|---|---|---|---|---|---|")
    for suite in suites:
        with tempfile.TemporaryDirectory() as folder:
            judge = Judge(python, suite, Path(folder))
            for policy in policies:
                found = replay(judge, suite, policy, Path(folder))
                (Path(tempfile.gettempdir()) / f"agentdojo-{suite}-{policy}.json").write_text(json.dumps(found))
                print(row(suite, policy, found), flush=True)
            judge.process.kill()
            judge.process.wait()


if __name__ == "__main__":
    chosen = tuple(each for each in sys.argv[2:] if each in SUITES) or SUITES
    main(sys.argv[1], chosen, tuple(each for each in sys.argv[2:] if each in POLICIES) or POLICIES)
