"""An MCP server over stdio whose tools and answers are those of the file SCRIPT, read anew for each request: a mapping of each tool to
its description and answers, `[{"when": {argument: value}, "says": text, "error": bool}]`, of which the first that fits is given. Each
call is a line in the file EFFECTS."""

import json
import os
import sys


def script():
    with open(os.environ["SCRIPT"]) as file:
        return json.load(file)[sys.argv[1]]


def definition(name, entry):
    return {"name": name, "description": entry.get("description", f"{name} it"), "inputSchema": {"type": "object"}}


def answer(name, arguments):
    with open(os.environ["EFFECTS"], "a") as file:
        file.write(json.dumps([f"{sys.argv[1]}/{name}", arguments]) + "\n")
    for each in script()[name].get("answers", []):
        if all(arguments.get(key) == value for key, value in each.get("when", {}).items()):
            text = each["says"].replace("{arguments}", json.dumps(arguments))
            return {"content": [{"type": "text", "text": text}], "isError": each.get("error", False)}
    return {"content": [{"type": "text", "text": "done"}]}


def reply(method, params):
    if method == "initialize":
        server = {"name": sys.argv[1], "version": "1"}
        return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": server}
    if method == "tools/list":
        return {"tools": [definition(name, entry) for name, entry in script().items()]}
    return answer(params["name"], params.get("arguments", {}))


for line in sys.stdin:
    message = json.loads(line)
    if message.get("id") is not None:
        result = reply(message["method"], message.get("params", {}))
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}) + "\n")
        sys.stdout.flush()
