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
    or `authenticated` (user's token), `uid` the user that a user's token is bound to.
    """

    agent: str
    token: str
    binding: Binding
    session: str | None
    assurance: str
    uid: int | None = None

    @property
    def holder(self) -> tuple[str, str, str | int | None]:
        """Who may go on with what this principal began: its agent, from where its token is good. A newer token of the
        same place is the same holder; one of another session or user is not, whatever agent it names."""
        return self.agent, self.binding.value, self.session if self.binding is Binding.SESSION else self.uid


class Unknown(Struct, frozen=True):
    """Nobody: `reason` is for the record and the operator; `agent` is the name a refused token belongs to, if it is
    known."""

    reason: str
    agent: str | None = None
