"""A denied write in place at a free name leaves nothing there: the empty file that the open made is taken away, and never another's."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.escapes.arena import Arena
from tests.escapes.test_guarded_keys import held, lay_out

EVIL = '{"mcpServers": {"old": {"command": "evil"}}}'
GOOD = '{"n": 2}'
#: How a file is made and written in place at a name that was free.
MADE = {
    "the shell": f"printf '%s' '{EVIL}' > settings/agent.json",
    "appended": f"printf '%s' '{EVIL}' >> settings/agent.json",
    "copied": f"printf '%s' '{EVIL}' > new; cp new settings/agent.json",
    "with O_EXCL": f"set -C; printf '%s' '{EVIL}' > settings/agent.json",
    "through a link that led nowhere": f"ln -s settings/agent.json link; printf '%s' '{EVIL}' > link",
    "in a folder that the session made": f"rm -r settings; mkdir settings; printf '%s' '{EVIL}' > settings/agent.json",
    "what cannot be read": "printf '{' > settings/agent.json",
    "twice": f"printf '%s' '{EVIL}' > settings/agent.json; sleep 0.2; printf '%s' '{EVIL}' > settings/agent.json",
    "by a child, later": f"(sleep 0.3; printf '%s' '{EVIL}') > settings/agent.json & wait",
}


@pytest.fixture
def free(arena: Arena) -> Arena:
    lay_out(arena)
    (arena.work / "settings" / "agent.json").unlink()
    return arena


def names(arena: Arena) -> list[str]:
    return sorted(path.name for path in (arena.work / "settings").iterdir())


@pytest.mark.parametrize("way", MADE)
def test_a_denied_write_leaves_nothing(free: Arena, way: str) -> None:
    free.run("sh", "-c", MADE[way])
    assert names(free) == ["agent.json"], "the control"
    lay_out(free)
    (free.work / "settings" / "agent.json").unlink()
    held(free, "sh", "-c", MADE[way])
    assert names(free) == []


#: What a session makes there without a denied write, and what is there then.
STAYS = {
    "an empty file": (": > settings/agent.json", ""),
    "an empty file, and a denied write to it later": (
        f": > settings/agent.json; sleep 0.3; printf '%s' '{EVIL}' > settings/agent.json",
        "",
    ),
    "what is allowed": (f"printf '%s' '{GOOD}' > settings/agent.json", GOOD),
    "what is allowed after what is denied": (
        f"printf '%s' '{EVIL}' > settings/agent.json; printf '%s' '{GOOD}' > settings/agent.json",
        GOOD,
    ),
}


@pytest.mark.parametrize("use", STAYS)
def test_what_was_not_denied_stays(free: Arena, use: str) -> None:
    script, content = STAYS[use]
    done = held(free, "sh", "-c", script)
    assert names(free) == ["agent.json"], done.errors
    assert (free.work / "settings" / "agent.json").read_text() == content


#: What somebody outside does with the name while the session has the file open, and what they find there afterwards.
OUTSIDE = {
    "an empty file of theirs": ("rm settings/agent.json; : > settings/agent.json", ""),
    "a file of theirs": ("rm settings/agent.json; echo theirs > settings/agent.json", "theirs\n"),
    "their words in it": ("echo theirs > settings/agent.json", "theirs\n"),
    "their folder": ("rm settings/agent.json; mkdir settings/agent.json", None),
}


@pytest.mark.parametrize("theirs", OUTSIDE)
def test_what_is_anothers_stays(free: Arena, theirs: str) -> None:
    script, content = OUTSIDE[theirs]
    program = f"""
import os, time
file = os.open("settings/agent.json", os.O_WRONLY | os.O_CREAT, 0o644)
os.write(file, {EVIL!r}.encode())
open("ready", "w").close()
while not os.path.exists("go"): time.sleep(0.01)
os.close(file)
"""
    interlock = str(free.python.parent / "interlock")
    options = ["--policy", str(free.root / "keyed.yaml"), "--workspace", str(free.work)]
    command = [*free._as_user(), interlock, "run", *options, "--", str(free.python), "-c", program]
    run = subprocess.Popen(
        command, cwd=free.work, env=free._environment(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    deadline = time.monotonic() + 60
    while not (free.work / "ready").exists():
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    found = free.run(
        "sh", "-c", f"test -f settings/agent.json && test ! -s settings/agent.json && {script} && touch go"
    )
    assert found.code == 0, found.errors
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 0, errors
    assert names(free) == ["agent.json"]
    there = free.work / "settings" / "agent.json"
    assert (there.read_text() if there.is_file() else None) == content


def test_what_somebody_outside_has_open_for_writing_stays(free: Arena) -> None:
    fifo, there = free.root / "fifo", free.work / "settings" / "agent.json"
    free.run("mkfifo", fifo)
    holder = "exec 3>> settings/agent.json; : > held; read _ < ../fifo; echo theirs >&3"
    start = f"exec 3> settings/agent.json; : > ready; until test -e held; do sleep 0.05; done; printf '%s' '{EVIL}' >&3; exec 3>&-; sleep 0.5"
    interlock = str(free.python.parent / "interlock")
    options = ["--policy", str(free.root / "keyed.yaml"), "--workspace", str(free.work)]
    command = [*free._as_user(), interlock, "run", *options, "--", "sh", "-c", start]
    run = subprocess.Popen(
        command, cwd=free.work, env=free._environment(), stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not (free.work / "ready").exists():
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    other = subprocess.Popen([*free._as_user(), "sh", "-c", holder], cwd=free.work)
    assert run.wait(60) == 0
    fifo.write_text("\n")
    assert other.wait(60) == 0
    assert there.read_text() == "theirs\n"
