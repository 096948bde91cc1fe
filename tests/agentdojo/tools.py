"""The suite's tools as an MCP server over stdio, which hands each call to the judge at the socket JUDGE. Plain Python."""

import json
import os
import socket
import sys


def main():
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ["JUDGE"])
    judge = connection.makefile("rwb")

    def ask(**asked):
        judge.write(json.dumps(asked).encode() + b"\n")
        judge.flush()
        return json.loads(judge.readline())

    def reply(method, params):
        if method == "initialize":
            return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "dojo", "version": "1"}}
        if method == "tools/list":
            return {"tools": [{**each, "inputSchema": {"type": "object"}} for each in ask(do="suite")["tools"]]}
        said = ask(do="call", name=params["name"], arguments=params.get("arguments", {}))
        return {"content": [{"type": "text", "text": said["text"]}], "isError": said["error"]}

    for line in sys.stdin:
        message = json.loads(line)
        if message.get("id") is not None:
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": reply(message["method"], message.get("params", {}))}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


main()
