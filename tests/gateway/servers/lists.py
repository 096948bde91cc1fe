"""An MCP server over stdio whose lists are what a file says: `lists.py FILE`, a JSON object of `tools`, `prompts`, `resources` and
`resourceTemplates`. Each call is a line in the file `calls` beside it; it lasts as many `seconds` as its arguments say, and a call of
`change` says that the tools have changed."""

import json
import sys
import time
from pathlib import Path

FILE = Path(sys.argv[1])
LISTS = json.loads(FILE.read_text())
METHODS = {"tools/list": "tools", "prompts/list": "prompts", "resources/list": "resources", "resources/templates/list": "resourceTemplates"}
GREETING = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}, "prompts": {}, "resources": {}},
    "serverInfo": {"name": "lists", "version": "1"},
}


META = "io.modelcontextprotocol/"
LISTENING = []


def write(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def told(method):
    """A notification on each subscription, or outside any in the older era."""
    for identity in LISTENING or [None]:
        params = {"_meta": {f"{META}subscriptionId": identity}} if identity is not None else {}
        write({"jsonrpc": "2.0", "method": method, "params": params})


def answer(method, params):
    if method == "server/discover" and LISTS.get("modern"):
        return {"result": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": True}}}}
    if method == "initialize":
        return {"result": GREETING}
    if method in METHODS:
        return {"result": {METHODS[method]: LISTS.get(METHODS[method], [])}}
    if method == "tools/call":
        with (FILE.parent / "calls").open("a") as file:
            file.write(params["name"] + "\n")
        if params["name"] == "change":
            told("notifications/tools/list_changed")
        time.sleep(float(params.get("arguments", {}).get("seconds", 0)))
        return {"result": {"content": [], "structuredContent": LISTS.get("structured", {})}}
    return {"error": {"code": -32601, "message": f"no {method}"}}


for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "subscriptions/listen" and LISTS.get("modern"):
        LISTENING.append(message["id"])
        told("notifications/subscriptions/acknowledged")
    elif "id" in message:
        said = {"jsonrpc": "2.0", "id": message["id"], **answer(message["method"], message.get("params", {}))}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
