"""`interlock connector test`: starts or reaches one connector as the gateway would, asks for its tools, and ends it
again."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from interlock.app.gateway_servers import SupervisedLauncher
from interlock.connectors.configuration import Connector
from interlock.connectors.http import HttpChannel
from interlock.connectors.link import Link
from interlock.connectors.pool import Pool
from interlock.gateway.observe import operation_class, tools_of
from interlock.mediate.json_text import JsonObject
from interlock.mediate.upstream import Broken
from interlock.storage.home import Home

AGENT: Final = "connector-test"
LOOK_S: Final = 0.2


def examine(connector: Connector) -> dict[str, Any]:
    """What was found: `fault` (or none) with what the server wrote as `detail`, what it was `denied`, `revision`,
    `tools` with name, operation class, digest and fault."""
    return asyncio.run(_examine(connector))


async def _examine(connector: Connector) -> dict[str, Any]:
    home = Home.from_environment()
    home.ensure(home.config, home.state, home.runtime)
    launcher = SupervisedLauncher(home)
    pool = Pool(
        {connector.name: connector},
        launcher=launcher,
        reach=HttpChannel,
        now_ms=lambda: time.monotonic_ns() // 1_000_000,
    )
    try:
        link = pool.of(connector.name, AGENT)
        assert link is not None
        definitions = await _patiently(link)
        if isinstance(definitions, Broken):
            return _nothing(connector, definitions, link.standing().denied)
        tools = [
            {
                "name": tool.name,
                "operation": operation_class(tool, link),
                "definition": tool.digest,
                "fault": tool.arguments if isinstance(tool.arguments, str) else None,
            }
            for tool in tools_of(connector.name, definitions).values()
        ]
        found = {"name": connector.name, "fault": None, "detail": None, "denied": list(link.standing().denied)}
        return {**found, "revision": link.revision, "tools": tools}
    finally:
        await pool.close()


async def _patiently(link: Link) -> list[JsonObject] | Broken:
    """Nobody else waits here: a server that is still starting is waited for as long as its start may take."""
    while True:
        definitions = await link.definitions("tools")
        if not isinstance(definitions, Broken) or link.standing().state != "starting":
            return definitions
        await asyncio.sleep(LOOK_S)


def _nothing(connector: Connector, broken: Broken, denied: tuple[str, ...]) -> dict[str, Any]:
    said: dict[str, Any] = {"fault": broken.reason, "detail": broken.detail, "denied": list(denied)}
    return {"name": connector.name, **said, "revision": None, "tools": []}
