"""What the door for files refuses whatever policy says, and what it must not break while doing so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.drive import FILE_VERBS, Drive, policy, rule

PROGRAM = Path(__file__).parent / "programs" / "file_attacks.py"
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
OUTSIDE = [
    *("environ", "stat", "listing", "root", "cwd", "init", "guardian"),
    *("by dots", "by task and dots", "by directory", "by O_PATH", "by symlink"),
    *("memory written", "memory of a task written"),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    compiled = policy(
        rule("all", "allow", FILE_VERBS, path=["/**"]),
        rule("exec", "allow", ["process.exec"], path=["/**"]),
        rule("signal", "allow", ["process.signal"], to="inside"),
    )
    folder = tmp_path_factory.mktemp("attacks")
    victim = subprocess.Popen(["sleep", "300"])
    try:
        with Drive([PYTHON, "-S", str(PROGRAM), str(victim.pid), str(folder)], compiled) as drive:
            ended, output, errors = drive.finish(timeout=60)
    finally:
        victim.kill()
        victim.wait()
    assert ended["type"] == "exited" and ended["code"] == 0, (ended, errors.decode())
    result: dict[str, Any] = json.loads(output)
    return result


@pytest.mark.parametrize("way", OUTSIDE)
def test_a_process_outside_stays_closed_by_every_road(found: dict[str, Any], way: str) -> None:
    assert found[way] == "EACCES"


def test_proc_means_the_caller(found: dict[str, Any]) -> None:
    assert all(found[name] is True for name in ("self", "thread-self", "tasks", "descriptors", "maps", "mounts"))
    assert found["ps"] == (0 if shutil.which("ps") else "ENOENT")
    assert found["bash"] == "hi\nsame\ny\n"


def test_no_file_is_made_to_act_as_somebody_else(found: dict[str, Any]) -> None:
    refused = ("setuid", "setgid by descriptor", "made setuid", "device", "capability", "inode flags")
    assert {name: found[name] for name in refused} == dict.fromkeys(refused, "EPERM")
    assert found["setgid directory"] == 0o2755


def test_waiting_ends_as_natively(found: dict[str, Any]) -> None:
    assert found["interrupted"] == [False, "EINTR", True]
    assert found["restarted"] == [True, None, True]
    assert found["killed"] == -15


def test_a_child_that_gave_up_root_gets_no_more_than_it_has(found: dict[str, Any]) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: an ordinary user has no authority that a child could give up")
    assert found["as nobody"] == {
        "shadow": "EACCES",
        "root's file removed": "EACCES",
        "root's file changed": "EACCES",
        "own file's owner": 65534,
        "own file removed": None,
    }
