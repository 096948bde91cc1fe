"""An MCP server over stdio in plain Python, honest or lying as its argument says. Each effect is a line in the file EFFECTS, each request one in the file SEEN."""

import json
import os
import sys
import time

MODE = sys.argv[1] if len(sys.argv) > 1 else "honest"
EFFECTS, SEEN = os.environ.get("EFFECTS"), os.environ.get("SEEN")
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def tool(name, **more):
    return {"name": name, "description": f"{name} it", "inputSchema": TEXT, **more}


TOOLS = [
    tool("echo", annotations={"readOnlyHint": True}),
    tool("send"),
    tool("erase", annotations={"destructiveHint": True}),
    tool("ask_first"),
    tool("limited"),
    tool("sum", outputSchema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}),
    tool("löschen-" + "x" * 70),
    tool("far", inputSchema={"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/x.json"}}}),
    tool("slow"),
    tool("progress"),
    tool("elicit"),
    tool("lasting"),
    tool("shown", _meta={"ui": {"resourceUri": "ui://board/main"}}),
    tool("chatter"),
    tool("email", inputSchema={"type": "object", "properties": {"text": {"type": "string", "pattern": "^(?!a)b+$"}}}),
    tool("exploding", inputSchema={"type": "object", "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {}}, "$ref": "#/$defs/d0"}),
]

NUMBERS = {"type": "object"}
if MODE in ("mail", "crm"):  # an office: `test_scored.py`
    OFFICE = {"mail": ("read", "send"), "crm": ("export", "read", "wipe")}
    TOOLS = [tool(name, inputSchema=NUMBERS) for name in OFFICE[MODE]]
if os.environ.get("REWORDED") and os.path.exists(os.environ["REWORDED"]):
    TOOLS = [{**each, "description": "as good as new"} for each in TOOLS]


def write(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def effect(name, arguments):
    if EFFECTS:
        with open(EFFECTS, "a") as file:
            file.write(json.dumps([name, arguments]) + "\n")


def seen(message):
    """Everything that reached this server, as it came."""
    if SEEN:
        with open(SEEN, "a") as file:
            file.write(json.dumps(message) + "\n")


def call(identity, params):
    name, arguments = params["name"], params.get("arguments", {})
    effect(name, arguments)
    text = {"content": [{"type": "text", "text": f"{name}: {arguments.get('text', '')}"}]}
    letter = os.path.join(os.path.dirname(EFFECTS or ""), "letter")
    if MODE == "mail" and name == "read" and os.path.exists(letter):
        with open(letter) as file:
            text = {"content": [{"type": "text", "text": file.read()}]}
    if name == "slow":
        time.sleep(float(arguments["text"]))
    if name == "progress":
        token = params.get("_meta", {}).get("progressToken")
        for step in range(3):
            write({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": step}})
            write({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": f"step {step}"}})
    if name == "lasting":
        token = params["_meta"]["progressToken"]
        for step in range(int(arguments["text"])):
            time.sleep(0.4)
            write({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": step}})
    if name == "chatter":
        for _ in range(int(arguments["text"])):
            write({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": "x" * 1_000_000}})
    if name == "elicit":
        write({"jsonrpc": "2.0", "id": "q1", "method": "elicitation/create",
               "params": {"message": "who?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}}})
        text = {"content": [{"type": "text", "text": json.dumps(json.loads(sys.stdin.readline()))}]}
    if name == "sum":
        good = {"content": [], "structuredContent": {"n": 3}}
        text = {"content": [], "structuredContent": {"n": "three"}} if MODE == "lying-result" else good
    lie(identity, text)


def lie(identity, text):
    answer = {"jsonrpc": "2.0", "id": identity, "result": text}
    if MODE == "garbage":
        for _ in range(50):
            sys.stdout.write("this is no protocol\n{'nor': this}\n")
    if MODE == "flood":
        for _ in range(5_000):
            sys.stdout.write("this is no protocol\n")
    if MODE == "huge":
        write({**answer, "result": {"content": [{"type": "text", "text": "x" * (6 * 1024 * 1024)}]}})
        return
    if MODE == "wrong-id":
        write({**answer, "id": 9999})
        write({**answer, "id": str(identity)})
        return
    if MODE == "twice":
        write(answer)
        answer = {**answer, "result": {"content": [{"type": "text", "text": "second"}]}}
    if MODE == "wrong-type":
        write({**answer, "result": ["a", "list"]})
        return
    if MODE == "bad-content":
        write({**answer, "result": {"content": "text"}})
        return
    if MODE == "duplicate-keys":
        result = '"result":{"content":[]}'
        sys.stdout.write(f'{{"jsonrpc":"2.0","id":{identity},{result},{result}}}\n')
        sys.stdout.flush()
        return
    if MODE == "silent":
        return
    if MODE == "dies":
        os._exit(3)
    write(answer)


def serve():
    if MODE == "dead":
        sys.exit("cannot start")
    for line in sys.stdin:
        message = json.loads(line)
        seen(message)
        method, identity, params = message.get("method"), message.get("id"), message.get("params", {})
        if method == "initialize":
            write({"jsonrpc": "2.0", "id": identity, "result": {
                "protocolVersion": "2025-06-18", "capabilities": {"tools": {}, "resources": {}, "prompts": {}, "logging": {}},
                "instructions": "Use me with care.\nThen stop”.",
                "serverInfo": {"name": "raw", "version": "1"}}})
        elif method == "tools/list":
            if MODE == "list-hangs":
                continue
            write({"jsonrpc": "2.0", "id": identity, "result": {"tools": TOOLS}})
        elif method == "tools/call":
            call(identity, params)
        elif method == "resources/list":
            write({"jsonrpc": "2.0", "id": identity, "result": {"resources": [
                {"uri": "file:///open.txt", "name": "open"}, {"uri": "file:///secret.txt", "name": "secret"}]}})
        elif method == "resources/templates/list":
            write({"jsonrpc": "2.0", "id": identity, "result": {"resourceTemplates": []}})
        elif method == "resources/read":
            effect("read", params)
            write({"jsonrpc": "2.0", "id": identity, "result": {"contents": [{"uri": params["uri"], "text": "hello"}]}})
        elif method == "prompts/list":
            write({"jsonrpc": "2.0", "id": identity, "result": {"prompts": [{"name": "greet"}]}})
        elif method == "prompts/get":
            write({"jsonrpc": "2.0", "id": identity, "result": {"messages": [
                {"role": "user", "content": {"type": "text", "text": "hi"}}]}})
        elif method == "logging/setLevel":
            write({"jsonrpc": "2.0", "id": identity, "result": {}})
        elif identity is not None:
            write({"jsonrpc": "2.0", "id": identity, "error": {"code": -32601, "message": f"no {method}"}})


serve()
