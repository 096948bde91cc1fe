"""What a server may ask of a client: the methods, the word that an operator allows each by, and the capability that a
client says it takes it with."""

from __future__ import annotations

from typing import Final

from interlock.mcp.revision import META
from interlock.vocabulary.json_text import JsonObject, is_object, object_at

#: Method, and what an operator's `client_requests` and a client's capabilities call it.
KINDS: Final = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}


#: A server answers a call with a handle, and says later what came of it.
TASKS: Final = f"{META}tasks"
#: Extensions that are carried: what a client or a server says of any other one goes no further.
EXTENSIONS: Final = frozenset({TASKS, f"{META}ui"})


def extensions_of(capabilities: JsonObject) -> JsonObject:
    """The extensions that are carried, of those that a client or a server says it has."""
    said = object_at(capabilities, "extensions")
    return {name: settings for name, settings in said.items() if name in EXTENSIONS and is_object(settings)}


def declares(params: JsonObject, extension: str) -> bool:
    """Whether the client of a request says that it has an extension."""
    return extension in extensions_of(object_at(object_at(params, "_meta"), f"{META}clientCapabilities"))


def capabilities_towards(allowed: tuple[str, ...]) -> JsonObject:
    """What we claim to be able to do for a server: only what the operator lets through to the agent."""
    claims: JsonObject = {}
    if "elicitation" in allowed:
        claims["elicitation"] = {"form": {}, "url": {}}
    if "sampling" in allowed:
        claims["sampling"] = {}
    if "roots" in allowed:
        claims["roots"] = {}
    return claims
