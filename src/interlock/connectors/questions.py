"""A server's own request (sampling, elicitation, roots): forwarded to the agent only where the operator said so,
else refused.

What is forwarded is a question to the agent's client, never an order: the client asks its human or its model as it
sees fit.
"""

from __future__ import annotations

import asyncio
from typing import Final

from interlock.connectors.configuration import Connector
from interlock.mcp import server_message as messages
from interlock.mcp.client_request import KINDS
from interlock.mcp.revision import METHOD_NOT_FOUND
from interlock.mediate.upstream import Exchange
from interlock.vocabulary.json_text import JsonObject

#: The client's own time and that of a human who is asked about the answer, together.
ANSWER_S_MAX: Final = 600.0


async def outcome_of(asked: messages.Asked, exchange: Exchange | None, connector: Connector) -> JsonObject:
    """`{"result": …}` or `{"error": …}` for the server."""
    if asked.method == "ping":
        return {"result": {}}
    kind = KINDS.get(asked.method)
    if kind is None or kind not in connector.client_requests:
        return _error(f"this gateway does not forward `{asked.method[:64]}` (`client_requests` of the connector)")
    if exchange is None or exchange.ask is None:
        return _error(f"no client here takes `{asked.method}`")
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            return await exchange.ask({"method": asked.method, "params": asked.params})
    except TimeoutError:
        return _error("the client did not answer")


def _error(message: str) -> JsonObject:
    return {"error": {"code": METHOD_NOT_FOUND, "message": message}}
