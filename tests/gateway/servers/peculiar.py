"""Servers over stdio that work, each with a habit that other servers have too. `peculiar.py HABIT` writes a line into the
file `starts` of its folder at each start, and one into `done` for each call."""

import json
import os
import sys
import time

#: What a tool answers with, as JSON text: not every one can be had from a JSON library.
ANSWERS = {
    "echo": '{"content":[{"type":"text","text":"hello"}]}',
    "exact": '{"content":[{"type":"text","text":"exact"}],"structuredContent":'
    '{"n":[9223372036854775808,-18446744073709551617,123456789012345678901234567890,1.10,1e400,0.1000000000000000055]}}',
    "large": '{"content":[{"type":"text","text":"' + "x" * (5 << 20) + '"}]}',
    "nearly": '{"content":[{"type":"text","text":"' + "y" * ((4 << 20) - 4_096) + '"}]}',
    "cut": '{"content":[{"type":"text","text":"cut \\ud83d here"}]}',
    "not-a-number": '{"content":[],"structuredContent":{"n":NaN}}',
}
TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ANSWERS]
BANNER = b"""\
\x1b[32m  Peculiar Server 2.1 \xe2\x84\xa2 \x1b[0m

{"level": "info", "msg": "listening on stdio"}
{'not': json}
\xff\xfe bytes of no encoding
[1, 2]
"""


def note(name, text):
    with open(name, "a") as file:
        file.write(f"{text}\n")


def write(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def result(identity, text):
    write(f'{{"jsonrpc":"2.0","id":{identity},"result":{text}}}')


def serve(habit):
    for line in sys.stdin:
        message = json.loads(line)
        method, identity = message["method"], message.get("id")
        if habit == "shy" and method == "server/discover":
            sys.exit(f"unknown method {method}")
        if method == "initialize":
            said = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}, "logging": {}}, "serverInfo": {"name": "p", "version": "1"}}
            result(identity, json.dumps(said))
        elif method == "tools/list":
            result(identity, json.dumps({"tools": TOOLS}))
        elif method == "tools/call":
            note("done", message["params"]["name"])
            result(identity, ANSWERS[message["params"]["name"]])
        elif method == "logging/setLevel":
            if habit != "deaf-to-levels":
                result(identity, "{}")
        elif identity is not None:
            write(json.dumps({"jsonrpc": "2.0", "id": identity, "error": {"code": -32601, "message": "no"}}))


if __name__ == "__main__":
    note("starts", os.getpid())
    if sys.argv[1] == "slow":
        time.sleep(float(sys.argv[2]))
    if sys.argv[1] == "banner":
        os.write(1, BANNER)
    serve(sys.argv[1])
