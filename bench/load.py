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
LEGACY = "2025-11-25"
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


@dataclass(frozen=True)
class Target:
    """What is called: a tool at a port, with a token if it takes one; in a session of the older era, if there is one."""

    port: int
    name: str
    token: str = ""
    session: str = ""

    def request(self, identity: int) -> bytes:
        """One HTTP request, whole."""
        params = {"name": self.name, "arguments": {"text": "hello " * 20}} | ({} if self.session else {"_meta": META})
        body = json.dumps({"jsonrpc": "2.0", "id": identity, "method": "tools/call", "params": params}).encode()
        modern = f"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {self.name}"
        era = f"MCP-Protocol-Version: {LEGACY}\r\nMcp-Session-Id: {self.session}" if self.session else modern
        head = (
            f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n{era}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def is_whole(answer: bytes) -> bool:
    """Whether all of an answer has come: of the length it says, or a stream of events with its end."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(end) and (len(body) >= int(length) if length else body.endswith(b"0\r\n\r\n"))


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
        if not is_whole(self._buffer):
            return
        self._times_us.append((time.perf_counter() - self._began) * 1e6)
        if b'"hello' not in self._buffer:
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


async def _called(target: Target, connections: int, seconds: float) -> list[float]:
    times_us: list[float] = []
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    callers = [Caller(target.request(number), until, times_us) for number in range(connections)]
    made = [await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", target.port) for caller in callers]
    await asyncio.gather(*(caller.ended for _, caller in made))
    return times_us


def processor_s(process: int) -> float:
    """Of a process so far, all of its threads (proc_pid_stat(5))."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def load(process: int, target: Target, connections: int, seconds: float) -> Measured:
    """Call a tool that this process serves."""
    uvloop.run(_called(target, connections, WARM_S))
    spent_s, began_s = processor_s(process), time.perf_counter()
    times_us = uvloop.run(_called(target, connections, seconds))
    took_s, spent_s = time.perf_counter() - began_s, processor_s(process) - spent_s
    p99_us = statistics.quantiles(times_us, n=100)[98] if len(times_us) > 1 else times_us[0]
    return Measured(len(times_us) / took_s, statistics.median(times_us), p99_us, spent_s / len(times_us) * 1e6)
