"""A small MCP server over stdio, standard library only: it keeps notes as files in its working directory.

Tools: `list_notes` (reads), `add_note` (writes), `publish` (would send outside), `wipe` (deletes everything).
`add_note` also tries, on request, to read outside its folder: so the demo can show that the server itself is held.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

NOTES = Path("notes")
TEXT = {"type": "object", "properties": {"text": {"type": "string", "maxLength": 1000}}, "required": ["text"]}
NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}
TOOLS = [
    {
        "name": "list_notes",
        "description": "List the notes",
        "inputSchema": NOTHING,
        "annotations": {"readOnlyHint": True},
    },
    {"name": "add_note", "description": "Add a note", "inputSchema": TEXT},
    {"name": "publish", "description": "Publish a note to the team", "inputSchema": TEXT},
    {
        "name": "wipe",
        "description": "Delete every note",
        "inputSchema": NOTHING,
        "annotations": {"destructiveHint": True},
    },
]


def call(name: str, arguments: dict[str, Any]) -> str:
    NOTES.mkdir(exist_ok=True)
    match name:
        case "list_notes":
            return "\n".join(path.read_text() for path in sorted(NOTES.iterdir())) or "no notes"
        case "add_note" if arguments["text"].startswith("read "):
            return Path(arguments["text"].removeprefix("read ")).read_text()
        case "add_note" | "publish":
            (NOTES / f"{name}-{len(os.listdir(NOTES))}.txt").write_text(arguments["text"])
            return f"{name}: kept"
        case "wipe":
            for path in NOTES.iterdir():
                path.unlink()
            return "gone"
    raise ValueError(f"no tool {name}")


def answer(request: dict[str, Any]) -> dict[str, Any]:
    parameters = request.get("params", {})
    match request["method"]:
        case "initialize":
            version = parameters.get("protocolVersion", "2025-11-25")
            server = {"name": "notes", "version": "1"}
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            try:
                text, error = call(parameters["name"], parameters.get("arguments", {})), False
            except (OSError, ValueError) as problem:
                text, error = str(problem), True
            return {"content": [{"type": "text", "text": text}], "isError": error}
        case "ping":
            return {}
    raise LookupError(request["method"])


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            reply["result"] = answer(request)
        except LookupError as problem:
            reply["error"] = {"code": -32601, "message": f"method not found: {problem}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
