"""Agents and their tokens in `state/registry.sqlite`: only digests of tokens are kept, each with its audience,
expiry and binding.

A token is `ilk_` and 32 random bytes in base64url. Revoking is seen by every process at its next look, since a
cached answer is kept only as long as SQLite's data_version says that nobody has written
(sqlite.org/pragma.html#pragma_data_version). Left out: which connection a token may be used on (`authenticate.py`).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from interlock.mediate.principal import Binding
from interlock.vocabulary.errors import EXIT_FAILED, HostError, OperatorError

TOKEN_PREFIX: Final = "ilk_"  # noqa: S105 - the public prefix of every token, by which scanners know one
TOKEN_TEXT: Final = re.compile(r"ilk_[A-Za-z0-9_-]{43}", re.ASCII)
AGENT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)
TTL_MS_MAX: Final = 30 * 24 * 3600 * 1000
BUSY_MS_MAX: Final = 2_000
CACHED_TOKENS_MAX: Final = 1_024

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS agent (name TEXT PRIMARY KEY, made_ms INTEGER NOT NULL, revoked_ms INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS token (
  digest TEXT PRIMARY KEY, agent TEXT NOT NULL REFERENCES agent(name), audience TEXT NOT NULL, binding TEXT NOT NULL,
  uid INTEGER, session TEXT, made_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, revoked_ms INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS token_session ON token(session);
"""


@dataclass(frozen=True, slots=True)
class Token:
    """A stored token. `uid` is set for a user's binding, `session` for a session's."""

    digest: str
    agent: str
    audience: str
    binding: Binding
    uid: int | None
    session: str | None
    expires_ms: int
    revoked_ms: int | None


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as `agent list` shows it."""

    name: str
    made_ms: int
    revoked_ms: int | None
    live_tokens: int


def digest_of(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


class Registry:
    """The database. One instance per thread; processes share the file."""

    def __init__(self, path: str, *, random: Callable[[int], bytes] = os.urandom) -> None:
        self._random = random
        self._cache: dict[str, Token | None] = {}
        self._version = -1
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS_MAX / 1000)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise HostError(
                f"cannot open the registry `{path}`: {error}",
                hint="`interlock doctor` checks the state directory",
                exit_code=EXIT_FAILED,
            ) from error

    def add(self, name: str, now_ms: int) -> None:
        """Make an agent known. Raises `OperatorError` for a name that cannot be one, is taken, or was revoked."""
        if AGENT_NAME.fullmatch(name) is None:
            raise OperatorError(f"`{name}` cannot name an agent", hint="a-z, 0-9, `.`, `_`, `-`; at most 63 characters")
        taken = self._db.execute("SELECT revoked_ms FROM agent WHERE name=?", (name,)).fetchone()
        if taken is not None:
            what = "was revoked: a name is never given twice" if taken[0] is not None else "exists already"
            raise OperatorError(f"agent `{name}` {what}", hint=f"a new token for it: interlock agent token {name}")
        self._db.execute("INSERT INTO agent VALUES (?, ?, NULL)", (name, now_ms))

    def issue_user(self, name: str, *, audience: str, uid: int, ttl_ms: int, now_ms: int) -> str:
        """A token for loopback connections of `uid`. Returns it: it is never shown again."""
        return self._issue(name, audience, Binding.USER, uid, None, ttl_ms, now_ms)

    def issue_session(self, name: str, *, audience: str, session: str, ttl_ms: int, now_ms: int) -> str:
        """A token for connections that the supervisor of `session` attests; it ends with `end_session` or its
        expiry."""
        return self._issue(name, audience, Binding.SESSION, None, session, ttl_ms, now_ms)

    def end_session(self, session: str, now_ms: int) -> None:
        """Revoke every token of a session that is over."""
        self._db.execute("UPDATE token SET revoked_ms=? WHERE session=? AND revoked_ms IS NULL", (now_ms, session))

    def revoke(self, name: str, now_ms: int) -> int:
        """Revoke an agent and all its tokens; returns how many were live. Raises `OperatorError` for an unknown one."""
        self._known(name)
        live = self._db.execute(
            "SELECT count(*) FROM token WHERE agent=? AND revoked_ms IS NULL AND expires_ms>?", (name, now_ms)
        ).fetchone()[0]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("UPDATE agent SET revoked_ms=? WHERE name=? AND revoked_ms IS NULL", (now_ms, name))
        self._db.execute("UPDATE token SET revoked_ms=? WHERE agent=? AND revoked_ms IS NULL", (now_ms, name))
        self._db.execute("COMMIT")
        self._cache.clear()
        return int(live)

    def list(self, now_ms: int) -> list[Agent]:
        """Every agent, by name."""
        rows = self._db.execute(
            "SELECT a.name, a.made_ms, a.revoked_ms, count(t.digest) FROM agent a LEFT JOIN token t ON t.agent=a.name"
            " AND t.revoked_ms IS NULL AND t.expires_ms>? GROUP BY a.name ORDER BY a.name",
            (now_ms,),
        )
        return [Agent(*row) for row in rows]

    def find(self, token: str) -> Token | None:
        """The stored token, revoked or not, or none. The text itself is never kept."""
        digest = digest_of(token)
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version or len(self._cache) > CACHED_TOKENS_MAX:
            self._cache.clear()
            self._version = version
        if digest not in self._cache:
            self._cache[digest] = self._read(digest)
        return self._cache[digest]

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _read(self, digest: str) -> Token | None:
        row = self._db.execute(
            "SELECT t.digest, t.agent, t.audience, t.binding, t.uid, t.session, t.expires_ms,"
            " coalesce(t.revoked_ms, a.revoked_ms) FROM token t JOIN agent a ON a.name=t.agent WHERE t.digest=?",
            (digest,),
        ).fetchone()
        if row is None:
            return None
        return Token(row[0], row[1], row[2], Binding(row[3]), row[4], row[5], row[6], row[7])

    def _issue(
        self, name: str, audience: str, binding: Binding, uid: int | None, session: str | None, ttl_ms: int, now_ms: int
    ) -> str:
        self._known(name)
        if not 0 < ttl_ms <= TTL_MS_MAX:
            raise OperatorError("a token lives between a moment and 30 days", hint="for example --ttl 1h")
        token = TOKEN_PREFIX + base64.urlsafe_b64encode(self._random(32)).rstrip(b"=").decode()
        self._db.execute(
            "INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (digest_of(token), name, audience, binding.value, uid, session, now_ms, now_ms + ttl_ms),
        )
        return token

    def _known(self, name: str) -> None:
        row = self._db.execute("SELECT revoked_ms FROM agent WHERE name=?", (name,)).fetchone()
        if row is None:
            raise OperatorError(f"no agent is called `{name}`", hint="see: interlock agent list")
        if row[0] is not None:
            raise OperatorError(f"agent `{name}` was revoked", hint="add an agent of another name")
