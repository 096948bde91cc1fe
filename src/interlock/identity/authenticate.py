"""Who a request is from: a token and the connection it came on → a Principal, or nobody with the reason.

Held in this order: shape, known, not revoked, audience, expiry, binding. A user's token needs the uid that made it
at the other end of a loopback connection, and a process outside every session; a session's token needs the attestation
of this very connection. Neither is worth anything elsewhere.

Agents and their tokens are rows of `storage/agents.py`: only digests of tokens are kept, each with its audience, expiry
and binding. A token is `ilk_` and 32 random bytes in base64url. Revoking is seen by every process in its next turn,
since a cached answer is kept only as long as the database says that nobody has written. What a supervisor vouches for
(spec/gateway.md) is matched on client port and socket cookie, and used once; `attestation_socket.py` feeds that table.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from interlock.identity.principal import Peer
from interlock.mediate.principal import Binding, Principal, Unknown
from interlock.storage.agents import AgentRow, Agents, TokenRow
from interlock.vocabulary.errors import OperatorError

REVOKED: Final = "the token was revoked"
EXPIRED: Final = "the token has expired"
#: A jailed process connects at once after its supervisor's word; what is older was never used.
ATTESTATION_MS_MAX: Final = 60_000
ATTESTATIONS_MAX: Final = 4_096
TOKEN_PREFIX: Final = "ilk_"  # noqa: S105 - the public prefix of every token, by which scanners know one
TOKEN_TEXT: Final = re.compile(r"ilk_[A-Za-z0-9_-]{43}", re.ASCII)
AGENT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)
TTL_MS_MAX: Final = 30 * 24 * 3600 * 1000
CACHED_TOKENS_MAX: Final = 1_024


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
        """Who this request is from. `authorization` is the header's value, if there is one. Of who showed the same
        token on the same connection before, only what may have changed is looked at: whether it is still good."""
        known = connection.memory.get("known")
        if isinstance(known, _Known) and known.authorization == authorization and self._is_settled(known, connection):
            refusal = self._refusal(known.token)
            return known.principal if refusal is None else Unknown(refusal, known.token.agent)
        return self._authenticated(authorization, connection)

    def _is_settled(self, known: _Known, connection: Connection) -> bool:
        """Whether nobody has written of the token since, no supervisor's word has come and none may still come."""
        session = connection.memory.get("session")
        if session != known.principal.session or (session is None and self._attestations.wait):
            return False
        return self._registry.find(known.token.digest) is known.token

    def _authenticated(self, authorization: str | None, connection: Connection) -> Principal | Unknown:
        peer = self._peer(connection)
        session = self._session(connection, peer)
        if authorization is None:
            return self._without_token(peer, session)
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or TOKEN_TEXT.fullmatch(text) is None:
            return Unknown("the `Authorization` header does not hold a token of Interlock")
        token = self._registry.find(digest_of(text))
        if token is None:
            return Unknown("this gateway does not know the token")
        refusal = self._refusal(token) or _binding_refusal(token, peer, session)
        if refusal is not None:
            return Unknown(refusal, token.agent)
        assurance = "attested" if token.binding is Binding.SESSION else "authenticated"
        place = f"session {session}" if token.binding is Binding.SESSION else f"user {token.uid}"
        principal = Principal(token.agent, token.digest, token.binding, session, assurance, place)
        connection.memory["known"] = _Known(authorization, token, principal)
        return principal

    def caller(self, connection: Connection) -> Peer | Unknown:
        """Who is at the other end of a connection, whatever it shows: a process of this machine outside every
        session."""
        peer = self._peer(connection)
        if peer is None:
            return Unknown("the kernel names no process at the other end of this connection")
        if self._session(connection, peer) is not None:
            return Unknown("this is for processes outside every session; inside one, the token is in INTERLOCK_TOKEN")
        return peer

    def still(self, principal: Principal, authorization: str | None) -> str | None:
        """Why a principal that was authenticated before may no longer act, or none. For after a long wait."""
        if authorization is None:
            return None
        token = self._registry.find(principal.token)
        if token is None:
            return "this gateway does not know the token any more"
        return self._refusal(token)

    def _refusal(self, token: Token) -> str | None:
        if token.revoked_ms is not None:
            return REVOKED
        if token.audience != self._audience:
            return f"the token is for `{token.audience}`, not for `{self._audience}`"
        return EXPIRED if self._now_ms() >= token.expires_ms else None

    def _without_token(self, peer: Peer | None, session: str | None) -> Principal | Unknown:
        if self._anonymous is None or session is not None:
            return Unknown("the request has no token")
        agent, uid = self._anonymous
        if peer is None or peer.uid != uid:
            return Unknown("the request has no token, and the connection is another user's")
        return Principal(agent, "", Binding.USER, None, "asserted", f"user {uid}")

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
        if isinstance(known, str) or peer is None or not self._attestations.wait:
            return known if isinstance(known, str) else None
        taken = self._attestations.take(port=connection.client[1], cookie=peer.cookie, now_ms=self._now_ms())
        if taken is None:
            return None
        connection.memory["session"] = taken.session
        return taken.session


def _binding_refusal(token: Token, peer: Peer | None, session: str | None) -> str | None:
    if token.binding is Binding.SESSION:
        if session is None:
            return "the token is a session's, and this connection was not attested by that session's supervisor"
        return None if session == token.session else "the token belongs to another session"
    if session is not None:
        return "the token is for processes outside every session, and this connection comes out of one"
    if peer is None:
        return "the token is for local connections, and the kernel names no process at the other end of this one"
    return None if peer.uid == token.uid else f"the token is uid {token.uid}'s, and this connection is uid {peer.uid}'s"


@dataclass(frozen=True, slots=True)
class Attestation:
    """A supervisor's word: the socket `cookie` bound to `port` belongs to `session`."""

    session: str
    port: int
    cookie: int
    process: int
    made_ms: int


class Attestations:
    """What was attested and not used yet, by client port and cookie."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], Attestation] = {}

    @property
    def wait(self) -> bool:
        """Whether there are any."""
        return bool(self._waiting)

    def add(self, attestation: Attestation) -> bool:
        """Keep it; false when too many wait (the supervisor then lets the connect fail)."""
        self._drop_old(attestation.made_ms)
        if len(self._waiting) >= ATTESTATIONS_MAX:
            return False
        self._waiting[(attestation.port, attestation.cookie)] = attestation
        return True

    def take(self, *, port: int, cookie: int, now_ms: int) -> Attestation | None:
        """The attestation of this very socket, once."""
        found = self._waiting.pop((port, cookie), None)
        return found if found is not None and now_ms - found.made_ms <= ATTESTATION_MS_MAX else None

    def _drop_old(self, now_ms: int) -> None:
        old = [key for key, each in self._waiting.items() if now_ms - each.made_ms > ATTESTATION_MS_MAX]
        for key in old:
            del self._waiting[key]


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
class _Known:
    """Who showed a token on a connection, and what was known of the token."""

    authorization: str
    token: Token
    principal: Principal


def check_ttl(ttl_ms: int) -> None:
    """Raises `OperatorError` for a life that no token has."""
    if not 0 < ttl_ms <= TTL_MS_MAX:
        raise OperatorError("a token can be valid for up to 30 days", hint="for example --ttl 1h")


def digest_of(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


class Registry:
    """Who is known. One instance per thread; processes share the file.

    `soon` calls back in the next turn of a loop: whether others have written is asked once in each turn. What waits for
    anything is in another turn afterwards, so who is looked at before and after a wait is looked at twice.
    """

    def __init__(
        self,
        path: str,
        *,
        random: Callable[[int], bytes] = os.urandom,
        soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._random = random
        self._soon = soon
        self._looked: int | None = None
        self._cache: dict[str, Token | None] = {}
        self._version = -1
        self._revoked: tuple[int, frozenset[str]] = (-1, frozenset())
        self._rows = Agents(path)

    def add(self, name: str, now_ms: int) -> None:
        """Make an agent known. Raises `OperatorError` for a name that cannot be one, is taken, or was revoked."""
        if AGENT_NAME.fullmatch(name) is None:
            raise OperatorError(f"`{name}` cannot name an agent", hint="a-z, 0-9, `.`, `_`, `-`; at most 63 characters")
        taken = self._rows.named(name)
        if taken is not None:
            if taken.revoked_ms is not None:
                words = f"agent `{name}` was revoked, and a name is used only once"
                raise OperatorError(words, hint="add an agent of another name")
            raise OperatorError(f"agent `{name}` exists already", hint=f"a new token: interlock agent token {name}")
        self._rows.add(name, now_ms)

    def issue_user(self, name: str, *, audience: str, uid: int, ttl_ms: int, now_ms: int) -> str:
        """A token for loopback connections of `uid`. Returns it: it is never shown again."""
        return self._issue(name, audience, Binding.USER, uid, None, ttl_ms, now_ms)

    def issue_session(self, name: str, *, audience: str, session: str, ttl_ms: int, now_ms: int) -> str:
        """A token for connections that the supervisor of `session` attests; it ends with `end_session` or its
        expiry."""
        return self._issue(name, audience, Binding.SESSION, None, session, ttl_ms, now_ms)

    def end_session(self, session: str, now_ms: int) -> None:
        """Revoke every token of a session that is over."""
        self._rows.end_session(session, now_ms)

    def revoke(self, name: str, now_ms: int) -> int:
        """Revoke an agent and all its tokens; returns how many were live. Raises `OperatorError` for an unknown one."""
        self._known(name)
        with self._rows.whole():
            live = self._rows.live(name, now_ms)
            self._rows.revoke(name, now_ms)
        self._cache.clear()
        return live

    def list(self, now_ms: int) -> list[AgentRow]:
        """Every agent, by name."""
        return self._rows.all(now_ms)

    def revoked(self) -> frozenset[str]:
        """The agents that are nobody any more."""
        version = self._looked_up()
        if version != self._revoked[0]:
            self._revoked = (version, frozenset(each.name for each in self._rows.all(0) if each.revoked_ms is not None))
        return self._revoked[1]

    def find(self, digest: str) -> Token | None:
        """The stored token of this digest, revoked or not, or none."""
        version = self._looked_up()
        if version != self._version or len(self._cache) > CACHED_TOKENS_MAX:
            self._cache.clear()
            self._version = version
        if digest not in self._cache:
            self._cache[digest] = self._read(digest)
        return self._cache[digest]

    def close(self) -> None:
        """Close the database."""
        self._rows.close()

    def _looked_up(self) -> int:
        if self._looked is not None:
            return self._looked
        version = self._rows.version
        if self._soon is not None:
            self._looked = version
            self._soon(self._look_again)
        return version

    def _look_again(self) -> None:
        self._looked = None

    def _read(self, digest: str) -> Token | None:
        row = self._rows.find(digest)
        if row is None:
            return None
        return Token(
            row.digest,
            row.agent,
            row.audience,
            Binding(row.binding),
            row.uid,
            row.session,
            row.expires_ms,
            row.revoked_ms,
        )

    def _issue(
        self, name: str, audience: str, binding: Binding, uid: int | None, session: str | None, ttl_ms: int, now_ms: int
    ) -> str:
        self._known(name)
        check_ttl(ttl_ms)
        token = TOKEN_PREFIX + base64.urlsafe_b64encode(self._random(32)).rstrip(b"=").decode()
        row = TokenRow(digest_of(token), name, audience, binding.value, uid, session, now_ms + ttl_ms, None)
        self._rows.issue(row, now_ms)
        return token

    def _known(self, name: str) -> None:
        known = self._rows.named(name)
        if known is None:
            raise OperatorError(f"no agent is called `{name}`", hint="see: interlock agent list")
        if known.revoked_ms is not None:
            raise OperatorError(f"agent `{name}` was revoked", hint="add an agent of another name")
