"""An MCP server over stdio that asks its client for things, in the era that its first argument names: `legacy` asks in the middle of a call,
`modern` by results. Each message that it gets is a line in the file SEEN, each call that it carries out one in EFFECTS. Its tools that begin
with `lie` do what no honest server does.
"""

import json
import os
import sys

MODERN = sys.argv[1] == "modern"
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}}
FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
TOOL = {"name": "look", "inputSchema": {"type": "object"}}
ASK = {
    "form": {"method": "elicitation/create", "params": {"mode": "form", "message": "who?", "requestedSchema": FORM}},
    "url": {"method": "elicitation/create", "params": {"mode": "url", "message": "log in", "url": "https://login.example/x"}},
    "script": {"method": "elicitation/create", "params": {"mode": "url", "message": "log in", "url": "javascript:alert(1)"}},
    "sample": {"method": "sampling/createMessage", "params": {
        "messages": [{"role": "user", "content": {"type": "text", "text": "think"}}], "maxTokens": 9, "tools": [TOOL]}},
    "roots": {"method": "roots/list", "params": {}},
}  # fmt: skip
if not MODERN:
    ASK["url"]["params"]["elicitationId"] = "e-1"
ROUNDS = {**{name: [name] for name in ASK}, "twice": ["form", "roots"], "many": ["form"] * 40, "plain": []}
NAMES = (*ROUNDS, "both", "pages", "lie_result", "lie_request", "lie_unasked", "state_only")
WAITING = []


def write(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def note(variable, value):
    if variable in os.environ:
        with open(os.environ[variable], "a") as file:
            file.write(json.dumps(value) + "\n")


def take():
    """The next message; none at the end."""
    line = sys.stdin.readline()
    if not line:
        return None
    note("SEEN", json.loads(line))
    return json.loads(line)


def said(identity, value):
    write({"jsonrpc": "2.0", "id": identity, "result": {"content": [{"type": "text", "text": json.dumps(value)}]}})


def put(numbers):
    """Ask in the middle of a call, all at once, and wait for every answer."""
    for key, name in numbers.items():
        write({"jsonrpc": "2.0", "id": key, **ASK[name]})
    answers = {}
    while len(answers) < len(numbers):
        message = take()
        if message is None:
            sys.exit()
        if "method" not in message:
            answers[message["id"]] = message.get("result", message.get("error"))
        elif message["method"] != "notifications/cancelled":
            WAITING.append(message)
    return list(answers.values())


def legacy(identity, name, arguments):
    if name == "pages":
        if not arguments.get("text"):
            asked = [{k: v for k, v in ASK["url"]["params"].items() if k != "mode"} | {"mode": "url"}]
            write({"jsonrpc": "2.0", "id": identity, "error": {"code": -32042, "message": "log in first", "data": {"elicitations": asked}}})
            return
        said(identity, [])
        return
    if name in ("lie_result", "state_only"):
        write({"jsonrpc": "2.0", "id": identity, "result": {
            "resultType": "input_required", "inputRequests": {"a": ASK["form"]}, "requestState": "mine", "content": []}})
        return
    answers = put({"q1": "form", "q2": "roots"}) if name == "both" else [put({f"q{n}": each})[0] for n, each in enumerate(ROUNDS[name])]
    note("EFFECTS", [name, answers])
    if name == "url":
        write({"jsonrpc": "2.0", "method": "notifications/elicitation/complete", "params": {"elicitationId": "e-1"}})
    said(identity, answers)


def modern(identity, name, params):
    given, state = params.get("inputResponses", {}), json.loads(params.get("requestState", "[]"))
    if name == "lie_request":
        said(identity, put({"q1": "form"}))
        return
    if name == "state_only" and state != ["again"]:
        write({"jsonrpc": "2.0", "id": identity, "result": {"resultType": "input_required", "requestState": '["again"]'}})
        return
    if name == "lie_unasked":
        write({"jsonrpc": "2.0", "id": identity, "result": {"resultType": "input_required"}})
        return
    state += list(given.values())
    rounds = ["form"] if name == "both" else ROUNDS.get(name, [])
    if len(state) < len(rounds):
        asked = {f"k{len(state)}": ASK[rounds[len(state)]]}
        if name == "both":
            asked["k1"] = ASK["roots"]
        write({"jsonrpc": "2.0", "id": identity, "result": {
            "resultType": "input_required", "inputRequests": asked, "requestState": json.dumps(state)}})
        return
    note("EFFECTS", [name, state])
    said(identity, state)


def serve():
    while True:
        message = WAITING.pop(0) if WAITING else take()
        if message is None:
            return
        method, identity, params = message.get("method"), message.get("id"), message.get("params", {})
        if identity is None or method is None:
            continue
        if method == "initialize" and not MODERN:
            write({"jsonrpc": "2.0", "id": identity, "result": {
                "protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "prompts": {}}, "serverInfo": {"name": "asking", "version": "1"}}})
        elif method == "server/discover" and MODERN:
            write({"jsonrpc": "2.0", "id": identity, "result": {
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}, "prompts": {}}}})
        elif method == "tools/list":
            write({"jsonrpc": "2.0", "id": identity, "result": {"tools": [{"name": name, "inputSchema": TEXT} for name in NAMES]}})
        elif method == "prompts/list":
            write({"jsonrpc": "2.0", "id": identity, "result": {"prompts": [{"name": "ask"}]}})
        elif method == "prompts/get" and not MODERN:
            answers = put({"q1": "form"})
            write({"jsonrpc": "2.0", "id": identity, "result": {"messages": [
                {"role": "user", "content": {"type": "text", "text": json.dumps(answers)}}]}})
        elif method == "prompts/get":
            if "inputResponses" not in params:
                asked = {"resultType": "input_required", "inputRequests": {"k": ASK["form"]}}
                write({"jsonrpc": "2.0", "id": identity, "result": asked})
                continue
            write({"jsonrpc": "2.0", "id": identity, "result": {"messages": [
                {"role": "user", "content": {"type": "text", "text": json.dumps(params["inputResponses"])}}]}})
        elif method == "tools/call" and MODERN:
            modern(identity, params["name"], params)
        elif method == "tools/call":
            legacy(identity, params["name"], params.get("arguments", {}))
        else:
            write({"jsonrpc": "2.0", "id": identity, "error": {"code": -32601, "message": f"no {method}"}})


serve()
