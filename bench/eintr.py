"""Calls that a signal ends with EINTR: SIGALRM at 1 kHz, its handler set without SA_RESTART, in 1, 4 and 16 busy processes; and
Python under SIGCHLD.

Natively none is, so the left column is nought and there is no ratio. Runs as whoever runs it: as root, and by
`setpriv --reuid 1000 --clear-groups` or the like as an ordinary user. Left out: handlers with SA_RESTART, which see nothing of it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.host import ROUNDS, place, run
from bench.row import Row

CHILDREN = Path(__file__).parent / "programs/children.py"
SOURCE = Path(__file__).resolve().parents[1] / "tests/kernel/programs/interrupted.c"
PROCESSES = (1, 4, 16)
MILLISECONDS = 2_000
INTERVAL_US = 1_000
COUNTS = re.compile(r"calls (\d+) signals (\d+) interrupted (\d+) wrong 0")


def rows() -> Iterator[Row]:
    with place() as (work, environment):
        program = work / "interrupted"
        subprocess.run(["cc", "-O1", "-o", program, SOURCE], check=True)

        (work / "children.py").write_text(CHILDREN.read_text())
        alarmed = (str(program), str(work), "PROCESSES", str(MILLISECONDS), str(INTERVAL_US))
        left_alone = (*alarmed[:-1], "0")
        bereft = (sys.executable, str(work / "children.py"), str(work), "PROCESSES", str(MILLISECONDS))

        def counted(command: tuple[str, ...], processes: int, *, governed: bool) -> tuple[int, int, int]:
            given = [str(processes) if word == "PROCESSES" else word for word in command]
            found = COUNTS.search(run(work, environment, *given, governed=governed))
            if found is None:
                raise SystemExit("bench: a call that said EINTR was done all the same")
            calls, signals, interrupted = map(int, found.groups())
            return calls, signals, interrupted

        for name, command in (("", alarmed), (" in Python", bereft)):
            for processes in PROCESSES:
                sums = dict.fromkeys((False, True), (0, 0, 0))
                for _ in range(ROUNDS):
                    for governed, sum_before in list(sums.items()):
                        now = counted(command, processes, governed=governed)
                        sums[governed] = tuple(map(sum, zip(sum_before, now, strict=True)))  # type: ignore[assignment]
                yield share(f"EINTR of calls, {processes} busy{name}", sums, of=0)
                yield share(f"EINTR of signals, {processes} busy{name}", sums, of=1)
        _, _, interrupted = counted(left_alone, max(PROCESSES), governed=True)
        yield Row("EINTR without signals, 16 busy", "", 0, interrupted)


def share(name: str, sums: dict[bool, tuple[int, int, int]], *, of: int) -> Row:
    """Interrupted calls by all calls (0) or all signals (1), in per cent."""
    percent = {governed: 100 * counts[2] / max(counts[of], 1) for governed, counts in sums.items()}
    return Row(name, "%", percent[False], percent[True])
