"""Exec through the real supervisor: every way to do it, scripts, and races between the decision and the committed image.

Each race is first run without Interlock: there the evil program must win, or the race proves nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kernel.drive import EVERYTHING, FILE_VERBS, Drive, Message, policy, rule

PROGRAMS = Path(__file__).parent / "programs"
NOBODY = 65534
TRIES = 2_000_000 if os.environ.get("INTERLOCK_LONG") else 1_000
LIMIT_S = 14_000.0 if os.environ.get("INTERLOCK_LONG") else 170.0
WAYS = ["fork", "vfork", "spawn", "thread", "two-threads", "descriptor", "after-failures", "killed", "stopped"]

USERS = [None, NOBODY] if os.getuid() == 0 else [None]
FILES = rule("files", "allow", FILE_VERBS, path=["/**"])
RUN = rule("run", "allow", ["process.exec"], path=["/**"])
SIGNALS = rule("signals", "allow", ["process.signal"], to="inside")


@dataclass(frozen=True)
class Bench:
    """Compiled programs in a directory every user may enter and change."""

    path: Path

    def build(self, source: str, name: str, *flags: str) -> Path:
        built = self.path / name
        subprocess.run(["cc", "-O1", "-pthread", "-o", built, PROGRAMS / source, *flags], check=True)
        built.chmod(0o755)
        return built

    def script(self, name: str, text: bytes, mode: int = 0o755) -> Path:
        path = self.path / name
        path.write_bytes(text)
        path.chmod(mode)
        return path


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: `cc` is needed, on any machine")
    path = Path(tempfile.mkdtemp(prefix="interlock-exec-"))
    path.chmod(0o777)
    yield Bench(path)
    shutil.rmtree(path, ignore_errors=True)


def run(command: list[str], compiled: Message = EVERYTHING, *, user: int | None = None) -> tuple[Message, str, Drive]:
    """Runs a command to its end; what it printed; the session, whose state is still there."""
    with Drive(command, compiled, user=user) as drive:
        last, out, err = drive.finish(LIMIT_S)
        assert last["type"] == "exited", (last, err)
        return last, (out + err).decode(errors="surrogateescape"), drive


@pytest.mark.parametrize("user", USERS)
def test_every_way_to_exec_works_and_none_hangs(bench: Bench, user: int | None) -> None:
    ways = bench.build("exec_ways.c", "ways")
    last, out, _ = run([str(ways), "40", "/bin/true"], user=user)
    assert last["code"] == 0
    assert dict(line.split(" ", 1) for line in out.splitlines()) == dict.fromkeys(WAYS, "40 0")


@pytest.fixture(scope="module")
def racer(bench: Bench) -> Path:
    for letter in "ab":
        bench.build("letter.c", f"prog-{letter}", "-static", f"-DLETTER='{letter}'")
    (bench.path / "argument").mkdir(mode=0o755)
    bench.build("letter.c", "argument/prog-a", "-static", "-DARGUMENT")
    (bench.path / "link").symlink_to(bench.path / "prog-a")
    return bench.build("race_exec.c", "race")


class TestRaces:
    """Two threads, one of which execs while the other changes what it execs."""

    @pytest.mark.parametrize("user", USERS)
    @pytest.mark.parametrize("mode", ["path", "argument", "link"])
    def test_no_race_is_won(self, bench: Bench, racer: Path, mode: str, user: int | None) -> None:
        place = bench.path / "argument" if mode == "argument" else bench.path
        evil = (
            rule("evil", "deny", ["process.exec"], command={"program": ["prog-a"], "words": ["word-b"]})
            if mode == "argument"
            else rule("evil", "deny", ["process.exec"], path=["**/prog-b"])
        )
        control = subprocess.run([racer, mode, place, "1000"], check=True, capture_output=True, text=True).stdout
        _, out, drive = run([str(racer), mode, str(place), str(TRIES)], policy(FILES, RUN, evil, SIGNALS), user=user)
        tries, swaps, ran_good, ran_evil, killed, refused, other = map(int, out.split())
        wins = int(control.split()[3])
        print(f"{mode}: {tries} tries, {swaps} swaps, {killed} killed, {refused} refused, {ran_evil} won; control {wins} of 1000")
        assert wins > 0, "the control must be won, or nothing is shown"
        assert (ran_evil, other) == (0, 0)
        assert swaps > 0 and ran_good > 0
        assert ran_good + killed + refused == tries
        if killed:
            assert b"race.lost" in b"".join(path.read_bytes() for path in drive.state.rglob("*") if path.is_file())


class TestScripts:
    """`#!` as the kernel reads it: what runs is what runs without Interlock."""

    LINES = (
        b"#!/bin/echo",
        b"#!/bin/echo ",
        b"#! \t/bin/echo  a b \t",
        b"#!/bin/echo a\0 ",
        b"#!/bin/echo \0",
        b"#!/bin/echo\0x y",
        b"#!/usr/bin/env echo",
        b"#!/bin/echo " + b"x" * 400,
        b"#!/" + b"x" * 400,
        b"#!",
        b"#!/nonexistent/interpreter",
        b"#!/etc",
        b"",
        b"echo no first line",
    )
    PROBE = (
        "import os, subprocess, sys\n"
        "for name in sorted(os.listdir(sys.argv[1])):\n"
        "    path = os.path.join(sys.argv[1], name)\n"
        "    for given in ([path, '1', '2'], ['other-name'], ['']):\n"
        "        try: print(name, subprocess.run(given, executable=path, capture_output=True).stdout)\n"
        "        except OSError as error: print(name, error.errno)\n"
    )

    @pytest.mark.parametrize("user", USERS)
    def test_first_lines_mean_what_they_mean_natively(self, bench: Bench, user: int | None) -> None:
        place = bench.path / "lines"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o755)
        for index, line in enumerate(self.LINES):
            for ending in (b"", b"\n"):
                bench.script(f"lines/{index:02}-{len(ending)}", line + ending)
        nested = bench.script("outer-interpreter", b"#!/bin/echo outer\n")
        bench.script("lines/nested", b"#!" + str(nested).encode() + b" inner\n")
        command = ["/usr/bin/python3", "-I", "-c", self.PROBE, str(place)]
        native = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        last, out, _ = run(command, user=user)
        assert last["code"] == 0
        assert out == native

    def test_a_denied_interpreter_denies_its_scripts(self, bench: Bench) -> None:
        script = bench.script("hidden", b"#!/usr/bin/id -u\n")
        rules = policy(FILES, RUN, rule("no-id", "deny", ["process.exec"], command={"program": ["id"]}))
        last, out, _ = run(["/bin/sh", "-c", f"{script} x; echo $?"], rules)
        assert out.startswith("126\n"), out
        assert last["code"] == 0

    def test_arguments_of_the_interpreter_are_judged(self, bench: Bench) -> None:
        script = bench.script("flagged", b"#!/bin/echo --wicked\n")
        rules = policy(FILES, RUN, rule("flag", "deny", ["process.exec"], command={"program": ["echo"], "any_flag": ["--wicked"]}))
        _, out, _ = run(["/bin/sh", "-c", f"/bin/echo fine; {script}; echo $?"], rules)
        assert out.startswith("fine\n126\n"), out


def test_what_natively_fails_fails_alike(bench: Bench) -> None:
    plain = bench.script("plain", b"#!/bin/sh\n", mode=0o644)
    probe = (
        "import os\n"
        f"for path in ('/nonexistent', '/etc', '/etc/passwd', {str(plain)!r}, '', '/bin/true/x'):\n"
        "    try: os.execv(path, ['x'])\n"
        "    except OSError as error: print(path, error.errno)\n"
    )
    command = ["/usr/bin/python3", "-I", "-c", probe]
    native = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert run(command)[1] == native


def test_a_memory_file_is_judged_by_the_kernels_name_for_it() -> None:
    probe = (
        "import os, shutil\n"
        "memory = os.memfd_create('x', 0)\n"
        "os.write(memory, open('/bin/true', 'rb').read())\n"
        "try: os.execve(memory, ['true'], {})\n"
        "except OSError as error: print(error.errno)\n"
    )
    only_system = rule("run", "allow", ["process.exec"], path=["/usr/**", "/bin/**"])
    last, out, _ = run(["/usr/bin/python3", "-I", "-c", probe], policy(FILES, only_system))
    assert (last["code"], out) == (0, "13\n")


def test_too_many_arguments_are_too_many() -> None:
    probe = (
        "import os\n"
        "for given in (['x'] * 40_000, ['x', 'y' * 140_000], ['x'] + ['y' * 100_000] * 30):\n"
        "    try: os.execv('/bin/true', given)\n"
        "    except OSError as error: print(error.errno)\n"
    )
    _, out, _ = run(["/usr/bin/python3", "-I", "-c", probe])
    assert out == "7\n7\n7\n"


def test_many_arguments_pass() -> None:
    count = "import os; os.execv('/bin/sh', ['sh', '-c', 'echo $#'] + ['word'] * 20_000)"
    assert run(["/usr/bin/python3", "-I", "-c", count])[1] == "19999\n"


def test_a_program_its_user_cannot_read_is_refused(bench: Bench) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can make a program that another user may run and not read")
    secret = bench.path / "unreadable"
    shutil.copy("/bin/true", secret)
    secret.chmod(0o711)
    with Drive(["/bin/sh", "-c", f"{secret}; echo $?"], user=NOBODY) as drive:
        denied = drive.until("denied")
        _, out, _ = drive.finish()
    assert denied["action"]["target"]["path"] == str(secret)
    assert "may not read" in denied["decision"]["because"]
    assert out == b"126\n"
