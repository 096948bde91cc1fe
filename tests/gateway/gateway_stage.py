"""A whole gateway in a thread: the real engine, log, inbox, registry, HTTP server; servers started as plain processes.

Only the host plane is left out here (`test_supervised.py` has it): the launcher is a few honest lines.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from interlock._native import Log
from interlock.app.gateway import Parts, assembled, own_hosts, uvicorn_server
from interlock.app.gateway_definitions import Around, held_to
from interlock.app.gateway_logins import LoginsApart
from interlock.app.gateway_ports import KnownFacts, LogRecorder, NativeEngine, SharedInbox, SystemClock
from interlock.app.gateway_rego import consulting, consulting_of
from interlock.app.gateway_scoring import scoring_of
from interlock.app.gateway_tasks import TasksApart
from interlock.approvals.inbox import Inbox
from interlock.connectors.configuration import Connector, Stdio
from interlock.connectors.http import HttpChannel
from interlock.connectors.launch import LastWords, LaunchFailed
from interlock.connectors.pool import Pool
from interlock.identity.attestation_socket import AttestationSocket
from interlock.identity.authenticate import Attestations, Registry
from interlock.storage.memories import MemoryStore

SERVERS = Path(__file__).parent / "servers"
SESSION = "s-20261121T120000-abcdef"


def rule(identity: str, decision: str, *verbs: str, **match: Any) -> dict[str, Any]:
    """One compiled rule (spec/policy.md)."""
    timeout = match.pop("timeout_ms", 20_000 if decision == "approve" else None)
    return {
        "id": identity, "decision": decision, "verbs": list(verbs), "because": match.pop("because", None), "match": match,
        "when": None, "timeout_ms": timeout, "steer": None, "obligations": {}, "best_effort": False,
        "source": {"file": "test.yaml", "line": 1, "column": 1},
    }  # fmt: skip


def policy(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A compiled policy of one layer; `more` of it, such as `risk`."""
    layer = {"name": "test", "origin": "user", "closed": False, "rules": list(rules), **more}
    return {"interlock": 1, "layers": [layer]}


RULES = (
    rule("reading", "allow", "tool.call", tool=["echo", "sum", "slow", "progress", "elicit", "chatter", "email", "exploding", "l*"]),
    rule("listing", "allow", "resource.read", "prompt.get", "log.level"),
    rule("secret", "deny", "resource.read", tool=["*secret*"], because="secrets stay here"),
    rule("erasing", "deny", "tool.call", operation=["delete"], because="nothing is deleted by agents"),
    rule("asking", "approve", "tool.call", tool=["ask_first"], because="a human looks first"),
    rule("small", "allow", "tool.call", tool=["limited"], arguments=[{"at": "/text", "test": "equals", "value": "small"}]),
    rule("big", "deny", "tool.call", tool=["limited"], arguments=[{"at": "/text", "test": "equals", "value": "big"}]),
)


class DirectServer:
    """A started server without the host plane."""

    def __init__(self, process: asyncio.subprocess.Process, contexts: list[str | None]) -> None:
        self._process = process
        self._contexts = contexts
        assert process.stdout is not None and process.stdin is not None
        self.session = "s-20261121T120001-000000"
        self.process = process.pid
        self.denied = ()
        self.output = process.stdout
        self.input = process.stdin
        self._errors = b""
        self._drain = asyncio.create_task(self._read_errors())

    def context(self, parent: str | None) -> asyncio.Future[None]:
        self._contexts.append(parent)
        taken = asyncio.get_running_loop().create_future()
        taken.set_result(None)
        return taken

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        self._process._transport.close()  # type: ignore[attr-defined]  # or a pipe that nobody reads any more holds the wait
        await self._process.wait()

    async def last_words(self) -> LastWords:
        if not self.output.at_eof():
            return LastWords("", self._errors.decode())
        await asyncio.wait({self._drain}, timeout=0.5)
        return LastWords(f"with status {self._process.returncode}", self._errors.decode())

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        while part := await self._process.stderr.read(65_536):
            self._errors = (self._errors + part)[-4_096:]
            await asyncio.sleep(0.01)


@dataclass
class DirectLauncher:
    """Starts servers as plain processes, and remembers what their supervisor would have been told."""

    contexts: list[str | None] = field(default_factory=list)
    started: list[str] = field(default_factory=list)

    async def start(self, name: str, server: Stdio, agent: str) -> DirectServer:
        self.started.append(name)
        environment = {"PATH": os.environ["PATH"], **server.environment}
        try:
            process = await asyncio.create_subprocess_exec(
                *server.command, stdin=-1, stdout=-1, stderr=-1, env=environment, limit=5 * 1024 * 1024
            )
        except OSError as error:
            raise LaunchFailed(str(error)) from error
        return DirectServer(process, self.contexts)


@dataclass
class Stage:
    """A running gateway and the way to everything behind it."""

    root: Path
    port: int
    launcher: DirectLauncher
    registry_path: str
    inbox: Inbox
    log: Log
    attestations: Attestations
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def effects(self) -> list[list[Any]]:
        file = self.root / "effects"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def seen(self, method: str) -> list[dict[str, Any]]:
        """The parameters of every request of this method that reached a server, as it came."""
        file = self.root / "seen"
        messages = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [each.get("params", {}) for each in messages if each.get("method") == method]

    def decided(self, verb: str) -> list[dict[str, Any]]:
        """The records of decisions about this verb."""
        return [each for each in self.records() if each["type"] == "action.decided" and each["action"]["verb"] == verb]

    def registry(self) -> Registry:
        return Registry(self.registry_path)

    def token(self, agent: str = "coder", **options: Any) -> str:
        """A token of an agent, made known if it is not."""
        registry = self.registry()
        now = time.time_ns() // 1_000_000
        if agent not in [each.name for each in registry.list(now)]:
            registry.add(agent, now)
        options = {"audience": self.url, "uid": os.geteuid(), "ttl_ms": 60_000, "now_ms": now, **options}
        return registry.issue_user(agent, **options)

    def records(self) -> list[dict[str, Any]]:
        """Every record in the log's files so far."""
        return records_in(self.root / "ledger")

    def answer_next(self, *, yes: bool, within_s: float = 10.0) -> None:
        """Answer the next question as a human would from another terminal."""
        inbox = Inbox(str(self.root / "inbox.sqlite"))
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for question in inbox.pending():
                inbox.answer(question.id, meant="once" if yes else "no", approver="uid:0")
                return
            time.sleep(0.02)
        raise AssertionError("no question came")


def records_in(directory: Path) -> list[dict[str, Any]]:
    """Records found in a log's segments by their JSON form, in order: independent of frames, so of the writer as well."""
    found: list[dict[str, Any]] = []
    decoder = json.JSONDecoder()
    for segment in sorted(directory.rglob("*")):
        if not segment.is_file():
            continue
        text = segment.read_bytes().decode("latin-1")
        at = text.find('{"')
        while at >= 0:
            try:
                value, end = decoder.raw_decode(text, at)
            except ValueError:
                end = at + 1
                value = None
            if isinstance(value, dict) and "type" in value and "record" in value:
                found.append(value)
            at = text.find('{"', end)
    unique = {(each.get("session"), each["record"]): each for each in found}
    return [unique[key] for key in sorted(unique, key=lambda key: (str(key[0]), key[1]))]


def connector(name: str, *arguments: str, root: Path, **options: Any) -> Connector:
    """A connector to the raw server."""
    environment = {"EFFECTS": str(root / "effects"), "SEEN": str(root / "seen")}
    stdio = Stdio((sys.executable, str(SERVERS / "raw.py"), *arguments), environment)
    return Connector(name=name, server=stdio, **{"timeout_ms": 3_000, "start_timeout_ms": 8_000, **options})


Start = Callable[..., Stage]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts gateways: `start(connectors, rules)`; each ends with the test."""
    endings: list[Callable[[], None]] = []

    def begin(*connectors: Connector, rules: tuple[dict[str, Any], ...] = RULES, **options: Any) -> Stage:
        stage, end = _begin(tmp_path, connectors, rules, options)
        endings.append(end)
        return stage

    yield begin
    for end in endings:
        end()


def _begin(
    root: Path, connectors: tuple[Connector, ...], rules: tuple[dict[str, Any], ...], options: dict[str, Any]
) -> tuple[Stage, Callable[[], None]]:
    ready = threading.Event()
    made: dict[str, Any] = {}

    async def main() -> None:
        clock = SystemClock()
        launcher = DirectLauncher()
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        name = f"gateway/s-20261121T120000-{secrets.token_hex(3)}"
        log = Log.open(str(root / "ledger" / name), name, str(root / "index"), str(root / "keys"))
        inbox = Inbox(str(root / "inbox.sqlite"))
        recorder = options.get("recorder", LogRecorder)(log)
        pool = Pool(
            {each.name: each for each in connectors}, launcher=launcher, reach=HttpChannel, now_ms=clock.now_ms
        )
        attestations, tasks = Attestations(), TasksApart(str(root / "tasks.sqlite"))
        compiled = options.get("compiled") or policy(*rules)
        memories, layers = MemoryStore(str(root / "memories.sqlite")), consulting_of(compiled, clock)
        around = Around(pool=pool, recorder=recorder, inbox=SharedInbox(inbox), clock=clock, session=SESSION)
        definitions = held_to(f"{root}/definitions.sqlite", {each.name: each for each in connectors}, around)
        registry = str(options.get("registry", root / "registry.sqlite"))
        logins = LoginsApart(registry) if options.get("oauth") else None
        parts = Parts(
            logins=logins, **({"documents": options["documents"]} if "documents" in options else {}),
            upstreams=definitions.upstreams,
            scoring=scoring_of(compiled, memories, clock),
            consulting=consulting(layers),
            engine=NativeEngine(compiled), facts=KnownFacts(clock), recorder=recorder, inbox=SharedInbox(inbox), clock=clock,
            registry=Registry(registry, soon=asyncio.get_running_loop().call_soon), attestations=attestations, pool=pool, session=SESSION,
            tasks=tasks, url=f"http://127.0.0.1:{port}", hosts=own_hosts("127.0.0.1", port), anonymous=options.get("anonymous"),
        )  # fmt: skip
        door = str(root / "gateway.sock")
        attestation_socket = AttestationSocket(door, attestations, uid=os.geteuid(), port=port, now_ms=clock.steady_ms)
        await attestation_socket.start()
        joined = assembled(parts)
        server = uvicorn_server(joined.application)
        made["server"] = server
        made["stage"] = Stage(root, port, launcher, registry, inbox, log, attestations, asyncio.get_running_loop())
        asyncio.get_running_loop().call_later(0.05, ready.set)
        looking = asyncio.create_task(_look(definitions.upstreams))
        await server.serve(sockets=[listener])
        looking.cancel()
        await joined.close()
        await definitions.close()
        await pool.close()
        await attestation_socket.close()
        for each in filter(None, (tasks, memories, logins, layers)):
            each.close()
        recorder.close("test over")

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            made["error"] = error
            ready.set()
            raise

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(20) and "error" not in made, made

    def end() -> None:
        made["server"].should_exit = True
        thread.join(20)

    return made["stage"], end


async def _look(upstreams: Any) -> None:
    """As the gateway's own program does it."""
    while True:
        upstreams.look()
        await asyncio.sleep(0.1)


META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


def post(stage: Any, token: str | None, body: Any, path: str = "/mcp", **headers: str) -> tuple[int, Any, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    base = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if token:
        base["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(stage.url + path, data=data, headers={**base, **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.headers, read(response.read())
    except urllib.error.HTTPError as error:
        return error.code, error.headers, read(error.read())


def read(text: bytes) -> Any:
    if text.startswith((b"event:", b":")):
        found = [json.loads(line[6:]) for line in text.splitlines() if line.startswith(b"data: ")]
        return found[0] if len(found) == 1 else found  # on a busy machine an answer comes as a stream sooner
    return json.loads(text) if text else None


def modern(stage: Any, token: str | None, method: str, params: dict[str, Any] | None = None, path: str = "/mcp") -> Any:
    params = {"_meta": META, **(params or {})}
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
    if "name" in params or "uri" in params:
        headers["Mcp-Name"] = params.get("name") or params["uri"]
    status, _, answer = post(stage, token, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, path, **headers)
    return status, answer


def call(stage: Any, token: str, name: str, **arguments: Any) -> Any:
    status, answer = modern(stage, token, "tools/call", {"name": name, "arguments": arguments})
    assert status == 200, answer
    return (answer[-1] if isinstance(answer, list) else answer)["result"]
