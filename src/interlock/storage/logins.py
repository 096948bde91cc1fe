"""Clients that log in, what a person was asked about them, codes, logins and what these gave out, as rows. They stand
in the registry's file (`agents.py`): what ends a login ends its tokens in the same transaction.

Of secrets, codes, handles and tokens only digests are kept. Left out: what a row means (`identity/oauth/`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from interlock.storage.agents import SCHEMA as AGENTS
from interlock.storage.database import Database

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_SCHEMA: Final = f"""{AGENTS}
CREATE TABLE IF NOT EXISTS client (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, redirects TEXT NOT NULL, method TEXT NOT NULL, secret TEXT, keys TEXT,
  agent TEXT REFERENCES agent(name), by TEXT NOT NULL, made_ms INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS wish (
  handle TEXT PRIMARY KEY, cookie TEXT NOT NULL, client TEXT NOT NULL, redirect TEXT NOT NULL, back TEXT,
  challenge TEXT NOT NULL, audience TEXT NOT NULL, scope TEXT NOT NULL, uid INTEGER NOT NULL, agent TEXT NOT NULL,
  question TEXT NOT NULL, words TEXT NOT NULL, expires_ms INTEGER NOT NULL, approver TEXT,
  state TEXT NOT NULL CHECK (state IN ('asked', 'granted', 'refused', 'fetched'))) STRICT;
CREATE TABLE IF NOT EXISTS code (
  digest TEXT PRIMARY KEY, client TEXT NOT NULL, redirect TEXT NOT NULL, challenge TEXT NOT NULL,
  audience TEXT NOT NULL, scope TEXT NOT NULL, uid INTEGER NOT NULL, agent TEXT NOT NULL, approver TEXT NOT NULL,
  expires_ms INTEGER NOT NULL, login TEXT) STRICT;
CREATE TABLE IF NOT EXISTS login (
  id TEXT PRIMARY KEY, client TEXT NOT NULL, agent TEXT NOT NULL, audience TEXT NOT NULL, scope TEXT NOT NULL,
  uid INTEGER NOT NULL, approver TEXT NOT NULL, until_ms INTEGER NOT NULL, ended_ms INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS issued (
  digest TEXT PRIMARY KEY, client TEXT NOT NULL, login TEXT, kind TEXT NOT NULL CHECK (kind IN ('access', 'refresh')),
  expires_ms INTEGER NOT NULL, used_ms INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS issued_by_login ON issued (login);
CREATE INDEX IF NOT EXISTS issued_by_client ON issued (client, expires_ms);
CREATE INDEX IF NOT EXISTS issued_by_end ON issued (expires_ms);
CREATE TABLE IF NOT EXISTS assertion (id TEXT PRIMARY KEY, until_ms INTEGER NOT NULL) STRICT;
"""
_END_TOKENS: Final = (
    "UPDATE token SET revoked_ms = ? WHERE revoked_ms IS NULL"
    " AND digest IN (SELECT digest FROM issued WHERE login = ? AND kind = 'access')"
)
_SWEEP_TOKENS: Final = (
    "DELETE FROM token WHERE digest IN (SELECT digest FROM issued WHERE expires_ms < ? AND kind = 'access')"
)
_SWEEP_CODES: Final = "DELETE FROM code WHERE expires_ms < ? AND (login IS NULL OR login NOT IN (SELECT id FROM login))"
#: Clients that made themselves known and that nobody ever let in.
_UNAPPROVED: Final = (
    "agent IS NULL AND NOT EXISTS (SELECT 1 FROM wish WHERE wish.client = client.id AND expires_ms > ?)"
)


class ClientRow(NamedTuple):
    """A client. `redirects` is a JSON list of URIs, `secret` a digest, `keys` a JSON Web Key Set, `agent` who it acts
    as once a person said so, `by` who made it known (`itself` or `uid:…`)."""

    id: str
    name: str
    redirects: str
    method: str
    secret: str | None
    keys: str | None
    agent: str | None
    by: str
    made_ms: int

    @property
    def places(self) -> list[str]:
        """The redirect URIs."""
        return [str(each) for each in json.loads(self.redirects)]


class WishRow(NamedTuple):
    """What a client asks for and a person is asked about: `handle` and `cookie` are digests of what only the browser
    that asked has, `back` is the client's `state`, `words` what page and question both show."""

    handle: str
    cookie: str
    client: str
    redirect: str
    back: str | None
    challenge: str
    audience: str
    scope: str
    uid: int
    agent: str
    question: str
    words: str
    expires_ms: int
    approver: str | None = None
    state: str = "asked"


class CodeRow(NamedTuple):
    """A code; `login` is what it was exchanged for."""

    digest: str
    client: str
    redirect: str
    challenge: str
    audience: str
    scope: str
    uid: int
    agent: str
    approver: str
    expires_ms: int
    login: str | None = None


class LoginRow(NamedTuple):
    """What a person let a client have: all of its tokens, over every refresh, end with it."""

    id: str
    client: str
    agent: str
    audience: str
    scope: str
    uid: int
    approver: str
    until_ms: int
    ended_ms: int | None = None


class IssuedRow(NamedTuple):
    """A token that was given out, for a login or to a client alone."""

    digest: str
    client: str
    login: str | None
    kind: str
    expires_ms: int
    used_ms: int | None = None


class Logins:
    """See the module. Methods that change several rows belong inside `whole`. Not shared between threads."""

    def __init__(self, path: str) -> None:
        """Open the file. Raises `HostError`, as every method does."""
        self._database = Database(path, schema=_SCHEMA, name="registry")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def whole(self) -> AbstractContextManager[None]:
        """One transaction."""
        return self._database.transaction()

    # Clients

    def put_client(self, client: ClientRow) -> None:
        """One more client."""
        self._database.change("INSERT INTO client VALUES (?,?,?,?,?,?,?,?,?)", client)

    def describe(self, client: ClientRow) -> bool:
        """Have a client that is known say of itself what it says now; false where it is not known."""
        statement = "UPDATE client SET name = ?, redirects = ? WHERE id = ? AND by = ?"
        return self._database.change(statement, (client.name, client.redirects, client.id, client.by)) == 1

    def client(self, identity: str) -> ClientRow | None:
        """A client by its id."""
        found = self._one("SELECT * FROM client WHERE id = ?", identity)
        return ClientRow._make(found) if found else None

    def clients_with_keys(self) -> list[ClientRow]:
        """Those that sign."""
        rows = self._database.rows("SELECT * FROM client WHERE keys IS NOT NULL")
        return [ClientRow._make(cast("tuple[str]", row)) for row in rows]

    def unapproved(self, now_ms: int) -> int:
        """How many clients made themselves known, that no person let in and about which none is being asked."""
        statement = f"SELECT count(*) FROM client WHERE {_UNAPPROVED}"  # noqa: S608
        return cast("int", self._database.rows(statement, (now_ms,))[0][0])

    def registered_since(self, since_ms: int) -> int:
        """How many made themselves known since then."""
        statement = "SELECT count(*) FROM client WHERE by NOT LIKE 'uid:%' AND made_ms > ?"
        return cast("int", self._database.rows(statement, (since_ms,))[0][0])

    def forget(self, before_ms: int, now_ms: int) -> None:
        """Drop clients that came before and that nobody let in."""
        self._database.change(f"DELETE FROM client WHERE made_ms < ? AND {_UNAPPROVED}", (before_ms, now_ms))  # noqa: S608

    def sweep(self, now_ms: int) -> None:
        """Drop what has expired. A refresh token that was used is kept as long as its login may last, so that its copy
        is known for one; a code as long as what it was exchanged for."""
        self._database.change(_SWEEP_TOKENS, (now_ms,))
        for table, column in (("issued", "expires_ms"), ("wish", "expires_ms"), ("assertion", "until_ms")):
            self._database.change(f"DELETE FROM {table} WHERE {column} < ?", (now_ms,))  # noqa: S608
        self._database.change("DELETE FROM login WHERE until_ms < ?", (now_ms,))
        self._database.change(_SWEEP_CODES, (now_ms,))

    def issued_since(self, client: str, expires_ms: int) -> int:
        """How many tokens for requests a client has that expire later."""
        statement = "SELECT count(*) FROM issued WHERE client = ? AND expires_ms > ? AND kind = 'access'"
        return cast("int", self._database.rows(statement, (client, expires_ms))[0][0])

    def act_as(self, client: str, agent: str, now_ms: int) -> bool:
        """Have a client act as an agent, made known if it is not; false where that agent was revoked."""
        found = self._database.rows("SELECT revoked_ms FROM agent WHERE name = ?", (agent,))
        if found and found[0][0] is not None:
            return False
        self._database.change("INSERT OR IGNORE INTO agent VALUES (?, ?, NULL)", (agent, now_ms))
        self._database.change("UPDATE client SET agent = ? WHERE id = ?", (agent, client))
        return True

    def is_active(self, agent: str) -> bool:
        """Whether the agent is known and was not revoked."""
        return bool(self._database.rows("SELECT 1 FROM agent WHERE name = ? AND revoked_ms IS NULL", (agent,)))

    def note_assertion(self, identity: str, until_ms: int) -> bool:
        """Whether a client's assertion comes for the first time."""
        return self._database.change("INSERT OR IGNORE INTO assertion VALUES (?, ?)", (identity, until_ms)) == 1

    # From the wish to the code

    def put_wish(self, wish: WishRow) -> None:
        """One more wish."""
        self._database.change("INSERT INTO wish VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", wish)

    def wish(self, handle: str) -> WishRow | None:
        """A wish by the digest of its handle."""
        found = self._one("SELECT * FROM wish WHERE handle = ?", handle)
        return WishRow._make(found) if found else None

    def wishes(self, now_ms: int) -> int:
        """How many wait for a person."""
        statement = "SELECT count(*) FROM wish WHERE state = 'asked' AND expires_ms > ?"
        return cast("int", self._database.rows(statement, (now_ms,))[0][0])

    def abandon(self) -> None:
        """What waited for a person is refused: who asked is there no more."""
        self._database.change("UPDATE wish SET state = 'refused' WHERE state = 'asked'")

    def turn(self, handle: str, was: str, becomes: str, approver: str | None = None) -> bool:
        """Bring a wish from one state into the next, once."""
        statement = "UPDATE wish SET state = ?, approver = coalesce(?, approver) WHERE handle = ? AND state = ?"
        return self._database.change(statement, (becomes, approver, handle, was)) == 1

    def put_code(self, code: CodeRow) -> None:
        """One more code."""
        self._database.change("INSERT INTO code VALUES (?,?,?,?,?,?,?,?,?,?,?)", code)

    def code(self, digest: str) -> CodeRow | None:
        """A code, used or not."""
        found = self._one("SELECT * FROM code WHERE digest = ?", digest)
        return CodeRow._make(found) if found else None

    def use_code(self, digest: str, login: str) -> bool:
        """Note what a code was exchanged for, once."""
        statement = "UPDATE code SET login = ? WHERE digest = ? AND login IS NULL"
        return self._database.change(statement, (login, digest)) == 1

    # Logins and what they gave out

    def put_login(self, login: LoginRow) -> None:
        """One more login."""
        self._database.change("INSERT INTO login VALUES (?,?,?,?,?,?,?,?,?)", login)

    def login(self, identity: str) -> LoginRow | None:
        """A login by its id, ended or not."""
        found = self._one("SELECT * FROM login WHERE id = ?", identity)
        return LoginRow._make(found) if found else None

    def end_login(self, identity: str, now_ms: int) -> bool:
        """End a login and every token of it; false where it was ended before."""
        self._database.change(_END_TOKENS, (now_ms, identity))
        statement = "UPDATE login SET ended_ms = ? WHERE id = ? AND ended_ms IS NULL"
        return self._database.change(statement, (now_ms, identity)) == 1

    def put_access(self, issued: IssuedRow, agent: str, audience: str, uid: int, now_ms: int) -> None:
        """A token for requests: good on loopback connections of `uid`, as those that `interlock agent token` makes."""
        self._database.change("INSERT INTO issued VALUES (?,?,?,?,?,?)", issued)
        values = (issued.digest, agent, audience, "user", uid, None, now_ms, issued.expires_ms, None)
        self._database.change("INSERT INTO token VALUES (?,?,?,?,?,?,?,?,?)", values)

    def put_refresh(self, issued: IssuedRow) -> None:
        """A token to be exchanged for the next."""
        self._database.change("INSERT INTO issued VALUES (?,?,?,?,?,?)", issued)

    def issued(self, digest: str) -> IssuedRow | None:
        """A token that was given out."""
        found = self._one("SELECT * FROM issued WHERE digest = ?", digest)
        return IssuedRow._make(found) if found else None

    def use_refresh(self, digest: str, now_ms: int) -> bool:
        """Note that a refresh token was used, once."""
        statement = "UPDATE issued SET used_ms = ? WHERE digest = ? AND kind = 'refresh' AND used_ms IS NULL"
        return self._database.change(statement, (now_ms, digest)) == 1

    def end_token(self, digest: str, now_ms: int) -> None:
        """End one token for requests."""
        statement = "UPDATE token SET revoked_ms = ? WHERE digest = ? AND revoked_ms IS NULL"
        self._database.change(statement, (now_ms, digest))

    def _one(self, statement: str, key: str) -> tuple[str] | None:
        rows = self._database.rows(statement, (key,))
        return cast("tuple[str]", rows[0]) if rows else None
