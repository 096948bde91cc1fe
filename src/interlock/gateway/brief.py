"""The view that does not fill a model's context: three tools in the place of all of them, to search, to describe and to
call. `/brief` has it, and `/brief/<connector>` for one connector.

It decides nothing and knows nothing that the whole view has not: what is found is what `tools/list` would show this
agent, and a call is handed on as the call of the tool that it names. So the Action, the decision, the question to a
human and the records are of that tool, as if it had been called by itself. Left out: prompts and resources, which are
listed here as anywhere; tools' user interfaces, which a client knows from a list alone; headers that repeat arguments
(`x-mcp-header`), since a client cannot know which tool's it would send.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import structs

from interlock.gateway.catalogue import AS_LAST_KNOWN, UNAVAILABLE, NotThere
from interlock.gateway.failures import failure
from interlock.mcp.message import RpcError
from interlock.mcp.revision import INVALID_PARAMS
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject, encode, is_object, object_at, text_at
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from interlock.gateway.conversation import Conversation
    from interlock.gateway.methods import Methods

SEARCH: Final = "search_tools"
DESCRIBE: Final = "describe_tools"
CALL: Final = "call_tool"
FOUND_MAX: Final = 50
FOUND: Final = 10
DESCRIBED_MAX: Final = 10
QUERY_CHARACTERS_MAX: Final = 500
#: Of a tool's description, as a search shows it.
SHOWN_CHARACTERS: Final = 200
INSTRUCTIONS: Final = (
    f"There are more tools here than are listed. Find them with `{SEARCH}`, read their arguments with `{DESCRIBE}`, "
    f"and call them with `{CALL}`."
)
_WORD: Final = re.compile(r"[^\W_]+")
_NAMES: Final[JsonObject] = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": DESCRIBED_MAX}
_QUERY: Final[JsonObject] = {
    "type": "string",
    "maxLength": QUERY_CHARACTERS_MAX,
    "description": "words of what you want to do; empty to see the names in order",
}
_LIMIT: Final[JsonObject] = {"type": "integer", "minimum": 1, "maximum": FOUND_MAX, "default": FOUND}
_READS: Final[JsonObject] = {"readOnlyHint": True}


def _tool(name: str, description: str, properties: JsonObject, required: list[str], hints: JsonObject) -> JsonObject:
    schema: JsonObject = {"type": "object", "properties": properties, "additionalProperties": False}
    schema["required"] = list(required)
    return {"name": name, "description": description, "inputSchema": schema, "annotations": hints}


_TOOLS: Final = (
    _tool(
        SEARCH,
        f"Find tools by words. Names and the beginnings of descriptions come back; `{DESCRIBE}` has the rest.",
        {"query": _QUERY, "limit": _LIMIT},
        ["query"],
        _READS,
    ),
    _tool(
        DESCRIBE,
        "What tools are for and which arguments they take, by their names.",
        {"names": _NAMES},
        ["names"],
        _READS,
    ),
    _tool(
        CALL,
        f"Call a tool by its name, with the arguments that `{DESCRIBE}` says it takes. It is decided, asked about and "
        "recorded as that tool's call.",
        {"name": {"type": "string"}, "arguments": {"type": "object"}},
        ["name"],
        {},
    ),
)


def listed() -> JsonObject:
    """`tools/list` of this view."""
    return {"tools": sorted(_TOOLS, key=lambda tool: str(tool["name"]))}


async def called(methods: Methods, conversation: Conversation, params: JsonObject) -> JsonObject:
    """`tools/call` in this view."""
    name, arguments = params.get("name"), params.get("arguments", {})
    if not is_object(arguments):
        raise RpcError(INVALID_PARAMS, "`arguments` is not an object")
    if name == CALL:
        return await _handed_on(methods, conversation, params, arguments)
    if name not in (SEARCH, DESCRIBE):
        raise RpcError(INVALID_PARAMS, f"Unknown tool: {printable(str(name), 200)}")
    found = await methods.catalogue.listed(structs.replace(conversation, brief=False), "tools")
    tools = found["tools"]
    entries = [each for each in tools if is_object(each)] if isinstance(tools, list) else []
    answer = _searched(entries, arguments) if name == SEARCH else _described(entries, arguments)
    meta = object_at(found, "_meta")
    beside = {key: meta[key] for key in (UNAVAILABLE, AS_LAST_KNOWN) if key in meta}
    return {**answer, "_meta": beside} if beside else answer


async def _handed_on(
    methods: Methods, conversation: Conversation, params: JsonObject, arguments: JsonObject
) -> JsonObject:
    """The call of the tool that is named, and of no other."""
    unknown = sorted(set(arguments) - {"name", "arguments"})
    if unknown:
        named = printable(unknown[0], 64)
        return _refused(f"`{named}` is not an argument of `{CALL}`; those of the tool go into `arguments`")
    name, given = text_at(arguments, "name"), arguments.get("arguments", {})
    if name is None or not is_object(given):
        return _refused(f"`{CALL}` needs the `name` of a tool, and its `arguments` as an object")
    if name in (SEARCH, DESCRIBE, CALL):
        return _refused(f"`{name}` is called by itself")
    inner: JsonObject = {**params, "name": name, "arguments": given}
    try:
        return await methods.call(structs.replace(conversation, brief=False, headers=None), inner)
    except NotThere as fault:
        return _refused(f"{fault.message}; `{SEARCH}` finds the names")


def _searched(entries: list[JsonObject], arguments: JsonObject) -> JsonObject:
    query, limit = arguments.get("query"), arguments.get("limit", FOUND)
    if not isinstance(query, str) or len(query) > QUERY_CHARACTERS_MAX:
        return _refused(f"`query` is not a text of at most {QUERY_CHARACTERS_MAX} characters")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= FOUND_MAX:
        return _refused(f"`limit` is not a number from 1 to {FOUND_MAX}")
    words = set(_WORD.findall(query.casefold()))
    ranked = sorted(((-_score(each, words), str(each["name"]), each) for each in entries), key=lambda one: one[:2])
    fitting = [each for score, _, each in ranked if score or not words]
    shown: list[JsonObject] = [{"name": each["name"], "description": _beginning(each)} for each in fitting[:limit]]
    lines = [f"{each['name']}: {each['description']}" for each in shown]
    left = len(fitting) - len(shown)
    if left:
        lines.append(f"({left} more; other words or a higher `limit` show them)")
    if not shown:
        lines.append(f"none of the {len(entries)} tools has any of these words")
    return _said("\n".join(lines), {"tools": shown, "more": left})


def _score(entry: JsonObject, words: set[str]) -> int:
    """How well a tool answers a query: a word in its name counts most, one in its arguments' names least."""
    named, told = _words(str(entry["name"])), _words(text_at(entry, "description") or "")
    told |= _words(text_at(entry, "title") or "")
    arguments = _words(" ".join(object_at(object_at(entry, "inputSchema"), "properties")))
    return sum(4 * _has(named, word) + 2 * _has(told, word) + _has(arguments, word) for word in words)


def _has(words: set[str], wanted: str) -> bool:
    """Whether a word is there, or one that begins with it."""
    return wanted in words or (len(wanted) > 2 and any(each.startswith(wanted) for each in words))


def _words(text: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return set(_WORD.findall(spaced.casefold()))


def _beginning(entry: JsonObject) -> str:
    lines = (text_at(entry, "description") or text_at(entry, "title") or "").strip().splitlines()
    return printable(lines[0] if lines else "", SHOWN_CHARACTERS)


def _described(entries: list[JsonObject], arguments: JsonObject) -> JsonObject:
    names = arguments.get("names")
    texts = isinstance(names, list) and all(isinstance(one, str) for one in names)
    if not isinstance(names, list) or not texts or not 0 < len(names) <= DESCRIBED_MAX:
        return _refused(f"`names` is not a list of 1 to {DESCRIBED_MAX} names")
    known = {str(each["name"]): each for each in entries}
    missing = [one for one in names if one not in known]
    if missing:
        return _refused(f"`{printable(str(missing[0]), 200)}` is not a tool here; `{SEARCH}` finds the names")
    found: list[JsonObject] = [known[str(one)] for one in dict.fromkeys(names)]
    return _said("\n".join(encode(each).decode() for each in found), {"tools": found})


def _said(text: str, structured: JsonObject) -> JsonObject:
    return {"content": [{"type": "text", "text": text}], "structuredContent": structured}


def _refused(why: str) -> JsonObject:
    return failure(f"{why}. Nothing was sent.", Effect.NOT_SENT)
