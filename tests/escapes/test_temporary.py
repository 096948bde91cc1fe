"""A session has a temporary folder of its own, which goes with it: whatever it holds, and however the session ended."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from tests.escapes.arena import Arena

NESTED = """
import os, sys
top = os.environ["TMPDIR"]
os.chdir(top)
# Deeper than Python recurses, and more in one folder than is listed at once.
for number in range(1010):
    os.mkdir("d"); os.chdir("d")
os.symlink(sys.argv[1], "l"); open("f", "w").close()
os.chdir(top)
os.symlink(sys.argv[1], "l")
for shut in ("shut", "shut/below"): os.mkdir(shut)
open("shut/file", "w").close(); os.chmod("shut/below", 0); os.chmod("shut", 0)
os.mkdir(".lifted-0"); open(".lifted-0/x", "w").close(); open(".lifted-1", "w").close()
for number in range(1030): open(f"wide{number}", "w").close()
print(top)
"""


def command(arena: Arena, *words: str, more: tuple[str, ...] = ()) -> list[str]:
    interlock = str(arena.python.parent / "interlock")
    return [*arena._as_user(), interlock, "run", *more, "--workspace", str(arena.work), "--", *words]


def folders(arena: Arena) -> set[Path]:
    base = Path(arena.environment.get("TMPDIR", "/tmp"))
    return set(base.glob("interlock.*"))


@pytest.fixture(autouse=True)
def base(arena: Arena) -> Path:
    """Sessions of other tests make theirs in /tmp at the same time."""
    place = Path(f"/var/tmp/t{os.getpid()}{time.monotonic_ns() % 10**6}")
    place.mkdir()
    place.chmod(0o1777)
    arena.environment["TMPDIR"] = str(place)
    arena.build()
    yield place  # type: ignore[misc]
    subprocess.run(["rm", "-rf", place], check=True)


def test_every_program_finds_it_and_nobody_else_gets_in(arena: Arena, base: Path) -> None:
    script = (
        'echo $TMPDIR $TMP $TEMP; mktemp; stat -c "%a %U" "$(dirname "$TMPDIR")" "$TMPDIR"; id -un; echo x > "$TMPDIR/x"'
    )
    ran = arena.held("sh", "-c", script)
    lines = ran.output.splitlines()
    folder, *others = lines[0].split()
    assert others == [folder, folder] and lines[1].startswith(f"{folder}/tmp."), ran
    assert Path(folder).is_relative_to(base) and len(folder) <= 80
    if arena.user is None:
        # As another user, root's session reaches it; nobody outside finds the name.
        assert lines[2:4] == ["711 root", "1777 root"]
        ran = arena.held("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "mktemp")
        assert ran.code == 0, ran
    else:
        assert lines[3] == f"700 {lines[4]}"
    assert folders(arena) == set()


def test_it_goes_whatever_it_holds_and_takes_nothing_along(arena: Arena) -> None:
    kept = arena.work / "kept"
    kept.mkdir()
    (kept / "file").write_text("kept")
    arena._own()
    ran = arena.held("/usr/bin/python3", "-c", NESTED, str(kept))
    assert ran.code == 0 and "Traceback" not in ran.errors, ran
    assert folders(arena) == set()
    assert (kept / "file").read_text() == "kept"


def test_it_stays_while_something_of_the_session_runs(arena: Arena) -> None:
    script = 'echo "$TMPDIR"; (sleep 3; echo late > "$TMPDIR/late"; cat "$TMPDIR/late" > doing; mv doing done) > /dev/null 2>&1 &'
    ran = arena.held("sh", "-c", script)
    [folder] = ran.output.split()
    assert Path(folder).is_dir()
    until = time.monotonic() + 20
    while not (arena.work / "done").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert (arena.work / "done").read_text() == "late\n"
    time.sleep(0.5)
    arena.held("true")
    assert _swept(arena), folders(arena)


def _swept(arena: Arena) -> bool:
    until = time.monotonic() + 10
    while folders(arena) and time.monotonic() < until:
        arena.held("true")
    return not folders(arena)


def test_what_a_killed_session_left_goes_at_a_later_start_and_a_living_ones_stays(arena: Arena) -> None:
    def start() -> tuple[subprocess.Popen[str], Path]:
        words = ("sh", "-c", 'echo x > "$TMPDIR/x"; echo "$TMPDIR"; exec sleep 60')
        process = subprocess.Popen(
            command(arena, *words), cwd=arena.work, env=arena._environment(), stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    (killed, left), (living, kept) = start(), start()
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        until = time.monotonic() + 20
        while (left / "x").exists() and time.monotonic() < until:
            arena.held("true")
            time.sleep(0.2)
        assert not left.exists()
        assert (kept / "x").exists()
    finally:
        living.terminate()
        living.wait(timeout=20)
    assert _swept(arena)


def test_one_session_reads_nothing_of_anothers(arena: Arena) -> None:
    words = ("sh", "-c", 'echo secret > "$TMPDIR/x"; echo "$TMPDIR"; exec sleep 60')
    process = subprocess.Popen(
        command(arena, *words), cwd=arena.work, env=arena._environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        folder = process.stdout.readline().strip()
        look = ("sh", "-c", f'cat {folder}/x; ls {folder}; echo "$TMPDIR"')
        assert "secret" in arena.run(*look).output
        for preset in ("coding-agent", "observe"):
            ran = arena.held(*look, preset=preset)
            assert "secret" not in ran.output and len(ran.output.splitlines()) == 1, ran
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_where_the_persons_own_is_too_long_for_sockets_another_place_is_taken(arena: Arena) -> None:
    long = arena.root / ("n" * 60)
    long.mkdir()
    long.chmod(0o1777)
    arena.environment["TMPDIR"] = str(long)
    ran = arena.held("sh", "-c", 'echo "$TMPDIR"')
    assert ran.output.startswith("/tmp/interlock.") and stat.S_ISDIR(os.lstat("/tmp").st_mode), ran
