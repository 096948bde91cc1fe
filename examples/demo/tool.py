"""Call one tool through the gateway, standard library only: `tool.py NAME [JSON]`. Runs inside the jail.

The token and the address come from the environment that `interlock run --agent` gives its command.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request

VERSION = "2026-07-28"


def call(name: str, arguments: dict[str, object]) -> dict[str, object]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "demo", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
        "interlock/prompt": "demo: the task given to the agent",
    }
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments, "_meta": meta},
    }
    request = urllib.request.Request(
        os.environ["INTERLOCK_GATEWAY_URL"] + "/mcp",
        json.dumps(body).encode(),
        {
            "Authorization": f"Bearer {os.environ['INTERLOCK_TOKEN']}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": "tools/call",
            "Mcp-Name": name,
        },
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as response:
        text = response.read().decode()
    if response.headers.get_content_type() == "text/event-stream":
        text = next(line[5:] for line in reversed(text.splitlines()) if line.startswith("data:"))
    reply: dict[str, object] = json.loads(text)
    return reply


def main() -> int:
    try:
        reply = call(sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {})
    except urllib.error.HTTPError as problem:
        print(f"{problem.code} {problem.read().decode()}")
        return 1
    result = reply.get("result")
    if not isinstance(result, dict):
        print(reply.get("error"))
        return 1
    print("\n".join(part.get("text", "") for part in result["content"]))
    return 1 if result.get("isError") else 0


if __name__ == "__main__":
    sys.exit(main())
