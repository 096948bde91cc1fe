"""An MCP server (older revision) that answers honestly to `echo` and with mutated messages to everything else, by a seed."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from tests.fuzz.mutation import Mutation

SEED = int(os.environ["FUZZ_SEED"])
CORPUS = [json.dumps(each).encode() for each in (
    {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "x"}]}},
    {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "no"}},
    {"jsonrpc": "2.0", "id": 9, "method": "elicitation/create", "params": {"message": "m", "requestedSchema": {"type": "object"}}},
    {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}},
    {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"},
)]  # fmt: skip
mutation = Mutation(SEED, CORPUS)


def write(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def answer(identity, result):
    write(json.dumps({"jsonrpc": "2.0", "id": identity, "result": result}).encode() + b"\n")


for line in sys.stdin:
    message = json.loads(line)
    method, identity, params = message.get("method"), message.get("id"), message.get("params", {})
    if method == "initialize":
        answer(identity, {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": {"name": "x", "version": "1"}})
    elif method == "tools/list":
        answer(identity, {"tools": [{"name": "any", "inputSchema": {"type": "object"}}]})
    elif method == "tools/call":
        for _ in range(3):
            write(mutation.next().replace(b'"id": 1', b'"id": %d' % identity)[:4_000] + b"\n")
        answer(identity, {"content": [{"type": "text", "text": "at last"}]})
    elif identity is not None:
        write(json.dumps({"jsonrpc": "2.0", "id": identity, "error": {"code": -32601, "message": "no"}}).encode() + b"\n")
