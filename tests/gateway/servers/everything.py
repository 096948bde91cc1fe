"""The Python SDK's everything-server (`examples/servers/everything-server` of its repository, to be on PYTHONPATH) with the two
diagnostic tools that the conformance suite's `server-stateless` calls and it lacks. For docs/gateway.md, "Conformance"; no test starts it.
"""

from __future__ import annotations

from mcp.server.mcpserver import Context
from mcp.types import InputRequiredResult
from mcp_everything_server import server as everything


@everything.mcp.tool()
async def test_streaming_elicitation(ctx: Context) -> str | InputRequiredResult:
    """Says how far it is, then asks: nothing but that may stand on the call's stream."""
    await ctx.report_progress(progress=1, total=2, message="half")
    return InputRequiredResult(input_requests={"user_name": everything._name_elicitation()})


@everything.mcp.tool()
async def test_logging_tool(ctx: Context) -> str:
    """Logs while it works: nobody who did not ask for a level may see it."""
    await ctx.log("info", "said while it works")
    return "logged"


if __name__ == "__main__":
    everything.main()
