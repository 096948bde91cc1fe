"""What a server may ask of a client: the methods, the word that an operator allows each by, and the capability that a
client says it takes it with."""

from __future__ import annotations

from typing import Final

from interlock.vocabulary.json_text import JsonObject

#: Method, and what an operator's `client_requests` and a client's capabilities call it.
KINDS: Final = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}


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
