"""A governed tool call against the same call made directly, in one run: added latency and calls/s, as ratios, and where time goes.

The upstream is a small HTTP server of its own process that answers `tools/call` at once. Direct: the load generator to it. Governed:
through a gateway of its own process with the real engine, log and registry. Run: `python -m bench gateway`; BENCH_PROFILE=1 prints a profile of the gateway's process at its end.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.row import Row

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
CONNECTIONS = (1, 16)
SECONDS = 3.0
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def request(port: int, name: str, token: str) -> bytes:
    """One HTTP request, whole."""
    params = {"name": name, "arguments": {"text": "hello " * 20}, "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
        f"Mcp-Name: {name}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def worker(port: int, data: bytes, until: float, times_us: list[float]) -> None:
    """Calls one after the other on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(data)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        times_us.append((time.perf_counter() - began) * 1e6)
        assert b'"hello' in body, body[:300]
    writer.close()


async def load(port: int, name: str, token: str, connections: int, seconds: float) -> tuple[float, float]:
    """Calls a second, and the median time of one in microseconds."""
    data = request(port, name, token)
    await worker(port, data, time.perf_counter() + 0.3, [])
    times_us: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(worker(port, data, began + seconds, times_us) for _ in range(connections)))
    return len(times_us) / (time.perf_counter() - began), statistics.median(times_us)


class Upstream(asyncio.Protocol):
    """HTTP/1.1 with Content-Length, as little as a server can do."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            answer = self.answer(json.loads(body)) if body else b"{}"
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
                + answer
            )

    def answer(self, message: dict[str, Any]) -> bytes:
        method = message["method"]
        result: dict[str, Any] = {"resultType": "complete"}
        if method == "server/discover":
            result |= {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
        elif method == "tools/list":
            result |= {"tools": [{"name": "echo", "inputSchema": SCHEMA}], "ttlMs": 60000, "cacheScope": "private"}
        else:
            text = message["params"]["arguments"]["text"]
            result |= {"content": [{"type": "text", "text": text}]}
        return json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()


async def serve_upstream(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


async def serve_gateway(root: Path, port: int, upstream_port: int) -> None:
    """The gateway without the host plane: an HTTP connector needs none."""
    from interlock._native import Log
    from interlock.app.gateway import Parts, assemble, own_hosts, uvicorn_server
    from interlock.app.gateway_ports import KnownFacts, LogRecorder, NativeEngine, SharedInbox, SystemClock
    from interlock.app.gateway_servers import SupervisedLauncher
    from interlock.approvals.inbox import Inbox
    from interlock.connectors.configuration import Connector, Http
    from interlock.connectors.http import HttpChannel
    from interlock.connectors.pool import Pool
    from interlock.identity.authenticate import Attestations, Registry
    from interlock.storage.home import Home

    clock, name = SystemClock(), "s-20260101T000000-000000"
    log = Log.open(
        str(root / "ledger/gateway" / name), f"gateway/{name}", str(root / "ledger/index"), str(root / "keys")
    )
    connector = Connector("up", Http(f"http://127.0.0.1:{upstream_port}/mcp"))
    home = Home.from_environment({"INTERLOCK_HOME": str(root / "home")})
    pool = Pool({"up": connector}, launcher=SupervisedLauncher(home), reach=HttpChannel, now_ms=clock.now_ms)
    rule = {
        "id": "all", "decision": "allow", "verbs": ["tool.call"], "because": None, "match": {"tool": ["*"]}, "when": None,
        "timeout_ms": None, "steer": None, "obligations": {}, "best_effort": False,
        "source": {"file": "bench.yaml", "line": 1, "column": 1},
    }  # fmt: skip
    policy = {"interlock": 1, "layers": [{"name": "bench", "origin": "user", "closed": False, "rules": [rule]}]}
    parts = Parts(
        engine=NativeEngine(policy), facts=KnownFacts(clock), recorder=LogRecorder(log),
        inbox=SharedInbox(Inbox(str(root / "inbox"))), clock=clock, registry=Registry(str(root / "registry")), attestations=Attestations(), pool=pool, session=name,
        url=f"http://127.0.0.1:{port}", hosts=own_hosts("127.0.0.1", port),
    )  # fmt: skip
    server = uvicorn_server(assemble(parts))
    server.config.host, server.config.port = "127.0.0.1", port
    if os.environ.get("BENCH_PROFILE"):
        await profiled(server.serve())
    else:
        await server.serve()


async def profiled(serving: Any) -> None:
    """Where the time goes: the functions with most time of their own, as shares of the whole."""
    import cProfile
    import pstats

    profile = cProfile.Profile()
    profile.enable()
    try:
        await serving
    finally:
        profile.disable()
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(25)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def child(*arguments: str) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[1]
    return subprocess.Popen([sys.executable, "-m", "bench.gateway", *arguments], cwd=root)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("a server of the benchmark did not start")


def rows(seconds: float = SECONDS) -> Iterator[Row]:
    """For each number of connections: time of one call (median) and time per call at full load, direct beside governed."""
    from interlock.identity.authenticate import Registry

    with tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder:
        upstream, gateway = free_port(), free_port()
        registry = Registry(f"{folder}/registry")
        now = time.time_ns() // 1_000_000
        registry.add("bench", now)
        url = f"http://127.0.0.1:{gateway}"
        token = registry.issue_user("bench", audience=url, uid=os.geteuid(), ttl_ms=3_600_000, now_ms=now)
        children = [child("upstream", str(upstream)), child("gateway", folder, str(gateway), str(upstream))]
        try:
            wait_for(upstream)
            wait_for(gateway)
            for connections in CONNECTIONS:
                direct = asyncio.run(load(upstream, "echo", token, connections, seconds))
                governed = asyncio.run(load(gateway, "up__echo", token, connections, seconds))
                yield Row(f"tool call, median, {connections} connections", "us", direct[1], governed[1])
                yield Row(f"tool call, time each, {connections} conn.", "us", 1e6 / direct[0], 1e6 / governed[0])
        finally:
            for each in children:
                each.terminate()
                each.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["upstream"]:
        asyncio.run(serve_upstream(int(sys.argv[2])))
    elif sys.argv[1:2] == ["gateway"]:
        asyncio.run(serve_gateway(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
    else:
        for row in rows(float(sys.argv[1]) if sys.argv[1:] else SECONDS):
            print(f"{row.name:38} direct {row.native:9.1f} governed {row.governed:9.1f} {row.unit} {row.ratio:7.1f}x")
