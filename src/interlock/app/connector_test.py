"""`interlock connector test`: starts or reaches one connector as the gateway would, asks for its tools, and ends it
again."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from interlock.app.gateway_servers import SupervisedLauncher
from interlock.connectors.configuration import Connector
from interlock.connectors.http import HttpChannel
from interlock.connectors.pool import Pool
from interlock.gateway.catalogue import tools_of
from interlock.gateway.observe import operation_class
from interlock.mediate.upstream import Broken
from interlock.storage.home import Home

AGENT: Final = "connector-test"


def examine(connector: Connector) -> dict[str, Any]:
    """What was found: `fault` (or none), `revision`, `tools` with name, operation class, digest and fault."""
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
        definitions = await link.definitions("tools")
        if isinstance(definitions, Broken):
            fault = f"{definitions.reason}: {definitions.detail}" if definitions.detail else definitions.reason
            return {"name": connector.name, "fault": fault, "revision": None, "tools": []}
        tools = [
            {
                "name": tool.name,
                "operation": operation_class(tool, link),
                "definition": tool.digest,
                "fault": tool.arguments if isinstance(tool.arguments, str) else None,
            }
            for tool in tools_of(connector.name, definitions).values()
        ]
        return {"name": connector.name, "fault": None, "revision": link.revision, "tools": tools}
    finally:
        await pool.close()
