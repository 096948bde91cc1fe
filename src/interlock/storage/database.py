"""One small database in a file of the state directory: opened, changed in transactions, asked whether others wrote.

The port behind which everything with state stands. What is kept in one is a module of its own beside this
(`questions.py`, `agents.py`), and statements of SQL are nowhere else. SQLite with a write-ahead log carries it: several
processes share a file, and a transaction is whole or not there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.errors import EXIT_FAILED, HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: So long a transaction waits for another process's, in seconds.
BUSY_S_MAX: Final = 5.0
#: SQLITE_READONLY, SQLITE_IOERR and SQLITE_FULL, the low byte of a code (sqlite.org/rescode.html).
_DISK_ERRORS: Final = frozenset({8, 10, 13})

#: A value as it is stored.
Value = str | int | None


class Database:
    """One connection. Not shared between threads."""

    def __init__(self, path: str, *, schema: str, name: str) -> None:
        """Open the file at `path`, made 0600 when missing, with the tables of `schema`. `name` stands in messages.
        Raises `HostError` when it cannot be opened or is damaged."""
        self._name = name
        try:
            _make(path)
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S_MAX)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(schema)
        except (OSError, sqlite3.Error) as error:
            raise HostError(
                f"cannot open the {name} `{path}`: {error}", hint=_hint(error), exit_code=EXIT_FAILED
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @property
    def version(self) -> int:
        """A number that differs when another connection has written: cheap to ask often
        (sqlite.org/pragma.html#pragma_data_version)."""
        try:
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error as error:
            raise self._failed(error) from error
        return int(version)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """What is done inside is done whole, or not at all where it raises. Raises `HostError` when it fails."""
        with self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, statement: str, values: tuple[Value, ...] = ()) -> list[tuple[Value, ...]]:
        """What a statement finds. Raises `HostError`."""
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def change(self, statement: str, values: tuple[Value, ...] = ()) -> int:
        """How many rows a statement changed. Raises `HostError`."""
        with self._told():
            return self._connection.execute(statement, values).rowcount

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: sqlite3.Error) -> HostError:
        return HostError(f"the {self._name} failed: {error}", hint=_hint(error), exit_code=EXIT_FAILED)


def _make(path: str) -> None:
    """Make the file where it is missing. One that is there is not opened: closing any descriptor of it would take away
    the locks that another connection of this process holds (fcntl(2)), and processes would write over each other."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise OSError(errno.ELOOP, "it is not a regular file", path) from None


def _hint(error: OSError | sqlite3.Error) -> str:
    if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DISK_ERRORS:
        return "make room or make it writable, or set INTERLOCK_HOME to a directory that you may write"
    return "`interlock doctor` checks the state directory"
