"""A SQLite database behind the gateway: what a statement does is told by SQLite before it is decided, and what runs is what was decided."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.gateway_stage import Stage, Start, call, modern, rule
from tests.gateway.gateway_stage import start as start  # the fixture
from tests.gateway.sql_statements import HONEST, HOSTILE, SCHEMA

from interlock.approvals.inbox import Inbox
from interlock.connectors.configuration import Connector, parse
from interlock.policy import Source, from_environment, load
from interlock.vocabulary.errors import OperatorError

READS = rule("reads", "allow", "tool.call", operation=["read"])
CHANGES = rule("changes", "allow", "tool.call", operation=["read", "write", "delete"])
ALL = rule("all", "allow", "tool.call")
SHORT = {"timeout": "2s"}


def shop(folder: Path, *, journal: str = "wal", writes: bool = True, **keys: str) -> Connector:
    folder.mkdir(exist_ok=True)
    with sqlite3.connect(folder / "shop.db") as made:
        made.execute(f"PRAGMA journal_mode = {journal}")
        made.executescript(SCHEMA)
    made.close()
    more = "".join(f"{key}: {value}\n" for key, value in keys.items())
    text = f"interlock: 1\nsql:\n  engine: sqlite\n  path: {folder}/shop.db\n  writes: {'true' if writes else 'false'}\n{more}"
    return parse(text, name="shop", file="shop.yaml")


def content(folder: Path) -> list[str]:
    with sqlite3.connect(f"file:{folder}/shop.db?mode=ro", uri=True) as read:
        return [*read.iterdump(), str(read.execute("PRAGMA user_version").fetchall())]


def query(stage: Stage, token: str, sql: str, parameters: Any = None) -> dict[str, Any]:
    given = {"sql": sql} if parameters is None else {"sql": sql, "parameters": parameters}
    found: dict[str, Any] = call(stage, token, "shop__query", **given)
    return found


def test_nothing_hostile_does_anything(start: Start, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary").write_text("canary")
    folder = tmp_path / "shop"
    stage = start(shop(folder, **SHORT), rules=(READS,))
    token, before = stage.token(), content(folder)
    assert len(HOSTILE) >= 100
    for sql in HOSTILE:
        sql = sql.replace("{outside}", f"{outside}/made").replace("{folder}", str(outside))
        result = query(stage, token, sql)
        assert result["isError"] is True, sql
        assert content(folder) == before, sql
        assert {each.name for each in outside.iterdir()} == {"canary"}, sql
        assert {each.name for each in folder.iterdir()} <= {f"shop.db{each}" for each in ("", "-wal", "-shm")}, sql
    assert query(stage, token, "SELECT count(*) FROM orders")["structuredContent"]["rows"] == [[4]], "it still serves"


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_nothing_honest_is_hindered(start: Start, tmp_path: Path, journal: str) -> None:
    folder = tmp_path / "shop"
    stage = start(shop(folder, journal=journal), rules=(CHANGES,))
    token = stage.token()
    shutil.copytree(folder, tmp_path / "copy")
    beside = sqlite3.connect(tmp_path / "copy" / "shop.db", isolation_level=None)
    beside.execute("PRAGMA foreign_keys = ON")
    assert len(HONEST) >= 50
    for sql, parameters in HONEST:
        result = query(stage, token, sql, parameters)
        assert not result["isError"], (sql, result)
        expected = [list(row) for row in beside.execute(sql, parameters).fetchall()]
        assert result["structuredContent"]["rows"] == expected, sql
        assert content(folder) == content(tmp_path / "copy"), sql
    beside.close()


def test_what_a_statement_does_is_in_the_action_and_goes_with_the_call(start: Start, tmp_path: Path) -> None:
    stage = start(shop(tmp_path / "shop"), rules=(CHANGES,))
    query(stage, stage.token(), "DELETE FROM Customers WHERE id = 3")
    (decided,) = stage.decided("tool.call")
    target = decided["action"]["target"]
    assert target["operation"] == "delete" and target["arguments"] == {"sql": "DELETE FROM Customers WHERE id = 3"}
    does = target["sql"]
    assert does["verb"] == "delete" and does["where"] is True
    assert does["changed"] == ["audit", "customers", "orders"], "what the foreign key deletes and its trigger writes"


SQL_RULES = """
interlock: 1
name: shop
rules:
  - {id: orders, allow: tool.call, sql: {tables: [orders, audit, customers, open_orders], changed: [orders, audit]}}
  - {id: secrets, deny: tool.call, sql: {columns: [customers.secret]}}
  - {id: everything, deny: tool.call, operation: [write, delete], sql: {where: false}}
  - {id: random, deny: tool.call, sql: {functions: ["random*"]}}
  - {id: counted, approve: tool.call, sql: {verb: [delete]}, timeout: 1s}
"""


def test_rules_on_tables_columns_functions_and_where(start: Start, tmp_path: Path) -> None:
    """An allow covers a statement that uses nothing else than it names; a deny touches one that uses any of it, however written."""
    written = tmp_path / "shop.yaml"
    written.write_text(SQL_RULES)
    found = load([Source.file(str(written))], from_environment({}, workspace=str(tmp_path), directories=[f"{tmp_path}/{each}" for each in "abcd"], home="/home/me", user="me"), workspace_layer=False)
    folder = tmp_path / "shop"
    stage = start(shop(folder), compiled=found.document())
    token = stage.token()
    _, listed = modern(stage, token, "tools/list")
    assert [each["name"] for each in listed["result"]["tools"]] == ["shop__describe", "shop__query"]
    for sql in ("SELECT total FROM orders", "SELECT name FROM customers WHERE id = 1", "SELECT * FROM open_orders", "SELECT 1",
                "UPDATE orders SET note = 'x' WHERE id = 1", "INSERT INTO orders(customer) VALUES(2)"):
        result = query(stage, token, sql)
        assert result["isError"] is False, (sql, result)
    before = content(folder)
    for sql, rule_id in (
        ("SELECT secret FROM customers", "secrets"), ("SELECT * FROM customers", "secrets"), ('SELECT c."SECRET" FROM [Customers] c', "secrets"),
        ("SELECT count(*) FROM customers WHERE secret LIKE 's%'", "secrets"), ("SELECT name FROM customers ORDER BY secret", "secrets"),
        ("WITH q AS (SELECT * FROM customers) SELECT name FROM q", "secrets"), ("SELECT (SELECT max(secret) FROM customers) FROM orders", "secrets"),
        ("INSERT INTO customers VALUES(9,'x','y','z')", "secrets"), ("DELETE FROM customers WHERE id = 1", "secrets"),
        ("INSERT INTO orders(note) SELECT secret FROM customers", "secrets"), ("SELECT total FROM orders UNION SELECT secret FROM customers", "secrets"),
        ("UPDATE orders SET total = 0", "everything"), ("UPDATE orders SET total = 0 /* WHERE */", "everything"),
        ("UPDATE orders SET note = 'WHERE' RETURNING (SELECT 1 WHERE 1)", "everything"), ("SELECT random() FROM orders", "random"),
        ("SELECT RANDOMBLOB(4)", "random"), ("UPDATE customers SET name = 'x' WHERE id = 1", ""), ("SELECT name FROM sqlite_master", ""),
        ("CREATE TABLE mine(a)", ""), ("DELETE FROM orders WHERE id = 1", "counted"),
    ):  # fmt: skip
        result = query(stage, token, sql)
        words = result["content"][0]["text"]
        assert result["isError"] is True and f"shop/{rule_id}" * bool(rule_id) in words, (sql, words)
        assert content(folder) == before, sql


def test_a_reader_is_refused_before_it_is_decided(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    stage = start(shop(folder, writes=False), rules=(ALL,))
    before = content(folder)
    result = query(stage, stage.token(), "DELETE FROM orders")
    assert "this connector only reads" in result["content"][0]["text"]
    assert [each["decision"]["decision"] for each in stage.decided("tool.call")] == ["deny"]
    assert content(folder) == before


def test_a_statement_that_became_another_one_is_not_run(start: Start, tmp_path: Path) -> None:
    """The schema changes between the decision and the run: what was decided is not what would happen."""
    folder = tmp_path / "shop"
    stage = start(shop(folder), rules=(rule("asks", "approve", "tool.call"),))
    token = stage.token()

    def change_then_answer() -> None:
        inbox = Inbox(str(stage.root / "inbox.sqlite"))
        while not inbox.pending():
            time.sleep(0.02)
        inbox.close()
        with sqlite3.connect(folder / "shop.db") as made:
            made.execute("CREATE TRIGGER late AFTER INSERT ON audit BEGIN DELETE FROM customers; END")
        made.close()
        stage.answer_next(yes=True)

    answering = threading.Thread(target=change_then_answer)
    answering.start()
    result = query(stage, token, "INSERT INTO orders(customer) VALUES(1)")
    answering.join()
    assert result["isError"] and "something else than what was decided" in result["content"][0]["text"]
    with sqlite3.connect(folder / "shop.db") as read:
        assert read.execute("SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders)").fetchone() == (3, 4)


def test_an_answer_is_bounded(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    connector = shop(folder)
    stage = start(connector, rules=(READS,))
    rows = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r LIMIT 5000) SELECT n FROM r"
    found = query(stage, stage.token(), rows)["structuredContent"]
    assert len(found["rows"]) == 1_000 and found["more"] is True
    wide = query(stage, stage.token(), "SELECT hex(zeroblob(400000)) FROM orders")["structuredContent"]
    assert len(json.dumps(wide)) < 1 << 20 and wide["more"] is True


def test_describe_tells_tables_and_is_decided_by_them(start: Start, tmp_path: Path) -> None:
    stage = start(shop(tmp_path / "shop"), rules=(READS,))
    token = stage.token()
    told = call(stage, token, "shop__describe")["structuredContent"]["tables"]
    assert [each["name"] for each in told] == ["audit", "customers", "open_orders", "orders"]
    one = call(stage, token, "shop__describe", table="Orders")["structuredContent"]["tables"]
    assert [each["name"] for each in one[0]["columns"]] == ["id", "customer", "total", "state", "note"]
    assert call(stage, token, "shop__describe", table="missing")["isError"] is True


def test_an_agents_own_word_on_a_statement_is_nothing(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    stage = start(shop(folder), rules=(READS,))
    before = content(folder)
    lie = {"operation": "read", "verb": "select", "tables": [], "changed": [], "columns": [], "functions": [], "where": None}
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    params = {"name": "shop__query", "arguments": {"sql": "DELETE FROM orders"}, "_meta": {**meta, "interlock/statement": lie}}
    _, answer = modern(stage, stage.token(), "tools/call", params)
    assert answer["result"]["isError"] is True and content(folder) == before


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("engine: mysql\n  path: /a/b.db", "`mysql` is not known here"),
        ("engine: sqlite", "`path` is missing"),
        ("engine: sqlite\n  path: a.db", "is not an absolute path"),
        ("engine: sqlite\n  path: /a/../b.db", "cannot be the path of a database"),
        ("engine: sqlite\n  path: '/a/*.db'", "cannot be the path of a database"),
        ("engine: sqlite\n  path: /a.db\n  rows: 0", "is not a number from 1"),
        ("engine: sqlite\n  path: /a.db\noperations: {query: read}", "is read off each statement"),
        ("engine: sqlite\n  path: /a.db\nper: call", "belongs to `stdio`"),
    ],
)  # fmt: skip
def test_a_file_that_means_nothing_is_refused(keys: str, words: str) -> None:
    with pytest.raises(OperatorError, match=re.escape(words)):
        parse(f"interlock: 1\nsql:\n  {keys}\n", name="shop", file="shop.yaml")
