"""What a session imports before its command starts: a person waits for each module, every time."""

from __future__ import annotations

#: Dear ones that no session of a plain program needs once its policy is compiled: they came in by one constant before.
DEAR = {"dataclasses", "inspect", "hashlib", "asyncio", "yaml", "ruamel", "urllib.request", "email", "ssl", "logging", "unittest"}


def test_a_session_imports_nothing_dear(cli):
    assert cli("run", "--", "true").returncode == 0  # compiles its policy, which the next finds
    done = cli("run", "--", "true", env=cli.environment | {"PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "interlock.host.supervisor" in imported
    assert not imported & DEAR
