"""What travels beside the arguments of a request: its `_meta`, a client's answers to what a server asked, and the
server's own state, sealed on its way through the client.

All of it is put into the Action (`beside`), so that it is decided, shown and recorded before it is sent. Left out of
it: what is ours or the envelope's, and the progress token, which never reaches a server (a channel sends one of its
own). """

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from interlock.gateway.conversation import Conversation
from interlock.gateway.failures import failure
from interlock.gateway.results import asks_for_more
from interlock.gateway.state import StateSeal
from interlock.mcp.client_request import KINDS
from interlock.mcp.message import RpcError
from interlock.mcp.revision import INVALID_PARAMS, META
from interlock.mediate.json_text import JsonObject, is_object, measure, object_at
from interlock.mediate.upstream import Upstream
from interlock.vocabulary import words
from interlock.vocabulary.effect import Effect

_CAPABILITIES: Final = f"{META}clientCapabilities"
#: Methods whose result may ask for more input, and whose retry may answer.
_MAY_BE_ANSWERED: Final = frozenset({"tools/call", "prompts/get", "resources/read"})


def beside(
    conversation: Conversation, upstream: Upstream, method: str, params: JsonObject, seal: StateSeal
) -> JsonObject:
    """What goes along with a request. Raises `RpcError` for an answer that nobody asked for, and for a state that is
    not this request's."""
    passed: JsonObject = {}
    meta = _meta(conversation, params, upstream.client_requests)
    if meta:
        passed["_meta"] = meta
    if not conversation.modern or method not in _MAY_BE_ANSWERED:
        return passed
    if "inputResponses" in params:
        if not is_object(params["inputResponses"]) or not upstream.client_requests:
            raise RpcError(INVALID_PARAMS, "`inputResponses` answers nothing that this server may ask")
        passed["inputResponses"] = params["inputResponses"]
    if "requestState" in params:
        passed["requestState"] = _opened(conversation, params, seal)
    return passed


def handed_back(
    outcome: JsonObject, conversation: Conversation, upstream: Upstream, params: JsonObject, seal: StateSeal
) -> JsonObject:
    """A result as it goes to the agent: a server's question only where it may be put, its state sealed."""
    if not asks_for_more(outcome):
        return outcome
    if not conversation.modern:
        text = "The server asks for more input, which this client's revision of MCP cannot give."
        return failure(f"{text} {words.UNSURE}", Effect.UNKNOWN)
    if _not_forwarded(outcome, upstream.client_requests):
        text = "The server asks this client for something that the operator does not forward."
        return failure(f"{text} {words.UNSURE}", Effect.UNKNOWN)
    state = outcome.get("requestState")
    if not isinstance(state, str):
        return outcome
    return {**outcome, "requestState": seal.seal(state, binding=_binding(conversation, params))}


def progress_token(params: JsonObject) -> object:
    """By what the agent wants to be told of progress; none if it does not."""
    return object_at(params, "_meta").get("progressToken")


def _meta(conversation: Conversation, params: JsonObject, allowed: Collection[str]) -> JsonObject:
    meta = object_at(params, "_meta")
    kept = {key: value for key, value in meta.items() if not key.startswith((META, "interlock/"))}
    kept.pop("progressToken", None)
    if conversation.modern and allowed:
        kept[_CAPABILITIES] = {key: each for key, each in object_at(meta, _CAPABILITIES).items() if key in allowed}
    return kept


def _opened(conversation: Conversation, params: JsonObject, seal: StateSeal) -> str:
    sealed = params["requestState"]
    opened = seal.open(sealed, binding=_binding(conversation, params)) if isinstance(sealed, str) else None
    if opened is None:
        raise RpcError(INVALID_PARAMS, "`requestState` is not one of this request's, or was used already")
    return opened


def _not_forwarded(outcome: JsonObject, allowed: Collection[str]) -> bool:
    """Whether a server asks for something that its operator did not allow it to ask."""
    asked = outcome.get("inputRequests", {})
    if not is_object(asked):
        return True
    kinds = {KINDS.get(str(each.get("method"))) if is_object(each) else None for each in asked.values()}
    return not kinds <= set(allowed)


def _binding(conversation: Conversation, params: JsonObject) -> JsonObject:
    """What a sealed state is good for: this agent's same request, whatever its id and answers."""
    same = {key: params.get(key) for key in ("name", "uri", "arguments")}
    principal = conversation.principal
    return {"agent": principal.agent, "at": conversation.connector, "request": str(measure(same)["digest"])}
