"""One SQLite database: what a statement does, and the statement run as it was decided about.

INVARIANT: what runs is what was decided. The statement is judged again on the connection that runs it; does it do
anything else than was decided, it is not run. While it runs, the authorizer admits what was asked while it was judged
and nothing else, also when SQLite compiles it again because the schema changed meanwhile. Reading goes over a
connection that cannot write. Left out: MCP (`server.py`).
"""

from __future__ import annotations

import base64
import math
import sqlite3
import time
from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import quote

from interlock.sql.judged import EPONYMOUS, READ, TEXT_BYTES_MAX, Judged, Parameters, Refusal, Schema, Value, judge
from interlock.vocabulary.json_value import JsonObject

VALUE_BYTES_MAX: Final = 4 << 20
ANSWER_BYTES_MAX: Final = 1 << 20
HEAP_BYTES_MAX: Final = 512 << 20
BUSY_S: Final = 5.0
#: Instructions of SQLite's machine between two looks at the clock.
STEPS: Final = 10_000
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: VALUE_BYTES_MAX,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: TEXT_BYTES_MAX + 16,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 32,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
#: After these, SQLite counts the rows that they changed themselves: a trigger's are not among them.
_COUNTED: Final = frozenset({"insert", "replace", "update", "delete"})
_INTEGER_MAX: Final = 1 << 53


class Failed(Exception):
    """A statement that was begun and did not end well: nothing of it remains. The message says why."""


class Bounds(NamedTuple):
    """What an answer may have, how long a statement may take, and whether it may change anything."""

    rows: int
    seconds: float
    writes: bool


class Rows(NamedTuple):
    """What a statement gave: names of columns, rows, how many rows it changed, and whether there were more rows."""

    columns: list[str]
    rows: list[list[Value]]
    changed: int
    more: bool


class Database:
    """See the module."""

    def __init__(self, path: str, bounds: Bounds, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `sqlite3.Error` where there is no such database."""
        self._path, self._bounds, self._clock = path, bounds, clock
        self._reading = self._opened("ro")
        self._reading.execute("PRAGMA query_only = ON")
        self._changing: sqlite3.Connection | None = None

    def judged(self, text: str, parameters: Parameters) -> Judged:
        """What the statement does. Raises `Refusal`."""
        judged = judge(self._reading, schema_of(self._reading), text, parameters)
        if judged.operation != READ and not self._bounds.writes:
            raise Refusal("this connector only reads (`writes: true` in its file lets it change the database)")
        return judged

    def run(self, text: str, parameters: Parameters, decided: object) -> Rows:
        """Run it, if it does what was `decided` (`Judged.told`) and nothing else. Raises `Refusal` where it is not run,
        and `Failed`."""
        connection = self._reading
        if self.judged(text, parameters).operation != READ:
            connection = self._changing = self._changing or self._opened("rw")
        judged = judge(connection, schema_of(connection), text, parameters)
        if judged.told() != decided:
            raise Refusal("it does something else than what was decided about")
        return self._run(connection, judged, text, parameters)

    def described(self, table: object) -> tuple[JsonObject, list[JsonObject]]:
        """Tables with their columns, or one of them, and what telling of them is, as `Judged.told`. Raises
        `Refusal`."""
        known = schema_of(self._reading)
        if table is not None and (not isinstance(table, str) or table.lower() not in known.columns):
            raise Refusal("there is no such table")
        names = sorted(known.columns.keys() - known.virtual) if table is None else [str(table).lower()]
        told: list[JsonObject] = [{"name": each, "columns": self._columns(each)} for each in names]
        columns = [f"{each}.{column}" for each in names for column in known.columns[each]]
        does: JsonObject = {"operation": READ, "verb": "describe", "tables": list(names), "changed": []}
        return {**does, "columns": sorted(columns), "functions": [], "where": None}, told

    def _columns(self, table: str) -> list[object]:
        asked = 'SELECT name, type, pk, "notnull" FROM pragma_table_xinfo(?)'
        found = self._reading.execute(asked, (table,)).fetchall()
        return [
            {"name": name, "type": kind, "key": bool(key), "required": bool(required)}
            for name, kind, key, required in found
        ]

    def _run(self, connection: sqlite3.Connection, judged: Judged, text: str, parameters: Parameters) -> Rows:
        until = self._clock() + self._bounds.seconds

        def admitted(*question: object) -> int:
            return sqlite3.SQLITE_OK if question in judged.asked else sqlite3.SQLITE_DENY

        connection.set_progress_handler(lambda: int(self._clock() > until), STEPS)
        connection.set_authorizer(admitted)
        try:
            cursor = connection.execute(text, parameters)
            columns = [str(each[0]) for each in cursor.description or ()]
            rows, more = self._rows(cursor)
            cursor.close()
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
            late = self._clock() > until
            raise Failed(f"it took longer than {self._bounds.seconds:g} s" if late else str(error)) from error
        finally:
            connection.set_authorizer(None)
            connection.set_progress_handler(None, 0)
        changed = connection.execute("SELECT changes()").fetchone()[0] if judged.verb in _COUNTED else 0
        return Rows(columns, rows, changed, more)

    def _rows(self, cursor: sqlite3.Cursor) -> tuple[list[list[Value]], bool]:
        rows: list[list[Value]] = []
        size = 0
        for row in cursor:
            shown = [_shown(value) for value in row]
            size += sum(len(each) if isinstance(each, str) else 8 for each in shown)
            if len(rows) == self._bounds.rows or size > ANSWER_BYTES_MAX:
                return rows, True
            rows.append(shown)
        return rows, False

    def _opened(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(self._path)}?mode={mode}", uri=True, isolation_level=None, cached_statements=0, timeout=BUSY_S
        )
        for name in EPONYMOUS:  # made known before anything is judged: SQLite defines them at their first use
            connection.execute(f"SELECT 1 FROM {name}('[]')").close()  # noqa: S608  names of our own
        for setting in ("trusted_schema = OFF", "cell_size_check = ON", "temp_store = MEMORY", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}").close()
        connection.execute(f"PRAGMA hard_heap_limit = {HEAP_BYTES_MAX}").close()
        for limit, most in _LIMITS.items():
            connection.setlimit(limit, most)
        return connection


def schema_of(connection: sqlite3.Connection) -> Schema:
    """The tables and views as they are now. Raises `Refusal` where they cannot be read."""
    columns: dict[str, tuple[str, ...]] = {}
    virtual: set[str] = set()
    try:
        listed = connection.execute("SELECT schema, name, type FROM pragma_table_list").fetchall()
        for database, name, kind in listed:
            if database == "main" and not name.lower().startswith("sqlite_"):
                found = connection.execute("SELECT name FROM pragma_table_xinfo(?)", (name,)).fetchall()
                columns[name.lower()] = tuple(str(each[0]).lower() for each in found)
                if kind in ("virtual", "shadow"):
                    virtual.add(name.lower())
        modules = {str(each[0]).lower() for each in connection.execute("SELECT name FROM pragma_module_list")}
    except sqlite3.Error as error:
        raise Refusal(f"the database's schema cannot be read: {error}") from error
    return Schema(columns, virtual, modules)


def _shown(value: object) -> Value:
    """A value as JSON has it: what no reader of JSON takes exactly becomes a text."""
    if isinstance(value, bytes):
        return f"base64:{base64.b64encode(value).decode()}"
    if isinstance(value, int):
        return value if -_INTEGER_MAX <= value <= _INTEGER_MAX else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return None if value is None else str(value)
