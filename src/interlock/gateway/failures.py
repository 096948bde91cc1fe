"""What an agent is told where it gets no result of use: in words, and beside them how far the operation came.

Left out: the words themselves (`vocabulary/words.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from interlock.mcp.message import RpcError
from interlock.mcp.revision import UPSTREAM_BROKEN
from interlock.mediate.upstream import Broken
from interlock.vocabulary import words
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject, is_object

#: Where a result's `_meta` or an error's `data` says how far the operation came, in the ledger's word.
EFFECT_KEY: Final = "interlock/effect"


def failure(text: str, effect: Effect) -> JsonObject:
    """A result that says it is an error, and how far the call came."""
    return {"content": [{"type": "text", "text": text}], "isError": True, "_meta": {EFFECT_KEY: effect.value}}


def effect_data(effect: Effect, data: object = None) -> JsonObject:
    """The `data` of an error: the server's, with the effect beside it."""
    own: JsonObject = {EFFECT_KEY: effect.value}
    if data is None:
        return own
    return {**data, **own} if is_object(data) else {"data": data, **own}


def broken(what: str, reply: Broken) -> str:
    """What an agent is told of a server that gave no answer of use."""
    return words.broken(what, reply.reason, reply.said, reply.effect)


class Unready(RpcError):
    """A server cannot say what it has, so the operation was not sent, whatever became of the question. For the call of
    a tool it is a result (`failure`): an error of the protocol is one that clients' libraries raise."""

    def __init__(self, what: str, reply: Broken) -> None:
        text = broken(what, replace(reply, effect=Effect.NOT_SENT))
        super().__init__(UPSTREAM_BROKEN, text, data=effect_data(Effect.NOT_SENT))
