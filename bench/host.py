"""Host plane: the same work without and with `interlock run`, interleaved so that both see the same machine.

Left out: what several agents at once cost each other. Micro figures are measured inside one session, so start-up does not
count in them; start-up has its own row.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.row import Row

INTERLOCK = (str(Path(sys.executable).parent / "interlock"), "run", "--preset", "coding-agent")
FILES = 5_000
SOURCES = 200
REMOVED = 5_000
ROUNDS = 3


@contextmanager
def place() -> Iterator[tuple[Path, dict[str, str]]]:
    """A throw-away home and workspace, and the environment that points there."""
    root = Path(tempfile.mkdtemp(prefix="interlock-bench-", dir="/var/tmp"))
    (root / "home").mkdir()
    (root / "work").mkdir()
    environment = dict(os.environ) | {"HOME": str(root / "home"), "INTERLOCK_HOME": str(root / "state")}
    try:
        yield root / "work", environment
    finally:
        shutil.rmtree(root, ignore_errors=True)


def run(work: Path, environment: dict[str, str], *command: str, governed: bool, options: tuple[str, ...] = ()) -> str:
    prefix = [*INTERLOCK, "--workspace", str(work), *options, "--"] if governed else []
    done = subprocess.run(
        [*prefix, *command], cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"bench: `{' '.join(command)}` failed with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def pair(name: str, unit: str, once: Callable[[bool], float], scale: float = 1.0) -> Row:
    """Alternate native and governed; the medians are compared."""
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for governed in (False, True):
            taken[governed].append(once(governed) * scale)
    return Row(name, unit, statistics.median(taken[False]), statistics.median(taken[True]))


def micro(work: Path, environment: dict[str, str]) -> Iterator[Row]:
    program = work / "micro"
    source = Path(__file__).parent / "programs" / "micro.c"
    subprocess.run(["cc", "-O2", "-o", program, source], check=True)
    (work / "file").write_text("x")

    def figure(kind: str, path: str, each: int) -> Callable[[bool], float]:
        return lambda governed: float(run(work, environment, str(program), kind, path, str(each), governed=governed))

    yield pair("open+close", "µs", figure("open", str(work / "file"), 5_000), 1e-3)
    yield pair("create+unlink", "µs", figure("create", str(work / "made"), 1_000), 1e-3)
    yield pair("stat (not mediated)", "µs", figure("stat", str(work / "file"), 20_000), 1e-3)
    yield pair("exec of true", "µs", figure("exec", "/bin/true", 50), 1e-3)


def start(work: Path, environment: dict[str, str]) -> Row:
    return pair(
        "start-up (true)",
        "ms",
        lambda governed: seconds(lambda: run(work, environment, "true", governed=governed)),
        1e3,
    )


def git(work: Path, environment: dict[str, str]) -> Iterator[Row]:
    repository = work / "repository"
    repository.mkdir()
    for number in range(FILES):
        folder = repository / f"d{number % 50}"
        folder.mkdir(exist_ok=True)
        (folder / f"f{number}.txt").write_text(f"{number}\n")
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "files"]):
        subprocess.run(["git", *command], cwd=repository, env=environment, check=True, capture_output=True)
    five = "for i in 1 2 3 4 5; do git status --short; done"
    timed = f"cd repository && begin=$(date +%s%N) && {five} && echo $(($(date +%s%N) - begin))"
    yield pair(
        f"git status ×5, {FILES} files",
        "ms",
        lambda governed: float(run(work, environment, "sh", "-c", timed, governed=governed)),
        1e-6,
    )
    yield pair(
        f"git status ×5, {FILES} files, with start-up",
        "ms",
        lambda governed: seconds(
            lambda: run(work, environment, "sh", "-c", f"cd repository && {five}", governed=governed)
        ),
        1e3,
    )


def make(work: Path, environment: dict[str, str]) -> Row:
    tree = work / "tree"
    tree.mkdir()
    names = [f"unit{number}" for number in range(SOURCES)]
    for name in names:
        (tree / f"{name}.c").write_text(
            f'#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint {name}(void) {{ return puts("{name}"); }}\n'
        )
    objects = " ".join(f"{name}.o" for name in names)
    (tree / "Makefile").write_text(f"all: {objects}\n\tar rcs lib.a {objects}\n%.o: %.c\n\tcc -O1 -c $< -o $@\n")
    script = "cd tree && rm -f *.o lib.a && make -s -j2"
    return pair(
        f"make -j2, {SOURCES} files",
        "s",
        lambda governed: seconds(lambda: run(work, environment, "sh", "-c", script, governed=governed)),
    )


def journal(work: Path, environment: dict[str, str]) -> Iterator[Row]:
    """Sessions with and without a journal, both governed: what keeping costs. Of before are the sources, the repository
    and the folder that is removed; what make writes is the session's own.
    """
    many = work / "many"

    def laid() -> None:
        shutil.rmtree(many, ignore_errors=True)
        for number in range(REMOVED):
            folder = many / f"d{number % 50}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"f{number}").write_text("x\n")

    def timed(script: str, scale: float) -> Callable[[bool], float]:
        whole = f"begin=$(date +%s%N) && {script} && echo $(($(date +%s%N) - begin))"

        def once(kept: bool) -> float:
            laid()
            options = ("--journal", "2GiB") if kept else ()
            return float(run(work, environment, "sh", "-c", whole, governed=True, options=options)) * scale

        return once

    five = "cd repository && for i in 1 2 3 4 5; do git status --short; done"
    yield pair("journal: git status ×5 with it, against none", "ms", timed(five, 1e-6))
    yield pair("journal: make -j2 with it", "s", timed("cd tree && rm -f *.o lib.a && make -s -j2", 1e-9))
    yield pair(f"journal: rm -rf of {REMOVED} files with it, each", "µs", timed("rm -rf many", 1e-3 / REMOVED))


def rows() -> Iterator[Row]:
    with place() as (work, environment):
        run(work, environment, "true", governed=True)  # keys and the policy's cache are made at first use
        yield start(work, environment)
        yield from micro(work, environment)
        yield from git(work, environment)
        yield make(work, environment)
        yield from journal(work, environment)
