"""As root and as an ordinary user, from the installed wheel: the same denials, the same codes, state of one's own."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def place(user):
    root = Path(tempfile.mkdtemp(prefix="ilu-"))
    for name in ("w", "h"):
        (root / name).mkdir()
    if user is not None:
        for path in (root, root / "w", root / "h"):
            shutil.chown(path, user)
    yield root
    shutil.rmtree(root, ignore_errors=True)


def run(installed, user, place, *arguments):
    environment = {"PATH": os.environ["PATH"], "HOME": str(place / "h")}
    options = {} if user is None else {"user": user, "extra_groups": []}
    command = [str(installed.interlock), *arguments]
    return subprocess.run(
        command,
        env=environment,
        cwd=place / "w",
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        **options,
    )


def test_the_same_denials_and_codes(installed, user, place):
    ran = run(installed, user, place, "run", "--json", "--", "sh", "-c", "echo x > .mcp.json; echo y > ok; exit 3")
    report = json.loads(ran.stdout.splitlines()[-1])
    assert (ran.returncode, report["code"]) == (3, 3), ran.stderr
    assert [denial["rules"] for denial in report["denials"]] == [["coding-agent/runs-later"]]
    assert sorted(os.listdir(place / "w")) == ["ok"]
    assert (place / "h/.local/state/interlock").stat().st_mode & 0o777 == 0o700


def test_doctor_finds_nothing_missing(installed, user, place):
    ran = run(installed, user, place, "doctor", "--json")
    assert ran.returncode == 0, ran.stdout
    assert json.loads(ran.stdout)["healthy"] is True
