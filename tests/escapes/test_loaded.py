"""What the next Interlock is loaded from is out of reach, whole: every file that a real start opens is looked at.

`strace` says what it opens. A session then tries to open each for writing, which changes none; for an ordinary user the
kernel refuses most of these by itself, so root's run is the one that shows something. Links on the way are asked of the
policy, since taking one away would break the machine of the control.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.escapes.arena import Arena

#: Read for what they say, and never run or followed: who a user is, what the time zone is, which servers answer names.
#: `/etc/gitconfig` is denied to the default preset; under `observe` it is root's own to change.
DATA = re.compile(
    r"/(proc|sys|dev)/|/etc/(passwd|group|localtime|resolv\.conf|gitconfig|hosts|host\.conf|machine-id|os-release)$|/usr/share/zoneinfo/"
)
TRIES = """
import os, sys
for path in sys.stdin.read().split("\\0"):
    try: os.close(os.open(path, os.O_WRONLY))
    except OSError as error: print(error.errno, path)
    else: print(0, path)
"""


@pytest.fixture
def opened(arena: Arena) -> list[str]:
    """Files that exist and that `interlock run` opens or executes before the command is there."""
    if shutil.which("strace") is None:
        pytest.skip("a machine with strace is needed")
    if arena.user is not None:
        pytest.skip("what an ordinary user cannot write needs no guard; the root run shows it")
    trace = arena.root / "trace"
    command = [arena.python.parent / "interlock", "run", "--preset", "observe", "--workspace", arena.work, "--", "true"]
    subprocess.run(
        ["strace", "-f", "-qq", "-s", "4096", "-e", "trace=open,openat,execve", "-o", trace, *command],
        cwd=arena.work, env=arena._environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
    )  # fmt: skip
    lines = [line for line in trace.read_text(errors="replace").splitlines() if " = -1 " not in line]
    named = {found[1] for line in lines if (found := re.search(r'"(/[^"]*)"', line))}
    places = [str(arena.root), "/tmp/interlock.", "/var/tmp/interlock."]
    return sorted(
        path for path in named if os.path.isfile(path) and not DATA.search(path) and not path.startswith(tuple(places))
    )


def test_no_file_that_a_start_opens_can_be_changed(arena: Arena, opened: list[str]) -> None:
    opened += [path for name in ("/etc/ld.so.preload",) if os.path.exists(path := name)]
    assert any(path.endswith("interlock-supervisor") for path in opened)
    assert any("/libc.so.6" in path for path in opened)
    assert "/etc/ld.so.cache" in opened
    done = arena.held("/usr/bin/python3", "-c", TRIES, preset="observe", stdin="\0".join(opened))
    said = dict(reversed(line.split(" ", 1)) for line in done.output.splitlines())  # type: ignore[misc]
    assert len(said) == len(opened)
    assert [path for path, errno in said.items() if errno != "13"] == []


#: Names that need not be there: the loader, the C library or Python would take them.
ABSENT = [
    "/etc/ld.so.preload",
    "/etc/ld.so.conf.d/zz.conf",
    "/usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/libc.so.6",
    "/usr/local/lib/libz.so.1",
    "/usr/lib/x86_64-linux-gnu/ossl-modules/other.so",
    "/usr/lib/x86_64-linux-gnu/gconv/OTHER.so",
]


def decided(arena: Arena, acts: list[tuple[str, str]]) -> list[str]:
    """What `observe` says of acts, by the rule that denied."""
    lines = [json.dumps({"action": action(verb, path), "facts": {}}) for verb, path in acts]
    done = arena.run(
        *[arena.python.parent / "interlock", "policy", "decide", "--preset", "observe", "--workspace", arena.work],
        stdin="\n".join(lines) + "\n",
    )
    assert done.code == 0, done.errors
    return done.output.splitlines()


def test_no_link_on_the_way_is_made_to_lead_elsewhere(arena: Arena, opened: list[str]) -> None:
    links = sorted({link for path in opened for link in links_on(path)})
    assert links
    for said in decided(arena, [("file.delete", link) for link in links]):
        assert '"deny"' in said, said


def test_no_name_is_made_that_would_be_loaded_first(arena: Arena, opened: list[str]) -> None:
    assert opened
    for said in decided(arena, [("file.create", path) for path in ABSENT]):
        assert '"deny"' in said, said


def action(verb: str, path: str) -> dict[str, object]:
    return {
        "id": "s-20260101T000000-000000/1",
        "plane": "host",
        "verb": verb,
        "target": {"path": path},
        "subject": {"session": "s"},
    }


def links_on(path: str) -> list[str]:
    """Links among a path and its folders, by the names that the kernel gives them."""
    found = []
    for place in [Path(path), *Path(path).parents]:
        name = os.path.join(os.path.realpath(place.parent), place.name)
        if os.path.islink(name):
            found.append(name)
            found += links_on(os.path.join(os.path.dirname(name), os.readlink(name)))
    return found
