"""`interlock gateway` from its command line to its end: opens what `gateway.py` joins, serves, and closes it again.

One gateway for each home: `runtime/gateway.json` says where it listens, held by a lock as long as it lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from interlock.app.connector_references import reached, resolved
from interlock.app.gateway import Parts, assembled, own_hosts, settle_memory, uvicorn_server
from interlock.app.gateway_definitions import Around, held_to
from interlock.app.gateway_logins import LoginsApart
from interlock.app.gateway_place import ServerStanding, announce, keep_told, withdraw
from interlock.app.gateway_policy import call_policy
from interlock.app.gateway_rego import check, consulting, consulting_of
from interlock.app.gateway_scoring import scoring_of
from interlock.app.gateway_servers import SupervisedLauncher
from interlock.app.gateway_tasks import TasksApart
from interlock.app.gateway_told import Told
from interlock.app.package_fetch import clear_forgotten
from interlock.connectors.configuration import Connector, Stdio, load
from interlock.connectors.pool import Pool
from interlock.mediate.ports import RecordFailed
from interlock.storage.home import Home
from interlock.storage.memories import MemoryStore
from interlock.storage.runtime import clear_leftovers
from interlock.vocabulary.errors import EXIT_FAILED, HostError, OperatorError
from interlock.vocabulary.ids import session_id

if TYPE_CHECKING:
    import uvicorn

    from interlock.gateway.pinned import PinnedUpstreams
    from interlock.identity.authenticate import Registry
    from interlock.policy.compiled_form import CompiledPolicy

PRESET: Final = "gateway-baseline"
BACKLOG: Final = 128


@dataclass(frozen=True)
class GatewayWanted:
    """What the operator asked for. `anonymous` names the agent that local connections without a token stand for."""

    listen: str
    policies: Sequence[str]
    preset: str | None
    anonymous: str | None
    #: Whether clients may log in by OAuth.
    oauth: bool = False


def serve(wanted: GatewayWanted) -> int:
    """Serve until a signal ends it. Raises `OperatorError` and `HostError` before anything is served."""
    home = Home.from_environment()
    home.ensure(home.config, home.cache, home.state, home.runtime, home.keys, home.index, home.gateway_logs)
    connectors = load_connectors(home)
    listener = _listener(wanted.listen)
    lock = _lock(home)
    clear_leftovers(home)
    clear_forgotten(home, _packages(connectors))
    try:
        return _run(wanted, home, connectors, listener)
    finally:
        listener.close()
        withdraw(home)
        os.close(lock)


def _packages(connectors: Mapping[str, Connector]) -> list[str]:
    servers = [each.server for each in connectors.values()]
    return [each.package.folder for each in servers if isinstance(each, Stdio) and each.package is not None]


def load_connectors(home: Home) -> dict[str, Connector]:
    """Every connector of the configuration, by name. Raises `OperatorError` with the place of what is wrong."""
    found: dict[str, Connector] = {}
    for path in sorted(Path(home.connectors).glob("*.yaml")):
        home.check_file(str(path))
        connector = load(path)
        found[connector.name] = connector
    return found


@dataclass(frozen=True)
class _Opening:
    """One gateway that is about to serve: what was asked for, what it found, and what it is called."""

    wanted: GatewayWanted
    home: Home
    connectors: Mapping[str, Connector]
    policy: CompiledPolicy
    listener: socket.socket
    url: str
    session: str


def _run(wanted: GatewayWanted, home: Home, connectors: Mapping[str, Connector], listener: socket.socket) -> int:
    policy, warnings = call_policy(*asked_for(wanted.policies, wanted.preset, home), home)
    for warning in warnings:
        print(f"interlock: {warning}", file=sys.stderr)
    check(policy)
    url = _url(*listener.getsockname()[:2])
    session = session_id(now_s=time.time(), random=os.urandom(3))
    opening = _Opening(wanted, home, connectors, policy, listener, url, session)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(opening))


def asked_for(policies: Sequence[str], preset: str | None, home: Home) -> tuple[Sequence[str], str | None]:
    """The layers by name. Where none is named it is the operator's own, if there is one, or a preset."""
    if policies or preset is not None:
        return policies, preset
    return ([home.gateway_policy], None) if os.path.lexists(home.gateway_policy) else ([], PRESET)


async def _serve(opening: _Opening) -> int:
    from interlock._native import LedgerError, Log, recover_ledger
    from interlock.app.gateway_ports import KnownFacts, LogRecorder, NativeEngine, SharedInbox, SystemClock
    from interlock.approvals.inbox import Inbox
    from interlock.identity.attestation_socket import AttestationSocket
    from interlock.identity.authenticate import Attestations, Registry

    home, policy, listener = opening.home, opening.policy, opening.listener
    try:
        recover_ledger(f"{home.state}/ledger", home.keys)
        log = Log.open(f"{home.gateway_logs}/{opening.session}", f"gateway/{opening.session}", home.index, home.keys)
    except LedgerError as error:
        raise refused(error) from error
    clock, recorder, attestations = SystemClock(), LogRecorder(log), Attestations()
    pool = Pool(
        resolved(opening.connectors, os.environ),
        launcher=SupervisedLauncher(home),
        reach=reached,
        now_ms=clock.monotonic_ms,
    )
    address, port = listener.getsockname()[:2]
    inbox, tasks, memories = Inbox(home.inbox), TasksApart(home.tasks), MemoryStore(home.memories)
    logins, layers = LoginsApart(home.registry) if opening.wanted.oauth else None, consulting_of(policy, clock)
    around = Around(pool=pool, recorder=recorder, inbox=SharedInbox(inbox), clock=clock, session=opening.session)
    definitions = held_to(home.definitions, opening.connectors, around)
    parts = Parts(
        engine=NativeEngine(policy),
        facts=KnownFacts(clock),
        recorder=recorder,
        inbox=SharedInbox(inbox),
        clock=clock,
        registry=Registry(home.registry, soon=asyncio.get_running_loop().call_soon),
        attestations=attestations,
        pool=pool,
        upstreams=definitions.upstreams,
        tasks=tasks,
        session=opening.session,
        url=opening.url,
        hosts=own_hosts(address, port),
        anonymous=opening.wanted.anonymous,
        scoring=scoring_of(policy, memories, clock),
        consulting=consulting(layers),
        logins=logins,
    )
    attesting = AttestationSocket(home.gateway_socket, attestations, uid=home.uid, port=port, now_ms=clock.steady_ms)
    try:
        await recorder.durable(_opened(policy, opening.connectors, opening.url))
    except RecordFailed as error:
        raise refused(error) from error
    await attesting.start()
    _open_to_agents(opening)
    joined = assembled(parts)
    server, told = uvicorn_server(joined.application), Told()
    settle_memory()
    caught = _ends_on_signal(server)
    look = partial(_looked_at, pool, parts.registry, parts.upstreams)
    telling = asyncio.create_task(keep_told(home, look, lambda now: _say(told.lines(now))))
    try:
        await server.serve(sockets=[listener])
        return 128 + caught[0] if caught else 0
    finally:
        telling.cancel()
        await joined.close()
        await attesting.close()
        await pool.close()
        recorder.close("the gateway was ended")
        await definitions.close()
        for each in (inbox, tasks, memories, logins, layers):
            if each is not None:
                each.close()


def _open_to_agents(opening: _Opening) -> None:
    """Take connections and say where. Before this the port refuses them: who connects finds a gateway that can tell
    who is asking. Raises `HostError` when another program began to listen there meanwhile.
    """
    wanted = opening.wanted
    try:
        opening.listener.listen(BACKLOG)
    except OSError as error:
        raise _taken(wanted.listen, error) from error
    announce(opening.home, opening.url)
    lines = (f"interlock gateway at {opening.url}/mcp", *_described(opening.connectors, opening.policy))
    print(*lines, sep="\n  ", file=sys.stderr, flush=True)
    if wanted.oauth:
        print("  login: by OAuth; you are asked at the inbox: interlock approvals list", file=sys.stderr, flush=True)
    if wanted.anonymous is not None:
        print(
            f"  warning: local connections without a token act as `{wanted.anonymous}`: for tests only",
            file=sys.stderr,
        )


def _say(lines: list[str]) -> None:
    for line in lines:
        with contextlib.suppress(OSError):  # nobody reads it: the gateway goes on
            print(f"interlock gateway: {line}", file=sys.stderr, flush=True)


def _looked_at(pool: Pool, registry: Registry, upstreams: PinnedUpstreams) -> list[ServerStanding]:
    """How it stands with each server; those of agents that were revoked are ended, and who waits for a definition that
    was approved is told."""
    with contextlib.suppress(HostError):  # a database that is busy or gone: the next look
        upstreams.look()
    with contextlib.suppress(HostError):  # a registry that is busy or gone: the next look
        pool.leave(registry.revoked())
    return standings_of(pool)


def standings_of(pool: Pool) -> list[ServerStanding]:
    """How it stands with each server."""
    return [
        ServerStanding(
            connector=each.connector,
            agent=agent,
            state=each.state,
            faults=list(each.faults),
            detail=each.detail,
            denied=list(each.denied),
            left_out=list(each.left_out),
        )
        for agent, each in pool.standings()
    ]


def refused(error: Exception) -> HostError:
    """What cannot be recorded is not served."""
    return HostError(
        f"the ledger cannot be opened: {error}",
        hint="`interlock ledger verify` says what is damaged",
        exit_code=EXIT_FAILED,
    )


def _ends_on_signal(server: uvicorn.Server) -> list[int]:
    """SIGTERM and SIGINT end it in order, a second one at once. Returns the list that the signals are put into."""
    caught: list[int] = []

    def end(number: int) -> None:
        server.force_exit = bool(caught)
        server.should_exit = True
        caught.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    return caught


def _opened(policy: CompiledPolicy, connectors: Mapping[str, Connector], url: str) -> dict[str, object]:
    return {
        "type": "session.opened",
        "human": f"uid:{os.getuid()}",
        "command": ["interlock", "gateway"],
        "policy": policy.get("digest"),
        "layers": [layer["name"] for layer in policy["layers"]],
        "gateway": {"url": url, "connectors": sorted(connectors)},
    }


def _listener(listen: str) -> socket.socket:
    """The socket at that address, which does not take connections yet. Raises `OperatorError` for any address but
    loopback: tokens are bound to local connections."""
    host, _, port_text = listen.rpartition(":")
    try:
        address, port = ip_address(host.strip("[]") if host != "localhost" else "127.0.0.1"), int(port_text)
    except ValueError as error:
        raise OperatorError(f"`{listen}` is not an address and port", hint="for example 127.0.0.1:7391") from error
    if not address.is_loopback:
        raise OperatorError(
            f"`{address}` is not a loopback address",
            hint="agents authenticate by local connections: listen on 127.0.0.1",
        )
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((str(address), port))
        return listener
    except (OSError, OverflowError) as error:
        listener.close()
        raise _taken(listen, error) from error


def _taken(listen: str, error: Exception) -> HostError:
    return HostError(f"cannot listen on `{listen}`: {error}", hint="is a gateway running already?")


def _lock(home: Home) -> int:
    path = f"{home.runtime}/gateway.lock"
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise OperatorError("a gateway of this home runs already", hint="one is enough for all connectors") from error
    return lock


def _described(connectors: Mapping[str, Connector], policy: CompiledPolicy) -> list[str]:
    """What is served, by which policy, and how an agent gets in."""
    named = f"{', '.join(connectors)} (each alone at /mcp/NAME)"
    none = "none yet (interlock connector add NAME --stdio -- COMMAND, then start the gateway again)"
    return [
        f"connectors: {named if connectors else none}",
        f"policy: {', '.join(layer['name'] for layer in policy['layers'])}",
        "a token for an agent: interlock agent add NAME",
    ]


def _url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
