"""LangChain's adapters: the tools as LangChain tools, called as an agent of LangChain calls them."""

import asyncio
import json
import sys

from langchain_core.messages import ToolCall
from langchain_mcp_adapters.client import MultiServerMCPClient

errand = json.load(sys.stdin)


def text(content):
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


async def main():
    headers = {"Authorization": f"Bearer {errand['token']}"}
    connection = {"transport": "streamable_http", "url": errand["url"], "headers": headers}
    client = MultiServerMCPClient({"gateway": connection})
    tools = {tool.name: tool for tool in await client.get_tools()}
    answers = []
    for number, (name, arguments) in enumerate(errand["calls"]):
        call = ToolCall(name=name, args=arguments, id=str(number), type="tool_call")
        try:
            answer = await tools[name].ainvoke(call)
            answers.append({"text": text(answer.content), "error": answer.status == "error"})
        except Exception as refused:  # its way of telling a failed call
            answers.append({"text": str(refused), "error": True})
    return {"tools": list(tools), "answers": answers}


print(json.dumps(asyncio.run(main())))
