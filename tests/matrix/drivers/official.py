"""The official SDK for Python: one errand (`errand.py`), in the era that it names; over HTTP, or with `command` over the stdio of a bridge."""

import asyncio
import json
import os
import sys

import mcp
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

errand = json.load(sys.stdin)


def text(answer):
    return "\n".join(getattr(part, "text", "") for part in answer.content)


async def run(client):
    tools = [tool.name for tool in (await client.list_tools()).tools]
    answers, steps = [], []

    async def progressed(progress, total, message):
        steps.append(progress)

    for name, arguments in errand["calls"]:
        answer = await client.call_tool(name, arguments, progress_callback=progressed)
        answers.append({"text": text(answer), "error": answer.is_error})
    return {"tools": tools, "answers": answers, "steps": steps}


async def main():
    if "command" in errand:
        program, *arguments = errand["command"]
        bridge = StdioServerParameters(command=program, args=arguments, env=dict(os.environ))
        async with mcp.Client(stdio_client(bridge), mode=errand["era"]) as client:
            return await run(client)
    headers = {"Authorization": f"Bearer {errand['token']}"}
    async with (
        create_mcp_http_client(headers=headers) as http,
        mcp.Client(streamable_http_client(errand["url"], http_client=http), mode=errand["era"]) as client,
    ):
        return await run(client)


print(json.dumps(asyncio.run(main())))
