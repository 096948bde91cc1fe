"""`python -m bench trace open`: the files of the supervisor that one allowed open passes through, from its arrival to its answer.

The supervisor is built once more, with counters (`target/trace`, a minute the first time). In a session that is already running a program opens
files on a word. What every single open counted is on its way; what the session does besides (its clock, what went before) is not.
The files stand in the order of the walk in ARCHITECTURE.md, those that it does not name at the end. Counted are the files of the host plane: not
the engine, the ledger's writer and the readers of the kernel's interface, which are other crates, and not `sys/`, the raw system calls.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.kernel.drive import EVERYTHING, Drive

from bench.coverage import Instrumented

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "target" / "trace"
SOURCES = "crates/interlock-linux/src/"
#: Opens of one measurement: so many that what happens by the clock meanwhile counts less.
OPENS = 400
#: Besides the files of the host plane: how many files of these are passed through is said as well.
COUNTED = (
    ("interlock-core/", "engine"),
    ("interlock-ledger/", "ledger's writer"),
    ("interlock-abi/", "readers of the kernel's interface"),
    ("interlock-linux/src/sys/", "raw system calls"),
)
#: What runs in the session. Each file is another one, so that none is known from before.
PROGRAM = """
import os, time
folder, opens = {folder!r}, {opens}
print("ready", flush=True)
while not os.access(folder + "/go", os.F_OK): time.sleep(0.01)
for number in range(opens): os.close(os.open(f"{{folder}}/{{number}}", os.O_RDONLY | os.O_CLOEXEC))
print("done", flush=True)
while not os.access(folder + "/end", os.F_OK): time.sleep(0.01)
"""


def built() -> Path:
    """The supervisor with counters."""
    command = ["cargo", "build", "--quiet", "--locked", "--package", "interlock-linux", "--bin", "interlock-supervisor"]
    environment = {**os.environ, "RUSTFLAGS": "-C instrument-coverage", "CARGO_TARGET_DIR": str(TARGET), "CARGO_PROFILE_DEV_DEBUG": "0"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return TARGET / "debug" / "interlock-supervisor"


def passed() -> set[str]:
    """Every source file in which each of the opens ran something."""
    supervisor = Instrumented(built())
    os.environ["INTERLOCK_SUPERVISOR"] = str(supervisor.executable)
    with tempfile.TemporaryDirectory(prefix="interlock-trace-") as folder:
        for number in range(OPENS):
            Path(folder, str(number)).write_text("x")
        program = PROGRAM.format(folder=folder, opens=OPENS)
        quiet = {"LLVM_PROFILE_FILE": "/dev/null"}
        with Drive([sys.executable, "-c", program], EVERYTHING, supervisor_environment=quiet) as drive:
            said(drive, b"ready")
            before = supervisor.counts(drive.process.pid)
            Path(folder, "go").touch()
            said(drive, b"done")
            after = supervisor.counts(drive.process.pid)
            Path(folder, "end").touch()
    grown = [new - old for old, new in zip(before, after, strict=True)]
    return {each.file for each in supervisor.functions if max(grown[each.first : each.first + each.count], default=0) >= OPENS}


def said(drive: Drive, word: bytes) -> None:
    heard = b""
    while word not in heard:
        more = os.read(drive.stdout, 100)
        if not more:
            raise RuntimeError("the program in the session ended early")
        heard += more


def told() -> list[str]:
    """The files that the walk through an open names, in the order in which it first does."""
    walk = (ROOT / "ARCHITECTURE.md").read_text().partition("## One open, followed")[2].partition("\n## ")[0]
    return list(dict.fromkeys(f"{SOURCES}{name}" for name in re.findall(r"`((?:\w+/)*\w+\.rs)`", walk)))


def way(files: set[str]) -> Iterator[str]:
    """The files of the host plane among those passed, in order."""
    own = {file[file.index(SOURCES) :] for file in files if SOURCES in file}
    counted = {file for file in own if not file.startswith(f"{SOURCES}sys/")}
    yield from (file for file in told() if file in counted)
    yield from sorted(counted - set(told()))


def main() -> None:
    """Print them."""
    files = passed()
    here = list(way(files))
    print(f"{len(here)} files, one allowed open")
    for file in here:
        print(f"  {file}")
    for crate, what in COUNTED:
        print(f"and {sum(crate in file for file in files)} of the {what}")
