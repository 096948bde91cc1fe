"""`interlock mcp -- COMMAND`: one stdio server, governed, for a client that speaks only stdio.

The client starts this in place of the server. The server runs inside the host plane as behind the gateway; calls walk
the same line, under the same kind of policy, into a log of their own in the same ledger. Nothing listens, and no token
is needed: the client is whoever started the process, known by the name that the operator wrote there (asserted).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock.app.connector_references import reached, resolved
from interlock.app.gateway import Parts, parts_joined
from interlock.app.gateway_definitions import Around, held_to
from interlock.app.gateway_place import ServerStanding
from interlock.app.gateway_policy import call_policy
from interlock.app.gateway_rego import check, consulting, consulting_of
from interlock.app.gateway_scoring import scoring_of
from interlock.app.gateway_serve import asked_for, refused, standings_of
from interlock.app.gateway_servers import SupervisedLauncher
from interlock.app.gateway_tasks import TasksApart
from interlock.app.gateway_told import Told
from interlock.app.handed_pipe import HandedPipe
from interlock.connectors.configuration import Stdio
from interlock.connectors.pool import Pool
from interlock.gateway.exchange_stdio import StdioExchange
from interlock.mediate.ports import RecordFailed
from interlock.mediate.principal import Binding, Principal
from interlock.storage.home import Home
from interlock.storage.memories import MemoryStore
from interlock.vocabulary.errors import HostError
from interlock.vocabulary.ids import session_id
from interlock.vocabulary.json_text import TEXT_BYTES_MAX

if TYPE_CHECKING:
    from interlock.connectors.configuration import Connector
    from interlock.gateway.pinned import PinnedUpstreams
    from interlock.identity.authenticate import Registry
    from interlock.policy.compiled_form import CompiledPolicy

LINE_BYTES_MAX: Final = TEXT_BYTES_MAX + 1_024
LOOK_S: Final = 0.5
#: For what waits to be read when the client has ended its input.
GOODBYE_S_MAX: Final = 2.0
_HELD_BY_PIPES: Final = "an MCP client starts this, and holds both by pipes"


@dataclass(frozen=True)
class WrappingWanted:
    """What the operator asked for: the server, who the client is, and the layers that its calls are decided by."""

    connector: Connector
    agent: str
    policies: Sequence[str]
    preset: str | None


def wrap(wanted: WrappingWanted) -> int:
    """Serve until the client ends its input or a signal comes. Raises `OperatorError` and `HostError` before anything
    is served."""
    home = Home.from_environment()
    home.ensure(home.config, home.cache, home.state, home.runtime, home.keys, home.index, home.gateway_logs)
    policy, warnings = call_policy(*asked_for(wanted.policies, wanted.preset, home), home)
    for warning in warnings:
        print(f"interlock: {warning}", file=sys.stderr)
    check(policy)
    return asyncio.run(_serve(wanted, home, policy))


async def _serve(wanted: WrappingWanted, home: Home, policy: CompiledPolicy) -> int:
    from interlock._native import LedgerError, Log, recover_ledger
    from interlock.app.gateway_ports import KnownFacts, LogRecorder, NativeEngine, SharedInbox, SystemClock
    from interlock.approvals.inbox import Inbox
    from interlock.identity.authenticate import Attestations, Registry

    session = session_id(now_s=time.time(), random=os.urandom(3))
    try:
        recover_ledger(f"{home.state}/ledger", home.keys)
        log = Log.open(f"{home.gateway_logs}/{session}", f"gateway/{session}", home.index, home.keys)
    except LedgerError as error:
        raise refused(error) from error
    clock, recorder = SystemClock(), LogRecorder(log)
    connectors = resolved({wanted.connector.name: wanted.connector}, os.environ)
    pool = Pool(connectors, launcher=SupervisedLauncher(home), reach=reached, now_ms=clock.monotonic_ms)
    inbox, tasks, registry = Inbox(home.inbox), TasksApart(home.tasks), Registry(home.registry)
    memories = MemoryStore(home.memories)
    layers = consulting_of(policy, clock)
    around = Around(pool=pool, recorder=recorder, inbox=SharedInbox(inbox), clock=clock, session=session)
    server = wanted.connector.server if isinstance(wanted.connector.server, Stdio) else None
    definitions = held_to(home.definitions, connectors, around, alone=server)
    parts = Parts(
        engine=NativeEngine(policy),
        facts=KnownFacts(clock),
        recorder=recorder,
        inbox=SharedInbox(inbox),
        clock=clock,
        registry=registry,
        attestations=Attestations(),
        pool=pool,
        upstreams=definitions.upstreams,
        tasks=tasks,
        session=session,
        url="stdio",
        hosts=frozenset(),
        scoring=scoring_of(policy, memories, clock),
        consulting=consulting(layers),
    )
    try:
        await recorder.durable(_opened(policy, wanted))
    except RecordFailed as error:
        raise refused(error) from error
    joined = parts_joined(parts)
    exchange = StdioExchange(
        joined.methods,
        joined.sessions,
        joined.changes,
        Principal(wanted.agent, "", Binding.USER, None, "asserted"),
        wanted.connector.name,
        lambda: _revoked(registry, wanted.agent, clock.steady_ms()),
    )
    telling = asyncio.create_task(_keep_told(pool, parts.upstreams))
    try:
        return await _until_the_end(exchange)
    finally:
        telling.cancel()
        await exchange.ended(GOODBYE_S_MAX)
        await pool.close()
        recorder.close("its client ended it")
        await definitions.close()
        inbox.close()
        tasks.close()
        memories.close()
        if layers is not None:
            layers.close()


async def _until_the_end(exchange: StdioExchange) -> int:
    loop, signals = asyncio.get_running_loop(), asyncio.Queue[int]()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, signals.put_nowait, number)
    lines, words = await _pipes()
    reading = asyncio.create_task(_read(lines, exchange))
    writing = asyncio.create_task(_write(words, exchange))
    ended = asyncio.ensure_future(signals.get())
    ways: set[asyncio.Future[object]] = {reading, writing, ended, exchange.outgoing.overrun}  # type: ignore[arg-type]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    status = 128 + ended.result() if ended.done() else 0
    if reading.done() and not writing.done():
        exchange.end()
        await asyncio.wait({writing}, timeout=GOODBYE_S_MAX)
    for each in (reading, writing, ended):
        each.cancel()
    return status


async def _pipes() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Standard input and output, by numbers of their own: a transport closes what it is given. Raises `HostError` where
    they are files: a client holds both by pipes."""
    for number, name in ((0, "input"), (1, "output")):
        mode = os.fstat(number).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(number)):
            raise HostError(f"standard {name} is neither a pipe nor a terminal", hint=_HELD_BY_PIPES)
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    source, sink = (HandedPipe(os.dup(number), loop) for number in (0, 1))
    try:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), source)
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sink)
    except (OSError, ValueError) as error:
        words = f"standard input and output cannot be used: {error}"
        raise HostError(words, hint=_HELD_BY_PIPES) from error
    return lines, asyncio.StreamWriter(transport, protocol, None, loop)


async def _read(lines: asyncio.StreamReader, exchange: StdioExchange) -> None:
    """Each line, until the end. A line that is longer than any message may be is the end as well: what follows it is
    not known to be a message."""
    while True:
        try:
            line = await lines.readuntil(b"\n")
        except asyncio.IncompleteReadError as rest:
            line = rest.partial
        except (asyncio.LimitOverrunError, OSError):
            return
        if line.strip():
            await exchange.take(line.strip())
        if not line.endswith(b"\n"):
            return


async def _write(words: asyncio.StreamWriter, exchange: StdioExchange) -> None:
    with contextlib.suppress(OSError):
        while (line := await exchange.outgoing.get()) is not None:
            words.write(line)
            await words.drain()


async def _keep_told(pool: Pool, upstreams: PinnedUpstreams) -> None:
    """Say on standard error what is wrong with the server: a client commonly shows or keeps it. And tell the client
    what it may use by now."""
    told, last = Told(), list[ServerStanding]()
    while True:
        with contextlib.suppress(HostError):  # a database that is busy: the next look
            upstreams.look()
        now = standings_of(pool)
        if now != last:
            for line in told.lines(now):
                with contextlib.suppress(OSError):
                    print(f"interlock: {line}", file=sys.stderr, flush=True)
            last = now
        await asyncio.sleep(LOOK_S)


def _revoked(registry: Registry, agent: str, now_ms: int) -> str | None:
    known = next((each for each in registry.list(now_ms) if each.name == agent), None)
    return f"agent `{agent}` was revoked" if known is not None and known.revoked_ms is not None else None


def _opened(policy: CompiledPolicy, wanted: WrappingWanted) -> dict[str, object]:
    return {
        "type": "session.opened",
        "human": f"uid:{os.getuid()}",
        "command": ["interlock", "mcp"],
        "agent": wanted.agent,
        "policy": policy.get("digest"),
        "layers": [layer["name"] for layer in policy["layers"]],
        "gateway": {"url": "stdio", "connectors": [wanted.connector.name]},
    }
