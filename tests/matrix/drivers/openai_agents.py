"""The OpenAI Agents SDK: its MCP server classes, without a model."""

import asyncio
import json
import sys

from agents.mcp import MCPServerStreamableHttp

errand = json.load(sys.stdin)


async def main():
    params = {"url": errand["url"], "headers": {"Authorization": f"Bearer {errand['token']}"}, "timeout": 60}
    answers = []
    async with MCPServerStreamableHttp(params=params, name="gateway", client_session_timeout_seconds=60) as server:
        tools = [tool.name for tool in await server.list_tools()]
        for name, arguments in errand["calls"]:
            answer = await server.call_tool(name, arguments)
            failed = getattr(answer, "isError", None)
            failed = answer.is_error if failed is None else failed
            answers.append({"text": "\n".join(getattr(part, "text", "") for part in answer.content), "error": failed})
    return {"tools": tools, "answers": answers}


print(json.dumps(asyncio.run(main())))
