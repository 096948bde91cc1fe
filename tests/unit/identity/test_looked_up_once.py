"""Whether somebody has written is asked once in a turn of the loop, and what was revoked is nobody in the next one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from interlock.identity.authenticate import Registry, digest_of

AUDIENCE, HOUR_MS = "http://127.0.0.1:7391", 3_600_000


def test_a_revoked_token_is_seen_in_the_next_turn(tmp_path: Path) -> None:
    path, turn = str(tmp_path / "registry"), list[Callable[[], None]]()
    operator, gateway = Registry(path), Registry(path, soon=turn.append)
    operator.add("coder", 1)
    digest = digest_of(operator.issue_user("coder", audience=AUDIENCE, uid=1000, ttl_ms=HOUR_MS, now_ms=1))
    for _ in range(3):
        found = gateway.find(digest)
        assert found is not None and found.revoked_ms is None
    assert len(turn) == 1  # asked once
    operator.revoke("coder", 2)
    turn.pop()()
    found = gateway.find(digest)
    assert found is not None and found.revoked_ms == 2
    assert gateway.revoked() == {"coder"} and len(turn) == 1


def test_without_a_loop_every_look_is_a_fresh_one(tmp_path: Path) -> None:
    operator, other = Registry(str(tmp_path / "registry")), Registry(str(tmp_path / "registry"))
    assert other.revoked() == frozenset()
    operator.add("coder", 1)
    operator.revoke("coder", 2)
    assert other.revoked() == {"coder"}
