"""What a SQLite statement does, told by SQLite's own authorizer while it compiles the statement, which is not run.

The authorizer is asked for every table, column and function that the compiled statement uses: what a view reads, what
a trigger changes and what a foreign key deletes along with it are among them. What is not known here is refused: the
verbs, the kinds of objects and the functions are closed lists. The same calls are the closed list under which the
statement runs (`database.py`).

Refused whatever a policy says: more than one statement, other databases (ATTACH, VACUUM), settings (PRAGMA),
transactions, triggers, views, virtual and temporary tables, SQLite's own tables but to be read, extensions.
Left out: whether the statement may run, which is the policy's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from interlock.sql.functions import FUNCTIONS, OF_DEFINITIONS
from interlock.sql.words import Worded, worded
from interlock.vocabulary.json_value import JsonObject

Value = str | int | float | None
Parameters = Sequence[Value] | Mapping[str, Value]
#: One question of the authorizer: what, two names, the database, the trigger or view that it is for.
Asked = tuple[int, str | None, str | None, str | None, str | None]

TEXT_BYTES_MAX: Final = 100_000
#: What a statement may begin with.
VERBS: Final = ("select", "values", "with", "insert", "replace", "update", "delete", "create", "drop", "alter")
READ: Final = "read"
WRITE: Final = "write"
DELETE: Final = "delete"
ADMIN: Final = "admin"
#: The least first: a statement is of the class of the strictest thing that it does, its triggers' among them.
OPERATIONS: Final = (READ, WRITE, DELETE, ADMIN)
_SCHEMA: Final = "sqlite_master"
_TEMPORARY_SCHEMA: Final = "sqlite_temp_master"
_DEFINES: Final = {
    sqlite3.SQLITE_CREATE_TABLE: 1,
    sqlite3.SQLITE_DROP_TABLE: 1,
    sqlite3.SQLITE_CREATE_INDEX: 2,
    sqlite3.SQLITE_DROP_INDEX: 2,
    sqlite3.SQLITE_ALTER_TABLE: 2,
}
_HARMLESS: Final = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE})
_CHANGES: Final = {
    sqlite3.SQLITE_INSERT: WRITE,
    sqlite3.SQLITE_UPDATE: WRITE,
    sqlite3.SQLITE_DELETE: DELETE,
}
_REFUSED: Final = {
    sqlite3.SQLITE_PRAGMA: "it reads or changes a setting (PRAGMA)",
    sqlite3.SQLITE_ATTACH: "it opens another database (ATTACH)",
    sqlite3.SQLITE_DETACH: "it closes a database (DETACH)",
    sqlite3.SQLITE_TRANSACTION: "it begins or ends a transaction, and each statement is one of its own",
    sqlite3.SQLITE_SAVEPOINT: "it begins or ends a transaction, and each statement is one of its own",
    sqlite3.SQLITE_CREATE_TRIGGER: "it defines a trigger, which would act with later statements",
    sqlite3.SQLITE_DROP_TRIGGER: "it removes a trigger",
    sqlite3.SQLITE_CREATE_VIEW: "it defines a view, which would stand for other tables in later statements",
    sqlite3.SQLITE_DROP_VIEW: "it removes a view",
    sqlite3.SQLITE_CREATE_VTABLE: "it defines a virtual table",
    sqlite3.SQLITE_DROP_VTABLE: "it removes a virtual table",
    sqlite3.SQLITE_CREATE_TEMP_TABLE: "it defines a temporary object",
    sqlite3.SQLITE_CREATE_TEMP_TRIGGER: "it defines a temporary object",
    sqlite3.SQLITE_CREATE_TEMP_VIEW: "it defines a temporary object",
    sqlite3.SQLITE_CREATE_TEMP_INDEX: "it defines a temporary object",
}


class Refusal(Exception):
    """A statement that is not run whatever a policy says; the message says why."""


class Schema(NamedTuple):
    """The tables of a database by their names in small letters: the columns of each, which are virtual; and SQLite's
    modules, whose names are tables without being defined."""

    columns: dict[str, tuple[str, ...]]
    virtual: Collection[str]
    modules: Collection[str]


class Judged(NamedTuple):
    """What a statement does. Names are in small letters, as SQLite takes them alike.

    Attributes:
        operation: one of `OPERATIONS`.
        verb: the word that says what it does.
        tables: what it uses of tables and views, also by way of views, triggers and foreign keys.
        changed: those of them whose rows or definition it changes.
        columns: `table.column` that it reads or sets; of a table whose rows it adds or removes, all.
        functions: the functions that it calls.
        where: for a SELECT, UPDATE or DELETE, whether it has a WHERE of its own; else none.
        asked: all that the authorizer was asked, which is not told to anybody.
    """

    operation: str
    verb: str
    tables: tuple[str, ...]
    changed: tuple[str, ...]
    columns: tuple[str, ...]
    functions: tuple[str, ...]
    where: bool | None
    asked: frozenset[Asked]

    def told(self) -> JsonObject:
        """As it is decided about and recorded."""
        lists = {key: list(getattr(self, key)) for key in ("tables", "changed", "columns", "functions")}
        return {"operation": self.operation, "verb": self.verb, **lists, "where": self.where}


def judge(connection: sqlite3.Connection, schema: Schema, text: str, parameters: Parameters) -> Judged:
    """What the statement does. Its parameters are bound, which changes nothing of that. Raises `Refusal`."""
    said = worded(text)
    _check_words(text, said)
    asked: list[Asked] = []

    defining = said.first in ("create", "drop", "alter")

    def note(*question: object) -> int:
        """Tables that SQLite has ready made, such as `dbstat`, would be defined by this question: they stay unknown."""
        asked.append(question)  # type: ignore[arg-type]
        is_kept = not defining and question[0] in _CHANGES and question[1] == _SCHEMA
        return sqlite3.SQLITE_DENY if is_kept else sqlite3.SQLITE_OK

    connection.set_authorizer(note)
    try:
        connection.execute(f"EXPLAIN {text}", parameters).close()
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
        _check_kinds(asked)
        raise Refusal(f"SQLite does not take it: {error}") from error
    finally:
        connection.set_authorizer(None)
    return _read(said, asked, schema)


def _check_words(text: str, said: Worded) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > TEXT_BYTES_MAX:
        raise Refusal(f"it is longer than {TEXT_BYTES_MAX} bytes")
    if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise Refusal("it holds a character that no statement has")
    if said.statements == 0:
        raise Refusal("there is no statement in it")
    if said.statements > 1:
        raise Refusal("there is more than one statement in it")
    if said.first not in VERBS or not said.verb:
        raise Refusal(f"`{said.first or text.strip()[:16]}` begins no statement that is run here ({', '.join(VERBS)})")


class _Found:
    """What is gathered of the authorizer's questions."""

    def __init__(self, *, selects: bool) -> None:
        """`selects`: whether a statement that defines may read tables besides, as CREATE TABLE … AS does."""
        self.selects = selects
        self.operations = {READ}
        self.tables: set[str] = set()
        self.changed: set[str] = set()
        self.columns: set[str] = set()
        self.functions: set[str] = set()


def _read(said: Worded, asked: Sequence[Asked], schema: Schema) -> Judged:
    found = _Found(selects=said.verb == "create")
    _check_kinds(asked)
    defines = any(what in _DEFINES for what, *_ in asked)
    for question in asked:
        _gather(found, question, schema, defines=defines)
    made = {(name or "").lower() for what, name, *_ in asked if what == sqlite3.SQLITE_CREATE_TABLE}
    for table in found.tables - made:
        _check_table(table, schema)
    if (said.verb in ("select", "values")) != (found.operations == {READ}):
        raise Refusal("it changes something, and its words do not say it")
    return Judged(
        operation=max(found.operations, key=OPERATIONS.index),
        verb=said.verb,
        tables=tuple(sorted(found.tables)),
        changed=tuple(sorted(found.changed)),
        columns=tuple(sorted(found.columns)),
        functions=tuple(sorted(found.functions)),
        where=said.has_where if said.verb in ("select", "update", "delete") else None,
        asked=frozenset(asked),
    )


def _gather(found: _Found, question: Asked, schema: Schema, *, defines: bool) -> None:
    what, one, two, database, _ = question
    if what == sqlite3.SQLITE_ALTER_TABLE:
        database = one
    if defines and database == "temp" and one == _TEMPORARY_SCHEMA:
        return
    if database not in ("main", None):
        raise Refusal(f"it uses another database (`{database}`)")
    if what in _HARMLESS or (what == sqlite3.SQLITE_REINDEX and defines):
        return
    if what in _DEFINES:
        found.operations.add(ADMIN)
        table = ((one, two)[_DEFINES[what] - 1] or "").lower()
        found.tables.add(table)
        found.changed.add(table)
    elif what == sqlite3.SQLITE_FUNCTION:
        _call(found, (two or "").lower(), defines=defines)
    elif what == sqlite3.SQLITE_READ:
        _use(found, (one or "").lower(), (two or "").lower(), schema, defines=defines)
    elif what in _CHANGES:
        _change(found, what, (one or "").lower(), (two or "").lower(), schema, defines=defines)
    else:
        raise Refusal(f"it does something that is not known here (the authorizer's {what})")


def _call(found: _Found, name: str, *, defines: bool) -> None:
    if defines and name in OF_DEFINITIONS:
        return
    if name not in FUNCTIONS:
        raise Refusal(f"it calls `{name}`, which is not among the functions that may be called")
    if found.selects or not defines:
        found.functions.add(name)


def _check_kinds(asked: Sequence[Asked]) -> None:
    """What is refused by its kind, said before all else."""
    for what, *_ in asked:
        if what in _REFUSED:
            raise Refusal(_REFUSED[what])


def _use(found: _Found, table: str, column: str, schema: Schema, *, defines: bool) -> None:
    if defines and table.startswith("sqlite_") and (column == "rowid" or not found.selects):
        return  # SQLite's own way to the lines of what is defined
    if not column and table not in schema.columns and table not in schema.modules and not table.startswith("pragma_"):
        return  # a name that the statement gives, as WITH does: what it stands for was asked about by itself
    found.tables.add(table)
    if column:
        found.columns.add(f"{table}.{column}")


def _change(found: _Found, what: int, table: str, column: str, schema: Schema, *, defines: bool) -> None:
    if table.startswith("sqlite_"):
        if defines:
            return  # as part of a definition that was asked about; no statement that defines says this by itself
        raise Refusal(f"it changes `{table}`, which is SQLite's own")
    found.operations.add(_CHANGES[what])
    found.tables.add(table)
    found.changed.add(table)
    whole = schema.columns.get(table, ())
    found.columns.update(f"{table}.{each}" for each in ((column,) if column else whole))


def _check_table(table: str, schema: Schema) -> None:
    if table in schema.virtual:
        raise Refusal(f"`{table}` is a virtual table, whose module runs statements of its own")
    if table not in schema.columns and table not in (_SCHEMA, "sqlite_sequence", "sqlite_stat1", *EPONYMOUS):
        raise Refusal(f"`{table}` is no table of the database")


#: Table functions that read nothing but their arguments.
EPONYMOUS: Final = ("json_each", "json_tree")
