"""What is recorded of Facts: those that a rule asked for about this act, and no others (spec/record.md, "Sequences")."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.ledger import reader
from tests.kernel.drive import EVERYTHING, Drive, grant, rule
from tests.kernel.test_network import USERS

ASKED = rule("asked", "approve", ["file.write"], path=["/**/asked"])
NOTHING: dict[str, Any] = {"now_ms": 0, "grants": [], "risk": None, "labels": None, "findings": None, "origin": None, "origin_to": None, "history": None, "history_to": None}


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="interlock-facts-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def decided(place: Path, *, user: int | None, answer: str | None = None) -> list[dict[str, Any]]:
    """What was recorded of writing to a file that was there before, where another rule asks where such files come from."""
    origin = rule("made-here", "deny", ["file.write"], path=["/**/before", "/**/asked"]) | {"when": {"origin": "session"}}
    layer = EVERYTHING["layers"][0]
    compiled = {**EVERYTHING, "layers": [{**layer, "rules": [*layer["rules"], origin, ASKED]}]}
    file = place / ("before" if answer is None else "asked")
    file.write_text("x")
    file.chmod(0o666)
    with Drive(["/bin/sh", "-c", f"echo y >{file}"], compiled, user=user, state=place / "state") as drive:
        if answer is not None:
            question = drive.until("question")
            drive.say({"type": "answer", "id": question["id"], "grant": grant(question, answer), "reason": None})
        drive.until("ended")
    found = (entry.event.document for log in reader.sessions(place / "state") for entry in reader.entries(log.path))
    return [
        each for each in found if each["type"] == "action.decided" and each["action"]["verb"] == "file.write"
        and each["action"]["target"].get("path") == str(file)
    ]  # fmt: skip


@pytest.mark.parametrize("user", USERS)
def test_an_act_that_nobody_is_asked_about_is_decided_and_recorded_without_a_clock(place: Path, user: int | None) -> None:
    (record,) = decided(place, user=user)
    assert record["facts"] == {**NOTHING, "origin": "before"}


@pytest.mark.parametrize("user", USERS)
def test_a_yes_is_held_to_the_clock(place: Path, user: int | None) -> None:
    begun_ms = int(time.time() * 1000)
    _, granted = decided(place, user=user, answer="yes")
    assert granted["decision"]["decision"] == "allow"
    assert len(granted["facts"]["grants"]) == 1 and granted["facts"]["now_ms"] >= begun_ms
