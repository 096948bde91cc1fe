"""An MCP server over stdio that can be held: `held.py FOLDER`. While the file `hold` is there it reads nothing once it has started, and while `silent` is there it
answers no list. A call of `die` ends it; one of `steps` is answered in the same write as three reports of progress before it. Each call is a line in `calls`."""

import json
import os
import sys
import time
from pathlib import Path

FOLDER = Path(sys.argv[1])
SAID = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}, "prompts": {}}, "serverInfo": {"name": "held", "version": "1"}}
TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("echo", "die", "steps")]


def result(method, params):
    if method == "initialize":
        return SAID
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "prompts/list":
        return {"prompts": [{"name": "greet"}]}
    with (FOLDER / "calls").open("a") as file:
        file.write(f"{params['name']}\n")
    if params["name"] == "die":
        os._exit(3)
    return {"content": [{"type": "text", "text": "hello"}]}


while (FOLDER / "hold").exists():
    time.sleep(0.05)
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message or (message["method"].endswith("/list") and (FOLDER / "silent").exists()):
        continue
    if message["method"] == "server/discover":
        said = {"error": {"code": -32601, "message": "no"}}
    else:
        said = {"result": result(message["method"], message.get("params", {}))}
    if message.get("params", {}).get("name") == "steps":
        token = message["params"]["_meta"]["progressToken"]
        told = [{"method": "notifications/progress", "params": {"progressToken": token, "progress": step}} for step in range(3)]
        sys.stdout.write("".join(json.dumps({"jsonrpc": "2.0", **each}) + "\n" for each in told))
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **said}) + "\n")
    sys.stdout.flush()
