"""Who a request is from, once that is known; and why it is nobody, when it is not. Frozen values."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Binding(StrEnum):
    """What a token is tied to: the user at the other end of the connection, or one attested session."""

    USER = "user"
    SESSION = "session"


class Principal(Struct, frozen=True):
    """An authenticated agent.

    `token` is the digest of its token (an id for logs and caches, of no use to authenticate), `session` the
    host-plane session that was attested for the connection, `assurance` how the agent is known: `attested` (session)
    or `authenticated` (user's token), `place` where its token is good: what one request of an agent began, another goes
    on with from the same place, by whatever token.
    """

    agent: str
    token: str
    binding: Binding
    session: str | None
    assurance: str
    place: str = ""


class Unknown(Struct, frozen=True):
    """Nobody: `reason` is for the record and the operator; `agent` is the name a refused token belongs to, if it is
    known."""

    reason: str
    agent: str | None = None
