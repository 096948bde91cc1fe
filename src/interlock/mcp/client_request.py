"""What a server may ask of a client: the methods, the word that an operator allows each by, and the capability that a
client says it takes it with.

A client is asked nothing that it did not say it takes (2025-11-25 and 2026-07-28, "Elicitation" and "Sampling"): not in
another mode, and not with tools that its model does not take. A page that somebody is led to is one of the web.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from interlock.mcp.revision import INVALID_PARAMS, META, METHOD_NOT_FOUND
from interlock.vocabulary.json_text import JsonObject, is_object, object_at, text_at

#: Method, and what an operator's `client_requests` and a client's capabilities call it.
KINDS: Final = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}
#: What a client may say beside each of them.
_PARTS: Final = {"elicitation": ("form", "url"), "sampling": ("tools", "context"), "roots": ()}
#: Methods whose result may ask for more input, and whose retry may answer (2026-07-28).
MAY_BE_ANSWERED: Final = frozenset({"tools/call", "prompts/get", "resources/read"})
#: Questions in one result.
QUESTIONS_MAX: Final = 16
_PAGES: Final = ("https://", "http://")

#: A server answers a call with a handle, and says later what came of it.
TASKS: Final = f"{META}tasks"
#: Extensions that are carried: what a client or a server says of any other one goes no further.
EXTENSIONS: Final = frozenset({TASKS, f"{META}ui"})
CAPABILITIES: Final = f"{META}clientCapabilities"


def extensions_of(capabilities: JsonObject) -> JsonObject:
    """The extensions that are carried, of those that a client or a server says it has."""
    said = object_at(capabilities, "extensions")
    return {name: settings for name, settings in said.items() if name in EXTENSIONS and is_object(settings)}


def declares(params: JsonObject, extension: str) -> bool:
    """Whether the client of a request says that it has an extension."""
    return extension in extensions_of(said_of_client(params))


def said_of_client(params: JsonObject) -> JsonObject:
    """The capabilities that a request of 2026-07-28 says its client has."""
    return object_at(object_at(params, "_meta"), CAPABILITIES)


def capabilities_towards(allowed: tuple[str, ...]) -> JsonObject:
    """What we claim to be able to do for a server: only what the operator lets through to the agent."""
    claims: JsonObject = {}
    if "elicitation" in allowed:
        claims["elicitation"] = {"form": {}, "url": {}}
    if "sampling" in allowed:
        claims["sampling"] = {"tools": {}}
    if "roots" in allowed:
        claims["roots"] = {}
    return claims


def claimed(capabilities: JsonObject, allowed: Collection[str]) -> JsonObject:
    """What a client says it takes, of what the operator lets through; in our words alone."""
    claims: JsonObject = {}
    for kind, parts in _PARTS.items():
        said = capabilities.get(kind)
        if kind in allowed and is_object(said):
            claims[kind] = {part: {} for part in parts if is_object(said.get(part))}
    if claims.get("elicitation") == {}:
        claims["elicitation"] = {"form": {}}  # what an empty one has meant since there were two modes
    return claims


def refusal_of(question: JsonObject, capabilities: JsonObject) -> JsonObject | None:
    """The error that answers a question which this client never said it takes; none where it may be put."""
    params, kind = object_at(question, "params"), KINDS.get(str(question.get("method")))
    said = claimed(capabilities, (kind,)).get(kind) if kind is not None else None
    if not is_object(said):
        return outcome_error(METHOD_NOT_FOUND, "the client does not take such questions")
    if kind == "elicitation":
        mode = params.get("mode", "form")
        if not isinstance(mode, str) or mode not in said:
            return outcome_error(INVALID_PARAMS, "the client does not take questions of this mode")
        if mode == "url" and not (text_at(params, "url") or "").lower().startswith(_PAGES):
            return outcome_error(INVALID_PARAMS, "the page to be visited is not one of the web")
    if kind == "sampling" and ("tools" in params or "toolChoice" in params) and "tools" not in said:
        return outcome_error(INVALID_PARAMS, "the client's model takes no tools")
    return None


def outcome_error(code: int, message: str) -> JsonObject:
    """What answers a question with an error."""
    return {"error": {"code": code, "message": message}}


def unaskable(asked: object, allowed: Collection[str], capabilities: JsonObject) -> bool:
    """Whether what a result asks for is not to be put to this client: more than its operator lets through, than it
    takes, or than anybody answers."""
    if not is_object(asked) or len(asked) > QUESTIONS_MAX:
        return True
    kinds = {KINDS.get(str(each.get("method"))) if is_object(each) else None for each in asked.values()}
    if not kinds <= set(allowed):
        return True
    return any(is_object(each) and refusal_of(each, capabilities) is not None for each in asked.values())
