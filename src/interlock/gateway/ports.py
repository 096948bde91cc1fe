"""What the gateway needs beside the line: who is calling, the servers behind, and where a refused caller is
recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from interlock.mcp.request_headers import Headers
from interlock.mediate.principal import Principal, Unknown
from interlock.mediate.task import KeptTask
from interlock.mediate.upstream import Upstream


class Connection(Protocol):
    """One TCP connection, as identity needs it."""

    memory: dict[str, object]
    #: Whose it is, once that is known.
    agent: str | None
    abort: Callable[[], None]
    #: Done when it is closed.
    gone: asyncio.Future[None]
    #: Whether its other end takes less than it was sent.
    is_full: Callable[[], bool]

    @property
    def client(self) -> tuple[str, int]:
        """The other end."""

    @property
    def server(self) -> tuple[str, int]:
        """This end."""

    def belongs_to(self, agent: str) -> bool:
        """It is this agent's from now on; false when that one has too many already."""


class Identity(Protocol):
    """Who a request is from."""

    def authenticate(self, authorization: str | None, connection: Connection) -> Principal | Unknown:
        """By the header's value and the connection it came on."""

    def still(self, principal: Principal, authorization: str | None) -> str | None:
        """Why this principal may no longer act, or none."""


class Login(Protocol):
    """Where clients log in: some paths beside those of MCP."""

    #: The largest body of a request there.
    body_bytes_max: int

    def serves(self, path: str) -> bool:
        """Whether a path is one of them."""

    def challenge(self, host: str, path: str, *, reason: str | None) -> str:
        """What `WWW-Authenticate` says to who is nobody at a path; `reason` where a token was shown."""

    async def answer(
        self, method: str, path: str, query: bytes, headers: Headers, body: bytes, connection: Connection
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body for one request."""


class Tasks(Protocol):
    """Tasks of servers, by the handles that agents have. INVARIANT: what was kept is there after any end of this
    process."""

    async def keep(self, handle: str, task: KeptTask, now_ms: int) -> None:
        """Have it durable. Raises `HostError` when it is not."""

    async def find(self, handle: str, agent: str, now_ms: int) -> KeptTask | None:
        """The task of a handle, for its own agent. Raises `HostError`."""


class Upstreams(Protocol):
    """The servers behind, each as one agent reaches it: agents never share a server's process or session."""

    def names(self) -> list[str]:
        """The connectors, sorted."""

    def of(self, connector: str, agent: str) -> Upstream | None:
        """One of them for one agent, or none of that name."""
