"""Calls of one tool over HTTP, each connection calling again as soon as it was answered, and what they took."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
WARM_S = 0.3
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """One run: calls a second, microseconds of the median and of the slowest in a hundred, and the microseconds of processor that
    the process called spent for each call."""

    calls_per_s: float
    median_us: float
    p99_us: float
    processor_us: float


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


class Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, data: bytes, until: float, times_us: list[float]) -> None:
        self._data, self._until, self._times_us = data, until, times_us
        self._buffer, self._began = b"", 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._call()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        self._times_us.append((time.perf_counter() - self._began) * 1e6)
        if b'"hello' not in body:
            self._end(AssertionError(self._buffer[:500]))
            return
        self._buffer = b""
        self._call() if time.perf_counter() < self._until else self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error or EOFError("the connection was closed"))

    def _call(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._data)

    def _end(self, error: Exception | None) -> None:
        self.ended.set_exception(error) if error is not None else self.ended.set_result(None)
        self._transport.close()


async def _called(port: int, data: bytes, connections: int, seconds: float) -> list[float]:
    times_us: list[float] = []
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Caller(data, until, times_us), "127.0.0.1", port) for _ in range(connections)]
    await asyncio.gather(*(caller.ended for _, caller in made))
    return times_us


def processor_s(process: int) -> float:
    """Of a process so far, all of its threads (proc_pid_stat(5))."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def load(process: int, port: int, name: str, token: str, connections: int, seconds: float) -> Measured:
    """Call the tool of that name at a port, which that process serves."""
    data = request(port, name, token)
    uvloop.run(_called(port, data, connections, WARM_S))
    spent_s, began_s = processor_s(process), time.perf_counter()
    times_us = uvloop.run(_called(port, data, connections, seconds))
    took_s, spent_s = time.perf_counter() - began_s, processor_s(process) - spent_s
    p99_us = statistics.quantiles(times_us, n=100)[98] if len(times_us) > 1 else times_us[0]
    return Measured(len(times_us) / took_s, statistics.median(times_us), p99_us, spent_s / len(times_us) * 1e6)
