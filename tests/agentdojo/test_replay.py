"""AgentDojo through the gateway: a part of each suite in every run that has it, the whole by `make agentdojo`.

`tests/agentdojo.sh` installs it; without it these tests say so and are skipped.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.agentdojo.__main__ import Judge, replay

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("INTERLOCK_TEST_AGENTDOJO") or str(ROOT / "build/agentdojo/bin/python")
pytestmark = pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="needs AgentDojo: bash tests/agentdojo.sh installs it")
#: Tasks of which some read what others may have written, and some are told where to go by it.
USERS = {"banking": ("user_task_0", "user_task_2", "user_task_12"), "slack": ("user_task_1", "user_task_2")}
ATTACKS = {"banking": ("injection_task_4", "injection_task_5", "injection_task_7"), "slack": ("injection_task_1", "injection_task_3", "injection_task_5")}


@pytest.mark.parametrize("suite", USERS)
def test_tasks_succeed_and_attacks_do_not(suite: str, tmp_path: Path) -> None:
    judge = Judge(PYTHON, suite, tmp_path)
    try:
        open_to_all = found(judge, suite, "allow-all", tmp_path)
        held = found(judge, suite, "flows", tmp_path)
    finally:
        judge.process.kill()
        judge.process.wait()
    assert all(each["useful"] for each in (*open_to_all, *held) if each["injection"] is None)
    attacks = [each for each in open_to_all if each["injection"] is not None and each["seen"]]
    assert attacks and all(each["through"] for each in attacks), "every attack succeeds where everything is allowed"
    assert not any(each["through"] for each in held)


def found(judge: Judge, suite: str, policy: str, root: Path) -> list[dict[str, Any]]:
    return replay(judge, suite, policy, root, users=USERS[suite], attacks=ATTACKS[suite])
