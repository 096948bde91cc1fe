"""A stdio server in plain Python with what a client should meet besides an answer: a call that policy keeps back, one that a human is asked about, one in the middle of which the
server dies, one that reports progress."""

import json
import os
import sys
import time

#: Between two steps, and before the answer. Some clients throw away a report of progress that they read together with the answer (docs/compatibility.md).
STEP_S = 0.3

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOLS = [{"name": name, "description": name, "inputSchema": TEXT} for name in ("say", "ask_first", "die", "steps")]


def write(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def result(method, params):
    if method == "initialize":
        said = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
        return {**said, "serverInfo": {"name": "stagehand", "version": "1"}}
    if method == "tools/list":
        return {"tools": TOOLS}
    if params["name"] == "die":
        os._exit(7)
    token = params.get("_meta", {}).get("progressToken")
    for step in range(3 if params["name"] == "steps" and token is not None else 0):
        write({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": step}})
        time.sleep(STEP_S)
    return {"content": [{"type": "text", "text": f"{params['name']}: {params['arguments']['text']}"}]}


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    if message["method"] in ("initialize", "tools/list", "tools/call"):
        write({"jsonrpc": "2.0", "id": message["id"], "result": result(message["method"], message.get("params", {}))})
    else:
        write({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no such method"}})
