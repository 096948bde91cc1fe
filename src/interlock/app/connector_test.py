"""`interlock connector test`: starts or reaches one connector as the gateway would, asks for its tools, and ends it
again."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Final, NamedTuple

from interlock.app.connector_references import reached, resolved
from interlock.app.gateway_servers import SupervisedLauncher
from interlock.connectors.configuration import Connector
from interlock.connectors.link import Link
from interlock.connectors.pool import Pool
from interlock.gateway.operation import Tool, operation_class, tools_of
from interlock.mediate.upstream import Broken
from interlock.storage.home import Home
from interlock.vocabulary.json_text import JsonObject

AGENT: Final = "connector-test"
LOOK_S: Final = 0.2


class ExaminedTool(NamedTuple):
    """One tool: its own name, its operation class, its definition's digest, and why it cannot be used, if so."""

    name: str
    operation: str
    definition: str
    fault: str | None


class Examined(NamedTuple):
    """What was found of the connector `name`: what is wrong, if anything, with what the server wrote as `detail`; what
    it was `denied`; the revision it speaks; its tools; and what it lists that nobody is shown."""

    name: str
    fault: str | None
    detail: str | None
    denied: tuple[str, ...]
    revision: str | None = None
    tools: tuple[ExaminedTool, ...] = ()
    left_out: tuple[str, ...] = ()


def examine(connector: Connector) -> Examined:
    """See the module."""
    return asyncio.run(_examine(connector))


async def _examine(connector: Connector) -> Examined:
    home = Home.from_environment()
    home.ensure(home.config, home.state, home.runtime)
    launcher = SupervisedLauncher(home)
    pool = Pool(
        resolved({connector.name: connector}, os.environ),
        launcher=launcher,
        reach=reached,
        now_ms=lambda: time.monotonic_ns() // 1_000_000,
    )
    try:
        link = pool.of(connector.name, AGENT)
        assert link is not None
        definitions = await _patiently(link)
        if isinstance(definitions, Broken):
            return Examined(connector.name, definitions.reason, definitions.detail, link.standing().denied)
        tools = tuple(_tool(tool, link) for tool in tools_of(connector.name, definitions).values())
        standing = link.standing()
        return Examined(connector.name, None, None, standing.denied, link.revision, tools, standing.left_out)
    finally:
        await pool.close()


async def _patiently(link: Link) -> list[JsonObject] | Broken:
    """Nobody else waits here: a server that is still starting is waited for as long as its start may take."""
    while True:
        definitions = await link.definitions("tools")
        if not isinstance(definitions, Broken) or link.standing().state != "starting":
            return definitions
        await asyncio.sleep(LOOK_S)


def _tool(tool: Tool, link: Link) -> ExaminedTool:
    return ExaminedTool(tool.name, operation_class(tool, link), tool.digest, tool.arguments.unusable)
