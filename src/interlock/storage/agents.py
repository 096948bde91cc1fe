"""Agents and their tokens as rows. Of a token only its digest is kept. What a row means is the registry's
(`identity/authenticate.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from interlock.storage.database import Database

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS agent (name TEXT PRIMARY KEY, made_ms INTEGER NOT NULL, revoked_ms INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS token (
  digest TEXT PRIMARY KEY, agent TEXT NOT NULL REFERENCES agent(name), audience TEXT NOT NULL, binding TEXT NOT NULL,
  uid INTEGER, session TEXT, made_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, revoked_ms INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS token_session ON token(session);
"""
_FIND: Final = (
    "SELECT t.digest, t.agent, t.audience, t.binding, t.uid, t.session, t.expires_ms,"
    " coalesce(t.revoked_ms, a.revoked_ms) FROM token t JOIN agent a ON a.name = t.agent WHERE t.digest = ?"
)
_ALL: Final = (
    "SELECT a.name, a.made_ms, a.revoked_ms, count(t.digest) FROM agent a LEFT JOIN token t ON t.agent = a.name"
    " AND t.revoked_ms IS NULL AND t.expires_ms > ? GROUP BY a.name ORDER BY a.name"
)
_LIVE: Final = "SELECT count(*) FROM token WHERE agent = ? AND revoked_ms IS NULL AND expires_ms > ?"


class TokenRow(NamedTuple):
    """A token: `uid` is set for a user's binding, `session` for a session's; `revoked_ms` if it or its agent was."""

    digest: str
    agent: str
    audience: str
    binding: str
    uid: int | None
    session: str | None
    expires_ms: int
    revoked_ms: int | None


class AgentRow(NamedTuple):
    """An agent, and how many of its tokens are live."""

    name: str
    made_ms: int
    revoked_ms: int | None
    live_tokens: int


class Agents:
    """See the module."""

    def __init__(self, path: str) -> None:
        """Open the file. Raises `HostError`, as every method does."""
        self._database = Database(path, schema=SCHEMA, name="registry")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def whole(self) -> AbstractContextManager[None]:
        """One transaction."""
        return self._database.transaction()

    @property
    def version(self) -> int:
        """See `Database`."""
        return self._database.version

    def named(self, name: str) -> AgentRow | None:
        """One agent, its live tokens not counted."""
        rows = self._database.rows("SELECT name, made_ms, revoked_ms, 0 FROM agent WHERE name = ?", (name,))
        return AgentRow._make(cast("tuple[str]", rows[0])) if rows else None

    def all(self, now_ms: int) -> list[AgentRow]:
        """Every agent, by name."""
        return [AgentRow._make(cast("tuple[str]", row)) for row in self._database.rows(_ALL, (now_ms,))]

    def add(self, name: str, now_ms: int) -> None:
        """One more agent."""
        self._database.change("INSERT INTO agent VALUES (?, ?, NULL)", (name, now_ms))

    def live(self, name: str, now_ms: int) -> int:
        """How many of an agent's tokens are live."""
        return cast("int", self._database.rows(_LIVE, (name, now_ms))[0][0])

    def revoke(self, name: str, now_ms: int) -> None:
        """End an agent and all its tokens."""
        self._database.change("UPDATE agent SET revoked_ms = ? WHERE name = ? AND revoked_ms IS NULL", (now_ms, name))
        self._database.change("UPDATE token SET revoked_ms = ? WHERE agent = ? AND revoked_ms IS NULL", (now_ms, name))

    def issue(self, token: TokenRow, now_ms: int) -> None:
        """One more token."""
        values = (*token[:6], now_ms, token.expires_ms, token.revoked_ms)
        self._database.change("INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def end_session(self, session: str, now_ms: int) -> None:
        """End every token of a session."""
        statement = "UPDATE token SET revoked_ms = ? WHERE session = ? AND revoked_ms IS NULL"
        self._database.change(statement, (now_ms, session))

    def find(self, digest: str) -> TokenRow | None:
        """The token of a digest, revoked or not."""
        rows = self._database.rows(_FIND, (digest,))
        return TokenRow._make(cast("tuple[str]", rows[0])) if rows else None
