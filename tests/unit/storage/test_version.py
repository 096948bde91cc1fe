"""A database is asked whether others wrote, as often as somebody acts: it must never say no after a commit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from interlock.storage.database import Database
from interlock.vocabulary.errors import HostError

SCHEMA = "CREATE TABLE IF NOT EXISTS t (a INTEGER) STRICT;"
WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    connection.execute(line)
    if line.startswith("PRAGMA"):
        connection.execute(line).fetchall()
    print("done", flush=True)
"""


def test_every_commit_of_another_is_seen_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "database")
    database, other = Database(path, schema=SCHEMA, name="test"), Database(path, schema=SCHEMA, name="test")
    seen = {database.version}
    for number in range(50):
        other.change("INSERT INTO t VALUES (?)", (number,))
        version = database.version
        assert version not in seen, number
        assert database.version == version
        seen.add(version)
    assert database.rows("SELECT count(*) FROM t") == [(50,)]


def test_another_process_is_seen_whatever_becomes_of_the_log(tmp_path: Path) -> None:
    """Its log is written back, cut and begun anew: none of that hides a commit."""
    path = str(tmp_path / "database")
    database = Database(path, schema=SCHEMA, name="test")
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdin=-1, stdout=-1, text=True) as writer:
        assert writer.stdin is not None and writer.stdout is not None
        for number in range(30):
            before = database.version
            for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", f"INSERT INTO t VALUES ({number})"):
                print(statement, file=writer.stdin, flush=True)
                assert writer.stdout.readline() == "done\n"
            assert database.version != before, number
        writer.stdin.close()
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdin=-1, stdout=-1, text=True) as again:
        before = database.version
        assert again.stdin is not None and again.stdout is not None
        print("DELETE FROM t", file=again.stdin, flush=True)
        assert again.stdout.readline() == "done\n"
        assert database.version != before
        again.kill()
    assert database.rows("SELECT count(*) FROM t") == [(0,)]


def test_a_second_connection_takes_no_lock_of_the_first_away(tmp_path: Path) -> None:
    """POSIX locks of a file go with any descriptor of it that their process closes: then another process would be alone in its own eyes."""
    path = tmp_path / "database"
    first = Database(str(path), schema=SCHEMA, name="test")
    Database(str(path), schema=SCHEMA, name="test").close()
    held = [line.split() for line in Path("/proc/locks").read_text().splitlines() if f":{path.stat().st_ino} " in line]
    assert [words[3] for words in held] == ["READ"], "a connection holds its database as long as it is open"
    alone = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('INSERT INTO t VALUES (7)'); c.commit(); c.close()"
    subprocess.run([sys.executable, "-c", alone, path], check=True)
    assert Path(f"{path}-shm").exists(), "the other one took itself for the last"
    assert first.rows("SELECT a FROM t") == [(7,)]


def test_what_is_no_file_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / "database").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError, match="not a regular file"):
        Database(str(tmp_path / "database"), schema=SCHEMA, name="test")
