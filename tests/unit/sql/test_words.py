"""The words of a statement are parted as SQLite parts them: SQLite itself says whether a text is one statement, and which kind."""

from __future__ import annotations

import sqlite3
from random import Random

import pytest

from interlock.sql.words import worded

PIECES = [
    "select", "SELECT", "1", "'a;b'", "'it''s'", '"where"', "[where]", "`where`", ";", "-- where\n", "/* ; where */", "/*/ ; /*/",
    "where", "(", ")", "with", "q", "as", "delete", "from", "t", "update", "set", "a", "=", ",", ":where", "@x", "$y", "?1", "?",
    "union", "values", "x'00'", "\n", "\t", "\f", "--", "/*", "replace", "insert", "into", "returning", "not", "é",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "verb", "statements", "has_where"),
    [
        ("delete from t where a", "delete", 1, True),
        ("delete from t -- where a", "delete", 1, False),
        ("delete from t /* where a */", "delete", 1, False),
        ("delete from t returning 'where'", "delete", 1, False),
        ("delete from t returning :where", "delete", 1, False),
        ("delete from t returning @where, $where, $a::where(where)", "delete", 1, False),
        ("delete from \"where\"", "delete", 1, False),
        ("delete from [where]", "delete", 1, False),
        ("delete from `where`", "delete", 1, False),
        ("delete from t returning (select 1 where 1)", "delete", 1, False),
        ("with q as (select 1 where 1) delete from t", "delete", 1, False),
        ("with replace as (select 1) delete from t", "delete", 1, False),
        ("with q(a) as not materialized (select 1), r as (values(1)) update t set a=1 where 1", "update", 1, True),
        ("select 1 where 1 union select 2", "select", 1, False),
        ("select 1 where 1 union all select 2 where 2", "select", 1, True),
        ("select 1;", "select", 1, False),
        (";select 1", "select", 1, False),
        ("select 1;;select 2", "select", 2, False),
        ("select ';'", "select", 1, False),
        ("/*/ select 1 /*/ delete from t", "delete", 1, False),
        ("", "", 0, False),
        ("/* never closed ; select", "", 0, False),
    ],
)  # fmt: skip
def test_a_text_is_read_as_sqlite_reads_it(text: str, verb: str, statements: int, has_where: bool) -> None:
    found = worded(text)
    assert (found.verb, found.statements, found.has_where) == (verb, statements, has_where)


def test_what_sqlite_takes_has_the_verb_that_sqlite_says() -> None:
    """Random texts of such pieces: whatever SQLite compiles as one statement is one here, begins with a word that is known, and
    changes something by its authorizer exactly where its verb says so."""
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=0)
    connection.execute("CREATE TABLE t(a, q)")
    random, taken = Random(51), 0
    changes = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
    asked: list[int] = []
    connection.set_authorizer(lambda what, *_: asked.append(what) or sqlite3.SQLITE_OK)
    frames = ["{} from t {}", "select {} {}", "delete from t {} {}", "with q as ({} {}) delete from t", "update t set a = {} {}", "{} {}"]
    for _ in range(60_000):
        parts = (" ".join(random.choices(PIECES, k=random.randint(0, 4))) for _ in range(2))
        text = random.choice(frames).format(*parts)
        asked.clear()
        try:
            connection.execute(f"EXPLAIN {text}", dict.fromkeys(["where", "x", "y", "1"], 1)).close()
        except (sqlite3.Error, sqlite3.Warning):
            continue
        found = worded(text)
        taken += 1
        assert found.statements == 1, text
        assert found.verb in ("select", "values", "delete", "update", "insert", "replace"), text
        assert (found.verb in ("delete", "update", "insert", "replace")) == bool(changes & set(asked)), text
    assert taken > 500
