"""`interlock gateway`, wired: policy, log, inbox, registry, connectors, line, application, listener. It decides
nothing."""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from interlock.gateway.batch import Batches
from interlock.gateway.catalogue import Catalogue
from interlock.gateway.changes import Changes
from interlock.gateway.exchange_legacy import LegacyEra, Sessions
from interlock.gateway.exchange_modern import ModernEra
from interlock.gateway.exchange_sse import SseTransport
from interlock.gateway.hook import Hook
from interlock.gateway.limits import CONNECTIONS_MAX, KEEP_ALIVE_S
from interlock.gateway.logging_in import WithLogin
from interlock.gateway.methods import Methods
from interlock.gateway.operation import Prompts
from interlock.gateway.outlet import Backlogs
from interlock.gateway.ports import Tasks
from interlock.gateway.refusals import Refusals
from interlock.gateway.schema_checks import SchemaChecks
from interlock.gateway.serve import Gateway, GatewayProtocol
from interlock.gateway.state import StateSeal
from interlock.identity.authenticate import Attestations, Authenticator
from interlock.identity.oauth.documents import Documents
from interlock.identity.oauth.server import Around, LoginServer
from interlock.identity.peer import find_peer
from interlock.mediate.consulting import Consulting, Unconsulted
from interlock.mediate.line import Line
from interlock.mediate.scoring import Scoring, Unscored

if TYPE_CHECKING:
    import uvicorn

    from interlock.connectors.pool import Pool
    from interlock.gateway.pinned import PinnedUpstreams
    from interlock.identity.authenticate import Registry
    from interlock.identity.oauth.server import Kept
    from interlock.mediate.ports import Clock, Engine, Gathering, Inbox, Recorder

DEFAULT_LISTEN: Final = "127.0.0.1:7391"
#: Objects made before the youngest are looked through, and how often the older ones are: a call makes some hundreds.
COLLECT_AFTER: Final = (20_000, 20, 20)
SHUTDOWN_S_MAX: Final = 5


@dataclass(frozen=True)
class Parts:
    """What a gateway is made of. Tests bring their own; `serve` makes the real ones."""

    engine: Engine
    facts: Gathering
    recorder: Recorder
    inbox: Inbox
    clock: Clock
    registry: Registry
    attestations: Attestations
    pool: Pool
    upstreams: PinnedUpstreams
    tasks: Tasks
    session: str
    url: str
    hosts: frozenset[str]
    anonymous: str | None = None
    scoring: Scoring = field(default_factory=Unscored)
    consulting: Consulting = field(default_factory=Unconsulted)
    #: Where logins are kept, where clients may log in.
    logins: Kept | None = None
    documents: Documents = field(default_factory=Documents)


@dataclass(frozen=True)
class Joined:
    """What serves any client, whatever it is carried by."""

    methods: Methods
    prompts: Prompts
    sessions: Sessions
    changes: Changes
    backlogs: Backlogs


def parts_joined(parts: Parts) -> Joined:
    """What these parts make together."""
    clock = parts.clock
    line = Line(
        engine=parts.engine,
        facts=parts.facts,
        recorder=parts.recorder,
        inbox=parts.inbox,
        clock=clock,
        asker="gateway",
        scoring=parts.scoring,
        consulting=parts.consulting,
    )
    catalogue = Catalogue(parts.upstreams, parts.engine)
    prompts = Prompts(parts.recorder, lambda: f"p-{secrets.token_hex(8)}")
    methods = Methods(
        line=line,
        engine=parts.engine,
        recorder=parts.recorder,
        catalogue=catalogue,
        prompts=prompts,
        seal=StateSeal(secrets.token_bytes(32), clock.steady_ms),
        checks=SchemaChecks(clock.steady_ms),
        tasks=parts.tasks,
        session=parts.session,
    )
    backlogs = Backlogs()
    sessions = Sessions(now_ms=clock.steady_ms, new_id=lambda: secrets.token_urlsafe(32), backlogs=backlogs)
    changes = Changes(sessions)
    parts.pool.listener = parts.upstreams.listener = catalogue.lists.listener = changes.told
    parts.pool.held = changes.held
    sessions.ended = parts.pool.session_ended
    return Joined(methods, prompts, sessions, changes, backlogs)


@dataclass(frozen=True)
class Assembled:
    """The application, and the part of it that asks a person about logins, if there is one."""

    application: Gateway | WithLogin
    login: LoginServer | None

    async def close(self) -> None:
        """Withdraw what a person was asked about logins."""
        if self.login is not None:
            await self.login.close()


def assembled(parts: Parts) -> Assembled:
    """The application of these parts over HTTP, where clients may log in."""
    identity = _authenticator(parts)
    login = _login(parts, identity)
    gateway = _gateway(parts, identity, login)
    return Assembled(gateway if login is None else WithLogin(gateway, login), login)


def _gateway(parts: Parts, identity: Authenticator, login: LoginServer | None) -> Gateway:
    joined = parts_joined(parts)
    legacy = LegacyEra(joined.methods, joined.sessions)
    return Gateway(
        identity=identity,
        legacy=legacy,
        batches=Batches(legacy, joined.sessions),
        sse=SseTransport(joined.methods, joined.sessions, legacy),
        modern=ModernEra(joined.methods, joined.changes, joined.backlogs),
        hook=Hook(joined.prompts, parts.scoring.prompted),
        refusals=Refusals(parts.recorder, parts.clock.now_ms, login),
        hosts=parts.hosts,
        connectors=parts.pool.names,
    )


def _login(parts: Parts, identity: Authenticator) -> LoginServer | None:
    if parts.logins is None:
        return None
    return LoginServer(
        Around(
            url=parts.url,
            uid=os.geteuid(),
            hosts=parts.hosts,
            connectors=parts.pool.names,
            caller=identity.caller,
            kept=parts.logins,
            inbox=parts.inbox,
            recorder=parts.recorder,
            clock=parts.clock,
            session=parts.session,
            documents=parts.documents,
        )
    )


def _authenticator(parts: Parts) -> Authenticator:
    return Authenticator(
        registry=parts.registry,
        attestations=parts.attestations,
        audience=parts.url,
        now_ms=parts.clock.steady_ms,
        find_peer=find_peer,
        anonymous=(parts.anonymous, os.geteuid()) if parts.anonymous is not None else None,
    )


def own_hosts(address: str, port: int) -> frozenset[str]:
    """The values of `Host` that mean this gateway: its address and the names of loopback, with its port."""
    shown = f"[{address}]" if ":" in address else address
    return frozenset(f"{name}:{port}" for name in (shown, "localhost", "127.0.0.1", "[::1]"))


def settle_memory() -> None:
    """For a process that serves from now on: what has been made stays, and is not looked through for garbage any more.
    Before, each call waited at times for a look through everything."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def uvicorn_server(application: Gateway | WithLogin) -> uvicorn.Server:
    """The HTTP server around it: httptools, uvloop where it is installed, no access log, no header of its own."""
    import uvicorn

    class Server(uvicorn.Server):
        """Leaves signals to its caller: uvicorn would raise them again at once, before log and servers are closed."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(
        uvicorn.Config(
            application,
            http=GatewayProtocol,
            ws="none",
            loop="none",
            lifespan="off",
            log_level="error",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S_MAX,
        )
    )
