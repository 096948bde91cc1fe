"""A governed tool call beside the same call made directly and through a bare hop, in one run: calls/s, times, processor, memory.

Each of these is a process of its own: a server over HTTP that is as cheap as can be (`programs/mcp_http.py`), a bare uvicorn hop to it
(`programs/hop.py`), a gateway to it with the real engine, log and registry (`programs/governed.py`), which also holds a cheap server over
stdio in the host plane (`programs/mcp_stdio.py`). The load is made here, on the same processors. The three are called by turns, several
times each, and the best of each is told, since what else the machine does only ever adds. Run: `python -m bench gateway`; with
`INTERLOCK_BENCH_OLD=DIR` the gateway of another tree (its `src`, with the native module, and its `bench`) is called by the same turns.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bench.load import LEGACY, Measured, Target, load
from bench.row import Row

ROOT = Path(__file__).resolve().parents[1]
CONNECTIONS = (1, 16, 64)
SECONDS = 1.0
TURNS = 3
SESSIONS = 1_000
AGENTS = 20
ABOUT_MS = 3_600_000


@dataclass(frozen=True)
class Called:
    """A process, and what is called of it."""

    process: subprocess.Popen[bytes]
    target: Target


def rows(seconds: float = SECONDS) -> Iterator[Row]:
    """See the module."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="interlock-bench-"))
        server = free_port()
        upstream = Called(started(stack, ROOT, "mcp_http", server), Target(server, "echo"))
        hop = Called(started(stack, ROOT, "hop", port := free_port(), server), Target(port, "echo"))
        governed = gateway(stack, ROOT, f"{folder}/new", server)
        ways = {"direct": upstream, "hop": hop, "governed": governed, "stdio": _with(governed, name="line__echo")}
        ways["2025"] = _with(governed, session=begun(governed.target.port, governed.target.token))
        if old := os.environ.get("INTERLOCK_BENCH_OLD"):
            ways["old"] = gateway(stack, Path(old), f"{folder}/old", server)
        yield Row(f"memory of {SESSIONS} idle sessions", "MB", 0, idle_sessions_mb(governed, f"{folder}/new"))
        for connections in CONNECTIONS:
            yield from _compared(connections, _by_turns(ways, connections, seconds))


def _by_turns(ways: dict[str, Called], connections: int, seconds: float) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {name: [] for name in ways}
    for _ in range(TURNS):
        for name, way in ways.items():
            found[name].append(load(way.process.pid, way.target, connections, seconds))
    return found


def _compared(connections: int, found: dict[str, list[Measured]]) -> Iterator[Row]:
    at = f"{connections} conn."
    for what, unit, key, best in (
        ("calls a second", "/s", "calls_per_s", max),
        ("median", "us", "median_us", min),
        ("slowest in 100", "us", "p99_us", min),
        ("processor a call", "us", "processor_us", min),
    ):
        figures = {name: best(getattr(each, key) for each in turns) for name, turns in found.items()}
        yield Row(f"{at}, {what}", unit, figures["direct"], figures["governed"], figures["hop"])
        for name in ("stdio", "2025", "old"):
            if name in figures:
                yield Row(f"{at}, {what} ({name})", unit, 0, figures[name], 0)


def _with(way: Called, **other: str) -> Called:
    return Called(way.process, replace(way.target, **other))


def gateway(stack: ExitStack, checkout: Path, folder: str, upstream: int) -> Called:
    """The gateway of a checkout, with an agent who has a token."""
    Path(folder).mkdir()
    port = free_port()
    token = _token(folder, port, "bench")
    return Called(started(stack, checkout, "governed", folder, port, upstream), Target(port, "up__echo", token))


def _token(folder: str, port: int, agent: str) -> str:
    from interlock.identity.authenticate import Registry

    registry, now_ms = Registry(f"{folder}/registry"), time.time_ns() // 1_000_000
    registry.add(agent, now_ms)
    token = registry.issue_user(agent, audience=f"http://127.0.0.1:{port}", uid=os.geteuid(), ttl_ms=ABOUT_MS, now_ms=now_ms)
    registry.close()
    return token


def started(stack: ExitStack, checkout: Path, program: str, *arguments: object) -> subprocess.Popen[bytes]:
    """A program of the benchmark, once it listens at the port that is its first number; ended with the run."""
    command = [sys.executable, "-m", f"bench.programs.{program}", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout / "src")})
    stack.callback(process.wait)
    stack.callback(process.terminate)
    port = next(each for each in arguments if isinstance(each, int))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"`{program}` of the benchmark did not start")


def free_port() -> int:
    """One that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def idle_sessions_mb(way: Called, folder: str) -> float:
    """What the gateway's memory grows by when so many sessions of the older era were begun, none of which does anything."""
    port = way.target.port
    tokens = [_token(folder, port, f"idle{number}") for number in range(AGENTS)]
    for token in tokens:
        begun(port, token)
    before = resident_mb(way.process.pid)
    for token in tokens:
        begun(port, token, SESSIONS // AGENTS)
    return resident_mb(way.process.pid) - before


def begun(port: int, token: str, count: int = 1) -> str:
    """Begin sessions of the older era; the last one's id."""
    session = ""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    for _ in range(count):
        connection.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}), headers)
        response = connection.getresponse()
        session = response.headers["mcp-session-id"] or ""
        assert response.status == 200 and session, response.read()
        response.read()
    connection.close()
    return session


def resident_mb(process: int) -> float:
    """What is in memory of a process (proc_pid_status(5))."""
    line = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
