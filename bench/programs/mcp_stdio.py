"""An MCP server over stdio that costs as little as one in Python can: a line in, a line out, nothing imported but JSON."""

import json
import sys

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}

for line in sys.stdin.buffer:
    message = json.loads(line)
    if "id" not in message:
        continue
    method = message["method"]
    result = {"resultType": "complete"}
    if method == "server/discover":
        result |= {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
    elif method == "tools/list":
        result |= {"tools": [{"name": "echo", "inputSchema": SCHEMA}], "ttlMs": 60000, "cacheScope": "private"}
    else:
        result |= {"content": [{"type": "text", "text": message["params"]["arguments"]["text"]}]}
    sys.stdout.buffer.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode() + b"\n")
    sys.stdout.buffer.flush()
