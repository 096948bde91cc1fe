"""FastMCP's own client."""

import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

errand = json.load(sys.stdin)


async def main():
    transport = StreamableHttpTransport(errand["url"], headers={"Authorization": f"Bearer {errand['token']}"})
    answers, steps = [], []

    async def progressed(progress, total, message):
        steps.append(progress)

    async with Client(transport) as client:
        tools = [tool.name for tool in await client.list_tools()]
        for name, arguments in errand["calls"]:
            answer = await client.call_tool(name, arguments, raise_on_error=False, progress_handler=progressed)
            text = "\n".join(getattr(part, "text", "") for part in answer.content)
            answers.append({"text": text, "error": answer.is_error})
    return {"tools": tools, "answers": answers, "steps": steps}


print(json.dumps(asyncio.run(main())))
