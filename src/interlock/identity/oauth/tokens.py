"""Codes and refresh tokens exchanged for tokens, and tokens given back (OAuth 2.1, 3.2 and 4; RFC 7009).

A code and a refresh token are good once. Shown a second time, or by another client, they were copied: the login that
they belong to ends, and every token of it (OAuth 2.1, 4.1.3 and 4.3.1). What is given out is a token of the registry
for the agent, bound to connections of the same user as any other (docs/adr/0004).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.identity.oauth.clients import DOCUMENT, ITSELF
from interlock.identity.oauth.limits import ACCESS_MS, ISSUED_PER_MINUTE_MAX, LOGIN_MS_MAX
from interlock.identity.oauth.metadata import SCOPE
from interlock.identity.oauth.wire import Fault, digest_of, secret
from interlock.storage.logins import IssuedRow, LoginRow

if TYPE_CHECKING:
    from interlock.storage.logins import ClientRow, CodeRow, Logins

_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)
TOKEN_PREFIX: Final = "ilk_"  # noqa: S105 - as of every token of the registry


class Issued(NamedTuple):
    """Tokens that are handed out: never shown again."""

    access: str
    refresh: str | None
    agent: str
    login: str | None
    expires_ms: int


class Exchange(NamedTuple):
    """Who exchanges something, for what audience, on whose connection, when."""

    client: ClientRow
    audience: str
    uid: int
    now_ms: int


def redeem(store: Logins, said: dict[str, str], by: Exchange) -> Issued | Fault:
    """A code for the tokens of a new login."""
    digest, identity = digest_of(said.get("code", "")), f"l-{secrets.token_hex(8)}"
    with store.whole():
        code = store.code(digest)
        if code is None:
            return Fault("invalid_grant", "the code is not known")
        is_first = store.use_code(digest, identity)
        if not is_first or code.client != by.client.id:
            return _copied(store, code.login, code.agent, "the code was used before, or is another client's", by)
        why = _unfit(code, said, by)
        if why is not None:
            return Fault("invalid_grant", why)
        if not store.is_active(code.agent):
            return Fault("invalid_grant", f"agent `{code.agent}` was revoked")
        login = LoginRow(
            identity,
            by.client.id,
            code.agent,
            code.audience,
            code.scope,
            code.uid,
            code.approver,
            by.now_ms + LOGIN_MS_MAX,
        )
        store.put_login(login)
        return _issued(store, login, by.now_ms)


def refresh(store: Logins, said: dict[str, str], by: Exchange) -> Issued | Fault:
    """A refresh token for the next ones of its login."""
    digest = digest_of(said.get("refresh_token", ""))
    with store.whole():
        shown = store.issued(digest)
        login = store.login(shown.login) if shown is not None and shown.login is not None else None
        if shown is None or login is None or shown.kind != "refresh":
            return Fault("invalid_grant", "the refresh token is not known")
        is_first = store.use_refresh(digest, by.now_ms)
        if not is_first or shown.client != by.client.id:
            words = "the refresh token was used before, or is another client's"
            return _copied(store, login.id, login.agent, words, by)
        if login.ended_ms is not None or by.now_ms >= login.until_ms:
            return Fault("invalid_grant", "the login is over")
        if login.audience != by.audience or login.uid != by.uid or not store.is_active(login.agent):
            return Fault("invalid_grant", "the login is for another gateway or user, or its agent was revoked")
        return _issued(store, login, by.now_ms)


def for_itself(store: Logins, by: Exchange) -> Issued | Fault:
    """A token for a client that an operator made known, without a person (RFC 6749, 4.4)."""
    client = by.client
    if client.by in (ITSELF, DOCUMENT) or client.method == "none" or client.agent is None:
        return Fault("unauthorized_client", "only a client of the operator's with a secret or a key may do so")
    with store.whole():
        if not store.is_active(client.agent):
            return Fault("invalid_grant", f"agent `{client.agent}` was revoked")
        access, expires_ms = secret(TOKEN_PREFIX), by.now_ms + ACCESS_MS
        row = IssuedRow(digest_of(access), client.id, None, "access", expires_ms)
        store.put_access(row, client.agent, by.audience, by.uid, by.now_ms)
    return Issued(access, None, client.agent, None, expires_ms)


def give_back(store: Logins, said: dict[str, str], by: Exchange) -> str | Fault | None:
    """End what a token belongs to: its whole login, whose id is returned. One that is not known is none any more."""
    digest = digest_of(said.get("token", ""))
    with store.whole():
        shown = store.issued(digest)
        if shown is None:
            return None
        if shown.client != by.client.id:
            owner = store.client(shown.client)
            store.end_token(digest, by.now_ms)
            return _copied(store, shown.login, owner.agent if owner else None, "the token is another client's", by)
        store.end_token(digest, by.now_ms)
        return shown.login if shown.login is not None and store.end_login(shown.login, by.now_ms) else None


def too_many(store: Logins, by: Exchange) -> Fault | None:
    """A client that is given tokens without end would fill the disk and the log."""
    with store.whole():
        store.sweep(by.now_ms)
        lately = store.issued_since(by.client.id, by.now_ms + ACCESS_MS - 60_000)
    if lately < ISSUED_PER_MINUTE_MAX:
        return None
    return Fault("temporarily_unavailable", "the client was given too many tokens in the last minute", 429)


def as_told(issued: Issued, now_ms: int) -> dict[str, object]:
    """What the client is told (RFC 6749, 5.1)."""
    told: dict[str, object] = {
        "access_token": issued.access,
        "token_type": "Bearer",
        "expires_in": (issued.expires_ms - now_ms) // 1_000,
        "scope": SCOPE,
    }
    return told if issued.refresh is None else {**told, "refresh_token": issued.refresh}


def _copied(store: Logins, login: str | None, agent: str | None, words: str, by: Exchange) -> Fault:
    """It is told whose it is as long as something ends by it: shown again and again, it does not fill the log."""
    ended = login if login is not None and store.end_login(login, by.now_ms) else None
    return Fault("invalid_grant", words, ended=ended, owner=agent if login is None or ended else None)


def _unfit(code: CodeRow, said: dict[str, str], by: Exchange) -> str | None:
    if by.now_ms >= code.expires_ms:
        return "the code has expired"
    if said.get("redirect_uri") != code.redirect:
        return "the code was asked for at another place"
    if code.audience != by.audience or code.uid != by.uid:
        return "the code is for another gateway or user"
    verifier = said.get("code_verifier", "")
    if _VERIFIER.fullmatch(verifier) is None:
        return "the verifier is missing or malformed"
    hashed = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()
    return None if hmac.compare_digest(hashed, code.challenge) else "the verifier does not fit"


def _issued(store: Logins, login: LoginRow, now_ms: int) -> Issued:
    access, next_one = secret(TOKEN_PREFIX), secret("ilr_")
    expires_ms = min(now_ms + ACCESS_MS, login.until_ms)
    row = IssuedRow(digest_of(access), login.client, login.id, "access", expires_ms)
    store.put_access(row, login.agent, login.audience, login.uid, now_ms)
    store.put_refresh(IssuedRow(digest_of(next_one), login.client, login.id, "refresh", login.until_ms))
    return Issued(access, next_one, login.agent, login.id, expires_ms)
