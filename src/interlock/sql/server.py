"""The process that holds a database for a SQL connector: `python -m interlock.sql.server`, an MCP server over stdio
with the tools `query` and `describe`.

Started as any other server, in a session of the host plane that may open this database's files and no others. Beside
the protocol it answers `interlock/statement`: what a call would do, which the gateway asks before anything is decided.
A call is run only with what was decided about it (`_meta`), so that whatever reaches this server in another way does
nothing.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
from typing import Final

from interlock.sql.database import Bounds, Database, Failed
from interlock.sql.judged import Parameters, Refusal, Value
from interlock.vocabulary.json_value import JsonObject, object_at

STATEMENT: Final = "interlock/statement"
REVISION: Final = "2025-11-25"
LINE_BYTES_MAX: Final = 4 << 20
PARAMETERS_MAX: Final = 1_000
_SCALAR: Final = {"type": ["string", "number", "boolean", "null"]}
_TOOLS: Final = [
    {
        "name": "query",
        "title": "Run one SQL statement",
        "description": "Run one statement of SQLite. Values belong into `parameters`, with `?` or `:name` in the text.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "sql": {"type": "string", "description": "one statement"},
                "parameters": {
                    "description": "values for `?` as a list, for `:name` as an object",
                    "anyOf": [
                        {"type": "array", "items": _SCALAR},
                        {"type": "object", "additionalProperties": _SCALAR},
                    ],
                },
            },
            "required": ["sql"],
            "additionalProperties": False,
        },
    },
    {
        "name": "describe",
        "title": "What tables there are",
        "description": "The tables and views of the database with their columns; with `table`, of that one.",
        "inputSchema": {
            "type": "object",
            "properties": {"table": {"type": "string"}},
            "additionalProperties": False,
        },
        "annotations": {"readOnlyHint": True},
    },
]


class Wrong(Exception):
    """A request that is not one of this server's."""


def main() -> None:
    """Answer until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--writes", action="store_true")
    given = parser.parse_args()
    try:
        database = Database(given.path, Bounds(given.rows, given.seconds, given.writes))
    except sqlite3.Error as error:
        raise SystemExit(f"the database cannot be opened: {error}") from error
    while line := sys.stdin.buffer.readline(LINE_BYTES_MAX):
        answer = _answer(database, json.loads(line))
        if answer is not None:
            sys.stdout.buffer.write(json.dumps(answer, separators=(",", ":"), allow_nan=False).encode() + b"\n")
            sys.stdout.buffer.flush()


def _answer(database: Database, message: JsonObject) -> JsonObject | None:
    if "id" not in message:
        return None
    base = {"jsonrpc": "2.0", "id": message["id"]}
    try:
        return {**base, "result": _result(database, message.get("method"), object_at(message, "params"))}
    except Wrong as error:
        return {**base, "error": {"code": -32601, "message": str(error)}}


def _result(database: Database, method: object, params: JsonObject) -> JsonObject:
    match method:
        case "initialize":
            server = {"name": "interlock-sql", "version": sqlite3.sqlite_version}
            return {"protocolVersion": REVISION, "capabilities": {"tools": {}}, "serverInfo": server}
        case "ping":
            return {}
        case "tools/list":
            return {"tools": _TOOLS}
        case "interlock/statement":
            return _judged(database, params)
        case "tools/call":
            return _called(database, params)
    raise Wrong("Method not found")


def _judged(database: Database, params: JsonObject) -> JsonObject:
    """What a call would do, or why it is not made whatever a policy says."""
    try:
        return {"does": _does(database, params)}
    except Refusal as refusal:
        return {"refused": str(refusal)}


def _does(database: Database, params: JsonObject) -> JsonObject:
    arguments = object_at(params, "arguments")
    if params.get("name") == "query":
        return database.judged(_text(arguments), _parameters(arguments)).told()
    if params.get("name") == "describe":
        return database.described(arguments.get("table"))[0]
    raise Refusal("there is no such tool")


def _called(database: Database, params: JsonObject) -> JsonObject:
    arguments, decided = object_at(params, "arguments"), object_at(params, "_meta").get(STATEMENT)
    try:
        if params.get("name") == "query":
            answer = database.run(_text(arguments), _parameters(arguments), decided)
            return _said(answer._asdict())
        does = _does(database, params)
        if does != decided:
            raise Refusal("it does something else than what was decided about")
        return _said({"tables": database.described(arguments.get("table"))[1]})
    except Refusal as refusal:
        return _said({"error": f"not run: {refusal}"}, wrong=True)
    except Failed as failure:
        return _said({"error": f"nothing of it remains: {failure}"}, wrong=True)


def _text(arguments: JsonObject) -> str:
    text = arguments.get("sql")
    if not isinstance(text, str):
        raise Refusal("`sql` is not a text")
    return text


def _parameters(arguments: JsonObject) -> Parameters:
    given = arguments.get("parameters") or []
    if isinstance(given, dict) and len(given) <= PARAMETERS_MAX:
        return {str(name): _value(each) for name, each in given.items()}
    if not isinstance(given, list) or len(given) > PARAMETERS_MAX:
        raise Refusal(f"`parameters` are not at most {PARAMETERS_MAX} values")
    return [_value(each) for each in given]


def _value(given: object) -> Value:
    if given is None or isinstance(given, str | int | float):
        return given
    raise Refusal("a parameter is neither a text, a number, true, false nor null")


def _said(value: JsonObject, *, wrong: bool = False) -> JsonObject:
    text = value["error"] if wrong else json.dumps(value, ensure_ascii=False, allow_nan=False)
    result: JsonObject = {"content": [{"type": "text", "text": text}], "isError": wrong}
    return result if wrong else {**result, "structuredContent": value}


if __name__ == "__main__":
    main()
