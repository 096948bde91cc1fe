"""The port through which a stdio server is started: a supervised session of the host plane. `app/` wires the real
one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from interlock.connectors.configuration import Stdio


class LaunchFailed(Exception):
    """The server was not started; the message says why, for the operator."""


@dataclass(frozen=True, slots=True)
class LastWords:
    """What a server left: how it ended (`with status 1`, or nothing while that is not known), and the end of what it
    wrote to its standard error."""

    how: str = ""
    text: str = ""


class Running(Protocol):
    """A started server: its two pipes, and the session that holds it."""

    @property
    def session(self) -> str:
        """The host-plane session that holds the process."""

    @property
    def process(self) -> int:
        """The process id of the server's command."""

    @property
    def output(self) -> asyncio.StreamReader:
        """What the server writes. Its limit bounds one line."""

    @property
    def input(self) -> asyncio.StreamWriter:
        """What the server reads."""

    @property
    def denied(self) -> tuple[str, ...]:
        """What its policy refused the server last, in words."""

    def context(self, parent: str | None) -> Awaitable[None]:
        """Tell the supervisor at once which action the server works on from now on. What is returned is done when it
        has acknowledged, and need not be waited for. Raises `OSError` and `EOFError`, here or there."""

    async def end(self) -> None:
        """End the server and everything it started; returns when it is reaped."""

    async def last_words(self) -> LastWords:
        """What it left so far. Once its output has ended this waits a moment for what is still on its way."""


class Launcher(Protocol):
    """Starts servers."""

    async def start(self, name: str, server: Stdio, agent: str) -> Running:
        """Start the command of the connector `name` for one agent. Raises `LaunchFailed`."""
