"""A token and the connection it came on → a Principal, or nobody with the reason.

Held in this order: shape, known, not revoked, audience, expiry, binding. A user's token needs the uid that made it
at the other end of a loopback connection; a session's token needs the attestation of this very connection. Neither
is worth anything elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from interlock.identity.attestation import Attestations
from interlock.identity.principal import Peer
from interlock.identity.registry import TOKEN_TEXT, Registry, Token
from interlock.mediate.principal import Binding, Principal, Unknown

REVOKED: Final = "the token was revoked"
EXPIRED: Final = "the token has expired"


class Connection(Protocol):
    """One TCP connection: its endpoints, and what is remembered of it as long as it lives."""

    @property
    def client(self) -> tuple[str, int]:
        """Address and port of the other end."""

    @property
    def server(self) -> tuple[str, int]:
        """Address and port of this end."""

    memory: dict[str, object]


class Authenticator:
    """Authenticates requests. What the kernel and a supervisor say of a connection is asked once and kept with it."""

    def __init__(
        self,
        *,
        registry: Registry,
        attestations: Attestations,
        audience: str,
        now_ms: Callable[[], int],
        find_peer: Callable[..., Peer | None],
        anonymous: tuple[str, int] | None = None,
    ) -> None:
        """`anonymous`: agent and uid that a loopback connection of that uid stands for when it shows no token (tests
        only)."""
        self._registry = registry
        self._attestations = attestations
        self._audience = audience
        self._now_ms = now_ms
        self._find_peer = find_peer
        self._anonymous = anonymous

    def authenticate(self, authorization: str | None, connection: Connection) -> Principal | Unknown:
        """Who this request is from. `authorization` is the header's value, if there is one."""
        peer = self._peer(connection)
        session = self._session(connection, peer)
        if authorization is None:
            return self._without_token(peer, session)
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or TOKEN_TEXT.fullmatch(text) is None:
            return Unknown("the authorization is not a bearer token of Interlock's")
        token = self._registry.find(text)
        if token is None:
            return Unknown("the token is not known here")
        refusal = self._refusal(token) or _binding_refusal(token, peer, session)
        if refusal is not None:
            return Unknown(refusal, token.agent)
        assurance = "attested" if token.binding is Binding.SESSION else "authenticated"
        return Principal(token.agent, token.digest, token.binding, session, assurance)

    def still(self, principal: Principal, authorization: str | None) -> str | None:
        """Why a principal that was authenticated before may no longer act, or none. For after a long wait."""
        if authorization is None:
            return None
        token = self._registry.find(authorization.partition(" ")[2])
        if token is None or token.digest != principal.token:
            return "the token is not known any more"
        return self._refusal(token)

    def _refusal(self, token: Token) -> str | None:
        if token.revoked_ms is not None:
            return REVOKED
        if token.audience != self._audience:
            return f"the token is for `{token.audience}`, not for `{self._audience}`"
        return EXPIRED if self._now_ms() >= token.expires_ms else None

    def _without_token(self, peer: Peer | None, session: str | None) -> Principal | Unknown:
        if self._anonymous is None or session is not None:
            return Unknown("no token was shown")
        agent, uid = self._anonymous
        if peer is None or peer.uid != uid:
            return Unknown("no token was shown, and the connection is another user's")
        return Principal(agent, "", Binding.USER, None, "asserted")

    def _peer(self, connection: Connection) -> Peer | None:
        known = connection.memory.get("peer")
        if isinstance(known, Peer):
            return known
        found = self._find_peer(client=connection.client, server=connection.server)
        if found is not None:
            connection.memory["peer"] = found
        return found

    def _session(self, connection: Connection, peer: Peer | None) -> str | None:
        """The session attested for this connection. Asked until it is known: the word may arrive after the accept."""
        known = connection.memory.get("session")
        if isinstance(known, str) or peer is None:
            return known if isinstance(known, str) else None
        taken = self._attestations.take(port=connection.client[1], inode=peer.inode, now_ms=self._now_ms())
        if taken is None:
            return None
        connection.memory["session"] = taken.session
        return taken.session


def _binding_refusal(token: Token, peer: Peer | None, session: str | None) -> str | None:
    if token.binding is Binding.SESSION:
        if session is None:
            return "the token is a session's, and this connection was not attested by that session's supervisor"
        return None if session == token.session else "the token belongs to another session"
    if peer is None:
        return "the token is for local connections, and this one's other end cannot be seen"
    return None if peer.uid == token.uid else f"the token is uid {token.uid}'s, and this connection is uid {peer.uid}'s"
