"""The tables of this run, printed at its end; which rows are played."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from tests.matrix import known
from tests.matrix.servers import QUICK_SERVERS, SERVERS
from tests.matrix.table import Table, page

TRIED = ["started", "listed", "called", "killed", "restarted", "slow", "lying"]
ASKED = ["lists", "denied", "asked", "killed", "mended", "progress"]
CROSSED = [server.name for server in [*QUICK_SERVERS, *SERVERS]]
TABLES = {
    "crossing": Table("Clients × servers: called, and answered as it should be", "client", CROSSED, known.CROSSING),
    "clients": Table("Clients: what else was tried", "client", ASKED, known.CLIENTS),
    "servers": Table("Servers: what was tried", "server", TRIED, known.SERVERS),
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The whole table only where it is asked for: it installs some thirty packages."""
    if "matrix" in (config.getoption("markexpr") or ""):
        return
    for item in items:
        if item.get_closest_marker("matrix"):
            item.add_marker(pytest.mark.skip(reason="played by `make matrix`, which installs its package first"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The tables, on the terminal; and as a page where `INTERLOCK_MATRIX_PAGE` names its file."""
    played = [table for table in TABLES.values() if table.rows]
    for table in played:
        terminalreporter.write_line("")
        terminalreporter.write_line(table.text())
    if played and (path := os.environ.get("INTERLOCK_MATRIX_PAGE")):
        Path(path).write_text(page(played))
        terminalreporter.write_line(f"written to {path}")


@pytest.fixture
def tables() -> Iterator[dict[str, Table]]:
    yield TABLES
