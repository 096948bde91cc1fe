"""The process that holds the database of a SQL connector: the program `interlock.sql.server`, as a stdio server that
may open this database's files and change no others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import interlock
from interlock.connectors.configuration import Connector, Limits, Sql, Stdio

#: What SQLite keeps beside a database while it is open.
_BESIDE: Final = ("", "-journal", "-wal", "-shm")
_MEMORY_BYTES: Final = 1024**3
_PROCESSES: Final = 4
#: Of a call's time, so that a statement that takes too long is undone and said to be before the call is given up.
_SHARE: Final = 0.8


def holding(connector: Connector, server: Sql) -> Stdio:
    """The server to be started for it."""
    bounds = ["--rows", str(server.rows), "--seconds", f"{connector.timeout_ms * _SHARE / 1000:g}"]
    writes = ["--writes"] if server.writes else []
    return Stdio(
        command=(sys.executable, "-I", "-B", "-m", "interlock.sql.server", *bounds, *writes, server.path),
        code=(str(Path(interlock.__file__).parent),),
        limits=Limits(memory_bytes=_MEMORY_BYTES, processes=_PROCESSES),
        files=tuple(f"{server.path}{suffix}" for suffix in _BESIDE),
    )
