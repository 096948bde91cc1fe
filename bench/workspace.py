"""Start-up in a workspace of 50,000 files beside the same in an empty one: what the walk for protected names costs, the first time and from then on.

Left column: the empty folder; right: the large one. Left out: what else a start costs (`host`).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from bench.host import place, run, seconds
from bench.row import Row

PACKAGES = 500
FOLDERS = ("", "lib", "lib/a", "dist", "dist/b", "src", "src/c", "test", "types", "docs")
FILES_EACH = 10
ROUNDS = 15
#: A folder that has just changed is read again, so the first starts after that are no measure (spec/policy.md).
SETTLED_S = 3


def lay(work: Path) -> None:
    for package in range(PACKAGES):
        for folder in FOLDERS:
            inner = work / "node_modules" / f"package{package}" / folder
            inner.mkdir(parents=True, exist_ok=True)
            for number in range(FILES_EACH):
                (inner / f"file{number}.js").write_text("x")


def rows() -> Iterator[Row]:
    with place() as (work, environment):
        empty, large = work / "empty", work / "large"
        empty.mkdir()
        large.mkdir()
        lay(large)
        time.sleep(SETTLED_S)

        def start(folder: Path) -> float:
            return seconds(lambda: run(folder, environment, "true", governed=True)) * 1e3

        start(empty)
        files = f"{PACKAGES * len(FOLDERS) * FILES_EACH:,} files"
        yield Row(f"start-up, {files}, first walk", "ms", start(empty), start(large))
        taken = [(start(empty), start(large)) for _ in range(ROUNDS)]
        medians = [statistics.median(each) for each in zip(*taken, strict=True)]
        yield Row(f"start-up, {files}, walk known", "ms", *medians)
