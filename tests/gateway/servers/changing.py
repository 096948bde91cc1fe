"""An MCP server over stdio whose lists and instructions are what the file CHANGING says at the moment: `tools`, `prompts`, `instructions`,
`page` (entries of a page), `result`. Each effect is a line in the file EFFECTS. It tells of a changed list when the file's `tell` grows; with the
argument `modern` it speaks 2026-07-28."""

import json
import os
import sys
import threading
import time

MODERN = "modern" in sys.argv[1:]
LOCK = threading.Lock()


def state():
    with open(os.environ["CHANGING"]) as file:
        return json.load(file)


def write(message):
    with LOCK:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def listed(kind, params):
    now = state()
    entries, page = now.get(kind, []), now.get("page", 1_000)
    begin = int(params.get("cursor") or 0)
    more = {"nextCursor": str(begin + page)} if begin + page < len(entries) else {}
    return {kind: entries[begin : begin + page], **more}


def call(params):
    with open(os.environ["EFFECTS"], "a") as file:
        file.write(json.dumps([params["name"], params.get("arguments", {})]) + "\n")
    return state().get("result", {"content": [{"type": "text", "text": f"{params['name']} done"}]})


def answer(method, params):
    now = state()
    claims = {"tools": {"listChanged": True}, "prompts": {"listChanged": True}}
    info = {"name": "changing", "version": "1"}
    greeting = {"capabilities": claims, **({"instructions": now["instructions"]} if "instructions" in now else {})}
    if MODERN and method == "server/discover":
        return {**greeting, "supportedVersions": ["2026-07-28"], "_meta": {"io.modelcontextprotocol/serverInfo": info}, "resultType": "complete"}
    if not MODERN and method == "initialize":
        return {**greeting, "protocolVersion": "2025-06-18", "serverInfo": info}
    if method in ("tools/list", "prompts/list"):
        return {**listed(method.partition("/")[0], params), **({"resultType": "complete", "ttlMs": 0} if MODERN else {})}
    if method == "tools/call":
        return {**call(params), **({"resultType": "complete"} if MODERN else {})}
    if method == "prompts/get":
        return {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], **({"resultType": "complete"} if MODERN else {})}
    return None


def tells(subscription):
    said = state().get("tell", 0)
    while True:
        time.sleep(0.05)
        try:
            now = state().get("tell", 0)
        except (OSError, ValueError):
            continue
        if now > said:
            said = now
            meta = {"_meta": {"io.modelcontextprotocol/subscriptionId": subscription}} if MODERN else {}
            write({"method": "notifications/tools/list_changed", "params": meta})


for line in sys.stdin:
    message = json.loads(line)
    identity, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if method == "subscriptions/listen":
        asked = params.get("notifications", {})
        told = {"_meta": {"io.modelcontextprotocol/subscriptionId": identity}, "notifications": asked}
        write({"method": "notifications/subscriptions/acknowledged", "params": told})
        threading.Thread(target=tells, args=(identity,), daemon=True).start()
        continue
    if method == "notifications/initialized":
        threading.Thread(target=tells, args=(None,), daemon=True).start()
    if identity is None:
        continue
    found = answer(method, params)
    if found is None:
        write({"id": identity, "error": {"code": -32601, "message": f"no {method}"}})
    else:
        write({"id": identity, "result": found})
