"""Who showed a token on a connection is known there, and looked at for what may have changed: as often as a fresh look
would refuse it, this one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.identity.authenticate import Attestation, Attestations, Authenticator, Registry
from interlock.identity.principal import Peer
from interlock.mediate.principal import Principal, Unknown

URL = "http://127.0.0.1:1"
UID, COOKIE, PORT = 1_000, 77, 40_000


class Wire:
    """One connection."""

    client = ("127.0.0.1", PORT)
    server = ("127.0.0.1", 1)

    def __init__(self) -> None:
        self.memory: dict[str, object] = {}


class Known:
    """A registry with one agent, a token of each binding, and a clock that is set."""

    def __init__(self, root: Path) -> None:
        self.now_ms = 1_000
        self.registry = Registry(str(root / "registry"))
        self.registry.add("coder", self.now_ms)
        self.users = self.registry.issue_user("coder", audience=URL, uid=UID, ttl_ms=5_000, now_ms=self.now_ms)
        self.sessions = self.registry.issue_session("coder", audience=URL, session="s-1", ttl_ms=5_000, now_ms=self.now_ms)
        self.attestations = Attestations()
        self.authenticator = Authenticator(
            registry=self.registry, attestations=self.attestations, audience=URL, now_ms=lambda: self.now_ms,
            find_peer=lambda **_: Peer(UID, COOKIE),
        )  # fmt: skip

    def look(self, wire: Wire, token: str) -> Principal | Unknown:
        return self.authenticator.authenticate(f"Bearer {token}", wire)


@pytest.fixture
def known(tmp_path: Path) -> Known:
    return Known(tmp_path)


def test_the_same_token_on_the_same_connection_is_the_same_principal(known: Known) -> None:
    wire = Wire()
    first = known.look(wire, known.users)
    assert isinstance(first, Principal)
    assert known.look(wire, known.users) is first


def test_a_token_that_was_revoked_or_has_expired_since_is_refused(known: Known) -> None:
    wire = Wire()
    assert isinstance(known.look(wire, known.users), Principal)
    known.now_ms += 5_000
    assert known.look(wire, known.users) == Unknown("the token has expired", "coder")
    known.now_ms -= 5_000
    assert isinstance(known.look(wire, known.users), Principal)
    elsewhere = Registry(known.registry._rows._database.rows("PRAGMA database_list")[0][2])  # type: ignore[arg-type]
    elsewhere.revoke("coder", known.now_ms)
    assert known.look(wire, known.users) == Unknown("the token was revoked", "coder")


def test_another_token_or_none_or_another_connection_is_looked_at_afresh(known: Known) -> None:
    wire = Wire()
    assert isinstance(known.look(wire, known.users), Principal)
    assert isinstance(known.look(wire, known.sessions), Unknown)
    assert isinstance(known.look(wire, "ilk_" + "a" * 43), Unknown)
    assert isinstance(known.authenticator.authenticate(None, wire), Unknown)
    assert isinstance(known.look(wire, known.users), Principal)
    assert isinstance(known.look(Wire(), known.sessions), Unknown)


def test_a_supervisors_word_that_comes_later_counts(known: Known) -> None:
    """A user's token is for processes outside every session: also when the word comes after its first use."""
    wire = Wire()
    assert isinstance(known.look(wire, known.users), Principal)
    known.attestations.add(Attestation("s-1", PORT, COOKIE, 1, known.now_ms))
    for _ in range(3):
        assert isinstance(known.look(wire, known.users), Unknown)
    found = known.look(wire, known.sessions)
    assert isinstance(found, Principal) and found.session == "s-1"
    assert known.look(wire, known.sessions) is found
    assert isinstance(known.look(wire, known.users), Unknown)
