"""An MCP server (older revision) that keeps what it is told, in memory and in its home, and says it again: what reaches it twice came from one process."""

import json
import os
import sys

KEPT = []
TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("keep", "fail", "hang", "daemon")]


def write(identity, result):
    print(json.dumps({"jsonrpc": "2.0", "id": identity, "result": result}), flush=True)


def called(identity, name, text):
    if name == "fail":
        sys.exit(f"failing with {text}")
    if name == "hang":
        return
    if name == "daemon" and os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "600"])
        os._exit(0)
    home = os.path.expanduser("~")
    KEPT.append(text)
    files = sorted(each for each in os.listdir(home) if each.startswith("kept-"))
    open(f"{home}/kept-{text}", "w").close()
    write(identity, {"content": [{"type": "text", "text": json.dumps({"process": os.getpid(), "kept": KEPT, "files": files, "home": home})}]})


for line in sys.stdin:
    message = json.loads(line)
    method, identity, params = message.get("method"), message.get("id"), message.get("params", {})
    if method == "initialize":
        info = {"name": "keeps", "version": "1"}
        write(identity, {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info})
    elif method == "tools/list":
        write(identity, {"tools": TOOLS})
    elif method == "tools/call":
        called(identity, params["name"], params["arguments"].get("text", ""))
    elif identity is not None:
        print(json.dumps({"jsonrpc": "2.0", "id": identity, "error": {"code": -32601, "message": "no"}}), flush=True)
