"""The kinds of connectors: what is said of each elsewhere, and how a channel to its server is opened. Nothing else
tells one kind from another.

A new kind is a value of its own with its keys (`configuration.py`) and a channel of its own, and enters here: until it
does, the type checker refuses this module.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never

from interlock.connectors.channel import Channel, Sink
from interlock.connectors.configuration import Connector, Http, Sql, Stdio
from interlock.connectors.database import holding
from interlock.connectors.launch import Launcher
from interlock.connectors.stdio import StdioChannel
from interlock.vocabulary.json_text import JsonObject
from interlock.vocabulary.printable import printable, shell_words

#: Makes the channel to a server that runs elsewhere, for one agent.
Reach = Callable[[Connector, Http, str, Sink], Channel]


@dataclass(frozen=True, slots=True)
class Ways:
    """How servers are started and reached: given by `app/`."""

    launcher: Launcher
    reach: Reach


@dataclass(frozen=True, slots=True)
class Kind:
    """What a connector's kind says of it.

    Attributes:
        name: as in its file.
        met_by: what is done to have the server: `started`, `reached`.
        shown: the connector in one line, for a person.
        told: the same for a program; of environment and headers the names alone.
        code: directories that its server reads its code from.
        open: opens a channel for an agent.
    """

    name: str
    met_by: str
    shown: str
    told: JsonObject
    code: tuple[str, ...]
    open: Callable[[Ways, str, Sink], Awaitable[Channel]]


def kind_of(connector: Connector) -> Kind:
    """The kind of a connector."""
    match connector.server:
        case Stdio() as server:
            return _stdio(connector, server)
        case Http() as server:
            return _http(connector, server)
        case Sql() as server:
            return _sql(connector, server)
        case never:
            assert_never(never)


def _stdio(connector: Connector, server: Stdio) -> Kind:
    async def start(ways: Ways, agent: str, told: Sink) -> Channel:
        return StdioChannel(await ways.launcher.start(connector.name, server, agent), connector, told)

    names = sorted(server.environment)
    shown = shell_words(list(server.command)) + printable("".join(f" {name}=…" for name in names))
    told: JsonObject = {"command": list(server.command), "code": list(server.code), "environment": names}
    return Kind("stdio", "started", shown, told, server.code, start)


def _sql(connector: Connector, server: Sql) -> Kind:
    """A database is spoken with by a process of our own, which is held as any server is."""

    async def start(ways: Ways, agent: str, told: Sink) -> Channel:
        running = await ways.launcher.start(connector.name, holding(connector, server), agent)
        return StdioChannel(running, connector, told)

    does = "read and changed" if server.writes else "only read"
    told: JsonObject = {"engine": server.engine, "path": server.path, "writes": server.writes, "rows": server.rows}
    return Kind("sql", "opened", printable(f"{server.engine} {server.path}, {does}"), told, (), start)


def _http(connector: Connector, server: Http) -> Kind:
    async def reach(ways: Ways, agent: str, told: Sink) -> Channel:
        return ways.reach(connector, server, agent, told)

    told: JsonObject = {"url": server.url, "headers": sorted(server.headers)}
    return Kind("http", "reached", printable(server.url), told, (), reach)
