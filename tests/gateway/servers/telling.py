"""An MCP server of 2025-11-25 over stdio that tells of resources that it was asked to tell of. The tool `touch` changes the one that it names.
Each message that it gets is a line in the file SEEN. With `mute` as its argument it does not say that it tells of any."""

import json
import os
import sys

TELLS = sys.argv[1:] != ["mute"]
SUBSCRIBED = set()


def write(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answered(method, params):
    if method == "initialize":
        resources = {"subscribe": True} if TELLS else {}
        return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "resources": resources}, "serverInfo": {"name": "t", "version": "1"}}
    if method == "tools/list":
        return {"tools": [{"name": "touch", "inputSchema": {"type": "object"}}]}
    if method == "resources/list":
        return {"resources": [{"uri": f"file:///{name}", "name": name} for name in "abc"]}
    if method == "resources/subscribe":
        if params["uri"] == "file:///b":
            return None
        SUBSCRIBED.add(params["uri"])
        return {}
    if method == "resources/unsubscribe":
        SUBSCRIBED.discard(params["uri"])
        return {}
    if method == "tools/call":
        uri = params["arguments"]["uri"]
        if uri == "exit":
            sys.exit()
        if uri in SUBSCRIBED:
            write({"method": "notifications/resources/updated", "params": {"uri": uri}})
        return {"content": [{"type": "text", "text": "touched" if uri in SUBSCRIBED else "nobody asked"}]}
    return None


for line in sys.stdin:
    message = json.loads(line)
    with open(os.environ["SEEN"], "a") as file:
        file.write(json.dumps(message) + "\n")
    if "id" in message:
        result = answered(message["method"], message.get("params", {}))
        write({"id": message["id"], **({"result": result} if result is not None else {"error": {"code": -32602, "message": "no"}})})
